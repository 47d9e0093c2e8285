//! What waits for one device alone: private lines, and its rights.
//!
//! A host has one of these per device. It has no buffer while nothing waits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::writer::Outgoing;
use crate::{limits::MAX_PRIVATE, store::Rights};

/// The chat's side. When it is dropped, the writer ends after what waits.
#[derive(Debug)]
pub(super) struct Sender(Arc<Shared>);

/// The writer's side. When it is dropped, nothing more is taken.
#[derive(Debug)]
pub(super) struct Receiver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Outgoing>,
    rights: Arc<Rights>,
    /// One of the sides is gone.
    has_ended: bool,
}

/// What waits for a device.
#[derive(Debug)]
pub(super) enum Waiting {
    One(Outgoing),
    Nothing,
    /// Nothing, and nothing more will.
    Ended,
}

/// Creates the two sides, for a device with these rights.
pub(super) fn private(rights: Rights) -> (Sender, Receiver) {
    let state = State { waiting: VecDeque::new(), rights: Arc::new(rights), has_ended: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Shared {
    /// A poisoned lock means that a task panicked between two statements that cannot.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_one();
    }
}

impl Sender {
    /// Returns `false` if too much waits, or the writer is gone.
    pub(super) fn put(&self, outgoing: Outgoing) -> bool {
        let mut state = self.0.lock();
        let fits = !state.has_ended && state.waiting.len() < MAX_PRIVATE;
        if fits {
            state.waiting.push_back(outgoing);
            drop(state);
            self.0.changed.notify_one();
        }
        fits
    }

    /// Replaces the rights with what `change` returns, if it returns any.
    pub(super) fn change_rights(&self, change: impl FnOnce(&Rights) -> Option<Rights>) {
        let mut state = self.0.lock();
        if let Some(rights) = change(&state.rights) {
            state.rights = Arc::new(rights);
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Receiver {
    pub(super) fn take(&self) -> Waiting {
        let mut state = self.0.lock();
        match state.waiting.pop_front() {
            Some(one) => {
                if state.waiting.is_empty() {
                    state.waiting = VecDeque::new();
                }
                Waiting::One(one)
            }
            None if state.has_ended => Waiting::Ended,
            None => Waiting::Nothing,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().waiting.is_empty()
    }

    pub(super) fn rights(&self) -> Arc<Rights> {
        Arc::clone(&self.0.lock().rights)
    }

    /// Returns `true` if the rights have changed since these were returned.
    pub(super) fn has_other(&self, rights: &Arc<Rights>) -> bool {
        !Arc::ptr_eq(rights, &self.0.lock().rights)
    }

    /// Waits until something waits, or nothing more will. May return too early. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use hikyaku::Bytes;

    use super::*;
    use crate::event::Seq;

    fn both() -> (Sender, Receiver) {
        private(Rights::of("me", []))
    }

    fn line() -> Outgoing {
        Outgoing::Line(Bytes::from_static(b"{}"))
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_is_taken_before_the_end() {
        let (sender, receiver) = both();
        assert!(matches!(receiver.take(), Waiting::Nothing));
        assert!((0..MAX_PRIVATE).all(|_| sender.put(line())));
        assert!(!sender.put(Outgoing::After(Seq(1))), "too much waits");
        drop(sender);
        receiver.changed().await;
        assert!((0..MAX_PRIVATE).all(|_| matches!(receiver.take(), Waiting::One(_))));
        assert!(matches!(receiver.take(), Waiting::Ended));
        assert_eq!(receiver.0.lock().waiting.capacity(), 0, "an idle device has no buffer");
    }

    #[test]
    fn nothing_is_taken_for_a_writer_that_has_ended() {
        let (sender, receiver) = both();
        drop(receiver);
        assert!(!sender.put(line()));
    }

    #[test]
    fn rights_are_replaced_only_by_others() {
        let (sender, receiver) = both();
        let before = receiver.rights();
        sender.change_rights(|_| None);
        assert!(!receiver.has_other(&before));
        sender.change_rights(|rights| Some(rights.clone()));
        assert!(receiver.has_other(&before));
    }
}
