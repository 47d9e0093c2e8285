//! Loss recovery, acknowledgements and congestion control.
//!
//! In: packets sent, ACKs, time. Out: frames acknowledged and lost, deadlines, a window, a rate.
//! Never: sockets, keys, message contents.
//!
//! ```text
//! leaving   Controller::window, Pacer::may_send ─▶ InFlight::record ─▶ Controller::on_sent
//! ACK       InFlight::on_ack ─▶ Report ─▶ Controller::on_report ─▶ Pacer::set_rate
//! timer     InFlight::detect_lost ─▶ Report ─▶ the same;  InFlight::on_pto ─▶ two probes
//! arriving  PendingAcks::on_packet ─▶ is_due / ranges ─▶ on_ack_written
//! ```

use crate::wire::level::Level;

pub(crate) mod ack;
pub(crate) mod congestion;
pub(crate) mod ecn;
pub(crate) mod in_flight;
pub(crate) mod pacing;
mod rate;
mod reordering;
pub(crate) mod report;
pub(crate) mod rtt;
pub(crate) mod sent;

/// Groups of levels that one ACK may cover together (M-12): ZeroRtt counts as Data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Hello,
    Handshake,
    Data,
}

impl Group {
    const ALL: &'static [Self; 3] = &[Self::Hello, Self::Handshake, Self::Data];
    const COUNT: usize = Self::ALL.len();

    const fn of(level: Level) -> Self {
        match level {
            Level::Hello => Self::Hello,
            Level::Handshake => Self::Handshake,
            Level::ZeroRtt | Level::Data => Self::Data,
        }
    }

    /// Returns the groups from `lowest` to `highest`, both included.
    fn between(lowest: Self, highest: Self) -> &'static [Self] {
        Self::ALL.get(lowest.index()..=highest.index()).unwrap_or_default()
    }

    const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests;
