//! The outcome of a message, and the replies to it.
//!
//! In: nothing. Out: error messages. Never: logic.

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
    /// No socket could be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The message does not fit in a datagram. Nothing was sent.
    #[error(
        "{payload} bytes{} do not fit: one datagram to {target} carries at most {limit} bytes",
        .sealed.map_or(String::new(), |len| format!(" ({len} with the armour)"))
    )]
    TooLarge {
        /// Its length, in bytes.
        payload: usize,
        /// Its length with armour, where there is any.
        sealed: Option<usize>,
        /// What fits, in bytes.
        limit: usize,
        /// Its destination.
        target: SocketAddr,
    },
    /// The system refused to send.
    #[error("cannot send to {target}: {source}")]
    System {
        /// Its destination.
        target: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system does not permit sending there, for example to a broadcast address without the
    /// option.
    #[error("not allowed to send to {0}; a broadcast address requires --broadcast")]
    Forbidden(SocketAddr),
    /// The network reported that the datagram cannot be delivered.
    #[error("{target}: {error}")]
    Unreachable {
        /// Its destination.
        target: SocketAddr,
        /// The report.
        error: Unreachable,
    },
    /// There is no DTLS association with the peer.
    #[error("{target}: {ended}")]
    Dtls {
        /// Its destination.
        target: SocketAddr,
        /// Why.
        ended: Ended,
    },
    /// The peer claims to speak another dialect. That is unauthenticated: anyone could have sent
    /// it.
    #[error("{target} says that it speaks another dialect: {dialect}")]
    OtherDialect {
        /// Its destination.
        target: SocketAddr,
        /// The dialect that it claims.
        dialect: Dialect,
    },
    /// No acknowledgement arrived.
    #[error("no acknowledgement from {target} after {tries} {}{}",
        if *.tries == 1 { "try" } else { "tries" },
        .report.as_ref().map_or(String::new(), |report| format!(" ({report})")))]
    NotAcknowledged {
        /// Its destination.
        target: SocketAddr,
        /// How often it was sent.
        tries: u32,
        /// The error that the network reported meanwhile.
        report: Option<String>,
        /// The last datagram that arrived instead.
        instead: Option<Vec<u8>>,
        /// The dialect that the peer claims, unauthenticated.
        spoken: Option<Dialect>,
    },
}

/// An event while waiting for an acknowledgement.
#[derive(Debug)]
#[non_exhaustive]
pub enum Setback<'a> {
    /// The network reports the address unreachable; another attempt follows.
    Unreachable {
        /// The address.
        target: SocketAddr,
        /// The report.
        error: &'a Unreachable,
    },
    /// No acknowledgement arrived in time: the message is sent again.
    Again {
        /// Its destination.
        target: SocketAddr,
        /// How often it has been sent.
        tries: u32,
        /// How often it may be sent.
        most: u32,
        /// The last datagram that arrived instead.
        instead: Option<&'a [u8]>,
        /// The dialect that the peer claims, unauthenticated.
        spoken: Option<Dialect>,
    },
}

/// An acknowledged message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The peer that acknowledged it; with broadcast and multicast, the first one.
    pub by: SocketAddr,
    /// How often it was sent.
    pub tries: u32,
    /// The time from the first attempt to the acknowledgement.
    pub elapsed: Duration,
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The payload, without armour.
    pub payload: Vec<u8>,
    /// The peer; with broadcast and multicast, the one that answered.
    pub from: SocketAddr,
    /// The local address it arrived at.
    pub to: SocketAddr,
    /// When it arrived.
    pub at: SystemTime,
    /// The signer, if signatures are required.
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
