//! Random loss told apart from congestion.
//!
//! In: round-trip times, bytes lost and in flight. Out: whether a loss is congestion. Never: a
//! window, a rate.
//!
//! The draft (draft-ietf-ccwg-bbr, IsInflightTooHigh) takes any loss above 2 % of a round for
//! congestion, so that a path with 5 % of random loss carries next to nothing. But congestion has a
//! second sign: the queue in which the round trips wait. Without a queue, loss is congestion only
//! if it is far above what the path usually loses (a policer). With a queue, any loss above the
//! usual is congestion.

use std::time::Duration;

use super::super::AckSample;
use crate::time::Time;

/// The growth of the round-trip time that shows a queue: an eighth, as in HyStart++ (RFC 9406
/// section 4.3, MIN_RTT_DIVISOR). Jitter does not reach it, since means are compared.
const QUEUE_DIVISOR: u32 = 8;

/// Above the smallest round-trip time, a quarter and this much is a queue in any case: a flow that
/// joins others may never see a quiet path, only a shorter queue.
const LONG_QUEUE: Duration = Duration::from_millis(10);

/// The round-trip times in a mean: fewer are noise (RFC 9406 section 4.3, N_RTT_SAMPLE).
const SAMPLES: u32 = 8;

/// The quiet round-trip time is the smallest mean within one or two of these spans: longer than the
/// 8 s after which CUBIC's window is back where a queue overflowed (100 Mbit/s, 40 ms).
const QUIET_SPAN: Duration = Duration::from_secs(15);

/// Rounds without a queue before losses are counted as usual: those of an overflow are detected
/// after the queue is gone.
const QUIET_ROUNDS: u32 = 2;

/// Rounds at nine tenths of the bandwidth that drain a whole bandwidth-delay product: if the queue
/// is still there, others fill it.
const DRAIN_ROUNDS: u32 = 12;

/// Packets and rounds over which the usual loss is averaged, whichever are more.
const MEMORY_PACKETS: f32 = 1_000.0;
const MEMORY_ROUNDS: f32 = 16.0;

/// The share of the usual loss that is forgotten in each contended round: it may have been the
/// overflow of the same queue.
const FORGET: f32 = 1.0 / 256.0;

/// The largest usual loss.
const MAX_USUAL: f32 = 0.15;

/// Runs of lost packets in a round without a queue that are more than chance: a burst is one.
const RUNS: u32 = 3;

/// What a path usually loses, and whether there is a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossModel {
    /// The smallest mean round-trip times of the previous and the current span, in microseconds; 0
    /// for none.
    quiet: [u32; 2],
    quiet_from: Time,
    /// The round-trip times of the current mean, in microseconds.
    sum: u64,
    samples: u32,
    is_queued: bool,
    /// Rounds since the queue was gone.
    quiet_rounds: u32,
    /// Rounds of draining since then in which it was there.
    drained_rounds: u32,
    /// Bytes lost and sent in quiet rounds, and runs of lost packets.
    lost: f32,
    sent: f32,
    runs: f32,
}

impl LossModel {
    /// Creates a model that knows a share of usual loss, from before an idle period.
    pub(super) fn with_usual(share: f32, mtu: u64) -> Self {
        let sent = MEMORY_PACKETS * mtu as f32;
        let lost = share * sent;
        Self { lost, sent, runs: lost / mtu as f32, ..Self::default() }
    }

    /// Returns `true` while round trips take longer than on the quiet path.
    pub(super) const fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// Returns `true` if the queue stays although this flow drains its part: others fill it.
    pub(super) const fn is_contended(&self) -> bool {
        self.drained_rounds >= DRAIN_ROUNDS
    }

    /// Processes the round-trip time of one ACK. `smoothed` and `least` are the path's average and
    /// minimum, `burst` is the time that the packets sent together take to pass.
    pub(super) fn on_ack(
        &mut self,
        sample: &AckSample,
        smoothed: Duration,
        least: Duration,
        burst: Duration,
    ) {
        if let Some(rtt) = sample.rtt {
            self.sum += rtt.as_micros() as u64;
            self.samples += 1;
        }
        let Some(quiet) = self.quiet_rtt() else { return };
        // A packet waits behind half of the others on average.
        let threshold = quiet + quiet / QUEUE_DIVISOR + (burst / 2).min(quiet / 2);
        self.is_queued = smoothed > threshold.min(least * 5 / 4 + LONG_QUEUE);
    }

    /// Ends a round, in which the flow drained the queue or not.
    pub(super) fn on_round(&mut self, now: Time, drains: bool) {
        if self.samples >= SAMPLES {
            let mean = u32::try_from(self.sum / u64::from(self.samples)).unwrap_or(u32::MAX).max(1);
            if now > self.quiet_from + QUIET_SPAN {
                self.quiet = [self.quiet[1], 0];
                self.quiet_from = now;
            }
            let current = &mut self.quiet[1];
            *current = if *current == 0 { mean } else { mean.min(*current) };
            (self.sum, self.samples) = (0, 0);
        }
        if !self.is_queued {
            self.quiet_rounds += 1;
            self.drained_rounds = 0;
            return;
        }
        self.quiet_rounds = 0;
        self.drained_rounds += u32::from(drains);
        if self.is_contended() {
            self.lost *= 1.0 - FORGET;
            self.runs *= 1.0 - FORGET;
        }
    }

    fn quiet_rtt(&self) -> Option<Duration> {
        let micros = self.quiet.into_iter().filter(|mean| *mean > 0).min()?;
        Some(Duration::from_micros(u64::from(micros)))
    }

    /// Learns from a round in which `lost` of `sent` bytes were lost in `runs`, unless there is or
    /// just was a queue.
    pub(super) fn learn(&mut self, lost: u64, sent: u64, runs: u32, mtu: u64) {
        if self.quiet_rounds < QUIET_ROUNDS {
            return;
        }
        self.lost += lost as f32;
        self.sent += sent as f32;
        self.runs += runs as f32;
        let memory = (MEMORY_PACKETS * mtu as f32).max(MEMORY_ROUNDS * sent as f32);
        let kept = (memory / self.sent.max(1.0)).min(1.0);
        self.lost *= kept;
        self.sent *= kept;
        self.runs *= kept;
    }

    /// Returns the share of bytes that the path loses without a queue.
    pub(super) fn usual(&self) -> f32 {
        if self.sent > 0.0 { (self.lost / self.sent).min(MAX_USUAL) } else { 0.0 }
    }

    /// Returns how many of `sent` bytes may be lost without congestion: the usual share, with two
    /// or three times its standard deviation, runs of lost packets counting as one.
    pub(super) fn tolerated(&self, sent: u64, mtu: u64) -> f64 {
        let (sent, mtu) = (sent as f64, mtu as f64);
        let run = if self.runs > 0.0 { f64::from(self.lost / self.runs).max(mtu) } else { mtu };
        let usual = f64::from(self.usual()) * sent;
        let deviation = (usual * run).sqrt();
        match (self.is_contended(), self.is_queued) {
            (true, _) => 1.25 * usual,
            (false, true) => 1.25 * usual + 2.0 * deviation,
            (false, false) => 2.0 * usual + 3.0 * deviation + 0.05 * sent,
        }
    }

    /// Returns `true` if the loss of `lost` of `sent` bytes, in so many runs, is congestion.
    pub(super) fn is_congestion(&self, lost: u64, sent: u64, runs: u32, mtu: u64) -> bool {
        let least = if self.is_queued { 1 } else { RUNS };
        runs >= least && lost as f64 > self.tolerated(sent, mtu)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::cubic::tests::sample, *};

    const MTU: u64 = 1_200;
    const SENT: u64 = 400 * MTU;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Runs a round of ten round trips that take this long.
    fn round(model: &mut LossModel, at: u64, rtt: Duration, drains: bool) {
        for _ in 0..10 {
            let mut ack = sample(MTU);
            ack.rtt = Some(rtt);
            model.on_ack(&ack, rtt, ms(40), Duration::ZERO);
        }
        model.on_round(Time::from_micros(at * 1_000), drains);
    }

    /// Returns the model of a quiet path of 40 ms that lost one packet in `every`.
    fn quiet(every: u64) -> LossModel {
        let mut model = LossModel::default();
        for at in 0..40 {
            round(&mut model, at * 40, ms(40), false);
            model.learn(SENT / every, SENT, (400 / every) as u32, MTU);
        }
        model
    }

    #[test]
    fn without_a_queue_the_usual_loss_is_no_congestion() {
        let model = quiet(20);
        assert!((0.045..0.055).contains(&model.usual()), "{}", model.usual());
        assert!(!model.is_congestion(SENT / 10, SENT, 40, MTU), "twice as much");
        assert!(model.is_congestion(SENT / 4, SENT, 100, MTU), "a policer takes a quarter");
        assert!(!model.is_congestion(SENT / 4, SENT, 2, MTU), "two bursts");
    }

    #[test]
    fn with_a_queue_any_loss_of_a_path_that_lost_nothing_is_congestion() {
        let mut model = quiet(u64::MAX);
        assert!(!model.is_congestion(MTU, SENT, 1, MTU));
        round(&mut model, 1_600, ms(44), false);
        assert!(!model.is_queued(), "a tenth more");
        round(&mut model, 1_640, ms(46), false);
        assert!(model.is_queued() && model.is_congestion(MTU, SENT, 1, MTU));
    }

    #[test]
    fn with_a_queue_only_loss_beyond_the_usual_is_congestion() {
        let mut model = quiet(20);
        round(&mut model, 1_600, ms(50), false);
        assert!(!model.is_congestion(25 * MTU, SENT, 20, MTU));
        assert!(model.is_congestion(40 * MTU, SENT, 20, MTU));
    }

    #[test]
    fn a_queue_that_stays_while_it_is_drained_belongs_to_others() {
        let mut model = quiet(20);
        for at in 0..11 {
            round(&mut model, 1_600 + at * 60, ms(60), true);
        }
        assert!(!model.is_contended());
        round(&mut model, 2_300, ms(60), true);
        assert!(model.is_contended());
        let usual = model.usual();
        round(&mut model, 2_360, ms(60), false);
        assert!(model.usual() < usual, "what was learned may have been others' queue");
        round(&mut model, 2_420, ms(40), true);
        assert!(!model.is_contended() && !model.is_queued());
    }

    #[test]
    fn losses_reported_just_after_a_queue_are_not_usual() {
        let mut model = quiet(u64::MAX);
        round(&mut model, 1_600, ms(60), false);
        round(&mut model, 1_660, ms(40), false);
        model.learn(SENT / 4, SENT, 9, MTU);
        assert_eq!(model.usual(), 0.0);
    }

    #[test]
    fn a_longer_path_is_quiet_again_after_two_spans() {
        let mut model = quiet(20);
        for at in 0..600 {
            round(&mut model, 1_600 + at * 60, ms(48), false);
        }
        assert!(!model.is_queued());
    }
}
