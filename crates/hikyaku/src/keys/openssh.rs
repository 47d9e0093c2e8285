//! Key files of OpenSSH: our own key pair, and public keys of others.
//!
//! In: key files. Out: keys that sign, or verify. Never: a secret in a log.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use getrandom::SysRng;
use ssh_key::{LineEnding, PrivateKey, PublicKey, private::KeypairData};
use zeroize::Zeroizing;

use crate::{
    contain::contain,
    keys::{
        files::{
            FileError, IfExists, config_folder, make_private_folder, read_bytes, read_secret,
            write_private, write_public,
        },
        identity::Identity,
        key_error::KeyError,
        key_line::{authorized_key, text_of, tidy_pem},
        signers::Signer,
    },
};

/// A private key file: open, or waiting for its passphrase.
#[derive(Debug)]
pub enum KeyFile {
    /// The key, ready for use.
    Open(Identity),
    /// Protected by a passphrase.
    Locked(LockedKey),
}

/// A private key that needs its passphrase.
pub struct LockedKey {
    path: PathBuf,
    key: Box<PrivateKey>,
}

impl KeyFile {
    fn opened(self, path: &Path) -> Result<Identity, KeyError> {
        match self {
            Self::Open(identity) => Ok(identity),
            Self::Locked(_) => Err(KeyError::Locked(path.to_owned())),
        }
    }
}

impl Identity {
    /// Returns the path of `id_ed25519` in [`config_folder`], the default identity, if there is
    /// such a folder.
    #[must_use]
    pub fn default_path() -> Option<PathBuf> {
        config_folder().map(|folder| folder.join("id_ed25519"))
    }

    /// Reads an OpenSSH private key file.
    ///
    /// # Errors
    /// If it cannot be read, is not an Ed25519 key, or can be read by other users (ssh refuses it
    /// too).
    pub fn read(path: &Path) -> Result<KeyFile, KeyError> {
        let (text, is_private) = read_secret(path)?;
        let key = private_key(&text).ok_or_else(|| KeyError::NotPrivate(path.to_owned()))?;
        is_private?;
        check_ed25519(path, &key.algorithm())?;
        if key.is_encrypted() {
            return Ok(KeyFile::Locked(LockedKey { path: path.to_owned(), key: key.into() }));
        }
        Self::from_ssh(&key, path).map(KeyFile::Open)
    }

    /// Reads the key at `path`. If there is no file, generates a key and writes it there (in a
    /// folder that is created with mode 0700): for a program whose key must survive a restart.
    /// Several processes that start at once get the same key.
    ///
    /// # Errors
    /// As [`Identity::read`] and [`Identity::write`]; [`KeyError::Locked`] if the key has a
    /// passphrase.
    pub fn read_or_generate(path: &Path, comment: &str) -> Result<Self, KeyError> {
        match Self::read(path) {
            Err(KeyError::File(FileError::Read { source, .. }))
                if source.kind() == io::ErrorKind::NotFound => {}
            found => return found?.opened(path),
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            make_private_folder(folder)
                .map_err(|source| FileError::Write { path: folder.to_owned(), source })?;
        }
        let made = Self::generate(comment)?;
        match made.write(path, None, IfExists::Refuse) {
            Ok(()) => Ok(made),
            // Another process was first.
            Err(KeyError::File(FileError::Exists(_))) => Self::read(path)?.opened(path),
            Err(e) => Err(e),
        }
    }

    fn from_ssh(key: &PrivateKey, path: &Path) -> Result<Self, KeyError> {
        let not_one = || KeyError::NotPrivate(path.to_owned());
        let KeypairData::Ed25519(pair) = key.key_data() else { return Err(not_one()) };
        let seed = Zeroizing::new(pair.private.to_bytes());
        let identity = Self::from_seed(&seed, key.public_key().comment().as_str_lossy());
        // Nobody could verify signatures of a file whose public half belongs to another key.
        identity.filter(|made| made.public().key() == pair.public.0).ok_or_else(not_one)
    }

    /// Writes the key in OpenSSH's format, readable only by its owner, and its public line beside
    /// it as `PATH.pub`. With a passphrase it is encrypted (aes256-ctr, bcrypt-pbkdf).
    ///
    /// # Errors
    /// [`FileError::Exists`] if a file exists and `if_exists` is [`IfExists::Refuse`].
    pub fn write(
        &self,
        path: &Path,
        passphrase: Option<&str>,
        if_exists: IfExists,
    ) -> Result<(), KeyError> {
        let generate = |e: ssh_key::Error| KeyError::Generate(e.to_string());
        let pair = ssh_key::private::Ed25519Keypair::from_seed(self.seed());
        let comment = self.public().comment().to_owned();
        let mut key = PrivateKey::new(KeypairData::Ed25519(pair), comment).map_err(generate)?;
        if let Some(passphrase) = passphrase {
            key = key.encrypt(&mut SysRng, passphrase).map_err(generate)?;
        }
        let text = key.to_openssh(LineEnding::LF).map_err(generate)?;
        let public = public_path(path);
        // Checked before the private half is written, so that either both halves are written or
        // neither.
        if if_exists == IfExists::Refuse && public.exists() {
            return Err(FileError::Exists(public).into());
        }
        write_private(path, &text, if_exists)?;
        let written = write_public(&public, &format!("{}\n", self.public_line()), if_exists);
        if written.is_err() && if_exists == IfExists::Refuse {
            // The private half did not exist before, and half a pair is useless.
            let _ = std::fs::remove_file(path);
        }
        Ok(written?)
    }
}

impl LockedKey {
    /// Decrypts the key. Takes about 0.1 s, by design of the key derivation.
    ///
    /// # Errors
    /// [`KeyError::WrongPassphrase`].
    pub fn unlock(&self, passphrase: &str) -> Result<Identity, KeyError> {
        let open = self
            .key
            .decrypt(passphrase)
            .map_err(|_| KeyError::WrongPassphrase(self.path.clone()))?;
        Identity::from_ssh(&open, &self.path)
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockedKey({})", self.path.display())
    }
}

/// Returns the path of the public half: `PATH.pub`.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Reads the public key of a file that contains either half. A private key stays locked: its public
/// half needs no passphrase.
///
/// # Errors
/// If the file is not an Ed25519 key in OpenSSH's format.
pub fn read_public(path: &Path) -> Result<Signer, KeyError> {
    let bytes = read_bytes(path)?;
    let private = std::str::from_utf8(&bytes).ok().and_then(private_key);
    let key = match private {
        Some(private) => private.public_key().clone(),
        None => first_key(&bytes).ok_or_else(|| KeyError::NotAKey(path.to_owned()))?,
    };
    check_ed25519(path, &key.algorithm())?;
    Signer::from_openssh(&key).ok_or_else(|| KeyError::NotAKey(path.to_owned()))
}

/// Parses a private key, ignoring what an editor or a paste has added around it.
fn private_key(text: &str) -> Option<PrivateKey> {
    let tidied = tidy_pem(text);
    contain(|| PrivateKey::from_openssh(tidied.as_bytes()))?.ok()
}

/// Returns the first public key of a file, ignoring comments and blank lines.
fn first_key(bytes: &[u8]) -> Option<PublicKey> {
    text_of(bytes).lines().find_map(|line| authorized_key(line).transpose())?.ok()
}

fn check_ed25519(path: &Path, algorithm: &ssh_key::Algorithm) -> Result<(), KeyError> {
    match algorithm {
        ssh_key::Algorithm::Ed25519 => Ok(()),
        other => Err(KeyError::NotEd25519 { path: path.to_owned(), algorithm: other.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Identity {
        match Identity::read(path).unwrap() {
            KeyFile::Open(identity) => identity,
            KeyFile::Locked(_) => panic!("the key has no passphrase"),
        }
    }

    #[test]
    fn a_written_key_reads_back_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let made = Identity::generate("someone@here").unwrap();
        made.write(&path, None, IfExists::Refuse).unwrap();
        let read = open(&path);
        assert_eq!(read.fingerprint(), made.fingerprint());
        assert_eq!(read.sign(b"x"), made.sign(b"x"));
        assert!(read.public_line().ends_with(" someone@here"), "{}", read.public_line());
        assert_eq!(read_public(&path).unwrap().fingerprint(), made.fingerprint());
        let public = read_public(&public_path(&path)).unwrap();
        assert_eq!(public.fingerprint(), made.fingerprint());
    }

    #[test]
    fn text_that_editors_add_around_a_key_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let made = Identity::generate("me").unwrap();
        made.write(&path, None, IfExists::Refuse).unwrap();
        let (private, public) = (std::fs::read_to_string(&path).unwrap(), made.public_line());
        for text in [
            format!("{private}\n"),
            format!("\n{private}\n\n"),
            private.replace('\n', "\r\n"),
            format!("\u{feff}{private}"),
            private.trim_end().to_owned(),
        ] {
            write_private(&path, &text, IfExists::Replace).unwrap();
            assert_eq!(open(&path).fingerprint(), made.fingerprint(), "{text:?}");
            assert_eq!(read_public(&path).unwrap().fingerprint(), made.fingerprint());
        }
        for text in [format!("\u{feff}{public}\r\n\r\n"), format!("# mine\n\n  {public}\n")] {
            write_private(&path, &text, IfExists::Replace).unwrap();
            assert_eq!(read_public(&path).unwrap().fingerprint(), made.fingerprint(), "{text:?}");
        }
    }

    #[test]
    fn a_key_is_generated_once_and_then_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server/id");
        let made = std::thread::scope(|scope| {
            let both = [(); 2].map(|()| scope.spawn(|| Identity::read_or_generate(&path, "")));
            both.map(|one| one.join().unwrap().unwrap().fingerprint())
        });
        let again = Identity::read_or_generate(&path, "").unwrap().fingerprint();
        assert_eq!(made, [again; 2]);
        let locked = dir.path().join("locked");
        let key = Identity::generate("").unwrap();
        key.write(&locked, Some("correct horse"), IfExists::Refuse).unwrap();
        let refused = Identity::read_or_generate(&locked, "");
        assert!(matches!(refused, Err(KeyError::Locked(_))), "{refused:?}");
    }

    #[test]
    fn a_locked_key_opens_only_with_its_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let made = Identity::generate("").unwrap();
        made.write(&path, Some("correct horse"), IfExists::Refuse).unwrap();
        let KeyFile::Locked(locked) = Identity::read(&path).unwrap() else { panic!("not locked") };
        assert!(matches!(locked.unlock("battery"), Err(KeyError::WrongPassphrase(_))));
        assert_eq!(locked.unlock("correct horse").unwrap().sign(b"x"), made.sign(b"x"));
        assert_eq!(read_public(&path).unwrap().fingerprint(), made.fingerprint());
    }
}
