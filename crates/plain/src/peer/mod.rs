//! Talks to one address: sends, sends until acknowledged, receives replies.
//!
//! In: payloads. Out: datagrams to the peer; its replies. Never: a datagram from someone else.
//!
//! A plain `ACK` does not say which message it is for. If all messages were sent from one port, a
//! late or duplicated ACK could be mistaken for that of the next message, and a lost message would
//! count as delivered. So each acknowledged message has its own source port: an ACK is for the
//! message that was sent from the port at which it arrives.
//!
//! Over DTLS a new port requires a new handshake. But there each datagram arrives at most once, so
//! a message that was sent once gets at most one ACK: the port changes only after a message that
//! was sent more than once, or was not acknowledged.

// Longer than 400 lines: sending, waiting and receiving all work on the sockets of one peer.

mod association;

use std::{
    borrow::Cow,
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hikyaku::{
    batch::{Datagram, RecvBatch},
    clock,
    dialect::Dialect,
    filter::Filter,
    limits::OTHER_DIALECT_REPORTS,
    socket::{BindError, Socket, SocketOptions, Unreachable},
};

use super::{
    Acknowledged, Armour, Dropped, Drops, PlainSendError, Reply, RetryPolicy, Seal, Setback,
    ack::{Step, StopAndWait},
    dtls::{Arrived, Attempts, ClientConfig, Ended, NotSent},
    gate::Gate,
    line::{Line, is_report},
    sleep_until,
};
use crate::limits::{DTLS_OVERHEAD, MAX_DTLS_PAYLOAD, MAX_OLD_SOCKETS, MAX_WAITING_REPLIES};

/// How a [`PlainPeer`] opens its sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerOptions {
    /// Socket options.
    pub socket: SocketOptions,
    /// Send from this address. If it has a port, every message has that same source port, and a
    /// late ACK of one message can be mistaken for that of the next.
    pub bind: Option<SocketAddr>,
}

/// One address to talk to.
#[derive(Debug)]
pub struct PlainPeer {
    /// Addresses to try; the first that does not report itself unreachable is kept.
    targets: VecDeque<SocketAddr>,
    options: PeerOptions,
    seal: Seal,
    gate: Gate,
    dtls: Option<ClientConfig>,
    /// The newest is last; it is the one that sends.
    lines: VecDeque<Line>,
    /// An ACK of an earlier message may still arrive on the newest line.
    used: bool,
    /// The handshakes of the association that is being established.
    attempts: Attempts,
    /// Why the newest line's association has ended, until that was reported.
    ended: Option<Ended>,
    /// The acknowledgement that was last awaited; empty if there was none.
    ack_text: Vec<u8>,
    replies: VecDeque<Reply>,
    dropped: VecDeque<Dropped>,
    /// The last datagram that arrived while waiting for an acknowledgement, and is not one.
    instead: Option<Vec<u8>>,
    /// The dialect that the peer claims, and how often it was claimed.
    hint: Option<Dialect>,
    hints: u32,
    batch: RecvBatch,
}

impl PlainPeer {
    /// Opens a socket to talk to the first of `targets` (of one name, best first) that does not
    /// report itself unreachable at the first message.
    ///
    /// # Errors
    /// [`BindError`]. `targets` must not be empty.
    pub fn new(
        targets: Vec<SocketAddr>,
        options: PeerOptions,
        armour: Armour,
        filter: Filter,
    ) -> Result<Self, BindError> {
        let (seal, open) = armour.split();
        let mut peer = Self {
            targets: targets.into(),
            options,
            seal,
            gate: Gate::new(filter, open),
            dtls: None,
            lines: VecDeque::new(),
            used: false,
            attempts: Attempts::new(true, clock::monotonic()),
            ended: None,
            ack_text: Vec::new(),
            replies: VecDeque::new(),
            dropped: VecDeque::new(),
            instead: None,
            hint: None,
            hints: 0,
            batch: RecvBatch::new(),
        };
        match peer.open_socket() {
            Err(BindError::System { .. }) if peer.next_target()? => {}
            outcome => outcome?,
        }
        Ok(peer)
    }

    /// Speaks DTLS beneath the armour; the first message waits for the handshake. Call this before
    /// it. After an association has ended, the next message opens a new one.
    #[must_use]
    pub fn speak_dtls(mut self, config: ClientConfig) -> Self {
        self.dtls = Some(config);
        self
    }

    /// Performs a handshake if DTLS is enabled and there is no association yet. Sending a message
    /// does the same.
    ///
    /// # Errors
    /// [`PlainSendError::Dtls`] and those of the network.
    pub async fn connect(&mut self) -> Result<(), PlainSendError> {
        let Some(config) = self.dtls.clone() else { return Ok(()) };
        loop {
            match self.shake_hands(&config).await {
                Err(PlainSendError::Unreachable { .. }) if self.next_target()? => {}
                done => return done,
            }
        }
    }

    /// Returns `true` if DTLS is spoken.
    #[must_use]
    pub const fn speaks_dtls(&self) -> bool {
        self.dtls.is_some()
    }

    /// Returns the dialect of outgoing messages. Incoming ones may use another: `--sign` alone
    /// signs, but accepts everyone.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self.dtls {
            Some(_) => Dialect::Dtls,
            None => self.seal.dialect(),
        }
    }

    /// Returns the dialect that the peer claims, if any. That is unauthenticated: anyone can send
    /// it in the peer's name.
    #[must_use]
    pub const fn hint(&self) -> Option<Dialect> {
        self.hint
    }

    /// Returns `true` if a message could be sent at once; always `true` without DTLS.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.dtls.is_none() || self.newest().is_established()
    }

    /// Returns the address that messages go to.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        *self.targets.front().expect("the last target is never removed")
    }

    /// Returns the local address of the newest message.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.socket().local_addr()
    }

    fn socket(&self) -> &Arc<Socket> {
        &self.newest().socket
    }

    fn newest(&self) -> &Line {
        self.lines.back().expect(ALWAYS_ONE)
    }

    fn newest_mut(&mut self) -> &mut Line {
        self.lines.back_mut().expect(ALWAYS_ONE)
    }

    fn open_socket(&mut self) -> Result<(), BindError> {
        let target = *self.targets.front().ok_or_else(no_target)?;
        if self.has_fixed_port() {
            self.lines.clear(); // The old line has the port that the new one needs.
        }
        let socket = match self.options.bind {
            Some(address) => Socket::bind(&[address], &self.options.socket)?,
            None => Socket::towards(target, &self.options.socket)?,
        };
        // If the system does not report errors, an unreachable peer is merely silent.
        let _ = socket.report_transport_errors();
        self.lines.push_back(Line::new(socket));
        if self.lines.len() > 1 + MAX_OLD_SOCKETS {
            self.lines.pop_front();
        }
        self.used = false;
        Ok(())
    }

    fn has_fixed_port(&self) -> bool {
        self.options.bind.is_some_and(|address| address.port() != 0)
    }

    /// Checks that a payload fits in one datagram, including its armour.
    ///
    /// # Errors
    /// [`PlainSendError::TooLarge`] with both sizes.
    pub fn check(&self, payload: &[u8]) -> Result<(), PlainSendError> {
        self.sealed(payload).map(drop)
    }

    fn sealed<'a>(&self, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, PlainSendError> {
        let target = self.target();
        let mut limit = Socket::max_payload(&target);
        if self.dtls.is_some() {
            limit = MAX_DTLS_PAYLOAD.min(limit - DTLS_OVERHEAD);
        }
        let too_large =
            |sealed| PlainSendError::TooLarge { payload: payload.len(), sealed, limit, target };
        // Armour only adds bytes: a payload that is already too large need not be sealed.
        if payload.len() > limit {
            return Err(too_large(None));
        }
        let sealed = self
            .seal
            .seal(payload, clock::wall())
            .map_err(|source| PlainSendError::System { target, source })?;
        if sealed.len() > limit {
            return Err(too_large(Some(sealed.len())));
        }
        Ok(sealed)
    }

    /// Sends a message without waiting for anything. An error that the network reports at once (as
    /// on loopback) is returned; silence proves nothing.
    ///
    /// # Errors
    /// [`PlainSendError`].
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), PlainSendError> {
        let sealed = self.sealed(payload)?;
        loop {
            match self.transmit(&sealed).await {
                Err(PlainSendError::Unreachable { .. }) if self.next_target()? => {}
                done => return done,
            }
        }
    }

    /// Sends a message until the peer answers `ack_text` (trailing white space is ignored), as
    /// often as `policy` says. `setback` is called for each problem meanwhile; sending continues.
    ///
    /// # Errors
    /// [`PlainSendError::NotAcknowledged`] after the last attempt.
    pub async fn send_acknowledged(
        &mut self,
        payload: &[u8],
        ack_text: &[u8],
        policy: RetryPolicy,
        mut setback: impl FnMut(Setback<'_>),
    ) -> Result<Acknowledged, PlainSendError> {
        if self.used && !self.has_fixed_port() {
            self.open_socket()?;
        }
        // Unless a single attempt was acknowledged, more ACKs may be in transit.
        self.used = true;
        // Sealed once: a replay window must recognise a resend as the same message.
        let sealed = self.sealed(payload)?;
        self.connect().await?;
        self.instead = None;
        let started = clock::monotonic();
        let elapsed = || clock::monotonic().duration_since(started);
        let mut exchange = StopAndWait::new(policy);
        let mut report = None;
        loop {
            // Without randomness the waits do not vary.
            let random = getrandom::u32().unwrap_or(u32::MAX / 2);
            let problem = match exchange.poll(elapsed(), random) {
                Step::Send => {
                    let (target, tries) = (self.target(), exchange.tries() - 1);
                    let (most, spoken) = (exchange.most_tries(), self.hint);
                    let instead = self.instead.as_deref();
                    if tries > 0 {
                        setback(Setback::Again { target, tries, most, instead, spoken });
                    }
                    self.transmit(&sealed).await.err()
                }
                Step::Wait(wait) => match self.ack_within(wait, ack_text).await? {
                    Heard::Ack(by) => {
                        let tries = exchange.tries();
                        self.used = self.dtls.is_none() || tries > 1;
                        return Ok(Acknowledged { by, tries, elapsed: elapsed() });
                    }
                    Heard::Unreachable(error) => {
                        Some(PlainSendError::Unreachable { target: self.target(), error })
                    }
                    Heard::Nothing => {
                        if self.instead.is_some() {
                            exchange.on_heard();
                        }
                        if self.speaks_otherwise() {
                            return Err(self.not_acknowledged(exchange.tries(), report));
                        }
                        None
                    }
                },
                Step::GiveUp => return Err(self.not_acknowledged(exchange.tries(), report)),
            };
            match problem {
                None => {}
                Some(PlainSendError::Unreachable { target, error }) => {
                    setback(Setback::Unreachable { target, error: &error });
                    report = Some(error.to_string());
                    exchange.on_unreachable();
                    if self.next_target()? {
                        exchange = StopAndWait::new(policy);
                        report = None;
                    }
                }
                Some(other) => return Err(other),
            }
        }
    }

    /// Returns `true` if the peer has named another dialect often enough, and nothing else arrived.
    /// If the peer cannot open ours, the path may also be damaging datagrams.
    fn speaks_otherwise(&self) -> bool {
        let differs = self.hint.is_some_and(|dialect| dialect != self.dialect());
        differs && self.hints >= OTHER_DIALECT_REPORTS && self.instead.is_none()
    }

    fn not_acknowledged(&mut self, tries: u32, report: Option<String>) -> PlainSendError {
        let (target, spoken) = (self.target(), self.hint);
        PlainSendError::NotAcknowledged {
            target,
            tries,
            report,
            instead: self.instead.take(),
            spoken,
        }
    }

    async fn ack_within(
        &mut self,
        wait: Duration,
        ack_text: &[u8],
    ) -> Result<Heard, PlainSendError> {
        self.ack_text = ack_text.to_vec();
        match tokio::time::timeout(wait, self.hear(true)).await {
            Err(_) => Ok(Heard::Nothing),
            Ok(Ok(heard)) => Ok(heard),
            Ok(Err(source)) => Err(PlainSendError::System { target: self.target(), source }),
        }
    }

    /// Receives the next datagram from the peer. Cancel-safe.
    ///
    /// # Errors The error that the network or the system reported; receiving can continue. Over
    /// DTLS also the end of the association, of kind `ConnectionAborted` if the peer closed it.
    pub async fn recv(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                return Ok(reply);
            }
            if let Some(ended) = self.ended.take() {
                let kind = match ended {
                    Ended::ClosedByPeer => io::ErrorKind::ConnectionAborted,
                    _ => io::ErrorKind::Other,
                };
                return Err(io::Error::new(kind, ended));
            }
            if let Heard::Unreachable(error) = self.hear(false).await? {
                return Err(io::Error::new(error.source.kind(), error));
            }
        }
    }

    /// Waits for datagrams, and for errors about sent ones: the report of a distant router may be
    /// all that arrives.
    async fn hear(&mut self, awaits_ack: bool) -> io::Result<Heard> {
        let newest = Arc::clone(self.socket());
        self.flush().await;
        let deadline = self.lines.iter().filter_map(Line::deadline).min();
        tokio::select! {
            heard = std::future::poll_fn(|cx| self.poll_incoming(cx, awaits_ack)) => heard,
            error = newest.next_transport_error() => Ok(Heard::Unreachable(error?)),
            () = sleep_until(deadline) => {
                let now = clock::monotonic();
                for line in &mut self.lines {
                    line.handle_timeout(now);
                }
                self.note_end();
                Ok(Heard::Nothing)
            }
        }
    }

    /// Sends the associations' output that carries no messages. Datagrams that the system refuses
    /// are lost, and the associations retransmit.
    async fn flush(&mut self) {
        let target = self.target();
        for line in &mut self.lines {
            while let Some(datagram) = line.poll_output() {
                let _ = line.socket.send(&datagram, target, None).await;
            }
        }
    }

    /// Closes the DTLS association; a later message opens a new one.
    pub async fn close(&mut self) {
        for association in self.lines.iter_mut().filter_map(|line| line.association.as_mut()) {
            association.close(Ended::Closed);
        }
        self.flush().await;
    }

    /// Returns a reply that has already been received, if there is one.
    pub fn take_reply(&mut self) -> Option<Reply> {
        self.replies.pop_front()
    }

    /// Returns a datagram dropped since the last call, if there is one; the newest are kept.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        self.dropped.pop_front()
    }

    /// Returns what was dropped so far.
    #[must_use]
    pub const fn drops(&self) -> &Drops {
        self.gate.drops()
    }

    async fn transmit(&mut self, sealed: &[u8]) -> Result<(), PlainSendError> {
        let Some(config) = self.dtls.clone() else {
            self.used = true;
            return self.newest().send(sealed, self.target()).await;
        };
        self.shake_hands(&config).await?;
        let target = self.target();
        let association = self.newest_mut().association.as_mut();
        let sent = association.map_or(Err(NotSent::NoAssociation), |association| {
            association.send(sealed, clock::monotonic())
        });
        sent.map_err(|e| PlainSendError::System { target, source: io::Error::other(e) })?;
        while let Some(datagram) = self.newest_mut().poll_output() {
            self.newest().send(&datagram, target).await?;
        }
        Ok(())
    }

    /// Moves on to the next address of the name, if none has answered yet.
    fn next_target(&mut self) -> Result<bool, BindError> {
        if self.targets.len() < 2 {
            return Ok(false);
        }
        self.targets.pop_front();
        match self.open_socket() {
            // This address family is not available; another may be.
            Err(BindError::System { .. }) if self.targets.len() > 1 => self.next_target(),
            outcome => outcome.map(|()| true),
        }
    }

    /// Takes what has arrived on any of the sockets. Ready when the awaited ACK has arrived, or, if
    /// none is awaited, when there is a reply.
    fn poll_incoming(&mut self, cx: &mut Context<'_>, awaits_ack: bool) -> Poll<io::Result<Heard>> {
        for index in (0..self.lines.len()).rev() {
            let socket = Arc::clone(&self.lines[index].socket);
            while let Poll::Ready(received) = socket.poll_recv(cx, &mut self.batch) {
                match received {
                    Err(e) if is_report(&e) => {
                        let error = socket.transport_error();
                        let error = error.unwrap_or(Unreachable { reporter: None, source: e });
                        return Poll::Ready(Ok(Heard::Unreachable(error)));
                    }
                    Err(e) => return Poll::Ready(Err(e)),
                    Ok(()) => {}
                }
                let acknowledged_by = self.take_in(index);
                if let Some(by) = acknowledged_by.filter(|_| awaits_ack) {
                    return Poll::Ready(Ok(Heard::Ack(by)));
                }
                // An association may have output, or end.
                if self.dtls.is_some() || (!awaits_ack && !self.replies.is_empty()) {
                    return Poll::Ready(Ok(Heard::Nothing));
                }
            }
        }
        Poll::Pending
    }

    /// Sorts a received batch into ACKs and replies. Returns the peer that acknowledged the newest
    /// message, if any: an ACK at an older port belongs to an older message.
    fn take_in(&mut self, index: usize) -> Option<SocketAddr> {
        let target = self.target();
        let anyone = self.options.socket.broadcast || target.ip().is_multicast();
        let to = self.lines[index].socket.local_addr();
        let now = clock::wall();
        let is_newest = index + 1 == self.lines.len();
        self.note_hints(target);
        let arrived = self.take_in_dtls(index);
        let datagrams: Box<dyn Iterator<Item = Datagram<'_>>> = match &arrived {
            Some(arrived) => Box::new(arrived.iter().map(Arrived::datagram)),
            None => Box::new(self.batch.iter()),
        };
        let ack_text = self.ack_text.trim_ascii_end();
        let mut acknowledged_by = None;
        for datagram in datagrams {
            if !anyone && !same_endpoint(datagram.from, target) {
                continue;
            }
            let received = match self.gate.pass(datagram, now) {
                Ok(received) => received,
                Err(dropped) => {
                    push_bounded(&mut self.dropped, dropped);
                    continue;
                }
            };
            // The peer has answered: keep this address.
            self.targets.truncate(1);
            if !self.ack_text.is_empty() && received.payload.trim_ascii_end() == ack_text {
                acknowledged_by = acknowledged_by.or(is_newest.then_some(received.from.peer));
                continue;
            }
            if !self.ack_text.is_empty() && Dialect::of_hint(&received.payload).is_none() {
                self.instead = Some(received.payload.to_vec());
            }
            push_bounded(&mut self.replies, Reply::new(received, to));
        }
        acknowledged_by
    }

    /// Records the dialect that the peer claims. Anyone can send that in its name.
    fn note_hints(&mut self, target: SocketAddr) {
        for datagram in self.batch.iter().filter(|d| same_endpoint(d.from, target)) {
            if let Some(dialect) = Dialect::of_hint(datagram.bytes) {
                self.hint = Some(dialect);
                self.hints += 1;
            }
        }
    }
}

const ALWAYS_ONE: &str = "a line is opened at the start and one is always kept";

/// If nobody takes them, the oldest is dropped first.
fn push_bounded<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == MAX_WAITING_REPLIES {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// What arrived while waiting.
enum Heard {
    Ack(SocketAddr),
    Unreachable(Unreachable),
    Nothing,
}

/// Zone and flow label do not distinguish peers.
fn same_endpoint(a: SocketAddr, b: SocketAddr) -> bool {
    let ip = |address: SocketAddr| -> IpAddr { address.ip().to_canonical() };
    ip(a) == ip(b) && a.port() == b.port()
}

fn no_target() -> BindError {
    let source = io::Error::new(io::ErrorKind::InvalidInput, "no address to send to");
    BindError::System { address: SocketAddr::new([0, 0, 0, 0].into(), 0), source }
}
#[cfg(test)]
mod tests;
