//! Statistics of a running server, for monitoring.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::room::Stats;

/// The upper bounds of the buckets in which durations of commits are counted, in milliseconds; the
/// last bucket has no bound.
pub const COMMIT_BUCKETS: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

/// The statistics of a server, readable while it runs. They are not a consistent snapshot.
#[derive(Debug, Default)]
pub struct Meters {
    gauges: [AtomicU64; Gauge::ALL.len()],
    counters: [AtomicU64; Counter::ALL.len()],
    commits: [AtomicU64; COMMIT_BUCKETS.len() + 1],
    commit_micros: AtomicU64,
    summary: watch::Sender<Summary>,
}

/// What a stranger may know about a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The topic of `#general`; empty if it has none.
    pub title: Arc<str>,
    /// Members, including the host.
    pub members: usize,
}

/// A value that rises and falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gauge {
    /// Members, including the host.
    Members,
    /// Native connections of members.
    Devices,
    /// Rooms.
    Rooms,
    /// The newest number of the log.
    Head,
    /// Bytes of lines in memory for native members.
    WindowBytes,
}

/// A value that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counter {
    /// Newcomers admitted.
    Joined,
    /// Lines said or whispered and passed on.
    Relayed,
    /// Events stored by the history.
    Stored,
    /// Events that the history already had.
    Repeated,
    /// Events that the history could not store.
    NotStored,
    /// Lines handed to native connections.
    Deliveries,
    /// Requests and datagrams that were rejected: too fast, too long, too many.
    Dropped,
    /// Lines that could not be sent.
    Unsent,
}

impl Gauge {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Members, Self::Devices, Self::Rooms, Self::Head, Self::WindowBytes];
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Joined,
        Self::Relayed,
        Self::Stored,
        Self::Repeated,
        Self::NotStored,
        Self::Deliveries,
        Self::Dropped,
        Self::Unsent,
    ];
}

/// How long commits took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// How many took no longer than each of [`COMMIT_BUCKETS`] and longer than the previous one;
    /// the last bucket counts those that took longer than all.
    pub buckets: [u64; COMMIT_BUCKETS.len() + 1],
    /// The total time.
    pub time: Duration,
}

impl Meters {
    /// Returns a figure.
    #[must_use]
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        self.gauges[gauge as usize].load(Ordering::Relaxed)
    }

    /// Returns a figure.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    /// Returns how long commits took.
    #[must_use]
    pub fn commits(&self) -> Commits {
        Commits {
            buckets: self.commits.each_ref().map(|bucket| bucket.load(Ordering::Relaxed)),
            time: Duration::from_micros(self.commit_micros.load(Ordering::Relaxed)),
        }
    }

    /// Returns a receiver of the chat's title and number of members, notified at each change.
    #[must_use]
    pub fn summaries(&self) -> watch::Receiver<Summary> {
        self.summary.subscribe()
    }

    pub(super) fn summarise(&self, title: &str, members: usize) {
        self.summary.send_if_modified(|summary| {
            let is_new = &*summary.title != title || summary.members != members;
            if is_new {
                *summary = Summary { title: title.into(), members };
            }
            is_new
        });
    }

    pub(super) fn set(&self, gauge: Gauge, value: usize) {
        self.gauges[gauge as usize].store(value as u64, Ordering::Relaxed);
    }

    pub(super) fn add(&self, counter: Counter, count: usize) {
        self.counters[counter as usize].fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Sets the figures that a chat counts itself.
    pub(super) fn set_stats(&self, stats: &Stats, unsent: u64) {
        self.set(Gauge::Members, stats.members);
        let dropped = stats.dropped_too_fast
            + stats.dropped_too_long
            + stats.dropped_full
            + stats.dropped_crowd
            + stats.dropped_same_ip
            + stats.dropped_busy
            + stats.dropped_banned;
        let counted = [
            (Counter::Joined, stats.joined),
            (Counter::Relayed, stats.relayed),
            (Counter::Dropped, dropped),
            (Counter::Unsent, unsent),
        ];
        for (counter, value) in counted {
            self.counters[counter as usize].store(value, Ordering::Relaxed);
        }
    }

    /// Counts a commit.
    pub(super) fn commit(&self, took: Duration) {
        let fits = |bound: &u64| took <= Duration::from_millis(*bound);
        let bucket = COMMIT_BUCKETS.iter().position(fits).unwrap_or(COMMIT_BUCKETS.len());
        self.commits[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_counted_in_the_bucket_that_it_fits_in() {
        let meters = Meters::default();
        for millis in [0, 1, 3, 1_000, 5_000] {
            meters.commit(Duration::from_millis(millis));
        }
        let commits = meters.commits();
        assert_eq!(commits.buckets, [2, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(commits.time, Duration::from_millis(6_004));
    }

    #[test]
    fn a_summary_is_sent_when_it_changes_and_not_before() {
        let meters = Meters::default();
        let mut summaries = meters.summaries();
        for (title, members, changes) in
            [("", 0, false), ("", 1, true), ("tea", 1, true), ("tea", 1, false)]
        {
            meters.summarise(title, members);
            assert_eq!(summaries.has_changed().ok(), Some(changes), "{title} {members}");
            let Summary { title: sent, members: count } = summaries.borrow_and_update().clone();
            assert_eq!((&*sent, count), (title, members));
        }
    }

    #[test]
    fn every_statistic_has_its_own_slot() {
        for (place, gauge) in Gauge::ALL.into_iter().enumerate() {
            assert_eq!(gauge as usize, place);
        }
        for (place, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, place);
        }
    }
}
