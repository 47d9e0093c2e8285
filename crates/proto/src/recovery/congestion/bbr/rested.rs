//! What BBR remembers of its path while the connection is idle.
//!
//! In: a controller at rest. Out: one that continues where the other stopped. Never: a packet.

use std::time::Duration;

use super::{
    super::{AckSample, Control, LossEvent},
    Bbr, State,
    loss::LossModel,
};
use crate::{recovery::rtt::Rtt, time::Time};

/// A controller at rest, a tenth as large. What it does not keep was valid for some round trips
/// only: the bounds of the last probe, the phase of the cycle, the length of the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rested {
    seed: u64,
    /// Bytes per second.
    bandwidth: f32,
    /// The share of bytes usually lost.
    usual_loss: f32,
    /// Microseconds; 0 if unknown.
    min_rtt: u32,
    window: u32,
    mtu: u16,
    full_bw_reached: bool,
}

impl Rested {
    /// Returns what `bbr` is to remember.
    pub(in super::super) fn of(bbr: &Bbr) -> Self {
        let micros = bbr.model.min_rtt.map_or(0, |rtt| rtt.as_micros());
        Self {
            seed: bbr.chance,
            bandwidth: bbr.model.max_bw() as f32,
            usual_loss: bbr.model.loss.usual(),
            min_rtt: u32::try_from(micros).unwrap_or(u32::MAX),
            window: u32::try_from(bbr.window()).unwrap_or(u32::MAX),
            mtu: u16::try_from(bbr.model.mtu).unwrap_or(u16::MAX),
            full_bw_reached: bbr.model.full_bw_reached,
        }
    }

    /// Returns a controller that sends at the bandwidth known before (HandleRestartFromIdle()).
    pub(in super::super) fn resume(self, now: Time) -> Bbr {
        let mtu = u64::from(self.mtu);
        let mut bbr = Bbr::new(now, mtu, self.seed);
        bbr.model.loss = LossModel::with_usual(self.usual_loss, mtu);
        if self.min_rtt == 0 || self.bandwidth <= 0.0 {
            return bbr;
        }
        bbr.model.resume(f64::from(self.bandwidth), Duration::from_micros(self.min_rtt.into()));
        bbr.window = u64::from(self.window);
        bbr.idle_restart = true;
        if self.full_bw_reached {
            bbr.model.full_bw_reached = true;
            bbr.start_down(now);
            bbr.state = State::Cruise;
        }
        bbr.rate = 0.0;
        bbr.set_rate(bbr.pacing_gain());
        bbr
    }
}

/// Nothing happens while it rests: the controller wakes it first.
impl Control for Rested {
    fn on_loss(&mut self, _now: Time, _event: &LossEvent, _in_flight: u64) {}

    fn on_marked(&mut self, _now: Time, _left: Time) {}

    fn on_spurious(&mut self, _now: Time) {}

    fn on_ack(&mut self, _now: Time, _sample: &AckSample, _rtt: &Rtt) {}

    fn on_mtu(&mut self, mtu: u64) {
        self.mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    }

    fn window(&self) -> u64 {
        u64::from(self.window)
    }

    /// Returns the rate at which the first packet may leave.
    fn pacing_rate(&self, rtt: &Rtt) -> u64 {
        self.resume(Time::ZERO).pacing_rate(rtt)
    }

    fn is_slow_start(&self) -> bool {
        !self.full_bw_reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_at_rest_is_small_and_continues_where_it_stopped() {
        let mut bbr = Bbr::new(Time::ZERO, 1_200, 7);
        bbr.model.resume(1e6, Duration::from_millis(40));
        bbr.model.full_bw_reached = true;
        bbr.window = 80_000;
        let rested = Rested::of(&bbr);
        assert!(size_of::<Rested>() * 10 <= size_of::<Bbr>(), "{}", size_of::<Bbr>());
        let now = Time::from_micros(5_000_000);
        let resumed = rested.resume(now);
        assert_eq!((resumed.state, resumed.window()), (State::Cruise, 80_000));
        assert_eq!(resumed.pacing_rate(&Rtt::default()), 990_000);
        assert_eq!(resumed.model.min_rtt, Some(Duration::from_millis(40)));
    }

    #[test]
    fn a_controller_that_measured_nothing_starts_again() {
        let resumed = Rested::of(&Bbr::new(Time::ZERO, 1_200, 7)).resume(Time::ZERO);
        assert_eq!((resumed.state, resumed.window()), (State::Startup, 12_000));
    }
}
