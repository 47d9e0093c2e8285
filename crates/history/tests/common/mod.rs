//! Events to store, and what a test asks of what became of them.

#![allow(dead_code, reason = "each test uses a part")]
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use hikyaku_chat::{
    Stamp,
    event::{Author, Event, Kind, MemberId, Seq},
    log::Committed,
    message_id::MessageId,
    store::{Reader, Rights, Store as _, StoreError, Stored},
};
use hikyaku_history::SqliteStore;
use std::path::Path;

pub(crate) fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, 7 << 40).unwrap()
}

/// A member, who has a key unless the number is 0.
pub(crate) fn author(number: u8) -> Author {
    let mut author = Author::new(MemberId(u64::from(number)), format!("name {number}"));
    author.key = (number > 0).then(|| key(number).into());
    author
}

pub(crate) fn key(number: u8) -> String {
    format!("SHA256:{number}")
}

pub(crate) fn id(number: u64) -> MessageId {
    let mut chance = [0; 10];
    chance[..8].copy_from_slice(&number.to_be_bytes());
    MessageId::new(Stamp::from_millis(1_730_000_000_000), chance)
}

pub(crate) fn event(by: u8, at: u64, kind: Kind) -> Event {
    Event::new(Stamp::from_millis(at), Some(author(by)), None, kind)
}

pub(crate) fn said(by: u8, number: u64, text: &str) -> Event {
    let mut event = event(by, number, Kind::Said { text: text.to_owned(), emote: false });
    event.id = Some(id(number));
    event
}

/// The number of an event that was stored.
pub(crate) fn seq(committed: &Committed) -> u64 {
    match committed {
        Committed::Event(event) => event.seq.unwrap().0,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn store(store: &mut SqliteStore, events: Vec<Event>) -> Vec<u64> {
    store.commit(events).iter().map(seq).collect()
}

pub(crate) fn numbers(events: &[Stored]) -> Vec<u64> {
    events.iter().map(|event| event.seq.0).collect()
}

/// The rights of a member in these rooms.
pub(crate) fn rights(number: u8, rooms: &[&str]) -> Rights {
    Rights::of(&key(number), rooms.iter().map(|room| (room.parse().unwrap(), Seq::START)))
}

/// What member 1 reads of #general.
pub(crate) fn after(store: &SqliteStore, seq: u64) -> Result<Vec<Stored>, StoreError> {
    all_after(&mut *store.reader().unwrap(), seq)
}

pub(crate) fn all(store: &SqliteStore) -> Vec<Stored> {
    after(store, 0).unwrap()
}

/// The same, of a reader that is asked until it has no more.
pub(crate) fn all_after(reader: &mut dyn Reader, seq: u64) -> Result<Vec<Stored>, StoreError> {
    let (mut all, mut last) = (Vec::new(), Seq(seq));
    loop {
        let events = reader.after(last, usize::MAX, &rights(1, &["general"]))?;
        let Some(end) = events.last() else { return Ok(all) };
        last = end.seq;
        all.extend(events);
    }
}
