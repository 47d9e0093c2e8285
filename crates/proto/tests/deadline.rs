//! Deadline messages over a path that takes its time.

mod common;

use std::time::Duration;

use common::{CLIENT, Pair, SERVER};
use hikyaku_proto::{ConnectionHandle, Delivery, Event, Outcome, Outgoing, Receipt};

const MS: Duration = Duration::from_millis(1);

/// A pair whose line takes `delay` each way, with its round trip measured.
fn pair_over(delay: Duration) -> (Pair, ConnectionHandle, ConnectionHandle) {
    let mut pair = Pair::new();
    pair.delay = delay;
    let client = pair.connect();
    pair.run(delay * 20);
    let server = pair.incoming().expect("the server was told");
    (pair, client, server)
}

fn outcome(pair: &Pair, receipt: Receipt) -> Option<Outcome> {
    pair.events[CLIENT].iter().find_map(|(_, event)| match event {
        Event::Receipt(of, outcome) if *of == receipt => Some(*outcome),
        _ => None,
    })
}

// D-7
#[test]
fn what_cannot_be_there_in_time_is_not_sent_and_expires() {
    let (mut pair, client, server) = pair_over(150 * MS);
    for _ in 0..20 {
        let receipt = pair.send(CLIENT, client, Delivery::Deadline(50 * MS), b"late");
        pair.run(400 * MS);
        assert_eq!(outcome(&pair, receipt), Some(Outcome::Expired));
    }
    assert!(pair.payloads(SERVER, server).is_empty());
}

// D-7: a driver that numbers the receipts itself is promised the same.
#[test]
fn the_way_is_taken_off_whoever_numbers_the_receipts() {
    let (mut pair, client, server) = pair_over(150 * MS);
    for number in 0..20 {
        let (now, number) = (pair.now, Receipt(1_000 + number));
        let connection = pair.ends[CLIENT].connection(client).unwrap();
        let late = Outgoing::new(7, Delivery::Deadline(50 * MS), &b"late"[..]);
        assert_eq!(connection.send(now, late.with_receipt(number)), Ok(number));
        pair.run(400 * MS);
        assert_eq!(outcome(&pair, number), Some(Outcome::Expired));
    }
    assert!(pair.payloads(SERVER, server).is_empty());
}

// D-7: the tolerance is a timer's, and the millisecond to which the time left is rounded.
#[test]
fn what_is_delivered_was_on_the_way_no_longer_than_its_time() {
    for span in [160, 200, 310] {
        let (mut pair, client, server) = pair_over(150 * MS);
        let sent = pair.now;
        let receipt = pair.send(CLIENT, client, Delivery::Deadline(span * MS), b"in time");
        pair.run(151 * MS);
        assert_eq!(pair.payloads(SERVER, server).len(), 1, "{span} ms");
        assert!(pair.now.since(sent) <= (span + 2) * MS);
        // Its ACK comes after 300 ms, and is waited for.
        pair.run(200 * MS);
        assert_eq!(outcome(&pair, receipt), Some(Outcome::Acknowledged), "{span} ms");
    }
}

// D-7
#[test]
fn what_is_not_taken_in_time_is_dropped_there_too() {
    let (mut pair, client, server) = pair_over(150 * MS);
    pair.send(CLIENT, client, Delivery::Deadline(200 * MS), b"in time");
    pair.run(205 * MS);
    assert!(pair.payloads(SERVER, server).is_empty());
}

// D-7
#[test]
fn a_lost_one_is_not_known_to_be_there_or_not() {
    let (mut pair, client, server) = pair_over(150 * MS);
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    let arrived = pair.send(CLIENT, client, Delivery::Deadline(200 * MS), b"arrives");
    pair.run(3_000 * MS);
    assert_eq!(outcome(&pair, arrived), Some(Outcome::Unconfirmed));
    drop(pair.payloads(SERVER, server));
}

// D-7: a way that has become short again is found to be.
#[test]
fn a_sender_that_gives_all_up_asks_whether_the_way_is_still_as_long() {
    let (mut pair, client, server) = pair_over(150 * MS);
    pair.delay = 5 * MS;
    let mut delivered = 0;
    for _ in 0..200 {
        pair.send(CLIENT, client, Delivery::Deadline(50 * MS), b"soon");
        pair.run(20 * MS);
        delivered += pair.payloads(SERVER, server).len();
    }
    assert!(delivered > 150, "{delivered} of 200");
}
