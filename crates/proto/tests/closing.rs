//! Closing connections over a lossy link.

mod common;

use std::{cell::RefCell, rc::Rc, time::Duration};

use common::{CLIENT, Dice, Pair, SERVER};
use hikyaku_proto::{
    ClosedReason, ConnectionHandle, Delivery, Event, Outcome, Outgoing, QueueError, ReceiptId,
    error::Close,
};

const SECOND: Duration = Duration::from_secs(1);

fn closed_by_peer() -> Event {
    Event::Closed(ClosedReason::Peer(Close { code: Close::NO_ERROR, reason: "".into() }))
}

// M-62
#[test]
fn a_lost_close_is_sent_again() {
    for lost in [1, 3, 7] {
        let (mut pair, client, _) = Pair::established();
        let mut left = lost;
        pair.rule = Box::new(move |packet| {
            let drop = packet.from == CLIENT && left > 0;
            left -= i32::from(drop);
            !drop
        });
        let now = pair.now;
        pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
        pair.run(SECOND * 2);
        assert!(pair.has_event(SERVER, &closed_by_peer()), "{lost} lost");
        assert!(pair.has_event(CLIENT, &Event::Drained), "{lost} lost");
    }
}

// M-62: messages that arrived before the close must be acknowledged.
#[test]
fn a_close_acknowledges_earlier_messages() {
    let (mut pair, client, server) = Pair::established();
    let receipt = pair.send(CLIENT, client, Delivery::Ordered, &[7; 20_000]);
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    pair.run(Duration::from_millis(300));
    assert_eq!(pair.payloads(SERVER, server).len(), 1);
    assert!(!pair.has_event(CLIENT, &Event::Receipt(receipt, Outcome::Acknowledged)));
    // From here on nothing is lost, but the server sends only its CLOSE.
    pair.rule = Box::new(|_| true);
    let now = pair.now;
    pair.ends[SERVER].connection(server).unwrap().close(now, 0x1001, "enough");
    pair.run(SECOND);
    assert!(pair.has_event(CLIENT, &Event::Receipt(receipt, Outcome::Acknowledged)));
}

// M-62
#[test]
fn a_lost_answer_to_a_close_is_repeated() {
    let (mut pair, client, _) = Pair::established();
    let mut left = 3;
    pair.rule = Box::new(move |packet| {
        let drop = packet.from == SERVER && left > 0;
        left -= i32::from(drop);
        !drop
    });
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    let before = pair.sent;
    pair.run(Duration::from_millis(400));
    assert!(pair.has_event(CLIENT, &Event::Drained), "the fourth answer arrived");
    pair.run(SECOND * 10);
    let sent = pair.sent;
    assert!(sent[CLIENT] - before[CLIENT] <= 9 && sent[SERVER] - before[SERVER] <= 9, "{sent:?}");
}

// M-62: a peer that repeats CLOSE forever gets nine answers.
#[test]
fn a_repeated_close_is_answered_nine_times() {
    let (mut pair, client, server) = Pair::established();
    let closes = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&closes);
    pair.rule = Box::new(move |packet| {
        if packet.from == CLIENT {
            kept.borrow_mut().push(packet.bytes.clone());
        }
        packet.from == SERVER
    });
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    // The CLOSE has not arrived yet: the server's other packets elicit more of them.
    for _ in 0..5 {
        pair.send(SERVER, server, Delivery::Unreliable, b"still there");
        pair.run(Duration::from_millis(80));
    }
    let closes = closes.take();
    assert!(closes.len() > 9, "{} arrived", closes.len());
    let (before, source) = (pair.sent[SERVER], pair.addresses[CLIENT]);
    for close in closes {
        pair.inject(SERVER, source, close);
        pair.run(Duration::from_millis(1));
    }
    assert!(pair.has_event(SERVER, &closed_by_peer()));
    assert_eq!(pair.sent[SERVER] - before, 9);
}

// M-62
#[test]
fn a_peer_that_received_the_close_is_not_waited_for() {
    let (mut pair, client, _) = Pair::established();
    pair.rule = Box::new(|_| false);
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    assert!(!pair.has_event(CLIENT, &Event::Drained));
    pair.run(SECOND * 2);
    assert!(pair.has_event(CLIENT, &Event::Drained));
    assert!(pair.ends[CLIENT].connection(client).is_none());
}

/// Asks both ends to close gracefully, with messages in transit in both directions.
fn close_both(
    pair: &mut Pair,
    handles: [ConnectionHandle; 2],
    within: Duration,
) -> [Vec<ReceiptId>; 2] {
    let now = pair.now;
    [CLIENT, SERVER].map(|end| {
        let receipts = (0..5)
            .map(|n| {
                let delivery = if n % 2 == 0 { Delivery::Ordered } else { Delivery::Reliable };
                pair.send(end, handles[end], delivery, &[n; 2_000])
            })
            .collect();
        let connection = pair.ends[end].connection(handles[end]).expect("the connection exists");
        connection.close_gracefully(now, within);
        receipts
    })
}

// M-63, M-65: the END that arrives first does not stop the other direction.
#[test]
fn when_both_sides_close_gracefully_all_messages_arrive() {
    for seed in 0..40 {
        let (mut pair, client, server) = Pair::established();
        let mut dice = Dice(seed);
        pair.rule = Box::new(move |_| dice.next() % 10 >= 3);
        let receipts = close_both(&mut pair, [client, server], SECOND * 60);
        pair.run(SECOND * 30);
        for (end, receipts) in receipts.iter().enumerate() {
            for receipt in receipts {
                let acknowledged = Event::Receipt(*receipt, Outcome::Acknowledged);
                assert!(pair.has_event(end, &acknowledged), "seed {seed}, end {end}");
            }
            assert!(pair.has_event(end, &Event::Closed(ClosedReason::Local)), "seed {seed}");
            assert!(pair.has_event(end, &Event::Drained), "seed {seed}");
        }
        assert_eq!(pair.payloads(CLIENT, client).len(), 5, "seed {seed}");
        assert_eq!(pair.payloads(SERVER, server).len(), 5, "seed {seed}");
    }
}

// M-65
#[test]
fn a_peer_that_receives_end_sends_its_queued_messages() {
    let (mut pair, client, server) = Pair::established();
    let receipt = pair.send(SERVER, server, Delivery::Reliable, &[1; 200_000]);
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close_gracefully(now, SECOND * 9);
    pair.run(SECOND);
    assert_eq!(pair.payloads(CLIENT, client).len(), 1);
    assert!(pair.has_event(SERVER, &Event::Receipt(receipt, Outcome::Acknowledged)));
    assert!(pair.has_event(SERVER, &closed_by_peer()));
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Local)));
    assert!(pair.has_event(CLIENT, &Event::Drained));
}

// M-65
#[test]
fn a_peer_that_receives_end_accepts_no_new_messages() {
    let (mut pair, client, server) = Pair::established();
    pair.send(SERVER, server, Delivery::Reliable, &[1; 2_000]);
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close_gracefully(now, SECOND * 9);
    pair.run(Duration::from_millis(20));
    let connection = pair.ends[SERVER].connection(server).unwrap();
    assert!(connection.is_established(), "its message is in transit");
    let refused = connection.send(now, Outgoing::new(7, Delivery::Latest, vec![1]));
    assert_eq!(refused.map_err(|refused| refused.reason), Err(QueueError::Closed));
}

// M-63
#[test]
fn a_graceful_close_ends_at_its_time_limit_and_reports_it() {
    let (mut pair, client, server) = Pair::established();
    pair.delay = Duration::from_millis(150);
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    pair.send(CLIENT, client, Delivery::Ordered, b"never acknowledged");
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close_gracefully(now, SECOND);
    pair.run(SECOND);
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Local)));
    pair.run(Duration::from_millis(150));
    assert!(pair.has_event(SERVER, &closed_by_peer()));
    assert_eq!(pair.payloads(SERVER, server).len(), 1);
}

// M-63: the peer reads nothing, and there is no credit for the queued messages.
#[test]
fn a_close_during_a_graceful_one_takes_effect_at_once() {
    let (mut pair, client, _) = Pair::established();
    pair.send(CLIENT, client, Delivery::Ordered, &[0; 14 << 20]);
    pair.run(SECOND * 5);
    pair.send(CLIENT, client, Delivery::Ordered, &[0; 14 << 20]);
    pair.run(SECOND);
    let now = pair.now;
    let connection = pair.ends[CLIENT].connection(client).unwrap();
    connection.close_gracefully(now, SECOND * 30);
    connection.close(now, Close::NO_ERROR, "");
    let before = pair.sent[CLIENT];
    pair.run(Duration::ZERO);
    assert_eq!(pair.sent[CLIENT] - before, 1, "the CLOSE, in the same turn");
    pair.run(pair.delay);
    assert!(pair.has_event(SERVER, &closed_by_peer()));
}

// M-63
#[test]
fn a_peer_that_vanishes_after_end_is_given_up_early() {
    let (mut pair, client, _) = Pair::established();
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close_gracefully(now, SECOND * 60);
    pair.run(SECOND * 2);
    assert!(!pair.has_event(CLIENT, &Event::Closed(ClosedReason::Local)), "it may still answer");
    pair.run(SECOND * 2);
    assert!(pair.has_event(CLIENT, &Event::Closed(ClosedReason::Local)));
}

// P-4
#[test]
fn a_lost_mtu_probe_delays_no_message() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|packet| packet.bytes.len() <= 9_000);
    let (client, server) = pair.establish();
    for n in 0..100_u8 {
        pair.send(CLIENT, client, Delivery::Unreliable, &[n; 500]);
        pair.run(Duration::from_millis(20));
        let got = pair.payloads(SERVER, server);
        assert!(!got.is_empty(), "message {n} is delayed");
        pair.run(Duration::from_millis(20));
        pair.payloads(SERVER, server);
    }
}
