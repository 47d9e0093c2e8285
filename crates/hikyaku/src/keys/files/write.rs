//! Writes a file atomically, with its final permissions from the start.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{FileError, folder_of};

/// The mode of a file that only its owner may read.
const PRIVATE: u32 = 0o600;

/// What to do when a file to be written exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// Leave it unchanged, and return an error.
    Refuse,
    /// Replace it.
    Replace,
}

/// Writes a file that only its owner may read (mode 0600), atomically: it is written under another
/// name in the same folder, and then renamed.
///
/// # Errors
/// [`FileError::Exists`] with [`IfExists::Refuse`], [`FileError::Write`] otherwise.
pub fn write_private(path: &Path, text: &str, if_exists: IfExists) -> Result<(), FileError> {
    write_whole(path, text, if_exists, PRIVATE)
}

/// Writes a file that everyone may read (mode 0644), atomically.
///
/// # Errors
/// As [`write_private`].
pub fn write_public(path: &Path, text: &str, if_exists: IfExists) -> Result<(), FileError> {
    write_whole(path, text, if_exists, 0o644)
}

fn write_whole(path: &Path, text: &str, if_exists: IfExists, mode: u32) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let folder = folder_of(path);
    let (mut file, unfinished) = Unfinished::create(folder).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            FileError::NoFolder { path: path.to_owned(), folder: folder.to_owned() }
        }
        _ => failed(e),
    })?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    #[cfg(unix)]
    if mode != PRIVATE {
        use std::os::unix::fs::PermissionsExt;
        let permissions = fs::Permissions::from_mode(mode);
        file.set_permissions(permissions).map_err(failed)?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    file.sync_all().map_err(failed)?;
    match unfinished.rename(path, if_exists) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            Err(FileError::Exists(path.to_owned()))
        }
        Err(e) => Err(failed(e)),
    }
}

/// A file with a temporary name, removed unless it is renamed.
struct Unfinished(PathBuf);

impl Unfinished {
    /// Creates the file with mode 0600, so that a secret is never open to others, even briefly.
    fn create(folder: &Path) -> io::Result<(File, Self)> {
        let name = format!(".hikyaku-{:016x}", getrandom::u64().map_err(io::Error::other)?);
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, PRIVATE);
        Ok((options.open(&path)?, Self(path)))
    }

    fn rename(self, path: &Path, if_exists: IfExists) -> io::Result<()> {
        match if_exists {
            IfExists::Replace => fs::rename(&self.0, path),
            IfExists::Refuse => rename_to_new(&self.0, path),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // A file that was renamed no longer has this name.
        let _ = fs::remove_file(&self.0);
    }
}

/// Renames a file, unless the new name exists.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            fs::{CWD, RenameFlags, renameat_with},
            io::Errno,
        };
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some file systems do not support this, and return either error.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
    }
    fs::hard_link(from, to)
}
