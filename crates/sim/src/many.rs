//! Runs many seeds, on all cores.

use std::{
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::swarm::{self, Run};

/// The results of many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    /// Seeds run.
    pub seeds: u64,
    /// Datagrams sent.
    pub packets: u64,
    /// Messages delivered.
    pub messages: u64,
    /// Violations by seed, lowest seeds first.
    pub failures: Vec<(u64, String)>,
}

/// The number of failures after which no more seeds are started.
pub const MAX_FAILURES: usize = 10;

/// Runs all seeds of a range in `threads` threads, or up to the [`MAX_FAILURES`]th failure.
#[must_use]
pub fn many(seeds: Range<u64>, threads: usize) -> Summary {
    run(seeds, threads, MAX_FAILURES)
}

/// Runs seeds up to the first failure, which is the lowest one regardless of the threads.
#[must_use]
pub fn up_to_first(seeds: Range<u64>, threads: usize) -> Summary {
    let mut summary = run(seeds, threads, 1);
    summary.failures.truncate(1);
    summary
}

fn run(seeds: Range<u64>, threads: usize, most: usize) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || !add(&summary, swarm::run(seed, false), most) {
                        return;
                    }
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    summary.failures.sort();
    summary
}

/// Adds a run. Returns `false` once there are enough failures.
fn add(summary: &Mutex<Summary>, run: Run, most: usize) -> bool {
    let mut summary = summary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    summary.seeds += 1;
    summary.packets += run.packets;
    summary.messages += run.messages;
    if let Err(violation) = run.result {
        summary.failures.push((run.seed, violation));
    }
    summary.failures.len() < most
}
