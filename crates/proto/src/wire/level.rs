//! The four levels of protection that a packet can have.
//!
//! In: nothing. Out: levels, in order. Never: keys.

/// How a packet is protected; later ones know more of the peer (M-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// Keys that anyone who sees the first packet can derive.
    Hello,
    /// Keys of the TLS handshake.
    Handshake,
    /// Keys of an earlier connection: what is sent under them can be replayed.
    ZeroRtt,
    /// Keys of this connection.
    Data,
}
