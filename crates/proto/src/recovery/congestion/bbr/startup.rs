//! Startup and Drain of BBR: the search for the bandwidth, and the end of the queue it left.

use super::{super::AckSample, Bbr, State, model::exceeds_threshold};
use crate::time::Time;

/// Runs of lost packets in a round that end Startup.
const STARTUP_LOSS_RUNS: u32 = 6;

/// The fraction lost in one round that ends Startup without a queue.
const STARTUP_LOSS: f64 = 0.25;

/// Rounds after which Drain ends in any case.
const DRAIN_ROUNDS: u64 = 3;

impl Bbr {
    pub(super) fn check_startup_done(&mut self, sample: &AckSample) {
        if self.state != State::Startup {
            return;
        }
        if !self.model.full_bw_reached
            && self.model.loss_round_start
            && self.model.loss_runs >= STARTUP_LOSS_RUNS
            && self.model.is_too_high(sample.lost_since, sample.tx_in_flight)
            && self.ends_startup(sample)
        {
            self.undo.left = Some(State::Startup);
            self.model.full_bw_reached = true;
            self.model.inflight_long = self.bdp(self.model.bw, 1.0).max(self.model.inflight_latest);
        }
        if self.model.full_bw_reached {
            self.state = State::Drain;
            self.drain_round = self.model.round_count;
        }
    }

    /// Returns `true` if the loss of a round shows that the pipe is full. Without a queue, only a
    /// loss above what any path usually has does: a policer drops most of almost three times its
    /// rate.
    fn ends_startup(&self, sample: &AckSample) -> bool {
        let lost = sample.lost_since as f64 / sample.tx_in_flight.max(1) as f64;
        exceeds_threshold(sample) && (self.model.loss.is_queued() || lost > STARTUP_LOSS)
    }

    pub(super) fn check_drain_done(&mut self, now: Time, sample: &AckSample) {
        if self.state == State::Drain
            && (sample.in_flight <= self.with_budget(self.bdp(self.model.bw, 1.0))
                || self.model.round_count > self.drain_round + DRAIN_ROUNDS)
        {
            self.start_down(now);
        }
    }
}
