//! Writes the secrets of connections to a file, for tools that read the NSS key log format and
//! decrypt packets. Off by default: with the file, all traffic can be decrypted.
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

use crate::keys::files::{FileError, check_is_file, check_own, do_not_wait};

#[derive(Debug)]
pub(crate) struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Opens the file for appending, and creates it (mode 0600) if it does not exist. A file that
    /// others can read, or that belongs to another user, is refused.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let failed = |source| FileError::Write { path: path.to_owned(), source };
        // A named pipe has no end, and a reader that stops would block us.
        if let Ok(meta) = path.metadata() {
            check_is_file(&meta, path)?;
        }
        do_not_wait(&mut options);
        let file = options.open(path).map_err(failed)?;
        check_is_file(&file.metadata().map_err(failed)?, path)?;
        check_own(&file, path)?;
        Ok(Self(Mutex::new(file)))
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let secret = Zeroizing::new(HEXLOWER.encode(secret));
        let client_random = HEXLOWER.encode(client_random);
        // Allocated at once: a string that grows leaves copies of the secret behind.
        let len = label.len() + client_random.len() + secret.len() + 3;
        let mut line = Zeroizing::new(String::with_capacity(len));
        for part in [label, " ", &client_random, " ", &secret, "\n"] {
            line.push_str(part);
        }
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end a connection.
        let _ = file.write_all(line.as_bytes());
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn lines_follow_the_format_in_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.log");
        KeyLogFile::open(&path).unwrap().log("EXPORTER_SECRET", &[1; 32], &[0xab; 2]);
        let line = format!("EXPORTER_SECRET {} abab\n", "01".repeat(32));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_named_pipe_is_refused_without_waiting_for_a_reader() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let refused = KeyLogFile::open(&pipe);
        assert!(matches!(refused, Err(FileError::NotAFile { .. })), "{refused:?}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.log");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
        let refused = KeyLogFile::open(&path);
        assert!(matches!(refused, Err(FileError::Exposed { .. })), "{refused:?}");
    }

    /// Only root can create such a file; without root there is nothing to test.
    #[test]
    fn a_file_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.log");
        drop(KeyLogFile::open(&path).unwrap());
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            let refused = KeyLogFile::open(&path);
            assert!(matches!(refused, Err(FileError::NotOurs(_))), "{refused:?}");
        }
    }
}
