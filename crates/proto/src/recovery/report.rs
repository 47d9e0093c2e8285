//! The results of processing an ACK or a loss timer.

use std::time::Duration;

use super::sent::SentFrame;
use crate::{limits::BASE_MTU, time::Time};

/// The results of `InFlight::on_ack` and `detect_lost`. Each connection reuses one, which allocates
/// only while its lists grow.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// `true` if anything was added since it was cleared.
    pub(crate) is_news: bool,
    /// Frames of the packets newly acknowledged, oldest packet first within each range.
    pub(crate) acked: Vec<SentFrame>,
    /// Frames of the packets newly lost, oldest first.
    pub(crate) lost: Vec<SentFrame>,
    /// The ack-eliciting packets newly lost, oldest first.
    pub(crate) lost_packets: Vec<LostPacket>,
    /// The highest number newly acknowledged (M-20).
    pub(crate) acked_number: Option<u64>,
    /// The size of the largest packet of this path newly acknowledged, except probes (P-5).
    pub(crate) acked_bytes: u16,
    /// The size of an MTU probe newly acknowledged (P-4).
    pub(crate) mtu_probe_acked: Option<u16>,
    /// The delivery sample, if a packet that counts was delivered.
    pub(crate) sample: Option<AckSample>,
    /// The loss event, if packets that count were lost.
    pub(crate) loss: Option<LossEvent>,
    /// When the newest packet known to have met a congestion mark was sent.
    pub(crate) marked_at: Option<Time>,
    /// All packets of the last congestion event have arrived after all.
    pub(crate) spurious: bool,
}

/// A lost packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostPacket {
    /// Its number.
    pub(crate) number: u64,
    /// When it was sent.
    pub(crate) at: Time,
    /// The size of its UDP payload.
    pub(crate) bytes: u16,
    /// A probe of the current path's MTU, whose loss is no sign of congestion (P-4).
    pub(crate) mtu_probe: bool,
    /// Sent on the current path and no probe: its loss is a sign of congestion.
    pub(crate) counts: bool,
    /// Bytes in flight after it was sent.
    pub(crate) tx_in_flight: u64,
    /// Bytes lost since it was sent, its own included.
    pub(crate) lost_since: u64,
    /// Sent while the application had no more to send.
    pub(crate) app_limited: bool,
}

impl LostPacket {
    /// Returns `true` if the packet is larger than every path must carry, so that its loss may
    /// indicate a black hole (P-5).
    pub(crate) fn is_large(&self) -> bool {
        usize::from(self.bytes) > BASE_MTU && self.counts
    }
}

/// A loss of packets that count for congestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LossEvent {
    /// When the newest of them was sent.
    pub(crate) newest: Time,
    /// They span persistent congestion.
    pub(crate) persistent: bool,
}

/// A measurement of the path from packets acknowledged together. Only ack-eliciting packets of the
/// current path count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckSample {
    /// Bytes newly acknowledged.
    pub(crate) bytes: u64,
    /// When the newest of these packets was sent.
    pub(crate) newest: Time,
    /// The RTT including the peer's delay, if the highest number of the ACK is among them.
    pub(crate) rtt: Option<Duration>,
    /// Bytes in flight before this ACK.
    pub(crate) in_flight_before: u64,
    /// Bytes in flight after this ACK and its losses.
    pub(crate) in_flight: u64,
    /// Bytes acknowledged on this path in total.
    pub(crate) delivered: u64,
    /// The same when the newest of these packets was sent: rounds are counted by it.
    pub(crate) prior_delivered: u64,
    /// Bytes per second, if the sample is reliable.
    pub(crate) delivery_rate: Option<u64>,
    /// Bytes in flight after the newest of these packets was sent.
    pub(crate) tx_in_flight: u64,
    /// Bytes lost since then.
    pub(crate) lost_since: u64,
    /// The newest of these packets was sent while the application had no more to send.
    pub(crate) app_limited: bool,
}

impl Report {
    /// Clears the report for the next ACK.
    pub(crate) fn clear(&mut self) {
        self.acked.clear();
        self.lost.clear();
        self.lost_packets.clear();
        let kept = std::mem::take(self);
        *self = Self {
            acked: kept.acked,
            lost: kept.lost,
            lost_packets: kept.lost_packets,
            ..Self::default()
        };
    }
}
