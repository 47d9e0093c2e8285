//! Memory held by connections for messages that nobody takes.

mod common;

use std::time::Duration;

use common::{ALL, CLIENT, Pair, SERVER, client_config, server_config};
use hikyaku_proto::{ConnectionHandle, Delivery, EndpointConfig, Event, Outcome};

const SECOND: Duration = Duration::from_secs(1);
const EACH: u64 = 64 << 10;
const TOGETHER: u64 = 1 << 20;

/// Returns a server with little memory and this many clients, each with both handles.
fn crowd(count: usize) -> (Pair, Vec<(ConnectionHandle, ConnectionHandle)>) {
    let server = EndpointConfig { held_each: EACH, held_together: TOGETHER, ..server_config() };
    let mut pair = Pair::with(client_config(), server);
    let all = (0..count).map(|_| pair.establish()).collect();
    (pair, all)
}

fn held(pair: &Pair) -> u64 {
    pair.ends[SERVER].stats().held_together
}

/// Receives all messages and returns their lengths.
fn taken(pair: &mut Pair, server: ConnectionHandle) -> Vec<usize> {
    pair.recv(SERVER, server).into_iter().map(|message| message.payload.len()).collect()
}

// D-13
#[test]
fn memory_held_together_is_bounded_and_small_messages_still_arrive() {
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
        // A client that holds little may still send more.
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

// D-13: waiting messages get the room that others release.
#[test]
fn refused_messages_arrive_once_there_is_room() {
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

// D-13: a closed connection holds nothing.
#[test]
fn a_closed_connection_releases_its_memory() {
    let (mut pair, all) = crowd(4);
    for (client, _) in &all {
        pair.send(CLIENT, *client, Delivery::Latest, &[1; 200_000]);
        pair.send(CLIENT, *client, Delivery::Reliable, &[1; 200_000]);
    }
    pair.run(SECOND);
    assert!(held(&pair) > TOGETHER / 2);
    let now = pair.now;
    for (client, _) in &all {
        pair.ends[CLIENT].connection(*client).expect("the connection exists").close(now, 0, "");
    }
    // M-64: messages can be received for 30 s.
    pair.run(SECOND * 40);
    assert_eq!((held(&pair), pair.ends[SERVER].stats().connections), (0, 0));
}

// D-13: the counted bytes match the memory used, within a factor.
#[test]
fn held_memory_is_at_most_twice_the_counted_bytes() {
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
            let stats =
                pair.ends[CLIENT].connection(client).expect("the connection exists").stats();
            assert_eq!(stats.queued_bytes, 0, "everything has arrived");
            let counted = (count * (len + 64)) as i64;
            let factor = taken.bytes_current as f64 / counted as f64;
            assert!((0.5..=2.0).contains(&factor), "{delivery:?} {len}: {factor}");
        }
    }
}
