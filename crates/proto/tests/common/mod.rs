//! Two endpoints joined by a function call, in virtual time.

#![allow(clippy::allow_attributes, reason = "not every file leaves the same unused")]
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use hikyaku_proto::{
    Class, ConnectionHandle, Crypto, Datagram, Delivery, Endpoint, EndpointConfig, Event,
    KeyPolicy, Message, Outgoing, Output, ReceiptId, rng::Random, time::Time,
};

/// splitmix64 (Steele, Lea and Flood 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Random for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

/// A datagram in transit.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) source: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    /// The number of the datagram in its direction.
    pub(crate) index: usize,
}

type Rule = Box<dyn FnMut(&mut Packet) -> bool>;

/// Two endpoints and the link between them.
pub(crate) struct Pair {
    pub(crate) now: Time,
    pub(crate) ends: [Endpoint; 2],
    pub(crate) configs: [EndpointConfig; 2],
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) delay: Duration,
    /// May change a datagram; returns `true` to deliver it, `false` to lose it.
    pub(crate) rule: Rule,
    pub(crate) sent: [usize; 2],
    pub(crate) sent_bytes: [usize; 2],
    pub(crate) events: [Vec<(ConnectionHandle, Event)>; 2],
    pub(crate) largest: usize,
    line: BTreeMap<(Time, u64), Packet>,
    counter: u64,
    buffer: Vec<u8>,
}

pub(crate) fn address(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], port))
}

pub(crate) fn client_config() -> EndpointConfig {
    EndpointConfig::client(Crypto::new(&[1; 32]))
}

pub(crate) fn server_config() -> EndpointConfig {
    EndpointConfig::server(Crypto::new(&[2; 32]), address(2, 2_000))
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(client_config(), server_config())
    }

    pub(crate) fn with(client: EndpointConfig, server: EndpointConfig) -> Self {
        let configs = [client, server];
        let ends = [
            Endpoint::new(configs[0].clone(), Box::new(Dice(1))),
            Endpoint::new(configs[1].clone(), Box::new(Dice(2))),
        ];
        Self {
            now: Time::from_micros(1_000_000),
            ends,
            configs,
            addresses: [address(1, 1_000), address(2, 2_000)],
            delay: Duration::from_millis(10),
            rule: Box::new(|_| true),
            sent: [0; 2],
            sent_bytes: [0; 2],
            events: [Vec::new(), Vec::new()],
            largest: 0,
            line: BTreeMap::new(),
            counter: 0,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn restart(&mut self, end: usize) {
        self.ends[end] = Endpoint::new(self.configs[end].clone(), Box::new(Dice(99)));
    }

    pub(crate) fn connect(&mut self) -> ConnectionHandle {
        let (now, to) = (self.now, self.addresses[SERVER]);
        self.ends[CLIENT].connect(now, to, KeyPolicy::AnyKey).expect("the client connects")
    }

    /// Connects, and runs until both are established.
    pub(crate) fn established() -> (Self, ConnectionHandle, ConnectionHandle) {
        let mut pair = Self::new();
        let (client, server) = pair.establish();
        (pair, client, server)
    }

    pub(crate) fn establish(&mut self) -> (ConnectionHandle, ConnectionHandle) {
        let client = self.connect();
        self.run(Duration::from_millis(200));
        let server = self.incoming().expect("the server has a connection");
        assert!(
            self.ends[CLIENT].connection(client).expect("the connection exists").is_established()
        );
        assert!(
            self.ends[SERVER].connection(server).expect("the connection exists").is_established()
        );
        (client, server)
    }

    pub(crate) fn incoming(&self) -> Option<ConnectionHandle> {
        let mut incoming = self.events[SERVER].iter().rev();
        incoming.find(|(_, event)| *event == Event::Incoming).map(|(handle, _)| *handle)
    }

    /// Sends everything due and collects the events. Returns the next deadline.
    fn poll(&mut self, end: usize) -> Option<Time> {
        for _ in 0..100_000 {
            match self.ends[end].poll_output(self.now, &mut self.buffer) {
                Output::Transmit(transmit) => {
                    self.buffer.truncate(transmit.len);
                    assert!(!self.buffer.is_empty() && transmit.segment_size > 0);
                    for bytes in self.buffer.chunks(transmit.segment_size) {
                        let (index, source) = (self.sent[end], self.addresses[end]);
                        let bytes = bytes.to_vec();
                        self.largest = self.largest.max(bytes.len());
                        self.sent[end] += 1;
                        self.sent_bytes[end] += bytes.len();
                        let mut packet = Packet { from: end, source, bytes, index };
                        if transmit.to != self.addresses[1 - end] || !(self.rule)(&mut packet) {
                            continue;
                        }
                        self.counter += 1;
                        self.line.insert((self.now + self.delay, self.counter), packet);
                    }
                }
                Output::Event(handle, event) => self.events[end].push((handle, event)),
                Output::Timeout(at) => {
                    // If it were contained, a panic would look like a connection that ended.
                    assert_eq!(self.ends[end].faults(), 0, "a connection panicked");
                    return at.map(|(at, _)| at);
                }
            }
        }
        panic!("poll_output never returns Timeout");
    }

    /// Delivers a datagram that is not on the link.
    pub(crate) fn inject(&mut self, to: usize, source: SocketAddr, mut bytes: Vec<u8>) {
        self.ends[to].handle_datagram(self.now, Datagram::new(source, &mut bytes));
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let until = self.now + span;
        let mut rings = 0;
        loop {
            let alarms = [self.poll(CLIENT), self.poll(SERVER)];
            let arrival = self.line.keys().next().map(|(at, _)| *at);
            let next = alarms.into_iter().chain([arrival]).flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            rings = if next > self.now { 0 } else { rings + 1 };
            assert!(rings < 1_000, "the timers never advance");
            self.now = self.now.max(next);
            while let Some(entry) = self.line.first_entry()
                && entry.key().0 <= self.now
            {
                let mut packet = entry.remove();
                let to = 1 - packet.from;
                self.ends[to]
                    .handle_datagram(self.now, Datagram::new(packet.source, &mut packet.bytes));
            }
            for end in [CLIENT, SERVER] {
                self.ends[end].handle_timeout(self.now);
            }
        }
    }

    pub(crate) fn send(
        &mut self,
        end: usize,
        handle: ConnectionHandle,
        delivery: Delivery,
        payload: &[u8],
    ) -> ReceiptId {
        let now = self.now;
        let connection = self.ends[end].connection(handle).expect("the connection exists");
        connection
            .send(now, Outgoing::new(7, delivery, payload.to_vec()))
            .expect("the message is accepted")
    }

    pub(crate) fn recv(&mut self, end: usize, handle: ConnectionHandle) -> Vec<Message> {
        let now = self.now;
        let Some(connection) = self.ends[end].connection(handle) else { return Vec::new() };
        std::iter::from_fn(|| connection.recv(now, None)).collect()
    }

    pub(crate) fn payloads(&mut self, end: usize, handle: ConnectionHandle) -> Vec<Vec<u8>> {
        self.recv(end, handle).into_iter().map(|message| message.payload.into()).collect()
    }

    pub(crate) fn has_event(&self, end: usize, wanted: &Event) -> bool {
        self.events[end].iter().any(|(_, event)| event == wanted)
    }
}

pub(crate) const ALL: [Delivery; 5] = [
    Delivery::Ordered,
    Delivery::Reliable,
    Delivery::Latest,
    Delivery::Unreliable,
    Delivery::Deadline(Duration::from_secs(2)),
];

pub(crate) fn class_of(message: &Message) -> Class {
    message.class
}
