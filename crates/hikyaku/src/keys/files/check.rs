//! Checks the owner and the permissions of a file.

use std::{
    fs::{self, File, Metadata},
    io,
    path::Path,
};

use super::FileError;

/// Checks that only the owner of a file of secrets can read or write it.
///
/// # Errors
/// [`FileError::Exposed`] with its permission bits; [`FileError::Read`] if they cannot be read. A
/// pipe (`/dev/fd/…`) is never exposed: it belongs to one process.
pub fn check_private(path: &Path) -> Result<(), FileError> {
    judge(fs::metadata(path), path)
}

/// Does the same for an open file that was found at `path`.
pub(super) fn check_private_opened(file: &File, path: &Path) -> Result<(), FileError> {
    judge(file.metadata(), path)
}

#[cfg(unix)]
fn judge(meta: io::Result<Metadata>, path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt;
    let meta = meta.map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    let mode = meta.mode() & 0o777;
    if meta.is_file() && mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Systems without permission bits have nothing to check.
#[cfg(not(unix))]
fn judge(_meta: io::Result<Metadata>, _path: &Path) -> Result<(), FileError> {
    Ok(())
}

/// Checks that a file, opened for writing, belongs to us: its owner could read what a privileged
/// process writes to it.
#[cfg(unix)]
pub(crate) fn check_own(file: &File, path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt;
    check_private_opened(file, path)?;
    let meta =
        file.metadata().map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    if meta.is_file() && meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(FileError::NotOurs(path.to_owned()));
    }
    Ok(())
}

/// Systems without permission bits have nothing to check.
#[cfg(not(unix))]
pub(crate) fn check_own(_file: &File, _path: &Path) -> Result<(), FileError> {
    Ok(())
}

/// Checks that not every user of this machine can change a file that decides which keys are
/// trusted, or replace it (if its folder is writable by all, and not sticky as `/tmp` is). Write
/// access of a group is the owner's choice: where each user has a group, it is the usual umask.
///
/// # Errors
/// [`FileError::Changeable`]. A file that does not exist cannot be changed.
#[cfg(unix)]
pub fn check_unchangeable(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt;

    use super::folder_of;
    const STICKY: u32 = 0o1000;
    let changeable =
        |open: &Path| FileError::Changeable { path: path.to_owned(), open: open.to_owned() };
    let Ok(file) = path.metadata() else { return Ok(()) };
    if file.is_file() && file.mode() & 0o002 != 0 {
        return Err(changeable(path));
    }
    let folder = folder_of(path);
    let open = folder.metadata().is_ok_and(|meta| meta.mode() & (STICKY | 0o002) == 0o002);
    if file.is_file() && open { Err(changeable(folder)) } else { Ok(()) }
}

/// Systems without permission bits have nothing to check.
///
/// # Errors
/// None on such a system.
#[cfg(not(unix))]
pub fn check_unchangeable(_path: &Path) -> Result<(), FileError> {
    Ok(())
}
