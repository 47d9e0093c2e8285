//! How fast two endpoints in one thread move messages, without a socket between them.
//!
//! In: nothing. Out: figures for people. Never: a claim; run it where it matters:
//! `cargo run --release -p hikyaku-proto --example speed`.

#![expect(clippy::disallowed_methods, reason = "it measures real time, from outside")]
#![expect(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../tests/common/joined.rs"]
mod joined;

use std::time::{Duration, Instant};

use hikyaku_proto::Delivery;
use joined::Joined;

fn main() {
    println!("   mtu  message   packets/s  ns/packet  messages/s   MB/s");
    for mtu in [1_200, 1_452, 8_952, 65_507] {
        for len in [64, 64 << 10] {
            measure(mtu, len);
        }
    }
}

fn measure(mtu: usize, len: usize) {
    let mut pair = Joined::new(mtu);
    let client = pair.connect();
    pair.run(Duration::from_millis(50));
    let server = pair.incoming[0];
    let payload = vec![7; len];
    // Until the size of datagrams is found, and the window is open.
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_millis(300) {
        pair.fill(client, Delivery::Ordered, &payload);
        pair.turn();
        pair.drain(server);
    }
    let (before, start, mut messages) = (pair.packets, Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(1) {
        pair.fill(client, Delivery::Ordered, &payload);
        pair.turn();
        messages += pair.drain(server);
    }
    let (seconds, packets) = (start.elapsed().as_secs_f64(), pair.packets[0] - before[0]);
    let (rate, each) = (packets as f64 / seconds, seconds * 1e9 / packets as f64);
    let (told, bytes) = (messages as f64 / seconds, messages as f64 * len as f64 / seconds / 1e6);
    println!("{mtu:>6} {len:>8} {rate:>11.0} {each:>10.0} {told:>11.0} {bytes:>6.0}");
}
