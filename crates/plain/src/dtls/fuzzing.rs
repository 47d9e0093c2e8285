//! The DTLS front end for the fuzzers: both sides as values, without a socket.
//!
//! In: datagrams, time. Out: datagrams, payloads. Never: part of a build without `--cfg fuzzing`.

use std::{
    net::SocketAddr,
    time::{Instant, SystemTime},
};

use super::{Association, Attempts, ClientConfig, Ended, Event, Hub, ServerConfig};
use crate::limits::{MAX_DTLS_NOTICES, MAX_DTLS_PEERS, MAX_UNVERIFIED_PEERS};

/// The side of a listener.
#[derive(Debug)]
pub struct Server(Hub);

impl Server {
    /// Creates a listener without peers.
    #[must_use]
    pub fn new(config: ServerConfig) -> Self {
        Self(Hub::new(config))
    }

    /// Handles a received datagram.
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

    /// Handles the passing of [`Self::deadline`].
    pub fn handle_timeout(&mut self, (now, wall): (Instant, SystemTime)) {
        self.0.handle_timeout(now, wall);
    }

    /// Returns when to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    /// Seals a payload. Returns `true` if there is an association for it.
    pub fn send(&mut self, payload: &[u8], to: SocketAddr, at: (Instant, SystemTime)) -> bool {
        self.0.send(payload, to, at.0, at.1).is_ok()
    }

    /// Closes all associations.
    pub fn close(&mut self, wall: SystemTime) {
        self.0.close(wall);
    }

    /// Returns the next datagram to send.
    pub fn poll_output(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        self.0.poll_output().map(|(datagram, to)| (datagram, to.peer))
    }

    /// A payload received through an association.
    pub fn poll_arrived(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        let told = std::iter::from_fn(|| self.0.poll_notice()).count();
        assert!(told <= MAX_DTLS_NOTICES, "too many notices");
        self.0.poll_arrived().map(|arrived| (arrived.payload, arrived.from))
    }

    /// Returns the number of addresses with state.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if no state is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A client's side.
#[derive(Debug)]
pub struct Client(Association);

impl Client {
    /// Creates a client; its first datagram is ready to send.
    #[must_use]
    pub fn new(config: &ClientConfig, now: Instant) -> Self {
        Self(Attempts::new(true, now).begin(config, now))
    }

    /// Handles a received datagram.
    pub fn handle_datagram(&mut self, datagram: &[u8], (now, wall): (Instant, SystemTime)) {
        self.0.handle_datagram(datagram, now, wall);
    }

    /// Handles the passing of [`Self::deadline`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    /// Returns when to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    /// Seals a payload. Returns `true` if there is an association.
    pub fn send(&mut self, payload: &[u8], now: Instant) -> bool {
        self.0.send(payload, now).is_ok()
    }

    /// Closes the association with a close_notify.
    pub fn close(&mut self) {
        self.0.close(Ended::Closed);
    }

    /// Returns the next datagram to send.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.0.poll_output()
    }

    /// Returns the next received payload.
    pub fn poll_arrived(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.0.poll_event()? {
                Event::Message(payload) => return Some(payload),
                Event::Ended(_) => assert!(self.0.has_ended(), "ended, and goes on"),
                Event::Established => {}
            }
        }
    }

    /// Returns `true` if the association has ended.
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
        // What it passes on never needs joining again.
        let again = super::sieve::Sieve::default().pass(&passed).into_owned();
        assert_eq!(again, passed, "it passes on parts");
    }
}
