//! One-use invites: which were issued, and which key has used each.

use std::path::{Path, PathBuf};

use hikyaku_chat::store::StoreError;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::database;

/// The SHA-256 of a one-use secret.
pub type InviteId = [u8; 32];

/// A connection to a history for its one-use invites. Its results have been stored when they are
/// returned.
#[derive(Debug)]
pub struct SqliteInvites {
    path: PathBuf,
    db: Connection,
}

impl SqliteInvites {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), db: database::open_to_write(path)? })
    }

    /// Stores the issue of an invite.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn issue(&mut self, invite: &InviteId) -> Result<(), StoreError> {
        let add = "INSERT INTO invite (id) VALUES (?1) ON CONFLICT DO NOTHING";
        self.db.execute(add, [&invite[..]]).map(|_| ()).map_err(|error| self.explain(&error))
    }

    /// Stores who uses an invite. Returns `false` if another has used it.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn remember(&mut self, invite: &InviteId, guest: &str) -> Result<bool, StoreError> {
        let set = "INSERT INTO invite (id, guest) VALUES (?1, ?2)
                   ON CONFLICT (id) DO UPDATE SET guest = excluded.guest
                   WHERE guest IS NULL OR guest = excluded.guest";
        let stored = self.db.execute(set, params![&invite[..], guest]);
        stored.map(|changed| changed > 0).map_err(|error| self.explain(&error))
    }

    /// Returns the fingerprint of the key that has used an invite, if any has.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn guest(&self, invite: &InviteId) -> Result<Option<String>, StoreError> {
        let guest = "SELECT guest FROM invite WHERE id = ?1";
        let found = self.db.query_row(guest, [&invite[..]], |row| row.get(0)).optional();
        found.map(Option::flatten).map_err(|error| self.explain(&error))
    }

    /// Returns all invites, with the fingerprints of the keys that have used them.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn all(&self) -> Result<Vec<(InviteId, Option<String>)>, StoreError> {
        let read = || -> rusqlite::Result<Vec<_>> {
            let mut all = self.db.prepare("SELECT id, guest FROM invite")?;
            let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        read().map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &rusqlite::Error) -> StoreError {
        database::explain(&self.path, error)
    }
}
