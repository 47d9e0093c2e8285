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

    /// Waits until the peer has acknowledged the message: it has all of it and keeps it for its
    /// application, and of `Ordered` all earlier ones of the channel too. What the application does
    /// with it only an answer of its own can tell.
    ///
    /// It always ends: the connection does, if nothing else. Dropped while it waits it takes the
    /// receipt with it; a [`timeout`](tokio::time::timeout) is for who then wants to know no more.
    ///
    /// # Errors
    /// [`NotDelivered`]: why that will never be known. Only `Latest`, `Unreliable` and `Deadline`
    /// fail while the connection lives.
    pub async fn acknowledged(self) -> Result<(), NotDelivered> {
        match self.known().await {
            Known::Yes(outcome) => NotDelivered::of(outcome).map_or(Ok(()), Err),
            _ => Err(NotDelivered::Forgotten),
        }
    }

    /// Waits for the outcome, as [`Receipt::acknowledged`] does; nothing when it is not remembered
    /// any more: a connection remembers 65,536 changes from one outcome to another.
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
