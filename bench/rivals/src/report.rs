//! The tables, in Markdown and JSON.
//!
//! Medians, as one bad round spoils a mean; ratios are taken within a round, as the machine was
//! then the same for both.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{field::Contestant, machine::Machine, outcome::Outcome, race::Line, work::Workload};

/// A measured workload.
pub(crate) struct Table {
    pub(crate) workload: Workload,
    pub(crate) lines: Vec<Line>,
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
}

/// A column: its title, decimals, and figure.
struct Column {
    title: &'static str,
    decimals: usize,
    of: fn(&Outcome) -> f64,
}

/// What a workload compares, and whether more is better.
struct Columns {
    main: Column,
    more_is_better: bool,
    others: Vec<Column>,
}

const GIB: f64 = (1 << 30) as f64;

fn columns(workload: Workload) -> Columns {
    let column = |title, decimals, of| Column { title, decimals, of };
    let nanos = |title, of: fn(&Outcome) -> f64| column(title, 0, of);
    let per_second: fn(&Outcome) -> f64 = |one| one.done as f64 / one.span.as_secs_f64();
    match workload {
        Workload::Bulk | Workload::BulkEthernet | Workload::BulkLossy => Columns {
            main: column("MB/s", 1, |one| one.bytes as f64 / one.span.as_secs_f64() / 1e6),
            more_is_better: true,
            others: vec![
                column("client CPU-s/GiB", 2, |one| per_gib(one, one.client.as_secs_f64())),
                column("server CPU-s/GiB", 2, |one| per_gib(one, one.server.as_secs_f64())),
            ],
        },
        Workload::Small | Workload::SmallMany => Columns {
            main: column("messages/s", 0, per_second),
            more_is_better: true,
            others: vec![
                nanos("client ns each", |one| one.client.as_nanos() as f64 / one.done as f64),
                nanos("server ns each", |one| one.server.as_nanos() as f64 / one.done as f64),
            ],
        },
        Workload::Trips | Workload::TripsMulti => Columns {
            main: column("p50 µs", 1, |one| micros(one.p50)),
            more_is_better: false,
            others: vec![
                column("p99 µs", 1, |one| micros(one.p99)),
                column("CPU-µs each, both", 1, |one| {
                    (one.client + one.server).as_secs_f64() * 1e6 / one.done as f64
                }),
            ],
        },
        Workload::Connect => Columns {
            main: column("handshakes/s", 0, per_second),
            more_is_better: true,
            others: vec![
                column("client CPU-ms each", 2, |one| millis_each(one, one.client.as_secs_f64())),
                column("server CPU-ms each", 2, |one| millis_each(one, one.server.as_secs_f64())),
                column("server KiB each, held", 1, |one| one.memory / one.done as f64),
            ],
        },
        Workload::Ticks => Columns {
            main: column("p99 ms", 1, |one| micros(one.p99) / 1e3),
            more_is_better: false,
            others: vec![
                column("p50 ms", 1, |one| micros(one.p50) / 1e3),
                column("lost %", 1, |one| {
                    (1.0 - one.arrived.unwrap_or(0) as f64 / one.done as f64) * 100.0
                }),
            ],
        },
    }
}

/// Returns the processor time of both ends per message, round trip or connection.
fn cost(one: &Outcome) -> f64 {
    (one.client + one.server).as_secs_f64() / one.done as f64
}

fn per_gib(one: &Outcome, seconds: f64) -> f64 {
    seconds / (one.bytes as f64 / GIB)
}

fn millis_each(one: &Outcome, seconds: f64) -> f64 {
    seconds * 1e3 / one.done as f64
}

fn micros(time: Option<std::time::Duration>) -> f64 {
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

impl Table {
    /// Returns the table with its machine and command.
    pub(crate) fn markdown(&self) -> String {
        let Columns { main, more_is_better, others } = columns(self.workload);
        let mut text = format!(
            "`cargo xtask bench --workload {} --rounds {}`: {}.\n\n",
            self.workload.name(),
            self.rounds,
            self.machine.sentence()
        );
        let compares_cost = self.compares_cost();
        let _ = write!(text, "| | {} (min–max) | hikyaku is better by (min–max) |", main.title);
        others.iter().for_each(|column| _ = write!(text, " {} |", column.title));
        text.push_str(if compares_cost { " hikyaku costs less by |" } else { "" });
        let width = others.len() + usize::from(compares_cost);
        let _ = writeln!(text, "\n|---|---|---|{}", "---|".repeat(width));
        for line in &self.lines {
            text.push_str(&self.row(line, &main, more_is_better, &others));
        }
        let _ = writeln!(text, "\n{}", self.verdict(&main, more_is_better));
        text
    }

    fn row(&self, line: &Line, main: &Column, more_is_better: bool, others: &[Column]) -> String {
        let (title, rounds) = (line.contestant.title(), line.outcomes.len());
        let figures = sorted(good(line).map(main.of));
        let failed = line.outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        if figures.is_empty() {
            let reason = failed.map_or("no round", String::as_str);
            return format!("| {title} | failed: {reason} |\n");
        }
        let mut text = match rounds - figures.len() {
            0 => format!("| {title} |"),
            count => format!("| {title} ({count} of {rounds} rounds failed) |"),
        };
        let ratios = times(line, &self.ratios(line, main.of, more_is_better));
        let _ = write!(text, " {} | {ratios} |", spread(&figures, main.decimals));
        for column in others {
            let figures = sorted(good(line).map(column.of));
            let _ = write!(text, " {} |", number(middle(&figures), column.decimals));
        }
        if self.compares_cost() {
            let _ = write!(text, " {} |", times(line, &self.ratios(line, cost, false)));
        }
        text + "\n"
    }

    /// Returns `true` unless the ends mostly wait.
    fn compares_cost(&self) -> bool {
        self.workload != Workload::Ticks
    }

    /// Returns how many times better hikyaku was, round by round.
    fn ratios(&self, line: &Line, of: fn(&Outcome) -> f64, more_is_better: bool) -> Vec<f64> {
        let Some(ours) = self.line(Contestant::Hikyaku) else { return Vec::new() };
        let rounds = ours.outcomes.iter().zip(&line.outcomes);
        sorted(rounds.filter_map(|rounds| {
            let (Ok(ours), Ok(theirs)) = rounds else { return None };
            let (ours, theirs) = (of(ours), of(theirs));
            Some(if more_is_better { ours / theirs } else { theirs / ours })
        }))
    }

    fn line(&self, contestant: Contestant) -> Option<&Line> {
        self.lines.iter().find(|line| line.contestant == contestant)
    }

    /// Reports which peers are better than hikyaku.
    fn verdict(&self, main: &Column, more_is_better: bool) -> String {
        let better: Vec<String> = self
            .lines
            .iter()
            .filter(|line| line.contestant.is_rival())
            .filter_map(|line| {
                let ratios = self.ratios(line, main.of, more_is_better);
                let ratio = (!ratios.is_empty()).then(|| middle(&ratios))?;
                let name = line.contestant.title().trim_end_matches([' ', '¹']);
                (ratio < 0.995).then(|| format!("{name} ({:.2} times as good)", 1.0 / ratio))
            })
            .collect();
        match better.is_empty() {
            true => "No peer is better than hikyaku here.".to_owned(),
            false => format!("Better than hikyaku here: {}.", better.join(", ")),
        }
    }
}

fn times(line: &Line, ratios: &[f64]) -> String {
    match line.contestant == Contestant::Hikyaku || ratios.is_empty() {
        true => "–".to_owned(),
        false => format!("{} ×", spread(ratios, 2)),
    }
}

fn good(line: &Line) -> impl Iterator<Item = &Outcome> {
    line.outcomes.iter().filter_map(|outcome| outcome.as_ref().ok())
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Returns the median, or not a number.
fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn spread(sorted: &[f64], decimals: usize) -> String {
    let text = |value| number(value, decimals);
    match sorted {
        [] => "–".to_owned(),
        [one] => text(*one),
        [min, .., max] => format!("{} ({}–{})", text(middle(sorted)), text(*min), text(*max)),
    }
}

/// Formats a number, with commas in its whole part.
fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// Returns all rounds of all tables as JSON.
pub(crate) fn json(tables: &[Table]) -> Result<String> {
    let workloads: Vec<serde_json::Value> = tables
        .iter()
        .map(|table| {
            let peers: Vec<serde_json::Value> = table
                .lines
                .iter()
                .map(|line| {
                    let rounds: Vec<serde_json::Value> = line
                        .outcomes
                        .iter()
                        .map(|outcome| match outcome {
                            Ok(outcome) => json!(outcome),
                            Err(error) => json!({ "error": error }),
                        })
                        .collect();
                    json!({ "peer": line.contestant.name(), "rounds": rounds })
                })
                .collect();
            let machine = &table.machine;
            json!({ "workload": table.workload.name(), "machine": machine, "peers": peers })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&workloads)? + "\n")
}

/// Returns the document with this table in its place, between `<!-- bench NAME -->` and the next
/// `<!-- end -->`.
pub(crate) fn replaced(text: &str, table: &Table) -> Result<String> {
    let name = table.workload.name();
    between(text, &format!("<!-- bench {name} -->\n"), "<!-- end -->", &table.markdown())
        .with_context(|| format!("the document has no place for {name}"))
}

fn between(text: &str, begin: &str, end: &str, new: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{new}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(number(1_234_567.4, 0), "1,234,567");
        assert_eq!(number(123.456, 2), "123.46");
        assert_eq!(number(-1_000.0, 1), "-1,000.0");
        assert_eq!(number(f64::NAN, 0), "–");
    }

    #[test]
    fn a_spread_is_the_median_with_its_extremes() {
        assert_eq!(spread(&[1.0, 2.0, 9.0], 1), "2.0 (1.0–9.0)");
        assert_eq!(spread(&[1.0], 0), "1");
        assert_eq!(spread(&[], 0), "–");
    }

    #[test]
    fn only_what_lies_between_the_marks_is_replaced() {
        let text = "a\n<!-- bench x -->\nold\n<!-- end -->\nb\n<!-- bench y -->\nz\n<!-- end -->\n";
        let new = between(text, "<!-- bench x -->\n", "<!-- end -->", "new\n").unwrap();
        assert_eq!(new, text.replace("old", "new"));
        assert_eq!(between(text, "<!-- bench w -->\n", "<!-- end -->", ""), None);
    }
}
