//! What all connections of an endpoint may hold together, beyond what each may always hold.
//!
//! In: bytes taken and returned. Out: whether there is room. Never: messages, or which connection
//! holds them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes for all connections of an endpoint, as credit and pool count them.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u64,
    taken: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(most: u64) -> Self {
        Self { most, taken: AtomicU64::new(0) }
    }

    /// Returns the bytes taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Returns `true` if half of it remains after `more` is taken.
    pub(super) fn has_plenty(&self, more: u64) -> bool {
        self.taken().saturating_add(more) <= self.most / 2
    }

    /// Takes `more` bytes. Returns `false` if that many are not left.
    pub(super) fn take(&self, more: u64) -> bool {
        let enough = |taken: u64| taken.checked_add(more).filter(|sum| *sum <= self.most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }

    /// Takes `more` bytes that are already held and move to another holder.
    pub(super) fn take_over(&self, more: u64) {
        self.taken.fetch_add(more, Ordering::Relaxed);
    }

    /// Returns `true` if nothing is left of it.
    pub(crate) fn is_spent(&self) -> bool {
        self.taken() >= self.most
    }

    /// Returns what `take` took. The count never falls below zero, even after a connection panicked
    /// while counting.
    pub(super) fn give(&self, less: u64) {
        let rest = |taken: u64| Some(taken.saturating_sub(less));
        let _ = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
    }
}
