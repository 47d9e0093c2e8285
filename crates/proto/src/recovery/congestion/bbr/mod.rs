//! BBR version 3 (draft-ietf-ccwg-bbr): sends at the rate the path delivers and probes it
//! regularly. Two things are added: [`loss`] decides what loss is congestion, and from the first
//! congestion on the window is at most what CUBIC's would be, so that neither starves the other.
//!
//! ```text
//! Startup ─▶ Drain ─▶ Down ─▶ Cruise ─▶ Refill ─▶ Up ─▶ Down …      (ProbeBW)
//! any, when the minimum RTT is 10 s old ─▶ ProbeRtt ─▶ Cruise, or Startup
//! ```

use std::time::Duration;

use super::{AckSample, Control, LossEvent, LostPacket, cubic::Cubic, initial_window};
use crate::{recovery::rtt::Rtt, time::Time};

mod beside;
mod loss;
mod model;
mod probe_bw;
mod probe_rtt;
mod rested;
mod startup;

use model::{Model, UNBOUNDED};
pub(crate) use rested::Rested;

/// 4 ln 2: the smallest gain at which the rate doubles per round.
const STARTUP_GAIN: f64 = 2.77;

/// The fraction of the bandwidth left unused to keep queues short.
const PACING_MARGIN: f64 = 0.01;

/// The fraction left unused for each fraction usually lost, except while probing. Where many flows
/// overflow a short queue, each of them takes the overflow for usual; the margin ends it.
const LOSS_MARGIN: f64 = 2.0;

/// The fraction of the bandwidth-delay product kept in flight while probing the minimum RTT.
const PROBE_RTT_GAIN: f64 = 0.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
}

/// The phase in which the packets now being acknowledged were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AckPhase {
    Init,
    Refilling,
    Starting,
    Feedback,
    Stopping,
}

/// See [`super::Congestion::Bbr`].
#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    state: State,
    model: Model,
    chance: u64,
    window: u64,
    initial_window: u64,
    /// Bytes per second.
    rate: f64,

    drain_round: u64,
    cycle_began: Time,
    probe_wait: Duration,
    rounds_since_probe: u64,
    ack_phase: AckPhase,
    is_probe_sample: bool,
    probe_was_too_high: bool,
    probe_was_cautious: bool,
    up_rounds: u32,
    up_acked: u64,
    up_acked_per_packet: u64,

    min_rtt_at: Time,
    min_rtt_expired: bool,
    probe_rtt_window: u64,
    probe_rtt_end: Option<Time>,
    probe_rtt_round_done: bool,
    prior_window: u64,
    idle_restart: bool,
    /// Packets sent before this many bytes were delivered belong to ProbeRtt; their rate is
    /// ignored.
    ignored_to: u64,
    tx_in_flight: u64,
    undo: Undo,
    /// The window that CUBIC would have, from the first congestion after Startup on: a flow that
    /// shares a queue with CUBIC takes no more than CUBIC would.
    cubic: Option<Box<Cubic>>,
}

/// The state before the first loss of a round (SaveStateUponLoss).
#[derive(Clone, Copy, Debug)]
struct Undo {
    left: Option<State>,
    bw_short: f64,
    inflight_short: u64,
    inflight_long: u64,
}

impl Bbr {
    pub(super) fn new(now: Time, mtu: u64, seed: u64) -> Self {
        let window = initial_window(mtu);
        Self {
            state: State::Startup,
            model: Model::new(now, mtu),
            chance: seed,
            window,
            initial_window: window,
            rate: STARTUP_GAIN * window as f64 / 1e-3,
            drain_round: 0,
            cycle_began: now,
            probe_wait: Duration::ZERO,
            rounds_since_probe: 0,
            ack_phase: AckPhase::Init,
            is_probe_sample: false,
            probe_was_too_high: false,
            probe_was_cautious: false,
            up_rounds: 0,
            up_acked: 0,
            up_acked_per_packet: UNBOUNDED,
            min_rtt_at: now,
            min_rtt_expired: false,
            probe_rtt_window: window,
            probe_rtt_end: None,
            probe_rtt_round_done: false,
            prior_window: 0,
            idle_restart: false,
            ignored_to: 0,
            tx_in_flight: 0,
            undo: Undo {
                left: None,
                bw_short: f64::INFINITY,
                inflight_short: UNBOUNDED,
                inflight_long: UNBOUNDED,
            },
            cubic: None,
        }
    }

    // Gains and volumes.

    const fn pacing_gain(&self) -> f64 {
        match self.state {
            State::Startup => STARTUP_GAIN,
            State::Drain => 0.5,
            State::Down => 0.9,
            State::Up => 1.25,
            State::Cruise | State::Refill | State::ProbeRtt => 1.0,
        }
    }

    const fn window_gain(&self) -> f64 {
        match self.state {
            State::Up => 2.25,
            State::ProbeRtt => PROBE_RTT_GAIN,
            _ => 2.0,
        }
    }

    const fn is_probe_bw(&self) -> bool {
        matches!(self.state, State::Down | State::Cruise | State::Refill | State::Up)
    }

    const fn is_probing(&self) -> bool {
        matches!(self.state, State::Startup | State::Refill | State::Up)
    }

    fn is_window_limited(&self, sample: &AckSample) -> bool {
        sample.in_flight_before + 2 * self.model.mtu >= self.window
    }

    /// Returns a multiple of the bandwidth-delay product; the initial window before there is an
    /// RTT.
    fn bdp(&self, bw: f64, gain: f64) -> u64 {
        self.model.bdp(bw).map_or(self.initial_window, |bdp| (gain * bdp) as u64)
    }

    /// QuantizationBudget(), with the send quantum as the offload budget.
    fn with_budget(&self, volume: u64) -> u64 {
        let quantum = ((self.rate * 1e-3) as u64).min(64 << 10).max(2 * self.model.mtu);
        let volume = volume.max(quantum).max(self.model.min_pipe());
        if self.state == State::Up { volume.saturating_add(2 * self.model.mtu) } else { volume }
    }

    fn target_inflight(&self) -> u64 {
        self.bdp(self.model.bw, 1.0).min(self.window)
    }

    /// NoteLoss() and SaveStateUponLoss().
    fn note_loss(&mut self) {
        if self.model.note_loss() {
            self.save_window();
            self.undo = Undo {
                left: None,
                bw_short: self.model.bw_short,
                inflight_short: self.model.inflight_short,
                inflight_long: self.model.inflight_long,
            };
        }
    }

    fn save_window(&mut self) {
        self.prior_window = match self.state {
            State::ProbeRtt => self.prior_window.max(self.window),
            _ => self.window,
        };
    }

    // Control parameters.

    fn set_rate(&mut self, gain: f64) {
        let margin = match self.state {
            State::Startup | State::Up => 0.0,
            _ => LOSS_MARGIN * f64::from(self.model.loss.usual()),
        };
        let rate = gain * self.model.bw * (1.0 - PACING_MARGIN - margin);
        if self.model.full_bw_reached || rate > self.rate {
            self.rate = rate;
        }
    }

    /// SetCwnd().
    fn set_window(&mut self, bytes: u64) {
        let volume = self.bdp(self.model.bw, self.window_gain());
        let most = self.with_budget(volume.saturating_add(self.model.extra_acked()));
        if self.model.full_bw_reached {
            self.window = self.window.saturating_add(bytes).min(most);
        } else if self.window < most || self.model.delivered < self.initial_window {
            self.window = self.window.saturating_add(bytes);
        }
        if self.state == State::ProbeRtt {
            self.window = self.window.min(self.probe_rtt_window);
        }
        let bound = match self.state {
            State::Down | State::Refill | State::Up => self.model.inflight_long,
            State::Cruise | State::ProbeRtt => self.model.inflight_with_headroom(),
            State::Startup | State::Drain => UNBOUNDED,
        };
        let bound = bound.min(self.model.inflight_short);
        self.window = self.window.min(bound).max(self.model.min_pipe());
    }

    /// splitmix64 (Steele, Lea, Flood 2014): good enough to randomise the times of probing.
    const fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.chance;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

impl Control for Bbr {
    /// HandleRestartFromIdle(): nothing is in flight because the application had nothing to send.
    fn on_sent(&mut self, now: Time, in_flight_before: u64) {
        if in_flight_before > 0 || self.model.delivered == 0 {
            return;
        }
        self.idle_restart = true;
        self.model.restart_extra_acked(now);
        if self.is_probe_bw() {
            self.set_rate(1.0);
        } else if self.state == State::ProbeRtt {
            self.check_probe_rtt_done(now);
        }
    }

    /// HandleLostPacket().
    fn on_packet_lost(&mut self, now: Time, packet: &LostPacket) {
        self.note_loss();
        self.model.note_lost_number(packet.number);
        if !self.model.is_too_high(packet.lost_since, packet.tx_in_flight) {
            return;
        }
        self.reduce_cubic(now, packet.at, packet.tx_in_flight);
        if self.is_probe_sample {
            let bytes = u64::from(packet.bytes);
            let volume = self.model.inflight_at_loss(bytes, packet.lost_since, packet.tx_in_flight);
            self.on_too_high(volume, packet.app_limited, now);
        }
    }

    fn on_loss(&mut self, _now: Time, event: &LossEvent, in_flight: u64) {
        if event.persistent {
            self.save_window();
            self.window = (in_flight + self.model.mtu).max(self.model.min_pipe());
        }
    }

    /// R-9: treated like a loss above the threshold.
    fn on_marked(&mut self, now: Time, left: Time) {
        self.note_loss();
        self.model.marked_in_round = true;
        self.reduce_cubic(now, left, self.tx_in_flight);
        if self.is_probe_sample {
            self.on_too_high(self.tx_in_flight, false, now);
        }
    }

    /// HandleSpuriousLossDetection().
    fn on_spurious(&mut self, now: Time) {
        if let Some(cubic) = &mut self.cubic {
            cubic.on_spurious(now);
        }
        let undo = self.undo;
        self.undo.left = None;
        self.window = self.window.max(self.prior_window);
        let model = &mut self.model;
        model.loss_in_round = false;
        model.reset_full_bw();
        model.bw_short = model.bw_short.max(undo.bw_short);
        model.inflight_short = model.inflight_short.max(undo.inflight_short);
        model.inflight_long = model.inflight_long.max(undo.inflight_long);
        match undo.left {
            Some(State::Startup) if self.state != State::Startup => {
                self.model.full_bw_reached = false;
                if self.state != State::ProbeRtt {
                    self.state = State::Startup;
                }
            }
            Some(State::Up) if !matches!(self.state, State::Up | State::ProbeRtt) => {
                self.cycle_began = now;
                self.start_refill();
            }
            _ => {}
        }
    }

    /// UpdateModelAndState() and UpdateControlParameters(), in the draft's order.
    fn on_ack(&mut self, now: Time, sample: &AckSample, rtt: &Rtt) {
        if let (None, Some(rtt)) = (self.model.min_rtt, sample.rtt) {
            self.rate = STARTUP_GAIN * self.initial_window as f64 / rtt.as_secs_f64().max(1e-6);
        }
        let app_limited = sample.app_limited || sample.prior_delivered < self.ignored_to;
        self.tx_in_flight = sample.tx_in_flight;
        self.model.update_latest(sample);
        if self.model.update_bandwidth(sample, app_limited) {
            self.rounds_since_probe += 1;
        }
        self.update_loss(now, sample, rtt.smoothed());
        self.model.adapt_short_term(self.is_probing(), self.window, sample);
        self.model.update_extra_acked(now, sample.bytes, self.window);
        self.model.check_full_bw(sample, app_limited);
        self.check_startup_done(sample);
        self.check_drain_done(now, sample);
        self.update_cycle(now, sample, app_limited);
        self.update_min_rtt(now, sample);
        self.check_probe_rtt(now, sample);
        self.model.advance_latest(sample);
        self.model.bound_bandwidth();
        self.set_rate(self.pacing_gain());
        self.set_window(sample.bytes);
        self.bound_by_cubic(now, sample, rtt);
    }

    fn on_mtu(&mut self, mtu: u64) {
        self.model.mtu = mtu;
        self.initial_window = initial_window(mtu);
        self.window = self.window.max(self.model.min_pipe());
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self, rtt: &Rtt) -> u64 {
        // Never zero: without sending there would be no sample to improve the rate.
        self.bounded_rate(rtt).max(self.model.mtu)
    }

    fn is_slow_start(&self) -> bool {
        self.state == State::Startup
    }
}

#[cfg(test)]
mod tests;
