//! A host that is killed at any moment loses nothing that it has reported as stored.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

mod common;

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use common::{all, id, numbers, open, said, seq};
use hikyaku_chat::{event::Seq, log::Committed, machine, store::Store as _};

/// The variable that names the file for the process to be killed.
const FILE: &str = "HIKYAKU_HISTORY_OF_A_TEST";

/// Messages of one transaction.
const BATCH: u64 = 5;

/// How often the process is killed.
const KILLS: u64 = 12;

/// Stores messages, each with its own id, and prints `NUMBER ID` for each stored one, until it is
/// killed. It starts after the last id that it finds, and repeats the previous one.
#[test]
#[ignore = "runs as a process of the other test"]
fn stores_until_it_is_killed() {
    let Some(path) = env::var_os(FILE) else { return };
    let mut history = open(Path::new(&path));
    let stored = all(&history);
    let last = stored.last().and_then(|last| machine::read_event(&last.line)?.0.id);
    let mut next = (0..=stored.len() as u64).find(|n| Some(id(*n)) == last).unwrap_or(0);
    let mut out = std::io::stdout().lock();
    for _ in 0..100_000 {
        let events = (next..next + BATCH).map(|n| said(1, n, "once")).collect();
        for committed in history.commit(events) {
            let number = match &committed {
                Committed::Repeated { seq, .. } => seq.0,
                other => seq(other),
            };
            writeln!(out, "stored {number}").unwrap();
        }
        out.flush().unwrap();
        next += BATCH - 1;
    }
}

/// Lets a process store until it has reported this many messages, kills it, and returns the last
/// number that it reported.
fn run_and_kill(path: &Path, reports: u64) -> Seq {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "stores_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = Seq::START;
    let mut numbers = lines
        .by_ref()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("stored ")?.parse().ok());
    for number in numbers.by_ref().take(reports as usize) {
        last = Seq(number);
    }
    child.kill().unwrap();
    // Output before the kill counts, too.
    last = numbers.last().map_or(last, Seq);
    child.wait().unwrap();
    last
}

#[test]
fn events_reported_as_stored_exist_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    for kill in 1..=KILLS {
        let last = run_and_kill(&path, kill * 7);
        assert!(last >= Seq(kill), "{last:?}");
        let history = open(&path);
        let events = all(&history);
        let expected: Vec<_> = (1..=events.len() as u64).collect();
        assert_eq!(numbers(&events), expected);
        assert!(events.len() as u64 >= last.0, "{} of {last:?}", events.len());
        for (n, event) in (0..).zip(&events) {
            assert_eq!(machine::read_event(&event.line).unwrap().0.id, Some(id(n)), "{n}");
        }
    }
}
