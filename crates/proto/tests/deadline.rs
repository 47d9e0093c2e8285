//! Deadline messages over a path with delay.

mod common;

use std::time::Duration;

use common::{CLIENT, Pair, SERVER};
use hikyaku_proto::{ConnectionHandle, Delivery, Event, Outcome, Outgoing, ReceiptId};

const MS: Duration = Duration::from_millis(1);

/// Returns a pair with `delay` in each direction and a measured round trip.
fn pair_over(delay: Duration) -> (Pair, ConnectionHandle, ConnectionHandle) {
    let mut pair = Pair::new();
    pair.delay = delay;
    let client = pair.connect();
    pair.run(delay * 20);
    let server = pair.incoming().expect("the server has a connection");
    (pair, client, server)
}

fn outcome(pair: &Pair, receipt: ReceiptId) -> Option<Outcome> {
    pair.events[CLIENT].iter().find_map(|(_, event)| match event {
        Event::Receipt(of, outcome) if *of == receipt => Some(*outcome),
        _ => None,
    })
}

// D-7
#[test]
fn a_message_that_would_be_late_is_not_sent_and_expires() {
    let (mut pair, client, server) = pair_over(150 * MS);
    for _ in 0..20 {
        let receipt = pair.send(CLIENT, client, Delivery::Deadline(50 * MS), b"late");
        pair.run(400 * MS);
        assert_eq!(outcome(&pair, receipt), Some(Outcome::Expired));
    }
    assert!(pair.payloads(SERVER, server).is_empty());
}

// D-7: the same holds for a driver that numbers the receipts itself.
#[test]
fn the_transit_time_is_subtracted_whoever_numbers_the_receipts() {
    let (mut pair, client, server) = pair_over(150 * MS);
    for number in 0..20 {
        let (now, number) = (pair.now, ReceiptId(1_000 + number));
        let connection = pair.ends[CLIENT].connection(client).unwrap();
        let late = Outgoing::new(7, Delivery::Deadline(50 * MS), &b"late"[..]);
        assert_eq!(connection.send(now, late.with_receipt(number)), Ok(number));
        pair.run(400 * MS);
        assert_eq!(outcome(&pair, number), Some(Outcome::Expired));
    }
    assert!(pair.payloads(SERVER, server).is_empty());
}

// D-7: the tolerance covers a timer and the rounding of the time left to milliseconds.
#[test]
fn a_delivered_message_was_in_transit_no_longer_than_its_deadline() {
    for span in [160, 200, 310] {
        let (mut pair, client, server) = pair_over(150 * MS);
        let sent = pair.now;
        let receipt = pair.send(CLIENT, client, Delivery::Deadline(span * MS), b"in time");
        pair.run(151 * MS);
        assert_eq!(pair.payloads(SERVER, server).len(), 1, "{span} ms");
        assert!(pair.now.since(sent) <= (span + 2) * MS);
        // Its ACK arrives after 300 ms.
        pair.run(200 * MS);
        assert_eq!(outcome(&pair, receipt), Some(Outcome::Acknowledged), "{span} ms");
    }
}

// D-7
#[test]
fn a_message_not_taken_in_time_is_dropped_by_the_receiver() {
    let (mut pair, client, server) = pair_over(150 * MS);
    pair.send(CLIENT, client, Delivery::Deadline(200 * MS), b"in time");
    pair.run(205 * MS);
    assert!(pair.payloads(SERVER, server).is_empty());
}

// D-7
#[test]
fn a_lost_message_has_an_unknown_outcome() {
    let (mut pair, client, server) = pair_over(150 * MS);
    pair.rule = Box::new(|packet| packet.from == CLIENT);
    let arrived = pair.send(CLIENT, client, Delivery::Deadline(200 * MS), b"arrives");
    pair.run(3_000 * MS);
    assert_eq!(outcome(&pair, arrived), Some(Outcome::Unconfirmed));
    drop(pair.payloads(SERVER, server));
}

// D-7: a sender notices when the path becomes short again.
#[test]
fn a_sender_that_drops_everything_measures_the_path_again() {
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

// D-7: one fast answer is enough, so that a slow start does not silence a short call.
#[test]
fn the_first_answer_on_a_path_that_became_short_lets_messages_through() {
    let (mut pair, client, server) = pair_over(150 * MS);
    pair.delay = 5 * MS;
    let expired = pair.send(CLIENT, client, Delivery::Deadline(50 * MS), b"measures");
    pair.run(20 * MS);
    assert_eq!(outcome(&pair, expired), Some(Outcome::Expired));
    pair.send(CLIENT, client, Delivery::Deadline(50 * MS), b"soon");
    pair.run(20 * MS);
    assert_eq!(pair.payloads(SERVER, server).len(), 1);
}

/// Runs until an end has reported the connection.
fn run_until_connected(pair: &mut Pair, end: usize) -> ConnectionHandle {
    for _ in 0..2_000 {
        let found = pair.events[end].iter().find_map(|(handle, event)| {
            let is_it = matches!(event, Event::Connected { .. } | Event::Incoming);
            is_it.then_some(*handle)
        });
        if let Some(found) = found {
            return found;
        }
        pair.run(MS);
    }
    panic!("not connected");
}

// D-7
#[test]
fn the_first_message_of_a_connection_is_subject_to_the_transit_time_too() {
    for end in [CLIENT, SERVER] {
        for loss in std::iter::once(None).chain((0..10).map(Some)) {
            let mut pair = Pair::new();
            pair.delay = 150 * MS;
            if let Some(lost) = loss {
                let mut sent = 0;
                pair.rule = Box::new(move |_| {
                    sent += 1;
                    sent - 1 != lost
                });
            }
            pair.connect();
            let handle = run_until_connected(&mut pair, end);
            let receipt = pair.send(end, handle, Delivery::Deadline(50 * MS), b"late");
            pair.run(1_000 * MS);
            let outcome = pair.events[end].iter().find_map(|(_, event)| match event {
                Event::Receipt(of, outcome) if *of == receipt => Some(*outcome),
                _ => None,
            });
            assert_eq!(outcome, Some(Outcome::Expired), "{end}, {loss:?}");
        }
    }
}
