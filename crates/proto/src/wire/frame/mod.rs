//! Frames: the contents of an opened packet.

mod ack;
mod message;

pub(crate) use self::{
    ack::{AckFrame, EcnCounts, write_ack},
    message::{Fragment, FragmentHeader, Whole, write_message, write_whole},
};

use std::fmt;

use super::{
    codec::{Reader, VARINT_MAX, Writer, prefixed_fit, prefixed_len, varint_len},
    header::ConnectionId,
    level::Level,
};
use crate::{delivery::ChannelId, error::Malformed, limits::MAX_REASON_LEN};

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const ACK: u8 = 0x02;
const ACK_ECN: u8 = 0x03;
const CRYPTO: u8 = 0x04;
const DONE: u8 = 0x05;
const NEW_ID: u8 = 0x06;
const RETIRE_ID: u8 = 0x07;
const CHALLENGE: u8 = 0x08;
const RESPONSE: u8 = 0x09;
const CREDIT: u8 = 0x0a;
const CHANNEL_CREDIT: u8 = 0x0b;
const BLOCKED: u8 = 0x0d;
const CLOSE: u8 = 0x0e;
const END: u8 = 0x0f;
const MESSAGE: u8 = 0x10;
const MESSAGE_LAST: u8 = 0x1f;
const MESSAGE_FRAGMENT: u8 = 0b1000;
const MESSAGE_CLASS: u8 = 0b0111;

/// The token that ends a connection when it arrives under that connection's id (M-60). A peer that
/// knows it can end the connection, so `Debug` hides it. Compared in constant time where that
/// matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResetToken(pub(crate) [u8; 16]);

impl fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetToken(..)")
    }
}

/// A frame. Its data borrows from the packet it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A run of PADDING frames, at least one.
    Padding(usize),
    Ping,
    Ack(AckFrame<'a>),
    /// A range of TLS's stream at this level; it ends below 2^62.
    Crypto {
        offset: u64,
        data: &'a [u8],
    },
    Done,
    /// Another id of the sender. Ids with a sequence number below `retire_below`, which is at most
    /// `sequence`, must be retired.
    NewId {
        sequence: u64,
        retire_below: u64,
        id: ConnectionId,
        token: ResetToken,
    },
    /// The id with this sequence number is no longer used.
    RetireId(u64),
    Challenge([u8; 8]),
    Response([u8; 8]),
    /// The credit of the connection since its start, in bytes (D-5).
    Credit(u64),
    /// The same for a channel.
    ChannelCredit {
        channel: ChannelId,
        total: u64,
    },
    /// No credit is left, on a channel or on the connection.
    Blocked(Option<ChannelId>),
    /// Closes the connection. A reason is sent up to 256 bytes.
    Close {
        code: u64,
        reason: &'a str,
    },
    /// The sender sends no more messages, and every one it sent has an outcome (M-65).
    End,
    Message(Fragment<'a>),
}

impl<'a> Frame<'a> {
    /// Reads one frame. The reader's position is unspecified after an error.
    ///
    /// # Errors
    ///
    /// If the type is unknown, the frame is truncated, or its values can never be valid.
    #[inline]
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        match reader.u8()? {
            // By far the most frequent.
            kind @ MESSAGE..=MESSAGE_LAST => Fragment::decode(kind, reader).map(Self::Message),
            kind => Self::decode_other(kind, reader),
        }
    }

    fn decode_other(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(match kind {
            PADDING => Self::Padding(reader.zeros().saturating_add(1)),
            PING => Self::Ping,
            ACK => Self::Ack(AckFrame::decode(reader, false)?),
            ACK_ECN => Self::Ack(AckFrame::decode(reader, true)?),
            CRYPTO => Self::decode_crypto(reader)?,
            DONE => Self::Done,
            NEW_ID => Self::decode_new_id(reader)?,
            RETIRE_ID => Self::RetireId(reader.varint()?),
            CHALLENGE => Self::Challenge(reader.array()?),
            RESPONSE => Self::Response(reader.array()?),
            CREDIT => Self::Credit(reader.varint()?),
            CHANNEL_CREDIT => {
                Self::ChannelCredit { channel: decode_channel(reader)?, total: reader.varint()? }
            }
            BLOCKED => Self::decode_blocked(reader)?,
            CLOSE => Self::decode_close(reader)?,
            END => Self::End,
            _ => return Err(Malformed),
        })
    }

    fn decode_crypto(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (offset, data) = (reader.varint()?, reader.prefixed()?);
        // RFC 9000 section 19.6
        if offset.saturating_add(data.len() as u64) > VARINT_MAX {
            return Err(Malformed);
        }
        Ok(Self::Crypto { offset, data })
    }

    fn decode_new_id(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (sequence, retire_below) = (reader.varint()?, reader.varint()?);
        // RFC 9000 section 19.15: a frame cannot issue an id and retire it.
        if retire_below > sequence {
            return Err(Malformed);
        }
        let (id, token) = (reader.id()?, ResetToken(reader.array()?));
        Ok(Self::NewId { sequence, retire_below, id, token })
    }

    fn decode_blocked(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let Some(channel) = reader.varint()?.checked_sub(1) else {
            return Ok(Self::Blocked(None));
        };
        let channel = u16::try_from(channel).map_err(|_| Malformed)?;
        Ok(Self::Blocked(Some(ChannelId(channel))))
    }

    fn decode_close(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (code, reason) = (reader.varint()?, reader.prefixed()?);
        if reason.len() > MAX_REASON_LEN {
            return Err(Malformed);
        }
        let reason = str::from_utf8(reason).map_err(|_| Malformed)?;
        Ok(Self::Close { code, reason })
    }

    /// Writes the frame, which takes [`Self::encoded_len`] bytes.
    pub(crate) fn encode(&self, writer: &mut Writer<'_>) {
        match *self {
            Self::Padding(n) => writer.put_zeros(n),
            Self::Ping => writer.put_u8(PING),
            Self::Ack(ref ack) => ack.encode(writer),
            Self::Crypto { offset, data } => {
                put_numbers(writer, CRYPTO, &[offset]);
                writer.put_prefixed(data);
            }
            Self::Done => writer.put_u8(DONE),
            Self::NewId { sequence, retire_below, id, token } => {
                put_numbers(writer, NEW_ID, &[sequence, retire_below]);
                writer.put_bytes(&id.0);
                writer.put_bytes(&token.0);
            }
            Self::RetireId(sequence) => put_numbers(writer, RETIRE_ID, &[sequence]),
            Self::Challenge(bytes) => put_echo(writer, CHALLENGE, bytes),
            Self::Response(bytes) => put_echo(writer, RESPONSE, bytes),
            Self::Credit(total) => put_numbers(writer, CREDIT, &[total]),
            Self::ChannelCredit { channel, total } => {
                put_numbers(writer, CHANNEL_CREDIT, &[channel.0.into(), total]);
            }
            Self::Blocked(channel) => put_numbers(writer, BLOCKED, &[blocked_number(channel)]),
            Self::Close { code, reason } => {
                put_numbers(writer, CLOSE, &[code.min(VARINT_MAX)]);
                writer.put_prefixed(clip(reason).as_bytes());
            }
            Self::End => writer.put_u8(END),
            Self::Message(ref fragment) => write_message(writer, fragment),
        }
    }

    /// Returns the number of bytes that [`Self::encode`] writes.
    pub(crate) fn encoded_len(&self) -> usize {
        let fields = match *self {
            Self::Padding(n) => return n,
            Self::Ack(ref ack) => return ack.encoded_len(),
            Self::Message(ref fragment) => {
                return fragment.header().header_len() + fragment.data.len();
            }
            Self::Ping | Self::Done | Self::End => 0,
            Self::Crypto { offset, data } => varint_len(offset) + prefixed_len(data.len()),
            Self::NewId { sequence, retire_below, id, token } => {
                varint_len(sequence) + varint_len(retire_below) + id.0.len() + token.0.len()
            }
            Self::Challenge(bytes) | Self::Response(bytes) => bytes.len(),
            Self::RetireId(number) | Self::Credit(number) => varint_len(number),
            Self::ChannelCredit { channel, total } => {
                varint_len(channel.0.into()) + varint_len(total)
            }
            Self::Blocked(channel) => varint_len(blocked_number(channel)),
            Self::Close { code, reason } => varint_len(code) + prefixed_len(clip(reason).len()),
        };
        1 + fields
    }

    /// Returns `true` if the frame may appear at this level (section 2). The receiver checks that
    /// DONE comes from a server.
    pub(crate) const fn allowed_in(&self, level: Level) -> bool {
        match self {
            Self::Padding(_) | Self::Ping | Self::Close { .. } => true,
            Self::Ack(_) | Self::Crypto { .. } => !matches!(level, Level::ZeroRtt),
            Self::Message(_) => matches!(level, Level::ZeroRtt | Level::Data),
            _ => matches!(level, Level::Data),
        }
    }

    /// Returns `true` if a packet with this frame must be acknowledged ("counts for loss", section
    /// 4).
    pub(crate) const fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Padding(_) | Self::Ack(_) | Self::Close { .. })
    }

    /// Returns how much the frame adds to [`Summary::items`].
    fn items(&self) -> u32 {
        match self {
            Self::Ack(ack) => u32::try_from(ack.count()).unwrap_or(u32::MAX),
            _ => 1,
        }
    }
}

/// The combined properties of a packet's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The number of frames, with each range of an ACK counted.
    pub(crate) items: u32,
    /// One of them is ack-eliciting.
    pub(crate) ack_eliciting: bool,
    /// One of them is a PING.
    pub(crate) ping: bool,
}

/// Parses a whole payload before any of it is applied (M-5).
///
/// # Errors
///
/// If a frame does not parse or is not allowed at this level.
pub(crate) fn check_all(payload: &[u8], level: Level) -> Result<Summary, Malformed> {
    let mut reader = Reader::new(payload);
    let mut summary = Summary::default();
    let may_carry = matches!(level, Level::ZeroRtt | Level::Data);
    while !reader.is_empty() {
        if may_carry && Whole::decode(&mut reader).is_some() {
            summary.ack_eliciting = true;
            summary.items += 1;
            continue;
        }
        let frame = Frame::decode(&mut reader)?;
        if !frame.allowed_in(level) {
            return Err(Malformed);
        }
        summary.items += frame.items();
        summary.ack_eliciting |= frame.is_ack_eliciting();
        summary.ping |= matches!(frame, Frame::Ping);
    }
    Ok(summary)
}

/// Returns the fragment that makes up the whole payload: by far the most frequent case where
/// messages are longer than packets. It then needs no [`check_all`].
#[inline]
pub(crate) fn only_fragment(payload: &[u8], level: Level) -> Option<Fragment<'_>> {
    let may_carry = matches!(level, Level::ZeroRtt | Level::Data);
    if may_carry { Fragment::decode_only(payload) } else { None }
}

/// Returns the frames of a payload that passed [`check_all`]. For any other payload, returns those
/// before the first that does not parse.
pub(crate) fn frames(payload: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut reader = Reader::new(payload);
    std::iter::from_fn(move || Frame::decode(&mut reader).ok())
}

/// Returns how many of `len` bytes of TLS's stream at `offset` fit into `room` bytes as a CRYPTO
/// frame, or `None` if none do.
pub(crate) fn crypto_fit(offset: u64, len: usize, room: usize) -> Option<usize> {
    let fit = prefixed_fit(room.checked_sub(1 + varint_len(offset))?)?.min(len);
    (fit > 0).then_some(fit)
}

#[inline]
fn decode_channel(reader: &mut Reader<'_>) -> Result<ChannelId, Malformed> {
    u16::try_from(reader.varint()?).map(ChannelId).map_err(|_| Malformed)
}

fn put_numbers(writer: &mut Writer<'_>, kind: u8, numbers: &[u64]) {
    writer.put_u8(kind);
    for number in numbers {
        writer.put_varint(*number);
    }
}

fn put_echo(writer: &mut Writer<'_>, kind: u8, bytes: [u8; 8]) {
    writer.put_u8(kind);
    writer.put_bytes(&bytes);
}

fn blocked_number(channel: Option<ChannelId>) -> u64 {
    channel.map_or(0, |channel| u64::from(channel.0) + 1)
}

/// Truncates a reason to at most 256 bytes, between characters.
fn clip(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(MAX_REASON_LEN)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
