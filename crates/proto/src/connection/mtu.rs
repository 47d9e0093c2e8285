//! Path MTU discovery (RFC 8899) and black hole detection.

use std::{net::IpAddr, time::Duration};

use crate::{limits::BASE_MTU, time::Time};

/// Sizes to try first, in bytes of UDP payload (P-4): Ethernet, jumbo frames, and the maximum,
/// which passes on loopback; each less the headers of IPv4 (20) and UDP (8). The maximum is bounded
/// by IPv4's length field.
const COMMON_V4: [usize; 3] = [1_472, 8_972, 65_507];

/// The same less the headers of IPv6 (40) and UDP (8). The maximum is bounded by the 65,536 bytes
/// that Linux's loopback carries; no link carries more.
const COMMON_V6: [usize; 3] = [1_452, 8_952, 65_488];

/// The number of lost probes of one size that end its search (RFC 8899 section 5.1.2, MAX_PROBES).
const MAX_PROBES: u8 = 3;

/// The search ends when the bounds are this close, in bytes, ...
const CLOSE_ENOUGH: usize = 16;

/// ... or this fraction of the lower bound: a slightly larger size is not worth more lost probes.
const CLOSE_ENOUGH_PART: usize = 64;

/// The time after which to search again, since a path may change (RFC 8899 section 5.1.1,
/// PMTU_RAISE_TIMER).
const SEARCH_AGAIN: Duration = Duration::from_secs(600);

/// The time without a search after a black hole.
const AFTER_BLACK_HOLE: Duration = Duration::from_secs(60);

/// The number of rounds with losses of large packets only that make a black hole (P-5).
const BLACK_HOLE_ROUNDS: u8 = 4;

/// The search for the largest datagram that a path carries.
#[derive(Clone, Debug)]
pub(super) struct MtuSearch {
    /// The largest size known to pass.
    passed: usize,
    /// The smallest size known not to pass, or one more than the largest allowed.
    blocked: usize,
    limit: usize,
    common: &'static [usize; 3],
    in_flight: Option<usize>,
    lost_probes: u8,
    /// When to search again; `None` during a search.
    resume_at: Option<Time>,
    bad_rounds: u8,
    /// Losses of packets sent at or before this time belong to a round already counted.
    round_began: Time,
}

impl MtuSearch {
    /// Creates a search on the path to `remote`, up to `limit` bytes, which is at least
    /// [`BASE_MTU`]. The maximum depends on the IP version; a mapped address counts as IPv4.
    pub(super) fn new(limit: usize, remote: IpAddr) -> Self {
        let common = if remote.to_canonical().is_ipv4() { &COMMON_V4 } else { &COMMON_V6 };
        let [.., most] = *common;
        let limit = limit.clamp(BASE_MTU, most);
        Self {
            passed: BASE_MTU,
            blocked: limit + 1,
            limit,
            common,
            in_flight: None,
            lost_probes: 0,
            resume_at: None,
            bad_rounds: 0,
            round_began: Time::ZERO,
        }
    }

    /// Returns the size to use now, in bytes of UDP payload.
    pub(super) const fn current(&self) -> usize {
        self.passed
    }

    /// Sets the largest size that the peer accepts.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.clamp(BASE_MTU, self.limit);
        self.passed = self.passed.min(self.limit);
        self.blocked = self.blocked.min(self.limit + 1);
    }

    /// Returns the size to probe now, if any. The caller sends the probe and reports its outcome.
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

    /// Returns the next common size or the limit. If that does not pass, tries the smallest
    /// worthwhile increase; if that passes, bisects.
    fn next_size(&self) -> Option<usize> {
        let gap = self.blocked - self.passed;
        let worth = CLOSE_ENOUGH.max(self.passed / CLOSE_ENOUGH_PART);
        if gap <= worth {
            return None;
        }
        let common = self.common.iter().find(|size| **size > self.passed);
        let target = common.map_or(self.limit, |size| self.limit.min(*size));
        if target < self.blocked {
            return Some(target);
        }
        let settled = self.passed == BASE_MTU || self.common.contains(&self.passed);
        Some(self.passed + if settled { worth } else { gap / 2 })
    }

    /// Returns the size of the probe in flight, or 0.
    pub(super) fn probing(&self) -> usize {
        self.in_flight.unwrap_or(0)
    }

    /// Forgets the probe in flight, whose outcome will not be reported.
    pub(super) const fn forget_probe(&mut self) {
        self.in_flight = None;
    }

    /// Records that a probe of `size` bytes was sent.
    pub(super) fn on_probe_sent(&mut self, size: usize) {
        self.in_flight = Some(size);
    }

    /// Records that the probe of `size` bytes was acknowledged.
    pub(super) fn on_probe_acked(&mut self, size: usize) {
        if self.in_flight == Some(size) {
            self.in_flight = None;
        }
        self.lost_probes = 0;
        if size < self.blocked {
            self.passed = self.passed.max(size);
        }
    }

    /// Records that the probe of `size` bytes was lost.
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

    /// Records that a packet of `size` bytes was acknowledged: large packets pass.
    pub(super) const fn on_acked(&mut self, size: usize) {
        if size > BASE_MTU {
            self.bad_rounds = 0;
        }
    }

    /// Records the loss of a packet above [`BASE_MTU`] that was sent at `sent_at`. Returns `true`
    /// if it reveals a black hole: the size is then back at the base, and packets in flight should
    /// not count.
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
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::limits::MAX_DATAGRAM;

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
    const MAPPED: IpAddr = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());

    /// Searches a path that carries `path` bytes. Returns the size found and the number of probes.
    fn search(limit: usize, remote: IpAddr, path: usize) -> (usize, u32) {
        let mut search = MtuSearch::new(limit, remote);
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
    fn the_search_ends_just_below_what_the_path_carries() {
        for path in [1_200, 1_252, 1_280, 1_372, 1_392, 1_464, 1_600, 4_068, 8_868, 9_100, 30_000] {
            let (found, probes) = search(MAX_DATAGRAM, V4, path);
            let close = CLOSE_ENOUGH.max(path / CLOSE_ENOUGH_PART);
            assert!(found <= path && path - found <= close, "{found} of {path}");
            assert!(probes <= 30, "{probes} probes for {path}");
        }
    }

    // P-4
    #[test]
    fn common_sizes_are_found_exactly_with_few_probes() {
        for (remote, sizes) in [(V4, COMMON_V4), (MAPPED, COMMON_V4), (V6, COMMON_V6)] {
            let [ethernet, jumbo, loopback] = sizes;
            // Each size that does not pass costs three probes: the next common one, and one just
            // above.
            assert_eq!(search(MAX_DATAGRAM, remote, ethernet), (ethernet, 7));
            assert_eq!(search(MAX_DATAGRAM, remote, jumbo), (jumbo, 8));
            assert_eq!(search(MAX_DATAGRAM, remote, MAX_DATAGRAM), (loopback, 3));
        }
    }

    // P-4
    #[test]
    fn the_limit_is_respected_and_reached() {
        assert_eq!(search(1_472, V4, 65_507), (1_472, 1));
        assert_eq!(search(4_000, V6, 65_507), (4_000, 2));
        assert_eq!(search(500, V4, 65_507), (BASE_MTU, 0), "never below the base");
    }

    // P-4
    #[test]
    fn a_probe_without_a_reported_outcome_does_not_end_the_search() {
        let mut search = MtuSearch::new(1_472, V4);
        search.on_probe_sent(1_472);
        assert_eq!(search.poll_probe(Time::ZERO), None);
        search.forget_probe();
        assert_eq!(search.poll_probe(Time::ZERO), Some(1_472));
    }

    // P-4
    #[test]
    fn a_single_lost_probe_does_not_end_the_search() {
        let mut search = MtuSearch::new(1_472, V4);
        for _ in 0..2 {
            let size = search.poll_probe(Time::ZERO).unwrap();
            search.on_probe_sent(size);
            search.on_probe_lost(size);
        }
        assert_eq!(search.poll_probe(Time::ZERO), Some(1_472));
    }

    #[test]
    fn the_search_resumes_later() {
        let mut search = MtuSearch::new(1_210, V4);
        assert_eq!(search.poll_probe(Time::ZERO), None);
        let later = Time::ZERO + SEARCH_AGAIN;
        assert_eq!(search.poll_probe(Time::from_micros(later.as_micros() - 1)), None);
        assert_eq!(search.poll_probe(later), None, "still nothing to find");
    }

    // P-5
    #[test]
    fn a_black_hole_resets_the_size_to_the_base() {
        let mut search = MtuSearch::new(1_472, V4);
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
    fn losses_of_one_round_count_once_and_an_ack_clears_them() {
        let mut search = MtuSearch::new(1_472, V4);
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
