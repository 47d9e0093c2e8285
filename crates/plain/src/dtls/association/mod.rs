//! The DTLS association with one peer: handshake, messages, close.
//!
//! In: its datagrams, payloads, the time. Out: datagrams for it, payloads, events. Never: a
//! socket, a clock, an address.

mod handshake;
mod timing;
mod turn;

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant, SystemTime},
};

use dimpl::Dtls;
use hikyaku::contain::contain;

use super::{Setup, ended::Ended, record, sieve::Sieve};
use crate::limits::MAX_DTLS_PAYLOAD;

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
    /// Only for a client.
    patience: Patience,
    /// Only with a shared key.
    proof: Proof,
    /// An alert in the clear, which anyone can have sent. It counts if nothing else arrives.
    alert: Option<Alert>,
}

/// How long a client's handshake may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// While nothing has been answered.
    pub(crate) unanswered: Duration,
    /// Since the first answer.
    pub(crate) answered: Duration,
    /// While a proof of the shared key is unanswered.
    pub(crate) unproven: Duration,
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
    /// A DTLS 1.3 server that rejects its client: it can report that only under keys, which exist
    /// once the handshake is complete.
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
    #[error("there is no DTLS association with the peer")]
    NoAssociation,
}

impl Association {
    /// Creates a client's association; its first datagram is ready to send.
    pub(crate) fn client(config: &super::ClientConfig, patience: Patience, now: Instant) -> Self {
        let mut association = Self::new(&config.0, Role::Client, patience, now);
        association.contained(|association| association.dtls().set_active(true));
        association.handle_timeout(now);
        association
    }

    pub(super) fn server(setup: &Setup, now: Instant) -> Self {
        let role = Role::Server { began: now, unverified: Some(0) };
        let longest = setup.patience;
        let patience = Patience { unanswered: longest, answered: longest, unproven: longest };
        Self::new(setup, role, patience, now)
    }

    fn new(setup: &Setup, role: Role, patience: Patience, now: Instant) -> Self {
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
            patience,
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
        self.dtls.as_mut().expect("it exists until the association has ended")
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

    /// Returns the end that an alert in the clear would mean, if one has arrived.
    pub(crate) fn refusal(&self) -> Option<Ended> {
        self.alert.map(|alert| Ended::RefusedByPeer(alert.description))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.contained(|association| association.on_timeout(now));
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
        // Let the state machine's clock run first.
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
            // An error while closing does not matter, because the association has ended.
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

    fn on_close_notify(&mut self) {
        let why = match self.state {
            State::Unconfirmed(_) => Ended::DismissedByPeer,
            _ => Ended::ClosedByPeer,
        };
        // RFC 5246 section 7.2.1: a close_notify is answered with one.
        self.close(why);
    }
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
