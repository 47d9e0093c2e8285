//! Small files of keys and rules: reads are bounded; secrets are written atomically, readable only
//! by their owner.
//!
//! In: paths. Out: text, or an error that names the file. Never: what the text means.

mod check;
mod write;

use std::{
    env,
    error::Error,
    fmt,
    fs::{DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read},
    ops::Deref,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

pub(crate) use self::check::check_own;
use self::check::check_private_opened;
pub use self::{
    check::{check_private, check_unchangeable},
    write::{IfExists, write_private, write_public},
};
use crate::limits::MAX_FILE_LEN;

/// The text of a file, wiped from memory when dropped: it may be a secret.
pub struct FileText(Zeroizing<String>);

impl Deref for FileText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FileText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileText(maybe a secret)")
    }
}

/// Why a file of keys or rules could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// It is larger than any such file should be.
    #[error("{} is larger than {MAX_FILE_LEN} bytes; is it the right file?", .0.display())]
    TooLarge(PathBuf),
    /// It is a folder, a device, a socket or a named pipe, which might never come to an end.
    #[error("{} is not a file but {what}", path.display())]
    NotAFile {
        /// What is at that path.
        path: PathBuf,
        /// What it is, with an article.
        what: &'static str,
    },
    /// It is not UTF-8 text.
    #[error("{} is not a text file", .0.display())]
    NotText(PathBuf),
    /// It exists, and must not be overwritten.
    #[error("{} exists; --force replaces it", .0.display())]
    Exists(PathBuf),
    /// The folder that should contain it does not exist.
    #[error(
        "cannot write {}: there is no folder {}; create it with `mkdir -p {}`",
        path.display(), folder.display(), folder.display()
    )]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// It could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file with a secret that other users of this machine can read.
    #[error(
        "{} can be read by others (mode {mode:04o}); make it private with `chmod 600 {}`",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file for secrets that belongs to another user, who can read what is written to it.
    #[error("{} belongs to another user", .0.display())]
    NotOurs(PathBuf),
    /// A file that decides which keys are trusted, and that every user of this machine can change.
    #[error(
        "everyone on this machine can change {}, and so what it trusts; run `chmod o-w {}`",
        path.display(), open.display()
    )]
    Changeable {
        /// The file.
        path: PathBuf,
        /// What every user can write to: the file, or its folder.
        open: PathBuf,
    },
}

/// Reads a text file of at most [`MAX_FILE_LEN`] bytes. The text is wiped from memory when dropped,
/// since the caller may not know yet whether it is a secret.
///
/// # Errors
/// If the file cannot be read, is too large or is not UTF-8.
pub fn read_text(path: &Path) -> Result<FileText, FileError> {
    read_opened(&open(path)?, path)
}

/// Reads a file that should be a secret, as [`read_text`] does. Also returns the result of
/// [`check_private`] for the file that was read, even if the path has since changed.
///
/// # Errors
/// As [`read_text`].
pub fn read_secret(path: &Path) -> Result<(FileText, Result<(), FileError>), FileError> {
    let file = open(path)?;
    Ok((read_opened(&file, path)?, check_private_opened(&file, path)))
}

/// Reads a file in any encoding, as [`read_text`] does.
#[cfg(feature = "openssh")]
pub(crate) fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    bytes_of(&open(path)?, path)
}

/// Opens a file for reading without blocking: opening a named pipe would wait for a writer.
fn open(path: &Path) -> Result<File, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    if is_own_descriptor(path) {
        return File::open(path).map_err(failed);
    }
    // Checked before it is opened, because a socket cannot be opened, and after, because the path
    // may have changed meanwhile.
    check_is_file(&path.metadata().map_err(failed)?, path)?;
    let mut options = OpenOptions::new();
    options.read(true);
    do_not_wait(&mut options);
    let file = options.open(path).map_err(failed)?;
    check_is_file(&file.metadata().map_err(failed)?, path)?;
    Ok(file)
}

/// Makes opening a named pipe return at once. Regular files are not affected.
pub(crate) fn do_not_wait(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        let flag = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flag);
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// A file that the shell passes (`<(…)`, `/dev/stdin`) was chosen by the user.
fn is_own_descriptor(path: &Path) -> bool {
    ["/dev/fd", "/dev/stdin", "/proc"].iter().any(|folder| path.starts_with(folder))
}

/// Refuses everything except regular files.
pub(crate) fn check_is_file(meta: &Metadata, path: &Path) -> Result<(), FileError> {
    let kind = meta.file_type();
    if kind.is_file() {
        return Ok(());
    }
    #[cfg(unix)]
    let what = {
        use std::os::unix::fs::FileTypeExt as _;
        match () {
            () if kind.is_dir() => "a folder",
            () if kind.is_fifo() => "a named pipe",
            () if kind.is_socket() => "a socket",
            () => "a device",
        }
    };
    #[cfg(not(unix))]
    let what = if kind.is_dir() { "a folder" } else { "a device" };
    Err(FileError::NotAFile { path: path.to_owned(), what })
}

fn read_opened(file: &File, path: &Path) -> Result<FileText, FileError> {
    let bytes = bytes_of(file, path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NotText(path.to_owned()))?;
    Ok(FileText(Zeroizing::new(text.to_owned())))
}

fn bytes_of(file: &File, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let known_len = file.metadata().map_err(failed)?.len();
    if known_len > MAX_FILE_LEN {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    // Allocates for the whole file at once: a growing buffer would leave copies of a secret behind.
    let room = usize::try_from(known_len).unwrap_or(0).max(4_096) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// Returns the folder of this user's keys and known hosts: `hikyaku` in `$XDG_CONFIG_HOME`, or in
/// `.config` of `$HOME` (XDG Base Directory Specification; a relative path there is ignored).
/// Returns `None` if neither is set.
#[must_use]
pub fn config_folder() -> Option<PathBuf> {
    user_folder("XDG_CONFIG_HOME", ".config")
}

/// Returns the folder for data that programs keep but nobody backs up: `hikyaku` in
/// `$XDG_STATE_HOME`, or in `.local/state` of `$HOME`, by the rules of [`config_folder`].
#[must_use]
pub fn state_folder() -> Option<PathBuf> {
    user_folder("XDG_STATE_HOME", ".local/state")
}

fn user_folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(in_home)))?;
    Some(folder.join("hikyaku"))
}

/// Creates a folder that only its owner may enter (mode 0700), and its missing parents. A folder
/// that exists stays as it is.
///
/// # Errors
/// The error of the system.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
/// Returns the system's own error where a library has wrapped it, for instance to add the name of a
/// temporary file: its text is more specific than its kind.
#[must_use]
pub fn os_error(error: &io::Error) -> Option<io::Error> {
    if let Some(code) = error.raw_os_error() {
        return Some(io::Error::from_raw_os_error(code));
    }
    let mut source = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(inner) = source {
        if let Some(code) = inner.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Some(io::Error::from_raw_os_error(code));
        }
        source = inner.source();
    }
    code_in(&error.to_string()).map(io::Error::from_raw_os_error)
}

/// Returns the code in a text such as `No such file or directory (os error 2) at path …`: tempfile
/// reveals no more.
fn code_in(text: &str) -> Option<i32> {
    let (_, code) = text.split_once("(os error ")?;
    code.split_once(')')?.0.parse().ok()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(all(test, unix))]
mod tests;
