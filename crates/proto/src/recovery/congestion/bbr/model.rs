//! BBR's model of the path: bandwidth, round-trip time and volume in flight.

use std::time::Duration;

use super::{super::AckSample, loss::LossModel};
use crate::time::Time;

/// A volume without a bound.
pub(super) const UNBOUNDED: u64 = u64::MAX;

/// The factor by which loss reduces the window at most in a round.
pub(super) const BETA: f64 = 0.7;

/// The fraction lost in one round below which neither Startup ends nor the short-term bounds sink.
const LOSS_THRESHOLD: f64 = 0.02;

/// Room left to other flows below the bound.
const HEADROOM: f64 = 0.15;

/// Rounds without a quarter more bandwidth after which the pipe is full.
const FULL_BW_ROUNDS: u32 = 3;
const FULL_BW_GROWTH: f64 = 1.25;

/// Rounds for which the degree of aggregation is remembered, in two halves.
const EXTRA_ACKED_HALF: u32 = 5;

/// The names are the draft's, except for its "longterm" and "shortterm".
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    pub(super) mtu: u64,
    pub(super) delivered: u64,

    next_round_delivered: u64,
    pub(super) round_start: bool,
    pub(super) round_count: u64,

    /// The maxima of the previous and the current cycle of ProbeBW.
    max_bw: [f64; 2],
    pub(super) bw_short: f64,
    /// The smaller of the long-term and the short-term estimate.
    pub(super) bw: f64,
    pub(super) min_rtt: Option<Duration>,

    pub(super) inflight_long: u64,
    pub(super) inflight_short: u64,

    pub(super) loss_in_round: bool,
    /// A packet of this round was marked for congestion.
    pub(super) marked_in_round: bool,
    loss_round_delivered: u64,
    pub(super) loss_round_start: bool,
    /// Runs of numbers lost in this round, and the last number lost.
    pub(super) loss_runs: u32,
    last_lost: Option<u64>,
    bw_latest: f64,
    pub(super) inflight_latest: u64,

    full_bw: f64,
    full_bw_count: u32,
    pub(super) full_bw_now: bool,
    pub(super) full_bw_reached: bool,

    pub(super) loss: LossModel,

    extra_acked: [u64; 2],
    extra_acked_rounds: u32,
    extra_acked_from: Time,
    extra_acked_delivered: u64,
}

impl Model {
    pub(super) fn new(now: Time, mtu: u64) -> Self {
        Self {
            mtu,
            delivered: 0,
            next_round_delivered: 0,
            round_start: false,
            round_count: 0,
            max_bw: [0.0; 2],
            bw_short: f64::INFINITY,
            bw: 0.0,
            min_rtt: None,
            inflight_long: UNBOUNDED,
            inflight_short: UNBOUNDED,
            loss_in_round: false,
            marked_in_round: false,
            loss_round_delivered: 0,
            loss_round_start: false,
            loss_runs: 0,
            last_lost: None,
            bw_latest: 0.0,
            inflight_latest: 0,
            full_bw: 0.0,
            full_bw_count: 0,
            full_bw_now: false,
            full_bw_reached: false,
            loss: LossModel::default(),
            extra_acked: [0; 2],
            extra_acked_rounds: 0,
            extra_acked_from: now,
            extra_acked_delivered: 0,
        }
    }

    /// Takes over what was measured before an idle period.
    pub(super) const fn resume(&mut self, bw: f64, min_rtt: Duration) {
        self.max_bw = [bw, 0.0];
        self.bw = bw;
        self.min_rtt = Some(min_rtt);
    }

    /// Returns 4 packets: enough to keep two in transit per direction.
    pub(super) const fn min_pipe(&self) -> u64 {
        4 * self.mtu
    }

    pub(super) const fn max_bw(&self) -> f64 {
        self.max_bw[0].max(self.max_bw[1])
    }

    /// Returns the bandwidth-delay product of `bw` and the minimum RTT, or `None` before there is
    /// one.
    pub(super) fn bdp(&self, bw: f64) -> Option<f64> {
        self.min_rtt.map(|rtt| bw * rtt.as_secs_f64())
    }

    /// Returns the excess of recent ACKs over the expected delivery, which must be in flight in
    /// addition.
    pub(super) fn extra_acked(&self) -> u64 {
        self.extra_acked[0].max(self.extra_acked[1])
    }

    /// UpdateLatestDeliverySignals().
    pub(super) fn update_latest(&mut self, sample: &AckSample) {
        self.delivered = sample.delivered;
        self.bw_latest = self.bw_latest.max(rate(sample));
        self.inflight_latest = self.inflight_latest.max(volume(sample));
        self.loss_round_start = sample.prior_delivered >= self.loss_round_delivered;
        if self.loss_round_start {
            self.loss_round_delivered = sample.delivered;
        }
    }

    /// AdvanceLatestDeliverySignals().
    pub(super) fn advance_latest(&mut self, sample: &AckSample) {
        if self.loss_round_start {
            self.bw_latest = rate(sample);
            self.inflight_latest = volume(sample);
            self.loss_runs = 0;
        }
    }

    /// UpdateRound() and UpdateMaxBw(). Returns `true` if a round began.
    pub(super) fn update_bandwidth(&mut self, sample: &AckSample, app_limited: bool) -> bool {
        self.round_start = sample.prior_delivered >= self.next_round_delivered;
        if self.round_start {
            self.start_round();
            self.round_count += 1;
        }
        let rate = rate(sample);
        if rate > 0.0 && (rate >= self.max_bw() || !app_limited) {
            self.max_bw[1] = self.max_bw[1].max(rate);
        }
        self.round_start
    }

    pub(super) const fn start_round(&mut self) {
        self.next_round_delivered = self.delivered;
    }

    /// AdvanceMaxBwFilter(): ends a cycle. A cycle without samples does not count.
    pub(super) fn advance_max_bw(&mut self) {
        if self.max_bw[1] > 0.0 {
            self.max_bw = [self.max_bw[1], 0.0];
        }
    }

    /// AdaptLowerBoundsFromCongestion(), for states that do not probe. The draft lowers its bounds
    /// for every round with a loss, however small: 1 % of random loss would take a hundredth of the
    /// rate away in each round until the next probe. Here the loss of a round must be congestion,
    /// as while probing, and above the draft's threshold.
    pub(super) fn adapt_short_term(&mut self, probing: bool, window: u64, sample: &AckSample) {
        if !self.loss_round_start {
            return;
        }
        let too_high =
            self.is_too_high(sample.lost_since, sample.tx_in_flight) && exceeds_threshold(sample);
        if self.loss_in_round && (self.marked_in_round || too_high) && !probing {
            if self.bw_short.is_infinite() {
                self.bw_short = self.max_bw();
            }
            if self.inflight_short == UNBOUNDED {
                self.inflight_short = window;
            }
            self.bw_short = self.bw_latest.max(BETA * self.bw_short);
            self.inflight_short = self.inflight_latest.max(scale(self.inflight_short, BETA));
        }
        self.loss_in_round = false;
        self.marked_in_round = false;
    }

    pub(super) const fn reset_short_term(&mut self) {
        self.bw_short = f64::INFINITY;
        self.inflight_short = UNBOUNDED;
    }

    pub(super) const fn reset_congestion(&mut self) {
        self.loss_in_round = false;
        self.bw_latest = 0.0;
        self.inflight_latest = 0;
    }

    /// BoundBWForModel().
    pub(super) const fn bound_bandwidth(&mut self) {
        self.bw = self.max_bw().min(self.bw_short);
    }

    /// NoteLoss(). Returns `true` for the first loss of the round.
    pub(super) const fn note_loss(&mut self) -> bool {
        let first = !self.loss_in_round;
        if first {
            self.loss_round_delivered = self.delivered;
        }
        self.loss_in_round = true;
        first
    }

    /// IsInflightTooHigh(), with the judgement of [`LossModel`] in place of a threshold.
    pub(super) fn is_too_high(&self, lost: u64, tx_in_flight: u64) -> bool {
        self.loss.is_congestion(lost, tx_in_flight, self.loss_runs, self.mtu)
    }

    /// InflightAtLoss(): the bytes in flight when the loss crossed the threshold within a packet.
    pub(super) fn inflight_at_loss(&self, bytes: u64, lost: u64, tx_in_flight: u64) -> u64 {
        let tolerated = self.loss.tolerated(tx_in_flight, self.mtu);
        let threshold = (tolerated / tx_in_flight.max(1) as f64).min(0.5);
        let before = tx_in_flight.saturating_sub(bytes) as f64;
        let lost_before = lost.saturating_sub(bytes) as f64;
        let prefix = (threshold * before - lost_before) / (1.0 - threshold);
        (before + prefix).max(0.0) as u64
    }

    /// Counts runs of lost numbers: a burst is one event.
    pub(super) fn note_lost_number(&mut self, number: u64) {
        if self.last_lost.is_none_or(|last| last.checked_add(1) != Some(number)) {
            self.loss_runs += 1;
        }
        self.last_lost = Some(number);
    }

    /// CheckFullBWReached().
    pub(super) fn check_full_bw(&mut self, sample: &AckSample, app_limited: bool) {
        // A sender limited by its own queue of unacknowledged messages fills the path all the same.
        let is_limited = app_limited && !self.loss.is_queued();
        if self.full_bw_now || !self.round_start || is_limited {
            return;
        }
        let rate = rate(sample);
        if rate >= self.full_bw * FULL_BW_GROWTH {
            self.reset_full_bw();
            self.full_bw = rate;
            return;
        }
        self.full_bw_count += 1;
        self.full_bw_now = self.full_bw_count >= FULL_BW_ROUNDS;
        self.full_bw_reached |= self.full_bw_now;
    }

    pub(super) const fn reset_full_bw(&mut self) {
        self.full_bw = 0.0;
        self.full_bw_count = 0;
        self.full_bw_now = false;
    }

    /// Restarts the search for a plateau at this sample.
    pub(super) fn restart_full_bw(&mut self, sample: &AckSample) {
        self.reset_full_bw();
        self.full_bw = rate(sample);
    }

    /// UpdateACKAggregation().
    pub(super) fn update_extra_acked(&mut self, now: Time, bytes: u64, window: u64) {
        if self.round_start {
            self.extra_acked_rounds += 1;
            let half = if self.full_bw_reached { EXTRA_ACKED_HALF } else { 1 };
            if self.extra_acked_rounds >= half {
                self.extra_acked_rounds = 0;
                self.extra_acked = [self.extra_acked[1], 0];
            }
        }
        let mut expected = (self.bw * now.since(self.extra_acked_from).as_secs_f64()) as u64;
        if self.extra_acked_delivered <= expected {
            self.extra_acked_delivered = 0;
            self.extra_acked_from = now;
            expected = 0;
        }
        self.extra_acked_delivered += bytes;
        let extra = (self.extra_acked_delivered - expected).min(window);
        self.extra_acked[1] = self.extra_acked[1].max(extra);
    }

    pub(super) const fn restart_extra_acked(&mut self, now: Time) {
        self.extra_acked_from = now;
        self.extra_acked_delivered = 0;
    }

    /// InflightWithHeadroom().
    pub(super) fn inflight_with_headroom(&self) -> u64 {
        if self.inflight_long == UNBOUNDED {
            return UNBOUNDED;
        }
        let headroom = scale(self.inflight_long, HEADROOM).max(self.mtu);
        self.inflight_long.saturating_sub(headroom).max(self.min_pipe())
    }
}

/// Returns `true` if the loss of a round exceeds the draft's threshold.
pub(super) fn exceeds_threshold(sample: &AckSample) -> bool {
    sample.lost_since as f64 > sample.tx_in_flight as f64 * LOSS_THRESHOLD
}

/// Returns a fraction of a volume.
pub(super) fn scale(bytes: u64, part: f64) -> u64 {
    (bytes as f64 * part) as u64
}

fn rate(sample: &AckSample) -> f64 {
    sample.delivery_rate.map_or(0.0, |rate| rate as f64)
}

/// Returns the bytes delivered between sending the newest packet and its ACK.
const fn volume(sample: &AckSample) -> u64 {
    sample.delivered.saturating_sub(sample.prior_delivered)
}

#[cfg(test)]
mod tests {
    use super::{super::super::cubic::tests::sample, *};

    #[test]
    fn volume_at_loss_solves_for_the_threshold() {
        // 100 packets of 1,000 before it, none lost: 5 % of (100,000 + x) is x.
        let model = Model::new(Time::ZERO, 1_000);
        assert_eq!(model.inflight_at_loss(10_000, 10_000, 110_000), 105_263);
    }

    #[test]
    fn bandwidth_is_forgotten_after_two_cycles() {
        let mut model = Model::new(Time::ZERO, 1_200);
        let mut ack = sample(1_200);
        ack.delivery_rate = Some(1_000);
        model.update_bandwidth(&ack, false);
        model.advance_max_bw();
        ack.delivery_rate = Some(500);
        model.update_bandwidth(&ack, false);
        assert_eq!(model.max_bw(), 1_000.0);
        model.advance_max_bw();
        assert_eq!(model.max_bw(), 500.0);
        model.advance_max_bw();
        model.advance_max_bw();
        assert_eq!(model.max_bw(), 500.0, "a cycle without samples does not count");
    }

    #[test]
    fn a_rate_limited_by_the_application_only_raises_the_bandwidth() {
        let mut model = Model::new(Time::ZERO, 1_200);
        let mut ack = sample(1_200);
        ack.delivery_rate = Some(1_000);
        model.update_bandwidth(&ack, false);
        model.advance_max_bw();
        ack.delivery_rate = Some(900);
        model.update_bandwidth(&ack, true);
        model.advance_max_bw();
        assert_eq!(model.max_bw(), 1_000.0);
        ack.delivery_rate = Some(2_000);
        model.update_bandwidth(&ack, true);
        assert_eq!(model.max_bw(), 2_000.0);
    }

    #[test]
    fn loss_lowers_the_short_view_by_at_most_three_tenths_a_round() {
        let mut model = Model::new(Time::ZERO, 1_200);
        let mut ack = sample(1_200);
        ack.delivery_rate = Some(1_000);
        model.update_bandwidth(&ack, false);
        ack.lost_since = 6;
        ack.tx_in_flight = 100;
        model.loss_round_start = true;
        for number in [7, 9] {
            model.note_loss();
            model.note_lost_number(number);
            model.adapt_short_term(false, 10_000, &ack);
            assert_eq!(model.inflight_short, UNBOUNDED, "two runs may be random");
        }
        model.note_loss();
        model.note_lost_number(11);
        ack.lost_since = 5;
        model.adapt_short_term(false, 10_000, &ack);
        assert_eq!(model.inflight_short, UNBOUNDED, "5 % is tolerated");
        model.note_loss();
        ack.lost_since = 6;
        model.adapt_short_term(false, 10_000, &ack);
        assert_eq!((model.bw_short, model.inflight_short), (700.0, 7_000));
        model.reset_short_term();
        model.note_loss();
        model.adapt_short_term(true, 10_000, &ack);
        assert_eq!(model.inflight_short, UNBOUNDED, "not while probing");
    }
}
