//! The DTLS front end for the fuzzers: both sides as values, without a socket.
//!
//! In: datagrams, time. Out: datagrams, payloads. Never: part of a build without `--cfg fuzzing`.

use std::{
    net::SocketAddr,
    time::{Instant, SystemTime},
};

use super::{Association, ClientConfig, Ended, Event, Hub, ServerConfig};
use crate::limits::{MAX_DTLS_NOTICES, MAX_DTLS_PEERS, MAX_UNVERIFIED_PEERS};

/// A listener's side.
#[derive(Debug)]
pub struct Server(Hub);

impl Server {
    /// Without peers.
    #[must_use]
    pub fn new(config: ServerConfig) -> Self {
        Self(Hub::new(config))
    }

    /// A datagram came.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        (now, wall): (Instant, SystemTime),
    ) {
        self.0.handle_datagram(datagram, from.into(), wall, now);
        let (peers, unverified) = (self.0.len(), self.0.unverified());
        assert!(peers <= MAX_DTLS_PEERS && unverified <= MAX_UNVERIFIED_PEERS, "too many peers");
    }

    /// The time of [`Self::deadline`] has come.
    pub fn handle_timeout(&mut self, (now, wall): (Instant, SystemTime)) {
        self.0.handle_timeout(now, wall);
    }

    /// When to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    /// Seals a payload; says whether there is an association for it.
    pub fn send(&mut self, payload: &[u8], to: SocketAddr, at: (Instant, SystemTime)) -> bool {
        self.0.send(payload, to, at.0, at.1).is_ok()
    }

    /// Says goodbye to everyone.
    pub fn close(&mut self, wall: SystemTime) {
        self.0.close(wall);
    }

    /// A datagram to send.
    pub fn poll_output(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        self.0.poll_output().map(|(datagram, to)| (datagram, to.peer))
    }

    /// A payload that came through an association.
    pub fn poll_arrived(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        let told = std::iter::from_fn(|| self.0.poll_notice()).count();
        assert!(told <= MAX_DTLS_NOTICES, "too many notices");
        self.0.poll_arrived().map(|arrived| (arrived.payload, arrived.from))
    }

    /// Addresses of which something is kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A client's side.
#[derive(Debug)]
pub struct Client(Association);

impl Client {
    /// It has its first datagram to send.
    #[must_use]
    pub fn new(config: &ClientConfig, now: Instant) -> Self {
        Self(Association::client(config, now))
    }

    /// A datagram came.
    pub fn handle_datagram(&mut self, datagram: &[u8], (now, wall): (Instant, SystemTime)) {
        self.0.handle_datagram(datagram, now, wall);
    }

    /// The time of [`Self::deadline`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    /// When to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    /// Seals a payload; says whether there is an association.
    pub fn send(&mut self, payload: &[u8], now: Instant) -> bool {
        self.0.send(payload, now).is_ok()
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        self.0.close(Ended::Closed);
    }

    /// A datagram to send.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.0.poll_output()
    }

    /// A payload that came.
    pub fn poll_arrived(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.0.poll_event()? {
                Event::Message(payload) => return Some(payload),
                Event::Ended(_) => assert!(self.0.has_ended(), "ended, and goes on"),
                Event::Established => {}
            }
        }
    }

    /// Is it over?
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

/// Datagrams of one peer, as the sieve passes them on: nothing but whole records.
pub fn sieve<'a>(datagrams: impl Iterator<Item = &'a [u8]>) {
    let mut sieve = super::sieve::Sieve::default();
    for datagram in datagrams {
        let passed = sieve.pass(datagram).into_owned();
        let all: usize = super::record::records(&passed).map(|record| record.len()).sum();
        assert_eq!(all, passed.len(), "what it passes on are records");
        sieve.check();
        // Nothing is left in what it passed on that would have to be joined.
        let again = super::sieve::Sieve::default().pass(&passed).into_owned();
        assert_eq!(again, passed, "it passes on parts");
    }
}
