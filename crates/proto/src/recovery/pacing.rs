//! Pacing: spreads a window over its round trip.

use std::time::Duration;

use crate::time::Time;

/// Packets that may always leave together (R-7; RFC 9002 section 7.7).
const BURST_PACKETS: u64 = 10;

/// The span of the rate that may be sent as one burst.
const BURST_MICROS: u64 = 2_000;

/// The span of the rate to wait for once the bucket is empty: at high rates a batch for one system
/// call, at low rates one packet.
const QUANTUM_MICROS: u64 = 500;

const MICROS: u64 = 1_000_000;

/// A token bucket (RFC 9002 section 7.7). Its tokens are millionths of a byte, so that a
/// microsecond of any rate is a whole number of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    /// Bytes per second, at least 1.
    rate: u64,
    mtu: u64,
    tokens: u64,
    /// When `tokens` was last updated.
    at: Time,
}

impl Pacer {
    /// Creates a pacer with a full bucket, for packets of `mtu` bytes.
    pub(crate) fn new(now: Time, mtu: usize) -> Self {
        let mut pacer = Self { rate: 1, mtu: mtu as u64, tokens: 0, at: now };
        pacer.tokens = pacer.capacity();
        pacer
    }

    /// Returns the rate in bytes per second.
    pub(crate) const fn rate(&self) -> u64 {
        self.rate
    }

    /// Sets the rate in bytes per second, effective from `now`.
    pub(crate) fn set_rate(&mut self, now: Time, rate: u64, mtu: usize) {
        self.refill(now);
        self.rate = rate.max(1);
        self.mtu = mtu as u64;
        self.tokens = self.tokens.min(self.capacity());
    }

    /// Returns `true` if `bytes` may be sent now.
    pub(crate) fn may_send(&mut self, now: Time, bytes: usize) -> bool {
        self.refill(now);
        self.tokens >= self.needed(bytes)
    }

    /// Records that `bytes` were sent. Packets sent regardless of the pacer (probes) empty the
    /// bucket but leave no debt.
    pub(crate) fn on_sent(&mut self, now: Time, bytes: usize) {
        self.refill(now);
        self.tokens = self.tokens.saturating_sub((bytes as u64).saturating_mul(MICROS));
    }

    /// Returns when to try again for `bytes`. It waits for a full quantum, so that a fast sender
    /// wakes up once per batch and not once per packet.
    pub(crate) fn next_time(&mut self, now: Time, bytes: usize) -> Time {
        if self.may_send(now, bytes) {
            return now;
        }
        let quantum = self.rate.saturating_mul(QUANTUM_MICROS).min(self.capacity() / 2);
        let missing = self.needed(bytes).max(quantum).saturating_sub(self.tokens);
        now + Duration::from_micros(missing.div_ceil(self.rate))
    }

    /// Returns the size of the bucket: 10 packets, or 2 ms of the rate, whichever is more.
    fn capacity(&self) -> u64 {
        let packets = (BURST_PACKETS * self.mtu).saturating_mul(MICROS);
        packets.max(self.rate.saturating_mul(BURST_MICROS))
    }

    /// A packet larger than the bucket may leave when the bucket is full.
    fn needed(&self, bytes: usize) -> u64 {
        (bytes as u64).saturating_mul(MICROS).min(self.capacity())
    }

    fn refill(&mut self, now: Time) {
        // Most packets leave in batches, at one time.
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
