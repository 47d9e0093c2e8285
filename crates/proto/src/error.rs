//! Errors by addressee: discarded packets, and the end of a connection.
//!
//! No reason is built from network bytes.

use std::{borrow::Cow, fmt};

/// The reason why a packet was discarded. Counted, never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Discard {
    /// Not a packet of this protocol, or truncated.
    Malformed,
    /// A Hello in too small a datagram (M-32).
    TooSmall,
    /// Addressed to no connection of ours.
    UnknownConnection,
    /// Of an unsupported version.
    OtherVersion,
    /// Its number was received before, or is too old to tell (M-4).
    Replayed,
    /// It does not open: forged, damaged, or sealed with keys that are gone.
    Unauthentic,
    /// Its keys do not exist yet, or no longer.
    NoKeys,
    /// Its token is not ours, expired, or for another address.
    BadToken,
    /// No room for another connection (M-35).
    Busy,
    /// The connection is closed.
    Closed,
    /// Its connection exceeded its share while packets waited (M-67).
    OverShare,
}

/// Bytes that do not parse, which close the connection if they were authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The code and reason with which a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code, see PROTOCOL.md section 8.
    pub code: u64,
    /// The reason for people; at most 256 bytes are sent.
    pub reason: Cow<'static, str>,
}

impl Close {
    /// No error.
    pub const NO_ERROR: u64 = 0;
    /// An internal error of the sender.
    pub const INTERNAL: u64 = 1;
    /// The peer broke the protocol.
    pub const PROTOCOL_VIOLATION: u64 = 2;
    /// The peer sent more than its credit.
    pub const FLOW_CONTROL: u64 = 3;
    /// The peer's parameters are inconsistent.
    pub const PARAMETER_ERROR: u64 = 4;
    /// A key has been used as often as is safe.
    pub const AEAD_LIMIT: u64 = 5;
    /// The application refused the connection.
    pub const REFUSED: u64 = 6;
    /// TLS failed; the alert's number is added.
    pub const CRYPTO_ERROR: u64 = 0x100;
    /// TLS's alert `access_denied`: the key is not accepted.
    pub const ACCESS_DENIED: u64 = Self::CRYPTO_ERROR + 49;
    /// The first code reserved for applications.
    pub const APPLICATION: u64 = 0x1000;

    pub(crate) const fn new(code: u64, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    pub(crate) const fn violation(reason: &'static str) -> Self {
        Self::new(Self::PROTOCOL_VIOLATION, reason)
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {:#x})", self.reason, self.code)
    }
}
