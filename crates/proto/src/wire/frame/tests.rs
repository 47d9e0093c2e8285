//! Tests of frames.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::delivery::Class;

const LEVELS: [Level; 4] = [Level::Hello, Level::Handshake, Level::ZeroRtt, Level::Data];

/// The bytes from which the frames below borrow their data.
static POOL: [u8; 512] = {
    let mut pool = [0; 512];
    let mut i = 0;
    while i < pool.len() {
        pool[i] = (i * 7 % 251) as u8;
        i += 1;
    }
    pool
};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..100_000_u64, 0..=VARINT_MAX]
}

fn data() -> impl Strategy<Value = &'static [u8]> {
    (0..POOL.len(), 0..POOL.len()).prop_map(|(a, b)| &POOL[a.min(b)..a.max(b)])
}

fn channel() -> impl Strategy<Value = ChannelId> {
    prop_oneof![0..100_u16, any::<u16>()].prop_map(ChannelId)
}

fn class() -> impl Strategy<Value = Class> {
    prop::sample::select(Class::ALL.to_vec())
}

/// Fragments of messages: the whole message, or a piece of a longer one.
pub(super) fn fragment() -> impl Strategy<Value = Fragment<'static>> {
    let position = prop_oneof![
        Just((0, 0)),
        (0..100_usize, 0..100_usize),
        (0..1_usize << 61, 0..1_usize << 60),
    ];
    (channel(), class(), number(), number(), data(), position).prop_map(
        |(channel, class, id, left, data, (offset, behind))| {
            // M-50: a fragment is not empty.
            let (offset, behind) = if data.is_empty() { (0, 0) } else { (offset, behind) };
            let time_left = (class == Class::Deadline).then_some(Duration::from_millis(left));
            let total = offset + data.len() + behind;
            Fragment { channel, class, id, time_left, total, offset, data }
        },
    )
}

/// Every frame except ACK, whose ranges are encoded bytes.
fn no_ack() -> impl Strategy<Value = Frame<'static>> {
    prop_oneof![
        (1..50_usize).prop_map(Frame::Padding),
        Just(Frame::Ping),
        (0..=VARINT_MAX - 512, data()).prop_map(|(offset, data)| Frame::Crypto { offset, data }),
        Just(Frame::Done),
        Just(Frame::End),
        (number(), number(), any::<[u8; 8]>(), any::<[u8; 16]>()).prop_map(|(a, b, id, token)| {
            Frame::NewId {
                sequence: a.max(b),
                retire_below: a.min(b),
                id: ConnectionId(id),
                token: ResetToken(token),
            }
        }),
        number().prop_map(Frame::RetireId),
        any::<[u8; 8]>().prop_map(Frame::Challenge),
        any::<[u8; 8]>().prop_map(Frame::Response),
        number().prop_map(Frame::Credit),
        (channel(), number()).prop_map(|(channel, total)| Frame::ChannelCredit { channel, total }),
        prop::option::of(channel()).prop_map(Frame::Blocked),
        (number(), 0..=4_usize)
            .prop_map(|(code, n)| Frame::Close { code, reason: &"飛脚 is over"[..3 * n] }),
        fragment().prop_map(Frame::Message),
    ]
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut buffer = [0; 1_000];
    let mut writer = Writer::new(&mut buffer);
    frame.encode(&mut writer);
    writer.written().to_vec()
}

fn encoded_ack() -> impl Strategy<Value = Vec<u8>> {
    (0..1_000_u64, 1..80_u64, prop::option::of(number())).prop_map(|(lowest, count, ce)| {
        let ranges = (0..count).rev().map(|i| lowest + 3 * i..=lowest + 3 * i + 1);
        let ecn = ce.map(|ce| EcnCounts { ect0: 9, ect1: 0, ce });
        let mut buffer = [0; 1_000];
        let mut writer = Writer::new(&mut buffer);
        write_ack(&mut writer, Duration::from_micros(800), ranges, ecn);
        writer.written().to_vec()
    })
}

fn encoded_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => no_ack().prop_map(|frame| encoded(&frame)), 1 => encoded_ack()]
}

fn decoded(bytes: &[u8]) -> Result<Frame<'_>, Malformed> {
    Frame::decode(&mut Reader::new(bytes))
}

/// Bytes that are valid frames more often than random ones.
fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => 0..=0x1f_u8, 1 => any::<u8>()];
    prop_oneof![
        prop::collection::vec(byte, 0..60),
        prop::collection::vec(any::<u8>(), 0..60),
        (encoded_frame(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
            |(mut bytes, at, value)| {
                let at = at.index(bytes.len());
                bytes[at] = value;
                bytes
            }
        ),
    ]
}

#[test]
fn the_encoding_matches_section_4() {
    let id = ConnectionId([1; 8]);
    let token = ResetToken([2; 16]);
    let channel = ChannelId(64);
    let new_id = [&[0x06, 5, 3], &[1; 8][..], &[2; 16]].concat();
    let frames: [(Frame<'_>, &[u8]); 12] = [
        (Frame::Padding(2), &[0, 0]),
        (Frame::Ping, &[0x01]),
        (Frame::Crypto { offset: 9, data: b"ab" }, b"\x04\x09\x02ab"),
        (Frame::Done, &[0x05]),
        (Frame::End, &[0x0f]),
        (Frame::NewId { sequence: 5, retire_below: 3, id, token }, &new_id),
        (Frame::RetireId(7), &[0x07, 7]),
        (Frame::Challenge(*b"12345678"), b"\x0812345678"),
        (Frame::Response(*b"12345678"), b"\x0912345678"),
        (Frame::Credit(64), &[0x0a, 0x40, 64]),
        (Frame::ChannelCredit { channel, total: 1 }, &[0x0b, 0x40, 64, 1]),
        (Frame::Close { code: 2, reason: "no" }, b"\x0e\x02\x02no"),
    ];
    for (frame, bytes) in frames {
        assert_eq!(encoded(&frame), bytes, "{frame:?}");
    }
}

#[test]
fn blocked_encodes_the_channel_plus_one_or_zero_for_the_connection() {
    assert_eq!(encoded(&Frame::Blocked(None)), [0x0d, 0]);
    assert_eq!(encoded(&Frame::Blocked(Some(ChannelId(0)))), [0x0d, 1]);
    let last = [0x0d, 0x80, 1, 0, 0];
    assert_eq!(decoded(&last), Ok(Frame::Blocked(Some(ChannelId(u16::MAX)))));
    assert_eq!(decoded(&[0x0d, 0x80, 1, 0, 1]), Err(Malformed));
}

#[test]
fn an_unknown_type_is_malformed() {
    for kind in std::iter::once(0x0c).chain(0x20..=0xff) {
        let mut bytes = [0; 40];
        bytes[0] = kind;
        assert_eq!(decoded(&bytes), Err(Malformed), "{kind:#x}");
    }
}

#[test]
fn an_invalid_channel_or_class_is_malformed() {
    assert_eq!(decoded(&[0x0b, 0x80, 1, 0, 0, 0]), Err(Malformed));
    assert_eq!(decoded(&[0x15, 0, 0, 0]), Err(Malformed));
}

#[test]
fn a_reason_of_more_than_256_bytes_is_malformed() {
    let close = |len: u8| [&[0x0e, 0, 0x41, len][..], &[b'a'; 300]].concat();
    assert!(matches!(decoded(&close(0)), Ok(Frame::Close { reason, .. }) if reason.len() == 256));
    assert_eq!(decoded(&close(1)), Err(Malformed));
}

#[test]
fn a_reason_that_is_not_utf_8_is_malformed() {
    assert_eq!(decoded(&[0x0e, 0, 2, 0xc3, 0x28]), Err(Malformed));
}

#[test]
fn a_long_reason_is_clipped_between_characters() {
    let reason = "飛".repeat(86);
    let close = Frame::Close { code: 0, reason: &reason };
    let bytes = encoded(&close);
    assert_eq!(bytes.len(), close.encoded_len());
    assert_eq!(decoded(&bytes), Ok(Frame::Close { code: 0, reason: &reason[..255] }));
}

#[test]
fn a_code_beyond_the_varint_range_is_clamped() {
    let close = Frame::Close { code: u64::MAX, reason: "" };
    assert_eq!(decoded(&encoded(&close)), Ok(Frame::Close { code: VARINT_MAX, reason: "" }));
}

#[test]
fn crypto_that_ends_beyond_the_stream_is_malformed() {
    let crypto = |offset: u64| encoded(&Frame::Crypto { offset, data: b"ab" });
    assert!(decoded(&crypto(VARINT_MAX - 2)).is_ok());
    assert_eq!(decoded(&crypto(VARINT_MAX - 1)), Err(Malformed));
}

// M-54
#[test]
fn an_id_that_retires_itself_is_malformed() {
    let bytes = [&[0x06, 5, 6][..], &[0; 24]].concat();
    assert_eq!(decoded(&bytes), Err(Malformed));
}

#[test]
fn debug_hides_the_reset_token() {
    assert_eq!(format!("{:?}", ResetToken([7; 16])), "ResetToken(..)");
}

#[test]
fn each_level_allows_the_frames_of_section_2() {
    let ack = [0x02, 5, 0, 0, 0];
    let allowed = |frame: &Frame<'_>| LEVELS.map(|level| frame.allowed_in(level));
    let message = decoded(&[0x10, 0, 0, 0]).unwrap();
    let close = Frame::Close { code: 0, reason: "" };
    for frame in [Frame::Padding(1), Frame::Ping, close] {
        assert_eq!(allowed(&frame), [true; 4], "{frame:?}");
    }
    for frame in [decoded(&ack).unwrap(), Frame::Crypto { offset: 0, data: &[] }] {
        assert_eq!(allowed(&frame), [true, true, false, true], "{frame:?}");
    }
    assert_eq!(allowed(&message), [false, false, true, true]);
    for frame in
        [Frame::Done, Frame::End, Frame::Credit(1), Frame::Challenge([0; 8]), Frame::RetireId(0)]
    {
        assert_eq!(allowed(&frame), [false, false, false, true], "{frame:?}");
    }
}

// M-5
#[test]
fn m_5_a_frame_not_allowed_at_its_level_rejects_the_packet() {
    let payload = [0x01, 0x05];
    assert_eq!(
        check_all(&payload, Level::Data),
        Ok(Summary { items: 2, ack_eliciting: true, ping: true })
    );
    assert_eq!(check_all(&payload, Level::Handshake), Err(Malformed));
}

#[test]
fn padding_ack_and_close_are_not_ack_eliciting() {
    let payload = [0x00, 0x02, 5, 0, 0, 0, 0x0e, 0, 0, 0x00];
    let summary = Summary { items: 4, ..Summary::default() };
    assert_eq!(check_all(&payload, Level::Data), Ok(summary));
}

proptest! {
    #[test]
    fn a_frame_round_trips_in_its_computed_length(frame in no_ack()) {
        let bytes = encoded(&frame);
        prop_assert_eq!(bytes.len(), frame.encoded_len());
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(Frame::decode(&mut reader), Ok(frame));
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn a_truncated_frame_is_malformed(bytes in encoded_frame()) {
        // Truncated padding is still padding.
        let least = if bytes[0] == PADDING { 0..1 } else { 0..bytes.len() };
        for len in least {
            prop_assert_eq!(decoded(&bytes[..len]), Err(Malformed));
        }
    }

    #[test]
    fn a_frame_leaves_the_following_bytes_unread(bytes in encoded_frame()) {
        let followed = [&bytes[..], &[PING]].concat();
        let mut reader = Reader::new(&followed);
        prop_assert_eq!(Frame::decode(&mut reader), decoded(&bytes));
        prop_assert_eq!(reader.position(), bytes.len());
    }

    #[test]
    fn a_decoded_value_round_trips(bytes in likely_bytes()) {
        if let Ok(frame) = decoded(&bytes) {
            let again = encoded(&frame);
            prop_assert_eq!(again.len(), frame.encoded_len());
            prop_assert_eq!(decoded(&again), Ok(frame));
        }
    }

    // M-5
    #[test]
    fn m_5_a_packet_is_valid_if_each_frame_is(
        fragments in prop::collection::vec(encoded_frame(), 0..6),
        tail in prop_oneof![3 => Just(Vec::new()), 1 => likely_bytes()],
        level in prop::sample::select(LEVELS.to_vec()),
    ) {
        let payload = [fragments.concat(), tail].concat();
        let mut reader = Reader::new(&payload);
        let mut one_by_one = Vec::new();
        while !reader.is_empty() {
            one_by_one.push(Frame::decode(&mut reader).map_err(|_| Malformed));
            if one_by_one.last().is_some_and(Result::is_err) {
                break;
            }
        }
        let all: Result<Vec<_>, _> = one_by_one.into_iter().collect();
        let all = all.ok().filter(|all| all.iter().all(|frame| frame.allowed_in(level)));
        let summary = all.as_ref().map(|all| Summary {
            items: all.iter().map(Frame::items).sum(),
            ack_eliciting: all.iter().any(Frame::is_ack_eliciting),
            ping: all.contains(&Frame::Ping),
        });
        prop_assert_eq!(check_all(&payload, level), summary.ok_or(Malformed));
        if let Some(all) = all {
            prop_assert!(frames(&payload).eq(all));
        }
    }

    #[test]
    fn crypto_fit_is_the_most_that_fits(
        offset in number(), len in 1..200_usize, room in 0..220_usize,
    ) {
        let crypto_len = |n: usize| Frame::Crypto { offset, data: &POOL[..n] }.encoded_len();
        let fit = crypto_fit(offset, len, room);
        prop_assert!(fit.is_none_or(|fit| fit > 0 && crypto_len(fit) <= room));
        let more = fit.unwrap_or(0) + 1;
        prop_assert!(more > len || crypto_len(more) > room);
    }
}
