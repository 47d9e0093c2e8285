//! Delivery rate samples, as in draft-cheng-iccrg-delivery-rate-estimation (now the section
//! "Delivery Rate Samples" of draft-ietf-ccwg-bbr).

use std::time::Duration;

use super::{
    report::AckSample,
    sent::{SentPacket, Snapshot},
};
use crate::time::Time;

/// The delivery rate sampler of one path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RateSampler {
    /// Bytes acknowledged in total.
    delivered: u64,
    delivered_at: Time,
    /// When the most recently acknowledged packet was sent, or the first packet after an idle
    /// period.
    first_sent_at: Time,
    /// Bytes lost in total.
    lost: u64,
    /// Packets sent before this many bytes are delivered are app-limited; 0 for none.
    app_limited_to: u64,
}

/// The newest packet acknowledged by an ACK, so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest {
    at: Time,
    number: u64,
    bytes: u64,
    snapshot: Snapshot,
}

impl Newest {
    /// Returns when the packet was sent.
    pub(super) const fn at(&self) -> Time {
        self.at
    }
}

impl RateSampler {
    /// Records a packet sent with `in_flight` bytes before it.
    pub(super) fn on_sent(&mut self, at: Time, in_flight: u64, bytes: u64) -> Snapshot {
        if in_flight == 0 {
            self.first_sent_at = at;
            self.delivered_at = at;
        }
        Snapshot {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            lost: self.lost,
            in_flight: in_flight + bytes,
            app_limited: self.app_limited_to != 0,
        }
    }

    /// Records that the application has no more to send although window and pacer would allow it.
    pub(super) fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited_to = (self.delivered + in_flight).max(1);
    }

    pub(super) const fn on_lost(&mut self, bytes: u64) {
        self.lost += bytes;
    }

    /// Returns the bytes lost since the packet was sent.
    pub(super) const fn lost_since(&self, snapshot: &Snapshot) -> u64 {
        self.lost.saturating_sub(snapshot.lost)
    }

    /// Records that a packet was acknowledged; `newest` accumulates over one ACK.
    pub(super) fn on_acked(&mut self, now: Time, packet: &SentPacket, newest: &mut Option<Newest>) {
        let bytes = u64::from(packet.bytes);
        self.delivered += bytes;
        self.delivered_at = now;
        let before = newest.map_or(0, |newest| newest.bytes);
        match newest {
            Some(newest) if newest.number > packet.number => newest.bytes += bytes,
            _ => {
                *newest = Some(Newest {
                    at: packet.at,
                    number: packet.number,
                    bytes: before + bytes,
                    snapshot: packet.snapshot,
                });
            }
        }
    }

    /// Returns the sample of one ACK, after its losses.
    pub(super) fn sample(
        &mut self,
        newest: &Newest,
        rtt: Option<Duration>,
        min_rtt: Duration,
        in_flight_before: u64,
        in_flight: u64,
    ) -> AckSample {
        if self.app_limited_to != 0 && self.delivered > self.app_limited_to {
            self.app_limited_to = 0;
        }
        let then = &newest.snapshot;
        self.first_sent_at = self.first_sent_at.max(newest.at);
        // The longer of the send and the ACK interval, so that neither a burst of packets nor a
        // burst of ACKs looks like a fast path.
        let interval =
            newest.at.since(then.first_sent_at).max(self.delivered_at.since(then.delivered_at));
        let delivered = self.delivered - then.delivered;
        // No path delivers within less than the minimum RTT: such a sample is wrong.
        let reliable = interval >= min_rtt && !interval.is_zero();
        AckSample {
            bytes: newest.bytes,
            newest: newest.at,
            rtt,
            in_flight_before,
            in_flight,
            delivered: self.delivered,
            prior_delivered: then.delivered,
            delivery_rate: reliable.then(|| per_second(delivered, interval)),
            tx_in_flight: then.in_flight,
            lost_since: self.lost_since(then),
            app_limited: then.app_limited,
        }
    }
}

fn per_second(bytes: u64, span: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / span.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::level::Level;

    const fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    fn send(rate: &mut RateSampler, number: u64, now: Time, in_flight: u64) -> SentPacket {
        let mut packet = SentPacket::new(number, Level::Data, now, 1_000, Vec::new());
        packet.snapshot = rate.on_sent(now, in_flight, 1_000);
        packet
    }

    fn ack(rate: &mut RateSampler, now: Time, packets: &[&SentPacket]) -> AckSample {
        let mut newest = None;
        packets.iter().for_each(|packet| rate.on_acked(now, packet, &mut newest));
        rate.sample(&newest.unwrap(), None, Duration::from_millis(10), 0, 0)
    }

    #[test]
    fn the_rate_uses_the_longer_of_the_send_and_ack_intervals() {
        let mut rate = RateSampler::default();
        let first = send(&mut rate, 0, at(0), 0);
        let second = send(&mut rate, 1, at(1), 1_000);
        let sample = ack(&mut rate, at(20), &[&first, &second]);
        assert_eq!((sample.bytes, sample.delivery_rate), (2_000, Some(100_000)));
        assert_eq!(sample.tx_in_flight, 2_000);
    }

    #[test]
    fn a_burst_of_acks_is_measured_by_the_send_interval() {
        let mut rate = RateSampler::default();
        let packets: Vec<_> = (0..4).map(|n| send(&mut rate, n, at(n * 10), n * 1_000)).collect();
        ack(&mut rate, at(50), &[&packets[0]]);
        let sample = ack(&mut rate, at(50), &[&packets[3]]);
        assert_eq!(sample.delivery_rate, Some(2_000 * 20), "2 packets over 50 ms, not over none");
    }

    #[test]
    fn a_sample_shorter_than_the_minimum_rtt_has_no_rate() {
        let mut rate = RateSampler::default();
        let packet = send(&mut rate, 0, at(0), 0);
        assert_eq!(ack(&mut rate, at(9), &[&packet]).delivery_rate, None);
    }

    #[test]
    fn packets_sent_while_app_limited_are_marked_until_delivered() {
        let mut rate = RateSampler::default();
        let first = send(&mut rate, 0, at(0), 0);
        rate.on_app_limited(1_000);
        let second = send(&mut rate, 1, at(1), 1_000);
        assert!(!ack(&mut rate, at(20), &[&first]).app_limited);
        assert!(ack(&mut rate, at(21), &[&second]).app_limited);
        let third = send(&mut rate, 2, at(22), 0);
        assert!(!ack(&mut rate, at(40), &[&third]).app_limited);
    }

    #[test]
    fn losses_are_counted_since_the_packet_was_sent() {
        let mut rate = RateSampler::default();
        rate.on_lost(500);
        let packet = send(&mut rate, 0, at(0), 0);
        rate.on_lost(1_000);
        assert_eq!(ack(&mut rate, at(20), &[&packet]).lost_since, 1_000);
    }
}
