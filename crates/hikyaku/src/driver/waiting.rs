//! What the loop waits for when there is nothing to do: the next deadline.
//!
//! In: the protocol's deadline and its reason. Out: a timer, or a turn of the other tasks. Never: a
//! datagram.

use super::*;

impl Driver {
    /// Waits for the deadline.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some((mut at, reason)) = self.deadline else { return Poll::Pending };
            let now = self.now();
            if reason == Reason::Ack && at.since(now) <= CLOSE_ACK {
                at = ready!(self.poll_ack(cx, now, at));
            }
            if at <= now {
                return Poll::Ready(());
            }
            // Most deadlines move with each packet: a timer that sometimes fires too early is
            // cheaper than one that is reset each time.
            if self.armed.is_none_or(|armed| at < armed) {
                self.armed = Some(at);
                self.sleep.as_mut().reset(self.clock.instant(at));
            }
            ready!(self.sleep.as_mut().poll(cx));
            self.armed = None;
        }
    }

    /// Handles an ACK that is due soon: tasks that run meanwhile may send something that carries
    /// it. Returns the time until which it waits for a reader that was woken; otherwise the ACK is
    /// sent when all tasks have run. (Timers fire a millisecond late.)
    fn poll_ack(&mut self, cx: &mut Context<'_>, now: Time, at: Time) -> Poll<Time> {
        let first = self.held.replace(at) != Some(at);
        if first {
            self.held_until = now + ANSWER_PATIENCE;
        }
        let called = mem::take(&mut self.called);
        if called && now < self.held_until && self.shared.requests.await_answer() {
            // The reader wakes this task, either with an answer or when it waits again.
            self.called = true;
            return Poll::Ready(self.held_until);
        }
        if first && !called {
            come_back(cx);
            return Poll::Pending;
        }
        self.latest = now.max(at);
        Poll::Ready(now)
    }
}

/// Yields to all other tasks and the I/O driver, and wakes this task afterwards. (A task that wakes
/// itself directly would run next.)
pub(super) fn come_back(cx: &mut Context<'_>) {
    let _ = pin!(yield_now()).poll(cx);
}
