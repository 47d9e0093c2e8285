//! Secrets of connections written to a file, for who has to look into packets with a tool that
//! reads the NSS key log format. Never on unless asked for: whoever has it reads all that was sent.
//!
//! In: secrets. Out: lines in a file that only its owner may read. Never: anything else.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use data_encoding::HEXLOWER;
use hikyaku_proto::KeyLog;
use zeroize::Zeroizing;

use crate::files::{FileError, check_private};

#[derive(Debug)]
pub(crate) struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Opens the file to append to, and makes it (mode 0600) where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(path)
            .map_err(|source| FileError::Write { path: path.to_owned(), source })?;
        check_private(path)?;
        Ok(Self(Mutex::new(file)))
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let secret = Zeroizing::new(HEXLOWER.encode(secret));
        let client_random = HEXLOWER.encode(client_random);
        let line = Zeroizing::new(format!("{label} {client_random} {}\n", *secret));
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end a conversation.
        let _ = file.write_all(line.as_bytes());
    }
}
