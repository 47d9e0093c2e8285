//! Keys and authenticated encryption: identity of the peer, opening of packets, replay protection.
//!
//! In: handshake bytes, packets. Out: keys, plaintext, tokens. Never: frames, sockets, clocks.
//!
//! - [`setup`]: what an endpoint brings to every handshake: its identity and the keys it trusts.
//! - [`agreement`]: one TLS handshake, from the first bytes to the keys.
//! - [`packet`]: sealing and opening one packet, at every level.
//! - [`phases`]: the data keys and their updates.
//! - [`replay`]: the window of packet numbers already received.
//! - [`cookie`]: tokens that a server issues without keeping state for them.

pub(crate) mod agreement;
pub(crate) mod cookie;
pub(crate) mod packet;
pub(crate) mod phases;
pub(crate) mod replay;
pub(crate) mod setup;

pub use setup::{Crypto, KeyLog, KeyPolicy};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Sent the first Hello.
    Client,
    /// Answered it.
    Server,
}

impl Side {
    /// Returns the other end.
    pub(crate) const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
