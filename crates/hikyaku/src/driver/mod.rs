//! The event loop, which owns an endpoint's socket and its protocol state, and connects the two.
//!
//! In: datagrams, time, the contents of mailboxes. Out: datagrams, messages and outcomes for
//! mailboxes. Never: decisions of the protocol.
//!
//! ```text
//!            ┌──────────── Driver::turn, until there is nothing left to do ──────────┐
//! socket ───▶│ 1 receive   batches, joined datagrams split (GRO) ▶ handle_datagram   │
//! mailboxes ▶│ 2 requests  dials, staged messages ▶ Connection::send                 │
//! clock ────▶│ 3 timeout   handle_timeout                                            │
//!            │ 4 output    poll_output: trains (GSO) ▶ socket, events ▶ mailboxes    │
//!            └──────── then sleep: until a datagram, a request or the deadline ──────┘
//! ```
//!
//! No lock that an application waits for is held while packets are sealed or opened: a mailbox is
//! locked once per batch. The loop runs in a task of its own; a caller that sends a lone message
//! runs steps 2 and 4 itself (`cell`).

// Longer than 400 lines: the steps of the loop work on one state.

mod cell;
mod dials;
mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io, mem,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use hikyaku_proto::{
    ClosedReason, ConnectionHandle, Datagram, Event, KeyPolicy, Output, Reason, Transmit,
    error::Close, time::Time,
};
use tokio::{task::yield_now, time::Sleep};
use tracing::{Span, debug, trace, warn};

use crate::{
    clock::Stopwatch,
    closed::{Closed, Refusal},
    dialect::{Dialect, Hints},
    host::{
        batch::{RecvBatch, from_codepoint, to_codepoint},
        filter::Filter,
        socket::{Unreachable, Way, is_too_long},
    },
    keys::signers::Signer,
    limits::{
        ANSWER_PATIENCE, CLOSE_ACK, CLOSED_PORT_PATIENCE, FULL_QUEUE_PAUSE, MAX_RECEIVE_FAILURES,
        MAX_TRAINS_A_TURN, OTHER_DIALECT_REPORTS,
    },
    peer::Peer,
    port::Port,
    requests::Taken,
    shared::{Dial, Shared, Unanswered},
    stats::EndpointStats,
    stray::{Astray, Meaning, Stray},
    wakes::Wakes,
};
pub(crate) use cell::{DriverCell, DriverTask};
use dials::{ends_dial, reports_of};
use waiting::come_back;

/// A running endpoint.
pub(crate) struct Driver {
    socket: Arc<Port>,
    /// Reports of the network (ICMP), read while a connection is being opened.
    reports: Option<Reports>,
    filter: Filter,
    endpoint: hikyaku_proto::Endpoint,
    shared: Arc<Shared>,
    peers: BTreeMap<ConnectionHandle, Peer>,
    clock: Stopwatch,
    batch: RecvBatch,
    /// The bytes of `unsent`, or a buffer for the next ones.
    out: Vec<u8>,
    /// A train for which the kernel had no room.
    unsent: Option<Transmit>,
    /// The kernel will not report when it has room again.
    blind: bool,
    deadline: Option<(Time, Reason)>,
    sleep: Pin<Box<Sleep>>,
    /// The time that `sleep` is set to.
    armed: Option<Time>,
    /// The deadline of an ACK that waits for something to carry it.
    held: Option<Time>,
    /// The longest time for which it waits.
    held_until: Time,
    /// A reader is woken for a received message, and may answer it.
    called: bool,
    /// Readers woken for messages of the last batch.
    woken_readers: usize,
    /// Tasks to wake when no turn follows.
    wakes: Wakes,
    /// The waker of its own task.
    waker: Option<Waker>,
    /// The span of its log entries.
    span: Span,
    /// The time last passed to the protocol, which never goes back.
    latest: Time,
    stats: EndpointStats,
    /// The time since which every receive call has returned something.
    busy_since: Option<Time>,
    /// Consecutive receive calls that failed.
    failures: u32,
    /// All handles of the endpoint were dropped: it ends with its last connection.
    abandoned: bool,
    /// All connections must have ended by then.
    close_by: Option<Time>,
    /// In the last turn the protocol had nothing more to send or report.
    quiet: bool,
    /// A reused buffer.
    listed: Vec<ConnectionHandle>,
    /// Connections that are closing, by the time they must be closed.
    closes: BTreeSet<(Time, ConnectionHandle)>,
    /// Datagrams of other dialects, of one batch.
    strays: Vec<Stray>,
    hints: Hints,
    /// The last field, dropped after the socket.
    _ended: Ended,
}

type Reports = Pin<Box<dyn Future<Output = io::Result<Unreachable>> + Send>>;

impl Driver {
    pub(crate) fn new(
        socket: Port,
        filter: Filter,
        endpoint: hikyaku_proto::Endpoint,
        shared: Arc<Shared>,
        span: Span,
    ) -> Self {
        let clock = shared.requests.clock;
        let sleep = tokio::time::sleep_until(clock.instant(Time::ZERO));
        let stats = EndpointStats { gso: socket.has_gso(), ..EndpointStats::default() };
        let ended = Ended(Arc::clone(&shared));
        Self {
            socket: Arc::new(socket),
            reports: None,
            filter,
            endpoint,
            shared,
            peers: BTreeMap::new(),
            clock,
            batch: RecvBatch::new(),
            out: Vec::new(),
            unsent: None,
            blind: false,
            deadline: None,
            sleep: Box::pin(sleep),
            armed: None,
            held: None,
            held_until: Time::ZERO,
            called: false,
            woken_readers: 0,
            wakes: Wakes::default(),
            waker: None,
            span,
            latest: Time::ZERO,
            stats,
            busy_since: None,
            failures: 0,
            abandoned: false,
            close_by: None,
            quiet: false,
            listed: Vec::new(),
            closes: BTreeSet::new(),
            strays: Vec::new(),
            hints: Hints::new(Dialect::Native),
            _ended: ended,
        }
    }

    /// Runs steps 1 to 4 once. Returns `true` if there may be more to do immediately.
    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let now = self.now();
        self.quiet = false;
        self.poll_reports(cx, now);
        self.endpoint.set_admitting(self.shared.has_accept_room());
        let more_came = self.receive(cx, now)?;
        self.take_requests(cx, now);
        if self.deadline.is_some_and(|(at, _)| at <= now) {
            self.endpoint.handle_timeout(now);
            self.end_overdue(now);
        }
        let more_leaves = self.output(cx, now);
        self.publish_changes();
        Ok(more_came || more_leaves)
    }

    fn now(&mut self) -> Time {
        self.latest = self.latest.max(self.clock.now());
        self.latest
    }

    // 1 receive

    /// Returns `true` if there may be more to receive; otherwise the socket wakes this task.
    fn receive(&mut self, cx: &mut Context<'_>, now: Time) -> io::Result<bool> {
        match self.socket.poll_recv_all(cx, &mut self.batch) {
            Poll::Pending => {
                self.busy_since = None;
                return Ok(false);
            }
            Poll::Ready(Ok(())) => self.failures = 0,
            Poll::Ready(Err(error)) => return self.on_receive_error(error).map(|()| true),
        }
        self.stats.receive_calls += 1;
        (self.called, self.woken_readers) = (false, 0);
        // Without timestamps of the system: how long there has been something to receive.
        let busy_since = *self.busy_since.get_or_insert(now);
        let waited = self.batch.waited().unwrap_or_else(|| now.since(busy_since));
        if self.endpoint.note_backlog(now, waited, self.batch.len())
            && let Some(lost) = self.socket.kernel_drops()
        {
            self.endpoint.note_losses(lost);
        }
        let (endpoint, filter, stats) = (&mut self.endpoint, &self.filter, &mut self.stats);
        let strays = &mut self.strays;
        // A socket bound to one address has only one source address.
        let any = self.socket.local_addr().ip().is_unspecified();
        self.batch.for_each_mut(|(from, local), ecn, datagram| {
            stats.received += 1;
            if !filter.is_empty() && !filter.allows(from.ip()) {
                stats.filtered += 1;
                return;
            }
            let (source, ecn) = (local.filter(|_| any), ecn.map(from_codepoint));
            let came = Datagram { from, local: source, ecn, bytes: &mut *datagram };
            let discard = endpoint.handle_datagram(now, came);
            if let Some(stray) = discard.and_then(|why| Stray::of(datagram, from, local, why)) {
                strays.push(stray);
            }
        });
        self.on_strays(cx, now);
        let more = self.socket.poll_readable(cx).is_ready();
        if !more {
            self.busy_since = None;
        }
        Ok(more)
    }

    /// Counts a failure: an error report about one peer must not end the endpoint for all.
    fn on_receive_error(&mut self, error: io::Error) -> io::Result<()> {
        self.failures += 1;
        if self.failures > MAX_RECEIVE_FAILURES {
            return Err(error);
        }
        debug!(%error, "receiving failed");
        Ok(())
    }

    // 2 requests

    fn take_requests(&mut self, cx: &mut Context<'_>, now: Time) {
        let requests = self.shared.requests.take(cx, &mut self.listed);
        self.on_requests(now, &requests);
    }

    fn on_requests(&mut self, now: Time, requests: &Taken) {
        for dial in self.shared.take_dials() {
            self.dial(now, dial);
        }
        let mut listed = mem::take(&mut self.listed);
        for handle in listed.drain(..) {
            self.serve(now, handle);
        }
        self.listed = listed;
        if requests.abandoned && !self.abandoned {
            self.endpoint.refuse_newcomers(now);
            self.abandoned = true;
        }
        if let Some(within) = requests.close {
            self.close_all(now, within);
        }
        self.called &= !requests.unanswered;
    }

    fn dial(&mut self, now: Time, dial: Dial) {
        // A closing endpoint opens no connections; the caller receives an error.
        if self.abandoned {
            return;
        }
        // The caller checks the key against its trust once the peer has proved it.
        let handle = match self.endpoint.connect(now, dial.to, KeyPolicy::AnyKey) {
            Ok(handle) => handle,
            Err(error) => {
                let _ = dial.reply.send(Err(Unanswered::Dial(error)));
                return;
            }
        };
        let peer = Peer::new(handle, &self.shared, dial.to, Some(dial.reply));
        self.peers.insert(handle, peer);
        if self.reports.is_none() {
            // Earlier reports do not concern this dial: a connection that has ended leaves reports
            // of its own probes.
            self.socket.discard_transport_errors();
            self.reports = Some(reports_of(&self.socket));
        }
    }

    /// Takes what is in a connection's mailbox.
    fn serve(&mut self, now: Time, handle: ConnectionHandle) {
        let Some(peer) = self.peers.get_mut(&handle) else { return };
        let Some(connection) = self.endpoint.connection(handle) else { return };
        peer.serve(now, connection, &mut self.wakes);
        self.closes.extend(peer.close_by().filter(|by| *by > now).map(|by| (by, handle)));
    }

    /// Closes connections whose close deadline has passed.
    fn end_overdue(&mut self, now: Time) {
        while let Some(&(by, handle)) = self.closes.first()
            && by <= now
        {
            self.closes.pop_first();
            self.serve(now, handle);
        }
    }

    /// Closes all connections; of several calls the earliest deadline counts. Established
    /// connections that no event has reported yet are still accepted: what they sent was
    /// acknowledged.
    fn close_all(&mut self, now: Time, within: Duration) {
        let by = now + within;
        self.close_by = Some(self.close_by.map_or(by, |before| before.min(by)));
        self.endpoint.refuse_newcomers(now);
        self.abandoned = true;
        for (handle, peer) in &mut self.peers {
            let Some(connection) = self.endpoint.connection(*handle) else { continue };
            peer.close_within(now, connection, within);
            self.closes.extend(peer.close_by().map(|by| (by, *handle)));
        }
    }

    /// The protocol has no more to send or report for now.
    fn on_quiet(&mut self) {
        self.quiet = true;
        if self.close_by.is_none() {
            return;
        }
        // No more connections are accepted: no handshake is in progress, and each event was polled.
        self.shared.end_incoming();
        if self.peers.values().all(Peer::is_over) {
            self.shared.requests.note_closes_sent();
        }
    }

    /// Publishes the statistics of the endpoint and of the connections that changed.
    fn publish_changes(&mut self) {
        while let Some(handle) = self.endpoint.poll_changed() {
            if let Some(peer) = self.peers.get(&handle)
                && let Some(connection) = self.endpoint.peek(handle)
            {
                peer.publish(connection);
            }
        }
        self.publish();
    }

    /// Publishes the statistics of the endpoint.
    fn publish(&mut self) {
        self.stats.connections = self.endpoint.connections();
        self.stats.half_open = self.endpoint.half_open();
        self.stats.gso = self.socket.has_gso();
        let faults = self.endpoint.faults();
        if mem::replace(&mut self.stats.faults, faults) != faults {
            warn!(faults, "a connection was dropped: handling it panicked");
        }
        if self.stats.discards != *self.endpoint.discards() {
            self.stats.discards.clone_from(self.endpoint.discards());
        }
        self.shared.publish(&self.stats);
    }

    // 4 output

    /// Sends datagrams and handles events until there are none left, the kernel has no room, or the
    /// turn is over. Returns `true` if there is more.
    fn output(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut trains = 0;
        loop {
            if self.unsent.is_some() && self.send(cx).is_pending() {
                // Nothing can be sent before there is room. The runtime or a timer wakes this task.
                self.deadline = self.blind.then(|| (now + FULL_QUEUE_PAUSE, Reason::Pacing));
                return false;
            }
            if trains == MAX_TRAINS_A_TURN {
                return true;
            }
            match self.endpoint.poll_output(now, &mut self.out) {
                Output::Transmit(transmit) => {
                    trains += 1;
                    self.unsent = Some(transmit);
                }
                Output::Event(handle, event) => self.on_event(now, handle, event),
                Output::Timeout(next) => {
                    trace!(?next, "next deadline");
                    let close = self.closes.first().map(|&(by, _)| (by, Reason::Close));
                    self.deadline = next.into_iter().chain(close).min_by_key(|(at, _)| *at);
                    self.on_quiet();
                    return false;
                }
            }
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(train) = self.unsent else { return Poll::Ready(()) };
        let way = Way {
            to: train.to,
            source: train.local,
            ecn: train.ecn.map(to_codepoint),
            segment: train.segment_size,
        };
        let poll = self.socket.poll_send_train(cx, &self.out[..train.len], &way);
        let blind = |e: &io::Error| e.kind() == io::ErrorKind::WouldBlock;
        self.blind = matches!(&poll, Poll::Ready(Err(e)) if blind(e));
        let Poll::Ready(sent) = poll else { return Poll::Pending };
        if self.blind {
            return Poll::Pending;
        }
        self.unsent = None;
        let datagrams = train.len.div_ceil(train.segment_size) as u64;
        match sent {
            Ok(()) => {
                self.stats.sent += datagrams;
                self.stats.send_calls += 1;
            }
            Err(error) => {
                // Such as an MTU probe too long for the interface.
                trace!(%error, to = %train.to, "not sent");
                self.stats.send_errors += datagrams;
                if self.reports.is_some() && ends_dial(&error) {
                    self.on_unsent(train.to, datagrams, &error);
                }
            }
        }
        Poll::Ready(())
    }

    fn on_event(&mut self, now: Time, handle: ConnectionHandle, event: Event) {
        if let Event::Refused { from, key, reason } = event {
            let key = key.and_then(|key| Signer::from_key(&key)).map(|key| key.fingerprint());
            let refusal = Refusal { from, key, closed: Closed::from(reason) };
            debug!(%refusal);
            return self.shared.add_refusal(refusal);
        }
        if matches!(event, Event::Incoming | Event::Connected { .. }) {
            // Before the application sees the connection.
            self.publish();
        }
        let Some(connection) = self.endpoint.connection(handle) else {
            return self.on_event_of_gone(handle, event);
        };
        let peer = match event {
            Event::Incoming | Event::Connected { .. } if !connection.is_client() => {
                let (shared, remote) = (&self.shared, connection.remote());
                self.peers.entry(handle).or_insert_with(|| Peer::new(handle, shared, remote, None))
            }
            _ => match self.peers.get_mut(&handle) {
                Some(peer) => peer,
                None => return,
            },
        };
        // Before the application sees the event.
        peer.publish(connection);
        match event {
            // A client that sends 0-RTT has no proven key yet; `Connected` follows. Do not check
            // the state of the connection here: one that was opened, used and closed within one
            // turn has already ended, and its messages were acknowledged.
            Event::Incoming if connection.peer_key().is_none() => {}
            Event::Incoming | Event::Connected { .. } => {
                peer.establish(now, connection, &self.shared, &mut self.wakes);
                if let Some(by) = self.close_by {
                    peer.close_within(now, connection, by.since(now));
                    self.closes.extend(peer.close_by().map(|by| (by, handle)));
                }
            }
            Event::Readable => {
                let woken = peer.deliver(now, connection, &mut self.wakes);
                self.called |= woken;
                self.woken_readers += usize::from(woken);
            }
            Event::Writable => {
                peer.push(now, connection, &mut self.wakes);
                self.serve(now, handle);
            }
            Event::Receipt(receipt, outcome) => {
                let mut first = Some((receipt, outcome));
                let next = || first.take().or_else(|| connection.poll_receipt());
                peer.mailbox.record_outcomes(&mut self.wakes, next);
            }
            Event::Pong { asked, took } => peer.answer_ping(asked, took),
            Event::Closed(reason) => {
                // `Drained` follows for connections that were closed here.
                let drains = matches!(reason, ClosedReason::Local | ClosedReason::Error(_));
                peer.close(now, connection, Closed::from(reason), &mut self.wakes);
                if !drains {
                    self.forget(handle);
                }
            }
            Event::Drained => self.forget(handle),
            _ => {}
        }
    }

    /// Handles the last event of a connection that the protocol has dropped after a fault.
    fn on_event_of_gone(&mut self, handle: ConnectionHandle, event: Event) {
        if let (Event::Closed(reason), Some(peer)) = (event, self.peers.get_mut(&handle)) {
            peer.lose(Closed::from(reason));
            self.forget(handle);
        }
    }

    /// Drops a peer to which nothing more is sent.
    fn forget(&mut self, handle: ConnectionHandle) {
        if let Some(peer) = self.peers.remove(&handle) {
            if let Some(by) = peer.close_by() {
                self.closes.remove(&(by, handle));
            }
            peer.mailbox.release();
        }
    }

    fn is_done(&self) -> bool {
        // A peer that never answered needs no CLOSE.
        let done = |peer: &Peer| peer.is_over() && !peer.is_established();
        self.abandoned && self.quiet && self.peers.values().all(done)
    }

    fn end(&mut self, closed: &Closed) {
        for (_, mut peer) in mem::take(&mut self.peers) {
            peer.end(closed.clone());
            peer.mailbox.release();
        }
    }
}

/// Marks the driver as ended when it is dropped: after the socket, so that a task that waited for
/// the end can bind the port again.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The runtime was shut down: no task may wait forever.
        self.end(&Closed::EndpointGone);
        // A turn that panicked has woken nobody.
        self.wakes.wake_all();
    }
}
