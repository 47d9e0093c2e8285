//! Identities, trust and shared keys, as Python programs specify them.

use std::path::{Path, PathBuf};

use hikyaku::{
    Trust,
    files::{IfExists, make_private_folder},
    identity::{Identity, KeyError, SharedKey},
    known_hosts::KnownHosts,
    signers::{AuthorizedKeys, Fingerprint},
};
use pyo3::{exceptions::PyOSError, prelude::*};

use crate::errors::{Error, HikyakuError};

fn failed(error: &KeyError) -> PyErr {
    match error {
        KeyError::File(file) => PyOSError::new_err(file.to_string()),
        other => Error::new_err(other.to_string()),
    }
}

/// Reads the private key at `path`, or the one of the `hikyaku` command, which is created if it
/// does not exist.
pub(crate) fn identity(path: Option<PathBuf>, passphrase: Option<&str>) -> PyResult<Identity> {
    match path {
        Some(path) => read(&path, passphrase),
        None => default_identity(passphrase),
    }
}

fn read(path: &Path, passphrase: Option<&str>) -> PyResult<Identity> {
    use hikyaku::identity::KeyFile;
    match Identity::read(path).map_err(|error| failed(&error))? {
        KeyFile::Open(identity) => Ok(identity),
        KeyFile::Locked(locked) => match passphrase {
            Some(passphrase) => locked.unlock(passphrase).map_err(|error| failed(&error)),
            None => Err(HikyakuError::value(format!(
                "{}: the key has a passphrase: pass it as passphrase=…",
                path.display()
            ))),
        },
    }
}

fn default_identity(passphrase: Option<&str>) -> PyResult<Identity> {
    let Some(path) = Identity::default_path() else {
        return Err(Error::new_err("this user has no home folder: pass identity=PATH"));
    };
    if path.symlink_metadata().is_ok() {
        return read(&path, passphrase);
    }
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    let made = Identity::generate("").map_err(|error| failed(&error))?;
    match made.write(&path, None, IfExists::Refuse) {
        Ok(()) => Ok(made),
        // Another process created it first.
        Err(_) if path.symlink_metadata().is_ok() => read(&path, passphrase),
        Err(error) => Err(failed(&error)),
    }
}

/// Which peers a client trusts.
#[derive(FromPyObject)]
pub(crate) enum TrustArg {
    One(String),
    Many(Vec<String>),
}

pub(crate) fn trust(trust: Option<TrustArg>) -> PyResult<Trust> {
    let fingerprint = |text: &str| {
        text.parse::<Fingerprint>().map_err(|error| HikyakuError::value(format!("trust: {error}")))
    };
    match trust {
        None => Trust::known_hosts().map_err(|error| failed(&error)),
        Some(TrustArg::One(text)) if text == "any" => Ok(Trust::AnyKey),
        Some(TrustArg::One(text)) if text.starts_with("SHA256:") => {
            Ok(Trust::pinned(fingerprint(&text)?))
        }
        Some(TrustArg::One(path)) => {
            KnownHosts::open(Path::new(&path)).map(Trust::KnownHosts).map_err(|e| failed(&e))
        }
        Some(TrustArg::Many(keys)) => {
            Ok(Trust::Pinned(keys.iter().map(|key| fingerprint(key)).collect::<Result<_, _>>()?))
        }
    }
}

pub(crate) fn shared_key(path: &Path) -> PyResult<SharedKey> {
    SharedKey::read(path).map_err(|error| failed(&error))
}

pub(crate) fn allowed(path: &Path) -> PyResult<AuthorizedKeys> {
    let (keys, skipped) = AuthorizedKeys::read(path).map_err(|error| failed(&error))?;
    match skipped.first() {
        Some(line) if keys.is_empty() => Err(HikyakuError::value(format!(
            "{}, line {}: {}",
            path.display(),
            line.line,
            line.reason
        ))),
        _ => Ok(keys),
    }
}

/// Creates a key and writes it to `path`, and its public half to `path` with ".pub"; returns its
/// fingerprint.
#[pyfunction]
#[pyo3(signature = (path, comment, passphrase))]
pub(crate) fn _generate(
    path: PathBuf,
    comment: &str,
    passphrase: Option<&str>,
) -> PyResult<String> {
    let made = Identity::generate(comment).map_err(|error| failed(&error))?;
    made.write(&path, passphrase, IfExists::Refuse).map_err(|error| failed(&error))?;
    Ok(made.fingerprint().to_string())
}

/// Creates a key for both sides, and writes it to `path`.
#[pyfunction]
pub(crate) fn _generate_shared(path: PathBuf) -> PyResult<()> {
    let written = SharedKey::generate().write(&path, IfExists::Refuse);
    written.map_err(|error| PyOSError::new_err(error.to_string()))
}

/// Returns the fingerprint and the public line of the key at `path`, private or public, or of the
/// `hikyaku` command's.
#[pyfunction]
#[pyo3(signature = (path, passphrase))]
pub(crate) fn _fingerprint(
    path: Option<PathBuf>,
    passphrase: Option<&str>,
) -> PyResult<(String, String)> {
    if let Some(public) = path.as_deref().and_then(|path| hikyaku::identity::read_public(path).ok())
    {
        return Ok((public.fingerprint().to_string(), public.public_line().to_owned()));
    }
    let identity = identity(path, passphrase)?;
    Ok((identity.fingerprint().to_string(), identity.public_line()))
}
