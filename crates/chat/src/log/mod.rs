//! The log of a chat, which gives its events their numbers.
//!
//! A chat appends events and takes them out numbered, immediately or later, with other writers'
//! events between them. So a log may be on a disk, shared by several hosts, or in memory.

use std::sync::Arc;

use crate::{
    event::{Event, Seq},
    room_name::RoomName,
    store::{LogId, StoreError},
};

mod memory;
mod newest;
mod stored;

#[cfg(test)]
mod tests;

pub(crate) use self::newest::Newest;
pub use self::{memory::MemoryLog, stored::StoredLog};

/// What became of an event that was submitted.
#[derive(Clone, Debug)]
pub enum Committed {
    /// It has its number, and is stored if the log stores anything.
    Event(Arc<Event>),
    /// Its author had submitted its id before: nothing was appended.
    Repeated {
        /// The event as submitted.
        event: Box<Event>,
        /// The number that it has.
        seq: Seq,
    },
    /// It could not be stored: nothing was appended.
    Failed {
        /// The event as submitted.
        event: Box<Event>,
        /// Why.
        why: StoreError,
    },
}

/// An ordered list of events, of which a chat is one writer.
pub trait Log {
    /// Appends an event. [`Log::committed`] returns it with its number, now or later.
    fn submit(&mut self, event: Event);

    /// Returns what became of the next event, if it was not taken yet. Numbers grow strictly; gaps
    /// and events of other writers are possible.
    fn committed(&mut self) -> Option<Committed>;

    /// Returns the number of the event taken last, 0 before the first.
    fn head(&self) -> Seq;

    /// Returns the number of the newest event of a room that all its members receive.
    fn head_of(&self, room: &RoomName) -> Seq;

    /// Returns the events after `seq` that are in memory, as far as they have been taken, or `None`
    /// if one of them is not in memory any more.
    fn after(&self, seq: Seq) -> Option<impl DoubleEndedIterator<Item = &Arc<Event>>>;

    /// Forgets the newest number of a room that nobody is in any more.
    fn forget_room(&mut self, room: &RoomName);

    /// Returns the name of the log, by which a reader knows that its cursor is of this one.
    fn id(&self) -> Option<LogId> {
        None
    }

    /// Returns `true` if what has a number is on a disk.
    fn is_durable(&self) -> bool {
        false
    }
}
