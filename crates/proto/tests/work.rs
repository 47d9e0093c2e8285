//! Work that a packet causes beyond its own frames is charged to its connection (M-67).

mod common;

use std::{cell::Cell, rc::Rc, time::Duration};

use common::{CLIENT, Pair, SERVER, address, client_config, server_config};
use hikyaku_proto::{Delivery, Outgoing};

const MS: Duration = Duration::from_millis(1);

/// The work of a frame, in the cost model.
const FRAME: Duration = Duration::from_nanos(hikyaku_proto::limits::FRAME_WORK as u64);

// M-67
#[test]
fn m67_a_change_of_address_is_charged_for_what_is_in_flight() {
    let mut pair = Pair::new();
    pair.delay = 50 * MS;
    pair.rule = Box::new(|packet| packet.bytes.len() <= 1_452);
    let client = pair.connect();
    pair.run(500 * MS);
    let server = pair.incoming().expect("it is connected");
    let busy = |pair: &mut Pair, millis: u32| {
        for _ in 0..millis {
            pair.send(SERVER, server, Delivery::Unreliable, &[0; 5_000]);
            pair.run(MS);
        }
    };
    busy(&mut pair, 1_500);
    // Of the packets that the client sends from here on one arrives, from elsewhere.
    let left = Rc::new(Cell::new(1));
    pair.rule = Box::new(move |packet| packet.from == SERVER || left.replace(0) == 1);
    pair.addresses[CLIENT] = address(77, 7_777);
    pair.send(CLIENT, client, Delivery::Ordered, b"from elsewhere");
    busy(&mut pair, 49);
    let mut moved = false;
    for _ in 0..50 {
        let stats = pair.ends[SERVER].peek(server).expect("it lives").stats();
        let before = pair.ends[SERVER].stats().work;
        pair.run(MS / 10);
        let work = pair.ends[SERVER].stats().work - before;
        let remote = pair.ends[SERVER].peek(server).expect("it lives").remote();
        if remote == pair.addresses[CLIENT] {
            let in_flight = stats.in_flight as usize / stats.mtu;
            assert!(in_flight >= 100, "{in_flight}");
            assert!(work >= FRAME * (10 + in_flight as u32 / 32), "{work:?}, {in_flight}");
            moved = true;
            break;
        }
    }
    assert!(moved);
}

// M-67
#[test]
fn m67_credit_is_charged_for_every_lane_that_it_wakes() {
    const LANES: u16 = 300;
    let mut config = server_config();
    (config.transport.credit, config.transport.channel_credit) = (10_000, 10_000);
    let mut pair = Pair::with(client_config(), config);
    let (client, server) = pair.establish();
    for channel in 0..LANES {
        let (now, message) = (pair.now, Outgoing::new(channel, Delivery::Ordered, vec![0; 9_000]));
        let connection = pair.ends[CLIENT].connection(client).expect("it lives");
        connection.send(now, message).expect("there is room");
    }
    pair.run(500 * MS);
    let before = pair.ends[CLIENT].stats().work;
    assert_eq!(pair.recv(SERVER, server).len(), 1, "there is credit for one");
    pair.run(11 * MS);
    let work = pair.ends[CLIENT].stats().work - before;
    assert!(work >= FRAME * u32::from(LANES - 1), "{work:?}");
}
