//! The MESSAGE frame: a message, or a fragment of one.

use std::time::Duration;

use super::{MESSAGE, MESSAGE_CLASS, MESSAGE_FRAGMENT, decode_channel};
use crate::{
    delivery::{ChannelId, Class},
    error::Malformed,
    wire::codec::{Reader, VARINT_MAX, Writer, prefixed_len, varint_len},
};

/// A fragment of a message, or all of it. It ends within the total length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub(crate) channel: ChannelId,
    pub(crate) class: Class,
    /// The number of the message within its class and channel, from 0.
    pub(crate) id: u64,
    /// The rest of a Deadline's time in whole ms; `None` for the other classes.
    pub(crate) time_left: Option<Duration>,
    /// The length of the whole message, in bytes.
    pub(crate) total: usize,
    /// The offset of this fragment in the message, in bytes.
    pub(crate) offset: usize,
    pub(crate) data: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Decodes the fields after the type `kind`, one of 0x10 to 0x1f.
    #[inline]
    pub(super) fn decode(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let class = Class::from_wire(kind & MESSAGE_CLASS).ok_or(Malformed)?; // M-52
        let channel = decode_channel(reader)?; // M-52
        let id = reader.varint()?;
        let time_left = match class {
            Class::Deadline => Some(Duration::from_millis(reader.varint()?)),
            _ => None,
        };
        if kind & MESSAGE_FRAGMENT == 0 {
            let data = reader.prefixed()?;
            return Ok(Self { channel, class, id, time_left, total: data.len(), offset: 0, data });
        }
        let (total, offset) = (reader.size()?, reader.size()?);
        let data = reader.prefixed()?;
        let fragment = Self { channel, class, id, time_left, total, offset, data };
        fragment.makes_sense().then_some(fragment).ok_or(Malformed)
    }

    /// Decodes a payload that is exactly one fragment of any class except Deadline: by far the most
    /// frequent case where messages are longer than packets.
    #[inline]
    pub(crate) fn decode_only(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let kind = reader.u8().ok()?;
        let class = Class::from_wire(kind.checked_sub(MESSAGE | MESSAGE_FRAGMENT)?)?;
        if class == Class::Deadline {
            return None;
        }
        let channel = decode_channel(&mut reader).ok()?;
        let (id, total) = (reader.varint().ok()?, reader.size().ok()?);
        let (offset, data) = (reader.size().ok()?, reader.prefixed().ok()?);
        let fragment = Self { channel, class, id, time_left: None, total, offset, data };
        (reader.is_empty() && fragment.makes_sense()).then_some(fragment)
    }

    /// Returns `true` if the lengths are consistent (M-50).
    fn makes_sense(&self) -> bool {
        let says_nothing = self.data.is_empty() && self.total > 0;
        !says_nothing
            && self.offset.checked_add(self.data.len()).is_some_and(|end| end <= self.total)
    }

    /// Returns `true` if this is a whole message and not a fragment.
    pub(crate) const fn is_whole(&self) -> bool {
        self.data.len() == self.total
    }

    /// Returns the fragment without its data.
    pub(crate) const fn header(&self) -> FragmentHeader {
        let Self { channel, class, id, time_left, total, offset, data } = *self;
        FragmentHeader { channel, class, id, time_left, total, offset, len: data.len() }
    }
}

/// A fragment of a message, or a whole one, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FragmentHeader {
    pub(crate) channel: ChannelId,
    pub(crate) class: Class,
    pub(crate) id: u64,
    pub(crate) time_left: Option<Duration>,
    pub(crate) total: usize,
    pub(crate) offset: usize,
    /// The length of the data.
    pub(crate) len: usize,
}

impl FragmentHeader {
    /// Returns the encoded length, without the data.
    pub(crate) fn header_len(&self) -> usize {
        let time_left = match self.class {
            Class::Deadline => varint_len(self.millis_left()),
            _ => 0,
        };
        let fragment = if self.len == self.total {
            0
        } else {
            varint_len(self.total as u64) + varint_len(self.offset as u64)
        };
        let names = 1 + varint_len(u64::from(self.channel.0)) + varint_len(self.id);
        names + time_left + fragment + varint_len(self.len as u64)
    }

    /// Rounds down, so that no message is delivered after its time.
    fn millis_left(&self) -> u64 {
        let millis = self.time_left.unwrap_or_default().as_millis();
        u64::try_from(millis).unwrap_or(VARINT_MAX).min(VARINT_MAX)
    }
}

/// Writes `fragment`: [`FragmentHeader::header_len`] bytes and its data. For a Deadline that has
/// expired, no time left is written.
pub(crate) fn write_message(writer: &mut Writer<'_>, fragment: &Fragment<'_>) {
    let ends_within =
        fragment.offset.checked_add(fragment.data.len()).is_some_and(|end| end <= fragment.total);
    debug_assert!(ends_within, "a fragment that ends beyond its message breaks M-50");
    let fragment_bit = if fragment.is_whole() { 0 } else { MESSAGE_FRAGMENT };
    writer.put_u8(MESSAGE | fragment_bit | fragment.class.to_wire());
    writer.put_varint(u64::from(fragment.channel.0));
    writer.put_varint(fragment.id);
    if fragment.class == Class::Deadline {
        writer.put_varint(fragment.header().millis_left());
    }
    if fragment_bit != 0 {
        writer.put_size(fragment.total);
        writer.put_size(fragment.offset);
    }
    writer.put_prefixed(fragment.data);
}

/// A decoded whole message of any class except Deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'a> {
    pub(crate) channel: ChannelId,
    pub(crate) class: Class,
    pub(crate) id: u64,
    pub(crate) data: &'a [u8],
}

impl<'a> Whole<'a> {
    /// Decodes a whole message if one is next, as most frames are. Otherwise, or if it does not
    /// parse, reads nothing and leaves it to [`Frame::decode`](super::Frame::decode).
    #[inline]
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        let mut ahead = *reader;
        let kind = ahead.u8().ok()?;
        let class = Class::from_wire(kind.checked_sub(MESSAGE)?)?;
        if class == Class::Deadline {
            return None;
        }
        let channel = decode_channel(&mut ahead).ok()?;
        let (id, data) = (ahead.varint().ok()?, ahead.prefixed().ok()?);
        *reader = ahead;
        Some(Self { channel, class, id, data })
    }
}

impl<'a> From<Whole<'a>> for Fragment<'a> {
    fn from(whole: Whole<'a>) -> Self {
        let Whole { channel, class, id, data } = whole;
        Self { channel, class, id, time_left: None, total: data.len(), offset: 0, data }
    }
}

/// Writes a whole message of any class except Deadline. Returns `false` if it does not fit.
#[inline]
pub(crate) fn write_whole(
    writer: &mut Writer<'_>,
    channel: ChannelId,
    class: Class,
    id: u64,
    data: &[u8],
) -> bool {
    debug_assert!(class != Class::Deadline, "a Deadline has a time left");
    let channel = u64::from(channel.0);
    let len = 1 + varint_len(channel) + varint_len(id) + prefixed_len(data.len());
    let fits = len <= writer.room();
    if fits {
        writer.put_start(MESSAGE | class.to_wire(), [channel, id, data.len() as u64]);
        writer.put_bytes(data);
    }
    fits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::frame::{Frame, tests::fragment};

    fn written(fragment: &Fragment<'_>) -> Vec<u8> {
        let mut buffer = [0; 1_000];
        let mut writer = Writer::new(&mut buffer);
        write_message(&mut writer, fragment);
        writer.written().to_vec()
    }

    fn decoded(bytes: &[u8]) -> Result<Fragment<'_>, Malformed> {
        match Frame::decode(&mut Reader::new(bytes))? {
            Frame::Message(fragment) => Ok(fragment),
            other => panic!("{other:?} is not a message"),
        }
    }

    const WHOLE: Fragment<'_> = Fragment {
        channel: ChannelId(7),
        class: Class::Ordered,
        id: 9,
        time_left: None,
        total: 3,
        offset: 0,
        data: b"abc",
    };

    #[test]
    fn the_encoding_matches_section_5() {
        assert_eq!(written(&WHOLE), b"\x10\x07\x09\x03abc");
        let fragment = Fragment { class: Class::Unreliable, total: 100, offset: 5, ..WHOLE };
        assert_eq!(written(&fragment), b"\x1b\x07\x09\x40\x64\x05\x03abc");
        let time_left = Some(Duration::from_millis(20));
        let deadline = Fragment { class: Class::Deadline, time_left, ..WHOLE };
        assert_eq!(written(&deadline), b"\x14\x07\x09\x14\x03abc");
        let deadline = Fragment { total: 4, offset: 1, ..deadline };
        assert_eq!(written(&deadline), b"\x1c\x07\x09\x14\x04\x01\x03abc");
    }

    // M-52
    #[test]
    fn m_52_an_unknown_class_is_malformed() {
        for kind in [0x15, 0x16, 0x17, 0x1d, 0x1e, 0x1f] {
            assert_eq!(decoded(&[kind, 0, 0, 0, 0, 0, 0, 0]), Err(Malformed));
        }
    }

    // M-52
    #[test]
    fn m_52_a_channel_above_65_535_is_malformed() {
        assert!(decoded(b"\x10\x80\x00\xff\xff\x00\x00").is_ok());
        assert_eq!(decoded(b"\x10\x80\x01\x00\x00\x00\x00"), Err(Malformed));
    }

    // M-50
    #[test]
    fn m_50_a_fragment_that_ends_beyond_the_total_is_malformed() {
        assert!(decoded(b"\x18\x00\x00\x05\x02\x03abc").is_ok());
        assert_eq!(decoded(b"\x18\x00\x00\x05\x03\x03abc"), Err(Malformed));
        let last = b"\x18\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(decoded(&[&last[..], b"\x01a"].concat()), Err(Malformed));
    }

    // M-50
    #[test]
    fn m_50_an_empty_fragment_is_malformed() {
        assert_eq!(decoded(b"\x18\x00\x00\x05\x02\x00"), Err(Malformed));
        assert!(decoded(b"\x18\x00\x00\x00\x00\x00").is_ok());
    }

    #[test]
    fn a_fragment_with_all_bytes_is_the_whole_message() {
        assert_eq!(decoded(b"\x18\x07\x09\x03\x00\x03abc"), Ok(WHOLE));
    }

    #[test]
    fn time_left_is_rounded_down_to_a_millisecond() {
        let time_left = Some(Duration::from_micros(20_999));
        let bytes = written(&Fragment { class: Class::Deadline, time_left, ..WHOLE });
        let left = decoded(&bytes).map(|fragment| fragment.time_left);
        assert_eq!(left, Ok(Some(Duration::from_millis(20))));
    }

    #[test]
    fn an_excessive_time_left_is_clamped() {
        for long in [Duration::from_millis(u64::MAX), Duration::MAX] {
            let deadline = Fragment { class: Class::Deadline, time_left: Some(long), ..WHOLE };
            let bytes = written(&deadline);
            let left = decoded(&bytes).map(|fragment| fragment.time_left);
            assert_eq!(left, Ok(Some(Duration::from_millis(VARINT_MAX))));
        }
    }

    proptest! {
        #[test]
        fn a_message_round_trips(fragment in fragment()) {
            let bytes = written(&fragment);
            prop_assert_eq!(decoded(&bytes), Ok(fragment));
        }

        #[test]
        fn a_whole_message_is_encoded_alike_or_not_at_all(
            fragment in fragment(),
            spare in -2..2_isize,
        ) {
            prop_assume!(fragment.is_whole() && fragment.class != Class::Deadline);
            let bytes = written(&fragment);
            let mut buffer = vec![0; bytes.len().saturating_add_signed(spare)];
            let mut writer = Writer::new(&mut buffer);
            let Fragment { channel, class, id, data, .. } = fragment;
            let fits = write_whole(&mut writer, channel, class, id, data);
            prop_assert_eq!(fits, spare >= 0);
            prop_assert_eq!(writer.written(), if fits { &bytes[..] } else { &[] });
        }

        #[test]
        fn the_fast_path_agrees_with_the_frame_decoder(
            bytes in prop_oneof![
                fragment().prop_map(|fragment| written(&fragment)),
                prop::collection::vec(any::<u8>(), 0..30),
            ],
        ) {
            let (mut fast, mut slow) = (Reader::new(&bytes), Reader::new(&bytes));
            let whole = Whole::decode(&mut fast).map(Fragment::from);
            let frame = Frame::decode(&mut slow);
            match whole {
                Some(fragment) => {
                    prop_assert_eq!(frame, Ok(Frame::Message(fragment)));
                    prop_assert_eq!(fast.position(), slow.position());
                }
                None => {
                    prop_assert_eq!(fast.position(), 0);
                    let is_whole = bytes.first().is_some_and(|kind| (0x10..0x14).contains(kind));
                    prop_assert!(!is_whole || frame.is_err());
                }
            }
        }

        #[test]
        fn the_header_has_its_computed_length(fragment in fragment()) {
            let len = fragment.header().header_len() + fragment.data.len();
            prop_assert_eq!(written(&fragment).len(), len);
        }
    }
}
