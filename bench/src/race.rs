//! Rounds: the contestants run in turn, several times, so that other load on the machine affects
//! all of them.
//!
//! Figures of a run count only once its results are verified.

use anyhow::{Context, Result, ensure};

use crate::{
    child::{self, LONGEST_ROUND, Server},
    field::{Contestant, FIELD, Row, Size},
    report::{self, Line},
    rows::{self, Outcome},
};

/// The requested measurements.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) threads: usize,
    pub(crate) row: Option<Row>,
    /// Part of the name of a size or of a contestant.
    pub(crate) name: String,
}

pub(crate) fn run(plan: &Plan) -> Result<()> {
    report::explain(plan.rounds, plan.threads);
    let mut raced = false;
    for row in Row::ALL.into_iter().filter(|row| plan.row.is_none_or(|wanted| wanted == *row)) {
        for size in [Size::AsItComes, Size::Ethernet, Size::Largest] {
            let group: Vec<&Contestant> = FIELD
                .iter()
                .filter(|one| one.row == row && one.size == size)
                .filter(|one| {
                    format!("{} {}", size.name(), one.carrier.name()).contains(&plan.name)
                })
                .collect();
            if !group.is_empty() {
                raced = true;
                race(plan, row, size, &group)?;
            }
        }
    }
    ensure!(raced, "no contestant has that name");
    Ok(())
}

fn race(plan: &Plan, row: Row, size: Size, group: &[&Contestant]) -> Result<()> {
    let mut lines: Vec<Line> =
        group.iter().map(|one| Line { name: one.carrier.name(), outcomes: Vec::new() }).collect();
    for _ in 0..plan.rounds {
        for (one, line) in group.iter().zip(&mut lines) {
            let outcome = round(one, plan.threads)
                .with_context(|| format!("{} {}: {}", row.name(), size.name(), line.name))?;
            line.outcomes.push(outcome);
        }
    }
    report::print(row, size, &lines);
    Ok(())
}

fn round(contestant: &Contestant, threads: usize) -> Result<Outcome> {
    let server = Server::start(child::index_of(contestant), threads)?;
    let runtime = child::runtime(threads)?;
    let outcome = runtime.block_on(async {
        let running = rows::run(contestant, &server);
        tokio::time::timeout(LONGEST_ROUND, running).await.context("the client took too long")?
    })?;
    // Connections that the client left open end with its runtime.
    drop(runtime);
    if contestant.row == Row::Idle {
        // With ten thousand closes at once some are lost, which does not affect the result.
        return Ok(outcome);
    }
    server.end()?;
    Ok(outcome)
}
