//! The command line, and where results go.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    field::Contestant,
    limits::MAX_ROUNDS,
    report::{self, Table},
    work::Workload,
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask bench [--peer NAME]... [--workload NAME]... [--rounds N] [--json FILE]
                         [--write FILE]
peers: hikyaku hikyaku-bbr quinn quinn-bbr s2n-quic s2n-quic-bbr s2n-quic-jumbo tls enet kcp renet
       raw raw-gso; the name of a library means all its rows
workloads: bulk bulk-ethernet small small-many trips trips-multi connect ticks bulk-lossy";

/// What to measure.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) rounds: usize,
    json: Option<PathBuf>,
    /// A document whose tables are replaced.
    write: Option<PathBuf>,
}

impl Plan {
    /// Parses the options. Returns `None` if they are invalid.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let (mut contestants, mut workloads) = (Vec::new(), Vec::new());
        let (mut rounds, mut json, mut write) = (5, None, None);
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let value = words.next()?;
            match *option {
                "--peer" => {
                    let named = Contestant::parse(value);
                    if named.is_empty() {
                        return None;
                    }
                    contestants.extend(named);
                }
                "--workload" => workloads.push(Workload::parse(value)?),
                "--rounds" => rounds = value.parse().ok()?,
                "--json" => json = Some(PathBuf::from(value)),
                "--write" => write = Some(PathBuf::from(value)),
                _ => return None,
            }
        }
        if !(1..=MAX_ROUNDS).contains(&rounds) {
            return None;
        }
        let all = |named: Vec<Contestant>| match named.is_empty() {
            true => Contestant::ALL.to_vec(),
            // In the order of the tables, each once.
            false => Contestant::ALL.into_iter().filter(|one| named.contains(one)).collect(),
        };
        if workloads.is_empty() {
            workloads = Workload::ALL.to_vec();
        }
        Some(Self { contestants: all(contestants), workloads, rounds, json, write })
    }

    /// Writes the tables so far to the files that were asked for.
    pub(crate) fn keep(&self, tables: &[Table]) -> Result<()> {
        if let Some(path) = &self.json {
            fs::write(path, report::json(tables)?).with_context(|| path.display().to_string())?;
        }
        if let Some(path) = &self.write {
            let mut text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            for table in tables {
                text = report::replaced(&text, table)?;
            }
            fs::write(path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_means_all_its_rows() {
        let plan = Plan::parse(&["--peer", "quinn", "--peer", "raw-gso"]).unwrap();
        use Contestant::{Quinn, QuinnBbr, RawGso};
        assert_eq!(plan.contestants, [Quinn, QuinnBbr, RawGso]);
        assert_eq!(plan.workloads, Workload::ALL);
    }

    #[test]
    fn unknown_names_and_numbers_out_of_range_are_refused() {
        for bad in [
            &["--peer", "nobody"][..],
            &["--workload", "work"],
            &["--rounds", "0"],
            &["--rounds", "101"],
            &["--rounds"],
            &["bulk"],
        ] {
            assert!(Plan::parse(bad).is_none(), "{bad:?}");
        }
    }
}
