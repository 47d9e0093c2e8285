//! What is remembered of a packet that left.
//!
//! In: a packet's facts. Out: the same, later. Never: decisions.

use super::rate::Snapshot;
use crate::{
    message::{Scope, Sent},
    time::Time,
    wire::level::Level,
};

/// What to do about a frame when its packet is acknowledged or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentFrame {
    /// Nothing to do.
    Ping,
    /// PING, for an application that asked then.
    TimedPing(Time),
    /// An ACK that left at `level` and listed *all* that was owed up to `largest`. (One for which
    /// some ranges did not fit must not be recorded so: they would never be told.)
    AckUpTo { level: Level, largest: u64 },
    /// Handshake bytes.
    Crypto { level: Level, offset: u64, len: u16 },
    /// DONE.
    Done,
    /// END.
    End,
    /// NEW_ID of this sequence.
    NewId(u64),
    /// RETIRE_ID of this sequence.
    RetireId(u64),
    /// CHALLENGE with this data.
    Challenge([u8; 8]),
    /// RESPONSE.
    Response,
    /// CREDIT or CHANNEL_CREDIT.
    Credit(Scope),
    /// BLOCKED, on a channel or on the connection.
    Blocked(Scope),
    /// Of messages.
    Message(Sent),
}

/// A packet that left.
#[derive(Debug)]
pub(crate) struct SentPacket {
    /// Its number.
    pub(crate) number: u64,
    /// Its level.
    pub(crate) level: Level,
    /// When it left.
    pub(crate) at: Time,
    /// UDP payload.
    pub(crate) bytes: u16,
    /// Does it count for loss (PROTOCOL.md section 4)?
    pub(crate) eliciting: bool,
    /// Is it a probe of the path's MTU (P-4)?
    pub(crate) mtu_probe: bool,
    /// Did it leave as ECT(0)?
    pub(crate) marked: bool,
    /// Which path it left on.
    pub(crate) path: u8,
    /// Does its loss call for nothing? Written by `record`.
    pub(crate) trifle: bool,
    /// Its frames; a Vec of [`super::in_flight::InFlight::lend_frames`].
    pub(crate) frames: Vec<SentFrame>,
    /// Delivery as it was then; written by `record`.
    pub(crate) snapshot: Snapshot,
}

impl SentPacket {
    /// An ack-eliciting packet on path 0, without marks; change what differs.
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
            trifle: false,
            frames,
            snapshot: Snapshot::default(),
        }
    }
    /// Holds it nothing that is sent again when it is lost, or that something else does not send
    /// again in time?
    pub(crate) fn is_trifle(&self) -> bool {
        let trifle = |frame: &SentFrame| {
            use SentFrame::{AckUpTo, Challenge, Ping, Response};
            matches!(frame, Ping | AckUpTo { .. } | Challenge(_) | Response)
        };
        !self.mtu_probe && self.frames.iter().all(trifle)
    }
}
