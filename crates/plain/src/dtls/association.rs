//! The DTLS association with one peer: handshake, messages, close.
//!
//! In: its datagrams, payloads, the time. Out: datagrams for it, payloads, events. Never: a
//! socket, a clock, an address.

// Longer than 400 lines: one state machine, whose transitions are read together.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant, SystemTime},
};

use dimpl::{Dtls, Error, Output, ProtocolVersion};
use hikyaku::contain::contain;

use super::{
    Setup,
    ended::Ended,
    record::{self, CLIENT_HELLO, HELLO_VERIFY_REQUEST, Record, SERVER_HELLO},
    sieve::Sieve,
    trust::Shown,
};
use crate::limits::{
    DTLS_ALERT, DTLS_CONFIRMATION, DTLS_IDLE, DTLS_PROOF, DTLS_UNOPENED, MAX_DTLS_PAYLOAD,
    MAX_UNVERIFIED_AGE, MAX_UNVERIFIED_BYTES,
};

/// An event of an association.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The handshake is complete: each side has authenticated the other as far as it requires.
    Established,
    /// A payload from the peer.
    Message(Vec<u8>),
    /// The association has ended. The last event.
    Ended(Ended),
}

/// One association.
pub(crate) struct Association {
    setup: Setup,
    /// `None` after a panic in it.
    dtls: Option<Dtls>,
    sieve: Sieve,
    role: Role,
    state: State,
    /// The required certificate was presented and is trusted.
    believed: bool,
    /// The peer has answered something.
    heard: bool,
    /// The peer offered cipher suites of version 1.3.
    offered_v13: bool,
    /// The last time that something was sent or received.
    active_at: Instant,
    /// The number of a client's next record in the clear. The state machine resends its first hello
    /// with the same number, which other implementations take for a replay.
    next_clear: u64,
    /// The state machine's own deadline.
    timer: Option<Instant>,
    output: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    /// Lent to the state machine, which asks for more where it needs it.
    buffer: Vec<u8>,
    /// Bytes passed to the state machine during the handshake.
    read: usize,
    began: Instant,
    /// Only with a shared key.
    proof: Proof,
    /// An alert in the clear, which anyone can have sent. It counts when nothing else arrives.
    alert: Option<Alert>,
}

/// The proof that a side holds the shared key: its sealed Finished.
#[derive(Clone, Copy, Debug, Default)]
struct Proof {
    /// When a client first sent its own Finished.
    sent_at: Option<Instant>,
    /// When a server first received a sealed record that did not open.
    unopened_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Alert {
    description: u8,
    at: Instant,
}

/// Handshakes and most messages fit; memory for a larger message is returned afterwards.
const BUFFER_LEN: usize = 1_536;

/// The alert for a Finished that cannot be opened (RFC 5246 section 7.2.2).
const DECRYPT_ERROR: u8 = 51;

/// Bytes of a handshake that the state machine holds at once: 30 datagrams.
const MAX_HANDSHAKE_HELD: usize = 30 << 16;

/// The DTLS 1.3 state machine would report a gap in a flight at once, again and again while the gap
/// lasts. RFC 9147 section 7.1 suggests a quarter of the first wait.
const MIN_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Client,
    Server {
        began: Instant,
        /// Bytes read before the cookie was returned; `None` afterwards.
        unverified: Option<usize>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    /// A DTLS 1.3 server that rejects its client: it can say so only under keys, which exist once
    /// the handshake is complete.
    Refusing(Ended),
    /// A DTLS 1.3 client whose handshake is complete, and which may still be refused.
    Unconfirmed(Instant),
    Established,
    Ended,
}

/// Why a payload was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSent {
    #[error("a message over DTLS has at most {MAX_DTLS_PAYLOAD} bytes")]
    TooLarge,
    #[error("no DTLS association with it")]
    NoAssociation,
}

impl Association {
    /// Creates a client's association; its first datagram is ready to send.
    pub(crate) fn client(setup: &super::ClientConfig, now: Instant) -> Self {
        let mut association = Self::new(&setup.0, Role::Client, now);
        association.contained(|association| association.dtls().set_active(true));
        association.handle_timeout(now);
        association
    }

    pub(super) fn server(setup: &Setup, now: Instant) -> Self {
        Self::new(setup, Role::Server { began: now, unverified: Some(0) }, now)
    }

    fn new(setup: &Setup, role: Role, now: Instant) -> Self {
        let dtls = contain(|| setup.state_machine(now));
        let mut association = Self {
            setup: setup.clone(),
            dtls,
            sieve: Sieve::default(),
            role,
            state: State::Handshake,
            believed: false,
            heard: false,
            offered_v13: false,
            active_at: now,
            next_clear: 0,
            timer: None,
            output: VecDeque::new(),
            events: VecDeque::new(),
            buffer: vec![0; BUFFER_LEN],
            read: 0,
            began: now,
            proof: Proof::default(),
            alert: None,
        };
        if association.dtls.is_none() {
            association.end(Ended::Fault);
        }
        association
    }

    /// Runs `work`; a panic in it ends only this association.
    pub(super) fn contained<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.has_ended() {
            return None;
        }
        let done = contain(|| work(self));
        if done.is_none() {
            self.output.clear();
            // A half-changed value may panic again when dropped.
            let broken = self.dtls.take();
            contain(|| drop(broken));
            if !self.has_ended() {
                self.end(Ended::Fault);
            }
        }
        done
    }

    fn dtls(&mut self) -> &mut Dtls {
        self.dtls.as_mut().expect("it is there until the association has ended")
    }

    pub(crate) fn is_established(&self) -> bool {
        self.state == State::Established
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Returns `true` if the peer has proved that it receives at its address.
    pub(super) const fn is_verified(&self) -> bool {
        !matches!(self.role, Role::Server { unverified: Some(_), .. })
    }

    pub(crate) fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.output.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Association::handle_timeout`], if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match (&self.state, self.role) {
            (State::Ended, _) => return None,
            (State::Established, _) => Some(self.active_at + DTLS_IDLE),
            (State::Unconfirmed(since), _) => Some(*since + DTLS_CONFIRMATION),
            // The state machine would resend to a peer that may never have asked.
            (_, Role::Server { began, unverified: Some(_) }) => {
                return Some(began + MAX_UNVERIFIED_AGE);
            }
            (_, Role::Client) => Some(self.gives_up_at()),
            (_, Role::Server { .. }) => self.proof.unopened_at.map(|at| at + DTLS_UNOPENED),
        };
        own.into_iter().chain(self.refused_at()).chain(self.timer).min()
    }

    /// The time at which an alert in the clear is believed.
    fn refused_at(&self) -> Option<Instant> {
        self.alert.map(|alert| alert.at + DTLS_ALERT)
    }

    /// Returns the end that an alert in the clear would mean, if one has arrived.
    pub(crate) fn refusal(&self) -> Option<Ended> {
        self.alert.map(|alert| Ended::RefusedByPeer(alert.description))
    }

    /// The time at which a client gives up its handshake.
    fn gives_up_at(&self) -> Instant {
        let at = self.began + self.setup.patience;
        self.proof.sent_at.map_or(at, |sent_at| at.min(sent_at + DTLS_PROOF))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.contained(|association| association.on_timeout(now));
    }

    fn on_timeout(&mut self, now: Instant) {
        if let Some(alert) = self.alert.filter(|alert| now >= alert.at + DTLS_ALERT) {
            return self.end(Ended::RefusedByPeer(alert.description));
        }
        match (&self.state, self.role) {
            (State::Ended, _) => return,
            (State::Established, _) if now >= self.active_at + DTLS_IDLE => {
                return self.close(Ended::Idle);
            }
            (State::Unconfirmed(since), _) if now >= *since + DTLS_CONFIRMATION => {
                self.establish();
            }
            (_, Role::Server { began, unverified: Some(_) })
                if now >= began + MAX_UNVERIFIED_AGE =>
            {
                return self.end(Ended::NoAnswer(MAX_UNVERIFIED_AGE));
            }
            (_, Role::Server { unverified: Some(_), .. }) => return,
            (State::Handshake, Role::Client) if now >= self.gives_up_at() => {
                let waited = now.saturating_duration_since(self.began);
                return self.end(match (self.proof.sent_at, self.heard) {
                    (Some(_), _) => Ended::Unproven,
                    (None, true) => Ended::Stalled(waited),
                    (None, false) => Ended::NoAnswer(waited),
                });
            }
            (State::Handshake, Role::Server { .. })
                if self.proof.unopened_at.is_some_and(|at| now >= at + DTLS_UNOPENED) =>
            {
                // Otherwise the client would retry for a long time.
                self.output.push_back(record::fatal_alert(DECRYPT_ERROR));
                return self.end(Ended::OtherSharedKey);
            }
            _ => {}
        }
        let advanced = self.dtls().handle_timeout(now);
        self.after(advanced, now, None);
    }

    /// Handles a received datagram. `wall` is compared with the dates in certificates.
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], now: Instant, wall: SystemTime) {
        self.contained(|association| association.on_datagram(datagram, now, wall));
    }

    fn on_datagram(&mut self, datagram: &[u8], now: Instant, wall: SystemTime) {
        if !self.may_read(datagram.len()) {
            return;
        }
        if !self.is_established() && self.is_verified() {
            self.note_alert(datagram, now);
        }
        let passed = self.sieve.pass(datagram);
        if passed.is_empty() || !self.is_expected(&passed) {
            return;
        }
        if !self.is_established() {
            self.read += passed.len();
            self.offered_v13 |= record::offers_v13(&passed);
        }
        // The state machine's clock goes first.
        let mut handled = self.dtls().handle_timeout(now);
        if handled.is_ok() {
            handled = if self.is_established() {
                self.dtls().handle_packet(&passed)
            } else {
                self.shake_hands(&passed, now)
            };
        }
        self.after(handled, now, Some(wall));
        let speaks_last = is_under_data_keys(datagram);
        if speaks_last && matches!(self.state, State::Unconfirmed(_)) {
            self.establish();
        }
    }

    /// Passes a datagram of the handshake to the state machine.
    ///
    /// Anyone can send a record that does not open. The state machine treats it as the end, but is
    /// unchanged by it if it comes alone, so each sealed record is passed alone, and one that does
    /// not open is dropped (RFC 6347 section 4.1.2.7).
    fn shake_hands(&mut self, datagram: &[u8], now: Instant) -> Result<(), Error> {
        for batch in record::batches(datagram) {
            match self.dtls().handle_packet(batch) {
                Err(Error::CryptoError(_)) if record::is_sealed(batch) => {
                    if self.setup.has_shared_key() {
                        self.proof.unopened_at.get_or_insert(now);
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => self.alert = self.alert.filter(|alert| alert.at == now),
            }
        }
        Ok(())
    }

    fn note_alert(&mut self, datagram: &[u8], now: Instant) {
        let alert = record::records(datagram).find_map(|record| match record {
            Record::Alert { description, .. } => Some(description),
            _ => None,
        });
        if let (Some(description), None) = (alert, self.alert) {
            self.alert = Some(Alert { description, at: now });
        }
    }

    /// A peer that has not proved its address is read only up to a bound.
    fn may_read(&mut self, len: usize) -> bool {
        let Role::Server { unverified: Some(read), .. } = &mut self.role else { return true };
        *read += len;
        let may = *read <= MAX_UNVERIFIED_BYTES;
        if !may {
            self.end(Ended::NoAnswer(MAX_UNVERIFIED_AGE));
        }
        may
    }

    /// Before the version is known, a client's state machine accepts a server's hello and treats
    /// anything else as the end. A server reads only hellos until its cookie is returned.
    fn is_expected(&mut self, datagram: &[u8]) -> bool {
        if !self.is_verified() {
            return record::first_message(datagram) == Some(CLIENT_HELLO);
        }
        if self.role != Role::Client || self.dtls().protocol_version().is_some() {
            return true;
        }
        matches!(record::first_message(datagram), Some(HELLO_VERIFY_REQUEST | SERVER_HELLO))
    }

    /// Seals a payload for the peer.
    pub(crate) fn send(&mut self, payload: &[u8], now: Instant) -> Result<(), NotSent> {
        if payload.len() > MAX_DTLS_PAYLOAD {
            return Err(NotSent::TooLarge);
        }
        if !self.is_established() {
            return Err(NotSent::NoAssociation);
        }
        self.active_at = now;
        self.contained(|association| {
            let sent = association.dtls().send_application_data(payload).map(drop);
            association.after(sent, now, None);
        });
        if self.has_ended() { Err(NotSent::NoAssociation) } else { Ok(()) }
    }

    /// Closes the association with a close_notify.
    pub(crate) fn close(&mut self, why: Ended) {
        if self.has_ended() {
            return;
        }
        self.contained(|association| {
            // An error while closing does not matter: the association is over.
            let _ = association.dtls().close();
            let goodbye = association.drain().packets;
            association.output.extend(goodbye);
            association.end(why);
        });
    }

    fn end(&mut self, why: Ended) {
        self.state = State::Ended;
        self.timer = None;
        self.events.push_back(Event::Ended(why));
    }

    fn establish(&mut self) {
        self.state = State::Established;
        self.alert = None;
        self.sieve.finish();
        self.events.push_back(Event::Established);
    }

    /// Collects the state machine's output after some input.
    fn after(&mut self, result: Result<(), Error>, now: Instant, wall: Option<SystemTime>) {
        let mut turn = self.drain();
        self.timer = self.timer.map(|at| at.max(now + MIN_PAUSE));
        if let Some(certificate) = turn.certificate.take()
            && let Some(wall) = wall
        {
            self.judge(&certificate, wall);
        }
        self.heard |= wall.is_some() && !turn.packets.is_empty();
        if let State::Refusing(why) = &self.state {
            let why = why.clone();
            return self.refuse(why, turn.connected, result.is_err());
        }
        self.note_verified(&turn.packets);
        if self.role == Role::Client {
            for packet in &mut turn.packets {
                record::renumber(packet, &mut self.next_clear);
            }
        }
        if self.proof.sent_at.is_none()
            && self.setup.has_shared_key()
            && turn.packets.iter().any(|packet| record::holds_finished(packet))
        {
            self.proof.sent_at = Some(now);
        }
        self.output.extend(turn.packets);
        if turn.connected {
            self.on_connected(now);
        }
        if !turn.messages.is_empty() && matches!(self.state, State::Unconfirmed(_)) {
            self.establish();
        }
        if self.is_established() && !turn.messages.is_empty() {
            self.active_at = now;
            self.events.extend(turn.messages.into_iter().map(Event::Message));
        }
        match result {
            _ if self.has_ended() => {}
            Err(error) => {
                let waited = now.saturating_duration_since(self.began);
                self.end(Ended::of(error, self.heard, waited));
            }
            Ok(()) if turn.closed => self.on_close_notify(),
            Ok(()) => {}
        }
    }

    fn on_connected(&mut self, now: Instant) {
        let is_v13 = self.dtls().protocol_version() == Some(ProtocolVersion::DTLS1_3);
        if self.role != Role::Client && self.offered_v13 && !is_v13 {
            // The Finished covers the hello that was answered, but not the first one, with its
            // versions (RFC 6347 section 4.2.1).
            self.close(Ended::Downgraded);
        } else if self.setup.believed().is_some() && !self.believed {
            self.close(Ended::NoCertificate);
        } else if is_v13 && self.role == Role::Client {
            self.active_at = now;
            self.state = State::Unconfirmed(now);
        } else {
            self.active_at = now;
            self.establish();
        }
    }

    fn on_close_notify(&mut self) {
        let why = match self.state {
            State::Unconfirmed(_) => Ended::DismissedByPeer,
            _ => Ended::ClosedByPeer,
        };
        // RFC 5246 section 7.2.1: a close_notify is answered with one.
        self.close(why);
    }

    /// Handles the peer's certificate.
    fn judge(&mut self, certificate: &[u8], now: SystemTime) {
        let Some(anchors) = self.setup.believed() else { return };
        let shown = Shown {
            certificate,
            intermediates: self.sieve.intermediates(certificate),
            name: self.setup.server.as_ref(),
        };
        match anchors.verify(&shown, now) {
            Ok(()) => self.believed = true,
            Err(refusal) => self.state = State::Refusing(Ended::Refused(refusal)),
        }
    }

    /// Rejects the peer as soon as that can be sent; until then nothing is sent to it.
    fn refuse(&mut self, why: Ended, connected: bool, failed: bool) {
        let version = self.dtls().protocol_version();
        if version == Some(ProtocolVersion::DTLS1_2) {
            let alert = match &why {
                Ended::Refused(refusal) => refusal.problem.alert(),
                _ => 42,
            };
            self.output.push_back(record::fatal_alert(alert));
            self.end(why);
        } else if connected && self.role != Role::Client {
            self.close(why);
        } else if failed || self.role == Role::Client {
            self.end(why);
        }
    }

    /// A server that sends more than a request for the cookie has received it back.
    fn note_verified(&mut self, packets: &[Vec<u8>]) {
        if let Role::Server { unverified, .. } = &mut self.role
            && packets.iter().any(|packet| record::shows_a_returned_cookie(packet))
        {
            *unverified = None;
        }
    }

    fn drain(&mut self) -> Turn {
        let mut turn = Turn::default();
        // The state machine does not ask for a larger buffer here, it panics. No certificate is
        // longer than everything received.
        let longest = self.read.min(MAX_HANDSHAKE_HELD);
        if !self.is_established() && self.buffer.len() < longest {
            self.buffer.resize(longest, 0);
        }
        loop {
            let dtls = self.dtls.as_mut().expect("it is there until the association has ended");
            match dtls.poll_output(&mut self.buffer) {
                Output::Packet(packet) => turn.packets.push(packet.to_vec()),
                Output::Timeout(at) => {
                    self.timer = Some(at);
                    self.buffer.truncate(BUFFER_LEN);
                    self.buffer.shrink_to_fit();
                    return turn;
                }
                Output::BufferTooSmall { needed } => self.buffer.resize(needed, 0),
                Output::PeerCert(der) => turn.certificate = Some(der.to_vec()),
                Output::Connected => turn.connected = true,
                Output::ApplicationData(payload) => turn.messages.push(payload.to_vec()),
                Output::CloseNotify => turn.closed = true,
                // Keys for media are not used.
                _ => {}
            }
        }
    }
}

/// One output of the state machine.
#[derive(Default)]
struct Turn {
    packets: Vec<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    messages: Vec<Vec<u8>>,
    connected: bool,
    closed: bool,
}

/// RFC 9147 section 4: the two lowest bits of the first byte are the epoch's; 3 is that of data,
/// in which a server also acknowledges the client's last flight.
fn is_under_data_keys(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0xe3 == 0x23)
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association")
            .field("role", &self.role)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
