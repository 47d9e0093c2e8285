//! Stateless responses, and limits on half-open connections.

mod common;

use std::{
    cell::RefCell,
    net::{Ipv6Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use common::{CLIENT, Dice, Pair, SERVER, address, client_config, server_config};
use hikyaku_proto::{
    ClosedReason, Crypto, Datagram, Delivery, Endpoint, EndpointConfig, Event, KeyPolicy, Output,
    Retry,
    error::{Close, Discard},
    time::Time,
};

// M-60
#[test]
fn a_restarted_server_resets_its_peers_at_once() {
    let (mut pair, client, _) = Pair::established();
    pair.restart(SERVER);
    pair.send(CLIENT, client, Delivery::Ordered, b"are you there?");
    pair.run(Duration::from_millis(100));
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Reset)));
}

// M-60: two processes that connect with one identity have no reset key in common.
#[test]
fn another_client_of_the_same_identity_cannot_reset_a_connection() {
    let (mut pair, _, server) = Pair::established();
    pair.restart(CLIENT);
    pair.send(SERVER, server, Delivery::Ordered, b"are you there?");
    pair.run(Duration::from_millis(100));
    assert!(pair.sent[CLIENT] > 0, "the other client answers with resets");
    assert!(!pair.has_event(SERVER, &Event::Closed(ClosedReason::Reset)));
}

// M-60
#[test]
fn a_reset_finds_its_connection_among_many_with_one_address() {
    let mut pair = Pair::new();
    let all: Vec<_> = (0..40).map(|_| pair.establish().0).collect();
    let last = *all.last().unwrap();
    let asked = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&asked);
    pair.rule = Box::new(move |packet| {
        heard.borrow_mut().clone_from(&packet.bytes);
        false
    });
    pair.send(CLIENT, last, Delivery::Ordered, b"are you there?");
    pair.run(Duration::from_millis(1));
    // A restarted server reports that it does not know this connection.
    let mut restarted = Endpoint::new(pair.configs[SERVER].clone(), Box::new(Dice(99)));
    let (now, client) = (pair.now, pair.addresses[CLIENT]);
    restarted.handle_datagram(now, Datagram::new(client, &mut asked.borrow().clone()));
    let mut reset = Vec::new();
    assert!(matches!(restarted.poll_output(now, &mut reset), Output::Transmit(_)));
    pair.inject(CLIENT, address(66, 6), reset.clone());
    pair.run(Duration::from_millis(1));
    assert_eq!(pair.ends[CLIENT].stats().connections, 40, "its address is not the server's");
    pair.inject(CLIENT, pair.addresses[SERVER], reset);
    pair.run(Duration::from_millis(1));
    let over = (last, Event::Closed(ClosedReason::Reset));
    assert_eq!(pair.events[CLIENT].iter().filter(|event| **event == over).count(), 1);
    assert_eq!(pair.ends[CLIENT].stats().connections, 39, "no other ends");
}

// M-60: the addresses of P-1 count.
#[test]
fn a_restarted_end_that_had_moved_resets_its_peer_too() {
    let client = EndpointConfig::server(Crypto::new(&[1; 32]), address(1, 1_000));
    let mut pair = Pair::with(client, server_config());
    let (client, server) = pair.establish();
    for to in [address(1, 1_001), address(9, 1_000)] {
        pair.addresses[CLIENT] = to;
        pair.send(CLIENT, client, Delivery::Ordered, b"here");
        pair.run(Duration::from_secs(1));
    }
    pair.restart(CLIENT);
    pair.send(SERVER, server, Delivery::Ordered, b"are you there?");
    pair.run(Duration::from_millis(100));
    assert!(pair.has_event(SERVER, &Event::Closed(ClosedReason::Reset)));
}

/// Records the client's first datagram.
fn keep_first(pair: &mut Pair) -> Rc<RefCell<Vec<u8>>> {
    let kept = Rc::new(RefCell::new(Vec::new()));
    let first = Rc::clone(&kept);
    pair.rule = Box::new(move |packet| {
        if packet.from == CLIENT && packet.index == 0 {
            first.borrow_mut().clone_from(&packet.bytes);
        }
        true
    });
    kept
}

// M-35: a duplicate occupies no second slot.
#[test]
fn a_duplicate_first_hello_opens_no_second_connection() {
    for retry in [Retry::Never, Retry::Always] {
        let mut pair = Pair::with(client_config(), EndpointConfig { retry, ..server_config() });
        let first = keep_first(&mut pair);
        let (_, server) = pair.establish();
        // It was delayed or replayed, and the load that called for a Retry is over.
        let mut hello = first.borrow().clone();
        let again = |pair: &mut Pair| {
            let mut bytes = hello.clone();
            pair.ends[SERVER]
                .handle_datagram(pair.now, Datagram::new(address(1, 1_000), &mut bytes));
            let stats = pair.ends[SERVER].stats();
            assert_eq!((stats.connections, stats.half_open), (1, 0), "{retry:?}");
        };
        again(&mut pair);
        let now = pair.now;
        pair.ends[SERVER].connection(server).expect("the connection exists").close(now, 0, "");
        again(&mut pair);
        pair.run(Duration::from_millis(50));
        again(&mut pair);
        // Afterwards anyone may use it: nothing is remembered forever.
        pair.run(Duration::from_secs(60));
        assert_eq!(pair.ends[SERVER].stats().connections, 0);
        pair.inject(SERVER, address(1, 1_000), std::mem::take(&mut hello));
        let taken = pair.ends[SERVER].stats().half_open;
        assert_eq!(taken, usize::from(retry == Retry::Never));
    }
}

// M-35
#[test]
fn one_network_cannot_occupy_all_half_open_slots() {
    for (retry, busy) in [(Retry::UnderLoad, false), (Retry::Never, true)] {
        let mut config = EndpointConfig { retry, max_half_open: 100, ..server_config() };
        config.max_connections = 1_000;
        let mut pair = Pair::with(client_config(), config);
        let mut last = 0;
        pair.rule = Box::new(move |packet| {
            last += 1;
            packet.source = address(last, 1_000);
            packet.from == CLIENT
        });
        (0..40).for_each(|_| _ = pair.connect());
        pair.run(Duration::from_millis(500));
        let stats = pair.ends[SERVER].stats();
        assert_eq!(stats.half_open, 25, "{retry:?}: a quarter");
        assert_eq!(stats.discards.contains_key(&Discard::Busy), busy, "{retry:?}");
        // A client from elsewhere still connects at once.
        pair.rule = Box::new(|packet| {
            packet.source = SocketAddr::from(([10, 0, 1, 1], 1_000));
            packet.from == CLIENT
        });
        pair.connect();
        pair.run(Duration::from_millis(50));
        assert_eq!(pair.ends[SERVER].stats().half_open, 26, "{retry:?}");
    }
}

/// Returns the first datagrams of `count` clients that never continue, each from its own network.
fn first_hellos(count: u16) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut stranger = Endpoint::new(client_config(), Box::new(Dice(77)));
    let (now, mut out) = (Time::from_micros(1), Vec::new());
    let mut hellos = Vec::new();
    for number in 0..count {
        let [high, low] = number.to_be_bytes();
        stranger.connect(now, address(2, 2_000), KeyPolicy::AnyKey).expect("the client connects");
        let Output::Transmit(train) = stranger.poll_output(now, &mut out) else {
            panic!("the client sends a Hello")
        };
        let first = out[..train.segment_size].to_vec();
        hellos.push((SocketAddr::from(([172, high, low, 1], 5)), first));
        while !matches!(stranger.poll_output(now, &mut out), Output::Timeout(_)) {}
    }
    hellos
}

// M-35
#[test]
fn forged_hellos_do_not_use_up_the_room_left_by_established_connections() {
    let config = EndpointConfig { max_connections: 60, ..server_config() };
    let mut pair = Pair::with(client_config(), config);
    (0..40).for_each(|_| _ = pair.establish());
    for (from, hello) in first_hellos(60) {
        pair.inject(SERVER, from, hello);
        pair.run(Duration::from_millis(1));
    }
    assert_eq!(pair.ends[SERVER].stats().half_open, 10, "half of the 20 that are left");
    pair.establish();
}

/// Clients that have validated their addresses, and never continue.
struct IdleClients {
    dialler: Endpoint,
    buffer: Vec<u8>,
}

impl IdleClients {
    fn new() -> Self {
        Self { dialler: Endpoint::new(client_config(), Box::new(Dice(5))), buffer: Vec::new() }
    }

    /// Adds one at `from`, at a server that asks for a Retry.
    fn add(&mut self, pair: &mut Pair, from: SocketAddr) {
        let to = pair.addresses[SERVER];
        self.dialler.connect(pair.now, to, KeyPolicy::AnyKey).expect("the client connects");
        self.deliver(pair, from);
        let mut retry = Vec::new();
        while let Output::Transmit(train) = pair.ends[SERVER].poll_output(pair.now, &mut retry) {
            if train.to == from {
                self.dialler.handle_datagram(pair.now, Datagram::new(to, &mut retry[..train.len]));
            }
        }
        self.deliver(pair, from);
    }

    fn deliver(&mut self, pair: &mut Pair, from: SocketAddr) {
        while let Output::Transmit(train) = self.dialler.poll_output(pair.now, &mut self.buffer) {
            for datagram in self.buffer[..train.len].chunks(train.segment_size) {
                pair.inject(SERVER, from, datagram.to_vec());
            }
        }
    }
}

// M-35: a site has 256 networks, and needs only some of them.
#[test]
fn an_attacker_with_many_networks_does_not_keep_others_out() {
    let config = EndpointConfig { retry: Retry::Always, max_half_open: 40, ..server_config() };
    let mut pair = Pair::with(client_config(), config);
    let mut idle_clients = IdleClients::new();
    for number in 0..80_u16 {
        let from = Ipv6Addr::from([0x2001, 0xdb8, 0, number << 8, 0, 0, 0, 1]);
        idle_clients.add(&mut pair, (from, 5).into());
    }
    let stats = pair.ends[SERVER].stats();
    assert_eq!((stats.half_open, stats.connections), (40, 40), "all slots are occupied");
    assert_eq!(
        stats.discards[&Discard::Busy],
        80,
        "and protected for a second, against both datagrams"
    );
    let late = pair.now + Duration::from_secs(1);
    pair.run(late.since(pair.now));
    pair.establish();
    let stats = pair.ends[SERVER].stats();
    assert_eq!((stats.half_open, stats.connections), (39, 40), "one was evicted");
}

/// Returns the refused clients that a server reported.
fn refused(pair: &Pair) -> Vec<(SocketAddr, Option<[u8; 32]>, ClosedReason)> {
    let events = pair.events[SERVER].iter();
    let all = events.filter_map(|(_, event)| match event {
        Event::Refused { from, key, reason } => Some((*from, *key, reason.clone())),
        _ => None,
    });
    all.collect()
}

#[test]
fn a_server_reports_refused_clients_with_the_reason() {
    let client = client_config();
    let (key, home) = (client.crypto.public_key(), address(1, 1_000));
    let nobody = server_config().crypto.accepting(KeyPolicy::Pinned(Vec::new()));
    let other = server_config().crypto.with_shared_key(&[9; 32]);
    for (crypto, code) in [(nobody, Some(Close::ACCESS_DENIED)), (other, None)] {
        let server = EndpointConfig { crypto, ..server_config() };
        let mut pair = Pair::with(client.clone(), server);
        pair.connect();
        pair.run(Duration::from_secs(20));
        let all = refused(&pair);
        let [(from, shown, reason)] = &all[..] else { panic!("reported once: {all:?}") };
        assert_eq!((*from, *shown), (home, Some(key)));
        match code {
            Some(code) => {
                assert!(matches!(reason, ClosedReason::Error(close) if close.code == code));
            }
            None => assert_eq!(*reason, ClosedReason::SharedKey),
        }
        assert_eq!(pair.ends[SERVER].stats().connections, 0);
    }
}

// Forged addresses produce no events.
#[test]
fn an_unvalidated_address_is_not_reported() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|packet| packet.from == CLIENT && packet.index == 0);
    pair.connect();
    pair.run(Duration::from_secs(20));
    assert!(refused(&pair).is_empty(), "its handshake did not complete");
    assert_eq!(pair.ends[SERVER].stats().connections, 0);
}
