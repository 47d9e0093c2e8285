//! Tasks to wake once the driver is free.
//!
//! On a runtime with several threads, a task that is woken earlier runs while the driver still
//! works, and finds it busy.

use std::{sync::Arc, task::Waker};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Notifiers of readers for which messages arrived.
    pub(crate) readers: Vec<Arc<Notify>>,
    /// Tasks that wait for the outcome of a message.
    pub(crate) tasks: Vec<Waker>,
}

impl Wakes {
    pub(crate) const fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.tasks.is_empty()
    }

    pub(crate) fn wake_all(&mut self) {
        self.readers.drain(..).for_each(|arrived| arrived.notify_waiters());
        self.tasks.drain(..).for_each(Waker::wake);
    }
}
