//! Benchmarks: the protocol against its cipher alone, and hikyaku against quinn over real sockets.

#![expect(clippy::print_stdout, reason = "the figures are for people")]

mod child;
mod cost;
mod dice;
mod evil;
mod field;
mod flood;
mod hikyaku_peer;
mod load;
mod memory;
mod payload;
mod quinn_peer;
mod race;
mod report;
mod rows;

use std::time::Duration;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: hikyaku-bench memory|profile [part of a row's name]
       hikyaku-bench quinn [--rounds N] [--threads N] [bulk|small|pingpong|idle] [part of a name]
       hikyaku-bench flood [--rate N]... [part of a row's name]
       hikyaku-bench evil [--seconds N] [--at-once N] [part of a stream's name]
       hikyaku-bench load MEMBERS MESSAGES-PER-SECOND SECONDS PAGES [--history]";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["memory"] => memory::run(""),
        ["memory", row] => memory::run(row),
        ["profile", row] => memory::profile(row),
        ["flood", ref rest @ ..] => flood::run(&flood_plan(rest)?),
        ["evil", ref rest @ ..] => evil::run(&evil_plan(rest)?),
        ["load", members, rate, seconds, pages, ref rest @ ..] => load::run(&load::Plan {
            members: members.parse()?,
            rate: rate.parse()?,
            span: Duration::from_secs(seconds.parse()?),
            pages: pages.parse()?,
            history: rest == ["--history"],
        }),
        [load::host::HOST, members, ref history @ ..] => {
            load::host::serve(members.parse()?, history.first().copied())
        }
        ["quinn", ref rest @ ..] => race::run(&plan(rest)?),
        [child::SERVE, index, threads] => {
            let contestant = field::FIELD
                .get(index.parse::<usize>()?)
                .context("no contestant with this index")?;
            rows::serve(contestant, threads.parse()?)
        }
        _ => bail!(USAGE),
    }
}

fn plan(mut rest: &[&str]) -> Result<race::Plan> {
    let mut plan = race::Plan { rounds: 5, threads: 1, row: None, name: String::new() };
    loop {
        match rest {
            ["--rounds", n, later @ ..] => {
                plan.rounds = n.parse().context("--rounds takes a number")?;
                rest = later;
            }
            ["--threads", n, later @ ..] => {
                plan.threads = n.parse().context("--threads takes a number")?;
                rest = later;
            }
            [row, later @ ..] if plan.row.is_none() => {
                plan.row = Some(field::Row::parse(row).context(USAGE)?);
                rest = later;
            }
            [name] => {
                plan.name = (*name).to_owned();
                rest = &[];
            }
            [] => break,
            _ => bail!(USAGE),
        }
    }
    anyhow::ensure!((1..=1_000).contains(&plan.rounds), "1 to 1,000 rounds");
    anyhow::ensure!((1..=64).contains(&plan.threads), "1 to 64 threads");
    Ok(plan)
}

fn evil_plan(mut rest: &[&str]) -> Result<evil::Plan> {
    let mut plan = evil::Plan { span: Duration::from_secs(60), at_once: 1, name: String::new() };
    loop {
        match rest {
            ["--seconds", n, later @ ..] => {
                plan.span = Duration::from_secs(n.parse().context("--seconds takes a number")?);
                rest = later;
            }
            ["--at-once", n, later @ ..] => {
                plan.at_once = n.parse().context("--at-once takes a number")?;
                rest = later;
            }
            [name] => {
                plan.name = (*name).to_owned();
                rest = &[];
            }
            [] => break,
            _ => bail!(USAGE),
        }
    }
    anyhow::ensure!(plan.span <= evil::LONGEST, "{:?} at most", evil::LONGEST);
    anyhow::ensure!((1..=16).contains(&plan.at_once), "1 to 16 at once");
    Ok(plan)
}

fn flood_plan(mut rest: &[&str]) -> Result<flood::Plan> {
    let mut plan = flood::Plan { rates: Vec::new(), name: String::new() };
    while let ["--rate", rate, later @ ..] = rest {
        plan.rates.push(rate.parse().context("--rate takes a number")?);
        rest = later;
    }
    if plan.rates.is_empty() {
        plan.rates = vec![10_000, 100_000];
    }
    anyhow::ensure!(plan.rates.iter().all(|rate| *rate <= 1_000_000), "1,000,000 a second at most");
    match rest {
        [] => {}
        [name] => plan.name = (*name).to_owned(),
        _ => bail!(USAGE),
    }
    Ok(plan)
}
