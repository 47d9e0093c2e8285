//! A message as the application hands it over, and as it gets it back.

use std::fmt;

use bytes::Bytes;

use super::receipt::{QueueError, ReceiptId};
use crate::{ChannelId, Delivery};

/// A message to send.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The channel to send it on.
    pub channel: ChannelId,
    /// What is promised for it.
    pub delivery: Delivery,
    /// Its content. Shared: one payload can go to any number of connections. A small part of a
    /// large buffer is copied where it would keep that buffer for itself, or where many messages
    /// wait ([`Compactor`](crate::Compactor)).
    pub payload: Bytes,
    /// `true` if a second delivery does no harm: the message may be sent as 0-RTT, which an
    /// observer can replay (M-36).
    pub repeatable: bool,
    /// The number of its receipt, if the caller assigns them: then it does so for every message of
    /// the connection, and uses each number once. Otherwise the connection assigns it.
    pub receipt: Option<ReceiptId>,
}

impl Outgoing {
    /// Creates a message that must not be replayed, and whose receipt the connection numbers.
    #[must_use]
    pub fn new(
        channel: impl Into<ChannelId>,
        delivery: Delivery,
        payload: impl Into<Bytes>,
    ) -> Self {
        let (channel, payload) = (channel.into(), payload.into());
        Self { channel, delivery, payload, repeatable: false, receipt: None }
    }

    /// Allows it to be sent as 0-RTT, which an observer can replay (M-36).
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Sets the number of its receipt.
    #[must_use]
    pub const fn with_receipt(mut self, receipt: ReceiptId) -> Self {
        self.receipt = Some(receipt);
        self
    }
}

/// Without the bytes of the payload.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, delivery, payload, .. } = self;
        write!(f, "{delivery} message of {} bytes for channel {channel}", payload.len())
    }
}

/// A message that was not queued.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// Its content.
    pub payload: Bytes,
    /// Why it was not queued.
    pub reason: QueueError,
}

/// Without the bytes of the payload.
impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused {{ {} bytes, {:?} }}", self.payload.len(), self.reason)
    }
}
