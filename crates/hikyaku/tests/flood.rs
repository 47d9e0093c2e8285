//! First packets from countless addresses, and which clients can connect meanwhile.
//!
//! On Linux all of 127.0.0.0/8 belongs to this machine, so sockets can act as other networks.

#![cfg(target_os = "linux")]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use hikyaku::{Delivery, Endpoint, EndpointStats, Trust};
use hikyaku_proto::{Crypto, EndpointConfig, Output, rng::Random, time::Time};

/// Half of the half-open slots.
const UNASKED: usize = 500;
/// The share of one network.
const OF_NETWORK: usize = 250;

struct System;

impl Random for System {
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has randomness");
    }
}

/// The first flights of `count` clients that never continue.
fn first_flights(count: usize, to: SocketAddr) -> Vec<Vec<Vec<u8>>> {
    let config = EndpointConfig::client(Crypto::new(&[7; 32]));
    let mut clients = hikyaku_proto::Endpoint::new(config, Box::new(System));
    let (now, mut out) = (Time::from_micros(1), Vec::new());
    let flight = |_| {
        clients.connect(now, to, hikyaku_proto::KeyPolicy::AnyKey).expect("there is room");
        let mut flight = Vec::new();
        while let Output::Transmit(train) = clients.poll_output(now, &mut out) {
            flight.extend(out[..train.len].chunks(train.segment_size).map(<[u8]>::to_vec));
        }
        flight
    };
    (0..count).map(flight).collect()
}

/// Each from its own address; only as many at a time as the kernel has room for.
async fn flood(server: &Endpoint, count: usize, from: fn(u8, u8) -> Ipv4Addr) -> EndpointStats {
    let to = server.local_addr();
    let flights = first_flights(count, to);
    let mut stats = server.stats();
    for (number, flight) in flights.iter().enumerate() {
        let [high, low] = (number as u16).to_be_bytes();
        let socket = UdpSocket::bind((from(high, low), 0)).expect("loopback has ports");
        for datagram in flight {
            socket.send_to(datagram, to).expect("loopback takes it");
        }
        if number % 50 == 49 {
            stats = heard(server, stats.received + 50 * flight.len() as u64).await;
        }
    }
    stats
}

/// Waits until the server has received this many datagrams.
async fn heard(server: &Endpoint, count: u64) -> EndpointStats {
    for _ in 0..1_000 {
        let stats = server.stats();
        if stats.received >= count {
            return stats;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the flood does not arrive: {:?}", server.stats());
}

/// In KiB, as the system reports it.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

async fn connects(server: &Endpoint) {
    let client = Endpoint::client().expect("there is a port");
    let greet = async {
        let to = server.local_addr().to_string();
        let connection = client.connect(&*to, Trust::AnyKey).await.expect("it gets in");
        let sent = connection.send(Delivery::Ordered, "hello").await.expect("it is taken");
        sent.acknowledged().await.expect("it arrives");
    };
    let hear = async {
        let connection = server.accept().await.expect("it comes in");
        assert_eq!(&*connection.recv().await.expect("it is sent").payload, b"hello");
        connection
    };
    let both = async { tokio::join!(greet, hear) };
    tokio::time::timeout(Duration::from_secs(9), both).await.expect("in time");
}

// M-31, M-35
#[tokio::test]
async fn honest_clients_connect_during_a_flood_from_everywhere() {
    let server = Endpoint::bind("127.0.0.1:0").await.expect("there is a port");
    connects(&server).await;
    let before = memory();
    let stats = flood(&server, 700, |high, low| Ipv4Addr::new(127, high + 1, low, 1)).await;
    // On a slow machine the first handshakes time out before the last have begun.
    assert!((UNASKED / 2..=UNASKED).contains(&stats.half_open), "{stats:?}");
    connects(&server).await;
    let grown = memory().saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB");
}

// M-35
#[tokio::test]
async fn one_network_takes_at_most_a_quarter_of_the_slots() {
    let server = Endpoint::bind("127.0.0.1:0").await.expect("there is a port");
    let stats = flood(&server, 300, |_, low| Ipv4Addr::new(127, 66, 6, low.max(1))).await;
    assert!((OF_NETWORK / 2..=OF_NETWORK).contains(&stats.half_open), "{stats:?}");
    connects(&server).await;
}
