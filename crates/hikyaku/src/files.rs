//! Small files of keys and rules: read within a bound, secrets written complete and private.
//!
//! In: paths. Out: text, or an error that names the file. Never: what the text means.

use std::{
    env,
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::limits::MAX_FILE_LEN;

/// Why a file of keys or rules could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is larger than any such file should be.
    #[error("{} is larger than {MAX_FILE_LEN} bytes; is it the right file?", .0.display())]
    TooLarge(PathBuf),
    /// It is not UTF-8 text.
    #[error("{} is not a text file", .0.display())]
    NotText(PathBuf),
    /// It is there already and was not to be overwritten.
    #[error("{} exists; --force replaces it", .0.display())]
    Exists(PathBuf),
    /// It could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A secret that other users of this machine can read.
    #[error(
        "{} can be read by others (mode {mode:04o}); make it private: chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Reads a text file of at most [`MAX_FILE_LEN`] bytes, wiped from memory when dropped: the
/// caller may not know yet whether it holds a secret.
///
/// # Errors
/// When it cannot be read, is too large or is not UTF-8.
pub fn read_text(path: &Path) -> Result<Zeroizing<String>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let known_len = file.metadata().map_err(failed)?.len();
    if known_len > MAX_FILE_LEN {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    // Room for the whole file at once: a growing buffer would leave copies of a secret behind.
    let room = usize::try_from(known_len).unwrap_or(0).max(4_096) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NotText(path.to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Is a file of secrets readable or writable by others than its owner?
///
/// # Errors
/// [`FileError::Exposed`] with its permission bits; [`FileError::Read`] when it cannot be looked
/// at. A pipe (`/dev/fd/…`) is never exposed: it belongs to one process.
#[cfg(unix)]
pub fn check_private(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path)
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    let mode = meta.mode() & 0o777;
    if meta.is_file() && mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// On systems without permission bits there is nothing to check.
///
/// # Errors
/// None here.
#[cfg(not(unix))]
pub fn check_private(_path: &Path) -> Result<(), FileError> {
    Ok(())
}

/// Where this user's keys and known hosts are: `hikyaku` in `$XDG_CONFIG_HOME`, or in `.config` of
/// `$HOME` (XDG Base Directory Specification; a relative path there means nothing). None where
/// neither is set.
#[must_use]
pub fn config_folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(config.join("hikyaku"))
}

/// Makes a folder that only its owner may enter (mode 0700), and those above it that are missing;
/// one that exists stays as it is.
///
/// # Errors
/// What the system says.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// What to do when a file to be written exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// Leave it alone and say so.
    Refuse,
    /// Put the new one in its place.
    Replace,
}

/// Writes a file that only its owner may read (mode 0600), complete or not at all: it is written
/// under another name in the same folder, then moved.
///
/// # Errors
/// [`FileError::Exists`] with [`IfExists::Refuse`], [`FileError::Write`] otherwise.
pub fn write_private(path: &Path, text: &str, if_exists: IfExists) -> Result<(), FileError> {
    write_whole(path, text, if_exists, 0o600)
}

/// Writes a file that everyone may read (mode 0644), complete or not at all.
///
/// # Errors
/// As [`write_private`].
pub fn write_public(path: &Path, text: &str, if_exists: IfExists) -> Result<(), FileError> {
    write_whole(path, text, if_exists, 0o644)
}

fn write_whole(path: &Path, text: &str, if_exists: IfExists, mode: u32) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // tempfile creates with mode 0600, so that a secret is never open to others, even briefly.
    // The kind alone: the error's own text names the temporary file.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| failed(e.kind().into()))?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    #[cfg(unix)]
    if mode != 0o600 {
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(mode);
        file.as_file().set_permissions(permissions).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    let placed = match if_exists {
        IfExists::Replace => file.persist(path),
        IfExists::Refuse => file.persist_noclobber(path),
    };
    match placed {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(FileError::Exists(path.to_owned()))
        }
        Err(e) => Err(failed(e.error)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn secrets_are_private_and_never_overwritten_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, "one", IfExists::Refuse).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = write_private(&path, "two", IfExists::Refuse);
        assert!(matches!(again, Err(FileError::Exists(_))), "{again:?}");
        assert_eq!(*read_text(&path).unwrap(), "one");
        write_private(&path, "two", IfExists::Replace).unwrap();
        assert_eq!(*read_text(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no leftovers");
    }

    #[test]
    fn a_secret_others_can_read_is_named_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, "s", IfExists::Refuse).unwrap();
        check_private(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = check_private(&path).expect_err("group can read").to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn errors_name_the_file() {
        let missing = read_text(Path::new("no/such/file")).expect_err("missing").to_string();
        assert!(missing.contains("no/such/file"), "{missing}");
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("binary");
        std::fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert!(matches!(read_text(&binary), Err(FileError::NotText(_))));
    }
}
