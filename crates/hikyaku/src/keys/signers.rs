//! Accepted keys: public keys, their fingerprints, authorized-keys files.
//!
//! In: public keys as OpenSSH writes them. Out: whether signatures are valid. Never: a secret.

#[cfg(feature = "openssh")]
use std::path::Path;
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::{BASE64, BASE64_NOPAD};

#[cfg(feature = "openssh")]
use crate::{
    keys::{
        files::read_bytes,
        key_error::KeyError,
        key_line::{authorized_key, text_of},
    },
    limits::MAX_SIGNERS,
};

/// The name of the algorithm, in keys and in lines of text (RFC 8709).
const ED25519: &str = "ssh-ed25519";

/// The prefix of a fingerprint.
const SHA256_PREFIX: &str = "SHA256:";

/// The SHA-256 of a public key in its SSH encoding, as `ssh-keygen -l` prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(encoded: &[u8]) -> Self {
        let digest = digest(&SHA256, encoded);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Returns the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Creates a fingerprint from a digest, or returns `None` if it is not 32 bytes long.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SHA256_PREFIX}{}", BASE64_NOPAD.encode(&self.0))
    }
}

/// A text that is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a fingerprint; it looks like SHA256: and 43 letters, as `hikyaku key` prints it"
)]
pub struct NotAFingerprint(String);

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Parses `SHA256:` and unpadded base64.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digest = text.strip_prefix(SHA256_PREFIX).map(str::as_bytes);
        digest
            .and_then(|digest| BASE64_NOPAD.decode(digest).ok())
            .and_then(|digest| Self::from_bytes(&digest))
            .ok_or_else(|| NotAFingerprint(text.to_owned()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key that verifies signatures, with its comment from our own file.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 32],
    fingerprint: Fingerprint,
    comment: Arc<str>,
    line: Arc<str>,
}

impl Signer {
    /// Creates a signer from a public key and its comment. Returns `None` if the key is weak or off
    /// the curve: others could make its signatures too.
    pub(crate) fn new(key: &[u8; 32], comment: &str) -> Option<Self> {
        CompressedEdwardsY(*key).decompress().filter(|point| !point.is_small_order())?;
        let encoded = [string(ED25519.as_bytes()), string(key)].concat();
        let mut line = format!("{ED25519} {}", BASE64.encode(&encoded));
        if !comment.is_empty() {
            line.push(' ');
            // A comment can be anything: it must not begin a second line or control a terminal.
            line.push_str(&comment.replace(char::is_control, " "));
        }
        Some(Self {
            key: *key,
            fingerprint: Fingerprint::of(&encoded),
            comment: comment.into(),
            line: line.into(),
        })
    }

    /// Creates a signer without a comment from a compressed point (RFC 8032 section 5.1.2).
    ///
    /// Returns `None` if the point is weak or not on the curve: others could sign for it.
    #[must_use]
    pub fn from_key(key: &[u8; 32]) -> Option<Self> {
        Self::new(key, "")
    }

    /// Returns the key: a compressed point (RFC 8032 section 5.1.2), which is not weak.
    #[must_use]
    pub const fn key(&self) -> [u8; 32] {
        self.key
    }

    /// Returns the SHA-256 fingerprint.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the comment of the key in our file, often `name@host`; empty if there is none.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Returns the key as a line for an authorized-keys file.
    #[must_use]
    pub fn public_line(&self) -> &str {
        &self.line
    }

    /// Returns the key as a line without its comment.
    #[cfg(feature = "openssh")]
    pub(crate) fn bare_line(&self) -> &str {
        let mut blanks = self.line.match_indices(' ').map(|(at, _)| at);
        blanks.nth(1).map_or(&self.line, |end| &self.line[..end])
    }

    /// Returns the key if it is an Ed25519 key that is neither weak nor off the curve.
    #[cfg(feature = "openssh")]
    pub(crate) fn from_openssh(key: &ssh_key::PublicKey) -> Option<Self> {
        Self::new(&key.key_data().ed25519()?.0, key.comment().as_str_lossy())
    }
}

/// Encodes a string as SSH does (RFC 4251 section 5).
fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("names and keys are short");
    [&len.to_be_bytes()[..], bytes].concat()
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} {:?})", self.fingerprint, self.comment)
    }
}

/// The keys that a listener accepts: an authorized-keys file (sshd(8), AUTHORIZED_KEYS FILE
/// FORMAT).
#[derive(Clone, Debug, Default)]
pub struct AuthorizedKeys {
    signers: BTreeMap<Fingerprint, Signer>,
}

/// A line of an authorized-keys file that was skipped, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedLine {
    /// The line, counted from 1.
    pub line: usize,
    /// The reason.
    pub reason: String,
}

/// Returns `true` for the first line of a private key in any PEM format.
#[cfg(feature = "openssh")]
fn is_private_key_head(line: &str) -> bool {
    line.starts_with("-----BEGIN ") && line.trim_end().ends_with(" PRIVATE KEY-----")
}

impl AuthorizedKeys {
    /// Adds a signer.
    pub fn insert(&mut self, signer: Signer) {
        self.signers.insert(signer.fingerprint, signer);
    }

    /// Returns the signer with this fingerprint.
    #[must_use]
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Signer> {
        self.signers.get(fingerprint)
    }

    /// Returns all signers.
    pub fn iter(&self) -> impl Iterator<Item = &Signer> {
        self.signers.values()
    }

    /// Returns the number of signers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.signers.len()
    }

    /// Returns `true` if there are no signers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }
}

#[cfg(feature = "openssh")]
impl AuthorizedKeys {
    /// Reads the file. Lines without a key, keys of other algorithms, and keys with options (which
    /// restrict them in ways that are not supported) are skipped and reported.
    ///
    /// # Errors
    /// If the file cannot be read, or contains no usable key.
    pub fn read(path: &Path) -> Result<(Self, Vec<SkippedLine>), KeyError> {
        let text = text_of(&read_bytes(path)?);
        let mut keys = Self::default();
        let mut skipped = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            match authorized_key(line).and_then(|key| key.map(|key| accepted(&key)).transpose()) {
                Ok(None) => {}
                Ok(Some(signer)) => keys.insert(signer),
                Err(reason) => skipped.push(SkippedLine { line: line_number, reason }),
            }
            if keys.len() > MAX_SIGNERS {
                return Err(KeyError::TooManySigners(path.to_owned()));
            }
        }
        if keys.is_empty() && text.lines().any(is_private_key_head) {
            return Err(KeyError::Private(path.to_owned()));
        }
        if keys.is_empty() {
            let left_out =
                skipped.first().map(|line| format!("line {}: {}", line.line, line.reason));
            return Err(KeyError::NoSigner { path: path.to_owned(), left_out });
        }
        Ok((keys, skipped))
    }
}

#[cfg(feature = "openssh")]
fn accepted(key: &ssh_key::PublicKey) -> Result<Signer, String> {
    Signer::from_openssh(key)
        .ok_or_else(|| format!("{} is not supported, only {ED25519}", key.algorithm()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::identity::Identity;

    // Found by fuzzing: in a public key file of several lines, the other lines became the comment.
    #[test]
    fn a_key_is_one_line_whatever_its_comment_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pub");
        let key = Identity::generate("").unwrap();
        let line = format!("{} mine\nssh-ed25519 AAAA\x1b[2J", key.public_line());
        std::fs::write(&path, line).unwrap();
        let read = crate::keys::identity::read_public(&path).unwrap();
        assert!(!read.public_line().contains(char::is_control), "{:?}", read.public_line());
        assert_eq!(read.fingerprint(), key.fingerprint());
    }

    #[test]
    fn a_fingerprint_reads_back_as_it_is_shown() {
        let made = Identity::generate("").unwrap().fingerprint();
        assert_eq!(made.to_string().parse(), Ok(made));
        for wrong in ["", "SHA256:", "SHA256:AAAA", "MD5:00", &made.to_string()[7..]] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn unusable_lines_of_authorized_keys_are_skipped_and_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authorized_keys");
        let line = Identity::generate("alice").unwrap().public_line();
        let restricted = Identity::generate("bob").unwrap().public_line();
        std::fs::write(&path, format!("# team\n\n{line}\nno-pty {restricted}\n")).unwrap();
        let (keys, skipped) = AuthorizedKeys::read(&path).unwrap();
        assert_eq!(keys.iter().map(Signer::comment).collect::<Vec<_>>(), ["alice"]);
        assert_eq!(skipped.iter().map(|s| s.line).collect::<Vec<_>>(), [4]);

        std::fs::write(&path, format!("{line}\nssh-ed25519 nonsense\n")).unwrap();
        let (keys, skipped) = AuthorizedKeys::read(&path).unwrap();
        assert_eq!((keys.len(), skipped[0].line), (1, 2), "{skipped:?}");
        assert!(skipped[0].reason.contains("not a public key"), "{skipped:?}");

        std::fs::write(&path, "# nobody\n").unwrap();
        assert!(matches!(AuthorizedKeys::read(&path), Err(KeyError::NoSigner { .. })));
    }
}
