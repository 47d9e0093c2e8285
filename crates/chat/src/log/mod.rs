//! The log of a chat, which gives its events their numbers.
//!
//! A chat appends events and takes them out numbered, immediately or later, possibly with events of
//! other writers in between. So a log may be in memory, on disk, or shared by several hosts.

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

/// The outcome of submitting an event.
#[derive(Clone, Debug)]
pub enum Committed {
    /// It has its number, and is stored if the log stores anything.
    Event(Arc<Event>),
    /// Its author had already submitted this id: nothing was appended.
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
    /// Appends an event. [`Log::committed`] returns it with its number, immediately or later.
    fn submit(&mut self, event: Event);

    /// Returns the outcome of the next submitted event, if it is known. Numbers grow strictly; gaps
    /// and events of other writers are possible.
    fn committed(&mut self) -> Option<Committed>;

    /// Returns the number of the event taken last, 0 before the first.
    fn head(&self) -> Seq;

    /// Returns the number of the newest event of a room that all its members receive.
    fn head_of(&self, room: &RoomName) -> Seq;

    /// Returns the events after `seq` that are in memory, as far as they were taken, or `None` if
    /// one of them is no longer in memory.
    fn after(&self, seq: Seq) -> Option<impl DoubleEndedIterator<Item = &Arc<Event>>>;

    /// Forgets the newest number of a room that nobody is in any more.
    fn forget_room(&mut self, room: &RoomName);

    /// Returns the id of the log, by which a reader knows that its cursor belongs to it.
    fn id(&self) -> Option<LogId> {
        None
    }

    /// Returns `true` if what has a number is on a disk.
    fn is_durable(&self) -> bool {
        false
    }
}
