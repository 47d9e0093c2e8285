//! Round-trip time estimation, and the timeouts derived from it.

use std::time::Duration;

/// The round-trip time assumed before the first sample (R-3; RFC 9002 section 6.2.2).
pub(crate) const INITIAL_RTT: Duration = Duration::from_millis(333);

/// The timer granularity (RFC 9002 section 6.1.2, kGranularity).
pub(crate) const GRANULARITY: Duration = Duration::from_millis(1);

/// The longest probe timeout.
const MAX_PTO: Duration = Duration::from_secs(60);

/// The longest interval between probes, except on paths slower than half of it: after an
/// outage traffic resumes within it, and two small packets per interval burden no path.
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// Estimates of one path's round-trip time (R-1; RFC 9002 section 5). A new path gets a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    /// The latest sample. Before the first, what the round trip of the handshake took, losses
    /// included; zero on a new path.
    latest: Duration,
    min: Duration,
    smoothed: Duration,
    variation: Duration,
    sampled: bool,
}

impl Default for Rtt {
    fn default() -> Self {
        Self {
            latest: Duration::ZERO,
            min: INITIAL_RTT,
            smoothed: INITIAL_RTT,
            variation: INITIAL_RTT / 2,
            sampled: false,
        }
    }
}

impl Rtt {
    /// Processes a sample and the delay reported by the peer, already capped to its maximum (RFC
    /// 9002 section 5.3).
    pub(crate) fn update(&mut self, sample: Duration, delay: Duration) {
        self.latest = sample;
        if !self.sampled {
            self.sampled = true;
            self.min = sample;
            self.smoothed = sample;
            self.variation = sample / 2;
            return;
        }
        // The minimum ignores the peer's delay, so that a lie cannot lower it (section 5.2).
        self.min = self.min.min(sample);
        let adjusted =
            if sample >= self.min.saturating_add(delay) { sample - delay } else { sample };
        let deviation = self.smoothed.abs_diff(adjusted);
        self.variation = (self.variation * 3 + deviation) / 4;
        self.smoothed = (self.smoothed * 7 + adjusted) / 8;
    }

    /// Resets the minimum to the latest sample, since the path may have changed (RFC 9002 section
    /// 5.2).
    pub(crate) const fn on_persistent_congestion(&mut self) {
        self.min = self.latest;
    }

    /// Returns the latest sample.
    #[cfg(test)]
    pub(crate) const fn latest(&self) -> Duration {
        self.latest
    }

    /// Returns the smallest sample, or the initial RTT.
    pub(crate) const fn min(&self) -> Duration {
        self.min
    }

    /// Returns the moving average, or the initial RTT.
    pub(crate) const fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// Returns an estimate of the one-way delay to the peer: half the round trip, since the two
    /// directions cannot be distinguished. Before the first sample, at most half of the handshake.
    ///
    /// The average takes many samples to forget a slow start. While it lasts, Deadline messages are
    /// not sent, and samples are rare: so one fast sample is enough (D-7).
    pub(crate) fn one_way(&self) -> Duration {
        if self.sampled { self.smoothed.min(self.latest) / 2 } else { self.latest / 2 }
    }

    /// Records how long the handshake took, which is at least one round trip (D-7).
    pub(crate) const fn on_handshake(&mut self, took: Duration) {
        if !self.sampled {
            self.latest = took;
        }
    }

    /// Returns `true` if there was a sample.
    #[cfg(test)]
    pub(crate) const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Returns the probe timeout without backoff, at most 60 s (R-3; RFC 9002 section 6.2.1). The
    /// cap keeps a peer that answers after an hour from making us keep its connection for many
    /// hours.
    pub(crate) fn pto(&self, max_ack_delay: Duration) -> Duration {
        (self.smoothed + (self.variation * 4).max(GRANULARITY) + max_ack_delay).min(MAX_PTO)
    }

    /// Returns the probe timeout after `backoff` unanswered ones in a row: doubled each time, up to
    /// 2 s or twice the first.
    pub(crate) fn pto_after(&self, max_ack_delay: Duration, backoff: u32) -> Duration {
        let factor = 1_u32.checked_shl(backoff).unwrap_or(u32::MAX);
        let first = self.pto(max_ack_delay);
        first.saturating_mul(factor).min(LONGEST_BACKOFF.max(first * 2)).min(MAX_PTO)
    }

    /// Returns how much older than an acknowledged packet a lost one is (R-2; RFC 9002 section
    /// 6.1.2).
    pub(crate) fn loss_delay(&self) -> Duration {
        (self.smoothed.max(self.latest) * 9 / 8).max(GRANULARITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn sampled(first: u64) -> Rtt {
        let mut rtt = Rtt::default();
        rtt.update(ms(first), ms(0));
        rtt
    }

    #[test]
    fn r_3_the_first_probe_comes_after_a_second() {
        // 333 + 4 * 166.5 + 25 (RFC 9002 section 6.2.2 without the delay: 999 ms).
        let pto = Rtt::default().pto(ms(25));
        assert_eq!(pto, Duration::from_micros(1_024_000));
    }

    #[test]
    fn r_1_the_first_sample_replaces_the_initial_rtt() {
        let rtt = sampled(80);
        assert_eq!((rtt.smoothed, rtt.variation, rtt.min), (ms(80), ms(40), ms(80)));
    }

    #[test]
    fn r_1_later_samples_are_averaged_by_eighths_and_quarters() {
        let mut rtt = sampled(80);
        rtt.update(ms(160), ms(0));
        assert_eq!((rtt.smoothed, rtt.variation), (ms(90), ms(50)));
    }

    //
    #[test]
    fn r_1_the_peers_delay_is_subtracted_but_not_below_the_minimum() {
        let mut rtt = sampled(80);
        rtt.update(ms(100), ms(20));
        assert_eq!(rtt.smoothed, ms(80), "100 - 20 is the previous 80");
        let mut rtt = sampled(80);
        rtt.update(ms(88), ms(20));
        assert_eq!(rtt.smoothed, ms(81), "88 - 20 is below the minimum: ignored");
    }

    //
    #[test]
    fn r_3_probe_timeouts_double_up_to_a_minute() {
        let rtt = sampled(80);
        let first = rtt.pto(ms(25));
        assert_eq!(first, ms(80 + 160 + 25));
        assert_eq!(rtt.pto_after(ms(25), 2), first * 4);
        assert_eq!(rtt.pto_after(ms(25), 40), LONGEST_BACKOFF);
        let slow = sampled(1_000);
        assert_eq!(slow.pto_after(ms(25), 40), slow.pto(ms(25)) * 2);
    }

    //
    #[test]
    fn r_3_no_round_trip_makes_a_probe_timeout_of_more_than_a_minute() {
        assert_eq!(sampled(3_600_000).pto(ms(25)), MAX_PTO);
    }

    #[test]
    fn r_2_the_loss_delay_is_nine_eighths_and_at_least_a_millisecond() {
        assert_eq!(sampled(80).loss_delay(), ms(90));
        let mut near = Rtt::default();
        near.update(Duration::from_micros(50), ms(0));
        assert_eq!(near.loss_delay(), GRANULARITY);
    }
}
