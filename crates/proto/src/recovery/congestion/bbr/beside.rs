//! BBR beside other flows: which loss it takes for congestion, and CUBIC's window as the bound from
//! then on.

use std::time::Duration;

use super::{
    super::{AckSample, Control, cubic::Cubic},
    Bbr, LOSS_MARGIN, State,
};
use crate::{recovery::rtt::Rtt, time::Time};

/// The multiple of the bandwidth at which CUBIC's window may fill a path without a queue.
const CUBIC_ROOM: f64 = 1.125;

/// Packets that leave together, or for one ACK.
const BURST_PACKETS: f64 = 10.0;

impl Bbr {
    /// Updates the model of loss: loss outside probes is usual.
    pub(super) fn update_loss(&mut self, now: Time, sample: &AckSample, smoothed: Duration) {
        let model = &mut self.model;
        let burst = BURST_PACKETS * model.mtu as f64 / model.bw.max(1.0);
        let burst = Duration::from_secs_f64(burst.min(1.0));
        model.loss.on_ack(sample, smoothed, model.min_rtt.unwrap_or_default(), burst);
        if model.round_start {
            model.loss.on_round(now, self.state == State::Down);
        }
        let too_high = model.is_too_high(sample.lost_since, sample.tx_in_flight);
        let learns = match self.state {
            State::Startup => !too_high,
            State::Cruise | State::Refill => true,
            State::Drain | State::Down | State::Up | State::ProbeRtt => false,
        };
        if learns && model.loss_round_start {
            model.loss.learn(sample.lost_since, sample.tx_in_flight, model.loss_runs, model.mtu);
        }
    }

    /// Reduces the window as CUBIC would, for the congestion met by a packet that was sent at
    /// `left`.
    pub(super) fn reduce_cubic(&mut self, now: Time, left: Time, in_flight: u64) {
        if !self.model.full_bw_reached {
            return;
        }
        let mtu = self.model.mtu;
        // While the pipe refills, less is in flight than the path carries.
        let in_flight = in_flight.max(self.bdp(self.model.bw, 1.0));
        let cubic = self.cubic.get_or_insert_with(|| Box::new(Cubic::new(mtu)));
        cubic.reduce_from(now, left, in_flight);
    }

    /// Lets CUBIC's window grow, and bounds the window by it.
    pub(super) fn bound_by_cubic(&mut self, now: Time, sample: &AckSample, rtt: &Rtt) {
        let Some(cubic) = &mut self.cubic else { return };
        cubic.on_ack(now, sample, rtt);
        self.window = self.window.min(cubic.window()).max(self.model.min_pipe());
    }

    /// Returns the rate while CUBIC's window is the bound. Beside others it is CUBIC's own, or its
    /// window could not grow. Alone it follows the window upward as long as no queue builds.
    fn rate_beside(&self, cubic: &Cubic, rtt: &Rtt) -> u64 {
        let (loss, rate, own) = (&self.model.loss, self.rate as u64, cubic.pacing_rate(rtt));
        if loss.is_contended() {
            return own;
        }
        if loss.is_queued() {
            return own.min(rate);
        }
        let room = CUBIC_ROOM - LOSS_MARGIN * f64::from(loss.usual());
        own.min(rate.max((room * self.model.bw) as u64))
    }

    /// Returns the rate in bytes per second: not that of the model while CUBIC's window is the
    /// bound.
    pub(super) fn bounded_rate(&self, rtt: &Rtt) -> u64 {
        match &self.cubic {
            Some(cubic) if self.window >= cubic.window() => self.rate_beside(cubic, rtt),
            _ => self.rate as u64,
        }
    }
}
