//! A history in memory that crashes and loses what was not synchronized.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::{
    event::{Event, Kind, Seq},
    log::Committed,
    machine,
    room_name::RoomName,
    store::{Found, LogId, Past, Reader, Retention, Rights, Store, StoreError, Stored},
};

/// The contents of the disk. The store and its readers share it.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<Platters>>);

#[derive(Debug)]
struct Platters {
    log: LogId,
    events: Vec<Event>,
    /// How many of `events` would survive a power failure.
    synced: usize,
    /// The store reports that it has stored events before it has.
    lies: bool,
}

impl Disk {
    pub(super) fn new(lies: bool) -> Self {
        let log = LogId::new(77 << 11);
        Self(Arc::new(Mutex::new(Platters { log, events: Vec::new(), synced: 0, lies })))
    }

    fn platters(&self) -> MutexGuard<'_, Platters> {
        self.0.lock().unwrap()
    }

    /// The power fails: what was not synchronized is lost.
    pub(super) fn crash(&self) {
        let mut disk = self.platters();
        let synced = disk.synced;
        disk.events.truncate(synced);
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.platters().events.clone()
    }
}

impl Store for Disk {
    fn past(&mut self) -> Result<Past, StoreError> {
        let disk = self.platters();
        let mut past = Past::none(disk.log);
        past.head = disk.events.last().and_then(|event| event.seq).unwrap_or_default();
        for event in &disk.events {
            if let Some(author) = &event.author
                && let Some(key) = &author.key
            {
                past.names.retain(|(_, of)| of != key);
                past.names.push((Arc::clone(&author.name), Arc::clone(key)));
            }
        }
        Ok(past)
    }

    fn commit(&mut self, events: Vec<Event>) -> Vec<Committed> {
        let mut disk = self.platters();
        let mut results = Vec::new();
        for mut event in events {
            let key = |event: &Event| event.author.as_ref().and_then(|author| author.key.clone());
            let same =
                |old: &&Event| event.id.is_some() && old.id == event.id && key(old) == key(&event);
            if let Some(seq) = disk.events.iter().find(same).and_then(|old| old.seq) {
                results.push(Committed::Repeated { event: Box::new(event), seq });
                continue;
            }
            let head = disk.events.last().and_then(|event| event.seq).unwrap_or_default();
            event.seq = Some(Seq(head.0 + 1));
            disk.events.push(event.clone());
            results.push(Committed::Event(Arc::new(event)));
        }
        if !disk.lies {
            disk.synced = disk.events.len();
        }
        results
    }

    fn ban(&mut self, _: &str, _: bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn prune(&mut self, _: Retention) -> Result<Seq, StoreError> {
        Ok(Seq::START)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
}

fn is_for(event: &Event, rights: &Rights) -> bool {
    let author = event.author.as_ref().and_then(|author| author.key.as_ref());
    match &event.kind {
        Kind::Whispered { to_key: Some(to), .. } => {
            *to == rights.key || author == Some(&rights.key)
        }
        _ => rights.rooms.get(&event.room).is_some_and(|since| event.seq > Some(*since)),
    }
}

fn stored(event: &Event) -> Stored {
    let line = Bytes::from(machine::write_event(&event.published(), None));
    Stored { seq: event.seq.unwrap(), line }
}

impl Reader for Disk {
    fn after(
        &mut self,
        seq: Seq,
        limit: usize,
        rights: &Rights,
    ) -> Result<Vec<Stored>, StoreError> {
        let disk = self.platters();
        let later = disk.events.iter().filter(|event| event.seq > Some(seq));
        Ok(later.filter(|event| is_for(event, rights)).take(limit).map(stored).collect())
    }

    fn page(
        &mut self,
        room: &RoomName,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let disk = self.platters();
        let said = disk.events.iter().filter(|event| {
            matches!(event.kind, Kind::Said { .. })
                && event.room == *room
                && event.seq < Some(before)
        });
        let all: Vec<_> = said.map(stored).collect();
        Ok(all[all.len().saturating_sub(limit)..].to_vec())
    }

    fn search(&mut self, _: &str, _: &[RoomName], _: Seq, _: usize) -> Result<Found, StoreError> {
        Ok(Found::default())
    }
}
