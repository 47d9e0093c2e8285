//! The queues between the handles of one connection and the driver.
//!
//! In: messages to send and requests, from applications; messages received and outcomes, from the
//! driver. Out: the same, on the other side. Never: a socket, the protocol.
//!
//! ```text
//! send ─▶ staged ──▶ driver        one lock per message, one wake-up of the driver per batch
//! recv ◀─ received ◀── driver      one lock and one wake-up per batch on the driver's side
//! ```

// Longer than 400 lines: applications and the driver change one state under one lock.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use hikyaku_proto::{
    ChannelId, Charge, Class, Compactor, ConnectionHandle, ConnectionStats, Delivery, Message,
    Outcome, ReceiptId, ReceiveQueue, time::Time,
};
use tokio::{
    sync::{Notify, oneshot},
    task::coop::{Coop, cooperative},
    time::timeout_at,
};

use crate::{
    closed::{Closed, SendError},
    limits::{MAX_PARKED, MAX_STAGED, MESSAGE_COST, STAGED_UNSEEN},
    outcomes::{Known, Outcomes},
    queued::Queued,
    received::Received,
    requests::Requests,
    turns::{Lane, Turns},
    wakes::Wakes,
};

mod sending;
mod state;

use self::{sending::Sending, state::is_failure};

/// One connection's mailbox.
pub(crate) struct Mailbox {
    pub(crate) handle: ConnectionHandle,
    requests: Arc<Requests>,
    state: Mutex<State>,
    /// Notifies of the end of the connection.
    over: Notify,
}

/// A message that is passed to the protocol.
pub(crate) struct Staged {
    /// The number of its receipt, assigned when it is staged.
    pub(crate) number: u64,
    pub(crate) channel: ChannelId,
    pub(crate) delivery: Delivery,
    pub(crate) payload: Bytes,
    pub(crate) repeatable: bool,
}

impl Staged {
    pub(crate) fn new(channel: impl Into<ChannelId>, delivery: Delivery, payload: Bytes) -> Self {
        Self { number: 0, channel: channel.into(), delivery, payload, repeatable: false }
    }

    pub(crate) fn lane(&self) -> Lane {
        (self.channel, self.delivery.class())
    }

    /// Returns the bytes that it counts in the mailbox.
    pub(crate) fn cost(&self) -> usize {
        self.payload.len() + MESSAGE_COST
    }
}

/// A request of an application, other than sending.
pub(crate) enum Request {
    Priority(ChannelId, u8),
    /// Answered when all earlier requests are done.
    Synchronize(oneshot::Sender<()>),
    Ping(oneshot::Sender<Option<Duration>>),
    Close {
        code: u64,
        reason: String,
    },
    CloseGracefully {
        within: Duration,
    },
}

/// The state of the tasks that receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// Unknown: they are busy, or poll.
    Busy,
    /// One waits for a message.
    Waits,
    /// One was woken for a message. It has neither sent anything since nor waits again.
    Called,
}

pub(crate) struct State {
    staged: VecDeque<Staged>,
    staged_bytes: usize,
    compactor: Compactor,
    /// Bytes of messages that the driver has taken and the protocol has no room for.
    parked_bytes: usize,
    queued: Queued,
    stats: ConnectionStats,
    turns: Turns,
    requests: Vec<Request>,
    /// `true` if the driver was notified of the mailbox's contents.
    listed: bool,
    /// This side is closing: nothing more is staged.
    closing: bool,
    /// The number of the next message.
    next: u64,
    /// Messages staged since a task last began to wait for a message or an outcome.
    staged_since_wait: u64,
    /// One message was staged between the last two waits: the program asks or answers, and then
    /// waits.
    alternates: bool,

    /// The longest message of each class.
    longest: [usize; Class::ALL.len()],

    received: Received,
    reader: Reader,
    /// What the endpoint is charged for messages that are still unread after the end.
    charge: Option<Charge>,
    /// No handle is left: waiting messages will not be received.
    unwanted: bool,

    outcomes: Outcomes,
    /// Tasks that wait for the outcome of a message, by its number and their own ticket.
    waiting: BTreeMap<(u64, u64), Waker>,
    tickets: u64,
    /// The number of messages that were not delivered by the end of the connection.
    undelivered: u64,
    remote: SocketAddr,
    closed: Option<Closed>,
    /// Nothing more is sent: the peer has received the close, or does not answer.
    released: bool,
}

impl Mailbox {
    pub(crate) fn new(
        handle: ConnectionHandle,
        requests: Arc<Requests>,
        remote: SocketAddr,
    ) -> Self {
        Self {
            handle,
            requests,
            state: Mutex::new(State {
                staged: VecDeque::new(),
                staged_bytes: 0,
                compactor: Compactor::default(),
                parked_bytes: 0,
                queued: Queued::default(),
                stats: ConnectionStats::default(),
                turns: Turns::default(),
                requests: Vec::new(),
                listed: false,
                closing: false,
                next: 0,
                staged_since_wait: 0,
                alternates: false,
                longest: [usize::MAX; Class::ALL.len()],
                received: Received::new(),
                reader: Reader::Busy,
                charge: None,
                unwanted: false,
                outcomes: Outcomes::default(),
                waiting: BTreeMap::new(),
                tickets: 0,
                undelivered: 0,
                remote,
                closed: None,
                released: false,
            }),
            over: Notify::new(),
        }
    }

    #[cfg(test)]
    pub(crate) const fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave this state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notifies the driver that the mailbox is not empty, unless it has been notified.
    fn list(&self, state: &mut State) {
        if !mem::replace(&mut state.listed, true) {
            self.requests.list(self.handle);
        }
    }

    // The application's side.

    /// Stages a message and returns its number, or returns its payload with the error.
    pub(crate) fn try_send(&self, message: Staged) -> Result<u64, (Bytes, SendError)> {
        let mut state = self.lock();
        if let Err(error) = state.check(&message) {
            return Err((message.payload, error));
        }
        if !state.has_room(message.lane()) || state.turns.must_wait(message.lane()) {
            return Err((message.payload, SendError::Full));
        }
        let (number, takes_turn) = self.stage_alone(&mut state, message);
        drop(state);
        if takes_turn {
            self.requests.take_turn();
        }
        Ok(number)
    }

    /// Stages a message as [`Self::try_send`], waiting for its turn while there is no room. A task
    /// that sends without a pause yields to the other tasks of its thread (cooperative scheduling).
    pub(crate) fn send(&self, message: Staged) -> Coop<Sending<'_>> {
        cooperative(Sending { mailbox: self, message: Some(message), turn: None })
    }

    fn stage(&self, state: &mut State, message: Staged) -> u64 {
        let number = state.push(message);
        self.list(state);
        number
    }

    /// Stages a message. Returns its number, and `true` if the caller runs the driver's next turn:
    /// the message is expected to be alone, and the driver waits.
    fn stage_alone(&self, state: &mut State, message: Staged) -> (u64, bool) {
        let alone = state.alternates && state.staged_since_wait == 0 && !state.listed;
        let number = state.push(message);
        if alone && self.requests.list_for_turn(self.handle) {
            state.listed = true;
            return (number, true);
        }
        self.list(state);
        (number, false)
    }

    /// Calls `take` with up to `limit` messages of this channel, or of all that are not dedicated.
    fn try_recv_with(
        &self,
        channel: Option<ChannelId>,
        limit: usize,
        mut take: impl FnMut(Message),
    ) -> Result<usize, Closed> {
        let state = &mut *self.lock();
        let queue = &mut state.received.queue;
        if state.closed.is_some() {
            queue.release_held();
        }
        // Most queues hold no Deadline message, so that the time is not needed.
        let now = if queue.has_deadlines() { self.requests.clock.now() } else { Time::ZERO };
        let mut count = 0;
        while count < limit
            && let Some(message) = queue.take(now, channel)
        {
            take(message);
            count += 1;
        }
        let Some(closed) = &state.closed else {
            if queue.is_report_due() {
                self.list(state);
            }
            return Ok(count);
        };
        queue.forget_taken();
        if queue.is_empty() {
            state.charge = None;
        }
        if count == 0 { Err(closed.clone()) } else { Ok(count) }
    }

    /// Returns a message, if there is one.
    pub(crate) fn try_recv(&self, channel: Option<ChannelId>) -> Result<Option<Message>, Closed> {
        let mut message = None;
        self.try_recv_with(channel, 1, |one| message = Some(one))?;
        Ok(message)
    }

    pub(crate) async fn recv(&self, channel: Option<ChannelId>) -> Result<Message, Closed> {
        let mut message = None;
        self.recv_with(channel, 1, |one| message = Some(one)).await?;
        Ok(message.expect("recv_with gave one"))
    }

    /// Waits for a message, and takes up to `limit` of them.
    pub(crate) async fn recv_with(
        &self,
        channel: Option<ChannelId>,
        limit: usize,
        mut take: impl FnMut(Message),
    ) -> Result<usize, Closed> {
        if limit == 0 {
            return Ok(0);
        }
        let mut arrived = None;
        loop {
            let count = self.try_recv_with(channel, limit, &mut take)?;
            if count > 0 {
                return Ok(count);
            }
            let arrived: &Notify =
                arrived.get_or_insert_with(|| self.lock().received.arrived(channel));
            let notified = arrived.notified();
            let count = self.try_recv_with(channel, limit, &mut take)?;
            if count > 0 {
                return Ok(count);
            }
            match self.note_reader() {
                None => notified.await,
                Some(at) => _ = timeout_at(self.requests.clock.instant(at), notified).await,
            }
        }
    }

    /// Notes that a reader waits. If it was woken for a message and has sent no answer, no answer
    /// will carry the ACK. Returns the time at which a message can be taken although an earlier one
    /// is missing.
    fn note_reader(&self) -> Option<Time> {
        let mut state = self.lock();
        let before = mem::replace(&mut state.reader, Reader::Waits);
        state.note_wait();
        let release = state.received.queue.next_release();
        drop(state);
        if before == Reader::Called {
            self.requests.note_unanswered();
        }
        release
    }

    /// Keeps Deadline messages in order from now on, of this channel or of all.
    pub(crate) fn keep_order(&self, channel: Option<ChannelId>) {
        self.lock().received.queue.keep_order(channel);
    }

    /// Sends a request to the driver.
    pub(crate) fn request(&self, request: Request) -> Result<(), Closed> {
        let mut state = self.lock();
        if let Some(closed) = &state.closed {
            return Err(closed.clone());
        }
        let mut ended = Vec::new();
        match request {
            Request::CloseGracefully { .. } | Request::Close { .. } => {
                state.closing = true;
                ended = state.turns.end();
            }
            Request::Priority(channel, priority) => state.turns.set_priority(channel, priority),
            _ => {}
        }
        state.requests.push(request);
        self.list(&mut state);
        drop(state);
        ended.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Closes the connection because no handle is left: sent messages are delivered within
    /// `linger`, and received ones are dropped at the close.
    pub(crate) fn let_go(&self, linger: Duration) {
        let _ = self.request(Request::CloseGracefully { within: linger });
        let mut state = self.lock();
        state.unwanted = true;
        state.forget_unwanted();
    }

    /// Returns what is known about a message.
    pub(crate) fn outcome(&self, number: u64) -> Known {
        self.lock().outcome(number)
    }

    /// Polls the outcome of a message, under a ticket that the first call assigns.
    pub(crate) fn poll_outcome(
        &self,
        number: u64,
        ticket: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Known> {
        let state = &mut *self.lock();
        let known = state.outcome(number);
        if known != Known::NotYet {
            return Poll::Ready(known);
        }
        let ticket = ticket.get_or_insert_with(|| {
            state.tickets += 1;
            state.tickets
        });
        state.waiting.insert((number, *ticket), cx.waker().clone());
        state.note_wait();
        Poll::Pending
    }

    pub(crate) fn forget_waiting(&self, number: u64, ticket: u64) {
        self.lock().waiting.remove(&(number, ticket));
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.lock().remote
    }

    /// Returns the statistics last published, with the bytes queued now.
    pub(crate) fn stats(&self) -> ConnectionStats {
        let state = self.lock();
        let mut stats = state.stats;
        stats.queued_bytes = state.queued_bytes(None);
        stats
    }

    /// Returns the bytes queued on this channel, or on all.
    pub(crate) fn queued_bytes(&self, channel: Option<ChannelId>) -> usize {
        self.lock().queued_bytes(channel)
    }

    /// Returns why it was closed, if it was.
    pub(crate) fn close_reason(&self) -> Option<Closed> {
        self.lock().closed.clone()
    }

    pub(crate) async fn closed(&self) -> Closed {
        loop {
            let over = self.over.notified();
            if let Some(closed) = &self.lock().closed {
                return closed.clone();
            }
            over.await;
        }
    }

    /// Waits until the peer has confirmed the close, or does not answer.
    pub(crate) async fn released(&self) {
        loop {
            let over = self.over.notified();
            if self.lock().released {
                return;
            }
            over.await;
        }
    }

    /// Returns the number of messages that were not delivered, once it is closed.
    pub(crate) fn undelivered(&self) -> u64 {
        self.lock().undelivered
    }

    // The driver's side.

    /// Takes all requests, and moves staged messages to `staged`, which is empty.
    pub(crate) fn take(&self, staged: &mut VecDeque<Staged>) -> Vec<Request> {
        let mut state = self.lock();
        state.listed = false;
        mem::swap(&mut state.staged, staged);
        state.queued.take(staged.iter().map(|message| (message.channel, message.cost())));
        state.staged_bytes = 0;
        state.compactor.release();
        let requests = mem::take(&mut state.requests);
        let granted = state.grant();
        drop(state);
        granted.into_iter().for_each(Waker::wake);
        requests
    }

    /// Counts a message that waits in the driver because the protocol has no room for its lane.
    pub(crate) fn park(&self, message: &Staged) {
        let mut state = self.lock();
        state.parked_bytes += message.cost();
        state.queued.park(message.channel, message.cost());
        state.turns.set_blocked(message.lane(), true);
    }

    /// Removes `bytes` of parked messages of this lane. With `all`, no more of them wait.
    pub(crate) fn unpark(&self, lane: Lane, bytes: usize, all: bool) {
        let mut state = self.lock();
        state.parked_bytes = state.parked_bytes.saturating_sub(bytes);
        state.queued.unpark(lane.0, bytes);
        if all {
            state.turns.set_blocked(lane, false);
        }
        let granted = state.grant();
        drop(state);
        granted.into_iter().for_each(Waker::wake);
    }

    /// Publishes the statistics and the protocol's queue, after all taken messages were passed on.
    pub(crate) fn publish(
        &self,
        stats: ConnectionStats,
        queue: impl Iterator<Item = (ChannelId, usize)>,
    ) {
        let mut state = self.lock();
        state.stats = stats;
        state.queued.publish(queue);
    }

    /// Returns `true` if nothing is staged.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().staged.is_empty()
    }

    /// Sets the length of the longest message of each class that the peer accepts.
    pub(crate) fn set_longest(&self, longest: [usize; Class::ALL.len()]) {
        self.lock().longest = longest;
    }

    /// Delivers messages: `exchange` moves them to the queue it receives. Returns `true` if a
    /// waiting reader must be woken for them.
    pub(crate) fn deliver(
        &self,
        remote: SocketAddr,
        wakes: &mut Wakes,
        exchange: impl FnOnce(&mut ReceiveQueue, &mut dyn FnMut(Option<ChannelId>)),
    ) -> bool {
        let mut state = self.lock();
        state.remote = remote;
        state.received.fill(wakes, exchange);
        let called = state.reader == Reader::Waits && !state.received.queue.is_empty();
        if called {
            state.reader = Reader::Called;
        }
        called
    }

    /// Records outcomes: calls `next` until it returns `None`.
    pub(crate) fn record_outcomes(
        &self,
        wakes: &mut Wakes,
        mut next: impl FnMut() -> Option<(ReceiptId, Outcome)>,
    ) {
        let mut state = self.lock();
        while let Some((ReceiptId(number), outcome)) = next() {
            state.outcomes.insert(number, outcome);
            state.undelivered += u64::from(is_failure(outcome));
            if !state.waiting.is_empty() {
                state.take_waiting(number, &mut wakes.tasks);
            }
        }
    }

    /// Closes the mailbox, and wakes all waiting calls. `left` messages never reached the protocol.
    pub(crate) fn close(&self, closed: Closed, left: u64) {
        let mut state = self.lock();
        state.undelivered += left + state.staged.len() as u64;
        state.staged = VecDeque::new();
        state.staged_bytes = 0;
        state.queued = Queued::default();
        state.requests = Vec::new();
        state.closed.get_or_insert(closed);
        let waiting = mem::take(&mut state.waiting);
        let senders = state.turns.end();
        // A reader with a weak handle may wait on a queue that is dropped.
        state.received.wake_all();
        state.forget_unwanted();
        drop(state);
        waiting.into_values().chain(senders).for_each(Waker::wake);
        self.over.notify_waiters();
    }

    /// Keeps waiting messages charged to the endpoint after the close, until they are received.
    pub(crate) fn keep_charge(&self, charge: Charge) {
        let mut state = self.lock();
        if !state.received.queue.is_empty() {
            state.charge = Some(charge);
        }
    }

    /// Marks the connection as drained: nothing more is sent.
    pub(crate) fn release(&self) {
        self.lock().released = true;
        self.over.notify_waiters();
    }
}
