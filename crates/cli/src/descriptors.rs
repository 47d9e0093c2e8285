//! What the standard streams were when the command began.
//!
//! In: the three descriptors. Out: whether standard output was closed. Never: what is written.

use std::{io, os::fd::AsFd};

use rustix::{
    fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat, major, minor},
    io::Errno,
};

/// Returns `true` if standard output looks as Rust's runtime leaves it where it alone was closed:
/// `/dev/null`, open for reading and writing, and shared with no other standard stream. A shell
/// opens it for writing alone. A daemon opens it once for all three, as the runtime does where
/// standard input was closed too: these cannot be told apart, and are taken for a wish.
pub(crate) fn stdout_was_closed() -> bool {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let is_shared = || shares(&stdout, &stdin) || shares(&stdout, &stderr);
    is_null(&stdout).unwrap_or(false) && reads_and_writes(&stdout) && !is_shared()
}

/// `/dev/null` of Linux (its admin-guide/devices.txt).
fn is_null(stream: impl AsFd) -> Result<bool, Errno> {
    let about = fstat(stream)?;
    let is_device = FileType::from_raw_mode(about.st_mode) == FileType::CharacterDevice;
    Ok(is_device && (major(about.st_rdev), minor(about.st_rdev)) == (1, 3))
}

fn reads_and_writes(stream: impl AsFd) -> bool {
    fcntl_getfl(stream).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
}

/// Returns `true` if both streams are one open file: a flag set on one is then set on the other.
/// Whether `/dev/null` appends makes no difference to anyone meanwhile.
fn shares(one: impl AsFd, other: impl AsFd) -> bool {
    let flags = || Some((fcntl_getfl(&one).ok()?, fcntl_getfl(&other).ok()?));
    let Some((ours, theirs)) = flags() else { return false };
    if ours != theirs || fcntl_setfl(&one, ours ^ OFlags::APPEND).is_err() {
        return false;
    }
    let changed = flags();
    let _ = fcntl_setfl(&one, ours);
    changed.is_some_and(|(_, after)| after != theirs)
}
