//! A log in memory.

use std::{collections::VecDeque, sync::Arc};

use super::{Committed, Log, newest::Newest};
use crate::{
    event::{Event, Seq},
    room_name::RoomName,
    store::LogId,
};

/// A log in memory that keeps the newest events and numbers from 1.
#[derive(Debug, Default)]
pub struct MemoryLog {
    id: Option<LogId>,
    submitted: VecDeque<Event>,
    newest: Newest,
}

impl MemoryLog {
    /// Creates an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) const fn newest(&self) -> &Newest {
        &self.newest
    }

    /// Creates an empty log for readers that may come back to it.
    #[must_use]
    pub fn named(id: LogId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }
}

impl Log for MemoryLog {
    fn submit(&mut self, event: Event) {
        self.submitted.push_back(event);
    }

    fn committed(&mut self) -> Option<Committed> {
        let event = self.submitted.pop_front()?;
        if let Some(seq) = self.newest.number_of(&event) {
            return Some(Committed::Repeated { event: Box::new(event), seq });
        }
        let seq = Seq(self.newest.head().0 + 1);
        Some(Committed::Event(self.newest.push(event, seq)))
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
        self.id
    }
}
