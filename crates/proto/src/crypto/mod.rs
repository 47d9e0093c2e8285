//! Keys and sealed boxes: who the peer is, what opens its packets, what was seen before.
//!
//! In: handshake bytes, packets. Out: keys, plaintext, tokens. Never: frames, sockets, clocks.
//!
//! - [`setup`]: what an endpoint brings to every handshake: its identity, whom it trusts.
//! - [`agreement`]: one TLS handshake, from first bytes to keys.
//! - [`packet`]: sealing and opening one packet, at every level.
//! - [`phases`]: the data keys and their updates.
//! - [`replay`]: the window of packet numbers seen.
//! - [`cookie`]: tokens that a server gives out and need not remember.

pub(crate) mod agreement;
pub(crate) mod cookie;
pub(crate) mod packet;
pub(crate) mod phases;
pub(crate) mod replay;
pub(crate) mod setup;

pub use setup::{Crypto, KeyLog, Trust};

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It sent the first Hello.
    Client,
    /// It answered.
    Server,
}

impl Side {
    /// The other end.
    pub(crate) const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
