//! Two endpoints talking to each other, in virtual time.

mod common;

use std::time::Duration;

use common::{ALL, CLIENT, Dice, Pair, SERVER, address, client_config, server_config};
use hikyaku_proto::{
    ClosedReason, Congestion, Crypto, Delivery, Event, KeyPolicy, Outcome, Outgoing, Retry,
    error::Close,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn two_endpoints_complete_a_handshake_and_know_each_other() {
    let (mut pair, client, server) = Pair::established();
    let keys = [Crypto::new(&[1; 32]).public_key(), Crypto::new(&[2; 32]).public_key()];
    assert_eq!(pair.ends[CLIENT].connection(client).unwrap().peer_key(), Some(keys[1]));
    assert_eq!(pair.ends[SERVER].connection(server).unwrap().peer_key(), Some(keys[0]));
    assert!(pair.has_event(CLIENT, &Event::Connected { early_accepted: false }));
}

#[test]
fn a_message_of_every_class_and_size_arrives() {
    for delivery in ALL {
        for len in [0, 1, 1_000, 1_300, 100_000] {
            let (mut pair, client, server) = Pair::established();
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let receipt = pair.send(CLIENT, client, delivery, &payload);
            pair.run(SECOND);
            assert!(pair.has_event(SERVER, &Event::Readable));
            let got = pair.recv(SERVER, server);
            assert_eq!(got.len(), 1, "{delivery:?} {len}");
            assert_eq!((got[0].class, &got[0].payload[..]), (delivery.class(), &payload[..]));
            let outcome = match delivery {
                Delivery::Unreliable => Outcome::Sent,
                _ => Outcome::Acknowledged,
            };
            assert!(pair.has_event(CLIENT, &Event::Receipt(receipt, outcome)), "{delivery:?}");
        }
    }
}

#[test]
fn messages_arrive_in_order_in_both_directions() {
    let (mut pair, client, server) = Pair::established();
    let all: Vec<Vec<u8>> = (0..500_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    for payload in &all {
        pair.send(CLIENT, client, Delivery::Ordered, payload);
        pair.send(SERVER, server, Delivery::Ordered, payload);
    }
    pair.run(SECOND * 5);
    assert_eq!(pair.payloads(SERVER, server), all);
    assert_eq!(pair.payloads(CLIENT, client), all);
}

#[test]
fn any_single_datagram_of_the_handshake_may_be_lost() {
    for end in [CLIENT, SERVER] {
        for lost in 0..12 {
            let mut pair = Pair::new();
            pair.rule = Box::new(move |packet| packet.from != end || packet.index != lost);
            let client = pair.connect();
            pair.send(CLIENT, client, Delivery::Ordered, b"hello");
            pair.run(SECOND * 9);
            let server = pair.incoming().unwrap_or_else(|| panic!("{end} {lost}"));
            assert_eq!(pair.payloads(SERVER, server), [b"hello"], "{end} {lost}");
            assert!(pair.has_event(CLIENT, &Event::Connected { early_accepted: false }));
        }
    }
}

#[test]
fn half_of_all_datagrams_may_be_lost() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (mut pair, client, server) = Pair::established();
        pair.rule = Box::new(move |_| !dice.next().is_multiple_of(3));
        let all: Vec<Vec<u8>> = (0..60_u32).map(|n| vec![n as u8; 1 + n as usize * 50]).collect();
        for payload in &all {
            pair.send(CLIENT, client, Delivery::Ordered, payload);
        }
        pair.run(SECOND * 60);
        assert!(pair.payloads(SERVER, server) == all, "{seed}");
    }
}

// M-62
#[test]
fn a_close_is_reported_with_its_reason() {
    let (mut pair, client, _) = Pair::established();
    let (now, code) = (pair.now, Close::APPLICATION + 5);
    pair.ends[CLIENT].connection(client).unwrap().close(now, code, "enough");
    pair.run(SECOND * 3);
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Local)));
    let close = Close { code, reason: "enough".into() };
    assert!(pair.has_event(SERVER, &Event::Closed(ClosedReason::Peer(close))));
    for end in &pair.ends {
        assert_eq!(end.stats().connections, 0);
    }
}

// M-63
#[test]
fn a_graceful_close_waits_for_queued_messages() {
    let (mut pair, client, server) = Pair::established();
    pair.send(CLIENT, client, Delivery::Ordered, &[7; 300_000]);
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close_gracefully(now, SECOND * 20);
    pair.run(Duration::from_millis(600));
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Local)));
    assert!(pair.payloads(SERVER, server) == [vec![7; 300_000]]);
}

// M-61
#[test]
fn silence_ends_a_connection_and_keep_alive_prevents_it() {
    let (mut pair, ..) = Pair::established();
    pair.run(SECOND * 29);
    assert_eq!(pair.ends[SERVER].stats().connections, 1);
    pair.run(SECOND * 2);
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Idle)));
    assert!(pair.has_event(SERVER, &Event::Closed(ClosedReason::Idle)));

    let mut config = client_config();
    config.transport.keep_alive = Some(SECOND * 10);
    let mut pair = Pair::with(config, server_config());
    pair.establish();
    pair.run(SECOND * 300);
    assert_eq!(pair.ends[SERVER].stats().connections, 1);
}

// M-61
#[test]
fn a_keep_alive_of_zero_is_rate_limited() {
    let mut config = client_config();
    config.transport.keep_alive = Some(Duration::ZERO);
    let mut pair = Pair::with(config, server_config());
    pair.establish();
    pair.run(SECOND);
    let before = pair.sent[CLIENT];
    pair.run(SECOND * 10);
    let sent = pair.sent[CLIENT] - before;
    assert!((50..=101).contains(&sent), "{sent} packets in ten seconds");
}

// M-31
#[test]
fn a_server_may_ask_for_a_retry() {
    let mut config = server_config();
    config.retry = Retry::Always;
    let mut pair = Pair::with(client_config(), config);
    let (client, server) = pair.establish();
    pair.send(CLIENT, client, Delivery::Ordered, b"x");
    pair.run(SECOND);
    assert_eq!(pair.payloads(SERVER, server), [b"x"]);
}

// M-44
#[test]
fn a_handshake_without_a_server_times_out() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|_| false);
    pair.connect();
    pair.run(SECOND * 11);
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::HandshakeTimeout)));
    assert!(pair.sent[CLIENT] < 20);
}

// M-30
#[test]
fn an_unsupported_version_is_answered_with_the_supported_ones() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|packet| {
        if packet.from == CLIENT {
            packet.bytes[4] = 9;
        } else {
            // The client asked for version 1, and only 9 is offered.
            assert_eq!(packet.bytes[0], 0b1100_0100, "a Versions packet");
            let end = packet.bytes.len() - 1;
            packet.bytes[end] = 9;
        }
        true
    });
    pair.connect();
    pair.run(SECOND * 3);
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::VersionMismatch)));
    assert_eq!(pair.ends[SERVER].stats().connections, 0);
}

#[test]
fn statistics_report_retransmissions_and_rates() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|packet| packet.bytes.len() <= 1_452);
    let (client, server) = pair.establish();
    let stats = |pair: &mut Pair| pair.ends[CLIENT].connection(client).unwrap().stats();
    let before = stats(&mut pair);
    assert_eq!(before.resent_bytes, 0);
    pair.rule = Box::new(|packet| {
        packet.from == SERVER || (packet.bytes.len() <= 1_452 && packet.index % 20 != 0)
    });
    let started = pair.now;
    pair.send(CLIENT, client, Delivery::Ordered, &[1; 1 << 20]);
    while pair.recv(SERVER, server).is_empty() {
        pair.run(Duration::from_millis(5));
        assert!(pair.now.since(started) < SECOND * 60);
    }
    let after = stats(&mut pair);
    assert!(after.lost_packets > 20, "{after:?}");
    let lost = after.lost_packets * after.mtu as u64;
    assert!((lost / 4..lost * 2).contains(&after.resent_bytes), "{after:?}");
    let goodput = ((1 << 20) as f64 / pair.now.since(started).as_secs_f64()) as u64;
    assert!((goodput / 4..goodput * 16).contains(&after.delivery_rate), "{after:?}, {goodput}");
    assert!(after.pacing_rate > goodput / 4, "{after:?}, {goodput}");
}

#[test]
fn keys_change_in_both_directions_while_messages_flow() {
    let (mut pair, client, server) = Pair::established();
    for round in 0..20_u8 {
        for n in 0..10 {
            pair.send(CLIENT, client, Delivery::Ordered, &[round, n]);
            pair.send(SERVER, server, Delivery::Ordered, &[round, n]);
        }
        pair.run(Duration::from_millis(40));
        if round % 4 == 0 {
            pair.ends[CLIENT].connection(client).unwrap().update_keys();
        } else if round % 4 == 2 {
            pair.ends[SERVER].connection(server).unwrap().update_keys();
        }
        pair.run(Duration::from_millis(45));
    }
    pair.run(SECOND);
    assert_eq!(pair.recv(SERVER, server).len(), 200);
    assert_eq!(pair.recv(CLIENT, client).len(), 200);
    assert!(pair.ends[CLIENT].connection(client).unwrap().stats().key_updates > 3);
    assert!(pair.ends[SERVER].connection(server).unwrap().stats().key_updates > 3);
}

// P-1
#[test]
fn a_client_may_change_its_port_and_its_address() {
    for to in [address(1, 1_001), address(9, 1_000)] {
        let (mut pair, client, server) = Pair::established();
        pair.addresses[CLIENT] = to;
        for n in 0..50_u8 {
            pair.send(CLIENT, client, Delivery::Ordered, &[n]);
            pair.send(SERVER, server, Delivery::Ordered, &[n]);
            pair.run(Duration::from_millis(20));
        }
        pair.run(SECOND * 3);
        assert_eq!(pair.ends[SERVER].connection(server).unwrap().remote(), to);
        assert_eq!(pair.recv(SERVER, server).len(), 50);
        assert_eq!(pair.recv(CLIENT, client).len(), 50);
    }
}

// P-1
#[test]
fn a_copy_from_another_address_does_not_take_over_the_connection() {
    let (mut pair, client, server) = Pair::established();
    // An observer that is faster than the path copies a packet, and does not respond.
    let attacker = address(66, 6_666);
    pair.rule = Box::new(move |packet| {
        if packet.from == CLIENT {
            packet.source = attacker;
        }
        true
    });
    pair.send(CLIENT, client, Delivery::Ordered, b"one");
    pair.run(Duration::from_millis(15));
    pair.rule = Box::new(|_| true);
    pair.run(SECOND * 8);
    pair.send(CLIENT, client, Delivery::Ordered, b"two");
    pair.run(SECOND * 3);
    assert_eq!(pair.ends[SERVER].connection(server).unwrap().remote(), pair.addresses[CLIENT]);
    assert_eq!(pair.payloads(SERVER, server), [b"one", b"two"]);
}

// M-36
#[test]
fn a_resumed_connection_sends_repeatable_messages_at_once() {
    let (mut pair, client, _) = Pair::established();
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    pair.run(SECOND * 3);
    pair.events = [Vec::new(), Vec::new()];
    let client = pair.connect();
    let connection = pair.ends[CLIENT].connection(client).unwrap();
    let channel = hikyaku_proto::ChannelId(0);
    let early = Outgoing::new(channel, Delivery::Reliable, &b"early"[..]).repeatable();
    connection.send(now, early).unwrap();
    connection.send(now, Outgoing::new(channel, Delivery::Ordered, &b"late"[..])).unwrap();
    pair.run(Duration::from_millis(12));
    let server = pair.incoming().expect("the connection is reported early");
    assert_eq!(pair.payloads(SERVER, server), [b"early"]);
    pair.run(SECOND);
    assert_eq!(pair.payloads(SERVER, server), [b"late"]);
    assert!(pair.has_event(CLIENT, &Event::Connected { early_accepted: true }));
    assert!(pair.has_event(SERVER, &Event::Connected { early_accepted: true }));
}

// M-37
#[test]
fn early_data_refused_by_a_restarted_server_is_sent_again() {
    let (mut pair, client, _) = Pair::established();
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    pair.run(SECOND * 3);
    pair.configs[SERVER].crypto = Crypto::new(&[2; 32]); // without the sessions it had
    pair.restart(SERVER);
    pair.events = [Vec::new(), Vec::new()];
    let client = pair.connect();
    let connection = pair.ends[CLIENT].connection(client).unwrap();
    let channel = hikyaku_proto::ChannelId(0);
    let early = Outgoing::new(channel, Delivery::Reliable, &b"early"[..]).repeatable();
    connection.send(now, early).unwrap();
    // It is sent with the end of the handshake, before it counts as lost.
    pair.run(pair.delay * 3);
    let server = pair.incoming().unwrap();
    assert_eq!(pair.payloads(SERVER, server), [b"early"]);
    pair.run(SECOND);
    assert!(pair.has_event(CLIENT, &Event::Connected { early_accepted: false }));
}

// a delayed ACK would make the path look longer than it is.
#[test]
fn a_timed_ping_measures_only_the_round_trip() {
    let (mut pair, client, _) = Pair::established();
    pair.run(SECOND);
    let now = pair.now;
    let asked = pair.ends[CLIENT].connection(client).unwrap().timed_ping(now);
    pair.run(SECOND);
    let took = Some(pair.delay * 2);
    assert!(pair.has_event(CLIENT, &Event::Pong { asked, took }), "{:?}", pair.events[CLIENT]);
}

// P-4
#[test]
fn datagrams_grow_to_the_path_mtu() {
    for path in [1_472, 9_000] {
        let mut pair = Pair::new();
        pair.rule = Box::new(move |packet| packet.bytes.len() <= path);
        let (client, server) = pair.establish();
        for _ in 0..40 {
            pair.send(CLIENT, client, Delivery::Ordered, &[1; 100_000]);
            pair.run(SECOND);
            pair.recv(SERVER, server);
        }
        let mtu = pair.ends[CLIENT].connection(client).unwrap().stats().mtu;
        assert!(mtu <= path && path - mtu < 100, "{mtu} of {path}");
    }
}

// P-5
#[test]
fn a_shrinking_path_mtu_is_detected() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|packet| packet.bytes.len() <= 1_472);
    let (client, server) = pair.establish();
    pair.run(SECOND * 5);
    assert_eq!(pair.ends[CLIENT].connection(client).unwrap().stats().mtu, 1_472);
    pair.rule = Box::new(|packet| packet.bytes.len() <= 1_300);
    pair.send(CLIENT, client, Delivery::Ordered, &[1; 50_000]);
    pair.run(SECOND * 29);
    assert!(pair.payloads(SERVER, server) == [vec![1; 50_000]]);
}

// M-10, M-38, M-44
#[test]
fn different_shared_keys_never_connect() {
    let mut config = client_config();
    config.crypto = Crypto::new(&[1; 32]).with_shared_key(&[9; 32]);
    let mut pair = Pair::with(config, server_config());
    let client = pair.connect();
    pair.send(CLIENT, client, Delivery::Ordered, b"secret");
    pair.run(SECOND * 4);
    assert!(pair.incoming().is_none());
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::SharedKey)));
}

#[test]
fn a_server_with_another_key_than_expected_is_refused() {
    let mut pair = Pair::new();
    let (now, to) = (pair.now, pair.addresses[SERVER]);
    pair.ends[CLIENT].connect(now, to, KeyPolicy::Pinned(vec![[5; 32]])).unwrap();
    pair.run(SECOND * 3);
    let refused = |(_, event): &(_, Event)| {
        matches!(event, Event::Closed(ClosedReason::Error(close))
            if close.code > Close::CRYPTO_ERROR)
    };
    assert!(pair.events[CLIENT].iter().any(refused));
    assert!(pair.incoming().is_none());
}

// M-33
#[test]
fn an_unvalidated_address_gets_at_most_three_times_what_it_sent() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|packet| packet.from == CLIENT && packet.index < 2);
    pair.connect();
    pair.run(SECOND * 9);
    assert!(pair.sent_bytes[SERVER] > 0);
    assert!(pair.sent_bytes[SERVER] <= 3 * 2 * 1_200, "{}", pair.sent_bytes[SERVER]);
}

// M-6
#[test]
fn damaged_datagrams_change_nothing() {
    let (mut pair, client, server) = Pair::established();
    let mut dice = Dice(5);
    pair.rule = Box::new(move |packet| {
        if dice.next().is_multiple_of(4) {
            let at = dice.next() as usize % packet.bytes.len();
            packet.bytes[at] ^= 1 << (dice.next() % 8);
        }
        true
    });
    for n in 0..200_u8 {
        pair.send(CLIENT, client, Delivery::Ordered, &[n; 700]);
    }
    pair.run(SECOND * 20);
    assert_eq!(pair.recv(SERVER, server).len(), 200);
}

// M-4
#[test]
fn a_replayed_datagram_changes_nothing() {
    let (mut pair, client, server) = Pair::established();
    let kept = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let tap = std::rc::Rc::clone(&kept);
    pair.rule = Box::new(move |packet| {
        if packet.from == CLIENT {
            tap.borrow_mut().push(packet.bytes.clone());
        }
        true
    });
    pair.send(CLIENT, client, Delivery::Unreliable, b"once");
    pair.run(SECOND);
    let source = pair.addresses[CLIENT];
    for bytes in kept.take() {
        pair.inject(SERVER, source, bytes);
    }
    assert_eq!(pair.payloads(SERVER, server), [b"once"]);
}

// D-4, D-5
#[test]
fn one_slow_channel_does_not_stall_another() {
    let mut config = server_config();
    config.transport.channel_credit = 100_000;
    let mut pair = Pair::with(client_config(), config);
    let (client, server) = pair.establish();
    for _ in 0..30 {
        pair.send(CLIENT, client, Delivery::Ordered, &[1; 10_000]);
    }
    pair.run(SECOND * 2);
    let now = pair.now;
    let connection = pair.ends[CLIENT].connection(client).unwrap();
    connection.send(now, Outgoing::new(1, Delivery::Ordered, vec![2])).unwrap();
    pair.run(SECOND);
    let channel = hikyaku_proto::ChannelId(1);
    let now = pair.now;
    let other = pair.ends[SERVER].connection(server).unwrap().recv(now, Some(channel));
    assert_eq!(other.map(|message| message.payload), Some(vec![2].into()));
    let mut got = 0;
    for _ in 0..20 {
        got += pair.recv(SERVER, server).len();
        pair.run(SECOND);
    }
    assert_eq!(got, 30, "credit is returned");
}

#[test]
fn every_congestion_control_moves_a_megabyte() {
    for congestion in [Congestion::Cubic, Congestion::Bbr, Congestion::Fixed { rate: 2_000_000 }] {
        let mut config = client_config();
        config.transport.congestion = congestion;
        let mut pair = Pair::with(config, server_config());
        let (client, server) = pair.establish();
        pair.send(CLIENT, client, Delivery::Reliable, &[3; 1_000_000]);
        pair.run(SECOND * 3);
        assert!(pair.payloads(SERVER, server) == [vec![3; 1_000_000]], "{congestion:?}");
    }
}
