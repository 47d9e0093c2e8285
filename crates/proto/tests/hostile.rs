//! Known attacks on protocols like this one, tried against two complete endpoints. The table "The
//! review" of SECURITY.md names these tests.

mod common;

use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};

use common::{CLIENT, Dice, Pair, SERVER, address, client_config, server_config};
use hikyaku_proto::{
    ClosedReason, Crypto, Datagram, Delivery, Endpoint, EndpointConfig, Event, KeyPolicy, Outgoing,
    Output, Retry,
    error::{Close, Discard},
    rng::Random as _,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Kept = Rc<RefCell<Vec<(usize, Vec<u8>)>>>;

/// An observer on the path keeps a copy of every datagram, with its sender.
fn keep_all(pair: &mut Pair) -> Kept {
    let kept = Kept::default();
    let copies = Rc::clone(&kept);
    pair.rule = Box::new(move |packet| {
        copies.borrow_mut().push((packet.from, packet.bytes.clone()));
        true
    });
    kept
}

/// Returns a configuration that both accepts and connects.
fn connecting_server() -> EndpointConfig {
    EndpointConfig::server(Crypto::new(&[1; 32]), address(1, 1_000))
}

// M-6: from the first Hello on, at every level, with the receiver's address as the source.
#[test]
fn a_packet_reflected_to_its_sender_changes_nothing() {
    let mut pair = Pair::new();
    let kept = keep_all(&mut pair);
    let client = pair.connect();
    let mut reflected = 0;
    for n in 0..200_u8 {
        pair.run(MS);
        let server = pair.incoming();
        for (sender, bytes) in kept.take() {
            let source = pair.addresses[1 - sender];
            pair.inject(sender, source, bytes);
            reflected += 1;
        }
        if let Some(server) = server {
            pair.send(CLIENT, client, Delivery::Ordered, &[n; 300]);
            pair.send(SERVER, server, Delivery::Ordered, &[n; 300]);
        }
    }
    pair.run(SECOND);
    let server = pair.incoming().expect("the handshake completes");
    let got = [pair.recv(SERVER, server).len(), pair.recv(CLIENT, client).len()];
    assert!(got[0] > 150 && got[0] == got[1] && reflected > 200, "{got:?} {reflected}");
    assert_eq!(pair.ends.each_ref().map(|end| end.stats().connections), [1, 1]);
}

// The same where both ends accept and connect, once the connection is established. Each packet
// belongs to no connection and is answered by a reset, which the genuine end ignores.
#[test]
fn a_packet_reflected_to_an_accepting_endpoint_changes_nothing() {
    let mut pair = Pair::with(connecting_server(), server_config());
    let (client, server) = pair.establish();
    let kept = keep_all(&mut pair);
    for n in 0..100_u8 {
        pair.send(CLIENT, client, Delivery::Ordered, &[n; 300]);
        pair.send(SERVER, server, Delivery::Ordered, &[n; 300]);
        pair.run(MS);
        for (sender, bytes) in kept.take() {
            let source = pair.addresses[1 - sender];
            pair.inject(sender, source, bytes);
        }
    }
    pair.run(SECOND);
    assert_eq!([pair.recv(SERVER, server).len(), pair.recv(CLIENT, client).len()], [100, 100]);
    assert_eq!(pair.ends.each_ref().map(|end| end.stats().connections), [1, 1]);
}

/// Returns a client whose packets are all reflected to it, apparently from their destination.
fn reflected_to_itself(trust: KeyPolicy) -> (Pair, hikyaku_proto::ConnectionHandle) {
    let mut pair = Pair::with(connecting_server(), server_config());
    let back = Kept::default();
    let copies = Rc::clone(&back);
    pair.rule = Box::new(move |packet| {
        copies.borrow_mut().push((packet.from, packet.bytes.clone()));
        false
    });
    let (now, to) = (pair.now, pair.addresses[SERVER]);
    let client = pair.ends[CLIENT].connect(now, to, trust).expect("the client connects");
    for _ in 0..500 {
        pair.run(MS);
        for (sender, bytes) in back.take() {
            let source = pair.addresses[1 - sender];
            pair.inject(sender, source, bytes);
        }
    }
    (pair, client)
}

// Selfie (Drucker and Gueron 2019): a client that checks only for a shared secret connects to
// itself.
#[test]
fn a_client_connected_to_itself_sees_its_own_key() {
    let own = Crypto::new(&[1; 32]).public_key();
    let (mut pair, client) = reflected_to_itself(KeyPolicy::AnyKey);
    assert_eq!(pair.ends[CLIENT].connection(client).unwrap().peer_key(), Some(own));
    let wanted = Crypto::new(&[2; 32]).public_key();
    let (pair, client) = reflected_to_itself(KeyPolicy::Pinned(vec![wanted]));
    let refused = |(handle, event): &(_, Event)| {
        matches!(event, Event::Closed(ClosedReason::Error(close))
            if *handle == client && close.code == Close::ACCESS_DENIED)
    };
    assert!(pair.events[CLIENT].iter().any(refused), "{:?}", pair.events[CLIENT]);
}

/// Returns a genuine first Hello.
fn a_hello() -> Vec<u8> {
    let mut pair = Pair::new();
    let kept = keep_all(&mut pair);
    pair.connect();
    pair.run(MS);
    let (_, hello) = kept.borrow()[0].clone();
    hello
}

// RFC 9000 section 21.5.5: two servers are made to answer each other.
#[test]
fn two_servers_do_not_keep_answering_each_other() {
    let mut dice = Dice(3);
    let mut noise = vec![0; 1_300];
    dice.fill(&mut noise);
    let with = |head: &[u8], len: usize| [head, &noise[..len - head.len()]].concat();
    let hello = a_hello();
    let mut other_version = hello.clone();
    other_version[4] = 9;
    for (name, datagram, most) in [
        ("a Hello", hello, 3 * 1_200),
        ("one of another version", other_version, 40),
        ("a data packet", with(&[0x40], 1_300), 40),
        ("a short data packet", with(&[0x41], 41), 40),
        ("a reset", with(&[0x40], 40), 0),
        ("a Handshake packet", with(&[0xc1, 0, 0, 0, 1], 1_200), 0),
        ("a ZeroRtt packet", with(&[0xc2, 0, 0, 0, 1], 1_200), 0),
        ("a Retry", with(&[0xc3, 0, 0, 0, 1], 120), 0),
        ("a list of versions", with(&[0xc4, 0, 0, 0, 0], 29), 0),
    ] {
        for retry in [Retry::Never, Retry::Always] {
            let ends = [connecting_server(), server_config()];
            let [one, other] = ends.map(|end| EndpointConfig { retry, ..end });
            let mut pair = Pair::with(one, other);
            let source = pair.addresses[SERVER];
            pair.inject(CLIENT, source, datagram.clone());
            pair.run(SECOND * 20);
            assert!(pair.sent_bytes[CLIENT] <= most, "{name}: {}", pair.sent_bytes[CLIENT]);
            assert_eq!(pair.sent[SERVER], 0, "{name} gets an answer that is not answered again");
        }
    }
}

/// Returns an endpoint's answer to a data packet for this id from an unknown address.
fn asked(end: &mut Endpoint, pair_now: hikyaku_proto::time::Time, id: &[u8]) -> Option<Vec<u8>> {
    let mut probe = [&[0x40], id, &[7; 60]].concat();
    let mut out = Vec::new();
    end.handle_datagram(pair_now, Datagram::new(address(66, 6), &mut probe));
    match end.poll_output(pair_now, &mut out) {
        Output::Transmit(transmit) if transmit.to == address(66, 6) => {
            Some(out[..transmit.len].to_vec())
        }
        _ => None,
    }
}

// M-60, RFC 9000 section 21.11: nobody reveals the reset token of an id in use.
#[test]
fn no_endpoint_reveals_the_reset_token_of_a_live_connection() {
    let mut pair = Pair::with(connecting_server(), server_config());
    let (client, server) = pair.establish();
    let kept = keep_all(&mut pair);
    pair.send(CLIENT, client, Delivery::Ordered, b"here");
    pair.send(SERVER, server, Delivery::Ordered, b"here");
    pair.run(SECOND);
    let (now, home) = (pair.now, pair.addresses[SERVER]);
    let ids: Vec<_> = kept.borrow().iter().map(|(from, bytes)| (*from, bytes.clone())).collect();
    for (sender, bytes) in &ids {
        assert_eq!(asked(&mut pair.ends[1 - sender], now, &bytes[1..9]), None, "the id is in use");
    }
    let id = ids.iter().find(|(from, _)| *from == CLIENT).map(|(_, bytes)| bytes[1..9].to_vec());
    let id = id.unwrap();
    // An endpoint with the same identity elsewhere does not know the connection and has another
    // token.
    let other = EndpointConfig { local: address(3, 2_000), ..server_config() };
    let host = EndpointConfig { host: "another".to_owned(), ..server_config() };
    for elsewhere in [other, host] {
        let mut elsewhere = Endpoint::new(elsewhere, Box::new(Dice(5)));
        let reset = asked(&mut elsewhere, now, &id).expect("an unknown id is reset");
        pair.inject(CLIENT, home, reset);
    }
    // The token of a retired id is revealed, but no longer of use.
    assert!(pair.ends[CLIENT].connection(client).unwrap().take_new_id());
    pair.run(SECOND);
    let now = pair.now;
    let reset = asked(&mut pair.ends[SERVER], now, &id).expect("the id was retired");
    assert_eq!(reset.len(), 40);
    pair.inject(CLIENT, home, reset);
    pair.send(CLIENT, client, Delivery::Ordered, b"still here");
    pair.run(SECOND);
    assert_eq!(pair.payloads(SERVER, server), [&b"here"[..], b"still here"]);
}

/// Returns a Versions packet for the sender of this Hello.
fn versions(hello: &[u8], list: &[u8]) -> Vec<u8> {
    [&[0xc4, 0, 0, 0, 0], &hello[13..21], &hello[5..13], list].concat()
}

// M-30: a downgrade attack, although no older version exists yet.
#[test]
fn a_forged_versions_packet_does_not_end_an_answered_handshake() {
    let only_nine = [0, 0, 0, 9];
    let with_ours = [0, 0, 0, 9, 0, 0, 0, 1];
    for (list, seen, way, end) in [
        (&only_nine[..], true, Some(10), None),
        (&only_nine, true, Some(900), None), // only its first answer is in time
        (&only_nine, true, None, Some(ClosedReason::VersionMismatch)),
        (&only_nine, false, None, Some(ClosedReason::HandshakeTimeout)), // from off the path
        (&with_ours, true, None, Some(ClosedReason::HandshakeTimeout)),
    ] {
        let mut pair = Pair::new();
        pair.delay = MS * way.unwrap_or(10);
        let kept = keep_all(&mut pair);
        pair.connect();
        pair.run(MS);
        let (_, mut hello) = kept.borrow()[0].clone();
        if !seen {
            hello[5] ^= 1;
        }
        let source = pair.addresses[SERVER];
        pair.inject(CLIENT, source, versions(&hello, list));
        pair.rule = Box::new(move |_| way.is_some());
        pair.run(SECOND * 11);
        let ends = pair.events[CLIENT].iter().find_map(|(_, event)| match event {
            Event::Closed(reason) => Some(reason.clone()),
            _ => None,
        });
        assert_eq!(ends, end, "{list:?} {seen} {way:?}");
    }
}

// M-31: from another address, too late, at a restarted server; and where it is valid.
#[test]
fn a_token_is_valid_for_its_address_for_15_seconds_at_its_server() {
    let config = || EndpointConfig { retry: Retry::Always, ..server_config() };
    let home = address(1, 1_000);
    for (from, wait, restart, holds) in [
        (home, 0, false, true),
        (home, 14, false, true),
        (home, 16, false, false),
        (home, 0, true, false),
        (address(1, 1_001), 0, false, false),
        (address(66, 1_000), 0, false, false),
    ] {
        let mut pair = Pair::with(client_config(), config());
        let kept = Kept::default();
        let copies = Rc::clone(&kept);
        pair.rule = Box::new(move |packet| {
            let has_token = packet.from == CLIENT && packet.bytes[21] != 0;
            if has_token {
                copies.borrow_mut().push((CLIENT, packet.bytes.clone()));
            }
            !has_token
        });
        pair.connect();
        pair.run(MS * 30);
        if restart {
            pair.restart(SERVER);
        }
        pair.run(SECOND * wait);
        let (_, hello) = kept.borrow().first().cloned().expect("the client followed the Retry");
        pair.inject(SERVER, from, hello);
        let stats = pair.ends[SERVER].stats();
        assert_eq!(stats.half_open == 1, holds, "{from} {wait} {restart}");
        assert_eq!(stats.discards.contains_key(&Discard::BadToken), !holds);
    }
}

/// Returns when a server with a shared key answers a client with this key, with which kinds and
/// lengths.
fn answers_to(key: Option<[u8; 32]>) -> Vec<(Duration, u8, usize)> {
    let keyed = |config: EndpointConfig, key: &[u8; 32]| {
        let crypto = config.crypto.clone().with_shared_key(key);
        EndpointConfig { crypto, ..config }
    };
    let client = key.map_or_else(client_config, |key| keyed(client_config(), &key));
    let mut pair = Pair::with(client, keyed(server_config(), &[7; 32]));
    let kept = keep_all(&mut pair);
    let start = pair.now;
    let client = pair.connect();
    pair.send(CLIENT, client, Delivery::Ordered, b"secret");
    let mut answers = Vec::new();
    for _ in 0..15_000 {
        pair.run(MS);
        let mine = kept.take().into_iter().filter(|(from, _)| *from == SERVER);
        answers
            .extend(mine.map(|(_, bytes)| (pair.now.since(start), bytes[0] & 0xfe, bytes.len())));
    }
    let failed = pair.has_event(CLIENT, &Event::Closed(ClosedReason::SharedKey));
    assert_eq!(failed, key != Some([7; 32]));
    assert_eq!(pair.incoming().is_none(), failed);
    let is_refused = |event: &Event| {
        matches!(event, Event::Refused { key: Some(_), reason: ClosedReason::SharedKey, .. })
    };
    let refused = pair.events[SERVER].iter().filter(|(_, event)| is_refused(event)).count();
    assert_eq!(refused, usize::from(failed), "the server learns of it, once");
    answers
}

// M-10: the answers reveal neither how a key is wrong nor whether there was one.
#[test]
fn every_wrong_shared_key_is_answered_alike() {
    let none = answers_to(None);
    let nearly = [[7; 31].as_slice(), &[6]].concat().try_into().ok();
    for wrong in [Some([0; 32]), nearly, Some([0xff; 32])] {
        assert_eq!(answers_to(wrong), none);
    }
    assert_ne!(answers_to(Some([7; 32])), none, "the right key is answered differently");
}

// M-20, M-21: both ends update keys as often as allowed; the path loses a fifth and reorders.
#[test]
fn a_storm_of_key_updates_on_a_bad_path_loses_nothing() {
    let (mut pair, client, server) = Pair::established();
    let mut dice = Dice(11);
    pair.rule = Box::new(move |_| !dice.next().is_multiple_of(5));
    let mut delays = Dice(12);
    for n in 0..600_u16 {
        pair.delay = MS * (delays.next() % 40) as u32;
        for (end, handle) in [(CLIENT, client), (SERVER, server)] {
            pair.ends[end].connection(handle).unwrap().update_keys();
            pair.send(end, handle, Delivery::Ordered, &n.to_be_bytes());
        }
        pair.run(MS * 10);
    }
    pair.rule = Box::new(|_| true);
    pair.run(SECOND * 5);
    let all: Vec<Vec<u8>> = (0..600_u16).map(|n| n.to_be_bytes().to_vec()).collect();
    for (end, handle) in [(CLIENT, client), (SERVER, server)] {
        assert_eq!(pair.payloads(end, handle), all);
        let updates = pair.ends[end].connection(handle).unwrap().stats().key_updates;
        assert!(updates > 20, "{updates}");
    }
}

/// Returns the packets of a first connection whose ends draw their randomness from these dice.
fn first_packets() -> Vec<(usize, Vec<u8>)> {
    let mut pair = Pair::new();
    let kept = keep_all(&mut pair);
    let (client, server) = pair.establish();
    pair.send(CLIENT, client, Delivery::Ordered, b"the same");
    pair.send(SERVER, server, Delivery::Ordered, b"the same");
    pair.run(SECOND);
    kept.take()
}

// M-2: an endpoint restored with all of its state, including its source of randomness, reuses no
// key with a number: TLS draws its own randomness.
#[test]
fn restored_endpoints_have_other_keys() {
    let (before, after) = (first_packets(), first_packets());
    let data = |packets: &[(usize, Vec<u8>)]| -> Vec<_> {
        packets.iter().filter(|(_, bytes)| bytes[0] & 0x80 == 0).cloned().collect()
    };
    let (before, after) = (data(&before), data(&after));
    assert!(before.len() > 5);
    for ((from, one), (sender, other)) in before.iter().zip(&after) {
        assert_eq!((from, &one[..13]), (sender, &other[..13]), "the same id and number");
        assert_ne!(one[13..29], other[13..29]);
    }
}

// M-33: an observer of packets to an address completes a handshake from another one in its name.
#[test]
fn a_handshake_packet_from_elsewhere_validates_no_address() {
    let (mut pair, client, _) = Pair::established();
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    pair.run(SECOND * 3);
    pair.events = [Vec::new(), Vec::new()];
    pair.sent_bytes = [0; 2];
    let came = Rc::new(RefCell::new(0));
    let count = Rc::clone(&came);
    pair.rule = Box::new(move |packet| {
        if packet.from == CLIENT && packet.bytes[0] & 0x80 == 0 {
            return false;
        }
        if packet.from == CLIENT && packet.bytes[0] == 0xc1 {
            packet.source = address(66, 6_666);
        } else if packet.from == CLIENT {
            *count.borrow_mut() += packet.bytes.len();
        }
        true
    });
    let client = pair.connect();
    let (now, channel) = (pair.now, hikyaku_proto::ChannelId(0));
    let connection = pair.ends[CLIENT].connection(client).unwrap();
    let early = Outgoing::new(channel, Delivery::Reliable, &b"send me much"[..]).repeatable();
    connection.send(now, early).unwrap();
    pair.run(MS * 15);
    let server = pair.incoming().expect("the connection is reported early");
    pair.send(SERVER, server, Delivery::Ordered, &[1; 1_000_000]);
    pair.run(SECOND * 8);
    let (sent, came) = (pair.sent_bytes[SERVER], *came.borrow());
    assert!(came > 2_400 && sent <= 3 * came, "{sent} for {came}");
}

// M-33: a client moved away and back just as its handshake completed.
#[test]
fn a_client_that_moved_during_the_handshake_receives_everything() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|packet| {
        if packet.from == CLIENT && packet.bytes[0] == 0xc1 {
            packet.source = address(66, 6_666);
        }
        true
    });
    let (client, server) = pair.establish();
    pair.send(SERVER, server, Delivery::Ordered, &[1; 1_000_000]);
    pair.run(SECOND * 8);
    assert_eq!(pair.payloads(CLIENT, client).len(), 1);
}

// P-1: copies of each packet arrive earlier, from another address where nobody listens.
#[test]
fn copies_that_overtake_a_connection_delay_it_but_do_not_take_it_over() {
    let (mut pair, client, server) = Pair::established();
    let kept = keep_all(&mut pair);
    let mut attacker = Dice(9);
    for n in 0..100_u8 {
        pair.send(CLIENT, client, Delivery::Ordered, &[n; 200]);
        pair.run(MS * 5);
        for (sender, bytes) in kept.take() {
            let source: SocketAddr = address(60 + (attacker.next() % 100) as u8, 6_000);
            pair.inject(1 - sender, source, bytes);
        }
    }
    pair.run(SECOND * 10);
    assert_eq!(pair.recv(SERVER, server).len(), 100);
    let ends = [(SERVER, server, CLIENT), (CLIENT, client, SERVER)];
    for (end, handle, other) in ends {
        let remote = pair.ends[end].connection(handle).unwrap().remote();
        assert_eq!(remote, pair.addresses[other]);
    }
}

// P-1: the attacker's copy arrives last, and the client sends nothing more.
#[test]
fn a_silent_client_is_found_again_at_its_address() {
    let (mut pair, client, server) = Pair::established();
    pair.run(SECOND);
    pair.rule = Box::new(|packet| {
        if packet.from == CLIENT {
            packet.source = address(66, 6_666);
        }
        packet.from == CLIENT
    });
    pair.ends[CLIENT].connection(client).unwrap().ping();
    pair.run(MS * 15);
    assert_eq!(pair.ends[SERVER].connection(server).unwrap().remote(), address(66, 6_666));
    pair.rule = Box::new(|packet| packet.from == SERVER);
    pair.send(SERVER, server, Delivery::Ordered, b"where are you?");
    pair.run(SECOND * 8);
    assert_eq!(pair.payloads(CLIENT, client), [b"where are you?"]);
}
