//! What a sender hears of its message.
//!
//! In: nothing. Out: names and reasons. Never: logic.

/// Names one `push`; its outcome comes with the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(pub u64);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The peer has all of it and keeps it for its application. Ordered: all earlier ones of its
    /// channel are acknowledged, too, so nothing keeps the application from it.
    Acknowledged,
    /// Unreliable: all of it was sent, and that is all there is to know.
    Sent,
    /// Deadline: its time was up before all of it had left, the way to the peer counted. It was
    /// certainly not delivered.
    Expired,
    /// Deadline: all of it left, and its time was up before the peer said whether it came. It was
    /// delivered in time, or not at all.
    Unconfirmed,
    /// Latest: a newer one took its place. The peer may have it all the same.
    Superseded,
    /// The peer, known only after it was queued, accepts no message of this size.
    TooLarge,
    /// The connection ended first. The peer may have it all the same.
    Unsent,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The outbox is full: wait until something was sent, and receipts were taken.
    #[error("the queue of messages to send is full")]
    Full,
    /// The peer accepts no message of this size, or the outbox could never hold it.
    #[error("the message is larger than the peer accepts")]
    TooLarge,
    /// The connection is over, or about to be.
    #[error("the connection is over")]
    Closed,
}
