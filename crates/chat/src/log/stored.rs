//! A log on disk, as a value: the caller does the writing.

use std::{collections::VecDeque, mem, sync::Arc};

use super::{Committed, Log, newest::Newest};
use crate::{
    event::{Event, Seq},
    limits::{EVENT_OVERHEAD, MAX_UNSTORED, MAX_UNSTORED_LEN},
    room_name::RoomName,
    store::{LogId, Past, StoreError},
};

/// A log that a [`Store`](crate::store::Store) keeps.
///
/// The owner of the store takes a batch with [`StoredLog::take_batch`], commits it, and returns the
/// result to [`StoredLog::hand_in`]. Meanwhile, further events wait for the next batch and share
/// its transaction.
#[derive(Debug)]
pub struct StoredLog {
    id: LogId,
    submitted: VecDeque<Event>,
    /// The cost of `submitted`.
    waiting: usize,
    is_batch_away: bool,
    /// Results that have not been taken, in the order of the log.
    results: VecDeque<Committed>,
    newest: Newest,
}

impl StoredLog {
    /// Creates the log whose past a store has.
    #[must_use]
    pub fn new(past: &Past) -> Self {
        let rooms = past.rooms.iter().map(|(room, head, _)| (room.clone(), *head));
        Self {
            id: past.log,
            submitted: VecDeque::new(),
            waiting: 0,
            is_batch_away: false,
            results: VecDeque::new(),
            newest: Newest::from(past.head, rooms),
        }
    }

    pub(crate) const fn newest(&self) -> &Newest {
        &self.newest
    }

    /// Returns the next events to commit, in order, unless a batch is being committed.
    pub fn take_batch(&mut self) -> Option<Vec<Event>> {
        if self.is_batch_away || self.submitted.is_empty() {
            return None;
        }
        self.is_batch_away = true;
        self.waiting = 0;
        Some(mem::take(&mut self.submitted).into())
    }

    /// Takes what became of the batch that was away.
    pub fn hand_in(&mut self, results: Vec<Committed>) {
        self.is_batch_away = false;
        self.results.extend(results);
    }

    /// Returns `true` if every submitted event was stored or has failed.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        !self.is_batch_away && self.submitted.is_empty()
    }
}

impl Log for StoredLog {
    fn submit(&mut self, event: Event) {
        let cost = event.weight() + EVENT_OVERHEAD;
        if self.submitted.len() >= MAX_UNSTORED || self.waiting + cost > MAX_UNSTORED_LEN {
            let why = StoreError::new("the disk is too slow: too many messages wait for it");
            return self.results.push_back(Committed::Failed { event: Box::new(event), why });
        }
        self.waiting += cost;
        self.submitted.push_back(event);
    }

    fn committed(&mut self) -> Option<Committed> {
        let result = self.results.pop_front()?;
        let Committed::Event(event) = result else { return Some(result) };
        let Some(seq) = event.seq else { return Some(Committed::Event(event)) };
        Some(Committed::Event(self.newest.push(Arc::unwrap_or_clone(event), seq)))
    }

    fn head(&self) -> Seq {
        self.newest.head()
    }

    fn head_of(&self, room: &RoomName) -> Seq {
        self.newest.head_of(room)
    }

    fn forget_room(&mut self, room: &RoomName) {
        self.newest.forget_room(room);
    }

    fn after(&self, seq: Seq) -> Option<impl DoubleEndedIterator<Item = &Arc<Event>>> {
        self.newest.after(seq)
    }

    fn id(&self) -> Option<LogId> {
        Some(self.id)
    }

    fn is_durable(&self) -> bool {
        true
    }
}
