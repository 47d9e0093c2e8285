//! The log of a server: in memory, or stored by a history.

use std::sync::Arc;

use crate::{
    event::{Event, Seq},
    log::{Committed, Log, MemoryLog, Newest, StoredLog},
    room_name::RoomName,
    store::LogId,
};

#[derive(Debug)]
pub(super) enum HostLog {
    Memory(MemoryLog),
    Stored(StoredLog),
}

impl HostLog {
    pub(super) const fn stored(&mut self) -> Option<&mut StoredLog> {
        match self {
            Self::Memory(_) => None,
            Self::Stored(log) => Some(log),
        }
    }

    /// Returns `true` if nothing waits for a disk.
    pub(super) fn is_flushed(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Stored(log) => log.is_flushed(),
        }
    }

    const fn newest(&self) -> &Newest {
        match self {
            Self::Memory(log) => log.newest(),
            Self::Stored(log) => log.newest(),
        }
    }
}

impl Log for HostLog {
    fn submit(&mut self, event: Event) {
        match self {
            Self::Memory(log) => log.submit(event),
            Self::Stored(log) => log.submit(event),
        }
    }

    fn committed(&mut self) -> Option<Committed> {
        match self {
            Self::Memory(log) => log.committed(),
            Self::Stored(log) => log.committed(),
        }
    }

    fn head(&self) -> Seq {
        self.newest().head()
    }

    fn head_of(&self, room: &RoomName) -> Seq {
        self.newest().head_of(room)
    }

    fn forget_room(&mut self, room: &RoomName) {
        match self {
            Self::Memory(log) => log.forget_room(room),
            Self::Stored(log) => log.forget_room(room),
        }
    }

    fn after(&self, seq: Seq) -> Option<impl DoubleEndedIterator<Item = &Arc<Event>>> {
        self.newest().after(seq)
    }

    fn id(&self) -> Option<LogId> {
        match self {
            Self::Memory(log) => log.id(),
            Self::Stored(log) => log.id(),
        }
    }

    fn is_durable(&self) -> bool {
        matches!(self, Self::Stored(_))
    }
}
