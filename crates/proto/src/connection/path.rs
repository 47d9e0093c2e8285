//! Network paths to the peer: address changes, validation and limits.
//!
//! In: source addresses, challenges and responses. Out: where packets go, and how many bytes.
//! Never: the frames themselves (`transmit`), MTU discovery (`mtu`).

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Connection, mtu::MtuSearch, transmit::ELSEWHERE};
use crate::{
    config::TransportConfig,
    limits::{BASE_MTU, MAX_DATAGRAM, MOVE_FRAMES, WALKED_PER_FRAME},
    recovery::{congestion::Controller, pacing::Pacer, rtt::Rtt},
    rng::Random,
    time::Time,
};

/// Bytes that may be sent to an unvalidated address per byte received from it (M-33, P-1).
const AMPLIFICATION: u64 = 3;

/// The maximum number of the peer's challenges waiting for an answer: it has one address at a time.
const MAX_RESPONSES: usize = 4;

/// The number of probe timeouts within which a new address must answer (P-1).
const VALIDATION_PTOS: u32 = 3;

/// A path to the peer and its state.
pub(super) struct Path {
    /// The number by which sent packets refer to their path.
    pub(super) number: u8,
    pub(super) remote: SocketAddr,
    /// `true` once the peer has proved that it receives packets there.
    pub(super) validated: bool,
    /// Bytes received from this address and sent to it.
    received: u64,
    sent: u64,
    pub(super) rtt: Rtt,
    pub(super) controller: Controller,
    pub(super) pacer: Pacer,
    pub(super) mtu: MtuSearch,
}

/// The current path, the previous one, and the validation between them.
pub(super) struct Paths {
    pub(super) current: Path,
    /// Our address that the peer sends to, if known.
    pub(super) local: Option<IpAddr>,
    former: Option<Box<Former>>,
    /// Boxed because it is rare and an idle connection must be small.
    challenge: Option<Box<Challenge>>,
    responses: Vec<([u8; 8], SocketAddr)>,
    /// The number given to the latest path.
    number: u8,
    /// The largest datagram that the peer accepts.
    mtu_limit: usize,
    seed: u64,
}

/// The last validated path.
struct Former {
    remote: SocketAddr,
    /// `None` if the current path has inherited its state because only the port changed (P-3).
    path: Option<Path>,
}

/// A pair of challenges to an address: one proves that the peer receives there, the other that
/// packets of [`BASE_MTU`] arrive. The second implies the first, but may exceed what may be sent at
/// first (RFC 9000 section 8.2.1).
struct Challenge {
    short: [u8; 8],
    full: [u8; 8],
    pending: bool,
    /// When it is sent again, regardless of any backoff from the silence at the previous address.
    again: Time,
    patience: Duration,
    until: Time,
}

impl Path {
    /// Creates a path without any state (P-3), with no limit on what may be sent.
    pub(super) fn new(
        now: Time,
        remote: SocketAddr,
        transport: &TransportConfig,
        seed: u64,
    ) -> Self {
        let rtt = Rtt::default();
        let controller = Controller::new(transport.congestion, now, BASE_MTU, seed);
        let mut pacer = Pacer::new(now, BASE_MTU);
        pacer.set_rate(now, controller.pacing_rate(&rtt), BASE_MTU);
        Self {
            number: 0,
            remote,
            validated: true,
            received: 0,
            sent: 0,
            rtt,
            controller,
            pacer,
            mtu: MtuSearch::new(transport.max_mtu, remote.ip()),
        }
    }

    /// Returns the bytes that may be sent now (M-33, P-1).
    pub(super) fn allowance(&self) -> usize {
        if self.validated {
            return usize::MAX;
        }
        let left = self.received.saturating_mul(AMPLIFICATION).saturating_sub(self.sent);
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    pub(super) const fn on_received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    pub(super) const fn on_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Updates the pacer after the rate or the packet size may have changed.
    pub(super) fn set_rate(&mut self, now: Time) {
        self.pacer.set_rate(now, self.controller.pacing_rate(&self.rtt), self.mtu.current());
    }
}

impl Paths {
    pub(super) fn new(current: Path, seed: u64) -> Self {
        let (mtu_limit, responses) = (MAX_DATAGRAM, Vec::new());
        let number = current.number;
        let (local, former, challenge) = (None, None, None);
        Self { current, local, former, challenge, responses, number, mtu_limit, seed }
    }

    /// Sets the peer's parameter 3.
    pub(super) fn set_mtu_limit(&mut self, limit: usize) {
        self.mtu_limit = limit;
        self.current.mtu.set_limit(limit);
    }

    /// Queues the response to a CHALLENGE from `from` (P-2).
    pub(super) fn on_challenge(&mut self, data: [u8; 8], from: SocketAddr) {
        if self.responses.len() == MAX_RESPONSES {
            self.responses.remove(0);
        }
        self.responses.push((data, from));
    }

    /// Handles RESPONSE: validates the current address if it answers the challenge (P-2).
    pub(super) fn on_response(&mut self, now: Time, data: [u8; 8]) {
        let Some(challenge) = &mut self.challenge else { return };
        if challenge.full == data {
            self.current.validated = true;
            self.challenge = None;
            self.former = None;
        } else if challenge.short == data && !self.current.validated {
            self.current.validated = true;
            challenge.pending = true;
            challenge.again = now + challenge.patience;
            challenge.until = now + challenge.patience * VALIDATION_PTOS;
        }
    }

    /// Returns a path number to which no packet in flight refers.
    fn fresh_number(&mut self) -> u8 {
        let former = self.former.as_ref().and_then(|former| former.path.as_ref());
        let taken = [Some(ELSEWHERE), Some(self.current.number), former.map(|path| path.number)];
        loop {
            self.number = self.number.wrapping_add(1);
            if !taken.contains(&Some(self.number)) {
                return self.number;
            }
        }
    }

    /// Records that a packet with this challenge was lost or unanswered.
    pub(super) fn on_challenge_lost(&mut self, data: [u8; 8]) {
        if let Some(challenge) = &mut self.challenge {
            let answered = self.current.validated && challenge.short == data;
            challenge.pending |= !answered && [challenge.short, challenge.full].contains(&data);
        }
    }

    /// Returns `true` if a CHALLENGE, or a RESPONSE to the current address, must be sent.
    pub(super) fn has_pending(&self) -> bool {
        self.has_pending_challenge()
            || self.responses.iter().any(|(_, to)| *to == self.current.remote)
    }

    pub(super) fn has_pending_challenge(&self) -> bool {
        self.challenge.as_ref().is_some_and(|challenge| challenge.pending)
    }

    /// Returns the CHALLENGE to send in a packet of at most `size` bytes and marks it as sent.
    pub(super) fn poll_challenge(&mut self, size: usize) -> Option<[u8; 8]> {
        let full = size >= BASE_MTU;
        let asks = full || !self.current.validated;
        let challenge = self.challenge.as_mut().filter(|challenge| challenge.pending && asks)?;
        challenge.pending = false;
        Some(if full { challenge.full } else { challenge.short })
    }

    /// Returns the RESPONSE to send to the current address and marks it as sent.
    pub(super) fn poll_response(&mut self) -> Option<[u8; 8]> {
        let current = self.current.remote;
        let at = self.responses.iter().position(|(_, to)| *to == current)?;
        Some(self.responses.remove(at).0)
    }

    /// Returns a RESPONSE to send to another address and marks it as sent.
    pub(super) fn poll_response_elsewhere(&mut self) -> Option<([u8; 8], SocketAddr)> {
        let current = self.current.remote;
        let at = self.responses.iter().position(|(_, to)| *to != current)?;
        Some(self.responses.remove(at))
    }

    /// Returns when to challenge the current address again, or to give it up.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.challenge.as_ref().map(|challenge| challenge.again.min(challenge.until))
    }
}

impl Connection {
    /// Handles an opened packet of `bytes` from `from`. If it is the data packet with the highest
    /// number so far, the peer has moved there (P-1). Returns the cost of the move, counted in
    /// frames (M-67).
    pub(super) fn on_address(
        &mut self,
        now: Time,
        from: SocketAddr,
        bytes: usize,
        newest_data: bool,
        random: &mut dyn Random,
    ) -> u32 {
        if from == self.paths.current.remote {
            self.paths.current.on_received(bytes);
            // Its handshake ended at another address, which does not validate this one (M-33).
            if self.confirmed && !self.paths.current.validated && self.paths.challenge.is_none() {
                self.ask(now, random);
            }
            return 0;
        }
        // Before the handshake is confirmed an address cannot change (RFC 9000 section 9).
        if !newest_data || !self.confirmed {
            return 0;
        }
        if self.paths.former.as_ref().is_some_and(|former| former.remote == from) {
            let walked = self.revert_path();
            self.paths.current.on_received(bytes);
            return work(walked);
        }
        let walked = self.move_to(now, from);
        self.paths.current.on_received(bytes);
        self.ask(now, random);
        work(walked)
    }

    /// Challenges the current address (P-1).
    fn ask(&mut self, now: Time, random: &mut dyn Random) {
        let path = &self.paths.current;
        let patience = self.in_flight.pto(&path.rtt).max(self.in_flight.pto(&Rtt::default()));
        let until = now + patience * VALIDATION_PTOS;
        let (short, full, again) = (random.array(), random.array(), now + patience);
        self.paths.challenge =
            Some(Box::new(Challenge { short, full, pending: true, again, patience, until }));
    }

    /// Switches to the path of another address, unvalidated, and keeps the last validated one.
    /// Returns the number of packets in flight that were visited.
    fn move_to(&mut self, now: Time, to: SocketAddr) -> usize {
        let mut walked = 0;
        let paths = &mut self.paths;
        let old = paths.current.remote;
        let was_validated = paths.current.validated;
        if to.ip() == old.ip() {
            // P-3: only a NAT changed the port, so the state of the path remains valid.
            if was_validated {
                paths.former = Some(Box::new(Former { remote: old, path: None }));
            }
        } else {
            let mut new = Path::new(now, to, &self.config.transport, paths.seed);
            new.number = paths.fresh_number();
            new.mtu.set_limit(paths.mtu_limit);
            let number = new.number;
            let mut left = std::mem::replace(&mut paths.current, new);
            if was_validated {
                paths.former = Some(Box::new(Former { remote: old, path: Some(left) }));
            } else if let Some(former) = &mut paths.former
                && former.path.is_none()
            {
                left.remote = former.remote;
                former.path = Some(left);
            }
            walked = self.in_flight.on_new_path(number);
        }
        let current = &mut self.paths.current;
        current.remote = to;
        current.validated = false;
        (current.received, current.sent) = (0, 0);
        self.remote.on_moved();
        walked
    }

    /// Returns to the previous path: the current address did not answer, or the peer is back.
    /// Returns the number of packets in flight that were visited.
    fn revert_path(&mut self) -> usize {
        let mut walked = 0;
        self.paths.challenge = None;
        let Some(former) = self.paths.former.take() else { return walked };
        if let Some(mut path) = former.path {
            // The outcome of a probe was not reported while another path was in use.
            path.mtu.forget_probe();
            self.paths.current = path;
            walked = self.in_flight.on_new_path(self.paths.current.number);
        }
        self.paths.current.remote = former.remote;
        self.paths.current.validated = true;
        self.remote.on_moved();
        walked
    }

    /// P-1: the new address has not answered yet, or not in time.
    pub(super) fn on_validation_timeout(&mut self, now: Time) {
        match &mut self.paths.challenge {
            Some(challenge) if now < challenge.until => {
                challenge.pending = true;
                challenge.again = now + challenge.patience;
            }
            _ => {
                self.revert_path();
            }
        }
    }
}

/// Returns the cost, in frames, of a change of address that visited this many packets in flight.
const fn work(walked: usize) -> u32 {
    MOVE_FRAMES + (walked / WALKED_PER_FRAME) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> (Paths, SocketAddr) {
        let remote = SocketAddr::from(([192, 0, 2, 1], 1));
        let path = Path::new(Time::ZERO, remote, &TransportConfig::default(), 0);
        (Paths::new(path, 0), remote)
    }

    // P-2
    #[test]
    fn a_response_goes_to_the_source_of_its_challenge() {
        let (mut paths, here) = paths();
        let there = SocketAddr::from(([192, 0, 2, 9], 9));
        paths.on_challenge([9; 8], there);
        paths.on_challenge([1; 8], here);
        assert_eq!(paths.poll_response_elsewhere(), Some(([9; 8], there)));
        assert_eq!(paths.poll_response_elsewhere(), None);
        assert_eq!((paths.poll_response(), paths.poll_response()), (Some([1; 8]), None));
        (0..5).for_each(|n| paths.on_challenge([n; 8], there));
        let waiting = std::iter::from_fn(|| paths.poll_response_elsewhere());
        assert_eq!(waiting.map(|(data, _)| data[0]).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    fn challenge(data: u8) -> Challenge {
        let (again, until, patience) = (Time::ZERO, Time::ZERO, Duration::from_secs(1));
        Challenge { short: [data; 8], full: [data + 1; 8], pending: false, again, patience, until }
    }

    // P-1
    #[test]
    fn a_challenge_lost_on_another_path_is_not_repeated() {
        let (mut paths, _) = paths();
        paths.current.validated = false;
        paths.challenge = Some(Box::new(challenge(1)));
        paths.on_challenge_lost([9; 8]);
        assert!(!paths.has_pending_challenge());
        paths.on_challenge_lost([1; 8]);
        assert_eq!(paths.poll_challenge(100), Some([1; 8]));
        paths.on_challenge_lost([2; 8]);
        assert_eq!(paths.poll_challenge(BASE_MTU), Some([2; 8]));
    }

    // P-1
    #[test]
    fn a_short_response_lifts_the_limit_and_only_a_full_one_ends_validation() {
        let (mut paths, _) = paths();
        paths.current.validated = false;
        paths.challenge = Some(Box::new(challenge(1)));
        paths.on_response(Time::ZERO, [1; 8]);
        assert!(paths.current.validated && paths.has_pending_challenge());
        assert_eq!(paths.poll_challenge(BASE_MTU - 1), None);
        assert_eq!(paths.poll_challenge(BASE_MTU), Some([2; 8]));
        paths.on_challenge_lost([1; 8]);
        paths.on_response(Time::ZERO, [1; 8]);
        assert!(!paths.has_pending_challenge(), "the challenge was answered");
        paths.on_response(Time::ZERO, [2; 8]);
        assert!(paths.challenge.is_none());
    }

    // P-3: a late ACK refers to the path on which its packet was sent.
    #[test]
    fn paths_with_outstanding_packets_have_distinct_numbers() {
        let (mut paths, home) = paths();
        let mut last = [0; 200];
        for turn in 0..1_000 {
            let number = paths.fresh_number();
            assert!(number != 0 && number != ELSEWHERE && !last.contains(&number), "{turn}");
            last[turn % last.len()] = number;
            // Validation fails, and the next path starts from the previous one.
            assert_eq!((paths.current.number, paths.current.remote), (0, home));
        }
    }

    // P-2
    #[test]
    fn a_response_that_answers_no_challenge_is_ignored() {
        let (mut paths, _) = paths();
        paths.current.validated = false;
        paths.on_response(Time::ZERO, [0; 8]);
        assert!(!paths.current.validated);
    }
}
