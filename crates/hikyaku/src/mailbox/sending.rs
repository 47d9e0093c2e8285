//! A sender that waits for room.

use std::{
    collections::VecDeque,
    future::Future,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::task::consume_budget;

use super::{Mailbox, Staged};
use crate::{closed::SendError, limits::STAGED_TOGETHER, receipts::Receipts, turns::Turn};

/// A message that waits for its turn to be staged. Dropping it before that has no effect.
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
                && !state.turns.should_yield(lane) => {}
            None => {
                *turn = Some(state.turns.wait(lane, cost, cx.waker().clone()));
                // If there is room, it yields only to senders that were granted a turn before, so
                // that a sender that is never polled again delays nobody.
                let granted = state.grant();
                drop(state);
                granted.into_iter().for_each(Waker::wake);
                return Poll::Pending;
            }
        }
        let Some(message) = message.take() else { return Poll::Pending };
        let (number, takes_turn) = mailbox.stage_alone(&mut state, message);
        let granted = state.grant();
        drop(state);
        granted.into_iter().for_each(Waker::wake);
        if takes_turn {
            mailbox.requests.take_turn();
        }
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

impl Mailbox {
    /// Stages messages of one lane in order, as many as there is room for under one lock, and waits
    /// for room for the others.
    pub(crate) async fn send_many(
        self: &Arc<Self>,
        mut messages: impl Iterator<Item = Staged>,
    ) -> Result<Receipts, SendError> {
        let mut receipts = Receipts::new();
        // The iterator belongs to the application: call it without the lock.
        let mut next = VecDeque::with_capacity(STAGED_TOGETHER);
        loop {
            next.extend(messages.by_ref().take(STAGED_TOGETHER - next.len()));
            if next.is_empty() {
                return Ok(receipts);
            }
            receipts.push_numbers(self, self.stage_some(&mut next)?);
            if let Some(first) = next.pop_front() {
                let number = self.send(first).await?;
                receipts.push_numbers(self, number..number + 1);
            }
            consume_budget().await;
        }
    }

    /// Stages messages from the front while there is room. Returns their numbers.
    fn stage_some(&self, messages: &mut VecDeque<Staged>) -> Result<Range<u64>, SendError> {
        let mut state = self.lock();
        let from = state.next;
        while let Some(first) = messages.front() {
            state.check(first)?;
            let lane = first.lane();
            if !state.has_room(lane)
                || state.turns.must_wait(lane)
                || state.turns.should_yield(lane)
            {
                break;
            }
            if let Some(message) = messages.pop_front() {
                self.stage(&mut state, message);
            }
        }
        Ok(from..state.next)
    }
}
