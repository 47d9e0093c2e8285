//! The end of a connection on a line that loses packets.

mod common;

use std::{cell::RefCell, rc::Rc, time::Duration};

use common::{CLIENT, Pair, SERVER};
use hikyaku_proto::{ClosedReason, Delivery, Event, Outcome, error::Close};

const SECOND: Duration = Duration::from_secs(1);

fn closed_by_peer() -> Event {
    Event::Closed(ClosedReason::Peer(Close { code: Close::NO_ERROR, reason: "".into() }))
}

// M-62
#[test]
fn a_close_that_is_lost_is_sent_again() {
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

// M-62: what a sender asked for was there; it must not take it for lost because of the end.
#[test]
fn a_close_acknowledges_what_came_before_it() {
    let (mut pair, client, server) = Pair::established();
    let receipt = pair.send(CLIENT, client, Delivery::Ordered, &[7; 20_000]);
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    pair.run(Duration::from_millis(300));
    assert_eq!(pair.payloads(SERVER, server).len(), 1);
    assert!(!pair.has_event(CLIENT, &Event::Receipt(receipt, Outcome::Acknowledged)));
    // From here on nothing is lost, but all that the server still says is that it ends.
    pair.rule = Box::new(|_| true);
    let now = pair.now;
    pair.ends[SERVER].connection(server).unwrap().close(now, 0x1001, "enough");
    pair.run(SECOND);
    assert!(pair.has_event(CLIENT, &Event::Receipt(receipt, Outcome::Acknowledged)));
}

// M-62
#[test]
fn an_answer_to_a_close_that_is_lost_is_given_again() {
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
    assert!(pair.has_event(CLIENT, &Event::Drained), "the fourth answer came");
    pair.run(SECOND * 10);
    let sent = pair.sent;
    assert!(sent[CLIENT] - before[CLIENT] <= 9 && sent[SERVER] - before[SERVER] <= 9, "{sent:?}");
}

// M-62: whoever sends CLOSEs without end gets an answer to nine of them.
#[test]
fn a_close_that_comes_again_and_again_is_answered_nine_times() {
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
    // Nothing of it is heard yet: what the server still says calls for more of them.
    for _ in 0..5 {
        pair.send(SERVER, server, Delivery::Unreliable, b"still there");
        pair.run(Duration::from_millis(80));
    }
    let closes = closes.take();
    assert!(closes.len() > 9, "{} came", closes.len());
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
fn nobody_who_hears_a_close_is_waited_for_long() {
    let (mut pair, client, _) = Pair::established();
    pair.rule = Box::new(|_| false);
    let now = pair.now;
    pair.ends[CLIENT].connection(client).unwrap().close(now, 0, "");
    assert!(!pair.has_event(CLIENT, &Event::Drained));
    pair.run(SECOND * 2);
    assert!(pair.has_event(CLIENT, &Event::Drained));
    assert!(pair.ends[CLIENT].connection(client).is_none());
}

// P-4
#[test]
fn a_probe_of_the_mtu_that_is_lost_holds_no_message_up() {
    let mut pair = Pair::new();
    pair.rule = Box::new(|packet| packet.bytes.len() <= 9_000);
    let (client, server) = pair.establish();
    for n in 0..100_u8 {
        pair.send(CLIENT, client, Delivery::Unreliable, &[n; 500]);
        pair.run(Duration::from_millis(20));
        let got = pair.payloads(SERVER, server);
        assert!(!got.is_empty(), "message {n} waits");
        pair.run(Duration::from_millis(20));
        pair.payloads(SERVER, server);
    }
}
