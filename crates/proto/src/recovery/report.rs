//! What an ACK or an alarm brought to light.
//!
//! In: findings of the in-flight store. Out: the same, for the spine and the controller.
//! Never: decisions.

use std::time::Duration;

use super::sent::SentFrame;
use crate::{limits::BASE_MTU, time::Time};

/// Findings, gathered by `InFlight::on_ack` and `detect_lost`. One per connection, used again: it
/// allocates only while its lists grow.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// It was written to since it was cleared.
    pub(crate) is_news: bool,
    /// Frames of packets acknowledged just now, oldest packet first within each range.
    pub(crate) acked: Vec<SentFrame>,
    /// Frames of packets found lost just now, oldest first.
    pub(crate) lost: Vec<SentFrame>,
    /// The ack-eliciting packets found lost just now, oldest first.
    pub(crate) lost_packets: Vec<LostPacket>,
    /// The highest number acknowledged just now (M-20).
    pub(crate) acked_number: Option<u64>,
    /// Size of the largest packet of this path acknowledged just now, probes apart (P-5).
    pub(crate) acked_bytes: u16,
    /// Size of an MTU probe acknowledged just now (P-4).
    pub(crate) mtu_probe_acked: Option<u16>,
    /// What was delivered, when anything that counts was.
    pub(crate) sample: Option<AckSample>,
    /// Congestion, when packets that count were lost.
    pub(crate) loss: Option<LossEvent>,
    /// When the newest packet left that is known to have met a congestion mark.
    pub(crate) marked_at: Option<Time>,
    /// All packets of the last congestion event came after all.
    pub(crate) spurious: bool,
}

/// A packet that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostPacket {
    /// Its number.
    pub(crate) number: u64,
    /// When it left.
    pub(crate) at: Time,
    /// UDP payload.
    pub(crate) bytes: u16,
    /// A probe of the present path's MTU: no sign of congestion (P-4).
    pub(crate) mtu_probe: bool,
    /// Left on the present path, and no probe: a sign of congestion.
    pub(crate) counts: bool,
    /// Bytes in flight after it left.
    pub(crate) tx_in_flight: u64,
    /// Bytes lost from when it left until now, its own among them.
    pub(crate) lost_since: u64,
    /// Sent while the application had no more.
    pub(crate) app_limited: bool,
}

impl LostPacket {
    /// Larger than every path has to carry, so that its loss on this one hints at a black hole
    /// (P-5).
    pub(crate) fn is_large(&self) -> bool {
        usize::from(self.bytes) > BASE_MTU && self.counts
    }
}

/// Packets that count for congestion were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LossEvent {
    /// When the newest of them left.
    pub(crate) newest: Time,
    /// They span persistent congestion.
    pub(crate) persistent: bool,
}

/// What packets acknowledged together tell of the path. Only packets of the present path count,
/// and only ack-eliciting ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckSample {
    /// Bytes acknowledged just now.
    pub(crate) bytes: u64,
    /// When the newest of these packets left.
    pub(crate) newest: Time,
    /// RTT, when the highest number of the ACK is among them; the peer's delay is in it.
    pub(crate) rtt: Option<Duration>,
    /// Bytes in flight before this ACK.
    pub(crate) in_flight_before: u64,
    /// Bytes in flight after this ACK and its losses.
    pub(crate) in_flight: u64,
    /// Bytes ever acknowledged on this path.
    pub(crate) delivered: u64,
    /// The same when the newest of these packets left: rounds are counted by it.
    pub(crate) prior_delivered: u64,
    /// Bytes a second, when the sample is good for it.
    pub(crate) delivery_rate: Option<u64>,
    /// Bytes in flight after the newest of these packets left.
    pub(crate) tx_in_flight: u64,
    /// Bytes lost from then until now.
    pub(crate) lost_since: u64,
    /// The newest of these packets was sent while the application had no more.
    pub(crate) app_limited: bool,
}

impl Report {
    /// Empties it, for the next ACK.
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
