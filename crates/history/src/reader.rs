//! The reading end: events after a number, pages of a room, searches.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use hikyaku_chat::{
    event::Seq,
    room_name::RoomName,
    store::{Reader, Readers, StoreError, Stored},
};
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use crate::{
    database, search,
    sql::{room_at, seq_at, to_sql},
};

/// A connection that reads a history beside its [`SqliteStore`](crate::SqliteStore).
#[derive(Debug)]
pub struct SqliteReader {
    path: PathBuf,
    db: Connection,
}

/// What is read of an event: [`stored`] takes it apart.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT event.seq, event.line, room.name, author.fingerprint, addressee.fingerprint ",
            $rest
        )
    };
}

const AFTER: &str = select!(
    "FROM event JOIN room ON room.id = event.room
     LEFT JOIN key author ON author.id = event.author AND event.addressee IS NOT NULL
     LEFT JOIN key addressee ON addressee.id = event.addressee
     WHERE event.seq > ?1 ORDER BY event.seq LIMIT ?2"
);

const PAGE: &str = select!(
    "FROM event JOIN room ON room.id = event.room
     LEFT JOIN key author ON FALSE LEFT JOIN key addressee ON FALSE
     WHERE room.name = ?1 AND event.kind = 'said' AND event.seq < ?2
     ORDER BY event.seq DESC LIMIT ?3"
);

/// The index is read backwards, and no more of it than is asked for.
const SEARCH: &str = select!(
    "FROM words CROSS JOIN event ON event.seq = words.rowid JOIN room ON room.id = event.room
     LEFT JOIN key author ON FALSE LEFT JOIN key addressee ON FALSE
     WHERE words MATCH ?1 AND words.rowid < ?2
     ORDER BY words.rowid DESC LIMIT ?3"
);

impl SqliteReader {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), db: database::open_to_read(path)? })
    }

    fn explain(&self, error: &rusqlite::Error) -> StoreError {
        database::explain(&self.path, error)
    }

    fn read(&self, question: &str, parameters: &[&dyn ToSql]) -> rusqlite::Result<Vec<Stored>> {
        self.db.prepare_cached(question)?.query_map(parameters, stored)?.collect()
    }

    /// Both questions are answered from one state of the file.
    fn read_after(&mut self, seq: Seq, limit: usize) -> rusqlite::Result<Option<Vec<Stored>>> {
        let transaction = self.db.transaction()?;
        let forgotten =
            transaction.prepare_cached("SELECT forgotten FROM log")?.query_row([], seq_at::<0>)?;
        if seq < forgotten {
            return Ok(None);
        }
        let mut statement = transaction.prepare_cached(AFTER)?;
        let events = statement.query_map(params![to_sql(seq.0), limited(limit)], stored)?;
        events.collect::<rusqlite::Result<_>>().map(Some)
    }

    fn room_ids(&self, rooms: &[RoomName]) -> rusqlite::Result<Vec<i64>> {
        let mut statement = self.db.prepare_cached("SELECT id FROM room WHERE name = ?1")?;
        let mut ids = Vec::with_capacity(rooms.len());
        for room in rooms {
            let id = statement.query_row([room.as_str()], |row| row.get::<_, i64>(0));
            ids.extend(id.optional()?);
        }
        Ok(ids)
    }

    fn find(
        &self,
        words: &str,
        rooms: &[RoomName],
        before: Seq,
        limit: usize,
    ) -> rusqlite::Result<Vec<Stored>> {
        let Some(expression) = search::expression(words, &self.room_ids(rooms)?) else {
            return Ok(Vec::new());
        };
        self.read(SEARCH, &[&expression, &to_sql(before.0), &limited(limit)])
    }
}

impl Reader for SqliteReader {
    fn after(&mut self, seq: Seq, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let events = self.read_after(seq, limit).map_err(|error| self.explain(&error))?;
        events.ok_or_else(|| StoreError("events after this one are no longer kept".to_owned()))
    }

    fn page(
        &mut self,
        room: &RoomName,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.read(PAGE, &[&room.as_str(), &to_sql(before.0), &limited(limit)])
            .map(reversed)
            .map_err(|error| self.explain(&error))
    }

    fn search(
        &mut self,
        words: &str,
        rooms: &[RoomName],
        before: Seq,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.find(words, rooms, before, limit).map(reversed).map_err(|error| self.explain(&error))
    }
}

/// The newest were read first.
fn reversed(mut events: Vec<Stored>) -> Vec<Stored> {
    events.reverse();
    events
}

fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let readers = match row.get::<_, Option<Arc<str>>>(4)? {
        // An author without a key cannot read it again: no fingerprint is empty.
        Some(to) => Readers::Two(row.get::<_, Option<_>>(3)?.unwrap_or_default(), to),
        None => Readers::Room(room_at(row, 2)?),
    };
    let line = Bytes::from(row.get::<_, Vec<u8>>(1)?);
    Ok(Stored { seq: seq_at::<0>(row)?, readers, line })
}
