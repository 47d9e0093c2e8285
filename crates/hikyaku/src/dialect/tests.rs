//! What opens a dialect, what merely resembles it, and what may be answered.
//!
//! In: datagrams of each dialect, and random ones. Out: failures. Never: a socket.

use proptest::prelude::*;

use super::{openings::MIN_TOKEN, *};

const ALL: [Dialect; 5] =
    [Dialect::Plain, Dialect::Fernet, Dialect::Signed, Dialect::Dtls, Dialect::Native];

/// A record of version 1.2 with the head of a ClientHello, as any client begins.
fn client_hello() -> Vec<u8> {
    let body = [[0xfe, 0xfd].as_slice(), &[7; 32], &[0; 10]].concat();
    let len = u8::try_from(body.len()).unwrap();
    let fragment = [&[1, 0, 0, len, 0, 0, 0, 0, 0, 0, 0, len], body.as_slice()].concat();
    let record_len = u8::try_from(fragment.len()).unwrap();
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, record_len], fragment.as_slice()].concat()
}

/// A first Hello, as far as it is sent in the clear.
fn native_hello() -> Vec<u8> {
    let mut hello = vec![0xc0, 0, 0, 0, 1];
    hello.extend([0x5a; 16]);
    hello.extend([0; 5]);
    hello.resize(1_200, 0xa5);
    hello
}

/// A token with an empty payload, as far as it can be known without the key.
fn token() -> Vec<u8> {
    let mut token = b"gAAAAABl".to_vec();
    token.resize(98, b'x');
    token.extend_from_slice(b"==");
    token
}

/// An envelope with our header of 75 bytes and the payload "hello".
fn envelope() -> Vec<u8> {
    let mut envelope = vec![0xd2, 0x84, 0x58, 75];
    envelope.extend([7; 75]);
    envelope.extend([0xa0, 0x45]);
    envelope.extend(b"hello");
    envelope.extend([0x58, 64]);
    envelope.extend([9; 64]);
    envelope
}

fn openings() -> [(Vec<u8>, Dialect); 4] {
    [
        (native_hello(), Dialect::Native),
        (client_hello(), Dialect::Dtls),
        (token(), Dialect::Fernet),
        (envelope(), Dialect::Signed),
    ]
}

#[test]
fn each_dialect_is_recognised_by_its_first_bytes() {
    for (datagram, dialect) in openings() {
        assert_eq!(Dialect::of(&datagram), Some(dialect), "{datagram:02x?}");
    }
    assert_eq!(Dialect::of(&[&token()[..], b"\n"].concat()), Some(Dialect::Fernet));
}

#[test]
fn a_datagram_that_merely_resembles_a_dialect_is_a_plain_message() {
    let hello = native_hello();
    let cut = [&hello[..1_199], &hello[..30], &client_hello()[..40], &token()[..MIN_TOKEN - 4]];
    assert!(cut.iter().all(|cut| Dialect::of(cut).is_none()), "nothing that is cut short");
    for text in ["", "g", "gAAAAA is how a token begins", "?native", "/name ana", "\x16\u{3}\u{1}"]
    {
        assert_eq!(Dialect::of(text.as_bytes()), None, "{text:?}");
    }
    let spaced = format!("gAAAAA{}", " and so on".repeat(20));
    assert_eq!(Dialect::of(spaced.as_bytes()), None);
}

#[test]
fn a_hint_is_recognised_only_whole_and_opens_nothing() {
    for dialect in ALL {
        assert_eq!(Dialect::of_hint(dialect.hint()), Some(dialect));
        assert_eq!(Dialect::of_hint(&[dialect.hint(), b"\r\n"].concat()), Some(dialect));
        assert_eq!(Dialect::of_hint(&[dialect.hint(), b"\nx"].concat()), None);
        assert_eq!(Dialect::of_hint(&[b" ", dialect.hint()].concat()), None);
        assert_eq!(Dialect::of(dialect.hint()), None);
    }
}

#[test]
fn text_is_distinguished_from_random_bytes() {
    for text in [
        "",
        "A message",
        "@all: hi\n",
        "飛脚 and more than sixty-four bytes of it, 飛脚飛脚飛脚飛脚",
    ] {
        assert!(is_text(text.as_bytes()), "{text:?}");
    }
    for bytes in [b"A\x00\x01".as_slice(), b"A\xff\xfe", b"\x16\x03\x01", &native_hello()] {
        assert!(!is_text(bytes), "{bytes:02x?}");
    }
}

proptest! {
    // Nothing is amplified and nothing loops: an answer is no longer than what it answers, and
    // nobody answers an answer.
    #[test]
    fn an_answer_is_never_longer_than_its_cause_and_is_never_answered(datagram: Vec<u8>) {
        let openings = openings().map(|(bytes, _)| bytes);
        let joins = CHAT_HELLOS.map(|hello| [hello, &datagram].concat());
        for spoken in ALL {
            for cause in openings.iter().chain(&joins).chain([&datagram]) {
                if spoken.may_answer(cause) {
                    prop_assert!(spoken.hint().len() <= cause.len());
                }
            }
            prop_assert!(ALL.iter().all(|other| !other.may_answer(spoken.hint())));
        }
    }

    #[test]
    fn random_bytes_open_nothing(datagram in proptest::collection::vec(any::<u8>(), 0..1_500)) {
        prop_assert_eq!(Dialect::of(&datagram), None);
    }

    #[test]
    fn no_text_opens_anything_but_a_token(text in "[^g]\\PC{0,200}") {
        prop_assert_eq!(Dialect::of(text.as_bytes()), None);
    }
}
