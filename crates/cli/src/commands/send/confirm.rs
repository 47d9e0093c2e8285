//! What the listener has written, as it says.
//!
//! In: its messages, what became of ours. Out: whether all is written that has to be. Never: files.

use std::cell::{Cell, RefCell};

use hikyaku::{Class, Connection, Delivery};
use tokio::sync::Notify;

use super::tally::Tally;
use crate::written::{FLUSH, WRITTEN_CHANNEL, Written};

/// What is known to be written.
pub(super) struct Confirmed {
    /// The class of our messages, where the listener says what it has written of them; nothing
    /// where it does not.
    class: Option<Class>,
    written: RefCell<Written>,
    flushing: Cell<bool>,
    /// The connection is over: nothing more will be heard.
    over: Cell<bool>,
    news: Notify,
}

impl Confirmed {
    /// For messages of this class.
    pub(super) fn of(connection: &Connection, class: Class) -> Self {
        // Nothing was promised of an Unreliable message, so nothing is waited for.
        let waits = connection.shares_application() && class != Class::Unreliable;
        Self { class: waits.then_some(class), ..Self::none() }
    }

    /// For what has answers of its own.
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

    /// Returns `true` if the first so many messages are those that are written.
    pub(super) const fn is_ordered(&self) -> bool {
        matches!(self.class, Some(Class::Ordered))
    }

    /// Messages that are written.
    pub(super) fn messages(&self) -> u64 {
        self.written.borrow().messages
    }

    /// Bytes that are written.
    pub(super) fn bytes(&self) -> u64 {
        self.written.borrow().bytes
    }

    /// Why the listener writes nothing more, if it said so.
    pub(super) fn ended(&self) -> Option<String> {
        self.written.borrow().ended.clone()
    }

    /// Returns `true` if all is written that has to be, once everything has an outcome.
    pub(super) fn is_whole(&self, tally: &Tally) -> bool {
        let written = self.written.borrow();
        match self.class {
            None => true,
            // Of these the listener gives out what is newest, or not too late.
            Some(Class::Latest) => self.is_flushed(),
            Some(Class::Deadline) => self.is_flushed() && written.messages >= tally.acknowledged(),
            _ => written.messages >= tally.acknowledged(),
        }
    }

    /// Is all written, or known not to have to be? A Deadline message may come too late for that.
    pub(super) fn is_complete(&self, tally: &Tally) -> bool {
        self.is_whole(tally) || self.is_flushed()
    }

    fn is_flushed(&self) -> bool {
        self.flushing.get() && self.written.borrow().flushes > 0
    }

    /// Returns `true` if more may come.
    fn is_settled(&self, tally: &Tally) -> bool {
        self.is_complete(tally) || self.over.get() || self.written.borrow().ended.is_some()
    }

    /// Takes what the listener says until the connection ends. Never returns.
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

    /// Waits until all is written, or the listener says that it will not be. Everything has an
    /// outcome by now.
    pub(super) async fn settle(&self, connection: &Connection, tally: &Tally) {
        if matches!(self.class, Some(Class::Latest | Class::Deadline)) {
            let flush = connection.channel(WRITTEN_CHANNEL).send(Delivery::Ordered, vec![FLUSH]);
            // Where the connection is over, the end reports it.
            self.flushing.set(flush.await.is_ok());
        }
        while !self.is_settled(tally) {
            self.news.notified().await;
        }
    }
}
