//! Packet headers: the bytes before the sealed frames, with connection ids and packet number.

use std::fmt;

use super::{
    codec::{Reader, VARINT_MAX, Writer, prefixed_len},
    level::Level,
};
use crate::{
    error::{Discard, Malformed},
    limits::{BASE_MTU, TAG_LEN},
};

/// The version of the protocol implemented here.
pub(crate) const VERSION: u32 = 1;

/// The version field of a Versions packet, which belongs to no version.
const NO_VERSION: u32 = 0;

const ID_LEN: usize = 8;
/// The length of every data packet's header.
pub(crate) const DATA_HEADER_LEN: usize = 1 + ID_LEN + 4;
/// The length of the fields shared by all versions: first byte, version, both ids.
const LONG_START_LEN: usize = 1 + 4 + 2 * ID_LEN;

/// The bound on the packet numbers of a client's Hellos before it gives up: a few dozen are used.
const MAX_FIRST_TRIES: u32 = 1_000;

const DATA: u8 = 0b0100_0000;
const DATA_PHASE: u8 = 0b0000_0001;
const LONG: u8 = 0b1100_0000;
const LONG_TYPE: u8 = 0b0000_0111;
const HELLO: u8 = 0;
const HANDSHAKE: u8 = 1;
const ZERO_RTT: u8 = 2;
const RETRY: u8 = 3;
const VERSIONS: u8 = 4;

/// Identifies a connection at one end, independent of addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) [u8; ID_LEN]);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The long-form packets that contain sealed frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LongKind {
    Hello,
    Handshake,
    ZeroRtt,
}

impl LongKind {
    /// Returns the level whose keys seal it.
    pub(crate) const fn level(self) -> Level {
        match self {
            Self::Hello => Level::Hello,
            Self::Handshake => Level::Handshake,
            Self::ZeroRtt => Level::ZeroRtt,
        }
    }

    const fn to_wire(self) -> u8 {
        match self {
            Self::Hello => HELLO,
            Self::Handshake => HANDSHAKE,
            Self::ZeroRtt => ZERO_RTT,
        }
    }
}

/// The header of a packet. `to` is the destination id, `from` the source id, `number` the low 32
/// bits of the packet number (see [`expand_number`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header<'a> {
    /// Frames under the connection's keys. `phase` is the key phase (M-21).
    Data { phase: bool, to: ConnectionId, number: u32 },
    /// Frames of the handshake. Only a Hello carries a token, which is empty if there is none.
    Long { kind: LongKind, to: ConnectionId, from: ConnectionId, token: &'a [u8], number: u32 },
    /// Asks for a new Hello with this token, which is not empty (M-31). The tag covers all bytes
    /// before it.
    Retry { to: ConnectionId, from: ConnectionId, token: &'a [u8], tag: [u8; TAG_LEN] },
    /// The versions that the sender supports (M-30), at least one: see [`versions`].
    Versions { to: ConnectionId, from: ConnectionId, list: &'a [u8] },
    /// A Hello of an unsupported version (M-30).
    OtherVersion { version: u32, to: ConnectionId, from: ConnectionId },
}

impl<'a> Header<'a> {
    /// Decodes the header of the packet in `datagram`. Returns it with its length. A Retry or a
    /// Versions packet consists of its header only. For a Hello of another version, only the ids
    /// are known, and the length ends after them.
    ///
    /// # Errors
    ///
    /// `Malformed` for bytes that are no packet (M-1) or truncated; `OtherVersion` for a packet of
    /// another version that is no Hello and needs no answer.
    pub(crate) fn decode(datagram: &'a [u8]) -> Result<(Self, usize), Discard> {
        if let Some((phase, to, number, len)) = Self::decode_data(datagram) {
            return Ok((Self::Data { phase, to, number }, len));
        }
        let mut reader = Reader::new(datagram);
        let first = reader.u8()?;
        let header = if first & !LONG_TYPE == LONG {
            Self::decode_long(first & LONG_TYPE, &mut reader)?
        } else {
            return Err(Discard::Malformed); // M-1
        };
        Ok((header, reader.position()))
    }

    /// Returns key phase, destination, number and header length of a data packet, by far the most
    /// frequent kind, or `None` for any other packet.
    #[inline]
    pub(crate) fn decode_data(datagram: &[u8]) -> Option<(bool, ConnectionId, u32, usize)> {
        let mut reader = Reader::new(datagram);
        let first = reader.u8().ok()?;
        if first & !DATA_PHASE != DATA {
            return None;
        }
        let (to, number) = (reader.id().ok()?, reader.u32().ok()?);
        Some((first & DATA_PHASE != 0, to, number, reader.position()))
    }

    fn decode_long(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Discard> {
        let version = reader.u32()?;
        let (to, from) = (reader.id()?, reader.id()?);
        match (kind, version) {
            (VERSIONS, NO_VERSION) => Ok(Self::decode_versions(to, from, reader)?),
            // Never answered: otherwise two ends could answer each other forever.
            (VERSIONS, _) | (_, NO_VERSION) => Err(Discard::Malformed),
            (HELLO, VERSION) => {
                let (token, number) = (reader.prefixed()?, reader.u32()?);
                Ok(Self::Long { kind: LongKind::Hello, to, from, token, number })
            }
            (HELLO, version) => Ok(Self::OtherVersion { version, to, from }),
            (HANDSHAKE | ZERO_RTT, VERSION) => {
                let kind = if kind == HANDSHAKE { LongKind::Handshake } else { LongKind::ZeroRtt };
                Ok(Self::Long { kind, to, from, token: &[], number: reader.u32()? })
            }
            (RETRY, VERSION) => Ok(Self::decode_retry(to, from, reader)?),
            (HANDSHAKE | ZERO_RTT | RETRY, _) => Err(Discard::OtherVersion),
            _ => Err(Discard::Malformed),
        }
    }

    fn decode_versions(
        to: ConnectionId,
        from: ConnectionId,
        reader: &mut Reader<'a>,
    ) -> Result<Self, Malformed> {
        let list = reader.rest();
        if list.is_empty() || !list.len().is_multiple_of(4) {
            return Err(Malformed);
        }
        Ok(Self::Versions { to, from, list })
    }

    fn decode_retry(
        to: ConnectionId,
        from: ConnectionId,
        reader: &mut Reader<'a>,
    ) -> Result<Self, Malformed> {
        let (token, tag) = reader.rest().split_last_chunk().ok_or(Malformed)?;
        // A Retry without a token has no purpose (RFC 9000 section 17.2.5.2).
        if token.is_empty() {
            return Err(Malformed);
        }
        Ok(Self::Retry { to, from, token, tag: *tag })
    }

    /// Writes the header, which takes [`Self::encoded_len`] bytes. The tag of a Retry is written as
    /// given: a caller that does not have it yet writes zeros and overwrites them later.
    pub(crate) fn encode(&self, writer: &mut Writer<'_>) {
        match *self {
            Self::Data { phase, to, number } => {
                writer.put_u8(DATA | u8::from(phase));
                writer.put_bytes(&to.0);
                writer.put_u32(number);
            }
            Self::Long { kind, to, from, token, number } => {
                debug_assert!(
                    kind == LongKind::Hello || token.is_empty(),
                    "only a Hello has a token"
                );
                put_long_start(writer, kind.to_wire(), VERSION, to, from);
                if kind == LongKind::Hello {
                    writer.put_prefixed(token);
                }
                writer.put_u32(number);
            }
            Self::Retry { to, from, token, tag } => {
                put_long_start(writer, RETRY, VERSION, to, from);
                writer.put_bytes(token);
                writer.put_bytes(&tag);
            }
            Self::Versions { to, from, list } => {
                put_long_start(writer, VERSIONS, NO_VERSION, to, from);
                writer.put_bytes(list);
            }
            Self::OtherVersion { version, to, from } => {
                put_long_start(writer, HELLO, version, to, from);
            }
        }
    }

    /// Returns the number of bytes that [`Self::encode`] writes.
    pub(crate) const fn encoded_len(&self) -> usize {
        match self {
            Self::Data { .. } => DATA_HEADER_LEN,
            Self::Long { kind: LongKind::Hello, token, .. } => {
                LONG_START_LEN + prefixed_len(token.len()) + 4
            }
            Self::Long { .. } => LONG_START_LEN + 4,
            Self::Retry { token, .. } => LONG_START_LEN + token.len() + TAG_LEN,
            Self::Versions { list, .. } => LONG_START_LEN + list.len(),
            Self::OtherVersion { .. } => LONG_START_LEN,
        }
    }

    /// Returns the destination id.
    pub(crate) const fn destination(&self) -> ConnectionId {
        match *self {
            Self::Data { to, .. }
            | Self::Long { to, .. }
            | Self::Retry { to, .. }
            | Self::Versions { to, .. }
            | Self::OtherVersion { to, .. } => to,
        }
    }
}

/// Returns the versions in the list of a Versions packet.
pub(crate) fn versions(list: &[u8]) -> impl Iterator<Item = u32> {
    list.as_chunks().0.iter().map(|version| u32::from_be_bytes(*version))
}

/// Returns `true` if a datagram is a client's first packet before any answer: a padded Hello of
/// this version, without a token (M-31). For programs that speak another protocol on the same port:
/// no text and no packet of QUIC version 1 has this form.
#[must_use]
pub fn opens_connection(datagram: &[u8]) -> bool {
    datagram.len() >= BASE_MTU
        && matches!(
            Header::decode(datagram),
            Ok((Header::Long { kind: LongKind::Hello, token: [], number, .. }, _))
                if number < MAX_FIRST_TRIES
        )
}

/// Returns the packet number nearest to `expected` (one above the highest opened so far) whose low
/// 32 bits are `low` (M-3, RFC 9000 appendix A.3). It is below 2^62.
pub(crate) const fn expand_number(low: u32, expected: u64) -> u64 {
    const WINDOW: u64 = 1 << 32;
    let expected = if expected > VARINT_MAX { VARINT_MAX } else { expected };
    let candidate = expected & !(WINDOW - 1) | low as u64;
    if candidate + WINDOW / 2 <= expected && candidate + WINDOW <= VARINT_MAX {
        candidate + WINDOW
    } else if candidate > expected + WINDOW / 2 && candidate >= WINDOW {
        candidate - WINDOW
    } else {
        candidate
    }
}

fn put_long_start(
    writer: &mut Writer<'_>,
    kind: u8,
    version: u32,
    to: ConnectionId,
    from: ConnectionId,
) {
    writer.put_u8(LONG | kind);
    writer.put_u32(version);
    writer.put_bytes(&to.0);
    writer.put_bytes(&from.0);
}

impl Reader<'_> {
    /// Reads a connection id.
    pub(crate) fn id(&mut self) -> Result<ConnectionId, Malformed> {
        self.array().map(ConnectionId)
    }
}

/// A packet whose header does not parse is dropped: its sender is not authenticated yet.
impl From<Malformed> for Discard {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests;
