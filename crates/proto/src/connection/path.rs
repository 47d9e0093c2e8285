//! Where the peer is, how it changes its address, and how it shows that the new one is its own.
//!
//! In: where packets came from, challenges and responses. Out: where packets go, how many.
//! Never: the frames themselves (`transmit`), the search for the MTU (`mtu`).

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Connection, mtu::MtuSearch, transmit::ELSEWHERE};
use crate::{
    config::TransportConfig,
    limits::{BASE_MTU, MAX_DATAGRAM},
    recovery::{congestion::Controller, pacing::Pacer, rtt::Rtt},
    rng::Random,
    time::Time,
};

/// Bytes that may go to an unvalidated address for each that came from it (M-33, P-1).
const AMPLIFICATION: u64 = 3;

/// Challenges of the peer that wait for their answer, at most: it has one address at a time.
const MAX_RESPONSES: usize = 4;

/// Probe timeouts that a new address has to answer in (P-1).
const VALIDATION_PTOS: u32 = 3;

/// One way to the peer, and what is known of it.
pub(super) struct Path {
    /// Packets remember on which path they left.
    pub(super) number: u8,
    pub(super) remote: SocketAddr,
    /// Has the peer shown that it gets what is sent there?
    pub(super) validated: bool,
    /// Bytes that came from there and left for there.
    received: u64,
    sent: u64,
    pub(super) rtt: Rtt,
    pub(super) controller: Controller,
    pub(super) pacer: Pacer,
    pub(super) mtu: MtuSearch,
}

/// The present path, the one before it, and what passes between the ends to tell which holds.
pub(super) struct Paths {
    pub(super) current: Path,
    /// The own address that the peer sends to, where that is known.
    pub(super) local: Option<IpAddr>,
    former: Option<Box<Former>>,
    /// Rare, and an idle connection is to be small.
    challenge: Option<Box<Challenge>>,
    responses: Vec<([u8; 8], SocketAddr)>,
    /// The last that was given to a path.
    number: u8,
    /// The peer accepts no larger datagram.
    mtu_limit: usize,
    seed: u64,
}

/// The last path that was validated.
struct Former {
    remote: SocketAddr,
    /// Nothing when the present path has what is known of it: only the port changed (P-3).
    path: Option<Path>,
}

/// Two questions to an address: does it get what is sent there, and does that hold for packets of
/// [`BASE_MTU`]? The second answers the first, but may not leave while little may (RFC 9000 section
/// 8.2.1).
struct Challenge {
    short: [u8; 8],
    full: [u8; 8],
    owed: bool,
    /// It is sent again then, whatever backoff the silence at the former address has led to.
    again: Time,
    patience: Duration,
    until: Time,
}

impl Path {
    /// A path of which nothing is known (P-3), and to which all may be sent.
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

    /// Bytes that may leave for it now (M-33, P-1).
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

    /// The rate or the size of packets may have changed.
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

    /// The peer's parameter 3.
    pub(super) fn set_mtu_limit(&mut self, limit: usize) {
        self.mtu_limit = limit;
        self.current.mtu.set_limit(limit);
    }

    /// CHALLENGE came from there (P-2).
    pub(super) fn on_challenge(&mut self, data: [u8; 8], from: SocketAddr) {
        if self.responses.len() == MAX_RESPONSES {
            self.responses.remove(0);
        }
        self.responses.push((data, from));
    }

    /// RESPONSE came: the present address holds, if it answers the challenge (P-2).
    pub(super) fn on_response(&mut self, now: Time, data: [u8; 8]) {
        let Some(challenge) = &mut self.challenge else { return };
        if challenge.full == data {
            self.current.validated = true;
            self.challenge = None;
            self.former = None;
        } else if challenge.short == data && !self.current.validated {
            self.current.validated = true;
            challenge.owed = true;
            challenge.again = now + challenge.patience;
            challenge.until = now + challenge.patience * VALIDATION_PTOS;
        }
    }

    /// A number that no path has of which packets may still be heard.
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

    /// A packet with this challenge was lost, or had no answer.
    pub(super) fn on_challenge_lost(&mut self, data: [u8; 8]) {
        if let Some(challenge) = &mut self.challenge {
            let answered = self.current.validated && challenge.short == data;
            challenge.owed |= !answered && [challenge.short, challenge.full].contains(&data);
        }
    }

    /// Is a CHALLENGE or, for the present address, a RESPONSE to be sent?
    pub(super) fn owes(&self) -> bool {
        self.owes_challenge() || self.responses.iter().any(|(_, to)| *to == self.current.remote)
    }

    pub(super) fn owes_challenge(&self) -> bool {
        self.challenge.as_ref().is_some_and(|challenge| challenge.owed)
    }

    /// The CHALLENGE to send, in a packet of at most `size` bytes. It counts as sent.
    pub(super) fn poll_challenge(&mut self, size: usize) -> Option<[u8; 8]> {
        let full = size >= BASE_MTU;
        let asks = full || !self.current.validated;
        let challenge = self.challenge.as_mut().filter(|challenge| challenge.owed && asks)?;
        challenge.owed = false;
        Some(if full { challenge.full } else { challenge.short })
    }

    /// The RESPONSE to send to the present address. It counts as sent.
    pub(super) fn poll_response(&mut self) -> Option<[u8; 8]> {
        let current = self.current.remote;
        let at = self.responses.iter().position(|(_, to)| *to == current)?;
        Some(self.responses.remove(at).0)
    }

    /// The RESPONSE to send to some other address. It counts as sent.
    pub(super) fn poll_response_elsewhere(&mut self) -> Option<([u8; 8], SocketAddr)> {
        let current = self.current.remote;
        let at = self.responses.iter().position(|(_, to)| *to != current)?;
        Some(self.responses.remove(at))
    }

    /// When the present address has to have answered, or is to be asked again.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.challenge.as_ref().map(|challenge| challenge.again.min(challenge.until))
    }
}

impl Connection {
    /// A packet of `bytes` opened that came from `from`. When it is a data packet with the highest
    /// number so far, the peer is there now (P-1).
    pub(super) fn on_address(
        &mut self,
        (now, from): (Time, SocketAddr),
        bytes: usize,
        newest_data: bool,
        random: &mut dyn Random,
    ) {
        if from == self.paths.current.remote {
            self.paths.current.on_received(bytes);
            // Its handshake came to its end at another address, which says nothing of this (M-33).
            if self.confirmed && !self.paths.current.validated && self.paths.challenge.is_none() {
                self.ask(now, random);
            }
            return;
        }
        // Before the handshake is confirmed an address cannot change (RFC 9000 section 9).
        if !newest_data || !self.confirmed {
            return;
        }
        if self.paths.former.as_ref().is_some_and(|former| former.remote == from) {
            self.go_back();
            self.paths.current.on_received(bytes);
            return;
        }
        self.move_to(now, from);
        self.paths.current.on_received(bytes);
        self.ask(now, random);
    }

    /// Asks the present address for an answer (P-1).
    fn ask(&mut self, now: Time, random: &mut dyn Random) {
        let path = &self.paths.current;
        let patience = self.in_flight.pto(&path.rtt).max(self.in_flight.pto(&Rtt::default()));
        let until = now + patience * VALIDATION_PTOS;
        let (short, full, again) = (random.array(), random.array(), now + patience);
        self.paths.challenge =
            Some(Box::new(Challenge { short, full, owed: true, again, patience, until }));
    }

    /// Takes up the path to another address, unvalidated, and keeps the last validated one.
    fn move_to(&mut self, now: Time, to: SocketAddr) {
        let paths = &mut self.paths;
        let old = paths.current.remote;
        let was_validated = paths.current.validated;
        if to.ip() == old.ip() {
            // P-3: a NAT. What is known of the path holds.
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
            self.in_flight.on_new_path(number);
        }
        let current = &mut self.paths.current;
        current.remote = to;
        current.validated = false;
        (current.received, current.sent) = (0, 0);
        self.remote.on_moved();
    }

    /// The present address did not answer, or the peer is at the former one again.
    fn go_back(&mut self) {
        self.paths.challenge = None;
        let Some(former) = self.paths.former.take() else { return };
        if let Some(mut path) = former.path {
            // What became of a probe was not told while it was another path's turn.
            path.mtu.forget_probe();
            self.paths.current = path;
            self.in_flight.on_new_path(self.paths.current.number);
        }
        self.paths.current.remote = former.remote;
        self.paths.current.validated = true;
        self.remote.on_moved();
    }

    /// P-1: the new address has not answered yet, or not in time.
    pub(super) fn on_validation_timeout(&mut self, now: Time) {
        match &mut self.paths.challenge {
            Some(challenge) if now < challenge.until => {
                challenge.owed = true;
                challenge.again = now + challenge.patience;
            }
            _ => self.go_back(),
        }
    }
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
    fn a_response_goes_where_its_challenge_came_from() {
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
        Challenge { short: [data; 8], full: [data + 1; 8], owed: false, again, patience, until }
    }

    // P-1
    #[test]
    fn a_challenge_that_was_lost_on_another_path_is_not_sent_again() {
        let (mut paths, _) = paths();
        paths.current.validated = false;
        paths.challenge = Some(Box::new(challenge(1)));
        paths.on_challenge_lost([9; 8]);
        assert!(!paths.owes_challenge());
        paths.on_challenge_lost([1; 8]);
        assert_eq!(paths.poll_challenge(100), Some([1; 8]));
        paths.on_challenge_lost([2; 8]);
        assert_eq!(paths.poll_challenge(BASE_MTU), Some([2; 8]));
    }

    // P-1
    #[test]
    fn a_short_answer_lifts_the_limit_and_only_a_full_one_ends_the_question() {
        let (mut paths, _) = paths();
        paths.current.validated = false;
        paths.challenge = Some(Box::new(challenge(1)));
        paths.on_response(Time::ZERO, [1; 8]);
        assert!(paths.current.validated && paths.owes_challenge());
        assert_eq!(paths.poll_challenge(BASE_MTU - 1), None);
        assert_eq!(paths.poll_challenge(BASE_MTU), Some([2; 8]));
        paths.on_challenge_lost([1; 8]);
        paths.on_response(Time::ZERO, [1; 8]);
        assert!(!paths.owes_challenge(), "it was answered");
        paths.on_response(Time::ZERO, [2; 8]);
        assert!(paths.challenge.is_none());
    }

    // P-3: an ACK that comes late speaks of the path on which its packet left.
    #[test]
    fn no_two_paths_that_may_be_heard_of_have_one_number() {
        let (mut paths, home) = paths();
        let mut last = [0; 200];
        for turn in 0..1_000 {
            let number = paths.fresh_number();
            assert!(number != 0 && number != ELSEWHERE && !last.contains(&number), "{turn}");
            last[turn % last.len()] = number;
            // It fails, and the next one begins at the former one again.
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
