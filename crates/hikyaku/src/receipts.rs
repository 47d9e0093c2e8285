//! Many receipts, awaited together.

use std::collections::VecDeque;

use crate::{closed::NotDelivered, receipt::Receipt};

/// Receipts of messages whose outcomes are awaited together, whichever connections they were sent
/// on.
///
/// ```
/// # use hikyaku::{Delivery, Endpoint, Receipts, Trust};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Endpoint::bind("127.0.0.1:0").await?;
/// # let client = Endpoint::client()?;
/// # let connection = client.connect(server.local_addr(), Trust::AnyKey).await?;
/// let mut receipts = Receipts::new();
/// for line in ["one", "two", "three"] {
///     receipts.push(connection.send(Delivery::Ordered, line).await?);
/// }
/// receipts.acknowledged_all().await?;
/// assert!(receipts.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Receipts {
    waiting: VecDeque<Receipt>,
    /// Why the first message that failed was not delivered.
    failed: Option<NotDelivered>,
}

impl Receipts {
    /// Returns an empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { waiting: VecDeque::new(), failed: None }
    }

    /// Adds a receipt.
    pub fn push(&mut self, receipt: Receipt) {
        self.waiting.push_back(receipt);
    }

    /// Returns how many are waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns `true` if none is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits until every message has an outcome, and removes them all. Cancel-safe: if the future
    /// is dropped, the outcomes known by then are removed, and a failure among them is returned by
    /// the next call.
    ///
    /// # Errors
    /// The reason why the first failed message was not acknowledged.
    pub async fn acknowledged_all(&mut self) -> Result<(), NotDelivered> {
        while let Some(receipt) = self.waiting.front() {
            let outcome = receipt.acknowledged().await;
            self.waiting.pop_front();
            if let Err(error) = outcome {
                self.failed.get_or_insert(error);
            }
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Removes the receipts whose outcome is known, and returns them in the order in which they
    /// were added, without waiting. A 60 Hz loop can use this to follow its messages.
    #[must_use]
    pub fn take_known(&mut self) -> Vec<(Receipt, Result<(), NotDelivered>)> {
        let mut known = Vec::new();
        for receipt in std::mem::take(&mut self.waiting) {
            match receipt.try_acknowledged() {
                Some(outcome) => known.push((receipt, outcome)),
                None => self.waiting.push_back(receipt),
            }
        }
        known
    }
}

impl FromIterator<Receipt> for Receipts {
    fn from_iter<I: IntoIterator<Item = Receipt>>(receipts: I) -> Self {
        Self { waiting: receipts.into_iter().collect(), failed: None }
    }
}

impl Extend<Receipt> for Receipts {
    fn extend<I: IntoIterator<Item = Receipt>>(&mut self, receipts: I) {
        self.waiting.extend(receipts);
    }
}
