//! A secret of this installation, by which two that share an identity differ.
//!
//! In: the folder for keys. Out: a secret that outlives a restart, or one that does not. Never: the
//! identity, a connection.

use crate::keys::{
    files::{IfExists, config_folder, make_private_folder},
    identity::SharedKey,
    key_error::KeyError,
};

/// Returns what tells this installation's reset tokens from those of another with the same
/// identity, address and host name, as containers of one image have: `reset_secret` in
/// [`config_folder`], made at first use (mode 0600). Where it cannot be kept, one for this process
/// alone: after a restart no peer is then told that its connection is gone, and each waits for its
/// idle timeout.
pub(crate) fn reset_secret() -> SharedKey {
    kept().unwrap_or_else(|_| SharedKey::generate())
}

fn kept() -> Result<SharedKey, KeyError> {
    let folder = config_folder().ok_or(KeyError::NoFolder)?;
    let path = folder.join("reset_secret");
    if let Ok(found) = SharedKey::read(&path) {
        return Ok(found);
    }
    // Whatever goes wrong here is found out by writing.
    let _ = make_private_folder(&folder);
    let made = SharedKey::generate();
    match made.write(&path, IfExists::Refuse) {
        Ok(()) => Ok(made),
        // Another process was first, or it cannot be read.
        Err(_) => SharedKey::read(&path),
    }
}
