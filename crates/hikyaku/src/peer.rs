//! One connection, as the driver knows it: its mailbox on one side, its protocol on the other.
//!
//! In: what is in the mailbox, what the protocol has. Out: the same, on the other side. Never: the
//! socket, another connection.

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
    mailbox::{Mailbox, Request, Staged},
    shared::{Established, Shared, Unanswered},
    signers::Signer,
    turns::Lane,
};

/// Who dialled, and waits for a connection.
pub(crate) type Dialler = oneshot::Sender<Result<Established, Unanswered>>;

/// A connection, as the driver knows it.
pub(crate) struct Peer {
    pub(crate) mailbox: Arc<Mailbox>,
    /// What is logged of it.
    pub(crate) span: Span,
    /// Room for what is taken from the mailbox.
    staged: VecDeque<Staged>,
    /// Messages for which the protocol had no room, in the order they were sent on each lane. What
    /// was staged until the mailbox knew of it is all that waits here.
    waiting: BTreeMap<Lane, VecDeque<Staged>>,
    /// Until the connection is established.
    pub(crate) dialler: Option<Dialler>,
    /// Times that its far end said that it speaks another dialect.
    pub(crate) hints: u32,
    /// When the network first reported the port closed that is dialled.
    pub(crate) refused_at: Option<Time>,
    established: bool,
    /// It has ended, and where it ended here the CLOSE has left.
    over: bool,
    /// Who waits for a PING, and when it was asked for.
    pings: Vec<(Time, oneshot::Sender<Option<Duration>>)>,
    /// Who waits until all that was asked before is done.
    synchronizing: Vec<oneshot::Sender<()>>,
    /// It is to end when all that waits is delivered, or then.
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
            mailbox: Arc::new(Mailbox::new(handle, Arc::clone(shared), remote)),
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

    /// The peer has proved who it is: whoever wants the connection gets it.
    pub(crate) fn establish(&mut self, now: Time, connection: &mut Connection, shared: &Shared) {
        self.established = true;
        let key = connection.peer_key().and_then(|key| Signer::from_key(&key));
        let Some(key) = key else {
            return connection.close(now, Close::REFUSED, "the key is a weak one");
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
            return connection.close(now, Close::REFUSED, "not wanted any more");
        }
        self.deliver(now, connection);
    }

    /// Takes what is in the mailbox.
    pub(crate) fn serve(&mut self, now: Time, connection: &mut Connection) {
        let mut staged = mem::take(&mut self.staged);
        for request in self.mailbox.take(&mut staged) {
            self.answer(now, connection, request);
        }
        for message in staged.drain(..) {
            self.send(now, connection, message);
        }
        self.staged = staged;
        self.push(now, connection);
        self.close_if_ready(now, connection);
        self.deliver(now, connection);
        for reply in self.synchronizing.drain(..) {
            let _ = reply.send(());
        }
    }

    /// Publishes what is known of the connection.
    pub(crate) fn publish(&self, connection: &Connection) {
        self.mailbox.publish(connection.stats(), connection.queued_by_channel());
    }

    /// Gives the protocol a message, or lets it wait behind those of its lane.
    fn send(&mut self, now: Time, connection: &mut Connection, message: Staged) {
        let waits = !self.waiting.is_empty() && self.waiting.contains_key(&message.lane());
        let left = if waits { Err(message) } else { give(now, connection, &self.mailbox, message) };
        let Err(message) = left else { return };
        self.mailbox.park(&message);
        self.waiting.entry(message.lane()).or_default().push_back(message);
    }

    /// Gives the protocol what waits, as far as there is room.
    pub(crate) fn push(&mut self, now: Time, connection: &mut Connection) {
        let mailbox = &self.mailbox;
        self.waiting.retain(|lane, messages| {
            let mut bytes = 0;
            while let Some(message) = messages.pop_front() {
                let cost = message.cost();
                if let Err(message) = give(now, connection, mailbox, message) {
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
            // `serve` ends it, once what was staged before has been sent.
            Request::CloseGracefully { within } => self.plan_close(now + within),
        }
    }

    /// It is to end within this time, or the shorter one that was asked for before.
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

    /// When it ends at the latest, where it is to end.
    pub(crate) const fn close_by(&self) -> Option<Time> {
        self.close_by
    }

    /// Ends the connection: gracefully, once the protocol has all that was sent, or because the
    /// time is up, whatever a peer that reads nothing has left no room for.
    fn close_if_ready(&self, now: Time, connection: &mut Connection) {
        match self.close_by {
            Some(by) if by <= now => connection.close(now, Close::NO_ERROR, ""),
            Some(by) if self.waiting.is_empty() && self.mailbox.is_empty() => {
                connection.close_gracefully(now, by.since(now));
            }
            _ => {}
        }
    }

    /// A PING that was asked for then has come back, or is lost.
    pub(crate) fn tell_ping(&mut self, asked: Time, took: Option<Duration>) {
        for (_, reply) in self.pings.extract_if(.., |(at, _)| *at == asked) {
            let _ = reply.send(took);
        }
    }

    /// Gives the application what has come, and the protocol the room of what was taken.
    pub(crate) fn deliver(&self, now: Time, connection: &mut Connection) {
        if self.established {
            self.exchange(now, connection);
        }
    }

    fn exchange(&self, now: Time, connection: &mut Connection) {
        let remote = connection.remote();
        self.mailbox.deliver(remote, |queue, arrived| connection.exchange(now, queue, arrived));
    }

    /// It is over: the application gets all that came, and is told.
    pub(crate) fn close(&mut self, now: Time, connection: &mut Connection, closed: Closed) {
        self.exchange(now, connection);
        self.mailbox.keep_charge(connection.charge_unread());
        self.lose(closed);
    }

    /// It is over, and the protocol has nothing of it any more.
    pub(crate) fn lose(&mut self, closed: Closed) {
        self.span.in_scope(|| debug!(%closed, "over"));
        self.over = true;
        self.end(closed);
    }

    /// Nobody waits for it any more.
    pub(crate) fn end(&mut self, closed: Closed) {
        if let Some(dialler) = self.dialler.take() {
            let _ = dialler.send(Err(Unanswered::Closed(closed.clone())));
        }
        let left: usize = self.waiting.values().map(VecDeque::len).sum();
        self.mailbox.close(closed, left as u64);
    }
}

/// Gives the protocol a message; returns it when there is no room for it now. Then `Writable`
/// follows, or `Closed`.
fn give(
    now: Time,
    connection: &mut Connection,
    mailbox: &Mailbox,
    message: Staged,
) -> Result<(), Staged> {
    let Staged { number, channel, delivery, payload, repeatable } = message;
    let mut outgoing = Outgoing::new(channel, delivery, payload).with_receipt(ReceiptId(number));
    outgoing.repeatable = repeatable;
    match connection.send(now, outgoing) {
        Ok(_) => Ok(()),
        Err(Refused { reason: QueueError::TooLarge, .. }) => {
            let mut outcome = Some((ReceiptId(number), Outcome::TooLarge));
            mailbox.settle(|| outcome.take());
            Ok(())
        }
        Err(Refused { payload, .. }) => {
            Err(Staged { number, channel, delivery, payload, repeatable })
        }
    }
}
