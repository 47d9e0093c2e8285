//! A fixed rate chosen by the caller.

use super::{AckSample, Control, LossEvent};
use crate::{recovery::rtt::Rtt, time::Time};

/// The minimum number of packets that the window assumes per RTT.
const MIN_PACKETS: u64 = 10;

/// See [`super::Congestion::Fixed`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    rate: u64,
    mtu: u64,
    window: u64,
}

impl Fixed {
    pub(super) fn new(rate: u64, mtu: u64) -> Self {
        let mut fixed = Self { rate: rate.max(1), mtu, window: 0 };
        fixed.set_window(&Rtt::default());
        fixed
    }

    /// Sets the window to twice what the rate keeps in flight at one and a quarter times the RTT.
    fn set_window(&mut self, rtt: &Rtt) {
        let micros = rtt.smoothed().as_micros() * 5 / 4;
        let flight = u128::from(self.rate) * micros / 1_000_000;
        let flight = u64::try_from(flight).unwrap_or(u64::MAX).max(MIN_PACKETS * self.mtu);
        self.window = flight.saturating_mul(2);
    }
}

impl Control for Fixed {
    fn on_loss(&mut self, _now: Time, _event: &LossEvent, _in_flight: u64) {}

    fn on_marked(&mut self, _now: Time, _left: Time) {}

    fn on_spurious(&mut self, _now: Time) {}

    fn on_ack(&mut self, _now: Time, _sample: &AckSample, rtt: &Rtt) {
        self.set_window(rtt);
    }

    fn on_mtu(&mut self, mtu: u64) {
        self.mtu = mtu;
        self.window = self.window.max(2 * MIN_PACKETS * mtu);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self, _rtt: &Rtt) -> u64 {
        self.rate
    }

    fn is_slow_start(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_window_is_twice_what_the_rate_needs() {
        let mut rtt = Rtt::default();
        rtt.update(Duration::from_millis(100), Duration::ZERO);
        let mut fixed = Fixed::new(1_000_000, 1_200);
        fixed.set_window(&rtt);
        assert_eq!(fixed.window(), 250_000);
    }

    #[test]
    fn the_window_is_never_below_twenty_packets() {
        assert_eq!(Fixed::new(1, 1_200).window(), 24_000);
        assert!(Fixed::new(u64::MAX, 1_200).window() > u64::MAX / 2);
    }
}
