//! Saves received files in a folder: complete or not at all, never over an existing one.
//!
//! Never: a path chosen by the sender.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use hikyaku_services::files::{Control, Incoming, Offer, Task, Violation, safe_name};

use crate::{
    exit::{Failure, in_words},
    limits::MAX_UNSAVED,
    words::Listener,
};

/// The folder for received files.
#[derive(Debug)]
pub(super) struct Saver {
    folder: PathBuf,
}

impl Saver {
    /// Opens an existing folder.
    pub(super) fn new(folder: &Path) -> Result<Arc<Self>, Failure> {
        let shown = folder.display();
        let named = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => Failure::usage(Listener::NoFolder(&shown).text()),
            _ => Failure::usage(format!("--save {shown}: {}", in_words(&e))),
        };
        // An open folder stays the same, even if its name or our working directory changes.
        let folder = folder.canonicalize().map_err(named)?;
        if !folder.is_dir() {
            return Err(named(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Arc::new(Self { folder }))
    }

    fn open(&self, offer: &Offer) -> Result<Pending, String> {
        let name = safe_name(&offer.name).ok_or("its name is not a valid file name")?;
        let path = self.folder.join(&name);
        // Check before the whole file is sent. This also finds a dangling link.
        if path.symlink_metadata().is_ok() {
            return Err(exists(&name));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".hikyaku-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // The sender's mode, but its owner may read and write it; the umask is applied.
            let mode = offer.mode.unwrap_or(0o666) & 0o777 | 0o600;
            builder.permissions(std::fs::Permissions::from_mode(mode));
        }
        let file = builder.tempfile_in(&self.folder).map_err(|e| in_words(&e))?;
        Ok(Pending { file, path, name, bytes: 0 })
    }
}

fn exists(name: &str) -> String {
    format!("{name} exists there already")
}

/// A file being written under a temporary name. Removed when dropped.
#[derive(Debug)]
struct Pending {
    file: NamedTempFile,
    path: PathBuf,
    name: String,
    bytes: u64,
}

impl Pending {
    fn write(&mut self, chunks: &[Vec<u8>]) -> Result<(), String> {
        for chunk in chunks {
            // The first byte is the message's type.
            let data = chunk.get(1..).unwrap_or_default();
            self.file.as_file_mut().write_all(data).map_err(|e| in_words(&e))?;
            self.bytes += data.len() as u64;
        }
        Ok(())
    }

    /// Syncs the file and gives it its name, or removes it.
    fn keep(self) -> Result<(String, u64), String> {
        self.file.as_file().sync_all().map_err(|e| in_words(&e))?;
        self.file.persist_noclobber(&self.path).map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.name),
            _ => in_words(&e.error),
        })?;
        // Make the name as durable as the bytes, where the system can.
        let _ = self.path.parent().map(|folder| File::open(folder).and_then(|f| f.sync_all()));
        Ok((self.name, self.bytes))
    }
}

/// The file transfer of one connection.
pub(super) struct Filing {
    saver: Option<Arc<Saver>>,
    incoming: Incoming,
    pending: Option<Pending>,
    id: u64,
    /// The name that the sender gave.
    name: String,
    /// Payloads received and not written yet.
    chunks: Vec<Vec<u8>>,
    waiting: usize,
}

/// An event of a file. The name of a refused file comes from the sender and is not safe for a
/// terminal.
#[derive(Debug)]
pub(super) enum Filed {
    Accepted { id: u64 },
    Saved { id: u64, name: String, bytes: u64 },
    Refused { id: u64, name: String, reason: String },
}

impl Filed {
    /// Returns the answer for the sender.
    pub(super) fn answer(&self) -> Control {
        match self {
            Self::Accepted { id } => Control::Accept { id: *id, have: None },
            Self::Saved { id, name, .. } => Control::Saved { id: *id, name: name.clone() },
            Self::Refused { id, reason, .. } => Control::refuse(*id, reason),
        }
    }
}

impl Filing {
    pub(super) fn new(saver: Option<Arc<Saver>>) -> Self {
        let incoming = Incoming::default();
        let name = String::new();
        Self { saver, incoming, pending: None, id: 0, name, chunks: vec![], waiting: 0 }
    }

    /// Handles a message of the channel for files.
    pub(super) async fn handle(&mut self, message: Vec<u8>) -> Result<Option<Filed>, Violation> {
        Ok(match self.incoming.handle(&message)? {
            Task::Open(offer) => Some(self.open(offer).await),
            Task::Write => {
                self.waiting += message.len();
                self.chunks.push(message);
                if self.waiting >= MAX_UNSAVED { self.flush().await } else { None }
            }
            Task::Finish { id } => Some(match self.flush().await {
                Some(refused) => refused,
                None => self.keep(id).await,
            }),
            Task::Drop { id, refuse } => {
                self.drop_pending();
                refuse.map(|reason| self.refused(id, reason))
            }
            // This listener keeps no partial files.
            Task::Continue { .. } | Task::Nothing => None,
        })
    }

    async fn open(&mut self, offer: Offer) -> Filed {
        let id = offer.id;
        (self.id, self.name) = (id, offer.name.clone());
        let opened = match self.saver.clone() {
            None => Err("this listener saves no files (it has no --save)".to_owned()),
            Some(saver) => blocking(move || saver.open(&offer)).await,
        };
        match opened {
            Ok(pending) => {
                self.pending = Some(pending);
                Filed::Accepted { id }
            }
            Err(reason) => self.refuse(&reason),
        }
    }

    /// Writes the collected bytes. Returns an answer if writing failed.
    pub(super) async fn flush(&mut self) -> Option<Filed> {
        let chunks = std::mem::take(&mut self.chunks);
        self.waiting = 0;
        let mut pending = self.pending.take_if(|_| !chunks.is_empty())?;
        let written = blocking(move || pending.write(&chunks).map(|()| pending)).await;
        match written {
            Ok(pending) => {
                self.pending = Some(pending);
                None
            }
            Err(reason) => Some(self.refuse(&reason)),
        }
    }

    async fn keep(&mut self, id: u64) -> Filed {
        let Some(pending) = self.pending.take() else {
            return self.refused(id, "the transfer was lost");
        };
        match blocking(move || pending.keep()).await {
            Ok((name, bytes)) => Filed::Saved { id, name, bytes },
            Err(reason) => self.refused(id, &reason),
        }
    }

    fn refuse(&mut self, reason: &str) -> Filed {
        self.incoming.refuse();
        self.drop_pending();
        self.refused(self.id, reason)
    }

    fn refused(&self, id: u64, reason: &str) -> Filed {
        Filed::Refused { id, name: self.name.clone(), reason: reason.to_owned() }
    }

    /// Discards a partial file and returns its name, if there is one.
    pub(super) fn abandon(&mut self) -> Option<String> {
        let pending = self.pending.take();
        self.drop_pending();
        pending.map(|pending| pending.name)
    }

    fn drop_pending(&mut self) {
        self.pending = None;
        self.chunks.clear();
        self.waiting = 0;
    }
}

/// Runs blocking work on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err("saving failed unexpectedly".to_owned()))
}
