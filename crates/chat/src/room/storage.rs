//! Whether messages are stored, as reported to the owner of the chat.

use std::mem;

use crate::{limits::STORAGE_SETTLED, store::StoreError, time::Time};

/// A change of the storage state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageChange {
    /// An event could not be stored, after others that could.
    Failed(StoreError),
    /// Events have been stored for a while.
    Back {
        /// How many could not be stored in between.
        failed: u64,
    },
}

/// An outage is reported once, however many events it affects, and so is its end. A disk that is
/// nearly full still has room for a short event now and then, which does not end the outage.
#[derive(Debug, Default)]
pub(super) struct Storage {
    outage: Option<Outage>,
    /// The first error of an outage that is not reported yet.
    began: Option<StoreError>,
}

#[derive(Debug, Default)]
struct Outage {
    /// Events that could not be stored.
    failed: u64,
    /// `true` if one of them came after the last report.
    is_fresh: bool,
    /// `true` if an event was stored after the last of them.
    is_stored: bool,
    /// When the outage is over, unless another event fails.
    over_at: Time,
}

impl Storage {
    pub(super) fn failed(&mut self, why: StoreError) {
        let outage = self.outage.get_or_insert_with(|| {
            self.began = Some(why);
            Outage::default()
        });
        outage.failed += 1;
        outage.is_fresh = true;
        outage.is_stored = false;
    }

    pub(super) fn succeeded(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.is_stored = true;
        }
    }

    /// Returns when an outage may be over.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.outage.as_ref().filter(|outage| outage.is_stored).map(|outage| outage.over_at)
    }

    pub(super) fn take_changes(&mut self, now: Time) -> Vec<StorageChange> {
        let began = self.began.take().map(StorageChange::Failed);
        if let Some(outage) = &mut self.outage
            && mem::take(&mut outage.is_fresh)
        {
            outage.over_at = now + STORAGE_SETTLED;
        }
        let ended = self.outage.take_if(|outage| outage.is_stored && outage.over_at <= now);
        let ended = ended.map(|Outage { failed, .. }| StorageChange::Back { failed });
        began.into_iter().chain(ended).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_disk_that_has_room_now_and_then_is_one_outage_with_one_end() {
        let mut storage = Storage::default();
        let why = StoreError::new("the disk is full");
        let at = |seconds| Time::from_epoch(Duration::from_secs(seconds));
        let mut reports = Vec::new();
        for second in 0..60 {
            if second % 5 == 0 {
                storage.failed(why.clone());
            } else {
                storage.succeeded();
            }
            reports.extend(storage.take_changes(at(second)));
        }
        assert_eq!(reports, [StorageChange::Failed(why.clone())]);
        let over_at = at(55) + STORAGE_SETTLED;
        assert_eq!(storage.poll_timeout(), Some(over_at));
        assert_eq!(storage.take_changes(over_at), [StorageChange::Back { failed: 12 }]);
        assert_eq!((storage.take_changes(at(999)), storage.poll_timeout()), (vec![], None));
    }

    #[test]
    fn an_outage_lasts_until_something_is_stored() {
        let mut storage = Storage::default();
        storage.failed(StoreError::new("the disk is full"));
        let later = Time::from_epoch(10 * STORAGE_SETTLED);
        assert_eq!((storage.take_changes(Time::ZERO).len(), storage.poll_timeout()), (1, None));
        assert_eq!(storage.take_changes(later), []);
        storage.succeeded();
        assert_eq!(storage.take_changes(later), [StorageChange::Back { failed: 1 }]);
    }
}
