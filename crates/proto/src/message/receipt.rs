//! What the sender learns about its message.
//!
//! Never: logic.

/// Identifies one call of `push`; its outcome carries the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(pub u64);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The peer has the whole message and keeps it for its application. Ordered: all earlier
    /// messages of the channel are acknowledged too, so that nothing holds it up.
    Acknowledged,
    /// Unreliable: the whole message was sent, and nothing more will be known.
    Sent,
    /// Deadline: it expired before all of it was sent, the delay of the path included. Unreliable:
    /// it waited too long to be sent, for a round trip, or 50 to 100 ms. It was certainly not
    /// delivered.
    Expired,
    /// Deadline: all of it was sent, and it expired before the peer acknowledged it. It was
    /// delivered in time, or not at all.
    Unconfirmed,
    /// Latest: a newer message replaced it. The peer may have received it nevertheless.
    Superseded,
    /// The peer, whose limits became known only after it was queued, accepts no message of this
    /// size.
    TooLarge,
    /// The connection ended first. The peer may have received it nevertheless.
    Unsent,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The outbox is full: wait until something was sent and outcomes were taken.
    #[error("the queue of messages to send is full")]
    Full,
    /// The peer accepts no message of this size, or the outbox could never hold it.
    #[error("the message is larger than the peer accepts")]
    TooLarge,
    /// The connection is closed, or about to close.
    #[error("the connection is closed")]
    Closed,
}
