//! What becomes of a message, and what comes back.
//!
//! In: nothing. Out: the words for it. Never: logic.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use hikyaku::{
    dialect::Dialect,
    signers::Signer,
    socket::{BindError, Unreachable},
};

use super::{Received, dtls::Ended};

/// Why a message was not sent, or not acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainSendError {
    /// No socket to send from.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The message does not fit in a datagram. Nothing was sent.
    #[error(
        "{payload} bytes{} do not fit: one datagram to {target} carries at most {limit} bytes",
        .sealed.map_or(String::new(), |len| format!(" ({len} with their armour)"))
    )]
    TooLarge {
        /// Its length, in bytes.
        payload: usize,
        /// Its length with armour, where there is any.
        sealed: Option<usize>,
        /// What fits.
        limit: usize,
        /// Where it was to go.
        target: SocketAddr,
    },
    /// The system refused to send.
    #[error("cannot send to {target}: {source}")]
    System {
        /// Where it was to go.
        target: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not let us send there, as to a broadcast address unasked.
    #[error("not allowed to send to {0}; a broadcast address must be asked for (--broadcast)")]
    Forbidden(SocketAddr),
    /// The network reported that nothing can be delivered there.
    #[error("{target}: {error}")]
    Unreachable {
        /// Where it was to go.
        target: SocketAddr,
        /// The report.
        error: Unreachable,
    },
    /// There is no DTLS association with the peer.
    #[error("{target}: {ended}")]
    Dtls {
        /// Where it was to go.
        target: SocketAddr,
        /// Why.
        ended: Ended,
    },
    /// The peer says that it speaks another dialect. That proves nothing: anyone can have sent it.
    #[error("{target} says that it speaks another dialect: {dialect}")]
    OtherDialect {
        /// Where it was to go.
        target: SocketAddr,
        /// What it says that it speaks.
        dialect: Dialect,
    },
    /// Nobody acknowledged it.
    #[error("no acknowledgement from {target} after {tries} {}{}",
        if *.tries == 1 { "try" } else { "tries" },
        .report.as_ref().map_or(String::new(), |report| format!(" ({report})")))]
    NotAcknowledged {
        /// Where it went.
        target: SocketAddr,
        /// Times it was sent.
        tries: u32,
        /// What the network reported meanwhile.
        report: Option<String>,
        /// The last datagram that came back instead.
        instead: Option<Vec<u8>>,
        /// What the peer says that it speaks, which proves nothing.
        spoken: Option<Dialect>,
    },
}

/// What happened on the way to an acknowledgement that is not there yet.
#[derive(Debug)]
#[non_exhaustive]
pub enum Setback<'a> {
    /// The network reports the address unreachable; it is tried again.
    Unreachable {
        /// The address.
        target: SocketAddr,
        /// The report.
        error: &'a Unreachable,
    },
    /// No acknowledgement came in time: the message goes out again.
    Again {
        /// Where it goes.
        target: SocketAddr,
        /// Times it was sent so far.
        tries: u32,
        /// Times it is sent at most.
        most: u32,
        /// The last datagram that came back instead.
        instead: Option<&'a [u8]>,
        /// The dialect that the peer says it speaks, which proves nothing.
        spoken: Option<Dialect>,
    },
}

/// An acknowledged message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Who acknowledged it: with broadcast and multicast, whoever was first.
    pub by: SocketAddr,
    /// Times it was sent.
    pub tries: u32,
    /// From the first try to the acknowledgement.
    pub elapsed: Duration,
}

/// A datagram that came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What the peer sent, without armour.
    pub payload: Vec<u8>,
    /// The peer; with broadcast and multicast, whoever answered.
    pub from: SocketAddr,
    /// The address of ours it came to.
    pub to: SocketAddr,
    /// When it came.
    pub at: SystemTime,
    /// Who signed it, where signatures are asked for.
    pub signer: Option<Signer>,
}

impl Reply {
    pub(super) fn new(received: Received<'_>, local: SocketAddr) -> Self {
        Self {
            payload: received.payload.into_owned(),
            from: received.from.peer,
            to: SocketAddr::new(received.to.unwrap_or(local.ip()), local.port()),
            at: received.at,
            signer: received.signer,
        }
    }
}
