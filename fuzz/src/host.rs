//! What a socket, a clock and a loop are to an endpoint, driven by a script.
//!
//! In: an endpoint, datagrams, time. Out: datagrams, events; a panic when it spins, or sends to
//! who never sent. Never: a socket, a clock.

use std::{collections::BTreeSet, net::SocketAddr};

use hikyaku_proto::{
    ConnectionHandle, Datagram, Ecn, Endpoint, EndpointConfig, Event, Output, time::Time,
};

use crate::dice::Dice;

/// Outputs at one point in time, at most: the largest window there can be, in small packets.
const MAX_OUTPUTS: usize = 100_000;
/// Alarms at one point in time, at most.
const MAX_ALARMS: usize = 200;

/// An endpoint and what is around it.
#[derive(Debug)]
pub struct Host {
    /// The endpoint itself; [`Host::poll`] after calls.
    pub endpoint: Endpoint,
    /// Where it is.
    pub address: SocketAddr,
    /// What it sent, oldest first.
    pub sent: Vec<(SocketAddr, Vec<u8>)>,
    /// What it told.
    pub events: Vec<(ConnectionHandle, Event)>,
    /// Its next alarm.
    pub alarm: Option<Time>,
    /// Who may be sent something.
    known: BTreeSet<SocketAddr>,
    buffer: Vec<u8>,
    moment: Time,
    alarms: usize,
}

impl Host {
    /// A new endpoint at an address.
    #[must_use]
    pub fn new(config: EndpointConfig, seed: u64, address: SocketAddr) -> Self {
        Self {
            endpoint: Endpoint::new(config, Box::new(Dice(seed))),
            address,
            sent: Vec::new(),
            events: Vec::new(),
            alarm: None,
            known: BTreeSet::new(),
            buffer: Vec::new(),
            moment: Time::ZERO,
            alarms: 0,
        }
    }

    /// It may send to this address.
    pub fn may_send_to(&mut self, address: SocketAddr) {
        self.known.insert(address);
    }

    /// A datagram came.
    pub fn feed(&mut self, now: Time, from: SocketAddr, ecn: Option<Ecn>, datagram: &[u8]) {
        self.known.insert(from);
        self.endpoint
            .handle_datagram(now, Datagram { ecn, ..Datagram::new(from, &mut datagram.to_vec()) });
        self.poll(now);
    }

    /// Takes all that it has to send and to tell now.
    pub fn poll(&mut self, now: Time) {
        for _ in 0..MAX_OUTPUTS {
            match self.endpoint.poll_output(now, &mut self.buffer) {
                Output::Transmit(transmit) => {
                    let train = &self.buffer[..transmit.len];
                    assert!(!train.is_empty() && transmit.segment_size > 0, "an empty train");
                    assert!(self.known.contains(&transmit.to), "sends to who never sent");
                    let datagrams = train.chunks(transmit.segment_size);
                    self.sent.extend(datagrams.map(|bytes| (transmit.to, bytes.to_vec())));
                }
                Output::Event(handle, event) => self.events.push((handle, event)),
                Output::Timeout(at) => {
                    self.alarm = at.map(|(at, _)| at);
                    return;
                }
            }
        }
        panic!("poll_output does not come to an end");
    }

    /// It is `now`: what was due before rings.
    pub fn ring(&mut self, now: Time) {
        if now > self.moment {
            (self.moment, self.alarms) = (now, 0);
        }
        if self.alarm.is_some_and(|at| at <= now) {
            self.alarms += 1;
            assert!(self.alarms < MAX_ALARMS, "an alarm rings without end");
            self.endpoint.handle_timeout(now);
        }
        self.poll(now);
    }

    /// Nothing comes any more: rings every alarm until the last, and gives the time of that. Every
    /// connection has ended then, and nothing of it is left, its messages taken.
    pub fn outlive(&mut self, mut now: Time, handles: &[ConnectionHandle]) -> Time {
        for _ in 0..10_000 {
            for handle in handles {
                if let Some(connection) = self.endpoint.connection(*handle) {
                    while connection.recv(now, None).is_some() {}
                }
            }
            self.poll(now);
            self.sent.clear();
            let Some(at) = self.alarm else {
                let left = self.endpoint.stats().connections;
                assert_eq!(left, 0, "a connection without an alarm is kept for ever");
                return now;
            };
            now = now.max(at);
            self.ring(now);
        }
        panic!("a connection of which nobody hears does not end");
    }
}
