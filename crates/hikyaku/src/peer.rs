//! One connection of the driver: moves data between its mailbox and its protocol state.
//!
//! In: staged messages and requests, events of the protocol. Out: calls of the protocol, deliveries
//! to the mailbox. Never: the socket, another connection.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use hikyaku_proto::{
    Class, Connection, ConnectionHandle, Outcome, Outgoing, QueueError, ReceiptId, Refused,
    error::Close, time::Time,
};
use tokio::sync::oneshot;
use tracing::{Span, debug, debug_span};

use crate::{
    closed::Closed,
    keys::signers::Signer,
    mailbox::{Mailbox, Request, Staged},
    shared::{Established, Shared, Unanswered},
    turns::Lane,
    wakes::Wakes,
};

/// Completes a call of `connect`.
pub(crate) type Dialler = oneshot::Sender<Result<Established, Unanswered>>;

/// A connection of the driver.
pub(crate) struct Peer {
    pub(crate) mailbox: Arc<Mailbox>,
    /// The span of its log entries.
    pub(crate) span: Span,
    /// A reused buffer for what is taken from the mailbox.
    staged: VecDeque<Staged>,
    /// Messages for which the protocol had no room, in the order they were sent on each lane. Only
    /// messages staged before the mailbox marked the lane as blocked wait here.
    waiting: BTreeMap<Lane, VecDeque<Staged>>,
    /// Until the connection is established.
    pub(crate) dialler: Option<Dialler>,
    /// How often the far end named another dialect.
    pub(crate) hints: u32,
    /// When the network first reported the remote port as closed.
    pub(crate) refused_at: Option<Time>,
    established: bool,
    /// The connection is closed.
    over: bool,
    /// Calls that wait for a PING, with the time of the request.
    pings: Vec<(Time, oneshot::Sender<Option<Duration>>)>,
    /// Calls that wait until all earlier requests are done.
    synchronizing: Vec<oneshot::Sender<()>>,
    /// Close when everything is delivered, at this time at the latest.
    close_by: Option<Time>,
}

impl Peer {
    pub(crate) fn new(
        handle: ConnectionHandle,
        shared: &Arc<Shared>,
        remote: SocketAddr,
        dialler: Option<Dialler>,
    ) -> Self {
        Self {
            span: debug_span!("connection", %remote, dialled = dialler.is_some()),
            mailbox: Arc::new(Mailbox::new(handle, Arc::clone(&shared.requests), remote)),
            staged: VecDeque::new(),
            waiting: BTreeMap::new(),
            dialler,
            hints: 0,
            refused_at: None,
            established: false,
            over: false,
            pings: Vec::new(),
            synchronizing: Vec::new(),
            close_by: None,
        }
    }

    /// Hands the connection over: the peer has proved its identity.
    pub(crate) fn establish(
        &mut self,
        now: Time,
        connection: &mut Connection,
        shared: &Shared,
        wakes: &mut Wakes,
    ) {
        self.established = true;
        let key = connection.peer_key().and_then(|key| Signer::from_key(&key));
        let Some(key) = key else {
            return connection.close(now, Close::REFUSED, "the key is weak");
        };
        self.span.in_scope(|| debug!(peer = %key.fingerprint(), "established"));
        self.mailbox.set_longest(Class::ALL.map(|class| connection.max_message(class)));
        let established = Established {
            mailbox: Arc::clone(&self.mailbox),
            peer: key,
            shares_application: connection.shares_application(),
        };
        let wanted = match self.dialler.take() {
            Some(dialler) => dialler.send(Ok(established)).is_ok(),
            None if connection.is_client() => false,
            None => shared.came_in(established),
        };
        if !wanted {
            return connection.close(now, Close::REFUSED, "the caller gave up");
        }
        self.deliver(now, connection, wakes);
    }

    /// Processes the contents of the mailbox.
    pub(crate) fn serve(&mut self, now: Time, connection: &mut Connection, wakes: &mut Wakes) {
        let mut staged = mem::take(&mut self.staged);
        for request in self.mailbox.take(&mut staged) {
            self.answer(now, connection, request);
        }
        for message in staged.drain(..) {
            self.send(now, connection, message, wakes);
        }
        self.staged = staged;
        self.push(now, connection, wakes);
        self.close_if_ready(now, connection);
        self.deliver(now, connection, wakes);
        for reply in self.synchronizing.drain(..) {
            let _ = reply.send(());
        }
    }

    /// Publishes the statistics of the connection.
    pub(crate) fn publish(&self, connection: &Connection) {
        self.mailbox.publish(connection.stats(), connection.queued_by_channel());
    }

    /// Passes a message to the protocol, or queues it behind those of its lane.
    fn send(&mut self, now: Time, connection: &mut Connection, message: Staged, wakes: &mut Wakes) {
        let waits = !self.waiting.is_empty() && self.waiting.contains_key(&message.lane());
        let left = match waits {
            true => Err(message),
            false => give(now, connection, &self.mailbox, message, wakes),
        };
        let Err(message) = left else { return };
        self.mailbox.park(&message);
        self.waiting.entry(message.lane()).or_default().push_back(message);
    }

    /// Passes waiting messages to the protocol, as far as there is room.
    pub(crate) fn push(&mut self, now: Time, connection: &mut Connection, wakes: &mut Wakes) {
        let mailbox = &self.mailbox;
        self.waiting.retain(|lane, messages| {
            let mut bytes = 0;
            while let Some(message) = messages.pop_front() {
                let cost = message.cost();
                if let Err(message) = give(now, connection, mailbox, message, wakes) {
                    messages.push_front(message);
                    break;
                }
                bytes += cost;
            }
            if bytes > 0 {
                mailbox.unpark(*lane, bytes, messages.is_empty());
            }
            !messages.is_empty()
        });
    }

    fn answer(&mut self, now: Time, connection: &mut Connection, request: Request) {
        match request {
            Request::Priority(channel, priority) => connection.set_priority(channel, priority),
            Request::Synchronize(reply) => self.synchronizing.push(reply),
            Request::Ping(reply) => self.pings.push((connection.timed_ping(now), reply)),
            Request::Close { code, reason } => connection.close(now, code, &reason),
            // `serve` closes it, once the protocol has the messages that were staged before.
            Request::CloseGracefully { within } => self.plan_close(now + within),
        }
    }

    /// Closes it within this time, or the shorter one requested before.
    pub(crate) fn close_within(
        &mut self,
        now: Time,
        connection: &mut Connection,
        within: Duration,
    ) {
        self.plan_close(now + within);
        self.close_if_ready(now, connection);
    }

    fn plan_close(&mut self, by: Time) {
        self.close_by = Some(self.close_by.map_or(by, |before| before.min(by)));
    }

    pub(crate) const fn is_established(&self) -> bool {
        self.established
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// Returns the time by which it must be closed, if it is closing.
    pub(crate) const fn close_by(&self) -> Option<Time> {
        self.close_by
    }

    /// Closes the connection: gracefully, once the protocol has all messages, or at the deadline,
    /// even if messages are left because the peer reads nothing.
    fn close_if_ready(&self, now: Time, connection: &mut Connection) {
        match self.close_by {
            Some(by) if by <= now => connection.close(now, Close::NO_ERROR, ""),
            Some(by) if self.waiting.is_empty() && self.mailbox.is_empty() => {
                connection.close_gracefully(now, by.since(now));
            }
            _ => {}
        }
    }

    /// Answers the calls whose PING, requested at `asked`, was acknowledged or lost.
    pub(crate) fn answer_ping(&mut self, asked: Time, took: Option<Duration>) {
        for (_, reply) in self.pings.extract_if(.., |(at, _)| *at == asked) {
            let _ = reply.send(took);
        }
    }

    /// Moves received messages to the mailbox, and returns the room of taken ones to the protocol.
    /// Returns `true` if a waiting reader must be woken for them.
    pub(crate) fn deliver(
        &self,
        now: Time,
        connection: &mut Connection,
        wakes: &mut Wakes,
    ) -> bool {
        self.established && self.exchange(now, connection, wakes)
    }

    fn exchange(&self, now: Time, connection: &mut Connection, wakes: &mut Wakes) -> bool {
        let remote = connection.remote();
        self.mailbox
            .deliver(remote, wakes, |queue, arrived| connection.exchange(now, queue, arrived))
    }

    /// Delivers everything that was received, and reports the close to the application.
    pub(crate) fn close(
        &mut self,
        now: Time,
        connection: &mut Connection,
        closed: Closed,
        wakes: &mut Wakes,
    ) {
        self.exchange(now, connection, wakes);
        self.mailbox.keep_charge(connection.charge_unread());
        self.lose(closed);
    }

    /// Removes the connection: it has ended, and the protocol has forgotten it.
    pub(crate) fn lose(&mut self, closed: Closed) {
        self.span.in_scope(|| debug!(%closed, "over"));
        self.over = true;
        self.end(closed);
    }

    /// Completes all waiting calls with the reason of the close.
    pub(crate) fn end(&mut self, closed: Closed) {
        if let Some(dialler) = self.dialler.take() {
            let _ = dialler.send(Err(Unanswered::Closed(closed.clone())));
        }
        let left: usize = self.waiting.values().map(VecDeque::len).sum();
        self.mailbox.close(closed, left as u64);
    }
}

/// Passes a message to the protocol. Returns the message if there is no room; an event `Writable`
/// or `Closed` follows then.
fn give(
    now: Time,
    connection: &mut Connection,
    mailbox: &Mailbox,
    message: Staged,
    wakes: &mut Wakes,
) -> Result<(), Staged> {
    let Staged { number, channel, delivery, payload, repeatable } = message;
    let mut outgoing = Outgoing::new(channel, delivery, payload).with_receipt(ReceiptId(number));
    outgoing.repeatable = repeatable;
    match connection.send(now, outgoing) {
        Ok(_) => Ok(()),
        Err(Refused { reason: QueueError::TooLarge, .. }) => {
            let mut outcome = Some((ReceiptId(number), Outcome::TooLarge));
            mailbox.record_outcomes(wakes, || outcome.take());
            Ok(())
        }
        Err(Refused { payload, .. }) => {
            Err(Staged { number, channel, delivery, payload, repeatable })
        }
    }
}
