//! Heap allocations of the protocol, counted.
//!
//! Counts only this thread's allocations through Rust's allocator: the AEAD contexts of aws-lc come
//! from C's malloc and are not seen. The test of idle connections also prints the growth of the
//! process, where the system reports it (Linux).

#![expect(clippy::print_stdout, reason = "the figures are for people")]

use std::{net::SocketAddr, time::Duration};

use allocation_counter::{AllocationInfo, measure};
use hikyaku_proto::{
    Bytes, ConnectionHandle, Crypto, Datagram, Delivery, Endpoint, EndpointConfig, Event,
    KeyPolicy, Outgoing, Output, rng::Random, time::Time,
};

const WAY: Duration = Duration::from_micros(50);

/// splitmix64 (Steele, Lea and Flood 2014).
struct Dice(u64);

impl Random for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) as u8;
        }
    }
}

/// One endpoint, the allocations counted during calls, and its newest connection.
struct End {
    endpoint: Endpoint,
    address: SocketAddr,
    handle: Option<ConnectionHandle>,
    handles: Vec<ConnectionHandle>,
    heard: usize,
    buffer: Vec<u8>,
    counted: AllocationInfo,
}

impl End {
    fn new(config: EndpointConfig, seed: u64, address: SocketAddr) -> Self {
        let buffer = Vec::with_capacity(70_000);
        let counted = AllocationInfo::default();
        let endpoint = Endpoint::new(config, Box::new(Dice(seed)));
        // Reserved, so that growth of this list is not counted.
        let handles = Vec::with_capacity(200);
        Self { endpoint, address, handle: None, handles, heard: 0, buffer, counted }
    }

    /// Calls the endpoint, counting allocations.
    fn count(&mut self, call: impl FnOnce(&mut Self)) {
        let counted = measure(|| call(self));
        self.counted += counted;
    }

    /// Returns the length of each datagram of the next batch in the buffer, and its destination.
    fn poll(&mut self, now: Time) -> Option<(usize, SocketAddr)> {
        loop {
            match self.endpoint.poll_output(now, &mut self.buffer) {
                Output::Transmit(transmit) => {
                    self.buffer.truncate(transmit.len);
                    return Some((transmit.segment_size, transmit.to));
                }
                Output::Event(handle, Event::Incoming) => {
                    self.handle = Some(handle);
                    self.handles.push(handle);
                }
                Output::Event(..) => {}
                Output::Timeout(_) => return None,
            }
        }
    }

    /// Sends a message of every class, in one fragment and in several, on each connection.
    fn talk(&mut self, now: Time) {
        let deadline = Delivery::Deadline(Duration::from_secs(1));
        let classes = [Delivery::Ordered, Delivery::Reliable, Delivery::Unreliable, deadline];
        for handle in &self.handles {
            let connection = self.endpoint.connection(*handle).expect("the connection exists");
            for (delivery, len) in classes.iter().flat_map(|class| [(*class, 10), (*class, 3_000)])
            {
                let sent = connection.send(now, Outgoing::new(1, delivery, vec![7; len]));
                sent.expect("there is room");
            }
            // A second one would replace the first.
            let sent = connection.send(now, Outgoing::new(1, Delivery::Latest, vec![7; 3_000]));
            sent.expect("there is room");
        }
    }

    /// Receives all messages.
    fn listen(&mut self, now: Time) {
        for handle in &self.handles {
            let connection = self.endpoint.connection(*handle).expect("the connection exists");
            while let Some(message) = connection.recv(now, None) {
                self.heard += 1;
                drop(message);
            }
        }
    }

    fn connection(&mut self) -> &mut hikyaku_proto::Connection {
        let handle = self.handle.expect("a connection was made");
        self.endpoint.connection(handle).expect("the connection exists")
    }
}

struct Pair {
    now: Time,
    sender: End,
    receiver: End,
    packets: u64,
    messages: u64,
}

fn server() -> EndpointConfig {
    let mut config = EndpointConfig::server(Crypto::new(&[2; 32]), address(2));
    config.transport.idle_timeout = None;
    config.max_half_open = 100_000;
    config
}

fn client(max_mtu: usize) -> EndpointConfig {
    let mut config = EndpointConfig::client(Crypto::new(&[1; 32]));
    config.transport.max_mtu = max_mtu;
    config.transport.idle_timeout = None;
    config
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

impl Pair {
    fn new(max_mtu: usize) -> Self {
        let sender = End::new(client(max_mtu), 1, address(1));
        let receiver = End::new(server(), 2, address(2));
        let now = Time::from_micros(1_000_000);
        Self { now, sender, receiver, packets: 0, messages: 0 }
    }

    fn dial(&mut self) {
        let (now, to) = (self.now, self.receiver.address);
        let handle =
            self.sender.endpoint.connect(now, to, KeyPolicy::AnyKey).expect("the client connects");
        self.sender.handle = Some(handle);
    }

    /// Carries all batches in one direction, then back; messages are received and dropped.
    fn turn(&mut self) {
        let Self { now, sender, receiver, packets, messages } = self;
        carry(*now, sender, receiver, packets);
        *now += WAY;
        if receiver.handle.is_some() {
            receiver.count(|end| {
                let connection = end.connection();
                while let Some(message) = connection.recv(*now, None) {
                    *messages += 1;
                    drop(message);
                }
            });
        }
        carry(*now, receiver, sender, &mut 0);
        *now += WAY;
    }

    /// Sends `count` messages and lets them arrive.
    fn send(&mut self, count: usize, len: usize, delivery: Delivery) {
        for _ in 0..count {
            let payload = vec![7; len];
            let now = self.now;
            self.sender.count(|end| {
                let sent = end.connection().send(now, Outgoing::new(1, delivery, payload));
                sent.expect("there is room");
            });
        }
        for _ in 0..4 {
            self.turn();
        }
    }
}

fn carry(now: Time, from: &mut End, to: &mut End, packets: &mut u64) {
    from.count(|end| end.endpoint.handle_timeout(now));
    loop {
        let mut train = None;
        from.count(|end| train = end.poll(now));
        let Some((segment, at)) = train else { return };
        if at != to.address {
            continue;
        }
        for datagram in from.buffer.chunks_mut(segment) {
            *packets += 1;
            let source = from.address;
            let datagram = Datagram::new(source, datagram);
            to.count(|end| _ = end.endpoint.handle_datagram(now + WAY, datagram));
        }
    }
}

/// The allocations allowed per message; packets allocate nothing.
struct Budget {
    /// The payload comes from the caller: only the record of acknowledged fragments.
    sender: u64,
    /// The payload given to the application, and its reassembly state.
    receiver: u64,
}

/// Sends many bursts of `count` messages and counts the second half.
fn assert_budget(max_mtu: usize, count: usize, len: usize, delivery: Delivery, each: &Budget) {
    const BURSTS: usize = 50;
    let mut pair = Pair::new(max_mtu);
    pair.dial();
    // The handshake, and MTU discovery.
    for _ in 0..8_000 {
        pair.turn();
    }
    for _ in 0..BURSTS {
        pair.send(count, len, delivery);
    }
    (pair.packets, pair.messages) = (0, 0);
    pair.sender.counted = AllocationInfo::default();
    pair.receiver.counted = AllocationInfo::default();
    for _ in 0..BURSTS {
        pair.send(count, len, delivery);
    }
    let (messages, packets) = (pair.messages, pair.packets);
    assert_eq!(messages, (BURSTS * count) as u64);
    let made = [pair.sender.counted.count_total, pair.receiver.counted.count_total];
    println!("{delivery:?}, {len} bytes, MTU {max_mtu}: {messages} in {packets} packets: {made:?}");
    let budget = [each.sender * messages, each.receiver * messages];
    assert_eq!(made, budget, "{delivery:?}, {len} bytes, MTU {max_mtu}");
    // Everything is freed when messages are done, and does not grow from round to round.
    assert!(pair.sender.counted.bytes_current <= 0, "the sender retains memory");
    assert!(pair.receiver.counted.bytes_current <= 0, "the receiver retains memory");
}

#[test]
fn small_messages_allocate_only_the_payloads_given_out() {
    let budget = Budget { sender: 0, receiver: 1 };
    for mtu in [1_452, 65_507] {
        for delivery in [Delivery::Ordered, Delivery::Reliable, Delivery::Unreliable] {
            // As many as the queue towards the application has capacity for.
            assert_budget(mtu, 60, 64, delivery, &budget);
        }
    }
}

#[test]
fn fragmented_messages_allocate_at_most_twice_per_message() {
    for mtu in [1_452, 65_507] {
        let budget = Budget { sender: 2, receiver: 2 };
        assert_budget(mtu, 16, 64 << 10, Delivery::Ordered, &budget);
        // Nothing is retransmitted, so nothing has to be recorded.
        let budget = Budget { sender: 0, receiver: 2 };
        assert_budget(mtu, 16, 64 << 10, Delivery::Unreliable, &budget);
    }
}

/// A chat with many members queues and sends a line to each of them, with a single copy of it.
#[test]
fn one_payload_is_sent_on_many_connections_without_a_copy() {
    const MEMBERS: usize = 20;
    const LINE: usize = 256 << 10;
    let mut host = End::new(server(), 2, address(2));
    let mut members = End::new(client(1_452), 1, address(1));
    let mut now = Time::from_micros(1_000_000);
    for _ in 0..MEMBERS {
        members.endpoint.connect(now, address(2), KeyPolicy::AnyKey).expect("the client connects");
    }
    for _ in 0..20 {
        carry(now, &mut members, &mut host, &mut 0);
        carry(now, &mut host, &mut members, &mut 0);
        now += WAY;
    }
    assert_eq!(host.handles.len(), MEMBERS);
    host.counted = AllocationInfo::default();
    let line = Bytes::from(vec![7; LINE]);
    host.count(|end| {
        for handle in end.handles.clone() {
            let connection = end.endpoint.connection(handle).expect("the connection exists");
            let sent = connection.send(now, Outgoing::new(1, Delivery::Ordered, line.clone()));
            sent.expect("there is room");
        }
    });
    carry(now, &mut host, &mut members, &mut 0);
    let most = host.counted.bytes_max;
    assert!(most < LINE as u64, "{most} bytes for {MEMBERS} times the same {LINE}");
}

/// Queues messages that are never sent, and returns the heap bytes that they hold and the bytes
/// that the queue counts.
fn held_by_queue(payloads: impl Iterator<Item = Bytes>) -> (i64, i64) {
    let mut pair = Pair::new(1_452);
    pair.dial();
    (0..8).for_each(|_| pair.turn());
    let now = pair.now;
    let mut counted = 0;
    let held = measure(|| {
        for payload in payloads {
            counted += payload.len() as i64 + 64;
            let sent =
                pair.sender.connection().send(now, Outgoing::new(1, Delivery::Ordered, payload));
            sent.expect("there is room");
        }
    });
    (held.bytes_current, counted)
}

#[test]
fn small_parts_of_large_buffers_keep_none_of_them() {
    for (len, at) in [(16, 0), (16, 40_000), (300, 65_236), (8_000, 10)] {
        let part = |_| Bytes::from(vec![7; 1 << 16]).slice(at..at + len);
        let (held, counted) = held_by_queue((0..2_000).map(part));
        assert!(held < 2 * counted, "{len} bytes at {at}: {held} bytes for {counted}");
    }
}

// Nobody can tell that a buffer with two payloads belongs to the queue alone: 1,024 messages may
// keep such buffers, and no more than that.
#[test]
fn several_small_parts_of_large_buffers_keep_a_bounded_number_of_them() {
    let parts = |_| {
        let buffer = Bytes::from(vec![7; 1 << 16]);
        [buffer.slice(..16), buffer.slice(30_000..30_016)]
    };
    let (held, counted) = held_by_queue((0..5_000).flat_map(parts));
    assert!(held < (512 << 16) + 2 * counted, "{held} bytes for {counted}");
}

/// Returns the resident memory of the process in KiB, if the system reports it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Returns the heap bytes per connection of a server with many idle connections. With `messages`,
/// each has carried some of every class before, in both directions, in one fragment and in several.
fn rested(messages: bool) -> i64 {
    // All 10,000 take 6 s in release, but 100 s without optimization (handshakes): use a tenth
    // there, which costs no less per connection.
    const CONNECTIONS: usize = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
    const TOGETHER: usize = 100;
    let mut receiver = End::new(server(), 2, address(2));
    let mut now = Time::from_micros(1_000_000);
    let before = resident();
    for batch in 0..CONNECTIONS / TOGETHER {
        let source = address(1_000 + batch as u16);
        let mut sender = End::new(client(1_452), 10 + batch as u64, source);
        for _ in 0..TOGETHER {
            let handle = sender.endpoint.connect(now, address(2), KeyPolicy::AnyKey);
            sender.handles.push(handle.expect("the client connects"));
        }
        // Until both sides have released their memory.
        for turn in 0..160 {
            if messages && (30..38).contains(&turn) && turn % 2 == 0 {
                sender.talk(now);
                receiver.count(|end| end.talk(now));
            }
            carry(now, &mut sender, &mut receiver, &mut 0);
            carry(now, &mut receiver, &mut sender, &mut 0);
            receiver.count(|end| end.listen(now));
            sender.listen(now);
            now += if turn < 30 { WAY } else { Duration::from_millis(40) };
        }
        assert!(!messages || sender.heard == 4 * 9 * TOGETHER);
        receiver.handles.clear();
    }
    assert_eq!(receiver.heard, if messages { 4 * 9 * CONNECTIONS } else { 0 });
    assert_eq!(receiver.endpoint.stats().half_open, 0);
    assert_eq!(receiver.endpoint.stats().connections, CONNECTIONS);
    let each = receiver.counted.bytes_current / CONNECTIONS as i64;
    let blocks = receiver.counted.count_current as f64 / CONNECTIONS as f64;
    println!("{each} bytes in {blocks:.1} blocks for each of {CONNECTIONS} connections");
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before) * 1_024 / CONNECTIONS as u64;
        println!("the process grew by {grown} bytes for each, aws-lc's contexts among them");
    }
    each
}

#[test]
fn an_idle_connection_holds_at_most_4_kib_of_heap() {
    let each = rested(false);
    assert!(each <= 4_096, "{each} bytes");
}

#[test]
fn a_used_connection_at_rest_holds_at_most_4_kib_of_heap() {
    let each = rested(true);
    assert!(each <= 4_096, "{each} bytes");
}
