//! Tests of packet headers.

use proptest::prelude::*;

use super::*;

static POOL: [u8; 64] = *b"a token that only its maker can read, and that says when and who";
const TO: ConnectionId = ConnectionId([1; 8]);
const FROM: ConnectionId = ConnectionId([2; 8]);

fn id() -> impl Strategy<Value = ConnectionId> {
    any::<[u8; 8]>().prop_map(ConnectionId)
}

fn token(least: usize) -> impl Strategy<Value = &'static [u8]> {
    (least..=POOL.len()).prop_map(|len| &POOL[..len])
}

fn kind() -> impl Strategy<Value = LongKind> {
    prop::sample::select(vec![LongKind::Handshake, LongKind::ZeroRtt])
}

/// Headers of packets with frames, for which truncation can be detected.
fn sealed() -> impl Strategy<Value = Header<'static>> {
    prop_oneof![
        (any::<bool>(), id(), any::<u32>()).prop_map(|(phase, to, number)| Header::Data {
            phase,
            to,
            number
        }),
        (id(), id(), token(0), any::<u32>()).prop_map(|(to, from, token, number)| {
            Header::Long { kind: LongKind::Hello, to, from, token, number }
        }),
        (kind(), id(), id(), any::<u32>()).prop_map(|(kind, to, from, number)| {
            Header::Long { kind, to, from, token: &[], number }
        }),
    ]
}

fn any_header() -> impl Strategy<Value = Header<'static>> {
    prop_oneof![
        3 => sealed(),
        1 => (id(), id(), token(1), any::<[u8; 16]>())
            .prop_map(|(to, from, token, tag)| Header::Retry { to, from, token, tag }),
        1 => (id(), id(), 1..=16_usize)
            .prop_map(|(to, from, n)| Header::Versions { to, from, list: &POOL[..4 * n] }),
        1 => (2_u32.., id(), id())
            .prop_map(|(version, to, from)| Header::OtherVersion { version, to, from }),
    ]
}

fn encoded(header: &Header<'_>) -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer);
    header.encode(&mut writer);
    writer.written().to_vec()
}

/// Returns a long-form packet of any type and version, with enough bytes for any of them.
fn long(kind: u8, version: u32) -> Vec<u8> {
    let mut bytes = vec![LONG | kind];
    bytes.extend(version.to_be_bytes());
    bytes.extend([0; 16 + 40]);
    bytes
}

/// Returns the number that M-3 asks for, by trying all candidates.
fn nearest(low: u32, expected: u64) -> u64 {
    let round = expected >> 32;
    let candidates = round.saturating_sub(1)..=round + 1;
    let numbers = candidates.map(|round| round << 32 | u64::from(low));
    let by_distance = |number: &u64| (number.abs_diff(expected), u64::MAX - number);
    numbers.filter(|number| *number < 1 << 62).min_by_key(by_distance).unwrap()
}

#[test]
fn the_encoding_matches_the_diagram() {
    let data = Header::Data { phase: true, to: TO, number: 0x0a0b_0c0d };
    assert_eq!(encoded(&data), [&[0x41], &[1; 8][..], &[10, 11, 12, 13]].concat());
    let hello =
        Header::Long { kind: LongKind::Hello, to: TO, from: FROM, token: b"abc", number: 7 };
    let want = [&[0xc0, 0, 0, 0, 1], &[1; 8][..], &[2; 8], b"\x03abc", &[0, 0, 0, 7]].concat();
    assert_eq!(encoded(&hello), want);
    let handshake =
        Header::Long { kind: LongKind::Handshake, to: TO, from: FROM, token: &[], number: 7 };
    let want = [&[0xc1, 0, 0, 0, 1], &[1; 8][..], &[2; 8], &[0, 0, 0, 7]].concat();
    assert_eq!(encoded(&handshake), want);
}

// M-1
#[test]
fn m_1_no_other_first_byte_is_a_packet() {
    for first in 0..=u8::MAX {
        let version = if first == LONG | VERSIONS { NO_VERSION } else { VERSION };
        let mut bytes = long(0, version);
        bytes[0] = first;
        let known = matches!(first, 0x40 | 0x41 | 0xc0..=0xc4);
        assert_eq!(Header::decode(&bytes).is_ok(), known, "{first:#010b}");
    }
}

// M-8, M-30
#[test]
fn m_30_only_a_hello_is_answered_with_versions() {
    let (to, from) = (ConnectionId([0; 8]), ConnectionId([0; 8]));
    let asks = Header::OtherVersion { version: 7, to, from };
    assert_eq!(Header::decode(&long(HELLO, 7)), Ok((asks, LONG_START_LEN)));
    for kind in [HANDSHAKE, ZERO_RTT, RETRY] {
        assert_eq!(Header::decode(&long(kind, 7)), Err(Discard::OtherVersion));
    }
}

// M-8
#[test]
fn a_versions_packet_belongs_to_no_version_and_is_never_answered() {
    assert!(matches!(Header::decode(&long(VERSIONS, 0)), Ok((Header::Versions { .. }, _))));
    assert_eq!(Header::decode(&long(VERSIONS, VERSION)), Err(Discard::Malformed));
    assert_eq!(Header::decode(&long(VERSIONS, 7)), Err(Discard::Malformed));
    assert_eq!(Header::decode(&long(HELLO, 0)), Err(Discard::Malformed));
}

#[test]
fn a_list_of_versions_round_trips() {
    let list = [VERSION.to_be_bytes(), 9_u32.to_be_bytes()].concat();
    assert!(versions(&list).eq([VERSION, 9]));
}

#[test]
fn an_empty_or_truncated_list_of_versions_is_malformed() {
    let ids = encoded(&Header::Versions { to: TO, from: FROM, list: &[] });
    assert_eq!(Header::decode(&ids), Err(Discard::Malformed));
    let odd = encoded(&Header::Versions { to: TO, from: FROM, list: &[0; 6] });
    assert_eq!(Header::decode(&odd), Err(Discard::Malformed));
}

#[test]
fn a_first_hello_is_distinguished_from_similar_packets() {
    let hello = |token: &'static [u8], number, len| {
        let kind = LongKind::Hello;
        let mut bytes = encoded(&Header::Long { kind, to: TO, from: FROM, token, number });
        bytes.resize(len, 0x5a);
        bytes
    };
    assert!(opens_connection(&hello(&[], 0, BASE_MTU)));
    assert!(opens_connection(&hello(&[], 9, 1_452)));
    assert!(!opens_connection(&hello(&[], 0, BASE_MTU - 1)), "not padded");
    assert!(!opens_connection(&hello(b"token", 0, BASE_MTU)), "already answered");
    assert!(!opens_connection(&hello(&[], MAX_FIRST_TRIES, BASE_MTU)));
    // QUIC version 1: the same first bytes in one of sixteen packets, then ids with their
    // lengths.
    for len in 8..=20_u8 {
        let mut quic = vec![0xc0, 0, 0, 0, 1, len];
        quic.extend(std::iter::repeat_n(0xab, len.into()));
        quic.extend([0, 0, 0x44, 0x96]);
        quic.resize(BASE_MTU, 0x5a);
        assert!(!opens_connection(&quic), "{len}");
    }
}

#[test]
fn a_retry_without_a_token_is_malformed() {
    let retry = Header::Retry { to: TO, from: FROM, token: &[], tag: [3; 16] };
    assert_eq!(Header::decode(&encoded(&retry)), Err(Discard::Malformed));
}

#[test]
fn a_token_with_an_overlong_length_is_accepted() {
    let mut bytes = long(HELLO, VERSION);
    bytes[LONG_START_LEN..LONG_START_LEN + 3].copy_from_slice(&[0x40, 1, 9]);
    let (header, len) = Header::decode(&bytes).unwrap();
    assert!(matches!(header, Header::Long { token: [9], .. }));
    assert_eq!(len, LONG_START_LEN + 3 + 4);
}

// M-3
#[test]
fn m_3_matches_the_example_of_rfc_9000_appendix_a_3() {
    assert_eq!(expand_number(0x9b32_0000, 0xa82f_30ea + 1), 0x9b32_0000);
    assert_eq!(expand_number(2, 0xffff_ffff), 0x1_0000_0002);
    assert_eq!(expand_number(0xffff_fffe, 0x1_0000_0001), 0xffff_fffe);
}

#[test]
fn m_3_a_tie_is_resolved_to_the_higher_number() {
    let far = 1 << 31;
    assert_eq!(expand_number(5, 5 + far), 5 + 2 * far);
    assert_eq!(expand_number(5 + (1 << 31), 5 + 2 * far), 5 + 3 * far);
}

proptest! {
    #[test]
    fn a_header_round_trips_with_its_length(header in any_header()) {
        let bytes = encoded(&header);
        prop_assert_eq!(bytes.len(), header.encoded_len());
        prop_assert_eq!(Header::decode(&bytes), Ok((header, bytes.len())));
    }

    #[test]
    fn decoding_ignores_the_sealed_bytes(header in sealed(), sealed: [u8; 32]) {
        let bytes = encoded(&header);
        let packet = [&bytes, &sealed[..]].concat();
        prop_assert_eq!(Header::decode(&packet), Ok((header, bytes.len())));
    }

    #[test]
    fn a_truncated_header_is_malformed(header in sealed()) {
        let bytes = encoded(&header);
        for len in 0..bytes.len() {
            prop_assert_eq!(Header::decode(&bytes[..len]), Err(Discard::Malformed));
        }
    }

    #[test]
    fn a_decoded_value_round_trips(
        first in prop_oneof![any::<u8>(), Just(DATA), LONG..LONG + 5],
        version in prop_oneof![Just(VERSION), Just(NO_VERSION), any::<u32>()],
        rest in prop::collection::vec(any::<u8>(), 0..90),
    ) {
        let bytes = [&[first], &version.to_be_bytes()[..], &rest].concat();
        if let Ok((header, len)) = Header::decode(&bytes) {
            prop_assert!(header.encoded_len() <= len && len <= bytes.len());
            let again = encoded(&header);
            prop_assert_eq!(Header::decode(&again), Ok((header, again.len())));
        }
    }

    #[test]
    fn m_3_the_nearest_number_is_restored(
        low: u32,
        expected in prop_oneof![
            0..1_u64 << 34,
            0..1_u64 << 62,
            (1_u64 << 62) - (1 << 34)..1 << 62,
        ],
    ) {
        prop_assert_eq!(expand_number(low, expected), nearest(low, expected));
    }

    #[test]
    fn m_3_a_number_within_half_the_window_is_restored(
        expected in 1_u64 << 31..(1 << 62) - (1 << 31),
        off in -(1_i64 << 31) + 1..1 << 31,
    ) {
        let number = expected.saturating_add_signed(off);
        prop_assert_eq!(expand_number(number as u32, expected), number);
    }

    #[test]
    fn m_3_no_number_exceeds_the_maximum(low: u32, expected: u64) {
        prop_assert!(expand_number(low, expected) < 1 << 62);
    }
}
