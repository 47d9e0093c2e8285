//! A sender that waits for room.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{Mailbox, Staged};
use crate::{closed::SendError, turns::Turn};

/// A message that waits for its turn to be staged. If it is dropped before, it leaves no trace.
pub(crate) struct Sending<'a> {
    pub(super) mailbox: &'a Mailbox,
    /// Until it is staged.
    pub(super) message: Option<Staged>,
    /// Its turn among the waiting senders.
    pub(super) turn: Option<Turn>,
}

impl Future for Sending<'_> {
    type Output = Result<u64, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { mailbox, message, turn } = &mut *self;
        let next = message.as_ref().expect("it is not polled after it was ready");
        let mut state = mailbox.lock();
        if let Err(error) = state.check(next) {
            return Poll::Ready(Err(error));
        }
        let (lane, cost) = (next.lane(), next.cost());
        match *turn {
            Some(waiting) if !state.turns.take(waiting, lane, cx.waker()) => return Poll::Pending,
            Some(_) if state.has_room(lane) => *turn = None,
            Some(waiting) => {
                state.turns.wait_again(waiting, lane, cost, cx.waker().clone());
                return Poll::Pending;
            }
            None if state.has_room(lane)
                && !state.turns.must_wait(lane)
                && !state.turns.is_polite_to_wait(lane) => {}
            None => {
                *turn = Some(state.turns.wait(lane, cost, cx.waker().clone()));
                // If there is room, it only yields to senders that were granted a turn before: one
                // that is never polled again delays nobody.
                let granted = state.grant();
                drop(state);
                granted.into_iter().for_each(Waker::wake);
                return Poll::Pending;
            }
        }
        let Some(message) = message.take() else { return Poll::Pending };
        let number = mailbox.stage(&mut state, message);
        let granted = state.grant();
        drop(state);
        granted.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(number))
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let (Some(turn), Some(message)) = (self.turn, &self.message) else { return };
        let mut state = self.mailbox.lock();
        state.turns.cancel(turn, message.lane());
        let granted = state.grant();
        drop(state);
        granted.into_iter().for_each(Waker::wake);
    }
}
