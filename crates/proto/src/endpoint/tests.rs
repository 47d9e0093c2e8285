//! A connection that panics, and those beside it; an endpoint that is late.

use std::{net::SocketAddr, time::Duration};

use super::*;
use crate::{ClosedReason, Crypto, Delivery, Event, Outgoing};

const MS: Duration = Duration::from_millis(1);

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

const SERVER: u16 = 9;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

type Events = Vec<(ConnectionHandle, Event)>;

/// An endpoint, and what it reported.
struct End {
    endpoint: Endpoint,
    address: SocketAddr,
    events: Events,
}

impl End {
    fn new(config: EndpointConfig, port: u16) -> Self {
        let endpoint = Endpoint::new(config, Box::new(Dice(port.into())));
        Self { endpoint, address: address(port), events: Vec::new() }
    }

    /// Returns everything that is due, with its destination.
    fn poll(&mut self, now: Time) -> Vec<(SocketAddr, Vec<u8>)> {
        let (mut buffer, mut sent) = (Vec::new(), Vec::new());
        loop {
            match self.endpoint.poll_output(now, &mut buffer) {
                Output::Event(handle, event) => self.events.push((handle, event)),
                Output::Timeout(_) => return sent,
                Output::Transmit(transmit) => {
                    let datagrams = buffer[..transmit.len].chunks(transmit.segment_size);
                    sent.extend(datagrams.map(|bytes| (transmit.to, bytes.to_vec())));
                }
            }
        }
    }

    fn send(&mut self, now: Time, handle: ConnectionHandle, payload: &[u8]) {
        let message = Outgoing::new(0, Delivery::Ordered, payload.to_vec());
        self.endpoint.connection(handle).unwrap().send(now, message).unwrap();
    }

    fn recv(&mut self, now: Time, handle: ConnectionHandle) -> Option<Vec<u8>> {
        let message = self.endpoint.connection(handle)?.recv(now, None);
        message.map(|message| message.payload.into())
    }
}

/// A server and its clients, in virtual time.
struct Net {
    now: Time,
    server: End,
    clients: Vec<End>,
    /// Each client's handle of its connection, and the server's.
    handles: Vec<(ConnectionHandle, ConnectionHandle)>,
}

impl Net {
    fn new() -> Self {
        let mut config = EndpointConfig::server(Crypto::new(&[9; 32]), address(SERVER));
        // Every byte that is held is charged to the budget of all connections.
        config.held_each = 0;
        Self {
            now: Time::from_micros(1_000_000),
            server: End::new(config, SERVER),
            clients: Vec::new(),
            handles: Vec::new(),
        }
    }

    /// Two established connections: one that is to panic, and another.
    fn with_two() -> Self {
        let mut net = Self::new();
        for port in [1, 2] {
            let client = net.dial(port);
            net.run(100);
            let incoming = net.server.events.iter().rfind(|(_, event)| *event == Event::Incoming);
            net.handles.push((client, incoming.unwrap().0));
        }
        net
    }

    fn dial(&mut self, port: u16) -> ConnectionHandle {
        let config = EndpointConfig::client(Crypto::new(&[port as u8; 32]));
        let mut client = End::new(config, port);
        let dialed = client.endpoint.connect(self.now, address(SERVER), KeyPolicy::AnyKey);
        self.clients.push(client);
        dialed.unwrap()
    }

    /// Delivers what the clients have to send.
    fn clients_to_server(&mut self) {
        for client in &mut self.clients {
            client.endpoint.handle_timeout(self.now);
            for (_, mut bytes) in client.poll(self.now) {
                let datagram = Datagram::new(client.address, &mut bytes);
                self.server.endpoint.handle_datagram(self.now, datagram);
            }
        }
    }

    /// Lets so many milliseconds pass.
    fn run(&mut self, millis: u32) {
        for _ in 0..millis {
            self.clients_to_server();
            self.server.endpoint.handle_timeout(self.now);
            for (to, mut bytes) in self.server.poll(self.now) {
                let client = self.clients.iter_mut().find(|client| client.address == to);
                let datagram = Datagram::new(address(SERVER), &mut bytes);
                client.unwrap().endpoint.handle_datagram(self.now, datagram);
            }
            self.now += MS;
        }
    }

    /// Asserts that the first connection ended by a fault and left nothing, and that the other
    /// one is as it was.
    fn check_that_one_ended(&mut self) {
        let [(first, faulty), (second, other)] = self.handles[..] else { panic!("two are open") };
        self.server.poll(self.now);
        let closed: Vec<_> = self
            .server
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Closed(_)))
            .collect();
        assert_eq!(closed, [&(faulty, Event::Closed(ClosedReason::Fault))]);
        let server = &self.server.endpoint;
        assert!(server.peek(faulty).is_none() && server.peek(other).is_some());
        assert_eq!((server.connections(), server.stats().faults), (1, 1));
        assert_eq!(server.rules.budget.taken(), 0, "its charges are released");
        assert!(!server.routes.values().any(|handle| *handle == faulty));
        assert!(!server.timers.iter().any(|(_, handle)| *handle == faulty));
        // Its peer notices when it sends something.
        self.clients[0].send(self.now, first, b"anybody there?");
        self.clients[1].send(self.now, second, b"ping");
        self.run(20);
        assert_eq!(self.server.recv(self.now, other).as_deref(), Some(&b"ping"[..]));
        self.server.send(self.now, other, b"pong");
        self.run(20);
        assert_eq!(self.clients[1].recv(self.now, second).as_deref(), Some(&b"pong"[..]));
        let reset = Event::Closed(ClosedReason::Reset);
        assert!(self.clients[0].events.contains(&(first, reset)), "{:?}", self.clients[0].events);
    }
}

#[test]
fn a_panic_while_a_packet_is_received_ends_one_connection() {
    let mut net = Net::with_two();
    let (client, faulty) = net.handles[0];
    net.clients[0].send(net.now, client, &[0; 5_000]);
    net.run(20);
    assert!(net.server.endpoint.rules.budget.taken() >= 5_000, "it holds an unread message");
    net.server.endpoint.faults.next = Some(faulty);
    net.clients[0].send(net.now, client, b"a packet that panics");
    net.clients_to_server();
    net.check_that_one_ended();
}

#[test]
fn a_panic_while_a_packet_is_made_ends_one_connection() {
    let mut net = Net::with_two();
    let (_, faulty) = net.handles[0];
    net.server.endpoint.faults.next = Some(faulty);
    net.server.send(net.now, faulty, b"a packet that is never made");
    assert_eq!(net.server.poll(net.now), []);
    net.check_that_one_ended();
}

#[test]
fn a_panic_at_a_deadline_ends_one_connection() {
    let mut net = Net::with_two();
    let (_, faulty) = net.handles[0];
    net.server.send(net.now, faulty, b"lost on its way");
    net.server.poll(net.now);
    let &(probe, handle) = net.server.endpoint.timers.first().unwrap();
    assert_eq!(handle, faulty);
    net.now = probe;
    net.server.endpoint.faults.next = Some(faulty);
    net.server.endpoint.handle_timeout(net.now);
    net.check_that_one_ended();
}

#[test]
fn a_panic_over_a_first_packet_keeps_no_half_open_slot_and_is_not_reported() {
    let mut net = Net::new();
    net.server.endpoint.faults.next = Some(ConnectionHandle(0));
    let client = net.dial(1);
    // The first of several: the others arrive late, and may open a connection of their own.
    let (_, mut first) = net.clients[0].poll(net.now).swap_remove(0);
    net.server.endpoint.handle_datagram(net.now, Datagram::new(address(1), &mut first));
    let server = &net.server.endpoint;
    assert_eq!((server.connections(), server.half_open(), server.faults()), (0, 0, 1));
    // The client tries again.
    net.run(2_000);
    assert!(net.clients[0].endpoint.peek(client).unwrap().is_established());
    let closed = net.server.events.iter().any(|(_, event)| matches!(event, Event::Closed(_)));
    assert!(!closed && net.server.endpoint.connections() == 1);
}

#[test]
fn only_an_endpoint_that_accepts_clients_asks_for_losses_when_it_is_late() {
    let crypto = || Crypto::new(&[1; 32]);
    let server = EndpointConfig::server(crypto(), address(SERVER));
    for (config, asks) in [(server, true), (EndpointConfig::client(crypto()), false)] {
        let mut end = End::new(config, SERVER);
        let late = Duration::from_secs(1);
        let mut asked = false;
        for second in 1..10 {
            asked |= end.endpoint.note_backlog(Time::from_micros(second * 1_000_000), late, 1);
        }
        assert_eq!(asked, asks);
    }
}
