//! The outcome of a sent message. A receipt that nobody awaits costs nothing.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hikyaku_proto::Outcome;

use crate::{closed::NotDelivered, mailbox::Mailbox, outcomes::Known};

/// The receipt of a queued message. It may be dropped: the message is delivered nevertheless.
///
/// [`Receipts`](crate::Receipts) wait for many.
///
/// ```
/// # use hikyaku::{Delivery, Endpoint, NotDelivered, Trust};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Endpoint::bind("127.0.0.1:0").await?;
/// # let client = Endpoint::client()?;
/// # let connection = client.connect(server.local_addr(), Trust::AnyKey).await?;
/// let receipt = connection.send(Delivery::Reliable, "it rains").await?;
/// assert_eq!(receipt.acknowledged().await, Ok(()));
///
/// // Nobody acknowledges a message of this class: it was sent, more is never known.
/// let receipt = connection.send(Delivery::Unreliable, "it rains").await?;
/// assert_eq!(receipt.acknowledged().await, Err(NotDelivered::Unacknowledged));
/// # Ok(())
/// # }
/// ```
pub struct Receipt {
    mailbox: Arc<Mailbox>,
    number: u64,
}

impl Receipt {
    pub(crate) const fn new(mailbox: Arc<Mailbox>, number: u64) -> Self {
        Self { mailbox, number }
    }

    /// Returns the mailbox of the connection, and the number of the message.
    pub(crate) fn into_parts(self) -> (Arc<Mailbox>, u64) {
        (self.mailbox, self.number)
    }

    /// Waits until the peer has acknowledged the message: it has the whole message and keeps it for
    /// its application, and for `Ordered` all earlier ones on the channel too. Only the peer's
    /// application can report what it did with the message. Cancel-safe.
    ///
    /// This always completes, at the latest when the connection ends.
    ///
    /// # Errors
    /// [`NotDelivered`]: why it was not acknowledged, which does not prove that it did not
    /// arrive. While the connection is open, only `Latest`, `Unreliable` and `Deadline` messages
    /// fail.
    pub async fn acknowledged(&self) -> Result<(), NotDelivered> {
        verdict(self.known().await)
    }

    /// Returns what [`Receipt::acknowledged`] would, or `None` if there is no outcome yet.
    #[must_use]
    pub fn try_acknowledged(&self) -> Option<Result<(), NotDelivered>> {
        match self.mailbox.outcome(self.number) {
            Known::NotYet => None,
            known => Some(verdict(known)),
        }
    }

    /// Waits for the outcome, as [`Receipt::acknowledged`] does. Returns `None` if it is no longer
    /// remembered: a connection remembers 65,536 runs of equal outcomes. Cancel-safe.
    pub async fn outcome(&self) -> Option<Outcome> {
        self.known().await.outcome()
    }

    /// Returns the outcome, without waiting.
    ///
    /// # Errors
    /// [`NoOutcome`] if there is none yet, or it is no longer remembered.
    pub fn try_outcome(&self) -> Result<Outcome, NoOutcome> {
        match self.mailbox.outcome(self.number) {
            Known::Yes(outcome) => Ok(outcome),
            Known::NotYet => Err(NoOutcome::Pending),
            Known::Forgotten => Err(NoOutcome::Forgotten),
        }
    }

    fn known(&self) -> Waiting<'_> {
        Waiting { receipt: self, ticket: None }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.number)
    }
}

/// Why [`Receipt::try_outcome`] has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoOutcome {
    /// The message is in flight, or waits to be sent.
    #[error("there is no outcome yet")]
    Pending,
    /// Tens of thousands of different outcomes followed.
    #[error("the outcome is no longer remembered")]
    Forgotten,
}

fn verdict(known: Known) -> Result<(), NotDelivered> {
    let outcome = known.outcome().ok_or(NotDelivered::Forgotten)?;
    NotDelivered::of(outcome).map_or(Ok(()), Err)
}

struct Waiting<'a> {
    receipt: &'a Receipt,
    /// The ticket that distinguishes it from others that wait for the same outcome, once
    /// registered.
    ticket: Option<u64>,
}

impl Future for Waiting<'_> {
    type Output = Known;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Known> {
        let Self { receipt, ticket } = &mut *self;
        let known = ready!(receipt.mailbox.poll_outcome(receipt.number, ticket, cx));
        *ticket = None;
        Poll::Ready(known)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.receipt.mailbox.forget_waiting(self.receipt.number, ticket);
        }
    }
}
