//! The state shared by the handles of one endpoint and its driver.
//!
//! In: dials, requests, handles of connections with work for the driver. Out: the same, and
//! incoming connections. Never: the contents of messages.

use std::{
    collections::VecDeque,
    mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use hikyaku_proto::{ConnectionHandle, error::Close};
use tokio::sync::{Notify, oneshot};

use crate::{
    clock::Stopwatch,
    closed::{Closed, Refusal},
    dialect::Dialect,
    limits::{LINGER, MAX_ACCEPT_QUEUE, MAX_REFUSALS, MAX_STRAYS},
    mailbox::{Mailbox, Request},
    signers::Signer,
    socket::Unreachable,
    stats::EndpointStats,
    stray::Astray,
};

/// An endpoint's mailbox.
pub(crate) struct Shared {
    /// The endpoint's time.
    pub(crate) clock: Stopwatch,
    requests: Mutex<Requests>,
    incoming: Mutex<Incoming>,
    /// A connection arrived, or no more will.
    came: Notify,
    stats: Mutex<EndpointStats>,
    refusals: Mutex<VecDeque<Refusal>>,
    /// A client was refused.
    refused: Notify,
    astray: Mutex<VecDeque<Astray>>,
    /// A datagram of another dialect arrived.
    strayed: Notify,
    /// The driver has ended, or has sent every CLOSE.
    ended: Notify,
}

/// Requests to the driver.
#[derive(Default)]
pub(crate) struct Requests {
    waker: Option<Waker>,
    /// Connections whose mailboxes are not empty.
    pub(crate) listed: Vec<ConnectionHandle>,
    pub(crate) dials: Vec<Dial>,
    /// No handle of the endpoint is left.
    pub(crate) abandoned: bool,
    /// Close all connections within this time.
    pub(crate) close: Option<Duration>,
    /// A CLOSE was sent to every established peer.
    closes_sent: bool,
    ended: bool,
}

/// A requested connection.
pub(crate) struct Dial {
    pub(crate) to: SocketAddr,
    pub(crate) reply: oneshot::Sender<Result<Established, Unanswered>>,
}

/// A connection whose peer has proved its identity. When it is dropped, before or after it reached
/// an application, sent messages are delivered and the connection is closed.
pub(crate) struct Established {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) peer: Signer,
    /// `true` if both ends named the same application.
    pub(crate) shares_application: bool,
}

impl Drop for Established {
    fn drop(&mut self) {
        self.mailbox.let_go(LINGER);
    }
}

/// Why a connection attempt failed.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The endpoint has as many as it may, or TLS could not begin.
    Dial(hikyaku_proto::DialError),
    /// It was closed before it was established.
    Closed(Closed),
    /// The network reported the peer as unreachable.
    Unreachable(Unreachable),
    /// The far end named another dialect.
    OtherDialect(Dialect),
}

#[derive(Default)]
struct Incoming {
    waiting: VecDeque<Established>,
    ended: bool,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            clock: Stopwatch::start(),
            requests: Mutex::default(),
            incoming: Mutex::default(),
            came: Notify::new(),
            stats: Mutex::default(),
            refusals: Mutex::default(),
            refused: Notify::new(),
            astray: Mutex::default(),
            strayed: Notify::new(),
            ended: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request, and wakes the driver. It is ignored once the driver has ended: calls that
    /// wait for an answer receive an error then.
    pub(crate) fn ask(&self, change: impl FnOnce(&mut Requests)) {
        let mut requests = self.lock();
        if requests.ended {
            return;
        }
        change(&mut requests);
        let waker = requests.waker.take();
        drop(requests);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn list(&self, handle: ConnectionHandle) {
        self.ask(|requests| requests.listed.push(handle));
    }

    /// Takes all requests for the driver, which is woken when there are more.
    pub(crate) fn take(&self, cx: &Context<'_>, listed: &mut Vec<ConnectionHandle>) -> Requests {
        let mut requests = self.lock();
        mem::swap(&mut requests.listed, listed);
        let taken = Requests {
            waker: None,
            listed: Vec::new(),
            dials: mem::take(&mut requests.dials),
            abandoned: requests.abandoned,
            close: requests.close.take(),
            closes_sent: false,
            ended: false,
        };
        if !requests.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            requests.waker = Some(cx.waker().clone());
        }
        taken
    }

    /// Returns `true` while newcomers may come in: their number waiting for `accept` is bounded
    /// by this and by that of handshakes under way. A connection that is established is never
    /// turned away for want of room, since what it sent was acknowledged.
    pub(crate) fn has_accept_room(&self) -> bool {
        self.incoming().waiting.len() < MAX_ACCEPT_QUEUE
    }

    /// A connection came in. Returns `false` when nobody accepts any more.
    pub(crate) fn came_in(&self, established: Established) -> bool {
        let mut incoming = self.incoming();
        if incoming.ended {
            return false;
        }
        incoming.waiting.push_back(established);
        drop(incoming);
        self.came.notify_one();
        true
    }

    /// The next connection that came in; none when no more will.
    pub(crate) async fn accept(&self) -> Option<Established> {
        loop {
            let came = self.came.notified();
            {
                let mut incoming = self.incoming();
                if let Some(established) = incoming.waiting.pop_front() {
                    if !incoming.waiting.is_empty() {
                        self.came.notify_one();
                    }
                    return Some(established);
                }
                if incoming.ended {
                    self.came.notify_one();
                    return None;
                }
            }
            came.await;
        }
    }

    /// What the driver published last.
    pub(crate) fn stats(&self) -> EndpointStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, stats: &EndpointStats) {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).copy_from(stats);
    }

    fn refusals(&self) -> MutexGuard<'_, VecDeque<Refusal>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a refused client.
    pub(crate) fn add_refusal(&self, refusal: Refusal) {
        let mut refusals = self.refusals();
        if refusals.len() == MAX_REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back(refusal);
        drop(refusals);
        self.refused.notify_one();
    }

    /// Returns the next refused client, or `None` once the driver has ended.
    pub(crate) async fn next_refusal(&self) -> Option<Refusal> {
        self.next_of(&self.refusals, &self.refused).await
    }

    /// Waits for the next entry of a list. Once the driver has ended, what is left is returned, and
    /// then `None`.
    async fn next_of<T>(&self, list: &Mutex<VecDeque<T>>, added: &Notify) -> Option<T> {
        loop {
            let more = added.notified();
            // Asked first: the driver adds nothing after its end.
            let ended = self.lock().ended;
            let next = {
                let mut waiting = list.lock().unwrap_or_else(PoisonError::into_inner);
                let next = waiting.pop_front();
                if !waiting.is_empty() || ended {
                    added.notify_one();
                }
                next
            };
            if next.is_some() || ended {
                return next;
            }
            more.await;
        }
    }

    fn astray(&self) -> MutexGuard<'_, VecDeque<Astray>> {
        self.astray.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a sender of another dialect. If nothing takes them, the oldest are kept.
    pub(crate) fn went_astray(&self, astray: Astray) {
        let mut waiting = self.astray();
        if waiting.len() < MAX_STRAYS {
            waiting.push_back(astray);
            drop(waiting);
            self.strayed.notify_one();
        }
    }

    /// Returns the next sender of another dialect, or `None` once the driver has ended.
    pub(crate) async fn next_astray(&self) -> Option<Astray> {
        self.next_of(&self.astray, &self.strayed).await
    }

    /// No more connections come in.
    pub(crate) fn end_incoming(&self) {
        self.incoming().ended = true;
        self.came.notify_one();
    }

    /// Marks the endpoint as unowned, and refuses connections that wait to be accepted.
    pub(crate) fn abandon(&self) {
        self.end_incoming();
        let waiting = mem::take(&mut self.incoming().waiting);
        for established in waiting {
            let reason = "not wanted any more".to_owned();
            let _ = established.mailbox.request(Request::Close { code: Close::REFUSED, reason });
        }
        self.ask(|requests| requests.abandoned = true);
    }

    /// Marks the driver as ended, and wakes all waiting calls.
    pub(crate) fn end(&self) {
        let mut requests = self.lock();
        requests.ended = true;
        requests.dials.clear();
        drop(requests);
        self.end_incoming();
        self.refused.notify_one();
        self.strayed.notify_one();
        self.ended.notify_waiters();
    }

    /// Records that a CLOSE was sent to every peer.
    pub(crate) fn note_closes_sent(&self) {
        if !mem::replace(&mut self.lock().closes_sent, true) {
            self.ended.notify_waiters();
        }
    }

    /// Waits until the driver has ended.
    pub(crate) async fn ended(&self) {
        self.wait_until(|requests| requests.ended).await;
    }

    /// Waits until every peer was sent a CLOSE.
    pub(crate) async fn closes_sent(&self) {
        self.wait_until(|requests| requests.closes_sent || requests.ended).await;
    }

    async fn wait_until(&self, reached: impl Fn(&Requests) -> bool) {
        loop {
            let ended = self.ended.notified();
            if reached(&self.lock()) {
                return;
            }
            ended.await;
        }
    }
}
