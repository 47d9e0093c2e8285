//! One peer's association: handshake, messages, goodbye.
//!
//! In: its datagrams, payloads, the time. Out: datagrams for it, payloads, events. Never: a
//! socket, a clock, an address.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant, SystemTime},
};

use dimpl::{Dtls, Output, ProtocolVersion};
use hikyaku::contain::contain;

use super::{
    Setup,
    ended::Ended,
    record::{self, CLIENT_HELLO, HELLO_VERIFY_REQUEST, Record, SERVER_HELLO},
    sieve::Sieve,
    trust::Shown,
};
use crate::limits::{
    DTLS_CONFIRMATION, DTLS_IDLE, DTLS_PROOF, MAX_DTLS_PAYLOAD, MAX_UNVERIFIED_AGE,
    MAX_UNVERIFIED_BYTES,
};

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Both know each other, as far as they asked.
    Established,
    /// The peer sent this.
    Message(Vec<u8>),
    /// It is over. The last event.
    Ended(Ended),
}

/// One association.
pub(crate) struct Association {
    setup: Setup,
    /// None after a panic of its own.
    dtls: Option<Dtls>,
    sieve: Sieve,
    role: Role,
    state: State,
    /// The certificate asked for has been shown and is believed.
    believed: bool,
    /// The peer has answered us something.
    heard: bool,
    /// It has named cipher suites of version 1.3.
    offered_v13: bool,
    /// The last time that something was sent or received.
    active_at: Instant,
    /// The number of the next record in the clear, of a client. The state machine sends its first
    /// hello again and again with the same number, which others take for a replay.
    next_clear: u64,
    /// The state machine's.
    timer: Option<Instant>,
    output: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    /// Lent to the state machine, which asks for more where it needs it.
    buffer: Vec<u8>,
    /// Bytes that were given to the state machine during the handshake.
    read: usize,
    began: Instant,
    /// With a shared key alone.
    proof: Proof,
}

/// What proves that a side holds the shared key: the sealed Finished.
#[derive(Clone, Copy, Debug, Default)]
struct Proof {
    /// When a client first sent its own.
    sent_at: Option<Instant>,
    /// The datagram being handled holds the peer's.
    received: bool,
}

/// Handshakes and most messages fit; what a larger message took is given back.
const BUFFER_LEN: usize = 1_536;

/// What an alert says where a Finished cannot be opened (RFC 5246 section 7.2.2).
const DECRYPT_ERROR: u8 = 51;

/// Bytes of a handshake that the state machine holds at once: 30 datagrams.
const MAX_HANDSHAKE_HELD: usize = 30 << 16;

/// The state machine of DTLS 1.3 wants to tell of a gap in a flight at once, and as long as there
/// is one that is always. A quarter of the first wait is what RFC 9147 section 7.1 has in mind.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Client,
    Server {
        began: Instant,
        /// Bytes read before the cookie came back; None when it has.
        unverified: Option<usize>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    /// A DTLS 1.3 server whose client we do not believe: it can be told so under keys alone, which
    /// are there when its handshake has come to an end.
    Refusing(Ended),
    /// A DTLS 1.3 client that is done, and may yet be refused.
    Unconfirmed(Instant),
    Established,
    Ended,
}

/// Why a payload did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSent {
    #[error("a message over DTLS has at most {MAX_DTLS_PAYLOAD} bytes")]
    TooLarge,
    #[error("no DTLS association with it")]
    NoAssociation,
}

impl Association {
    /// A client's; it has its first datagram to send.
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
        };
        if association.dtls.is_none() {
            association.end(Ended::Fault);
        }
        association
    }

    /// Does some of this association's work, whose panic ends this association alone.
    pub(super) fn contained<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.has_ended() {
            return None;
        }
        let done = contain(|| work(self));
        if done.is_none() {
            self.output.clear();
            // What is half changed may panic once more as it goes.
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

    /// Has the peer shown that it hears us?
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
            // The state machine would send again to who may never have asked.
            (_, Role::Server { began, unverified: Some(_) }) => {
                return Some(began + MAX_UNVERIFIED_AGE);
            }
            (_, Role::Client) => Some(self.gives_up_at()),
            _ => None,
        };
        own.into_iter().chain(self.timer).min()
    }

    /// When a client gives up its handshake.
    fn gives_up_at(&self) -> Instant {
        let at = self.began + self.setup.patience;
        self.proof.sent_at.map_or(at, |sent_at| at.min(sent_at + DTLS_PROOF))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.contained(|association| association.on_timeout(now));
    }

    fn on_timeout(&mut self, now: Instant) {
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
            _ => {}
        }
        let advanced = self.dtls().handle_timeout(now);
        self.after(advanced, now, None);
    }

    /// Takes in a datagram. `wall` is for the dates in certificates.
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], now: Instant, wall: SystemTime) {
        self.contained(|association| association.on_datagram(datagram, now, wall));
    }

    fn on_datagram(&mut self, datagram: &[u8], now: Instant, wall: SystemTime) {
        if !self.may_read(datagram.len()) {
            return;
        }
        let passed = self.sieve.pass(datagram);
        if passed.is_empty() || !self.is_expected(&passed) {
            return;
        }
        if !self.is_established() {
            self.read += passed.len();
            self.offered_v13 |= record::offers_v13(&passed);
        }
        self.proof.received = self.setup.has_shared_key() && record::holds_finished(&passed);
        // The state machine's clock goes first.
        let dtls = self.dtls();
        let handled = dtls.handle_timeout(now).and_then(|()| dtls.handle_packet(&passed));
        self.after(handled, now, Some(wall));
        let speaks_last = is_under_data_keys(datagram);
        if speaks_last && matches!(self.state, State::Unconfirmed(_)) {
            self.establish();
        }
    }

    /// Who has not shown that it hears us is not listened to for long.
    fn may_read(&mut self, len: usize) -> bool {
        let Role::Server { unverified: Some(read), .. } = &mut self.role else { return true };
        *read += len;
        let may = *read <= MAX_UNVERIFIED_BYTES;
        if !may {
            self.end(Ended::NoAnswer(MAX_UNVERIFIED_AGE));
        }
        may
    }

    /// Before the version is known a client's state machine takes a server's hello, and anything
    /// else for the end. A server hears nothing but hellos until its cookie is back.
    fn is_expected(&mut self, datagram: &[u8]) -> bool {
        if !self.is_verified() {
            return record::first_message(datagram) == Some(CLIENT_HELLO);
        }
        if self.role != Role::Client || self.dtls().protocol_version().is_some() {
            return true;
        }
        if let Some(Record::Alert { description, .. }) = record::records(datagram).next() {
            self.end(Ended::RefusedByPeer(description));
            return false;
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

    /// Says goodbye.
    pub(crate) fn close(&mut self, why: Ended) {
        if self.has_ended() {
            return;
        }
        self.contained(|association| {
            // Whatever is wrong with a goodbye, it is one.
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
        self.sieve.finish();
        self.events.push_back(Event::Established);
    }

    /// What the state machine has to say after it was given something.
    fn after(&mut self, result: Result<(), dimpl::Error>, now: Instant, wall: Option<SystemTime>) {
        let mut turn = self.drain();
        self.timer = self.timer.map(|at| at.max(now + LEAST_PAUSE));
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
            Err(_) if self.proof.received && self.role != Role::Client => {
                // The client would try for a long time.
                self.output.push_back(record::fatal_alert(DECRYPT_ERROR));
                self.end(Ended::OtherSharedKey);
            }
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
            // The hello that was answered is under the Finished; the first one, with its versions,
            // is not (RFC 6347 section 4.2.1).
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
        // RFC 5246 section 7.2.1: a goodbye is answered with one.
        self.close(why);
    }

    /// The peer has shown its certificate.
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

    /// Tells the peer that it is not believed, as soon as it can be told; until then it hears
    /// nothing.
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

    /// A server that says more than "who are you?" has got its cookie back.
    fn note_verified(&mut self, packets: &[Vec<u8>]) {
        if let Role::Server { unverified, .. } = &mut self.role
            && packets.iter().any(|packet| record::shows_a_returned_cookie(packet))
        {
            *unverified = None;
        }
    }

    fn drain(&mut self) -> Turn {
        let mut turn = Turn::default();
        // For a certificate it does not ask, it panics. None is longer than all that came.
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
                // Keys for media: nobody asked.
                _ => {}
            }
        }
    }
}

/// What the state machine said at once.
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
