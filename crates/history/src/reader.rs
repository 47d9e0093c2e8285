//! The reading end: events after a number, pages of a room, searches.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use hikyaku_chat::{
    event::Seq,
    room_name::RoomName,
    store::{Found, Reader, Rights, StoreError, Stored},
};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Row, ToSql, params, params_from_iter,
};

use crate::{
    database,
    limits::{MAX_ANSWER_LEN, MAX_SEARCH_STEPS, SEARCH_STEP},
    search,
    sql::{seq_at, to_sql},
};

/// A connection that reads a history beside its [`SqliteStore`](crate::SqliteStore).
#[derive(Debug)]
pub struct SqliteReader {
    path: PathBuf,
    db: Connection,
    /// The steps that remain for the running statement.
    steps_left: Arc<AtomicU64>,
}

pub(crate) const PAGE: &str = "
    SELECT seq, line FROM event
    WHERE room = (SELECT id FROM room WHERE name = ?1) AND kind = 'said' AND seq < ?2
    ORDER BY seq DESC LIMIT ?3";

/// The index is read backwards, and only as far as needed.
pub(crate) const SEARCH: &str = "
    SELECT event.seq, event.line FROM words CROSS JOIN event ON event.seq = words.rowid
    WHERE words MATCH ?1 AND words.rowid < ?2
    ORDER BY words.rowid DESC LIMIT ?3";

pub(crate) const ROOM_ID: &str = "SELECT id FROM room WHERE name = ?1";

pub(crate) const KEY_ID: &str = "SELECT id FROM key WHERE fingerprint = ?1";

pub(crate) const FORGOTTEN: &str = "SELECT forgotten FROM log";

/// Returns the query for the events of this many rooms, and for the whispers of one key: each part
/// is read from its own index, in the order of the log, and only as far as needed. So a device pays
/// for what it reads, however much others have said.
pub(crate) fn after(rooms: usize) -> String {
    let mut question = String::from(
        "SELECT seq, line FROM event
         WHERE addressee = ?1 AND addressee IS NOT NULL AND seq > ?2
         UNION ALL SELECT seq, line FROM event
         WHERE author = ?1 AND addressee IS NOT NULL AND addressee <> ?1 AND seq > ?2",
    );
    for room in 0..rooms {
        let (id, since) = (4 + 2 * room, 5 + 2 * room);
        write!(
            question,
            " UNION ALL SELECT seq, line FROM event
             WHERE room = ?{id} AND addressee IS NULL AND seq > ?{since}"
        )
        .expect("writing to a string cannot fail");
    }
    question + " ORDER BY seq LIMIT ?3"
}

impl SqliteReader {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut db = database::open_to_read(path)?;
        let steps_left = Arc::new(AtomicU64::new(u64::MAX));
        let left = Arc::clone(&steps_left);
        let is_over = move || {
            let step = |left: u64| left.checked_sub(1);
            left.try_update(Ordering::Relaxed, Ordering::Relaxed, step).is_err()
        };
        db.progress_handler(SEARCH_STEP, Some(is_over))
            .map_err(|error| database::explain(path, &error))?;
        Ok(Self { path: path.to_owned(), db, steps_left })
    }

    fn explain(&self, error: &rusqlite::Error) -> StoreError {
        database::explain(&self.path, error)
    }

    fn read(&self, question: &str, parameters: &[&dyn ToSql]) -> rusqlite::Result<Vec<Stored>> {
        self.db.prepare_cached(question)?.query_map(parameters, stored)?.collect()
    }

    /// Answers all queries from one snapshot of the file.
    fn read_after(
        &mut self,
        seq: Seq,
        limit: usize,
        rights: &Rights,
    ) -> rusqlite::Result<Option<Vec<Stored>>> {
        let transaction = self.db.transaction()?;
        let forgotten = transaction.prepare_cached(FORGOTTEN)?.query_row([], seq_at::<0>)?;
        if seq < forgotten {
            return Ok(None);
        }
        let key = number(&transaction, KEY_ID, &rights.key)?;
        let mut parameters = vec![key, Some(to_sql(seq.0)), Some(limited(limit))];
        for (room, since) in &rights.rooms {
            if let Some(room) = number(&transaction, ROOM_ID, room.as_str())? {
                parameters.extend([Some(room), Some(to_sql(seq.0.max(since.0)))]);
            }
        }
        let mut statement = transaction.prepare_cached(&after((parameters.len() - 3) / 2))?;
        let (mut events, mut len) = (Vec::new(), 0);
        for event in statement.query_map(params_from_iter(parameters), stored)? {
            let event = event?;
            len += event.line.len();
            events.push(event);
            if len >= MAX_ANSWER_LEN {
                break;
            }
        }
        Ok(Some(events))
    }

    /// Runs a search with a limit of steps. Later statements have no limit.
    fn find_within(
        &self,
        steps: u64,
        find: impl FnOnce() -> rusqlite::Result<Found>,
    ) -> Result<Found, StoreError> {
        self.steps_left.store(steps, Ordering::Relaxed);
        let found = find();
        self.steps_left.store(u64::MAX, Ordering::Relaxed);
        found.map_err(|error| self.explain(&error))
    }

    fn find(
        &self,
        words: &str,
        rooms: &[RoomName],
        before: Seq,
        limit: usize,
    ) -> rusqlite::Result<Found> {
        let mut ids = Vec::with_capacity(rooms.len());
        for room in rooms {
            ids.extend(number(&self.db, ROOM_ID, room.as_str())?);
        }
        let Some(expression) = search::expression(words, &ids) else {
            return Ok(Found::default());
        };
        let mut statement = self.db.prepare_cached(SEARCH)?;
        let parameters = params![expression, to_sql(before.0), limited(limit)];
        let mut found = Found::default();
        for line in statement.query_map(parameters, stored)? {
            match line {
                Ok(line) => found.lines.push(line),
                Err(error) if is_interrupted(&error) => {
                    found.is_cut_short = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        found.lines.reverse();
        Ok(found)
    }
}

impl Reader for SqliteReader {
    fn after(
        &mut self,
        seq: Seq,
        limit: usize,
        rights: &Rights,
    ) -> Result<Vec<Stored>, StoreError> {
        let events = self.read_after(seq, limit, rights).map_err(|error| self.explain(&error))?;
        events.ok_or_else(|| StoreError::new("events after this one are no longer kept"))
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
    ) -> Result<Found, StoreError> {
        self.find_within(MAX_SEARCH_STEPS, || self.find(words, rooms, before, limit))
    }
}

/// Returns the number in the file of a room or a key.
fn number(db: &Connection, question: &str, name: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached(question)?.query_row([name], |row| row.get(0)).optional()
}

fn is_interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
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
    let line = Bytes::from(row.get::<_, Vec<u8>>(1)?);
    Ok(Stored { seq: seq_at::<0>(row)?, line })
}

#[cfg(test)]
mod tests {
    use hikyaku_chat::{
        Stamp,
        event::{Author, Event, Kind, MemberId},
        store::Store as _,
    };

    use super::*;
    use crate::SqliteStore;

    fn said(at: u64) -> Event {
        let tea = Kind::Said { text: "tea".to_owned(), emote: false };
        let author = Author::new(MemberId(1), "ana".to_owned());
        Event::new(Stamp::from_millis(at), Some(author), None, tea)
    }

    #[test]
    fn a_search_that_runs_out_of_steps_returns_the_newest_matches() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.sqlite");
        let mut history = SqliteStore::open(&path, 7).unwrap();
        history.commit((1..=100).map(said).collect());
        let reader = SqliteReader::open(&path).unwrap();
        let general = [RoomName::general()];
        let find = || reader.find("tea", &general, Seq(u64::MAX), 50);
        let found = reader.find_within(2, find).unwrap();
        assert!(found.is_cut_short);
        assert!((1..50).contains(&found.lines.len()), "{}", found.lines.len());
        assert_eq!(found.lines.last().map(|line| line.seq), Some(Seq(100)));
        // Later statements have no limit.
        assert_eq!(find().unwrap().lines.len(), 50);
    }
}
