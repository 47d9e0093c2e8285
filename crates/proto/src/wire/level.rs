//! The four protection levels of packets.

/// The protection of a packet; later levels know more about the peer (M-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// Keys that anyone who sees the first packet can derive.
    Hello,
    /// Keys of the TLS handshake.
    Handshake,
    /// Keys of an earlier connection: packets sealed with them can be replayed.
    ZeroRtt,
    /// Keys of this connection.
    Data,
}
