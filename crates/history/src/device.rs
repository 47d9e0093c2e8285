//! The stored data of a client: one file per host, key and device.
//!
//! A client uses the first file that no other client on the machine uses: two terminals are two
//! devices. Files without a client, left by clients that were killed, may contain unsent messages,
//! which the next client sends. A host stores each id of a key once, whichever device sends it.

use std::path::{Path, PathBuf};

use hikyaku_chat::{
    limits::{MAX_KNOWN_NAMES, MAX_OUTBOX},
    machine::Device,
    member::keep::{Change, DeviceStore, Kept, Unsent, What},
    message_id::MessageId,
    store::{LogId, StoreError},
};
use rusqlite::{Connection, Row, Transaction, params, types::Type};

use crate::{
    database::{self, Format, Lock, NoLock},
    limits::MAX_DEVICES,
    sql::{from_sql, invalid, list, room_at, seq_at, to_sql},
};

const DEVICE: Format = Format {
    what: "a client's store of a chat",
    application: i32::from_be_bytes(*b"hkCD"),
    version: 1,
    schema: include_str!("device.sql"),
    upgrades: &[],
};

/// The store of a device in a file, which belongs to this client until it is dropped.
#[derive(Debug)]
pub struct SqliteDevice {
    path: PathBuf,
    db: Connection,
    /// Whether commits wait for the disk.
    waits: bool,
    _lock: Lock,
}

impl SqliteDevice {
    /// Opens the store of the first device that no other client uses, and moves unsent messages
    /// there from devices without a client. Missing files and folders are created, readable only by
    /// their owner.
    ///
    /// `host` and `key` are the fingerprints of the host's key and of the client's. `chance` is the
    /// source of a new device's number.
    ///
    /// # Errors
    /// When too many clients run, or when the file is not a client's store or one of a newer
    /// version, or cannot be read and written.
    pub fn open(folder: &Path, host: &str, key: &str, chance: u64) -> Result<Self, StoreError> {
        let name = format!("{}-{}", file_name(host), file_name(key));
        let path = |device| folder.join(format!("{name}-{device}.sqlite"));
        for device in 0..MAX_DEVICES {
            let Some(mut store) = Self::take(&path(device), chance)? else { continue };
            for other in (0..MAX_DEVICES).filter(|other| *other != device) {
                let other = path(other);
                if other.exists() {
                    store.adopt(&other)?;
                }
            }
            return Ok(store);
        }
        let folder = folder.display();
        Err(StoreError::of_file(format!(
            "{folder}: {MAX_DEVICES} clients of this chat are running; close one of them"
        )))
    }

    /// Opens a file, or returns `None` if another client has it.
    fn take(path: &Path, chance: u64) -> Result<Option<Self>, StoreError> {
        let path = database::prepare(path)?;
        let lock = match Lock::take(&path) {
            Ok(lock) => lock,
            Err(NoLock::Held) => return Ok(None),
            Err(NoLock::Failed(error)) => {
                return Err(database::unusable(&path, format!("cannot be locked: {error}")));
            }
        };
        let db = database::open(&path, &DEVICE, |db| {
            db.execute("INSERT INTO device (chance) VALUES (?1)", [chance.cast_signed()])
                .map(|_| ())
        })?;
        Ok(Some(Self { path, db, waits: true, _lock: lock }))
    }

    /// Moves the outbox of a device without a client here, as much of it as fits. A file that
    /// another client uses, or that cannot be read, is left unchanged.
    fn adopt(&mut self, path: &Path) -> Result<(), StoreError> {
        let Ok(Some(mut other)) = Self::take(path, 0) else { return Ok(()) };
        let Ok(kept) = other.load() else { return Ok(()) };
        let room = MAX_OUTBOX.saturating_sub(self.load()?.outbox.len());
        let moved = || kept.outbox.iter().take(room);
        if moved().next().is_none() {
            return Ok(());
        }
        let add: Vec<_> = moved().cloned().map(Change::Add).collect();
        let remove: Vec<_> = moved().map(|unsent| Change::Remove(unsent.id)).collect();
        // After a crash between the two steps, both have them, with the same ids.
        self.commit(&add)?;
        other.commit(&remove)
    }

    fn explain(&self, error: &rusqlite::Error) -> StoreError {
        database::explain(&self.path, error)
    }

    fn try_load(&self) -> rusqlite::Result<Kept> {
        let device = "SELECT chance, log, seq, has_rooms FROM device";
        let (mut kept, has_rooms) = self.db.query_row(device, [], |row| {
            let chance: i64 = row.get(0)?;
            let mut kept = Kept::new(Device::new(chance.cast_unsigned()));
            if let Some(log) = row.get(1)? {
                kept.cursor = Some((LogId(from_sql(log)), seq_at::<2>(row)?));
            }
            Ok((kept, row.get(3)?))
        })?;
        let outbox = "SELECT id, room, what, addressee, text FROM outbox ORDER BY place";
        kept.outbox = list(&self.db, outbox, unsent)?;
        let names = "SELECT name, key FROM name ORDER BY place";
        kept.names = list(&self.db, names, |row| Ok((row.get(0)?, row.get(1)?)))?;
        if has_rooms {
            let rooms = "SELECT name FROM room ORDER BY place";
            kept.rooms = Some(list(&self.db, rooms, |row| room_at(row, 0))?);
        }
        Ok(kept)
    }

    fn try_commit(&mut self, changes: &[Change]) -> rusqlite::Result<()> {
        self.wait_for_disk(changes.iter().any(Change::must_last))?;
        let transaction = self.db.transaction()?;
        for change in changes {
            apply(&transaction, change)?;
        }
        transaction.commit()
    }

    /// Sets whether commits wait for the disk. A commit that does not wait still survives the end
    /// of the process.
    fn wait_for_disk(&mut self, waits: bool) -> rusqlite::Result<()> {
        if waits != self.waits {
            let mode = if waits { "FULL" } else { "NORMAL" };
            self.db.pragma_update(None, "synchronous", mode)?;
            self.waits = waits;
        }
        Ok(())
    }
}

impl DeviceStore for SqliteDevice {
    fn load(&mut self) -> Result<Kept, StoreError> {
        self.try_load().map_err(|error| self.explain(&error))
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.try_commit(changes).map_err(|error| self.explain(&error))
    }
}

/// Makes a change, within the bounds that [`Kept::apply`] has.
fn apply(db: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Add(unsent) => add(db, unsent),
        Change::Remove(id) => {
            let remove = "DELETE FROM outbox WHERE id = ?1";
            db.prepare_cached(remove)?.execute([&id.as_bytes()[..]]).map(|_| ())
        }
        Change::Cursor(log, seq) => {
            let cursor = "UPDATE device SET log = ?1, seq = ?2";
            db.prepare_cached(cursor)?.execute([to_sql(log.0), to_sql(seq.0)]).map(|_| ())
        }
        Change::Name(name, key) => {
            let known = "UPDATE name SET key = ?2 WHERE name = ?1";
            if db.prepare_cached(known)?.execute(params![name, key])? > 0 {
                return Ok(());
            }
            let new = "INSERT INTO name (name, key)
                       SELECT ?1, ?2 WHERE (SELECT count(*) FROM name) < ?3";
            let most = to_sql(MAX_KNOWN_NAMES as u64);
            db.prepare_cached(new)?.execute(params![name, key, most]).map(|_| ())
        }
        Change::Rooms(rooms) => {
            db.execute("DELETE FROM room", [])?;
            let mut add = db.prepare_cached("INSERT INTO room (name) VALUES (?1)")?;
            for room in rooms {
                add.execute([room.as_str()])?;
            }
            db.execute("UPDATE device SET has_rooms = TRUE", []).map(|_| ())
        }
        // A kind of change that this version does not know cannot be stored.
        _ => Err(rusqlite::Error::InvalidQuery),
    }
}

fn add(db: &Transaction<'_>, unsent: &Unsent) -> rusqlite::Result<()> {
    let (what, addressee) = match &unsent.what {
        What::Said => ("said", None),
        What::Emote => ("emote", None),
        What::Whisper(to) => ("whisper", Some(to)),
    };
    let id = &unsent.id.as_bytes()[..];
    db.prepare_cached(
        "INSERT INTO outbox (id, room, what, addressee, text)
         SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT count(*) FROM outbox) < ?6
         ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        id,
        unsent.room.as_str(),
        what,
        addressee,
        unsent.text,
        to_sql(MAX_OUTBOX as u64)
    ])?;
    Ok(())
}

fn unsent(row: &Row<'_>) -> rusqlite::Result<Unsent> {
    let id: Vec<u8> = row.get(0)?;
    let id = MessageId::from_bytes(&id).ok_or_else(|| invalid(0, Type::Blob, "not an id"))?;
    let what = match (&*row.get::<_, String>(2)?, row.get(3)?) {
        ("said", _) => What::Said,
        ("emote", _) => What::Emote,
        ("whisper", Some(to)) => What::Whisper(to),
        _ => return Err(invalid(2, Type::Text, "not a kind of message")),
    };
    Ok(Unsent { id, room: room_at(row, 1)?, what, text: row.get(4)? })
}

/// Writes a fingerprint with characters that every file system accepts: those of Base64 that are
/// not letters or digits become the ones of its form for file names (RFC 4648 section 5).
fn file_name(fingerprint: &str) -> String {
    let digest = fingerprint.strip_prefix("SHA256:").unwrap_or(fingerprint);
    let safe = |c: char| match c {
        '+' => '-',
        '/' => '_',
        c if c.is_ascii_alphanumeric() => c,
        _ => '.',
    };
    digest.chars().map(safe).collect()
}
