//! The record of a sent packet.

use crate::{
    message::{Scope, Sent},
    time::Time,
    wire::level::Level,
};

/// A frame of a sent packet, with what its acknowledgement or loss needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentFrame {
    /// A PING: nothing to do.
    Ping,
    /// A PING that the application requested at this time.
    TimedPing(Time),
    /// An ACK sent at `level` that listed *everything* pending up to `largest`. (An ACK that had no
    /// room for some ranges must not be recorded this way: those ranges would never be listed.)
    AckUpTo { level: Level, largest: u64 },
    /// Handshake bytes.
    Crypto { level: Level, offset: u64, len: u16 },
    /// DONE.
    Done,
    /// END.
    End,
    /// NEW_ID with this sequence number.
    NewId(u64),
    /// RETIRE_ID with this sequence number.
    RetireId(u64),
    /// CHALLENGE with this data.
    Challenge([u8; 8]),
    /// RESPONSE.
    Response,
    /// CREDIT or CHANNEL_CREDIT.
    Credit(Scope),
    /// BLOCKED, for a channel or the connection.
    Blocked(Scope),
    /// A frame of a message.
    Message(Sent),
}

/// A sent packet.
#[derive(Debug)]
pub(crate) struct SentPacket {
    /// Its number.
    pub(crate) number: u64,
    /// Its level.
    pub(crate) level: Level,
    /// When it was sent.
    pub(crate) at: Time,
    /// The size of its UDP payload.
    pub(crate) bytes: u16,
    /// Counts for loss detection (PROTOCOL.md section 4).
    pub(crate) eliciting: bool,
    /// A probe of the path's MTU (P-4).
    pub(crate) mtu_probe: bool,
    /// Sent as ECT(0).
    pub(crate) marked: bool,
    /// The path it was sent on.
    pub(crate) path: u8,
    /// Its loss has no consequence. Set by `record`.
    pub(crate) expendable: bool,
    /// How many of its frames are not copies of what earlier packets carry; 0 once they were copied
    /// themselves. Set by `record`.
    pub(crate) originals: u16,
    /// Its frames, in a list from [`super::in_flight::InFlight::lend_frames`].
    pub(crate) frames: Vec<SentFrame>,
    /// The state of delivery when it was sent; set by `record`.
    pub(crate) snapshot: Snapshot,
}

/// The state of the path when a packet was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    pub(super) delivered: u64,
    pub(super) delivered_at: Time,
    pub(super) first_sent_at: Time,
    pub(super) lost: u64,
    pub(super) in_flight: u64,
    pub(super) app_limited: bool,
}

impl Snapshot {
    /// Returns the bytes in flight after the packet was sent.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Returns `true` if the packet was sent while the application had no more to send.
    pub(super) const fn is_app_limited(&self) -> bool {
        self.app_limited
    }
}

impl SentPacket {
    /// Creates a record of an unmarked ack-eliciting packet on path 0, for the caller to adjust.
    pub(crate) fn new(
        number: u64,
        level: Level,
        at: Time,
        bytes: u16,
        frames: Vec<SentFrame>,
    ) -> Self {
        Self {
            number,
            level,
            at,
            bytes,
            eliciting: true,
            mtu_probe: false,
            marked: false,
            path: 0,
            expendable: false,
            originals: 0,
            frames,
            snapshot: Snapshot::default(),
        }
    }

    /// Returns `true` if nothing in the packet is retransmitted when it is lost, or if something
    /// else retransmits it in time.
    pub(crate) fn is_expendable(&self) -> bool {
        let expendable = |frame: &SentFrame| {
            use SentFrame::{AckUpTo, Challenge, Ping, Response};
            matches!(frame, Ping | AckUpTo { .. } | Challenge(_) | Response)
        };
        !self.mtu_probe && self.frames.iter().all(expendable)
    }
}
