//! What a connection costs: nothing for a packet, little when it is idle.

#![expect(clippy::print_stdout, reason = "the figures are for people")]

#[path = "common/joined.rs"]
mod joined;

use std::time::Duration;

use allocation_counter::measure;
use hikyaku_proto::Delivery;
use joined::Joined;

/// Heap of an idle connection, at each end (design.md section 8).
const IDLE_BYTES: i64 = 4 << 10;

/// A message costs a few allocations (its payload, twice; its place in queues). What its packets
/// cost shows when it has many of them.
#[test]
fn packets_do_not_allocate_in_the_steady_state() {
    const LEN: usize = 1 << 20;
    let rounds = if cfg!(debug_assertions) { 40 } else { 300 };
    let mut pair = Joined::new(1_200);
    let client = pair.connect();
    pair.run(Duration::from_millis(50));
    let server = pair.incoming[0];
    let payload = vec![7; LEN];
    for _ in 0..rounds {
        pair.fill(client, Delivery::Ordered, &payload);
        pair.turn();
        pair.drain(server);
    }
    let before = pair.packets;
    let mut messages = 0;
    let info = measure(|| {
        for _ in 0..rounds {
            pair.fill(client, Delivery::Ordered, &payload);
            pair.turn();
            messages += pair.drain(server);
        }
    });
    let packets = pair.packets[0] - before[0] + pair.packets[1] - before[1];
    println!("{} allocations, {messages} messages, {packets} packets", info.count_total);
    assert!(messages > 10 && packets > 100 * messages);
    assert!(info.count_total < 20 * messages + packets / 1_000, "{}", info.count_total);
}

#[test]
fn an_idle_connection_takes_little() {
    let count: u32 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
    let mut pair = Joined::new(1_200);
    let warm = pair.connect();
    pair.run(Duration::from_millis(20));
    assert!(pair.ends[0].connection(warm).is_some());
    pair.incoming.reserve(count as usize);
    let info = measure(|| {
        for n in 0..count {
            pair.connect();
            if n % 50 == 49 {
                pair.run(Duration::from_millis(5));
            }
        }
        pair.step = Duration::from_millis(50);
        pair.run(Duration::from_secs(10));
    });
    assert_eq!(pair.incoming.len(), count as usize + 1);
    let each = info.bytes_current / i64::from(count) / 2;
    println!("{} bytes inline", size_of::<hikyaku_proto::Connection>());
    println!("{each} bytes for each end of {count} idle connections");
    assert!(each <= IDLE_BYTES, "{each} bytes");
}
