//! Requests from an endpoint's handles to its driver; each of them wakes it.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use hikyaku_proto::ConnectionHandle;
use tokio::sync::Notify;

use crate::{clock::Stopwatch, driver::DriverCell};

/// The requests that wait for the driver, and how it ended.
pub(crate) struct Requests {
    /// The endpoint's time.
    pub(crate) clock: Stopwatch,
    /// The driver.
    pub(crate) driver: DriverCell,
    state: Mutex<State>,
    /// The driver has ended, or has sent every CLOSE.
    ended: Notify,
}

#[derive(Default)]
struct State {
    waker: Option<Waker>,
    /// Connections whose mailboxes are not empty.
    listed: Vec<ConnectionHandle>,
    abandoned: bool,
    close: Option<Duration>,
    /// A reader that was woken for a message waits again and has sent no answer.
    unanswered: bool,
    /// The driver waits for that, or for an answer.
    answer_awaited: bool,
    /// A CLOSE was sent to every established peer.
    closes_sent: bool,
    ended: bool,
}

/// What the driver takes in one turn.
pub(crate) struct Taken {
    /// No handle of the endpoint is left.
    pub(crate) abandoned: bool,
    /// Close all connections within this time.
    pub(crate) close: Option<Duration>,
    /// A reader that was woken for a message has not answered it.
    pub(crate) unanswered: bool,
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self {
            clock: Stopwatch::start(),
            driver: DriverCell::default(),
            state: Mutex::default(),
            ended: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request, and wakes the driver. The request is ignored once the driver has ended:
    /// calls that wait for an answer receive an error then.
    fn ask(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the driver for a request that waits elsewhere.
    pub(crate) fn wake(&self) {
        self.ask(|_| {});
    }

    /// Asks the driver to look into a connection's mailbox.
    pub(crate) fn list(&self, handle: ConnectionHandle) {
        self.ask(|state| state.listed.push(handle));
    }

    /// Lists a connection without waking the driver, if the driver waits and nothing else is
    /// requested of it. If this returns `true`, the caller calls [`Self::take_turn`].
    pub(crate) fn list_for_turn(&self, handle: ConnectionHandle) -> bool {
        let mut state = self.lock();
        let waits = state.waker.is_some() && state.listed.is_empty() && !state.ended;
        if waits {
            state.listed.push(handle);
        }
        waits
    }

    /// Runs the driver's next turn in the calling task, or wakes the driver's own task if it has
    /// more to do than that. The caller holds no lock.
    pub(crate) fn take_turn(&self) {
        if !self.driver.try_turn() {
            self.wake();
        }
    }

    /// Notes that a reader that was woken for a message waits again without having sent an answer,
    /// and wakes the driver if it waits for one.
    pub(crate) fn note_unanswered(&self) {
        let mut state = self.lock();
        state.unanswered = true;
        let waker = if state.answer_awaited { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Notes that the driver waits for the answer of a reader. Returns `false` if the reader waits
    /// again already.
    pub(crate) fn await_answer(&self) -> bool {
        let mut state = self.lock();
        state.answer_awaited = !state.unanswered;
        state.answer_awaited
    }

    /// Asks the driver to end with its last connection.
    pub(crate) fn abandon(&self) {
        self.ask(|state| state.abandoned = true);
    }

    /// Asks the driver to close all connections. If called more than once, the shortest time
    /// counts.
    pub(crate) fn close(&self, within: Duration) {
        self.ask(|state| {
            state.close = Some(state.close.map_or(within, |before| before.min(within)));
        });
    }

    /// Takes all requests. Further requests wake the driver.
    pub(crate) fn take(&self, cx: &Context<'_>, listed: &mut Vec<ConnectionHandle>) -> Taken {
        let mut state = self.lock();
        mem::swap(&mut state.listed, listed);
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        state.answer_awaited = false;
        Taken {
            abandoned: state.abandoned,
            close: state.close.take(),
            unanswered: mem::take(&mut state.unanswered),
        }
    }

    /// Marks the driver as ended, and wakes the calls that wait for that.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.ended.notify_waiters();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Records that a CLOSE was sent to every peer.
    pub(crate) fn note_closes_sent(&self) {
        if !mem::replace(&mut self.lock().closes_sent, true) {
            self.ended.notify_waiters();
        }
    }

    /// Waits until the driver has ended.
    pub(crate) async fn ended(&self) {
        self.wait_until(|state| state.ended).await;
    }

    /// Waits until every peer was sent a CLOSE.
    pub(crate) async fn closes_sent(&self) {
        self.wait_until(|state| state.closes_sent || state.ended).await;
    }

    async fn wait_until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let ended = self.ended.notified();
            if reached(&self.lock()) {
                return;
            }
            ended.await;
        }
    }
}
