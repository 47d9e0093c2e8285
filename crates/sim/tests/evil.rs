//! Bounds on the cost of an authenticated peer's frames, in time and memory, by kind and class.
//!
//! `cargo test --release -p hikyaku-sim --test evil -- --nocapture` prints the figures of each
//! stream; SECURITY.md summarises them.

#![expect(clippy::print_stdout, reason = "the figures are for people")]

use std::{net::SocketAddr, time::Duration};

use allocation_counter::measure;
use hikyaku_sim::{
    api::{ConnectionHandle, Datagram, Endpoint, EndpointConfig, Event, Output, Time, crypto},
    evil::{
        Dialler, Evil,
        frames::{Stream, all, honest},
    },
    rng::Rng,
};

/// Packets of a stream in the first run; the second has four times as many.
const PACKETS: usize = if cfg!(debug_assertions) { 64 } else { 400 };

/// The maximum number of bytes of frames in a packet.
const ROOM: usize = 1_170;

/// Packets that arrive at once.
const BATCH: usize = 16;

/// The interval between batches.
const STEP: Duration = Duration::from_millis(2);

/// What an endpoint may hold per connection, and beyond that in total (D-13).
const HELD: (u64, u64) = (256 << 10, 1 << 20);

/// How much more than honest bytes a stream may cost, per nanosecond charged. Up to 8 was measured.
const UNDERCHARGED: f64 = 20.0;

/// How much more four times as many packets may cost. A linear cost is 4.
const GROWTH: f64 = 8.0;

/// How much more than honest bytes a stream's bytes may cost. Up to 70 was measured.
const PRICE: f64 = 1_000.0;

/// How often a stream is measured before its cost is believed.
const TRIES: usize = 5;

/// The maximum memory for that, as in SECURITY.md. The remainder is for packets in flight, and
/// lists that keep their capacity.
const MOST: i64 = 3 * (HELD.0 + HELD.1) as i64 + (512 << 10);

/// A listener, an evil peer, and the time.
struct World {
    now: Time,
    listener: Endpoint,
    handle: ConnectionHandle,
    evil: Evil,
    /// Whether its application takes messages.
    reads: bool,
    closed: bool,
    frames: u64,
    buffer: Vec<u8>,
    /// The headers of the listener's packets.
    heard: Vec<[u8; 16]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// Processor time.
    time: Duration,
    /// Peak memory.
    memory: i64,
    /// What the endpoint charges for it.
    charged: Duration,
    /// Bytes received.
    bytes: usize,
}

impl Cost {
    fn nanos(self) -> f64 {
        self.time.as_nanos() as f64 / self.bytes as f64
    }

    /// Charged for each byte.
    fn charge(self) -> f64 {
        self.charged.as_nanos() as f64 / self.bytes as f64
    }

    /// Time for each nanosecond charged.
    fn undercharged(self) -> f64 {
        self.time.div_duration_f64(self.charged)
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 1_000))
}

/// Returns the processor time of this thread, which excludes other load on the machine.
fn processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl World {
    fn new(reads: bool) -> Self {
        let mut now = Time::from_micros(1_000_000);
        let config = EndpointConfig {
            held_each: HELD.0,
            held_together: HELD.1,
            ..EndpointConfig::server(crypto([2; 32], None), address(2))
        };
        let mut listener = Endpoint::new(config, Box::new(Rng::new(2)));
        let mut dialler = Dialler::new(now, address(2), 1).expect("the client connects");
        let (mut handle, mut buffer) = (None, Vec::new());
        for _ in 0..100 {
            now += STEP;
            for mut datagram in dialler.poll(now) {
                listener.handle_datagram(now, Datagram::new(address(1), &mut datagram));
            }
            listener.handle_timeout(now);
            loop {
                match listener.poll_output(now, &mut buffer) {
                    Output::Transmit(transmit) => {
                        for datagram in buffer[..transmit.len].chunks(transmit.segment_size) {
                            let evil =
                                dialler.handle_datagram(now, datagram).expect("the packet opens");
                            if let (Some(evil), Some(handle)) = (evil, handle) {
                                let (closed, frames, heard) = (false, 0, Vec::new());
                                return Self {
                                    now,
                                    listener,
                                    handle,
                                    evil,
                                    reads,
                                    closed,
                                    frames,
                                    buffer,
                                    heard,
                                };
                            }
                        }
                    }
                    Output::Event(connection, Event::Incoming) => handle = Some(connection),
                    Output::Event(..) => {}
                    Output::Timeout(_) => break,
                }
            }
        }
        panic!("the handshake does not complete");
    }

    /// Receives this many packets of a stream, or as many as the connection survives.
    fn receive(&mut self, stream: &Stream, packets: usize) -> Cost {
        let (mut cost, mut held) = (Cost::default(), 0);
        let before = self.listener.stats().work;
        for _ in 0..packets / BATCH {
            let mut batch: Vec<Vec<u8>> = (0..BATCH)
                .map(|_| {
                    let frames = stream.fill(&mut self.frames, ROOM, &self.evil);
                    self.evil.seal(&frames)
                })
                .collect();
            cost.bytes += batch.iter().map(Vec::len).sum::<usize>();
            self.heard.clear();
            self.heard.reserve(1_024);
            self.now += STEP;
            let began = processor();
            held += measure(|| self.turn(&mut batch)).bytes_current;
            cost.time += processor().saturating_sub(began);
            cost.memory = cost.memory.max(held);
            self.heard.iter().for_each(|head| self.evil.handle_datagram(head));
            if self.closed {
                break;
            }
        }
        cost.charged = self.listener.stats().work - before;
        cost
    }

    /// Acts as the driver.
    fn turn(&mut self, batch: &mut [Vec<u8>]) {
        for datagram in batch {
            self.listener.handle_datagram(self.now, Datagram::new(address(1), datagram));
        }
        self.listener.handle_timeout(self.now);
        loop {
            match self.listener.poll_output(self.now, &mut self.buffer) {
                Output::Transmit(transmit) => {
                    let sent = self.buffer[..transmit.len].chunks(transmit.segment_size);
                    let heads = sent.filter_map(|packet| packet.first_chunk().copied());
                    let room = self.heard.capacity() - self.heard.len();
                    self.heard.extend(heads.take(room));
                }
                Output::Event(_, Event::Readable) if self.reads => {
                    let connection = self.listener.connection(self.handle);
                    if let Some(connection) = connection {
                        while connection.recv(self.now, None).is_some() {}
                    }
                }
                Output::Event(_, Event::Closed(_)) => self.closed = true,
                Output::Event(..) => {}
                Output::Timeout(_) => return,
            }
        }
    }
}

fn cost(stream: &Stream, packets: usize, reads: bool) -> (Cost, bool) {
    let mut world = World::new(reads);
    // So that there is something to acknowledge from the first packet on.
    let pings = all().into_iter().find(|stream| stream.title() == "PING, one per packet");
    world.receive(&pings.expect("the stream exists"), 8 * BATCH);
    world.frames = 0;
    let cost = world.receive(stream, packets);
    (cost, world.closed)
}

// D-13, D-14
#[test]
fn frames_have_constant_cost_and_bounded_memory() {
    println!("{:46} {:>9} {:>9} {:>9} {:>8}", "frames", "ns/byte", "charged", "B/byte", "most KiB");
    let (base, _) = cost(&honest(), 4 * PACKETS, true);
    println!("{:46} {:>9.2} {:>9.2}", "an honest sender's", base.nanos(), base.charge());
    for stream in all() {
        for reads in [true, false] {
            let name = format!("{}{}", stream.title(), if reads { "" } else { ", not taken" });
            let (mut growth, mut price, mut uncharged) = (f64::MAX, f64::MAX, f64::MAX);
            let (mut worst, mut ended) = (Cost::default(), false);
            // Other load on the machine evicts caches; a real cost shows each time.
            for _ in 0..TRIES {
                let (few, early) = cost(&stream, PACKETS, reads);
                let (many, closed) = cost(&stream, 4 * PACKETS, reads);
                assert!(many.memory <= MOST, "{name}: {} bytes of memory", many.memory);
                (worst, ended) = (many, closed);
                // A stream that ends within the first run has no time to grow.
                let floor = Duration::from_millis(if early { 1_000 } else { 20 });
                growth = growth.min(many.time.max(floor).div_duration_f64(few.time.max(floor / 4)));
                price = price.min(many.nanos() / base.nanos());
                // A connection that ends is charged for its packets, and its end costs once: over a
                // few packets the ratio means nothing. It also means nothing if nothing is charged:
                // packets for an id that a connection gave up belong to no connection.
                let shared = !closed && many.charge() >= 1.0;
                uncharged = uncharged.min(if shared {
                    many.undercharged() / base.undercharged()
                } else {
                    0.0
                });
                if growth <= GROWTH && price <= PRICE && uncharged <= UNDERCHARGED {
                    break;
                }
            }
            println!(
                "{name:46} {:9.1} {:9.1} {:9.2} {:8}{}",
                worst.nanos(),
                worst.charge(),
                worst.memory as f64 / worst.bytes as f64,
                worst.memory >> 10,
                if ended { "  closed" } else { "" },
            );
            assert!(
                growth <= GROWTH,
                "{name}: four times as many packets cost {growth} times as much"
            );
            assert!(price <= PRICE, "{name}: {price} times what honest bytes cost");
            // M-67: a connection's share is of what is charged.
            assert!(uncharged <= UNDERCHARGED, "{name}: cheaper than honest bytes by {uncharged}");
        }
    }
}

// M-66
#[test]
fn a_peer_that_acknowledges_nothing_is_closed_after_two_idle_timeouts() {
    let mut world = World::new(true);
    let began = world.now;
    let stream = all().into_iter().find(|stream| stream.title() == "CHALLENGE").unwrap();
    let mut held = 0;
    while !world.closed {
        let frames = stream.fill(&mut world.frames, 100, &world.evil);
        let mut batch = [world.evil.seal(&frames)];
        world.now += Duration::from_millis(5);
        held += measure(|| world.turn(&mut batch)).bytes_current;
        assert!(held <= 512 << 10, "{held} bytes");
        assert!(world.now.since(began) < Duration::from_secs(70), "the connection is never closed");
        world.heard.clear();
        world.heard.reserve(64);
    }
    assert!(world.now.since(began) >= Duration::from_secs(60), "an honest peer might be closed");
}
