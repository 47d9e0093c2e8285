//! The state shared by the handles of one endpoint and its driver.
//!
//! In: dials, and what the driver publishes. Out: dials for the driver; incoming connections,
//! refusals and statistics for applications. Never: the contents of messages.

use std::{
    collections::VecDeque,
    mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku_proto::error::Close;
use tokio::sync::{Notify, oneshot};

use crate::{
    closed::{Closed, Refusal},
    dialect::Dialect,
    host::socket::Unreachable,
    keys::signers::Signer,
    limits::{LINGER, MAX_ACCEPT_QUEUE, MAX_REFUSALS, MAX_STRAYS},
    mailbox::{Mailbox, Request},
    requests::Requests,
    stats::EndpointStats,
    stray::Astray,
};

/// The state of an endpoint that its handles and its driver share.
pub(crate) struct Shared {
    pub(crate) requests: Arc<Requests>,
    dials: Mutex<Vec<Dial>>,
    incoming: Mutex<Incoming>,
    /// A connection came in, or no more connections will.
    came: Notify,
    stats: Mutex<EndpointStats>,
    refusals: Mutex<VecDeque<Refusal>>,
    /// A client was refused.
    refused: Notify,
    astray: Mutex<VecDeque<Astray>>,
    /// A datagram of another dialect arrived.
    strayed: Notify,
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
    /// The endpoint has reached its maximum number of connections, or TLS could not begin.
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
            requests: Arc::new(Requests::new()),
            dials: Mutex::default(),
            incoming: Mutex::default(),
            came: Notify::new(),
            stats: Mutex::default(),
            refusals: Mutex::default(),
            refused: Notify::new(),
            astray: Mutex::default(),
            strayed: Notify::new(),
        }
    }

    fn dials(&self) -> MutexGuard<'_, Vec<Dial>> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the driver for a connection. Once the driver has ended, the reply is dropped, and the
    /// caller receives an error.
    pub(crate) fn dial(&self, dial: Dial) {
        let mut dials = self.dials();
        if self.requests.has_ended() {
            return;
        }
        dials.push(dial);
        drop(dials);
        self.requests.wake();
    }

    /// Takes the requested dials. Called after the driver took its requests, so that dials added
    /// later wake it again.
    pub(crate) fn take_dials(&self) -> Vec<Dial> {
        mem::take(&mut *self.dials())
    }

    /// Returns `true` while newcomers are accepted: the number of connections that wait for
    /// `accept` is bounded by this and by the number of handshakes in progress. An established
    /// connection is never refused for lack of room, because its messages were acknowledged.
    pub(crate) fn has_accept_room(&self) -> bool {
        self.incoming().waiting.len() < MAX_ACCEPT_QUEUE
    }

    /// Adds an incoming connection. Returns `false` if the endpoint accepts no more.
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

    /// Waits for the next incoming connection; returns `None` when no more will arrive.
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

    /// Returns what the driver published last.
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

    /// Waits for the next entry of a list. Once the driver has ended, returns the remaining
    /// entries, and then `None`.
    async fn next_of<T>(&self, list: &Mutex<VecDeque<T>>, added: &Notify) -> Option<T> {
        loop {
            let more = added.notified();
            // Read first: the driver adds nothing after its end.
            let ended = self.requests.has_ended();
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

    /// Adds a sender of another dialect. If nobody takes them, the oldest are kept.
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

    /// Notes that no more connections come in.
    pub(crate) fn end_incoming(&self) {
        self.incoming().ended = true;
        self.came.notify_one();
    }

    /// Notes that no handle is left, and refuses the connections that wait to be accepted.
    pub(crate) fn abandon(&self) {
        self.end_incoming();
        let waiting = mem::take(&mut self.incoming().waiting);
        for established in waiting {
            let reason = "the server is closing".to_owned();
            let _ = established.mailbox.request(Request::Close { code: Close::REFUSED, reason });
        }
        self.requests.abandon();
    }

    /// Marks the driver as ended, and wakes all waiting calls.
    pub(crate) fn end(&self) {
        self.requests.end();
        self.dials().clear();
        self.end_incoming();
        self.refused.notify_one();
        self.strayed.notify_one();
    }
}
