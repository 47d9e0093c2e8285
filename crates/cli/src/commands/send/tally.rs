//! Counts the outcomes of messages.

use std::cell::{Cell, RefCell};

use hikyaku::{Outcome, Receipt};
use tokio::sync::mpsc;

use crate::limits::{MAX_NAMED, MAX_RECEIPTS};

/// Counts of messages and bytes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sent: Cell<u64>,
    sent_bytes: Cell<u64>,
    good: Cell<u64>,
    good_bytes: Cell<u64>,
    /// Latest: replaced by a newer message.
    superseded: Cell<u64>,
    /// Unreliable: sent, and never acknowledged.
    unacknowledged: Cell<u64>,
    /// Deadline: too late to be sent.
    expired: Cell<u64>,
    /// Deadline: sent, with unknown outcome.
    unconfirmed: Cell<u64>,
    too_large: Cell<u64>,
    settled: Cell<u64>,
    /// Finished, without proof of arrival.
    missed: Cell<u64>,
    /// The connection ended before everything was queued.
    cut: Cell<bool>,
    /// The first messages that may not have arrived, by their number from 0.
    missing: RefCell<Vec<u64>>,
}

/// The sending half for receipts.
pub(super) struct Receipts(mpsc::Sender<(Sent, u64)>);

/// A message in flight, or its immediate outcome.
pub(super) type Sent = Result<Receipt, Outcome>;

/// A counter: the sender takes receipts, and the counter runs until it is dropped.
pub(super) fn counter(tally: &Tally) -> (Receipts, impl Future<Output = ()>) {
    let (sender, mut queue) = mpsc::channel::<(Sent, u64)>(MAX_RECEIPTS);
    let counting = async move {
        while let Some((sent, len)) = queue.recv().await {
            let outcome = match sent {
                Ok(receipt) => receipt.outcome().await,
                Err(outcome) => Some(outcome),
            };
            tally.settle(outcome, len);
        }
    };
    (Receipts(sender), counting)
}

impl Receipts {
    /// Counts a message.
    pub(super) async fn put(&self, tally: &Tally, sent: Sent, len: usize) {
        let len = len as u64;
        add(&tally.sent, 1);
        add(&tally.sent_bytes, len);
        // After the connection is lost the counter ends, and nobody needs the count.
        let _ = self.0.send((sent, len)).await;
    }
}

fn add(cell: &Cell<u64>, more: u64) {
    cell.set(cell.get() + more);
}

impl Tally {
    fn settle(&self, outcome: Option<Outcome>, len: u64) {
        let number = self.settled.get();
        add(&self.settled, 1);
        let count = match outcome {
            Some(Outcome::Acknowledged) => {
                add(&self.good_bytes, len);
                &self.good
            }
            Some(Outcome::Superseded) => &self.superseded,
            Some(Outcome::Sent) => &self.unacknowledged,
            Some(Outcome::Expired) => &self.expired,
            Some(Outcome::Unconfirmed) => &self.unconfirmed,
            Some(Outcome::TooLarge) => &self.too_large,
            // The connection ended first.
            _ => return self.miss(number),
        };
        add(count, 1);
        if matches!(outcome, Some(Outcome::Expired | Outcome::Unconfirmed | Outcome::TooLarge)) {
            self.miss(number);
        }
    }

    /// Records that the connection ended before everything was queued.
    pub(super) fn cut(&self) {
        self.cut.set(true);
    }

    pub(super) const fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Returns `true` if the connection ended before everything had an outcome of its class.
    pub(super) const fn is_lost(&self) -> bool {
        let known = self.expired.get() + self.unconfirmed.get() + self.too_large.get();
        self.missed.get() > known
    }

    fn miss(&self, number: u64) {
        add(&self.missed, 1);
        let mut missing = self.missing.borrow_mut();
        if missing.len() < MAX_NAMED {
            missing.push(number);
        }
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent.get()
    }

    pub(super) const fn sent_bytes(&self) -> u64 {
        self.sent_bytes.get()
    }

    pub(super) const fn acknowledged(&self) -> u64 {
        self.good.get()
    }

    pub(super) const fn acknowledged_bytes(&self) -> u64 {
        self.good_bytes.get()
    }

    pub(super) const fn superseded(&self) -> u64 {
        self.superseded.get()
    }

    pub(super) const fn unacknowledged(&self) -> u64 {
        self.unacknowledged.get()
    }

    pub(super) const fn expired(&self) -> u64 {
        self.expired.get()
    }

    pub(super) const fn unconfirmed(&self) -> u64 {
        self.unconfirmed.get()
    }

    pub(super) const fn too_large(&self) -> u64 {
        self.too_large.get()
    }

    /// Returns `true` if everything was queued, and ended as its class promises.
    pub(super) const fn is_good(&self) -> bool {
        let fine = self.good.get() + self.superseded.get() + self.unacknowledged.get();
        fine == self.sent.get() && !self.is_cut()
    }

    /// Returns the numbers of the first of `total` messages that may not have arrived; those never
    /// queued come last.
    pub(super) fn missing(&self, total: u64) -> Vec<u64> {
        let mut missing = self.missing.borrow().clone();
        let unsettled = self.settled.get()..total;
        missing.extend(unsettled.take(MAX_NAMED - missing.len()));
        missing
    }

    /// Returns how many of `total` are not known to have arrived.
    pub(super) const fn missing_count(&self, total: u64) -> u64 {
        self.missed.get() + total.saturating_sub(self.settled.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_and_missing_messages_are_named() {
        let tally = Tally::default();
        tally.sent.set(6);
        let outcomes = [
            Outcome::Acknowledged,
            Outcome::Superseded,
            Outcome::Expired,
            Outcome::Acknowledged,
            Outcome::Unsent,
            Outcome::Unconfirmed,
        ];
        for outcome in outcomes {
            tally.settle(Some(outcome), 10);
        }
        assert_eq!((tally.acknowledged(), tally.acknowledged_bytes()), (2, 20));
        assert!(!tally.is_good() && tally.is_lost());
        assert_eq!(tally.missing(7), [2, 4, 5, 6]);
        assert_eq!((tally.missing_count(7), tally.missing_count(1_000)), (4, 997));
        assert_eq!(tally.unconfirmed(), 1);
    }

    #[test]
    fn losses_that_the_class_permits_are_not_a_failure() {
        let tally = Tally::default();
        tally.sent.set(3);
        for outcome in [Outcome::Superseded, Outcome::Sent, Outcome::Acknowledged] {
            tally.settle(Some(outcome), 1);
        }
        assert!(tally.is_good() && tally.missing(3).is_empty());
    }

    #[test]
    fn messages_that_were_not_queued_are_a_failure() {
        let tally = Tally::default();
        tally.sent.set(1);
        tally.settle(Some(Outcome::Acknowledged), 1);
        assert!(tally.is_good());
        tally.cut();
        assert!(!tally.is_good());
        assert_eq!(tally.missing(3), [1, 2]);
    }
}
