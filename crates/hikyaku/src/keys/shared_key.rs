//! Keys that two or more parties hold, in files of one line.
//!
//! In: key files. Out: keys. Never: a secret in a log.

use std::{fmt, path::Path};

use data_encoding::BASE64URL;
use zeroize::Zeroizing;

use crate::keys::{
    files::{FileError, IfExists, read_text, write_private},
    key_error::KeyError,
};

/// A key that two or more parties hold: 32 bytes in URL-safe base64, the Fernet key format.
/// Wiped from memory when dropped.
#[derive(Clone)]
pub struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// Generates a new key.
    ///
    /// # Panics
    /// If the system provides no randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).expect("the system has randomness");
        Self(key)
    }

    /// Reads a key file. To know whether other users can read it, call
    /// [`check_private`](crate::files::check_private).
    ///
    /// # Errors
    /// If it cannot be read, or is not such a key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = read_text(path)?;
        Self::parse(&text).ok_or_else(|| KeyError::NotShared(path.to_owned()))
    }

    /// Parses a key; surrounding white space is ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let decoded = Zeroizing::new(BASE64URL.decode(text.trim().as_bytes()).ok()?);
        let bytes: &[u8; 32] = decoded.as_slice().try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// Creates a key of 32 bytes, or returns `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Writes the key to a file that only its owner may read.
    ///
    /// # Errors
    /// As [`write_private`].
    pub fn write(&self, path: &Path, if_exists: IfExists) -> Result<(), FileError> {
        let mut text = Zeroizing::new(BASE64URL.encode(&*self.0));
        text.push('\n');
        write_private(path, &text, if_exists)
    }

    /// Returns the bytes of the key. The caller must wipe copies of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_bytes_in_base64_are_a_shared_key() {
        assert!(SharedKey::parse("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=\n").is_some());
        assert!(SharedKey::parse("short").is_none());
        assert!(SharedKey::parse("").is_none());
    }

    #[test]
    fn debug_output_contains_no_secret() {
        assert_eq!(format!("{:?}", SharedKey::generate()), "SharedKey(secret)");
    }
}
