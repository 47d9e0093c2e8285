//! The state of the standard streams when the command began.

use std::{io, os::fd::AsFd};

use rustix::{
    fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat, major, minor},
    io::Errno,
};

/// Returns `true` if standard output is `/dev/null`, open for reading and writing, and shared with
/// no other standard stream.
///
/// Rust's runtime leaves a closed standard output like this, and so do programs that discard the
/// output of a child (Python, Node.js). A shell opens `/dev/null` for writing only. A daemon opens
/// it once for all three streams.
pub(crate) fn stdout_may_be_closed() -> bool {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let is_shared = || shares(&stdout, &stdin) || shares(&stdout, &stderr);
    is_null(&stdout).unwrap_or(false) && reads_and_writes(&stdout) && !is_shared()
}

/// Returns `true` for Linux's `/dev/null` (admin-guide/devices.txt).
fn is_null(stream: impl AsFd) -> Result<bool, Errno> {
    let about = fstat(stream)?;
    let is_device = FileType::from_raw_mode(about.st_mode) == FileType::CharacterDevice;
    Ok(is_device && (major(about.st_rdev), minor(about.st_rdev)) == (1, 3))
}

fn reads_and_writes(stream: impl AsFd) -> bool {
    fcntl_getfl(stream).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
}

/// Returns `true` if both streams share one open file description: a flag set on one then shows on
/// the other. The flag is `O_APPEND`, which has no effect on `/dev/null`, and it is restored.
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
