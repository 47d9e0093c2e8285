//! Why a connection has ended, and why a message was not delivered.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use hikyaku_proto::{ClosedReason, Outcome, error::Close};

use crate::keys::signers::Fingerprint;

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// This side closed the connection.
    #[error("the connection was closed here")]
    Here,
    /// The peer closed it; code 0 is a normal end.
    #[error("the peer closed the connection{}", because(*.code, .reason))]
    ByPeer {
        /// The peer's code: 0, or the application's own from [`Close::APPLICATION`] on.
        code: u64,
        /// For people, as the peer sent it: not safe to print on a terminal.
        reason: String,
    },
    /// Nothing was received from the peer for the idle timeout.
    #[error("the peer stopped responding")]
    Silent,
    /// The peer no longer knows the connection: it received nothing during the idle timeout, for
    /// example because this side was suspended, or it was restarted.
    #[error(
        "the peer no longer knows the connection: it restarted or received nothing for too long"
    )]
    Reset,
    /// The handshake did not complete in time: no answer arrived.
    #[error("no answer")]
    NoAnswer,
    /// The peer proved its identity, but nothing it sealed opened: the shared keys differ, or one
    /// side has none.
    #[error("the peer has another shared key, or one side has none")]
    SharedKey,
    /// The peer supports no version of the protocol that this side supports.
    #[error("the peer speaks another version of the protocol")]
    Version,
    /// The peer violated the protocol, or this side failed.
    #[error("the connection failed{}", because(*.code, .reason))]
    Failed {
        /// The code that was sent to the peer.
        code: u64,
        /// For people.
        reason: String,
    },
    /// Handling the connection panicked on this side: a bug in this library or one of its
    /// dependencies. Please report it. The connection was dropped, and the endpoint continues.
    /// Messages that the peer sent and that had not been received are lost, including acknowledged
    /// ones.
    #[error("an internal error on this side ended the connection; please report it")]
    Fault,
    /// The endpoint has ended: its socket failed, or its runtime was shut down.
    #[error("the endpoint has ended")]
    EndpointGone,
}

impl Closed {
    /// Returns `true` if the connection ended normally: with code 0, by either side.
    #[must_use]
    pub const fn is_graceful(&self) -> bool {
        matches!(self, Self::Here | Self::ByPeer { code: Close::NO_ERROR, .. })
    }

    /// Returns the code that one side closed it with, if one did.
    #[must_use]
    pub const fn code(&self) -> Option<u64> {
        match self {
            Self::ByPeer { code, .. } | Self::Failed { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Returns `true` if a new connection to the same peer may succeed: the peer fell silent, was
    /// restarted, refused this one for now, or closed it with code 0, as a server does that shuts
    /// down; or this side had an internal error. A program that is done when the peer closes with
    /// code 0 checks [`Closed::is_graceful`] first. The application decides what its own codes
    /// mean.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Silent | Self::Reset | Self::NoAnswer | Self::Fault => true,
            Self::ByPeer { code, .. } | Self::Failed { code, .. } => {
                matches!(*code, Close::NO_ERROR | Close::REFUSED | Close::INTERNAL)
            }
            Self::Here | Self::SharedKey | Self::Version | Self::EndpointGone => false,
        }
    }
}

impl From<ClosedReason> for Closed {
    fn from(reason: ClosedReason) -> Self {
        match reason {
            ClosedReason::Local => Self::Here,
            ClosedReason::Peer(close) => {
                Self::ByPeer { code: close.code, reason: close.reason.into_owned() }
            }
            ClosedReason::Error(close) => {
                Self::Failed { code: close.code, reason: close.reason.into_owned() }
            }
            ClosedReason::Idle => Self::Silent,
            ClosedReason::Reset => Self::Reset,
            ClosedReason::HandshakeTimeout => Self::NoAnswer,
            ClosedReason::SharedKey => Self::SharedKey,
            ClosedReason::VersionMismatch => Self::Version,
            ClosedReason::Fault => Self::Fault,
        }
    }
}

/// A client that was refused during its handshake: [`Endpoint::refused`].
///
/// [`Endpoint::refused`]: crate::Endpoint::refused
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Its address, which the client has validated.
    pub from: SocketAddr,
    /// The key that it has proved to hold, if the handshake got that far.
    pub key: Option<Fingerprint>,
    /// How its handshake ended.
    pub closed: Closed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, key, closed } = self;
        match key {
            Some(key) => write!(f, "{from} was refused, {key}: ")?,
            None => write!(f, "{from} was refused: ")?,
        }
        match closed {
            Closed::Failed { code: Close::ACCESS_DENIED, .. } => {
                f.write_str("its key is not accepted")
            }
            Closed::NoAnswer => f.write_str("it did not finish its handshake"),
            Closed::SharedKey => f.write_str("it has another shared key, or one side has none"),
            closed => write!(f, "{closed}"),
        }
    }
}

fn because(code: u64, reason: &str) -> String {
    match (code, reason) {
        (Close::NO_ERROR, "") => String::new(),
        (Close::NO_ERROR, reason) => format!(": {reason}"),
        (code, "") => format!(" (code {code:#x})"),
        (code, reason) => format!(": {reason} (code {code:#x})"),
    }
}

/// Why [`Connection::try_send`](crate::Connection::try_send) did not queue a message, which it
/// returns.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TrySendError {
    /// The payload.
    pub payload: Bytes,
    /// The reason.
    pub reason: SendError,
}

/// Without the payload.
impl fmt::Debug for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrySendError {{ {} bytes, {:?} }}", self.payload.len(), self.reason)
    }
}

/// Drops the payload.
impl From<TrySendError> for SendError {
    fn from(error: TrySendError) -> Self {
        error.reason
    }
}

/// Why a message was not queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is full; only `try_send` returns this.
    #[error("the queue of messages to send is full")]
    Full,
    /// The message is larger than the peer, or the queue here, accepts for its class.
    #[error("a message of {len} bytes exceeds the maximum of {limit} bytes")]
    TooLarge {
        /// The length of the message, in bytes.
        len: usize,
        /// The length of the largest message.
        limit: usize,
    },
    /// The connection has ended or is closing.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why a message was not acknowledged.
///
/// Only [`NotDelivered::Expired`] means that the peer does not have the message. In all other cases
/// it may have arrived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotDelivered {
    /// Unreliable: the message was sent, and this class is never acknowledged.
    #[error("sent, and messages of this class are not acknowledged")]
    Unacknowledged,
    /// Deadline: it expired before all of it was sent, the delay of the path included. Unreliable:
    /// it waited too long to be sent, for a round trip, or 50 to 100 ms. It was not delivered.
    #[error("it expired before all of it could be sent")]
    Expired,
    /// Deadline: it was sent, and it expired before the peer acknowledged it. It was delivered in
    /// time, or not at all.
    #[error("its deadline passed before the peer confirmed it; it may have arrived")]
    Unconfirmed,
    /// Latest: a newer message replaced it. It may have arrived nevertheless, because fragments
    /// that were already sent cannot be recalled.
    #[error("a newer message replaced it; it may have arrived")]
    Superseded,
    /// The connection ended first; the peer may have the message nevertheless.
    #[error("the connection ended first")]
    Unsent,
    /// The outcome was requested too late: tens of thousands of different outcomes followed.
    #[error("its outcome is no longer remembered")]
    Forgotten,
}

impl NotDelivered {
    /// Returns what an outcome means for delivery; `None` for an acknowledged message.
    pub(crate) fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Acknowledged => None,
            Outcome::Sent => Some(Self::Unacknowledged),
            Outcome::Expired => Some(Self::Expired),
            Outcome::Unconfirmed => Some(Self::Unconfirmed),
            Outcome::Superseded => Some(Self::Superseded),
            _ => Some(Self::Unsent),
        }
    }
}

/// Why not everything was delivered before the end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{undelivered} messages were not delivered: {closed}")]
pub struct Unfinished {
    /// Messages that were not delivered, not counting those whose class allows dropping them.
    pub undelivered: u64,
    /// How the connection ended.
    pub closed: Closed,
}
