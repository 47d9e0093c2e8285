//! Runs seeds: `hikyaku-sim --seeds N [--from S]`; up to the first failure with `--first N`; one
//! with its trace with `--seed S`. Writes the golden table with `--golden`, the grid with `--grid`.

#![expect(clippy::print_stdout, reason = "a command for people prints")]
#![expect(clippy::print_stderr, reason = "a command for people prints")]

use std::{ops::Range, process::ExitCode, thread};

use hikyaku_sim::{Summary, many, swarm, up_to_first};

const USAGE: &str = "\
usage: hikyaku-sim --seeds N [--from S]   runs N seeds, from S (0) on
       hikyaku-sim --first N              runs N seeds, up to the first broken promise
       hikyaku-sim --seed S               runs one seed and prints what happened
       hikyaku-sim --golden               writes golden.txt anew
       hikyaku-sim --grid                 writes grid.txt anew (minutes)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--seed", seed] => seed.parse().map_or_else(|_| usage(), replay),
        ["--golden"] => write("golden.txt", hikyaku_sim::golden::table()),
        ["--grid"] => write("grid.txt", hikyaku_sim::bottleneck::grid::table(false)),
        ["--seeds", count] => count.parse().map_or_else(|_| usage(), |count| run(0, count, many)),
        ["--first", count] => {
            count.parse().map_or_else(|_| usage(), |count| run(0, count, up_to_first))
        }
        ["--seeds", count, "--from", from] => match (count.parse(), from.parse()) {
            (Ok(count), Ok(from)) => run(from, count, many),
            _ => usage(),
        },
        _ => usage(),
    }
}

fn write(name: &str, table: Result<String, String>) -> ExitCode {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let written =
        table.and_then(|table| std::fs::write(path, table).map_err(|error| error.to_string()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("sim: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn replay(seed: u64) -> ExitCode {
    let run = swarm::run(seed, true);
    for line in &run.trace {
        println!("{line}");
    }
    println!(
        "seed {seed}: {} packets, {} messages, {:?} of virtual time",
        run.packets, run.messages, run.virtual_time
    );
    match run.result {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            eprintln!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn run(from: u64, count: u64, how: fn(Range<u64>, usize) -> Summary) -> ExitCode {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    #[expect(clippy::disallowed_methods, reason = "the duration is for people")]
    let start = std::time::Instant::now();
    let summary = how(from..from.saturating_add(count), threads);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "sim: {} seeds, {} packets, {} messages in {seconds:.1} s",
        summary.seeds, summary.packets, summary.messages
    );
    for (seed, violation) in &summary.failures {
        eprintln!("sim: seed {seed}: {violation}");
        eprintln!("     cargo xtask sim --seed {seed}");
    }
    if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
