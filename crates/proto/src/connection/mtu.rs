//! How large a datagram may be: path-MTU discovery after RFC 8899, black holes noticed.
//!
//! In: probes acknowledged and lost, packets lost. Out: the size to use, the size to probe.
//! Never: builds a packet.

use std::time::Duration;

use crate::{limits::BASE_MTU, time::Time};

/// Sizes worth trying first, in bytes of UDP payload (P-4): tunnels, Ethernet over IPv6 and IPv4,
/// jumbo frames, loopback.
const LADDER: [usize; 9] = [1_280, 1_400, 1_452, 1_472, 4_056, 8_952, 16_384, 32_768, 65_507];

/// Lost probes of one size that end it (RFC 8899 section 5.1.2, MAX_PROBES).
const MAX_PROBES: u8 = 3;

/// The search ends when what passed and what did not are this close, in bytes.
const CLOSE_ENOUGH: usize = 16;

/// A path may grow: look again after this (RFC 8899 section 5.1.1, PMTU_RAISE_TIMER).
const SEARCH_AGAIN: Duration = Duration::from_secs(600);

/// After a black hole the path is suspect for this long.
const AFTER_BLACK_HOLE: Duration = Duration::from_secs(60);

/// Rounds in which only large packets were lost that make a black hole (P-5).
const BLACK_HOLE_ROUNDS: u8 = 4;

/// The search for the largest datagram a path carries.
#[derive(Clone, Debug)]
pub(super) struct MtuSearch {
    /// The largest size that has passed.
    passed: usize,
    /// The smallest size known not to pass, or one more than the largest allowed.
    blocked: usize,
    limit: usize,
    in_flight: Option<usize>,
    lost_probes: u8,
    /// When to search (again); nothing while a search is on.
    resume_at: Option<Time>,
    bad_rounds: u8,
    /// Losses at or before this time belong to a round already counted.
    round_began: Time,
}

impl MtuSearch {
    /// A search up to `limit` bytes, which is at least [`BASE_MTU`].
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.max(BASE_MTU);
        Self {
            passed: BASE_MTU,
            blocked: limit + 1,
            limit,
            in_flight: None,
            lost_probes: 0,
            resume_at: None,
            bad_rounds: 0,
            round_began: Time::ZERO,
        }
    }

    /// The size to use now, in bytes of UDP payload.
    pub(super) const fn current(&self) -> usize {
        self.passed
    }

    /// The peer accepts no more than this.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.clamp(BASE_MTU, self.limit);
        self.passed = self.passed.min(self.limit);
        self.blocked = self.blocked.min(self.limit + 1);
    }

    /// The size to probe with now, if any. The caller sends it and tells what became of it.
    pub(super) fn poll_probe(&mut self, now: Time) -> Option<usize> {
        if self.in_flight.is_some() {
            return None;
        }
        match self.resume_at {
            Some(at) if now < at => return None,
            Some(_) => {
                self.resume_at = None;
                self.blocked = self.limit + 1;
            }
            None => {}
        }
        let size = self.next_size();
        if size.is_none() {
            self.resume_at = Some(now + SEARCH_AGAIN);
        }
        size
    }

    fn next_size(&self) -> Option<usize> {
        // The largest allowed comes first where the ladder has run out below it.
        if let Some(step) = LADDER.into_iter().find(|step| *step > self.passed)
            && step < self.blocked
        {
            return Some(step);
        }
        let middle = self.passed + (self.blocked - self.passed) / 2;
        (self.blocked - self.passed > CLOSE_ENOUGH).then_some(middle)
    }

    /// A probe of `size` bytes has left.
    pub(super) fn on_probe_sent(&mut self, size: usize) {
        self.in_flight = Some(size);
    }

    /// The probe of `size` bytes has arrived.
    pub(super) fn on_probe_acked(&mut self, size: usize) {
        if self.in_flight == Some(size) {
            self.in_flight = None;
        }
        self.lost_probes = 0;
        if size < self.blocked {
            self.passed = self.passed.max(size);
        }
    }

    /// The probe of `size` bytes was lost.
    pub(super) fn on_probe_lost(&mut self, size: usize) {
        if self.in_flight != Some(size) {
            return;
        }
        self.in_flight = None;
        self.lost_probes += 1;
        if self.lost_probes == MAX_PROBES {
            self.lost_probes = 0;
            self.blocked = self.blocked.min(size);
        }
    }

    /// A packet of `size` bytes arrived: large ones pass.
    pub(super) const fn on_acked(&mut self, size: usize) {
        if size > BASE_MTU {
            self.bad_rounds = 0;
        }
    }

    /// A packet above [`BASE_MTU`], sent at `sent_at`, was lost. True when that makes a black
    /// hole: the size is down to the base, and what is in flight should not count any more.
    pub(super) fn on_large_lost(&mut self, now: Time, sent_at: Time) -> bool {
        if self.passed == BASE_MTU || sent_at <= self.round_began {
            return false;
        }
        self.round_began = now;
        self.bad_rounds += 1;
        if self.bad_rounds < BLACK_HOLE_ROUNDS {
            return false;
        }
        self.bad_rounds = 0;
        self.passed = BASE_MTU;
        self.in_flight = None;
        self.lost_probes = 0;
        self.resume_at = Some(now + AFTER_BLACK_HOLE);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a path that carries `path` bytes; returns what it settles on, and the probes.
    fn settle(limit: usize, path: usize) -> (usize, u32) {
        let mut search = MtuSearch::new(limit);
        let mut probes = 0;
        while let Some(size) = search.poll_probe(Time::ZERO) {
            assert!(size > search.current() && size <= limit, "{size}");
            search.on_probe_sent(size);
            probes += 1;
            if size <= path { search.on_probe_acked(size) } else { search.on_probe_lost(size) }
        }
        (search.current(), probes)
    }

    // P-4
    #[test]
    fn the_search_settles_just_below_what_the_path_carries() {
        for path in [1_200, 1_280, 1_372, 1_472, 8_972, 9_000, 30_000, 65_507] {
            let (found, probes) = settle(65_507, path);
            assert!(found <= path && path - found <= CLOSE_ENOUGH, "{found} of {path}");
            assert!(probes <= 50, "{probes} probes for {path}");
        }
    }

    // P-4
    #[test]
    fn common_sizes_are_found_exactly_and_the_limit_is_kept() {
        assert_eq!(settle(1_472, 65_507).0, 1_472);
        assert_eq!(settle(1_472, 1_452).0, 1_452);
        assert_eq!(settle(500, 65_507), (BASE_MTU, 0), "never below the base");
    }

    // P-4
    #[test]
    fn a_lost_probe_alone_ends_nothing() {
        let mut search = MtuSearch::new(1_472);
        for _ in 0..2 {
            let size = search.poll_probe(Time::ZERO).unwrap();
            search.on_probe_sent(size);
            search.on_probe_lost(size);
        }
        assert_eq!(search.poll_probe(Time::ZERO), Some(1_280));
    }

    #[test]
    fn the_search_begins_again_later() {
        let mut search = MtuSearch::new(1_210);
        assert_eq!(search.poll_probe(Time::ZERO), None);
        let later = Time::ZERO + SEARCH_AGAIN;
        assert_eq!(search.poll_probe(Time::from_micros(later.as_micros() - 1)), None);
        assert_eq!(search.poll_probe(later), None, "still nothing to find");
    }

    // P-5
    #[test]
    fn a_black_hole_sends_the_size_back_to_the_base() {
        let mut search = MtuSearch::new(1_472);
        search.on_probe_sent(1_472);
        search.on_probe_acked(1_472);
        let at = |round| Time::from_micros(round * 1_000);
        for round in 1..4 {
            assert!(!search.on_large_lost(at(round), Time::from_micros(round * 1_000 - 1)));
        }
        assert!(search.on_large_lost(at(4), Time::from_micros(3_999)));
        assert_eq!(search.current(), BASE_MTU);
        assert_eq!(search.poll_probe(at(5)), None, "not at once");
    }

    // P-5
    #[test]
    fn losses_of_one_round_count_once_and_an_arrival_clears_them() {
        let mut search = MtuSearch::new(1_472);
        search.on_probe_sent(1_472);
        search.on_probe_acked(1_472);
        for _ in 0..10 {
            assert!(!search.on_large_lost(Time::from_micros(100), Time::from_micros(50)));
        }
        for round in 1..20_u64 {
            let now = Time::from_micros(round * 1_000);
            assert!(!search.on_large_lost(now, Time::from_micros(round * 1_000 - 1)));
            search.on_acked(1_472);
        }
        assert_eq!(search.current(), 1_472);
    }
}
