//! Address changes and MTU discovery.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what fails there fails the test")]

mod common;

use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};

use common::{CLIENT, Pair, SERVER, address, client_config, server_config};
use hikyaku_proto::{ConnectionHandle, Delivery};

const MS: Duration = Duration::from_millis(1);

fn mtu(pair: &mut Pair, end: usize, handle: ConnectionHandle) -> usize {
    pair.ends[end].connection(handle).unwrap().stats().mtu
}

// P-4
#[test]
fn the_mtu_search_continues_after_a_failed_migration() {
    let mut pair = Pair::new();
    pair.delay = 100 * MS;
    pair.rule = Box::new(|packet| packet.bytes.len() <= 1_472);
    let client = pair.connect();
    while pair.incoming().is_none() {
        pair.run(MS);
    }
    let server = pair.incoming().unwrap();
    // A probe of the server is in flight when somebody forwards a packet from elsewhere.
    pair.rule = Box::new(|packet| {
        if packet.from == CLIENT {
            packet.source = address(66, 6_666);
        }
        packet.bytes.len() <= 1_472
    });
    pair.send(CLIENT, client, Delivery::Ordered, b"here");
    while pair.ends[SERVER].connection(server).unwrap().remote() == pair.addresses[CLIENT] {
        pair.run(MS);
    }
    pair.rule = Box::new(|packet| packet.bytes.len() <= 1_472);
    pair.run(10_000 * MS);
    assert_eq!(pair.ends[SERVER].connection(server).unwrap().remote(), pair.addresses[CLIENT]);
    pair.send(SERVER, server, Delivery::Ordered, &[1; 10_000]);
    pair.run(10_000 * MS);
    assert_eq!(mtu(&mut pair, SERVER, server), 1_472);
}

// P-4
#[test]
fn loopback_and_jumbo_frames_are_found_after_three_probes() {
    let v6 = |port| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
    let mapped = |port| SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], port));
    let v4 = |port| SocketAddr::from(([127, 0, 0, 1], port));
    for (to, path, found) in [
        ([v4(1), v4(2)], 65_507, 65_507),
        ([mapped(1), mapped(2)], 65_507, 65_507),
        ([v6(1), v6(2)], 65_488, 65_488),
        ([v4(1), v4(2)], 8_972, 8_972),
        ([v6(1), v6(2)], 8_952, 8_952),
        ([v4(1), v4(2)], 1_472, 1_472),
        ([v6(1), v6(2)], 1_452, 1_452),
    ] {
        let mut pair = Pair::new();
        pair.addresses = to;
        let lost = Rc::new(RefCell::new(0));
        let too_large = Rc::clone(&lost);
        pair.rule = Box::new(move |packet| {
            let passes = packet.bytes.len() <= path;
            *too_large.borrow_mut() += usize::from(!passes && packet.from == CLIENT);
            passes
        });
        let (client, server) = pair.establish();
        pair.run(25_000 * MS);
        let found_by_both = [mtu(&mut pair, CLIENT, client), mtu(&mut pair, SERVER, server)];
        assert_eq!(found_by_both, [found; 2], "{to:?}");
        assert!(*lost.borrow() <= 6, "{} probes of sizes that cannot pass: {to:?}", lost.borrow());
    }
}

/// Records the lengths of the server's packets, with the bytes the client had sent by then.
fn listen(pair: &mut Pair) -> Rc<RefCell<Vec<(usize, usize)>>> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (list, mut sent) = (Rc::clone(&heard), 0);
    pair.rule = Box::new(move |packet| {
        if packet.from == CLIENT {
            sent += packet.bytes.len();
        } else {
            list.borrow_mut().push((packet.bytes.len(), sent));
        }
        true
    });
    heard
}

// P-1
#[test]
fn a_short_packet_from_a_new_address_is_enough_to_validate_it() {
    for to in [address(1, 1_001), address(9, 1_000)] {
        let (mut pair, client, server) = Pair::established();
        pair.run(5_000 * MS);
        let heard = listen(&mut pair);
        pair.addresses[CLIENT] = to;
        pair.ends[CLIENT].connection(client).unwrap().ping();
        // Queued messages do not use up the little that may be sent.
        pair.run(9 * MS);
        pair.send(SERVER, server, Delivery::Ordered, &[1; 900]);
        pair.run(2 * MS);
        heard.borrow_mut().clear();
        pair.send(SERVER, server, Delivery::Ordered, &[2; 900]);
        pair.run(18 * MS);
        let before: Vec<_> = heard.borrow().clone();
        assert!(before.iter().all(|(len, sent)| *len <= 3 * sent), "{before:?}");
        // The RESPONSE has arrived: everything may be sent, and the path is probed for its size.
        pair.run(20 * MS);
        let len = heard.borrow().iter().map(|(len, _)| *len).max();
        assert!(len >= Some(1_200), "{heard:?}");
        pair.run(12 * MS);
        assert_eq!(pair.recv(CLIENT, client).len(), 2, "{to}");
        pair.run(10_000 * MS);
        assert_eq!(pair.ends[SERVER].connection(server).unwrap().remote(), to);
    }
}

// D-4: the credit went to the sender's old address, and no packet reveals the new one.
#[test]
fn a_sender_that_moved_while_waiting_for_credit_receives_it() {
    let mut config = server_config();
    config.transport.channel_credit = 4_000;
    let mut pair = Pair::with(client_config(), config);
    let (client, server) = pair.establish();
    for n in 0..6 {
        pair.send(CLIENT, client, Delivery::Reliable, &[n; 1_000]);
    }
    pair.run(3_000 * MS);
    pair.addresses[CLIENT] = address(9, 1_000);
    assert_eq!(pair.recv(SERVER, server).len(), 3, "as many as there was credit for");
    pair.run(1_000 * MS);
    assert_eq!(pair.recv(SERVER, server).len(), 0, "its credit is lost");
    pair.run(6_000 * MS);
    assert_eq!(pair.recv(SERVER, server).len(), 3);
}

// P-1
#[test]
fn a_new_address_that_does_not_carry_1_200_bytes_is_given_up() {
    let (mut pair, client, server) = Pair::established();
    pair.run(5_000 * MS);
    let home = pair.addresses[CLIENT];
    pair.rule = Box::new(|packet| packet.bytes.len() < 1_000);
    pair.addresses[CLIENT] = address(9, 1_000);
    pair.ends[CLIENT].connection(client).unwrap().ping();
    pair.run(100 * MS);
    assert_eq!(pair.ends[SERVER].connection(server).unwrap().remote(), address(9, 1_000));
    // Until a packet arrives from there again.
    let went_back = (0..10_000).any(|_| {
        pair.run(MS);
        pair.ends[SERVER].connection(server).unwrap().remote() == home
    });
    assert!(went_back);
}
