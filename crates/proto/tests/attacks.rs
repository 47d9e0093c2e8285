//! Attacks by an observer who sees a handshake and can send packets, but cannot stop any.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what fails there fails the test")]

mod common;

use std::time::Duration;

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk},
    hmac,
};
use common::{CLIENT, Pair, SERVER, address, client_config, server_config};
use hikyaku_proto::{ClosedReason, Delivery, Event, Outgoing, Retry, error::Close};

const MS: Duration = Duration::from_millis(1);

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(secret: &[u8], info: &str, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let prk = Prk::new_less_safe(HKDF_SHA256, secret);
    prk.expand(&[info.as_bytes()], Len(len)).unwrap().fill(&mut out).unwrap();
    out
}

fn hello_root(destination: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"hikyaku v1 hello");
    hmac::sign(&key, destination).as_ref().to_vec()
}

/// Returns a client's padded Hello, which anyone who knows both ids can forge.
fn hello(ids: &[u8], number: u32, frames: &[u8]) -> Vec<u8> {
    let secret = expand(&hello_root(&ids[..8]), "hikyaku v1 client", 32);
    sealed(&secret, ids, number, frames)
}

/// Returns a server's answer to it, which anyone can forge.
fn hello_back(ids: &[u8], number: u32, frames: &[u8]) -> Vec<u8> {
    let secret = expand(&hello_root(&ids[..8]), "hikyaku v1 server", 32);
    sealed(&secret, &[&ids[8..], &[5; 8]].concat(), number, frames)
}

/// Seals frames in a Hello packet, padded to 1,200 bytes.
fn sealed(secret: &[u8], ids: &[u8], number: u32, frames: &[u8]) -> Vec<u8> {
    let key = UnboundKey::new(&AES_128_GCM, &expand(secret, "key", 16)).unwrap();
    let mut nonce: [u8; 12] = expand(secret, "iv", 12).try_into().unwrap();
    for (byte, number) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= number;
    }
    let mut header = vec![0xc0, 0, 0, 0, 1];
    header.extend_from_slice(ids);
    header.push(0);
    header.extend_from_slice(&number.to_be_bytes());
    let mut body = frames.to_vec();
    body.resize(1_200 - 16 - header.len(), 0);
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&header),
            &mut body,
        )
        .unwrap();
    [header, body].concat()
}

/// Records the ids in the first datagram of the client.
fn record_ids(pair: &mut Pair) -> std::rc::Rc<std::cell::RefCell<Vec<u8>>> {
    let ids = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let tap = std::rc::Rc::clone(&ids);
    pair.rule = Box::new(move |packet| {
        if packet.from == CLIENT && packet.index == 0 {
            *tap.borrow_mut() = packet.bytes[5..21].to_vec();
        }
        true
    });
    ids
}

#[test]
fn m_12_forged_hellos_acknowledge_nothing_that_did_not_arrive() {
    let mut pair = Pair::new();
    let ids = record_ids(&mut pair);
    let client = pair.connect();
    let all: Vec<Vec<u8>> = (0..10).map(|n| vec![n; 1_000]).collect();
    for payload in &all {
        pair.send(CLIENT, client, Delivery::Ordered, payload);
    }
    // The server has answered; the client's Finished has not arrived.
    pair.run(MS * 25);
    let source = pair.addresses[CLIENT];
    for number in 3..13 {
        let forged = hello(&ids.borrow(), number, &[]);
        pair.inject(SERVER, source, forged);
    }
    pair.run(MS * 5_000);
    let server = pair.incoming().expect("the handshake completes");
    let got = pair.payloads(SERVER, server).len();
    let receipts =
        pair.events[CLIENT].iter().filter(|(_, event)| matches!(event, Event::Receipt(..))).count();
    assert_eq!((got, receipts), (10, 10), "delivered and acknowledged");
}

#[test]
fn m_6_a_forged_hello_far_ahead_does_not_end_the_handshake() {
    let mut pair = Pair::new();
    let ids = record_ids(&mut pair);
    let client = pair.connect();
    pair.send(CLIENT, client, Delivery::Ordered, b"x");
    pair.run(MS * 25);
    let source = pair.addresses[CLIENT];
    let forged = hello(&ids.borrow(), 0x7fff_ffff, &[]);
    pair.inject(SERVER, source, forged);
    pair.run(MS * 5_000);
    let server = pair.incoming().expect("the handshake completes");
    assert_eq!(pair.payloads(SERVER, server), [b"x"]);
}

#[test]
fn m_35_a_client_that_fails_at_once_still_occupies_a_half_open_slot() {
    let mut config = server_config();
    (config.max_half_open, config.max_connections) = (8, 32);
    let mut pair = Pair::with(client_config(), config);
    for n in 0..64_u8 {
        // A frame that does not parse, from a forged address.
        let forged = hello(&[n; 16], 0, &[0x3f]);
        pair.inject(SERVER, address(77, n.into()), forged);
        pair.run(MS);
    }
    assert!(pair.ends[SERVER].stats().connections <= 8);
    let client = pair.connect();
    pair.send(CLIENT, client, Delivery::Ordered, b"x");
    pair.run(MS * 6_000);
    let server = pair.incoming().expect("a real client is accepted");
    assert_eq!(pair.payloads(SERVER, server), [b"x"]);
}

#[test]
fn m_31_a_token_too_long_for_a_hello_is_refused() {
    let mut config = server_config();
    config.retry = Retry::Always;
    let mut pair = Pair::with(client_config(), config);
    let ids = record_ids(&mut pair);
    let client = pair.connect();
    pair.send(CLIENT, client, Delivery::Ordered, b"x");
    pair.run(MS * 5);
    let ids = ids.borrow().clone();
    let key = expand(&hello_root(&ids[..8]), "hikyaku v1 retry", 32);
    let mut retry = vec![0xc3, 0, 0, 0, 1];
    retry.extend_from_slice(&ids[8..]);
    retry.extend_from_slice(&[5; 8]);
    retry.extend_from_slice(&[7; 1_300]);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &retry);
    retry.extend_from_slice(&tag.as_ref()[..16]);
    let source = pair.addresses[SERVER];
    pair.inject(CLIENT, source, retry);
    pair.run(MS * 2_000);
    let server = pair.incoming().expect("the genuine Retry is followed");
    assert_eq!(pair.payloads(SERVER, server), [b"x"]);
}

// A valid CLOSE precedes the bytes that do not parse.
#[test]
fn m_5_nothing_of_a_packet_that_does_not_parse_is_applied() {
    let close = Close { code: 7, reason: "go".into() };
    let frames = [0x0e, 7, 2, b'g', b'o'];
    for parses in [true, false] {
        let mut pair = Pair::new();
        let ids = record_ids(&mut pair);
        pair.connect();
        pair.run(MS * 5);
        let rest: &[u8] = if parses { &[] } else { &[0x3f] };
        let forged = hello_back(&ids.borrow(), 0, &[&frames, rest].concat());
        let source = pair.addresses[SERVER];
        pair.inject(CLIENT, source, forged);
        pair.run(MS);
        let closed = pair.events[CLIENT].iter().find_map(|(_, event)| match event {
            Event::Closed(reason) => Some(reason.clone()),
            _ => None,
        });
        match closed {
            Some(ClosedReason::Peer(heard)) => assert!(parses && heard == close),
            Some(ClosedReason::Error(error)) => {
                assert!(!parses && error.code == Close::PROTOCOL_VIOLATION);
            }
            other => panic!("{other:?}"),
        }
    }
}

// An observer replays what it saw of a connection with 0-RTT.
#[test]
fn m_36_early_data_is_not_accepted_twice_by_the_same_server() {
    let (mut pair, client, _) = Pair::established();
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    pair.run(MS * 3_000);
    pair.events = [Vec::new(), Vec::new()];
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let tap = std::rc::Rc::clone(&seen);
    pair.rule = Box::new(move |packet| {
        if packet.from == CLIENT && packet.bytes[0] & 0x80 != 0 {
            tap.borrow_mut().push(packet.bytes.clone());
        }
        true
    });
    let client = pair.connect();
    let (now, channel) = (pair.now, hikyaku_proto::ChannelId(0));
    let connection = pair.ends[CLIENT].connection(client).unwrap();
    let early = Outgoing::new(channel, Delivery::Reliable, &b"early"[..]).repeatable();
    connection.send(now, early).unwrap();
    pair.run(MS * 500);
    let server = pair.incoming().expect("the connection is reported early");
    assert_eq!(pair.payloads(SERVER, server), [b"early"]);
    // While the connection is remembered, its first packets belong to it (M-35).
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    pair.run(MS * 40_000);
    assert_eq!(pair.ends[SERVER].stats().connections, 0);
    let told = pair.events[SERVER].len();
    assert!(seen.borrow().len() >= 2);
    for bytes in seen.take() {
        pair.inject(SERVER, address(77, 7), bytes);
        pair.run(MS);
    }
    pair.run(MS * 500);
    let more: Vec<_> = pair.events[SERVER][told..].to_vec();
    assert!(more.iter().all(|(_, event)| *event != Event::Incoming), "{more:?}");
}

/// `[0x0e, code, length of the reason, reason]`
const FORGED_CLOSE: [u8; 5] = [0x0e, 7, 2, b'g', b'o'];

// M-13: an observer of the first packets can forge a close until both ends have better keys.
#[test]
fn a_close_forged_at_the_hello_level_is_ignored_once_there_are_better_keys() {
    for end in [CLIENT, SERVER] {
        for after in [21, 31, 41, 200] {
            if (end, after) == (SERVER, 21) {
                continue; // there are no better keys yet
            }
            let mut pair = Pair::new();
            let ids = record_ids(&mut pair);
            let client = pair.connect();
            pair.run(MS * after);
            let (ids, source) = (ids.borrow().clone(), pair.addresses[1 - end]);
            let forged = match end {
                CLIENT => hello_back(&ids, 100, &FORGED_CLOSE),
                _ => hello(&ids, 100, &FORGED_CLOSE),
            };
            pair.inject(end, source, forged);
            pair.send(CLIENT, client, Delivery::Ordered, b"x");
            pair.run(MS * 1_000);
            let server = pair.incoming().expect("the handshake completes");
            assert_eq!(pair.payloads(SERVER, server), [b"x"], "{end} {after}");
        }
    }
}

// M-44: an attacker can keep a handshake alive with forged Hellos for 10 s; then it is forgotten.
#[test]
fn an_endless_handshake_fails_after_10_seconds() {
    let mut pair = Pair::new();
    let ids = [7; 16];
    let source = address(77, 7);
    for number in 0..19 {
        pair.inject(SERVER, source, hello(&ids, number, &[1]));
        pair.run(MS * 500);
        assert_eq!(pair.ends[SERVER].stats().half_open, 1);
    }
    pair.run(MS * 5_000);
    assert_eq!(pair.ends[SERVER].stats().connections, 0);
    assert!(pair.events[SERVER].is_empty(), "not reported to the application");
}

// M-40: bounds what an unauthenticated handshake makes us keep.
#[test]
fn handshake_bytes_too_far_ahead_end_the_handshake() {
    let mut pair = Pair::new();
    let source = address(77, 7);
    // CRYPTO: offset 16,384 as a varint of four bytes, one byte.
    let frame = [4, 0x80, 0, 0x40, 0, 1, 0xff];
    pair.inject(SERVER, source, hello(&[7; 16], 0, &frame));
    pair.run(MS * 5_000);
    assert_eq!(pair.ends[SERVER].stats().connections, 0);
}
