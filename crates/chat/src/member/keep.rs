//! The stored data of a client, which survives restarts: a trait, so that the client does not
//! depend on a database.
//!
//! There is one store per host and device. A second client of the same key on the same machine is
//! another device, with its own store.

use std::sync::Arc;

use crate::{
    event::Seq,
    limits::{MAX_KNOWN_NAMES, MAX_OUTBOX},
    machine::Device,
    message_id::MessageId,
    room_name::RoomName,
    store::{LogId, StoreError},
};

/// A typed message that the host may not have stored yet.
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
    /// A line that describes what the author does.
    Emote,
    /// A whisper to the member with this name.
    Whisper(Arc<str>),
}

/// The contents of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The number of this device, which is random and never changes.
    pub device: Device,
    /// Messages that the host may not have stored yet, in the order in which they were added.
    pub outbox: Vec<Unsent>,
    /// The log, and the newest of its events that was shown.
    pub cursor: Option<(LogId, Seq)>,
    /// Names, and the fingerprints of the keys that last had them. `None`: a member without a key.
    pub names: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// The rooms, as they were last set. `None` before the first time.
    pub rooms: Option<Vec<RoomName>>,
}

impl Kept {
    /// The contents of a new store.
    #[must_use]
    pub const fn new(device: Device) -> Self {
        Self { device, outbox: Vec::new(), cursor: None, names: Vec::new(), rooms: None }
    }
}

/// A change of the stored data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Add a message to the outbox. It must survive a power failure once it is committed.
    Add(Unsent),
    /// The host has this message or will never accept it: remove it from the outbox.
    Remove(MessageId),
    /// All events of the log up to this one were shown.
    Cursor(LogId, Seq),
    /// A name belongs to the key with this fingerprint, or to no key, from now on.
    Name(Arc<str>, Option<Arc<str>>),
    /// The rooms.
    Rooms(Vec<RoomName>),
}

impl Change {
    /// Returns `true` if the change must be on disk when [`DeviceStore::commit`] returns.
    ///
    /// A power failure may undo the newest of the other changes: at worst some lines are shown
    /// again, or sent again to a host that has them.
    #[must_use]
    pub const fn must_last(&self) -> bool {
        matches!(self, Self::Add(_))
    }
}

/// The store of a device.
pub trait DeviceStore: Send {
    /// Loads the stored data. A new store generates its device number.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load(&mut self) -> Result<Kept, StoreError>;

    /// Makes changes in order, all or none. When it returns, all of them survive the end of the
    /// process, and those that [must last](Change::must_last) also a power failure.
    ///
    /// # Errors
    /// When the store cannot be written. Nothing has changed then.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;

    /// Returns `true` if what is kept survives the process.
    fn is_lasting(&self) -> bool {
        true
    }
}

/// A store in memory: for tests, and for clients that store nothing.
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
    /// Makes a change. Entries beyond a bound are dropped: [`MAX_OUTBOX`], [`MAX_KNOWN_NAMES`].
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
    fn committed_changes_are_loaded() {
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
