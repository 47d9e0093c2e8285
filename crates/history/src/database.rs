//! A SQLite file of this crate: how it is opened, and what its errors say.

use std::{
    fmt::Display,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use hikyaku_chat::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::limits::{BUSY_TIMEOUT, PREPARED, WAL_LEN, WAL_PAGES};

/// A kind of file: how it is distinguished from others, and what it contains.
#[derive(Debug)]
pub(crate) struct Format {
    /// What the file is, for people.
    pub(crate) what: &'static str,
    /// Marks the file in its header, as `PRAGMA application_id`.
    pub(crate) application: i32,
    /// The version of the schema, as `PRAGMA user_version`.
    pub(crate) version: i32,
    /// Creates the tables of the first version.
    pub(crate) schema: &'static str,
    /// Migrations from each version to the next; that to version 2 comes first.
    pub(crate) upgrades: &'static [&'static str],
}

/// The state of a file when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Empty,
    /// It was written by this version, or an older one.
    Of(i32),
}

/// The right to write a file, which one process has at a time; it ends with the process.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock is held by the open file")] File);

/// Why a lock was not granted.
#[derive(Debug)]
pub(crate) enum NoLock {
    /// Another process has it.
    Held,
    /// The file could not be created or locked.
    Failed(io::Error),
}

impl Lock {
    /// Locks a file beside the database; SQLite's own locks last only for a transaction.
    pub(crate) fn take(path: &Path) -> Result<Self, NoLock> {
        let mut name = path.as_os_str().to_owned();
        name.push("-lock");
        let file = private(Path::new(&name)).map_err(NoLock::Failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(NoLock::Held),
            Err(TryLockError::Error(error)) => Err(NoLock::Failed(error)),
        }
    }
}

/// Opens a file that its owner alone may read, or creates it.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates the file and its folder if they are missing, readable only by their owner, and returns
/// the file's real path: SQLite names the files beside it after that one.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error| unusable(path, error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        hikyaku::files::make_private_folder(folder).map_err(failed)?;
    }
    let is_new = !path.exists();
    private(path).map_err(failed)?;
    let path = fs::canonicalize(path).map_err(failed)?;
    // The name of a new file survives a power failure, too.
    #[cfg(unix)]
    if is_new && let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(path)
}

/// Opens a prepared file for writing, and creates its tables if it is empty; `first` then fills
/// them.
pub(crate) fn open(
    path: &Path,
    format: &Format,
    first: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| explain(path, &error);
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let state = check(&db, path, format)?;
    configure(&db, state == State::Empty).map_err(failed)?;
    match state {
        State::Empty => create(&mut db, format, first),
        State::Of(version) => upgrade(&mut db, format, version),
    }
    .map_err(failed)?;
    Ok(db)
}

/// Opens another connection to a file that this process has opened, for writing.
pub(crate) fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| explain(path, &error);
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    Ok(db)
}

/// Opens another connection to a file that this process has opened, for reading.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| explain(path, &error);
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(PREPARED);
    Ok(db)
}

/// Returns the state of a file, and an error for one that this version cannot write.
fn check(db: &Connection, path: &Path, format: &Format) -> Result<State, StoreError> {
    let failed = |error| explain(path, &error);
    let number = |pragma: &str| db.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id").map_err(failed)?;
    let version = number("PRAGMA user_version").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    let (name, what) = (path.display(), format.what);
    if tables == 0 && application == 0 && version == 0 {
        return Ok(State::Empty);
    }
    if application != format.application {
        return Err(StoreError::of_file(format!(
            "{name} is not {what}, but a file of another program; choose another name"
        )));
    }
    if version > format.version {
        return Err(StoreError::of_file(format!(
            "{name} was written by a newer hikyaku (format {version}, known here: {}); update this \
             one",
            format.version
        )));
    }
    Ok(State::Of(version))
}

fn configure(db: &Connection, is_empty: bool) -> rusqlite::Result<()> {
    if is_empty {
        // Before the first table; later it has no effect.
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    // A committed transaction is on disk.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "trusted_schema", "OFF")?;
    db.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    db.pragma_update(None, "journal_size_limit", WAL_LEN)?;
    db.set_prepared_statement_cache_capacity(PREPARED);
    Ok(())
}

/// Checkpoints and truncates the write-ahead log. If a reader is active or the disk is full, the
/// log stays as it is, which is no error: its contents are stored.
pub(crate) fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    let done = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    match done.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => Ok(()),
        _ => done,
    }
}

fn create(
    db: &mut Connection,
    format: &Format,
    first: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    transaction.execute_batch(format.schema)?;
    for upgrade in format.upgrades {
        transaction.execute_batch(upgrade)?;
    }
    first(&transaction)?;
    transaction.pragma_update(None, "application_id", format.application)?;
    transaction.pragma_update(None, "user_version", format.version)?;
    transaction.commit()
}

/// Migrates a file of an older version to this version.
fn upgrade(db: &mut Connection, format: &Format, version: i32) -> rusqlite::Result<()> {
    let done = usize::try_from(version.saturating_sub(1)).unwrap_or(0);
    let missing = format.upgrades.get(done..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = db.transaction()?;
    for upgrade in missing {
        transaction.execute_batch(upgrade)?;
    }
    transaction.pragma_update(None, "user_version", format.version)?;
    transaction.commit()
}

/// Returns the error for a file that cannot be used.
pub(crate) fn unusable(path: &Path, why: impl Display) -> StoreError {
    StoreError::of_file(format!("{}: {why}", path.display()))
}

/// Describes an error of a file: for members of a chat without its name, and for the owner with its
/// name and what to do.
pub(crate) fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let (problem, to_do) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ("the disk is full", "make room, then try again"),
        Some(ErrorCode::NotADatabase) => ("not a SQLite file", "choose another name"),
        Some(ErrorCode::DatabaseCorrupt) => {
            ("the file is damaged", "move it away to start with a new one, or restore a copy")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            ("another program is writing to the file", "stop that program")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            ("the file is not writable", "change its permissions")
        }
        Some(ErrorCode::SystemIoFailure) => {
            let detail = format!("{}: reading or writing failed: {error}", path.display());
            return StoreError::new("reading or writing failed").with_detail(detail);
        }
        _ => return unusable(path, error),
    };
    let detail = format!("{}: {problem}; {to_do}", path.display());
    StoreError::new(problem).with_detail(detail)
}
