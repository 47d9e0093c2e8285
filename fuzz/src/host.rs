//! A driver for an endpoint, controlled by a script.
//!
//! Panics on a busy loop, and when the endpoint sends an unsolicited packet.

use std::{collections::BTreeSet, net::SocketAddr};

use hikyaku_proto::{
    ConnectionHandle, Datagram, Ecn, Endpoint, EndpointConfig, Event, Output, time::Time,
};

use crate::dice::Dice;

/// The maximum number of outputs at one point in time: the largest window in small packets.
const MAX_OUTPUTS: usize = 100_000;
/// The maximum number of timers at one point in time.
const MAX_TIMERS: usize = 200;

/// An endpoint with its surroundings.
#[derive(Debug)]
pub struct Host {
    /// The endpoint; call [`Host::poll`] after using it.
    pub endpoint: Endpoint,
    /// Its address.
    pub address: SocketAddr,
    /// Datagrams sent, oldest first.
    pub sent: Vec<(SocketAddr, Vec<u8>)>,
    /// Events reported.
    pub events: Vec<(ConnectionHandle, Event)>,
    /// The next deadline.
    pub timer: Option<Time>,
    /// Addresses that may be sent to.
    known: BTreeSet<SocketAddr>,
    buffer: Vec<u8>,
    moment: Time,
    timers: usize,
}

impl Host {
    /// Creates an endpoint at an address.
    #[must_use]
    pub fn new(config: EndpointConfig, seed: u64, address: SocketAddr) -> Self {
        Self {
            endpoint: Endpoint::new(config, Box::new(Dice(seed))),
            address,
            sent: Vec::new(),
            events: Vec::new(),
            timer: None,
            known: BTreeSet::new(),
            buffer: Vec::new(),
            moment: Time::ZERO,
            timers: 0,
        }
    }

    /// Allows sending to this address.
    pub fn may_send_to(&mut self, address: SocketAddr) {
        self.known.insert(address);
    }

    /// Delivers a datagram.
    pub fn feed(&mut self, now: Time, from: SocketAddr, ecn: Option<Ecn>, datagram: &[u8]) {
        self.known.insert(from);
        self.endpoint
            .handle_datagram(now, Datagram { ecn, ..Datagram::new(from, &mut datagram.to_vec()) });
        self.poll(now);
    }

    /// Collects everything to send and report now.
    pub fn poll(&mut self, now: Time) {
        for _ in 0..MAX_OUTPUTS {
            match self.endpoint.poll_output(now, &mut self.buffer) {
                Output::Transmit(transmit) => {
                    let train = &self.buffer[..transmit.len];
                    assert!(!train.is_empty() && transmit.segment_size > 0, "an empty train");
                    assert!(self.known.contains(&transmit.to), "an unsolicited packet");
                    let datagrams = train.chunks(transmit.segment_size);
                    self.sent.extend(datagrams.map(|bytes| (transmit.to, bytes.to_vec())));
                }
                Output::Event(handle, event) => self.events.push((handle, event)),
                Output::Timeout(at) => {
                    self.timer = at.map(|(at, _)| at);
                    return;
                }
            }
        }
        panic!("poll_output never returns Timeout");
    }

    /// Advances to `now` and handles expired timers.
    pub fn on_timer(&mut self, now: Time) {
        if now > self.moment {
            (self.moment, self.timers) = (now, 0);
        }
        if self.timer.is_some_and(|at| at <= now) {
            self.timers += 1;
            assert!(self.timers < MAX_TIMERS, "a timer fires without end");
            self.endpoint.handle_timeout(now);
        }
        self.poll(now);
    }

    /// Stops all traffic, handles every remaining timer and returns the time of the last. Checks
    /// that every connection has ended and left nothing behind once its messages are taken.
    pub fn outlive(&mut self, mut now: Time, handles: &[ConnectionHandle]) -> Time {
        for _ in 0..10_000 {
            for handle in handles {
                if let Some(connection) = self.endpoint.connection(*handle) {
                    while connection.recv(now, None).is_some() {}
                }
            }
            self.poll(now);
            self.sent.clear();
            let Some(at) = self.timer else {
                let left = self.endpoint.stats().connections;
                assert_eq!(left, 0, "a connection without a timer is never dropped");
                return now;
            };
            now = now.max(at);
            self.on_timer(now);
        }
        panic!("a connection without traffic does not end");
    }
}
