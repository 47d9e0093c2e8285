//! Whether messages are stored, as reported to the owner of the chat.

use std::mem;

use crate::store::StoreError;

/// A change of the storage state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageChange {
    /// An event could not be stored, after one that could.
    Failed(StoreError),
    /// An event was stored again.
    Back {
        /// How many could not be stored in between.
        failed: u64,
    },
}

/// An outage is reported once, however many events it affects, and so is its end.
#[derive(Debug, Default)]
pub(super) struct Storage {
    /// Events that could not be stored since the last one that could.
    failed: u64,
    changes: Vec<StorageChange>,
}

impl Storage {
    pub(super) fn failed(&mut self, why: StoreError) {
        if self.failed == 0 {
            self.changes.push(StorageChange::Failed(why));
        }
        self.failed += 1;
    }

    pub(super) fn succeeded(&mut self) {
        if self.failed > 0 {
            let failed = mem::take(&mut self.failed);
            self.changes.push(StorageChange::Back { failed });
        }
    }

    pub(super) fn take_changes(&mut self) -> Vec<StorageChange> {
        mem::take(&mut self.changes)
    }
}
