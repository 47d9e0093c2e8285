//! Small files of keys and rules: reads are bounded; secrets are written atomically, readable only
//! by their owner.
//!
//! In: paths. Out: text, or an error that names the file. Never: what the text means.

// Longer than 400 lines: reading, checking and replacing a file share its errors and its rules.

use std::{
    env,
    error::Error,
    fmt,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    ops::Deref,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::limits::MAX_FILE_LEN;

/// The mode of a file that only its owner may read.
const PRIVATE: u32 = 0o600;

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

/// Checks that only the owner of a file of secrets can read or write it.
///
/// # Errors
/// [`FileError::Exposed`] with its permission bits; [`FileError::Read`] if they cannot be read. A
/// pipe (`/dev/fd/…`) is never exposed: it belongs to one process.
pub fn check_private(path: &Path) -> Result<(), FileError> {
    judge(fs::metadata(path), path)
}

/// Does the same for an open file that was found at `path`.
fn check_private_opened(file: &File, path: &Path) -> Result<(), FileError> {
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

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn secrets_are_private_and_never_overwritten_without_request() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, "one", IfExists::Refuse).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = write_private(&path, "two", IfExists::Refuse);
        assert!(matches!(again, Err(FileError::Exists(_))), "{again:?}");
        assert_eq!(&*read_text(&path).unwrap(), "one");
        write_private(&path, "two", IfExists::Replace).unwrap();
        assert_eq!(&*read_text(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no leftovers");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, "s", IfExists::Refuse).unwrap();
        check_private(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = check_private(&path).expect_err("group can read").to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn the_file_that_is_read_is_the_one_that_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let [key, link] = ["key", "link"].map(|name| dir.path().join(name));
        write_private(&key, "s", IfExists::Refuse).unwrap();
        std::os::unix::fs::symlink(&key, &link).unwrap();
        assert!(read_secret(&link).unwrap().1.is_ok());
        fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).unwrap();
        let (text, checked) = read_secret(&link).unwrap();
        assert_eq!(&*text, "s");
        assert!(matches!(checked, Err(FileError::Exposed { mode: 0o604, .. })), "{checked:?}");
    }

    #[test]
    fn writing_a_key_does_not_follow_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let [dear, link] = ["dear", "link"].map(|name| dir.path().join(name));
        fs::write(&dear, "dear to me").unwrap();
        std::os::unix::fs::symlink(&dear, &link).unwrap();
        let refused = write_private(&link, "s", IfExists::Refuse);
        assert!(matches!(refused, Err(FileError::Exists(_))), "{refused:?}");
        write_private(&link, "s", IfExists::Replace).unwrap();
        assert_eq!(fs::read_to_string(&dear).unwrap(), "dear to me");
        assert!(link.symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_file_that_everyone_can_change_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("friends");
        fs::write(&path, "").unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (of_folder, of_file, open) in [
            (0o755, 0o664, None),
            (0o755, 0o666, Some(&path)),
            (0o777, 0o644, Some(&folder)),
            (0o1777, 0o644, None),
        ] {
            set(&folder, of_folder);
            set(&path, of_file);
            let named = match check_unchangeable(&path) {
                Err(FileError::Changeable { open, .. }) => Some(open),
                _ => None,
            };
            assert_eq!(named.as_ref(), open, "{of_folder:o} {of_file:o}");
        }
        check_unchangeable(&folder.join("gone")).unwrap();
    }

    #[test]
    fn anything_but_a_file_is_refused_at_once_by_its_kind() {
        let dir = tempfile::tempdir().unwrap();
        let [pipe, socket] = ["pipe", "socket"].map(|name| dir.path().join(name));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let zeros = Path::new("/dev/zero");
        for (path, kind) in
            [(&*pipe, "pipe"), (&*socket, "socket"), (dir.path(), "folder"), (zeros, "device")]
        {
            let refused = read_text(path).unwrap_err();
            assert!(matches!(refused, FileError::NotAFile { .. }), "{refused:?}");
            assert!(refused.to_string().contains(kind), "{refused}");
        }
    }

    #[test]
    fn errors_name_the_file() {
        let missing = read_text(Path::new("no/such/file")).expect_err("missing").to_string();
        assert!(missing.contains("no/such/file"), "{missing}");
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("binary");
        fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert!(matches!(read_text(&binary), Err(FileError::NotText(_))));
    }
}
