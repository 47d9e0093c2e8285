//! When the next packet may leave, so that a window is spread over its round trip.
//!
//! In: a rate, what was sent. Out: may we, and if not, when. Never: a window, a socket.

use std::time::Duration;

use crate::time::Time;

/// Packets that may always leave together (R-7; RFC 9002 section 7.7).
const BURST_PACKETS: u64 = 10;

/// Span of the rate that may leave together.
const BURST_MICROS: u64 = 2_000;

/// Span of the rate that is waited for when there is nothing left: a train for the system call at
/// high rates, one packet at low ones.
const QUANTUM_MICROS: u64 = 500;

const MICROS: u64 = 1_000_000;

/// A token bucket (RFC 9002 section 7.7). Its tokens are bytes times a million, so that a
/// microsecond of any rate is a whole number of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    /// Bytes a second, at least 1.
    rate: u64,
    mtu: u64,
    tokens: u64,
    /// When `tokens` was right.
    at: Time,
}

impl Pacer {
    /// A pacer with a full bucket, for packets of `mtu` bytes.
    pub(crate) fn new(now: Time, mtu: usize) -> Self {
        let mut pacer = Self { rate: 1, mtu: mtu as u64, tokens: 0, at: now };
        pacer.tokens = pacer.capacity();
        pacer
    }

    /// Bytes a second.
    pub(crate) const fn rate(&self) -> u64 {
        self.rate
    }

    /// Takes the controller's rate in bytes a second, from now on.
    pub(crate) fn set_rate(&mut self, now: Time, rate: u64, mtu: usize) {
        self.refill(now);
        self.rate = rate.max(1);
        self.mtu = mtu as u64;
        self.tokens = self.tokens.min(self.capacity());
    }

    /// May `bytes` leave now?
    pub(crate) fn may_send(&mut self, now: Time, bytes: usize) -> bool {
        self.refill(now);
        self.tokens >= self.needed(bytes)
    }

    /// `bytes` left. What may leave without asking (a probe) puts the bucket in debt of nothing:
    /// it cannot go below empty.
    pub(crate) fn on_sent(&mut self, now: Time, bytes: usize) {
        self.refill(now);
        self.tokens = self.tokens.saturating_sub((bytes as u64).saturating_mul(MICROS));
    }

    /// When it is worth asking again for `bytes`: when a quantum is there, so that a fast sender
    /// wakes once for a train and not once for each packet.
    pub(crate) fn next_time(&mut self, now: Time, bytes: usize) -> Time {
        if self.may_send(now, bytes) {
            return now;
        }
        let quantum = self.rate.saturating_mul(QUANTUM_MICROS).min(self.capacity() / 2);
        let missing = self.needed(bytes).max(quantum).saturating_sub(self.tokens);
        now + Duration::from_micros(missing.div_ceil(self.rate))
    }

    /// 10 packets, or 2 ms of the rate, whichever is more.
    fn capacity(&self) -> u64 {
        let packets = (BURST_PACKETS * self.mtu).saturating_mul(MICROS);
        packets.max(self.rate.saturating_mul(BURST_MICROS))
    }

    /// A packet larger than the bucket leaves when the bucket is full.
    fn needed(&self, bytes: usize) -> u64 {
        (bytes as u64).saturating_mul(MICROS).min(self.capacity())
    }

    fn refill(&mut self, now: Time) {
        // Most packets leave in trains, at one time.
        if now <= self.at {
            return;
        }
        let micros = now.as_micros() - self.at.as_micros();
        let gained = self.rate.saturating_mul(micros);
        self.tokens = self.tokens.saturating_add(gained).min(self.capacity());
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: usize = 1_200;

    fn burst(pacer: &mut Pacer, now: Time) -> usize {
        let mut sent = 0;
        while pacer.may_send(now, MTU) {
            pacer.on_sent(now, MTU);
            sent += 1;
        }
        sent
    }

    //
    #[test]
    fn r_7_ten_packets_leave_at_once_and_no_more() {
        let mut pacer = Pacer::new(Time::ZERO, MTU);
        pacer.set_rate(Time::ZERO, 120_000, MTU);
        assert_eq!(burst(&mut pacer, Time::ZERO), 10);
    }

    //
    #[test]
    fn r_7_a_burst_is_two_milliseconds_of_a_high_rate() {
        let mut pacer = Pacer::new(Time::ZERO, MTU);
        pacer.set_rate(Time::ZERO, 120_000_000, MTU);
        burst(&mut pacer, Time::ZERO);
        assert_eq!(burst(&mut pacer, Time::from_micros(1_000_000)), 200);
    }

    #[test]
    fn packets_leave_at_the_rate() {
        let mut pacer = Pacer::new(Time::ZERO, MTU);
        pacer.set_rate(Time::ZERO, 1_200_000, MTU);
        let (mut now, mut sent) = (Time::ZERO, 0);
        while now < Time::from_micros(1_000_000) {
            sent += burst(&mut pacer, now);
            now = pacer.next_time(now, MTU);
        }
        assert!((1_000..=1_010).contains(&sent), "{sent} packets in a second of 1,000 packets");
    }

    #[test]
    fn the_next_time_is_when_it_may_leave() {
        let mut pacer = Pacer::new(Time::ZERO, MTU);
        pacer.set_rate(Time::ZERO, 333_333, MTU);
        burst(&mut pacer, Time::ZERO);
        let next = pacer.next_time(Time::ZERO, MTU);
        assert!(next > Time::ZERO && pacer.may_send(next, MTU));
        let sooner = next.before(Duration::from_micros(1));
        let mut other = Pacer::new(Time::ZERO, MTU);
        other.set_rate(Time::ZERO, 333_333, MTU);
        burst(&mut other, Time::ZERO);
        assert!(!other.may_send(sooner, MTU));
    }

    #[test]
    fn a_packet_larger_than_the_bucket_still_leaves() {
        let mut pacer = Pacer::new(Time::ZERO, 100);
        pacer.set_rate(Time::ZERO, 1_000, 100);
        assert!(pacer.may_send(Time::ZERO, 60_000));
        pacer.on_sent(Time::ZERO, 60_000);
        assert!(pacer.next_time(Time::ZERO, 60_000) > Time::ZERO);
    }

    #[test]
    fn a_rate_of_zero_still_has_a_next_time() {
        let mut pacer = Pacer::new(Time::ZERO, MTU);
        pacer.set_rate(Time::ZERO, 0, MTU);
        burst(&mut pacer, Time::ZERO);
        assert!(pacer.next_time(Time::ZERO, MTU) > Time::ZERO);
    }
}
