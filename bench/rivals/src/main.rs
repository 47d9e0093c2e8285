//! hikyaku beside other libraries, in one run: the same workloads, the same link, the same machine.
//!
//! `cargo xtask bench` builds and runs this.

mod field;
mod framing;
mod limits;
mod machine;
mod outcome;
mod payload;
mod peer;
mod peers;
mod plan;
mod race;
mod relay;
mod report;
mod side;
mod work;

#[expect(dead_code, reason = "the other benchmarks use the rest of it")]
#[path = "../../src/cost.rs"]
mod cost;

use anyhow::{Context as _, Result, bail};

use crate::{field::Contestant, machine::Machine, plan::Plan, work::Workload};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["run", ref options @ ..] => run(&Plan::parse(options).context(plan::USAGE)?),
        ["serve", contestant, workload] => {
            let (contestant, workload) = parse(contestant, workload)?;
            side::serve(contestant, workload)
        }
        ["call", contestant, workload, address, identity] => {
            let (contestant, workload) = parse(contestant, workload)?;
            side::call(contestant, workload, address.parse()?, identity)
        }
        _ => bail!(plan::USAGE),
    }
}

fn parse(contestant: &str, workload: &str) -> Result<(Contestant, Workload)> {
    let contestant = Contestant::ALL.into_iter().find(|one| one.name() == contestant);
    Ok((
        contestant.context("no such peer")?,
        Workload::parse(workload).context("no such workload")?,
    ))
}

fn run(plan: &Plan) -> Result<()> {
    let mut tables = Vec::new();
    for &workload in &plan.workloads {
        let takes_part = |one: &&Contestant| one.is_built() && one.takes_part(workload);
        let contestants: Vec<Contestant> =
            plan.contestants.iter().filter(takes_part).copied().collect();
        if contestants.is_empty() {
            continue;
        }
        let before = Machine::look()?;
        let lines = race::race(workload, &contestants, plan.rounds);
        let machine = before.until(&Machine::look()?);
        let table = report::Table { workload, lines, machine, rounds: plan.rounds };
        print!("{}", table.markdown());
        tables.push(table);
        // What is measured is kept, even if a later workload is interrupted.
        plan.keep(&tables)?;
    }
    anyhow::ensure!(!tables.is_empty(), "no peer takes part in these workloads");
    Ok(())
}
