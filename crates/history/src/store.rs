//! The writing end: numbers and stores events, one transaction per batch.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hikyaku_chat::{
    event::{Event, Kind, Seq},
    limits::{MAX_OWNED_NAMES, MAX_ROOMS},
    log::Committed,
    machine,
    room_name::RoomName,
    store::{LogId, Past, Reader, Retention, Store, StoreError},
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::{
    database::{self, Format, Lock, NoLock},
    invites::SqliteInvites,
    prune,
    reader::SqliteReader,
    search,
    sql::{from_sql, list, room_at, seq_at, to_sql},
};

const HISTORY: Format = Format {
    what: "the history of a chat",
    application: i32::from_be_bytes(*b"hkCH"),
    version: 2,
    schema: include_str!("schema.sql"),
    upgrades: &[include_str!("upgrade.sql")],
};

/// A history in a file, which no other process can write at the same time.
///
/// Messages to rooms can be searched. Whispers are stored for the two keys that may read them, and
/// searches do not find them.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    db: Connection,
    _lock: Lock,
}

/// The outcome of an event in a transaction that is not committed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It has its number.
    Numbered,
    /// Its id already has this number.
    Repeated(Seq),
}

impl SqliteStore {
    /// Opens a history, or creates one. Missing files and folders are created, readable only by
    /// their owner. `chance` is the source of a new log's id.
    ///
    /// # Errors
    /// When another host has the file, when it is not a history or one of a newer version, or when
    /// it cannot be read and written.
    pub fn open(path: &Path, chance: u64) -> Result<Self, StoreError> {
        let path = database::prepare(path)?;
        let name = path.display();
        let lock = Lock::take(&path).map_err(|no_lock| match no_lock {
            NoLock::Held => StoreError::of_file(format!(
                "{name} is used by another chat host; stop that one, or give another file"
            )),
            NoLock::Failed(error) => {
                database::unusable(&path, format!("cannot be locked: {error}"))
            }
        })?;
        let db = database::open(&path, &HISTORY, |db| {
            let LogId(name) = LogId::new(chance);
            db.execute("INSERT INTO log (name) VALUES (?1)", [to_sql(name)]).map(|_| ())
        })?;
        Ok(Self { path, db, _lock: lock })
    }

    /// Opens the one-use invites of this history.
    ///
    /// # Errors
    /// When the history cannot be opened once more.
    pub fn invites(&self) -> Result<SqliteInvites, StoreError> {
        SqliteInvites::open(&self.path)
    }

    /// Returns the bytes that the history takes, without what was freed in it.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        prune::used(&self.db).map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &rusqlite::Error) -> StoreError {
        database::explain(&self.path, error)
    }

    fn try_commit(&mut self, events: &mut [Event]) -> rusqlite::Result<Vec<Outcome>> {
        let transaction = self.db.transaction()?;
        let mut head = transaction.query_row("SELECT head FROM log", [], seq_at::<0>)?;
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events {
            let outcome = append(&transaction, Seq(head.0 + 1), event)?;
            if outcome == Outcome::Numbered {
                head.0 += 1;
            }
            outcomes.push(outcome);
        }
        transaction.execute("UPDATE log SET head = ?1", [to_sql(head.0)])?;
        transaction.commit()?;
        Ok(outcomes)
    }

    fn read_past(&self) -> rusqlite::Result<Past> {
        let (log, head) = self.db.query_row("SELECT name, head FROM log", [], |row| {
            Ok((LogId(from_sql(row.get(0)?)), seq_at::<1>(row)?))
        })?;
        let mut past = Past::none(log);
        past.head = head;
        past.rooms = list(&self.db, &with_topics(), |row| {
            Ok((room_at(row, 0)?, seq_at::<1>(row)?, row.get::<_, Arc<str>>(2)?))
        })?;
        let names = format!(
            "SELECT name, fingerprint FROM key WHERE name IS NOT NULL
             ORDER BY named DESC LIMIT {MAX_OWNED_NAMES}"
        );
        past.names = list(&self.db, &names, |row| Ok((row.get(0)?, row.get(1)?)))?;
        past.names.reverse();
        past.bans = list(&self.db, "SELECT who FROM ban", |row| row.get(0))?;
        Ok(past)
    }
}

impl Store for SqliteStore {
    fn past(&mut self) -> Result<Past, StoreError> {
        prune::forget_idle_rooms(&mut self.db).map_err(|error| self.explain(&error))?;
        self.read_past().map_err(|error| self.explain(&error))
    }

    fn commit(&mut self, mut events: Vec<Event>) -> Vec<Committed> {
        let mut outcome = self.try_commit(&mut events);
        let is_full = |error: &rusqlite::Error| {
            error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
        };
        // The write-ahead log contains older versions of pages: without them there may be room.
        if outcome.as_ref().is_err_and(is_full) && database::checkpoint(&self.db).is_ok() {
            outcome = self.try_commit(&mut events);
        }
        match outcome {
            Ok(outcomes) => events.into_iter().zip(outcomes).map(committed).collect(),
            Err(error) => {
                let why = self.explain(&error);
                events.into_iter().map(|event| failed(event, why.clone())).collect()
            }
        }
    }

    fn ban(&mut self, who: &str, banned: bool) -> Result<(), StoreError> {
        let statement = if banned {
            "INSERT INTO ban (who) VALUES (?1) ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM ban WHERE who = ?1"
        };
        self.db.execute(statement, [who]).map(|_| ()).map_err(|error| self.explain(&error))
    }

    fn prune(&mut self, retention: Retention) -> Result<Seq, StoreError> {
        prune::prune(&mut self.db, retention).map_err(|error| database::explain(&self.path, &error))
    }

    fn rest(&mut self) -> Result<(), StoreError> {
        database::checkpoint(&self.db).map_err(|error| self.explain(&error))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(SqliteReader::open(&self.path)?))
    }
}

/// Returns the question for the rooms that a host has to know: #general, and as many of those with
/// topics as it can open, the newest.
pub(crate) fn with_topics() -> String {
    format!(
        "SELECT name, head, topic FROM room WHERE topic <> '' OR name = '{general}'
         ORDER BY name = '{general}' DESC, head DESC LIMIT {MAX_ROOMS}",
        general = RoomName::general().as_str(),
    )
}

fn committed((event, outcome): (Event, Outcome)) -> Committed {
    match outcome {
        Outcome::Numbered => Committed::Event(Arc::new(event)),
        Outcome::Repeated(seq) => Committed::Repeated { event: Box::new(event), seq },
    }
}

/// Takes back the number of an event whose transaction failed.
fn failed(mut event: Event, why: StoreError) -> Committed {
    event.seq = None;
    event.prev = Seq::START;
    Committed::Failed { event: Box::new(event), why }
}

/// Stores an event under the number `seq`, unless its id has a number.
fn append(db: &Transaction<'_>, seq: Seq, event: &mut Event) -> rusqlite::Result<Outcome> {
    let author = match &event.author {
        Some(author) => author.key.as_deref().map(|key| key_id(db, key, seq)).transpose()?,
        None => None,
    };
    if let (Some(author), Some(id)) = (author, &event.id)
        && let Some(seq) = find(db, author, id.as_bytes())?
    {
        return Ok(Outcome::Repeated(seq));
    }
    let (room, prev) = enter_room(db, &event.room, seq)?;
    event.seq = Some(seq);
    event.prev = prev;
    let addressee = match &event.kind {
        Kind::Whispered { to_key: Some(key), .. } => Some(key_id(db, key, seq)?),
        _ => None,
    };
    let line = machine::write_event(&event.published(), None);
    db.prepare_cached(
        "INSERT INTO event (seq, room, kind, at, author, id, addressee, line)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        to_sql(seq.0),
        room,
        kind_name(&event.kind),
        to_sql(event.at.as_millis()),
        author,
        event.id.as_ref().map(|id| &id.as_bytes()[..]),
        addressee,
        line.as_bytes(),
    ])?;
    note(db, seq, room, author, event)?;
    Ok(Outcome::Numbered)
}

/// Keeps what an event says of the state of the chat: names, topics, words.
fn note(
    db: &Transaction<'_>,
    seq: Seq,
    room: i64,
    author: Option<i64>,
    event: &Event,
) -> rusqlite::Result<()> {
    // A name does not stay with a key that the host holds.
    let named = event.author.as_ref().filter(|author| !author.through_host);
    if let (Some(key), Some(author)) = (author, named) {
        let name = match &event.kind {
            Kind::Renamed { name } => name,
            _ => &author.name,
        };
        db.prepare_cached("UPDATE key SET name = ?2, named = ?3 WHERE id = ?1 AND name IS NOT ?2")?
            .execute(params![key, name, to_sql(seq.0)])?;
    }
    match &event.kind {
        Kind::Topic { text } => {
            db.prepare_cached("UPDATE room SET topic = ?2 WHERE id = ?1")?
                .execute(params![room, text])?;
        }
        Kind::Said { text, .. } => {
            db.prepare_cached("INSERT INTO words (rowid, room, text) VALUES (?1, ?2, ?3)")?
                .execute(params![to_sql(seq.0), search::room_word(room), search::words(text)])?;
        }
        _ => {}
    }
    Ok(())
}

/// Returns the number of a key in the file; the event `seq` uses it.
fn key_id(db: &Transaction<'_>, fingerprint: &str, seq: Seq) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO key (fingerprint, head) VALUES (?1, ?2)
         ON CONFLICT (fingerprint) DO UPDATE SET head = excluded.head RETURNING id",
    )?
    .query_row(params![fingerprint, to_sql(seq.0)], |row| row.get(0))
}

/// Returns the number of a room in the file and the number of its newest event, which is now
/// `seq`.
fn enter_room(db: &Transaction<'_>, room: &RoomName, seq: Seq) -> rusqlite::Result<(i64, Seq)> {
    let prev = db
        .prepare_cached("SELECT head FROM room WHERE name = ?1")?
        .query_row([room.as_str()], seq_at::<0>)
        .optional()?;
    let id = db
        .prepare_cached(
            "INSERT INTO room (name, head) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET head = excluded.head RETURNING id",
        )?
        .query_row(params![room.as_str(), to_sql(seq.0)], |row| row.get(0))?;
    Ok((id, prev.unwrap_or_default()))
}

fn find(db: &Transaction<'_>, author: i64, id: &[u8]) -> rusqlite::Result<Option<Seq>> {
    db.prepare_cached("SELECT seq FROM event WHERE author = ?1 AND id = ?2")?
        .query_row(params![author, id], seq_at::<0>)
        .optional()
}

const fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Said { .. } => "said",
        Kind::Whispered { .. } => "whispered",
        Kind::Joined => "joined",
        Kind::Left(_) => "left",
        Kind::Renamed { .. } => "renamed",
        Kind::Topic { .. } => "topic",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_chat::{
        Stamp,
        event::{Author, MemberId},
        store::Rights,
    };

    use super::*;
    use crate::limits::WAL_LEN;

    fn said(text: &str) -> Event {
        let author = Some(Author::new(MemberId(1), "alice"));
        let kind = Kind::Said { text: text.repeat(5_000), emote: false };
        Event::new(Stamp::from_millis(1), author, None, kind)
    }

    #[test]
    fn a_full_disk_fails_a_whole_batch_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("chat.sqlite"), 1).unwrap();
        assert!(matches!(store.commit(vec![said("a")])[..], [Committed::Event(_)]));
        let pages: u32 = store.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        store.db.pragma_update(None, "max_page_count", pages + 3).unwrap();

        let failed = store.commit(vec![said("b"), said("c"), said("d")]);
        assert_eq!(failed.len(), 3);
        for (committed, text) in failed.into_iter().zip(["b", "c", "d"]) {
            let Committed::Failed { event, why } = committed else { panic!("{committed:?}") };
            assert_eq!(*event, said(text));
            assert!(why.to_string().contains("chat.sqlite: the disk is full"), "{why}");
            assert_eq!(why.problem(), "the disk is full", "members do not see the host's files");
        }

        store.db.pragma_update(None, "max_page_count", pages + 100).unwrap();
        let committed = store.commit(vec![said("e")]);
        let [Committed::Event(event)] = &committed[..] else { panic!("{committed:?}") };
        assert_eq!((event.seq, event.prev), (Some(Seq(2)), Seq(1)));
        let rights = Rights::of("", [(RoomName::general(), Seq::START)]);
        let stored = store.reader().unwrap().after(Seq::START, 9, &rights).unwrap();
        assert_eq!(stored.iter().map(|event| event.seq).collect::<Vec<_>>(), [Seq(1), Seq(2)]);
    }

    #[test]
    fn the_write_ahead_log_stays_short_and_is_empty_at_rest() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("chat.sqlite"), 1).unwrap();
        let log = folder.path().join("chat.sqlite-wal");
        let log_len = || std::fs::metadata(&log).unwrap().len();
        let mut longest = 0;
        for _ in 0..1_000 {
            store.commit(vec![said("a")]);
            longest = longest.max(log_len());
        }
        assert!(longest < WAL_LEN as u64 * 3 / 2, "{longest} bytes");
        assert!(log_len() > 0);
        store.rest().unwrap();
        assert_eq!(log_len(), 0);
        assert!(matches!(store.commit(vec![said("b")])[..], [Committed::Event(_)]));
    }
}
