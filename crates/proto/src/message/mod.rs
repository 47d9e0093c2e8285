//! What the application sees: messages, their delivery, the queues on both sides.
//!
//! In: messages to send, parts received. Out: parts to send, messages whole. Never: packets, keys.
//!
//! ```text
//! push ─▶ outbox ─▶ lane (one class of one channel) ─▶ schedule ─▶ sending::write ─▶ wire
//! wire ─▶ inbox::insert ─▶ credited | uncredited ─▶ assembly ─▶ ready ─▶ pop
//! ```

use std::{fmt, ops::Range, str::Utf8Error, time::Duration};

use bytes::Bytes;

use crate::delivery::{ChannelId, Class};

pub(crate) mod budget;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub(crate) mod peer_limits;
pub(crate) mod receipt;

mod accounts;
mod assembly;
mod credit;
mod credited;
mod directory;
mod lane;
mod ledger;
mod outcomes;
pub(crate) mod outgoing;
pub(crate) mod ranges;
mod ready;
mod schedule;
pub(crate) mod sending;
mod uncredited;
mod window;

#[cfg(test)]
mod tests;

/// A message as the application takes it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The channel it came on.
    pub channel: ChannelId,
    /// What its sender asked for it.
    pub class: Class,
    /// What it says.
    pub payload: Bytes,
}

impl Message {
    /// A message as if it had been received, for tests of what handles messages.
    pub fn new(channel: ChannelId, class: Class, payload: impl Into<Bytes>) -> Self {
        Self { channel, class, payload: payload.into() }
    }

    /// What it says, as text. It is as the peer sent it: not safe for a terminal.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.payload)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.payload.len();
        write!(f, "{:?} message of {len} bytes on channel {}", self.class, self.channel.0)
    }
}

pub(crate) use crate::wire::frame::MessagePart;

/// A part of a message that is to be written into a packet now: all but its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartRef {
    pub(crate) channel: ChannelId,
    pub(crate) class: Class,
    pub(crate) id: u64,
    /// Deadline only, in whole milliseconds.
    pub(crate) time_left: Option<Duration>,
    pub(crate) total: usize,
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

impl PartRef {
    /// What to remember of it until its packet is acknowledged or lost.
    pub(crate) const fn sent(&self) -> SentPart {
        // Messages are shorter than 2^32 bytes: `Outbox::check`.
        let (offset, len) = (self.offset as u32, self.len as u32);
        SentPart { channel: self.channel, class: self.class, id: self.id, offset, len }
    }
}

/// What was sent of messages in some packet, to be remembered until that is acknowledged or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A part of one, or all of it.
    Part(SentPart),
    /// Whole ones.
    Run(SentRun),
}

/// A part that was sent in some packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentPart {
    pub(crate) channel: ChannelId,
    pub(crate) class: Class,
    pub(crate) id: u64,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// Whole messages with ids on end that were sent in some packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentRun {
    pub(crate) channel: ChannelId,
    pub(crate) class: Class,
    pub(crate) first: u64,
    pub(crate) count: u32,
}

impl SentRun {
    fn ids(&self) -> Range<u64> {
        self.first..self.first + u64::from(self.count)
    }
}

/// Whose credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Connection,
    Channel(ChannelId),
}

/// One class on one channel: ids count in it, and the sender serves it as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LaneId {
    channel: ChannelId,
    class: Class,
}

/// Length of a MESSAGE frame before its bytes: type, channel, id, the time left in milliseconds
/// (Deadline), total and offset (of a fragment), length. See PROTOCOL.md section 4.
pub(crate) const fn header_len(part: &PartRef) -> usize {
    let mut len = 1 + varint_len(part.channel.0 as u64) + varint_len(part.id);
    if let Some(left) = part.time_left {
        len += varint_len(left.as_millis() as u64);
    }
    if part.len != part.total {
        len += varint_len(part.total as u64) + varint_len(part.offset as u64);
    }
    len + varint_len(part.len as u64)
}

/// Length of a varint, RFC 9000 section 16.
const fn varint_len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}
