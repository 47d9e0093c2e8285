//! The tables of results.
//!
//! The tables have no means, which one bad round spoils.

use crate::{
    field::{Row, Size},
    rows::{BULK_LEN, Outcome},
};

/// A contestant's rounds.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) outcomes: Vec<Outcome>,
}

/// A figure of an outcome.
struct Figure {
    name: &'static str,
    decimals: usize,
    of: fn(&Outcome) -> f64,
}

const CLIENT: Figure = Figure {
    name: "client ns",
    decimals: 0,
    of: |one| one.cost.client.as_nanos() as f64 / one.done as f64,
};
const SERVER: Figure = Figure {
    name: "server ns",
    decimals: 0,
    of: |one| one.cost.server.as_nanos() as f64 / one.done as f64,
};
const P50: Figure =
    Figure { name: "p50 us", decimals: 1, of: |one| one.p50.as_nanos() as f64 / 1e3 };
const P99: Figure =
    Figure { name: "p99 us", decimals: 1, of: |one| one.p99.as_nanos() as f64 / 1e3 };
const MEMORY: Figure =
    Figure { name: "KiB each", decimals: 2, of: |one| one.memory / one.done as f64 };

/// Prints the results. The last contestant is compared with each other one, round by round: the
/// ratio is the median of the rounds' ratios.
pub(crate) fn print(row: Row, size: Size, lines: &[Line]) {
    let Some(ours) = lines.last() else { return };
    let (rate, others) = figures(row);
    print!("{:24}{:>36} {:>8}", title(row, size), rate.name, "ratio");
    for Figure { name, .. } in &others {
        print!("{name:>11}");
    }
    println!();
    for line in lines {
        let rates = sorted(line.outcomes.iter().map(rate.of));
        let [min, max] = [rates[0], rates[rates.len() - 1]];
        print!("  {:22}{min:12.0}{:12.0}{max:12.0}", line.name, middle(&rates));
        let pairs = ours.outcomes.iter().zip(&line.outcomes);
        let ratios = sorted(pairs.map(|(ours, theirs)| (rate.of)(ours) / (rate.of)(theirs)));
        print!(" {:8.2}", middle(&ratios));
        for Figure { decimals, of, .. } in &others {
            print!("{:11.*}", decimals, middle(&sorted(line.outcomes.iter().map(of))));
        }
        println!();
    }
    println!();
}

/// Explains the table.
pub(crate) fn explain(rounds: usize, threads: usize) {
    println!("{rounds} rounds, in turn: minimum, median and maximum rate; the ratio");
    println!(
        "of hikyaku's rate to that line's, median of the rounds; and medians of the time of a"
    );
    println!("processor per message, round trip or handshake in either process, in ns.");
    println!("{threads} thread(s) per side.\n");
}

fn title(row: Row, size: Size) -> String {
    format!("{}, {}", row.name(), size.name())
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn middle(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// Returns the rate of a row, and its other figures.
fn figures(row: Row) -> (Figure, Vec<Figure>) {
    let each = |one: &Outcome| one.done as f64 / one.cost.time.as_secs_f64();
    let rate = |name| Figure { name, decimals: 0, of: each };
    let bytes = |one: &Outcome| (one.done * BULK_LEN) as f64 / one.cost.time.as_secs_f64() / 1e6;
    match row {
        Row::Bulk => (Figure { name: "MB/s", decimals: 0, of: bytes }, vec![CLIENT, SERVER]),
        Row::Small => (rate("messages/s"), vec![CLIENT, SERVER]),
        Row::PingPong => (rate("round trips/s"), vec![P50, P99, CLIENT, SERVER]),
        Row::Idle => (rate("handshakes/s"), vec![MEMORY, CLIENT, SERVER]),
    }
}
