//! What a client keeps of one chat, over its own restarts: a trait, so that no client knows a
//! database.
//!
//! There is a store per host and device. A second client of the same key on the same machine has
//! another device, with a store of its own.

use std::sync::Arc;

use crate::{
    event::Seq,
    limits::{MAX_KNOWN_NAMES, MAX_OUTBOX},
    machine::Device,
    message_id::MessageId,
    room_name::RoomName,
    store::{LogId, StoreError},
};

/// A message that its author has typed and that is not known to be stored by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Its id, which begins with the time at which it was typed.
    pub id: MessageId,
    /// The room.
    pub room: RoomName,
    /// What kind of message it is.
    pub what: What,
    /// The text.
    pub text: Arc<str>,
}

/// The kinds of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A line for the room.
    Said,
    /// A line that says what the author does.
    Emote,
    /// A whisper to the member with this name.
    Whisper(Arc<str>),
}

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The number of this device, which is random and never changes.
    pub device: Device,
    /// Messages that are not known to be stored by the host, in the order in which they were added.
    pub outbox: Vec<Unsent>,
    /// The log, and the newest of its events that were shown.
    pub cursor: Option<(LogId, Seq)>,
    /// Names, and the fingerprints of the keys that had them last. `None`: a member without a key.
    pub names: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// The rooms, as they were set last. `None` before the first time.
    pub rooms: Option<Vec<RoomName>>,
}

impl Kept {
    /// What a new store holds.
    #[must_use]
    pub const fn new(device: Device) -> Self {
        Self { device, outbox: Vec::new(), cursor: None, names: Vec::new(), rooms: None }
    }
}

/// A change of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Add a message to the outbox. It must survive a power failure once it is committed.
    Add(Unsent),
    /// The host has this message, or will not take it: remove it from the outbox.
    Remove(MessageId),
    /// All events of the log up to this one were shown.
    Cursor(LogId, Seq),
    /// A name belongs to the key with this fingerprint, or to no key, from now on.
    Name(Arc<str>, Option<Arc<str>>),
    /// The rooms.
    Rooms(Vec<RoomName>),
}

impl Change {
    /// Returns `true` if the change must be on the disk when [`DeviceStore::commit`] returns.
    ///
    /// Of the others, a power failure may take the newest: at worst lines are shown, or sent to a
    /// host that knows them, once more.
    #[must_use]
    pub const fn must_last(&self) -> bool {
        matches!(self, Self::Add(_))
    }
}

/// The store of a device.
pub trait DeviceStore: Send {
    /// Reads what is kept. A new store chooses its device's number by chance.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load(&mut self) -> Result<Kept, StoreError>;

    /// Makes changes, in their order, all or none. When it returns, all survive the end of the
    /// process, and if one of them [must last](Change::must_last), a power failure.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing has changed.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;

    /// Returns `true` if what is kept survives the process.
    fn is_lasting(&self) -> bool {
        true
    }
}

/// A store in memory: for tests, and where nothing is to be kept.
#[derive(Clone, Debug)]
pub struct MemoryStore(Kept);

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub const fn new(device: Device) -> Self {
        Self(Kept::new(device))
    }
}

impl DeviceStore for MemoryStore {
    fn load(&mut self) -> Result<Kept, StoreError> {
        Ok(self.0.clone())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        changes.iter().cloned().for_each(|change| self.0.apply(change));
        Ok(())
    }

    fn is_lasting(&self) -> bool {
        false
    }
}

impl Kept {
    /// Makes a change. What would exceed a bound is left out: [`MAX_OUTBOX`], [`MAX_KNOWN_NAMES`].
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Add(unsent) if self.outbox.len() < MAX_OUTBOX => self.outbox.push(unsent),
            Change::Add(_) => {}
            Change::Remove(id) => self.outbox.retain(|unsent| unsent.id != id),
            Change::Cursor(log, seq) => self.cursor = Some((log, seq)),
            Change::Name(name, key) => {
                if let Some(known) = self.names.iter_mut().find(|(known, _)| *known == name) {
                    known.1 = key;
                } else if self.names.len() < MAX_KNOWN_NAMES {
                    self.names.push((name, key));
                }
            }
            Change::Rooms(rooms) => self.rooms = Some(rooms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Stamp;

    fn unsent(n: u8) -> Unsent {
        let id = MessageId::new(Stamp::from_millis(1), [n; 10]);
        Unsent { id, room: RoomName::general(), what: What::Said, text: format!("{n}").into() }
    }

    #[test]
    fn what_is_committed_is_loaded() {
        let mut store = MemoryStore::new(Device::new(u64::MAX));
        let name = |key: &str| Change::Name("ann".into(), Some(key.into()));
        let changes = [
            Change::Add(unsent(1)),
            Change::Add(unsent(2)),
            Change::Remove(unsent(1).id),
            Change::Cursor(LogId::new(u64::MAX), Seq(7)),
            name("old"),
            name("new"),
            Change::Rooms(vec![RoomName::general()]),
        ];
        store.commit(&changes).unwrap();
        let kept = store.load().unwrap();
        assert_eq!(kept.outbox, [unsent(2)]);
        assert_eq!(kept.cursor, Some((LogId::new(u64::MAX), Seq(7))));
        assert_eq!(kept.names, [("ann".into(), Some("new".into()))]);
        assert_eq!(kept.rooms, Some(vec![RoomName::general()]));
    }
}
