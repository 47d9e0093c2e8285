//! Why a key could not be used.
//!
//! In: nothing. Out: errors that name the file and what to try. Never: a secret.

use std::path::PathBuf;

use crate::{keys::files::FileError, limits::MAX_SIGNERS};

/// Why a key could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file could not be read or written, or is open to others.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not an OpenSSH private key.
    #[error("{} is not an OpenSSH private key; create one with `hikyaku keygen`", .0.display())]
    NotPrivate(PathBuf),
    /// Not an OpenSSH key of either kind.
    #[error("{} is not an OpenSSH key", .0.display())]
    NotAKey(PathBuf),
    /// A key of another algorithm.
    #[error("{} is a key for {algorithm}; only Ed25519 is supported", path.display())]
    NotEd25519 {
        /// The file.
        path: PathBuf,
        /// What it is for.
        algorithm: String,
    },
    /// The passphrase does not open the key.
    #[error("wrong passphrase for {}", .0.display())]
    WrongPassphrase(PathBuf),
    /// The key needs a passphrase, and there was no terminal to ask for it.
    #[error("{} is protected by a passphrase", .0.display())]
    Locked(PathBuf),
    /// Not a Fernet key.
    #[error(
        "{} is not a shared key (32 bytes in URL-safe base64); \
         `hikyaku keygen --shared FILE` makes one", .0.display()
    )]
    NotShared(PathBuf),
    /// A private key where public keys are expected.
    #[error(
        "{} is a private key; name the file of its public half: {}.pub",
        .0.display(), .0.display()
    )]
    Private(PathBuf),
    /// An authorized-keys file without a usable key.
    #[error(
        "{} holds no Ed25519 public key{}", path.display(),
        left_out.as_ref().map(|why| format!("; {why}")).unwrap_or_default()
    )]
    NoSigner {
        /// The file.
        path: PathBuf,
        /// The first line that was skipped, and why.
        left_out: Option<String>,
    },
    /// More keys than are accepted.
    #[error("{} holds more than {MAX_SIGNERS} keys", .0.display())]
    TooManySigners(PathBuf),
    /// A name that a file of known hosts would read as several hosts.
    #[error("{0:?} is not a host name")]
    NotAHost(String),
    /// There is no folder for it.
    #[error("there is no folder for keys and known hosts; set HOME or XDG_CONFIG_HOME")]
    NoFolder,
    /// The system provided no randomness for a key.
    #[error("cannot make a key: {0}")]
    Generate(String),
}
