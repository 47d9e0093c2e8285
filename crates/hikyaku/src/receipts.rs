//! Many receipts, awaited together.

use std::{collections::VecDeque, fmt, ops::Range, sync::Arc};

use crate::{closed::NotDelivered, mailbox::Mailbox, receipt::Receipt};

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
///
/// Receipts of messages that were queued one after the other on a connection take no more room than
/// one. A clone is a set of its own.
#[derive(Clone, Debug, Default)]
pub struct Receipts {
    waiting: VecDeque<Run>,
    /// Why the first message that failed was not delivered.
    failed: Option<NotDelivered>,
}

/// Messages of one connection that were queued one after the other.
#[derive(Clone)]
struct Run {
    mailbox: Arc<Mailbox>,
    /// Never empty.
    numbers: Range<u64>,
}

impl Receipts {
    /// Returns an empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { waiting: VecDeque::new(), failed: None }
    }

    /// Adds a receipt.
    pub fn push(&mut self, receipt: Receipt) {
        let (mailbox, number) = receipt.into_parts();
        self.push_numbers(&mailbox, number..number + 1);
    }

    /// Adds the receipts of messages that were queued one after the other.
    pub(crate) fn push_numbers(&mut self, mailbox: &Arc<Mailbox>, numbers: Range<u64>) {
        if numbers.is_empty() {
            return;
        }
        match self.waiting.back_mut() {
            Some(last)
                if last.numbers.end == numbers.start && Arc::ptr_eq(&last.mailbox, mailbox) =>
            {
                last.numbers.end = numbers.end;
            }
            _ => self.waiting.push_back(Run { mailbox: Arc::clone(mailbox), numbers }),
        }
    }

    /// Moves the receipts of `more` to the end of these.
    pub fn append(&mut self, more: Self) {
        for run in more.waiting {
            self.push_numbers(&run.mailbox, run.numbers);
        }
        if let Some(error) = more.failed {
            self.failed.get_or_insert(error);
        }
    }

    /// Returns how many are waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.iter().map(Run::len).sum()
    }

    /// Returns `true` if none is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the receipts, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Receipt> {
        self.waiting.iter().flat_map(Run::receipts)
    }

    /// Waits until every message has an outcome, and removes them all. Cancel-safe: if the future
    /// is dropped, the outcomes known by then are removed, and a failure among them is returned by
    /// the next call.
    ///
    /// # Errors
    /// The reason why the first failed message was not acknowledged.
    pub async fn acknowledged_all(&mut self) -> Result<(), NotDelivered> {
        while let Some(receipt) = self.waiting.front().and_then(|run| run.receipts().next()) {
            let outcome = receipt.acknowledged().await;
            self.remove_first();
            if let Err(error) = outcome {
                self.failed.get_or_insert(error);
            }
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    fn remove_first(&mut self) {
        let Some(run) = self.waiting.front_mut() else { return };
        run.numbers.start += 1;
        if run.numbers.is_empty() {
            self.waiting.pop_front();
        }
    }

    /// Removes the receipts whose outcome is known, and returns them in the order in which they
    /// were added, without waiting. A 60 Hz loop can use this to follow its messages.
    #[must_use]
    pub fn take_known(&mut self) -> Vec<(Receipt, Result<(), NotDelivered>)> {
        let mut known = Vec::new();
        for run in std::mem::take(&mut self.waiting) {
            for receipt in run.receipts() {
                match receipt.try_acknowledged() {
                    Some(outcome) => known.push((receipt, outcome)),
                    None => self.push(receipt),
                }
            }
        }
        known
    }
}

impl Run {
    fn len(&self) -> usize {
        usize::try_from(self.numbers.end - self.numbers.start).unwrap_or(usize::MAX)
    }

    fn receipts(&self) -> impl Iterator<Item = Receipt> {
        let receipt = |number| Receipt::new(Arc::clone(&self.mailbox), number);
        self.numbers.clone().map(receipt)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({:?})", self.numbers)
    }
}

impl FromIterator<Receipt> for Receipts {
    fn from_iter<I: IntoIterator<Item = Receipt>>(receipts: I) -> Self {
        let mut all = Self::new();
        all.extend(receipts);
        all
    }
}

impl Extend<Receipt> for Receipts {
    fn extend<I: IntoIterator<Item = Receipt>>(&mut self, receipts: I) {
        receipts.into_iter().for_each(|receipt| self.push(receipt));
    }
}
