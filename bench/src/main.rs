//! `hikyaku-bench memory [ROW]`: what the protocol's own work costs beside its cipher's.
//! `hikyaku-bench profile ROW`: the same for a profiler, without the cipher alone.
//!
//! In: which benchmark. Out: a table. Never: a figure without its peer from the same run.

#![expect(clippy::print_stdout, reason = "the figures are for people")]

mod memory;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["memory"] => memory::run(""),
        ["memory", row] => memory::run(row),
        ["profile", row] => memory::profile(row),
        _ => bail!("usage: hikyaku-bench memory|profile [part of a row's name]"),
    }
}
