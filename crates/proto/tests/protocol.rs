//! Requirements of PROTOCOL.md that only two complete endpoints can show.

mod common;

use std::{cell::RefCell, rc::Rc, time::Duration};

use common::{CLIENT, Pair, SERVER, address, client_config, server_config};
use hikyaku_proto::{
    ClosedReason, ConnectionHandle, Delivery, Event, Outcome, Retry,
    error::{Close, Discard},
};

const SECOND: Duration = Duration::from_secs(1);

/// Records the datagrams that one end sends.
fn listen_to(pair: &mut Pair, end: usize) -> Rc<RefCell<Vec<Vec<u8>>>> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let tap = Rc::clone(&heard);
    pair.rule = Box::new(move |packet| {
        if packet.from == end {
            tap.borrow_mut().push(packet.bytes.clone());
        }
        true
    });
    heard
}

/// Returns the low 32 bits of a packet's number. There is no token here.
fn number_of(packet: &[u8]) -> u32 {
    let at = match packet[0] {
        0b1100_0000 => 22,
        0b1100_0001 | 0b1100_0010 => 21,
        _ => 9,
    };
    packet[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

// M-2
#[test]
fn numbers_begin_at_0_and_rise_through_all_levels() {
    let mut config = client_config();
    config.transport.max_mtu = 1_200;
    let mut pair = Pair::with(config, server_config());
    let heard = listen_to(&mut pair, CLIENT);
    let (client, _) = pair.establish();
    pair.send(CLIENT, client, Delivery::Ordered, &[1; 50_000]);
    pair.run(SECOND);
    let numbers: Vec<u32> = heard.borrow().iter().map(|packet| number_of(packet)).collect();
    assert_eq!(numbers[0], 0);
    assert!(numbers.len() > 20 && numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

// M-6
#[test]
fn packets_that_do_not_open_are_counted_and_never_answered() {
    let (mut pair, client, _) = Pair::established();
    let heard = listen_to(&mut pair, CLIENT);
    pair.send(CLIENT, client, Delivery::Ordered, &[1; 500]);
    pair.run(SECOND);
    let mut forged = heard.borrow()[0].clone();
    forged[12] ^= 0x40; // another number, so that it is not a replay
    let (sent, source) = (pair.sent[SERVER], pair.addresses[CLIENT]);
    pair.inject(SERVER, source, forged);
    pair.run(SECOND);
    assert_eq!(pair.ends[SERVER].stats().discards.get(&Discard::Unauthentic), Some(&1));
    assert_eq!(pair.sent[SERVER], sent);
}

// M-32
#[test]
fn a_hello_in_less_than_1_200_bytes_is_discarded() {
    let mut pair = Pair::new();
    let mut lens = Vec::new();
    pair.rule = Box::new(move |packet| {
        lens.push(packet.bytes.len());
        assert!(packet.from == CLIENT && packet.bytes.len() >= 1_200, "{lens:?}");
        packet.bytes.truncate(1_199);
        true
    });
    pair.connect();
    pair.run(Duration::from_millis(500));
    let stats = pair.ends[SERVER].stats();
    assert!(stats.discards.get(&Discard::TooSmall).is_some_and(|count| *count > 0));
    assert_eq!((stats.half_open, pair.sent[SERVER]), (0, 0));
}

// M-35
#[test]
fn half_open_connections_are_limited_and_half_the_limit_triggers_retry() {
    for (retry, half_open) in [(Retry::UnderLoad, 2), (Retry::Never, 4)] {
        let mut config = server_config();
        (config.max_half_open, config.retry) = (4, retry);
        let mut pair = Pair::with(client_config(), config);
        pair.rule = Box::new(|packet| packet.from == CLIENT);
        (0..10).for_each(|_| _ = pair.connect());
        pair.run(Duration::from_millis(500));
        let stats = pair.ends[SERVER].stats();
        assert_eq!(stats.half_open, half_open, "{retry:?}");
        assert_eq!(stats.discards.contains_key(&Discard::Busy), retry == Retry::Never);
    }
}

// M-35
#[test]
fn incoming_connections_are_limited_and_closed_ones_free_their_slot() {
    let mut config = server_config();
    config.max_connections = 2;
    let mut pair = Pair::with(client_config(), config);
    let clients: Vec<_> = (0..4).map(|_| pair.connect()).collect();
    pair.run(SECOND);
    let connected = |pair: &mut Pair, client| {
        pair.ends[CLIENT].connection(client).is_some_and(|client| client.is_established())
    };
    let established = clients.iter().filter(|client| connected(&mut pair, **client)).count();
    assert_eq!((established, pair.ends[SERVER].stats().connections), (2, 2));
    assert!(pair.ends[SERVER].stats().discards.contains_key(&Discard::Busy));
    let now = pair.now;
    for client in clients {
        let Some(connection) = pair.ends[CLIENT].connection(client) else { continue };
        connection.close(now, 0, "");
    }
    pair.run(SECOND * 3);
    let client = pair.connect();
    pair.run(SECOND);
    assert!(connected(&mut pair, client));
}

// M-64
#[test]
fn messages_received_before_the_close_can_be_read_for_30_seconds() {
    for (wait, read) in [(25, 1), (35, 0)] {
        let (mut pair, client, server) = Pair::established();
        pair.send(CLIENT, client, Delivery::Ordered, b"last words");
        pair.run(SECOND);
        let now = pair.now;
        pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
        pair.run(SECOND * wait);
        assert_eq!(pair.recv(SERVER, server).len(), read, "after {wait} s");
        pair.run(SECOND);
        assert_eq!(pair.ends[SERVER].stats().connections, 0);
    }
}

// M-61
#[test]
fn only_the_default_idle_timeout_yields_to_a_longer_one() {
    let agreed = [
        ([30, 60], 60),
        ([60, 30], 60),
        ([5, 30], 5),
        ([60, 20], 20),
        ([60, 90], 60),
        ([30, 3_600], 600),
        ([3_600, 3_600], 3_600),
    ];
    for ([own, other], seconds) in agreed {
        let (mut client, mut server) = (client_config(), server_config());
        client.transport.idle_timeout = Some(SECOND * own);
        server.transport.idle_timeout = Some(SECOND * other);
        let mut pair = Pair::with(client, server);
        let handles = <[_; 2]>::from(pair.establish());
        for (end, handle) in handles.into_iter().enumerate() {
            let connection = pair.ends[end].connection(handle).unwrap();
            assert_eq!(connection.stats().idle_timeout, Some(SECOND * seconds), "{own} {other}");
        }
        pair.run(SECOND * (seconds - 2));
        assert!(pair.ends[SERVER].connection(handles[SERVER]).is_some(), "{own} {other}");
        pair.run(SECOND * 4);
        assert!(pair.has_event(SERVER, &Event::Closed(ClosedReason::Idle)), "{own} {other}");
        assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Idle)), "{own} {other}");
    }
}

// M-61
#[test]
fn without_an_idle_timeout_an_unanswered_peer_is_given_up_after_two_minutes() {
    let (mut client, mut server) = (client_config(), server_config());
    client.transport.idle_timeout = None;
    server.transport.idle_timeout = None;
    let mut pair = Pair::with(client, server);
    let (client, _) = pair.establish();
    pair.run(SECOND * 1_000);
    assert!(
        pair.ends[CLIENT].connection(client).unwrap().is_established(),
        "silence does not end it"
    );
    pair.rule = Box::new(|_| false);
    pair.send(CLIENT, client, Delivery::Ordered, b"anybody?");
    pair.run(SECOND * 110);
    assert!(!pair.has_event(CLIENT, &Event::Closed(ClosedReason::Idle)));
    pair.run(SECOND * 80);
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Idle)));
}

// P-3
#[test]
fn a_new_address_resets_the_path_state_and_a_new_port_does_not() {
    for (to, mtu) in [(address(1, 1_001), 1_472), (address(9, 1_000), 1_200)] {
        let mut pair = Pair::new();
        pair.rule = Box::new(|packet| packet.bytes.len() <= 1_472);
        let (client, server) = pair.establish();
        pair.run(SECOND * 5);
        pair.addresses[CLIENT] = to;
        pair.send(CLIENT, client, Delivery::Ordered, b"here");
        pair.run(Duration::from_millis(12));
        let connection = pair.ends[SERVER].connection(server).unwrap();
        assert_eq!((connection.remote(), connection.stats().mtu), (to, mtu));
        let is_new = connection.stats().rtt == Duration::from_millis(333);
        assert_eq!(is_new, mtu == 1_200);
    }
}

// M-62: within 3 PTO of the close, so that the CLOSE ends it and not a reset.
#[test]
fn a_lost_close_is_repeated_to_a_peer_that_keeps_sending() {
    let (mut pair, client, server) = Pair::established();
    pair.rule = Box::new(|packet| packet.from == SERVER);
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0x1007, "lost");
    pair.run(Duration::from_millis(1));
    pair.rule = Box::new(|_| true);
    pair.send(SERVER, server, Delivery::Reliable, b"are you there?");
    pair.run(Duration::from_millis(25));
    let close = Close { code: 0x1007, reason: "lost".into() };
    assert!(pair.has_event(SERVER, &Event::Closed(ClosedReason::Peer(close))));
}

// P-1: even if silence at the former port has led to a probe timeout of many seconds.
#[test]
fn a_lost_challenge_is_repeated_before_the_address_is_given_up() {
    let (mut pair, client, server) = Pair::established();
    pair.rule = Box::new(|_| false);
    pair.send(SERVER, server, Delivery::Reliable, b"here");
    pair.run(SECOND * 20);
    let new = address(1, 1_001);
    pair.addresses[CLIENT] = new;
    pair.ends[CLIENT].connection(client).unwrap().ping();
    // The return path is cut for longer than the first CHALLENGE needs.
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    pair.run(Duration::from_millis(500));
    pair.rule = Box::new(|_| true);
    pair.run(SECOND * 6);
    assert_eq!(pair.ends[SERVER].connection(server).unwrap().remote(), new);
    assert_eq!(pair.payloads(CLIENT, client), [b"here"]);
}

// M-60: for an id that its receiver knows, and for an unknown one.
#[test]
fn a_reset_with_one_wrong_bit_ends_nothing() {
    for (bit, known, ends) in
        [(1, false, false), (0, false, true), (1, true, false), (0, true, true)]
    {
        let mut pair = Pair::new();
        let heard = listen_to(&mut pair, SERVER);
        let (client, _) = pair.establish();
        pair.run(SECOND);
        let id: Vec<u8> = heard.borrow().last().unwrap()[1..9].to_vec();
        pair.restart(SERVER);
        pair.rule = Box::new(move |packet| {
            if packet.from == SERVER && packet.bytes.len() == 40 {
                packet.bytes[39] ^= bit;
                if known {
                    packet.bytes[1..9].copy_from_slice(&id);
                }
            }
            true
        });
        pair.send(CLIENT, client, Delivery::Ordered, b"are you there?");
        pair.run(Duration::from_millis(100));
        let ended = pair.has_event(CLIENT, &Event::Closed(ClosedReason::Reset));
        assert_eq!(ended, ends, "{bit} {known}");
    }
}

// M-13: over a path so long that Hellos are sent twice. Nothing is lost, so nothing may be declared
// lost, and nothing may stay in flight.
#[test]
fn a_lossless_handshake_leaves_nothing_lost_or_in_flight() {
    let mut pair = Pair::new();
    pair.delay = Duration::from_millis(700);
    let client = pair.connect();
    pair.run(SECOND * 4);
    let server = pair.incoming().expect("the server has a connection");
    for n in 0..40 {
        pair.send(CLIENT, client, Delivery::Reliable, &[n; 100]);
        pair.send(SERVER, server, Delivery::Reliable, &[n; 100]);
        pair.run(Duration::from_millis(100));
    }
    pair.run(SECOND * 5);
    for (end, handle) in [(CLIENT, client), (SERVER, server)] {
        let stats = pair.ends[end].connection(handle).unwrap().stats();
        assert_eq!((stats.lost_packets, stats.in_flight), (0, 0), "{end}");
    }
}

/// Returns an established pair that uses small datagrams only.
fn small() -> (Pair, ConnectionHandle, ConnectionHandle) {
    let (mut client, mut server) = (client_config(), server_config());
    (client.transport.max_mtu, server.transport.max_mtu) = (1_200, 1_200);
    let mut pair = Pair::with(client, server);
    let (client, server) = pair.establish();
    (pair, client, server)
}

// without an answer no more than the window is sent.
#[test]
fn bytes_in_flight_stay_within_the_window() {
    let (mut pair, client, _) = small();
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    let window = pair.ends[CLIENT].connection(client).unwrap().stats().window;
    let before = pair.sent_bytes[CLIENT] as u64;
    pair.send(CLIENT, client, Delivery::Reliable, &[1; 1_000_000]);
    pair.run(Duration::from_millis(30));
    let sent = pair.sent_bytes[CLIENT] as u64 - before;
    assert!(sent > window / 2 && sent <= window, "{sent} of {window}");
}

//
#[test]
fn a_window_is_spread_over_its_round_trip() {
    let (mut pair, client, server) = small();
    pair.send(CLIENT, client, Delivery::Reliable, &[1; 500_000]);
    pair.run(SECOND);
    pair.recv(SERVER, server);
    let stats = pair.ends[CLIENT].connection(client).unwrap().stats();
    // 10 packets, or 2 ms of the rate, with one packet begun.
    let burst = 10.max(stats.pacing_rate as usize / 500 / stats.mtu + 1);
    assert!(stats.window as usize > 4 * burst * stats.mtu, "{stats:?}");
    let before = pair.sent[CLIENT];
    pair.send(CLIENT, client, Delivery::Reliable, &[1; 1_000_000]);
    pair.run(Duration::ZERO);
    let at_once = pair.sent[CLIENT] - before;
    assert!((2..=burst).contains(&at_once), "{at_once} at once, {burst} are a burst");
}

/// Returns a client whose server has no room for messages without credit, and reads none of them.
fn with_a_full_pool() -> (Pair, ConnectionHandle, ConnectionHandle) {
    const POOL: usize = 4 << 20;
    let (mut pair, client, server) = Pair::established();
    let mut left = POOL;
    while left > 64 {
        let len = (left - 64).min(60_000);
        pair.send(CLIENT, client, Delivery::Deadline(SECOND * 600), &vec![0; len]);
        left -= len + 64;
    }
    pair.run(SECOND * 10);
    (pair, client, server)
}

// D-2, D-12
#[test]
fn messages_refused_by_a_full_pool_delay_no_other_receipt() {
    let (mut pair, client, server) = with_a_full_pool();
    let mut receipts = Vec::new();
    for n in 0..20 {
        receipts.push(pair.send(CLIENT, client, Delivery::Ordered, &[n; 50]));
        pair.send(CLIENT, client, Delivery::Latest, &[n; 50]);
        pair.send(CLIENT, client, Delivery::Deadline(SECOND * 60), &[n; 50]);
        receipts.push(pair.send(CLIENT, client, Delivery::Reliable, &[n; 50]));
        pair.run(SECOND / 20);
    }
    pair.run(SECOND);
    for receipt in receipts {
        assert!(pair.has_event(CLIENT, &Event::Receipt(receipt, Outcome::Acknowledged)));
    }
    let stats = pair.ends[CLIENT].connection(client).unwrap().stats();
    assert!(stats.queued_bytes > 0, "refused messages stay queued");
    let small = |got: Vec<Vec<u8>>| got.into_iter().filter(|payload| payload.len() == 50).count();
    assert_eq!(small(pair.payloads(SERVER, server)), 40);
    // Now there is room again: for the last Latest, and for every Deadline.
    pair.run(SECOND * 10);
    assert_eq!(small(pair.payloads(SERVER, server)), 21);
    assert_eq!(pair.ends[CLIENT].connection(client).unwrap().stats().queued_bytes, 0);
}
