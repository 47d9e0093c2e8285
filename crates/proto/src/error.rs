//! Errors with an addressee: what is dropped, what ends a connection, what a caller did.
//!
//! In: nothing. Out: reasons. Never: strings built from network bytes.

use std::{borrow::Cow, fmt};

/// Why a packet was discarded. Counted, never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Discard {
    /// Not a packet of this protocol, or cut short.
    Malformed,
    /// A Hello in too small a datagram (M-32).
    TooSmall,
    /// For no connection of ours.
    UnknownConnection,
    /// Of a version we do not speak.
    OtherVersion,
    /// Its number was seen before, or is too old to tell (M-4).
    Replayed,
    /// It does not open: forged, damaged, or under keys that are gone.
    Unauthentic,
    /// Its keys are not there (yet, or any more).
    NoKeys,
    /// Its token is not ours, too old, or of another address.
    BadToken,
    /// No room for another connection (M-35).
    Busy,
    /// The connection is over.
    Closed,
}

/// Bytes that are no value: reason enough to close, when they were authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Why a connection ends, as its peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code, see PROTOCOL.md section 8.
    pub code: u64,
    /// For people; at most 256 bytes are sent.
    pub reason: Cow<'static, str>,
}

impl Close {
    /// No error.
    pub const NO_ERROR: u64 = 0;
    /// A fault of the sender's own.
    pub const INTERNAL: u64 = 1;
    /// The peer broke the protocol.
    pub const PROTOCOL_VIOLATION: u64 = 2;
    /// The peer sent more than its credit.
    pub const FLOW_CONTROL: u64 = 3;
    /// The peer's parameters do not fit.
    pub const PARAMETER_ERROR: u64 = 4;
    /// A key has been used as often as is safe.
    pub const AEAD_LIMIT: u64 = 5;
    /// The application did not want the connection.
    pub const REFUSED: u64 = 6;
    /// TLS failed; the alert's number is added.
    pub const CRYPTO_ERROR: u64 = 0x100;
    /// TLS's alert `access_denied`: the key is not one that is let in.
    pub const ACCESS_DENIED: u64 = Self::CRYPTO_ERROR + 49;
    /// The first code that is the application's own.
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
