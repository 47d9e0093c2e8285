//! The ProbeBW cycle of BBR: Down, Cruise, Refill, Up.

use std::time::Duration;

use super::{
    super::AckSample,
    AckPhase, Bbr, State,
    model::{BETA, UNBOUNDED, scale},
};
use crate::time::Time;

/// The longest time between probes in rounds: when Reno on the same path would need the room (62 or
/// 63).
const RENO_ROUNDS: u64 = 63;

impl Bbr {
    pub(super) fn start_down(&mut self, now: Time) {
        self.model.reset_congestion();
        self.up_acked_per_packet = UNBOUNDED;
        self.rounds_since_probe = self.draw() % 2;
        self.probe_wait = Duration::from_micros(2_000_000 + self.draw() % 1_000_000);
        self.cycle_began = now;
        self.ack_phase = AckPhase::Stopping;
        self.model.start_round();
        self.state = State::Down;
    }

    pub(super) fn start_refill(&mut self) {
        self.model.reset_short_term();
        self.up_rounds = 0;
        self.up_acked = 0;
        self.probe_was_cautious = false;
        self.ack_phase = AckPhase::Refilling;
        self.model.start_round();
        self.state = State::Refill;
    }

    fn start_up(&mut self, sample: &AckSample) {
        self.is_probe_sample = true;
        self.ack_phase = AckPhase::Starting;
        self.model.start_round();
        self.model.restart_full_bw(sample);
        self.state = State::Up;
        self.raise_slope();
    }

    /// UpdateProbeBWCyclePhase().
    pub(super) fn update_cycle(&mut self, now: Time, sample: &AckSample, app_limited: bool) {
        if !self.model.full_bw_reached
            || self.adapt_long_term(sample, app_limited)
            || !self.is_probe_bw()
        {
            return;
        }
        match self.state {
            State::Down | State::Cruise if self.is_time_to_probe(now) => self.start_refill(),
            State::Down if self.is_time_to_cruise(sample) => self.state = State::Cruise,
            State::Refill if self.model.round_start => self.start_up(sample),
            State::Up => self.check_up_done(now, sample),
            _ => {}
        }
    }

    fn check_up_done(&mut self, now: Time, sample: &AckSample) {
        if self.is_time_to_go_down(sample) {
            // Not because of loss so far: its ACKs are still outstanding.
            self.probe_was_too_high = false;
            self.start_down(now);
        }
    }

    fn is_time_to_probe(&self, now: Time) -> bool {
        let reno = (self.target_inflight() / self.model.mtu).min(RENO_ROUNDS);
        now > self.cycle_began + self.probe_wait || self.rounds_since_probe >= reno
    }

    fn is_time_to_cruise(&self, sample: &AckSample) -> bool {
        sample.in_flight <= self.model.inflight_with_headroom()
            && sample.in_flight <= self.with_budget(self.bdp(self.model.max_bw(), 1.0))
    }

    fn is_time_to_go_down(&mut self, sample: &AckSample) -> bool {
        if self.probe_was_too_high && sample.in_flight >= self.model.inflight_long {
            self.probe_was_cautious = true;
            return true;
        }
        if self.is_window_limited(sample) && self.window >= self.model.inflight_long {
            // The bound limits the bandwidth, so this is no plateau.
            self.model.restart_full_bw(sample);
            return false;
        }
        self.model.full_bw_now
    }

    /// AdaptLongTermModel(). Returns `true` if it changed the state.
    fn adapt_long_term(&mut self, sample: &AckSample, app_limited: bool) -> bool {
        if self.ack_phase == AckPhase::Starting && self.model.round_start {
            self.ack_phase = AckPhase::Feedback;
        }
        if self.ack_phase == AckPhase::Stopping && self.model.round_start {
            self.is_probe_sample = false;
            self.ack_phase = AckPhase::Init;
            if self.is_probe_bw() && !app_limited {
                self.model.advance_max_bw();
            }
            if self.is_probe_bw() && self.probe_was_cautious && !self.probe_was_too_high {
                self.start_refill();
                return true;
            }
        }
        if self.model.inflight_long == UNBOUNDED
            || self.model.is_too_high(sample.lost_since, sample.tx_in_flight)
        {
            return false;
        }
        self.model.inflight_long = self.model.inflight_long.max(sample.tx_in_flight);
        if self.state == State::Up {
            self.probe_upward(sample);
        }
        false
    }

    /// ProbeInflightLongtermUpward(): packets per round, doubled each round.
    fn probe_upward(&mut self, sample: &AckSample) {
        if !self.is_window_limited(sample) || self.window < self.model.inflight_long {
            return;
        }
        self.up_acked += sample.bytes;
        let packets = self.up_acked / self.up_acked_per_packet.max(1);
        self.up_acked -= packets * self.up_acked_per_packet;
        self.model.inflight_long =
            self.model.inflight_long.saturating_add(packets.saturating_mul(self.model.mtu));
        if self.model.round_start {
            self.raise_slope();
        }
    }

    fn raise_slope(&mut self) {
        let growth = 1_u64 << self.up_rounds;
        self.up_rounds = (self.up_rounds + 1).min(30);
        self.up_acked_per_packet = (self.window / growth).max(self.model.mtu);
    }

    /// HandleInflightTooHigh().
    pub(super) fn on_too_high(&mut self, tx_in_flight: u64, app_limited: bool, now: Time) {
        self.probe_was_too_high = true;
        self.is_probe_sample = false;
        if !app_limited {
            let least = scale(self.target_inflight(), BETA);
            self.model.inflight_long = tx_in_flight.max(least);
        }
        if self.state == State::Up {
            self.undo.left = Some(State::Up);
            self.start_down(now);
        }
    }
}
