//! Two endpoints joined by a function call, as lean as can be: what is measured is theirs.
//!
//! In: configurations. Out: packets moved. Never: an allocation of its own in the steady state.

use std::{net::SocketAddr, time::Duration};

use hikyaku_proto::{
    ChannelId, ConnectionHandle, Crypto, Delivery, Endpoint, EndpointConfig, Event, Output, Trust,
    rng::Random, time::Time,
};

/// Bytes that differ, which is all that is asked of them here.
struct Counter(u64);

impl Random for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            chunk.copy_from_slice(&(self.0 ^ (self.0 >> 29)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The two ends. Packets arrive at once; a round trip takes two steps of time.
pub(crate) struct Joined {
    pub(crate) now: Time,
    pub(crate) ends: [Endpoint; 2],
    addresses: [SocketAddr; 2],
    buffer: Vec<u8>,
    /// Datagrams moved, of each end.
    pub(crate) packets: [u64; 2],
    pub(crate) incoming: Vec<ConnectionHandle>,
    pub(crate) step: Duration,
}

impl Joined {
    /// Without tickets: what an endpoint remembers of sessions is its own, and bounded.
    pub(crate) fn new(max_mtu: usize) -> Self {
        let addresses = [([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into()];
        let mut client = EndpointConfig::client(Crypto::new(&[1; 32]).without_resumption());
        let mut server =
            EndpointConfig::server(Crypto::new(&[2; 32]).without_resumption(), addresses[1]);
        for config in [&mut client, &mut server] {
            config.transport.max_mtu = max_mtu;
            config.transport.idle_timeout = None;
        }
        Self {
            now: Time::from_micros(1_000_000),
            ends: [
                Endpoint::new(client, Box::new(Counter(1))),
                Endpoint::new(server, Box::new(Counter(2))),
            ],
            addresses,
            buffer: Vec::with_capacity(1 << 17),
            packets: [0; 2],
            incoming: Vec::new(),
            step: Duration::from_micros(100),
        }
    }

    pub(crate) fn connect(&mut self) -> ConnectionHandle {
        let to = self.addresses[1];
        self.ends[0].connect(self.now, to, Trust::AnyKey).expect("there is room")
    }

    /// All that one end has to say now is said to the other.
    pub(crate) fn pump(&mut self, from: usize) {
        let [client, server] = &mut self.ends;
        let (end, other) = if from == 0 { (client, server) } else { (server, client) };
        loop {
            match end.poll_output(self.now, &mut self.buffer) {
                Output::Transmit(transmit) => {
                    for datagram in self.buffer.chunks_mut(transmit.segment_size) {
                        self.packets[from] += 1;
                        let source = self.addresses[from];
                        other.handle_datagram(self.now, source, transmit.ecn, datagram);
                    }
                }
                Output::Event(handle, Event::Incoming) => self.incoming.push(handle),
                Output::Event(..) => {}
                Output::Timeout(_) => return,
            }
        }
    }

    /// One step of time, both ways.
    pub(crate) fn turn(&mut self) {
        self.now += self.step;
        for end in 0..2 {
            self.ends[end].handle_timeout(self.now);
            self.pump(end);
        }
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            self.turn();
        }
    }

    /// Sends until the queue is full.
    pub(crate) fn fill(&mut self, client: ConnectionHandle, delivery: Delivery, payload: &[u8]) {
        let now = self.now;
        let Some(connection) = self.ends[0].connection(client) else { return };
        while connection.stats().queued_bytes < 4 << 20
            && connection.send(now, ChannelId(0), delivery, payload.to_vec()).is_ok()
        {}
    }

    /// Takes what has arrived; how many messages it was.
    pub(crate) fn drain(&mut self, server: ConnectionHandle) -> u64 {
        let now = self.now;
        let Some(connection) = self.ends[1].connection(server) else { return 0 };
        let mut taken = 0;
        while connection.recv(now).is_some() {
            taken += 1;
        }
        taken
    }
}
