//! Messages as the application sees them, their delivery, and the queues on both sides.
//!
//! In: messages to send, fragments received. Out: fragments to send, whole messages. Never:
//! packets, keys.
//!
//! ```text
//! push ─▶ outbox ─▶ lane (one class of one channel) ─▶ schedule ─▶ sending::write ─▶ wire
//! wire ─▶ inbox::insert ─▶ credited | uncredited ─▶ assembly ─▶ queue ─▶ take
//! ```

use std::{fmt, ops::Range, str::Utf8Error};

use bytes::Bytes;

use crate::delivery::{ChannelId, Class};

pub(crate) mod budget;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub(crate) mod peer_limits;
pub(crate) mod receipt;

mod accounts;
mod assembly;
mod buffers;
mod compact_map;
pub(crate) mod compactor;
mod credit;
mod credited;
mod lane;
mod outcomes;
pub(crate) mod outgoing;
pub(crate) mod queue;
pub(crate) mod ranges;
mod schedule;
pub(crate) mod sending;
mod slot_map;
mod uncredited;
mod window;

#[cfg(test)]
mod tests;

/// A message as the application receives it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The channel it arrived on.
    pub channel: ChannelId,
    /// The delivery class that its sender chose.
    pub class: Class,
    /// Its content.
    pub payload: Bytes,
}

impl Message {
    /// Makes a message as if it had been received, for tests of code that handles messages.
    pub fn new(channel: ChannelId, class: Class, payload: impl Into<Bytes>) -> Self {
        Self { channel, class, payload: payload.into() }
    }

    /// Returns the payload as text. It is as the peer sent it: not safe to print on a terminal.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8.
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

pub(crate) use crate::wire::frame::{Fragment, FragmentHeader};

impl FragmentHeader {
    /// Returns what to remember of it until its packet is acknowledged or lost.
    pub(crate) const fn sent(&self) -> SentFragment {
        // Messages are shorter than 2^32 bytes: `Outbox::check`.
        let (offset, len) = (self.offset as u32, self.len as u32);
        SentFragment { channel: self.channel, class: self.class, id: self.id, offset, len }
    }
}

/// The messages or the fragment that a packet carried, remembered until it is acknowledged or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A fragment of a message, or all of it.
    Fragment(SentFragment),
    /// Whole messages.
    Run(SentRun),
}

/// A fragment that was sent in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentFragment {
    pub(crate) channel: ChannelId,
    pub(crate) class: Class,
    pub(crate) id: u64,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// Whole messages with consecutive ids that were sent in a packet.
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

/// The owner of credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Connection,
    Channel(ChannelId),
}

/// One class on one channel: the unit of message ids and of scheduling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LaneId {
    channel: ChannelId,
    class: Class,
}
