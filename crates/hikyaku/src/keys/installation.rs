//! A secret of this installation, which distinguishes two installations with the same identity.
//!
//! In: the folder for keys. Out: a secret that survives a restart, or one that does not. Never: the
//! identity, a connection.

use crate::keys::{
    files::{IfExists, config_folder, make_private_folder},
    identity::SharedKey,
    key_error::KeyError,
};

/// Returns what distinguishes this installation's reset tokens from those of another with the same
/// identity, address and host name, as containers of one image have: `reset_secret` in
/// [`config_folder`], created at first use (mode 0600). If it cannot be stored, the secret is valid
/// only for this process: after a restart, peers do not learn that their connections are gone, and
/// wait for their idle timeout.
pub(crate) fn reset_secret() -> SharedKey {
    kept().unwrap_or_else(|_| SharedKey::generate())
}

fn kept() -> Result<SharedKey, KeyError> {
    let folder = config_folder().ok_or(KeyError::NoFolder)?;
    let path = folder.join("reset_secret");
    if let Ok(found) = SharedKey::read(&path) {
        return Ok(found);
    }
    // If this fails, writing fails too.
    let _ = make_private_folder(&folder);
    let made = SharedKey::generate();
    match made.write(&path, IfExists::Refuse) {
        Ok(()) => Ok(made),
        // Another process was first, or the file cannot be read.
        Err(_) => SharedKey::read(&path),
    }
}
