//! What becomes of a sent message, for who wants to know.
//!
//! In: a message's number. Out: its outcome, once there is one. Never: a cost for who does not ask.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hikyaku_proto::Outcome;

use crate::{closed::NotDelivered, mailbox::Mailbox, outcomes::Known};

/// A message that was queued. May be dropped: the message is delivered all the same.
pub struct Receipt {
    mailbox: Arc<Mailbox>,
    number: u64,
}

impl Receipt {
    pub(crate) const fn new(mailbox: Arc<Mailbox>, number: u64) -> Self {
        Self { mailbox, number }
    }

    /// Waits until the peer has acknowledged the message: it has all of it and keeps it for its
    /// application.
    ///
    /// # Errors
    /// Why that will never be known.
    pub async fn acknowledged(self) -> Result<(), NotDelivered> {
        match self.known().await {
            Known::Yes(outcome) => NotDelivered::of(outcome).map_or(Ok(()), Err),
            _ => Err(NotDelivered::Forgotten),
        }
    }

    /// Waits for the outcome; nothing when it is not remembered any more.
    pub async fn outcome(self) -> Option<Outcome> {
        match self.known().await {
            Known::Yes(outcome) => Some(outcome),
            _ => None,
        }
    }

    fn known(&self) -> Waiting<'_> {
        Waiting { receipt: self, registered: false }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.number)
    }
}

struct Waiting<'a> {
    receipt: &'a Receipt,
    registered: bool,
}

impl Future for Waiting<'_> {
    type Output = Known;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Known> {
        self.registered = true;
        let known = ready!(self.receipt.mailbox.poll_outcome(self.receipt.number, cx));
        self.registered = false;
        Poll::Ready(known)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.registered {
            self.receipt.mailbox.forget_waiting(self.receipt.number);
        }
    }
}
