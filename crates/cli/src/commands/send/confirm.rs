//! The listener's reports of what it has written.

use std::cell::{Cell, RefCell};

use hikyaku::{Class, Connection, Delivery};
use tokio::sync::Notify;

use super::tally::Tally;
use crate::written::{FLUSH, WRITTEN_CHANNEL, Written};

/// What is known to be written.
pub(super) struct Confirmed {
    /// The class of our messages if the listener reports what is written, otherwise `None`.
    class: Option<Class>,
    written: RefCell<Written>,
    flushing: Cell<bool>,
    /// The connection has ended: no more reports will come.
    over: Cell<bool>,
    news: Notify,
}

impl Confirmed {
    /// Expects confirmations for messages of this class.
    pub(super) fn of(connection: &Connection, class: Class) -> Self {
        // Unreliable messages have no guarantee, so there is nothing to wait for.
        let waits = connection.shares_application() && class != Class::Unreliable;
        Self { class: waits.then_some(class), ..Self::none() }
    }

    /// Expects no confirmations, for a source that gets its own answers.
    pub(super) fn none() -> Self {
        Self {
            class: None,
            written: RefCell::default(),
            flushing: Cell::new(false),
            over: Cell::new(false),
            news: Notify::new(),
        }
    }

    /// Returns `true` if the listener confirms what it has written.
    pub(super) const fn is_told(&self) -> bool {
        self.class.is_some()
    }

    /// Returns `true` if the reported count names the first messages in order.
    pub(super) const fn is_ordered(&self) -> bool {
        matches!(self.class, Some(Class::Ordered))
    }

    /// Returns the number of messages written.
    pub(super) fn messages(&self) -> u64 {
        self.written.borrow().messages
    }

    /// Returns the number of bytes written.
    pub(super) fn bytes(&self) -> u64 {
        self.written.borrow().bytes
    }

    /// Returns why the listener writes nothing more, if it said so.
    pub(super) fn ended(&self) -> Option<String> {
        self.written.borrow().ended.clone()
    }

    /// Returns `true` if everything is written that must be, once every message has an outcome.
    pub(super) fn is_whole(&self, tally: &Tally) -> bool {
        let written = self.written.borrow();
        match self.class {
            None => true,
            // For these classes the listener drops messages that are replaced or late, so the
            // answer to a flush shows that no more will be written, unless all of them are already
            // written.
            Some(Class::Latest) => self.is_flushed() || written.messages >= tally.sent(),
            Some(Class::Deadline) => {
                let answered = self.is_flushed() && written.messages >= tally.acknowledged();
                answered || written.messages >= tally.sent()
            }
            _ => written.messages >= tally.acknowledged(),
        }
    }

    /// Returns `true` if everything is written, or may be missing: a Deadline message may be late.
    pub(super) fn is_complete(&self, tally: &Tally) -> bool {
        self.is_whole(tally) || self.is_flushed()
    }

    fn is_flushed(&self) -> bool {
        self.flushing.get() && self.written.borrow().flushes > 0
    }

    /// Returns `true` if more reports may come.
    fn is_settled(&self, tally: &Tally) -> bool {
        self.is_complete(tally) || self.over.get() || self.written.borrow().ended.is_some()
    }

    /// Takes the listener's reports until the connection ends. Never returns.
    pub(super) async fn hear(&self, connection: &Connection) {
        if self.is_told() {
            let words = connection.channel(WRITTEN_CHANNEL);
            while let Ok(message) = words.recv().await {
                if let Some(written) = Written::decode(&message.payload) {
                    self.written.replace(written);
                    self.news.notify_one();
                }
            }
            self.over.set(true);
            self.news.notify_one();
        }
        std::future::pending().await
    }

    /// Waits until everything is written or the listener reports that it will not be. Every message
    /// must have an outcome.
    pub(super) async fn settle(&self, connection: &Connection, tally: &Tally) {
        if matches!(self.class, Some(Class::Latest | Class::Deadline)) {
            let flush = connection.channel(WRITTEN_CHANNEL).send(Delivery::Ordered, vec![FLUSH]);
            // If the connection has ended, that is reported elsewhere.
            self.flushing.set(flush.await.is_ok());
        }
        while !self.is_settled(tally) {
            self.news.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use hikyaku::Outcome;

    use super::{super::tally::counter, *};

    // A listener that wanted one message has left before it could answer the flush.
    #[tokio::test]
    async fn fully_written_messages_need_no_answer_to_a_flush() {
        for class in [Class::Latest, Class::Deadline] {
            let confirmed = Confirmed { class: Some(class), ..Confirmed::none() };
            let tally = Tally::default();
            let (receipts, counting) = counter(&tally);
            receipts.put(&tally, Err(Outcome::Acknowledged), 5).await;
            drop(receipts);
            counting.await;
            assert!(!confirmed.is_whole(&tally), "{class:?}");
            confirmed.written.borrow_mut().messages = 1;
            assert!(confirmed.is_whole(&tally), "{class:?}");
        }
    }
}
