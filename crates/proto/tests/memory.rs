//! What connections may hold of messages that nobody takes.

mod common;

use std::time::Duration;

use common::{ALL, CLIENT, Pair, SERVER, client_config, server_config};
use hikyaku_proto::{ConnectionHandle, Delivery, EndpointConfig, Event, Outcome};

const SECOND: Duration = Duration::from_secs(1);
const EACH: u64 = 64 << 10;
const TOGETHER: u64 = 1 << 20;

/// A server with little room, and so many clients: each with its server's end.
fn crowd(count: usize) -> (Pair, Vec<(ConnectionHandle, ConnectionHandle)>) {
    let server = EndpointConfig { held_each: EACH, held_together: TOGETHER, ..server_config() };
    let mut pair = Pair::with(client_config(), server);
    let all = (0..count).map(|_| pair.establish()).collect();
    (pair, all)
}

fn held(pair: &Pair) -> u64 {
    pair.ends[SERVER].stats().held_together
}

/// Lengths of what there is to take.
fn taken(pair: &mut Pair, server: ConnectionHandle) -> Vec<usize> {
    pair.recv(SERVER, server).into_iter().map(|message| message.payload.len()).collect()
}

// D-13
#[test]
fn what_many_hold_together_is_bounded_and_small_messages_pass_all_the_same() {
    let last = Delivery::Deadline(SECOND * 60);
    for delivery in ALL.into_iter().take(4).chain([last]) {
        let (mut pair, all) = crowd(12);
        let (many, others) = all.split_at(10);
        for (client, _) in many {
            pair.send(CLIENT, *client, delivery, &[1; 300_000]);
        }
        pair.run(SECOND);
        let full = held(&pair);
        assert!(full > TOGETHER / 2 && full <= TOGETHER, "{delivery:?}: {full}");
        // Who holds little is not kept from more of that.
        for (client, _) in others {
            for _ in 0..10 {
                pair.send(CLIENT, *client, delivery, &[2; 500]);
                pair.run(SECOND / 10);
            }
        }
        assert!(held(&pair) <= TOGETHER);
        let few = if delivery == Delivery::Latest { 1 } else { 10 };
        for (_, server) in others {
            assert_eq!(taken(&mut pair, *server), vec![500; few], "{delivery:?}");
        }
        let got: Vec<_> = many.iter().flat_map(|(_, server)| taken(&mut pair, *server)).collect();
        assert_eq!(got, [300_000; 4], "{delivery:?}");
    }
}

// D-13: who waits gets what others give back.
#[test]
fn what_found_no_room_arrives_when_there_is_some() {
    for delivery in [Delivery::Ordered, Delivery::Reliable, Delivery::Latest] {
        let (mut pair, all) = crowd(12);
        for (client, _) in &all {
            pair.send(CLIENT, *client, delivery, &[1; 300_000]);
        }
        pair.run(SECOND);
        let acknowledged = |pair: &Pair| {
            let told = |event: &Event| matches!(event, Event::Receipt(_, Outcome::Acknowledged));
            pair.events[CLIENT].iter().filter(|(_, event)| told(event)).count()
        };
        assert!(acknowledged(&pair) <= 4, "only what is kept is acknowledged");
        let mut got = 0;
        for _ in 0..60 {
            pair.run(SECOND);
            got += all.iter().map(|(_, server)| taken(&mut pair, *server).len()).sum::<usize>();
        }
        assert_eq!((got, acknowledged(&pair)), (12, 12), "{delivery:?}");
    }
}

// D-13: who has gone holds nothing.
#[test]
fn the_room_of_a_connection_that_is_over_is_the_others() {
    let (mut pair, all) = crowd(4);
    for (client, _) in &all {
        pair.send(CLIENT, *client, Delivery::Latest, &[1; 200_000]);
        pair.send(CLIENT, *client, Delivery::Reliable, &[1; 200_000]);
    }
    pair.run(SECOND);
    assert!(held(&pair) > TOGETHER / 2);
    let now = pair.now;
    for (client, _) in &all {
        pair.ends[CLIENT].connection(*client).expect("it is there").close(now, 0, "");
    }
    // M-64: what came can be read for 30 s.
    pair.run(SECOND * 40);
    assert_eq!((held(&pair), pair.ends[SERVER].stats().connections), (0, 0));
}

// D-13: what counts is what there is, within a factor.
#[test]
fn what_is_held_takes_at_most_twice_what_it_counts() {
    for delivery in [Delivery::Ordered, Delivery::Reliable, Delivery::Unreliable] {
        for (count, len) in [(20_000, 1), (4_000, 200), (40, 60_000)] {
            let (mut pair, client, _) = Pair::established();
            let taken = allocation_counter::measure(|| {
                for n in 0..count {
                    pair.send(CLIENT, client, delivery, &vec![1; len]);
                    if n % 500 == 0 {
                        pair.run(SECOND / 10);
                    }
                }
                pair.run(SECOND * 4);
                pair.events[CLIENT] = Vec::new();
            });
            let stats = pair.ends[CLIENT].connection(client).expect("it is there").stats();
            assert_eq!(stats.queued_bytes, 0, "all of it is on the other side");
            let counted = (count * (len + 64)) as i64;
            let factor = taken.bytes_current as f64 / counted as f64;
            assert!((0.5..=2.0).contains(&factor), "{delivery:?} {len}: {factor}");
        }
    }
}
