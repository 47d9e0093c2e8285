//! What is done for those that are no peers, or are not known to be.

mod common;

use std::{cell::RefCell, rc::Rc, time::Duration};

use common::{CLIENT, Dice, Pair, SERVER, address, server_config};
use hikyaku_proto::{ClosedReason, Crypto, Delivery, Endpoint, EndpointConfig, Event, Output};

// M-60
#[test]
fn a_restarted_server_tells_its_peers_at_once() {
    let (mut pair, client, _) = Pair::established();
    pair.restart(SERVER);
    pair.send(CLIENT, client, Delivery::Ordered, b"are you there?");
    pair.run(Duration::from_millis(100));
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Reset)));
}

// M-60: two processes that dial with one identity are told apart by nothing that outlives them.
#[test]
fn another_client_of_the_same_identity_cannot_reset_a_connection() {
    let (mut pair, _, server) = Pair::established();
    pair.restart(CLIENT);
    pair.send(SERVER, server, Delivery::Ordered, b"are you there?");
    pair.run(Duration::from_millis(100));
    assert!(pair.sent[CLIENT] > 0, "it answers with resets");
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
    // A server that came back says that it does not know this one.
    let mut restarted = Endpoint::new(pair.configs[SERVER].clone(), Box::new(Dice(99)));
    let (now, client) = (pair.now, pair.addresses[CLIENT]);
    restarted.handle_datagram(now, client, None, &mut asked.borrow().clone());
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

// M-60: P-1's addresses count.
#[test]
fn a_restarted_end_that_had_moved_tells_its_peer_too() {
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
