//! Where the loop runs: in a task of its own, or for one turn in the task of a caller that sends.
//!
//! In: a task, a caller with a lone message. Out: turns of the driver, one at a time. Never: a wait
//! of the caller.
//!
//! A program that sends one message and then waits for the answer has nothing else to do meanwhile.
//! On a runtime with several threads, to wake the driver's task for it costs more than the turn
//! itself: the system wakes a thread, which wakes another.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    task::{Context, Poll, Waker},
};

use tokio::task::unconstrained;
use tracing::debug;

use super::{Driver, come_back};
use crate::{
    closed::Closed, contain::contain, limits::MAX_TURNS, requests::Requests, wakes::Wakes,
};

/// Holds an endpoint's driver until it ends.
#[derive(Default)]
pub(crate) struct DriverCell(Mutex<Option<Box<Driver>>>);

impl DriverCell {
    fn lock(&self) -> MutexGuard<'_, Option<Box<Driver>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `true` during a turn.
    #[cfg(test)]
    pub(crate) fn is_busy(&self) -> bool {
        self.0.try_lock().is_err()
    }

    /// Runs one turn of the driver for what callers have requested. Returns `false` if the driver's
    /// task must be woken: it runs now, it has more to do than that, or there is none.
    pub(crate) fn try_turn(&self) -> bool {
        let mut cell = match self.0.try_lock() {
            Ok(cell) => cell,
            Err(TryLockError::Poisoned(cell)) => cell.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let Some(driver) = cell.as_mut() else { return false };
        let done = contain(|| driver.turn_for_caller());
        // A panic ends the endpoint, as it does in its own task, and not the caller.
        let broken = cell.take_if(|_| done.is_none());
        let left = cell.as_mut().filter(|driver| !driver.wakes.is_empty());
        let mut wakes = left.map(|driver| mem::take(&mut driver.wakes));
        drop(cell);
        if let Some(mut broken) = broken {
            let task = broken.waker.take();
            drop(broken);
            // The task finds no driver, and ends.
            task.into_iter().for_each(Waker::wake);
        }
        wakes.iter_mut().for_each(Wakes::wake_all);
        done.unwrap_or(false)
    }
}

/// The task of a driver. When it is dropped, the driver ends.
pub(crate) struct DriverTask {
    requests: Arc<Requests>,
    /// A reused buffer.
    wakes: Wakes,
}

impl DriverTask {
    pub(crate) fn new(driver: Driver, requests: Arc<Requests>) -> Self {
        *requests.driver.lock() = Some(Box::new(driver));
        Self { requests, wakes: Wakes::default() }
    }
}

impl Future for DriverTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { requests, wakes } = &mut *self;
        let mut cell = requests.driver.lock();
        let Some(driver) = cell.as_mut() else { return Poll::Ready(()) };
        let polled = driver.poll_turns(cx);
        mem::swap(&mut driver.wakes, wakes);
        drop(cell);
        wakes.wake_all();
        polled
    }
}

impl Drop for DriverTask {
    fn drop(&mut self) {
        // The end of a driver wakes tasks: not under the lock.
        let driver = self.requests.driver.lock().take();
        drop(driver);
    }
}

impl Driver {
    /// Runs turns until there is nothing left to do, or for as long as other tasks can wait. Ready
    /// when the endpoint has ended.
    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        for _ in 0..MAX_TURNS {
            // Tasks of the previous turn run on other threads during this one.
            self.wakes.wake_all();
            match self.turn(cx) {
                Ok(_) if self.is_done() => {
                    self.end(&Closed::Here);
                    return Poll::Ready(());
                }
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    debug!(%error, "the socket failed");
                    self.end(&Closed::EndpointGone);
                    return Poll::Ready(());
                }
            }
            if self.poll_deadline(cx).is_pending() {
                return Poll::Pending;
            }
        }
        // Other tasks on this thread have waited long enough.
        come_back(cx);
        Poll::Pending
    }

    /// Runs steps 2 and 4 once, as if woken in its own task. Returns `false` if that task must be
    /// woken.
    fn turn_for_caller(&mut self) -> bool {
        // With several readers at work, the task takes all their answers in one turn.
        if !self.quiet || self.woken_readers > 1 || self.unsent.is_some() {
            return false;
        }
        let Some(waker) = self.waker.clone() else { return false };
        let span = self.span.clone();
        let _entered = span.enter();
        // It is not the caller's budget (cooperative scheduling) that this uses.
        let turn = poll_fn(|cx| Poll::Ready(self.serve_requests(cx)));
        let done = pin!(unconstrained(turn)).poll(&mut Context::from_waker(&waker));
        matches!(done, Poll::Ready(true))
    }

    /// Returns `true` if nothing is left to do before the next datagram, request or deadline.
    fn serve_requests(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        self.quiet = false;
        self.take_requests(cx, now);
        let more_leaves = self.output(cx, now);
        self.publish_changes();
        !more_leaves && !self.is_done() && self.poll_deadline(cx).is_pending()
    }
}
