//! Congestion control: how much may be in flight, and how fast it may be sent.
//!
//! In: packets sent, delivered, lost. Out: a window in bytes, a rate in bytes per second. Never:
//! packets, timers.

use super::{
    report::{AckSample, LossEvent, LostPacket, Report},
    rtt::Rtt,
};
use crate::time::Time;

mod bbr;
mod cubic;
mod fixed;
mod hystart;

/// The congestion control algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Congestion {
    /// CUBIC (RFC 9438), with HyStart++ (RFC 9406) for slow start. Fills the available buffer and
    /// backs off on every loss, also on those that Wi-Fi and mobile networks lose at random.
    Cubic,
    /// BBR version 3 (draft-ietf-ccwg-bbr), which follows a model of the path and keeps queues
    /// short. It tells random loss from congestion by the delay, and where it is congestion takes
    /// no more than CUBIC would.
    #[default]
    Bbr,
    /// A constant rate chosen by the caller, regardless of loss. For links that carry no other
    /// traffic.
    Fixed {
        /// Bytes of UDP payload per second.
        rate: u64,
    },
}

impl Congestion {
    /// Returns the algorithm with this name, `cubic` or `bbr` (`fixed` needs a rate).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "cubic" => Some(Self::Cubic),
            "bbr" => Some(Self::Bbr),
            _ => None,
        }
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Fixed { .. } => "fixed",
        }
    }
}

/// The operations of a controller.
trait Control {
    fn on_sent(&mut self, _now: Time, _in_flight_before: u64) {}
    fn on_packet_lost(&mut self, _now: Time, _packet: &LostPacket) {}
    fn on_loss(&mut self, now: Time, event: &LossEvent, in_flight: u64);
    fn on_marked(&mut self, now: Time, left: Time);
    fn on_spurious(&mut self, now: Time);
    fn on_ack(&mut self, now: Time, sample: &AckSample, rtt: &Rtt);
    fn on_mtu(&mut self, mtu: u64);
    fn window(&self) -> u64;
    fn pacing_rate(&self, rtt: &Rtt) -> u64;
    fn is_slow_start(&self) -> bool;
}

/// The controller of one path.
#[derive(Debug)]
pub(crate) enum Controller {
    Cubic(Box<cubic::Cubic>),
    Bbr(Box<bbr::Bbr>),
    /// BBR on an idle connection.
    Rested(bbr::Rested),
    Fixed(fixed::Fixed),
}

impl Controller {
    /// Creates a controller with the initial window, for packets of `mtu` bytes. `seed` randomises
    /// BBR's times of probing, which should differ between connections. Allocates once.
    pub(crate) fn new(congestion: Congestion, now: Time, mtu: usize, seed: u64) -> Self {
        let mtu = mtu as u64;
        match congestion {
            Congestion::Cubic => Self::Cubic(Box::new(cubic::Cubic::new(mtu))),
            Congestion::Bbr => Self::Bbr(Box::new(bbr::Bbr::new(now, mtu, seed))),
            Congestion::Fixed { rate } => Self::Fixed(fixed::Fixed::new(rate, mtu)),
        }
    }

    /// Records that a packet that counts was sent with this many bytes in flight before it.
    pub(crate) fn on_sent(&mut self, now: Time, in_flight_before: u64) {
        self.awake(now).on_sent(now, in_flight_before);
    }

    /// Processes the results of one ACK or timer; `in_flight` is the value after it.
    pub(crate) fn on_report(&mut self, now: Time, report: &Report, rtt: &Rtt, in_flight: u64) {
        let control = self.awake(now);
        if report.spurious {
            control.on_spurious(now);
        }
        // Losses before deliveries, as in RFC 9002 appendix A.7.
        for packet in report.lost_packets.iter().filter(|packet| packet.counts) {
            control.on_packet_lost(now, packet);
        }
        if let Some(event) = &report.loss {
            control.on_loss(now, event, in_flight);
        }
        if let Some(left) = report.marked_at {
            control.on_marked(now, left);
        }
        if let Some(sample) = &report.sample {
            control.on_ack(now, sample, rtt);
        }
    }

    /// Changes the packet size of the path.
    pub(crate) fn on_mtu(&mut self, mtu: usize) {
        self.control_mut().on_mtu(mtu as u64);
    }

    /// Returns how many bytes may be in flight.
    pub(crate) fn window(&self) -> u64 {
        self.control().window()
    }

    /// Returns the rate in bytes per second at which packets should be sent.
    pub(crate) fn pacing_rate(&self, rtt: &Rtt) -> u64 {
        self.control().pacing_rate(rtt)
    }

    /// Releases what an idle connection does not need. Only while nothing is in flight.
    pub(crate) fn release_memory(&mut self) {
        if let Self::Bbr(bbr) = self {
            *self = Self::Rested(bbr::Rested::of(bbr));
        }
    }

    /// Returns the controller, awake.
    fn awake(&mut self, now: Time) -> &mut dyn Control {
        if let Self::Rested(rested) = self {
            *self = Self::Bbr(Box::new(rested.resume(now)));
        }
        self.control_mut()
    }

    fn control(&self) -> &dyn Control {
        match self {
            Self::Cubic(cubic) => cubic.as_ref(),
            Self::Bbr(bbr) => bbr.as_ref(),
            Self::Rested(rested) => rested,
            Self::Fixed(fixed) => fixed,
        }
    }

    fn control_mut(&mut self) -> &mut dyn Control {
        match self {
            Self::Cubic(cubic) => cubic.as_mut(),
            Self::Bbr(bbr) => bbr.as_mut(),
            Self::Rested(rested) => rested,
            Self::Fixed(fixed) => fixed,
        }
    }
}

/// RFC 9002 section 7.2.
fn initial_window(mtu: u64) -> u64 {
    (10 * mtu).min((2 * mtu).max(14_720))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_window_is_ten_packets_except_for_large_ones() {
        assert_eq!(initial_window(1_200), 12_000);
        assert_eq!(initial_window(1_500), 14_720);
        assert_eq!(initial_window(65_507), 131_014);
    }

    #[test]
    fn r_8_controllers_have_names() {
        assert_eq!(Congestion::from_name("cubic"), Some(Congestion::Cubic));
        assert_eq!(Congestion::from_name("bbr"), Some(Congestion::Bbr));
        assert_eq!(Congestion::from_name("reno"), None);
        assert_eq!(Congestion::Fixed { rate: 1 }.name(), "fixed");
    }

    #[test]
    fn p_4_a_lost_probe_is_no_congestion() {
        let probe = LostPacket {
            number: 1,
            at: Time::ZERO,
            bytes: 1_400,
            mtu_probe: true,
            counts: false,
            tx_in_flight: 1_400,
            lost_since: 0,
            app_limited: false,
        };
        let report = Report { lost_packets: vec![probe], ..Report::default() };
        for congestion in [Congestion::Cubic, Congestion::Bbr] {
            let mut controller = Controller::new(congestion, Time::ZERO, 1_200, 1);
            controller.on_report(Time::ZERO, &report, &Rtt::default(), 0);
            assert_eq!(controller.window(), 12_000);
        }
    }
}
