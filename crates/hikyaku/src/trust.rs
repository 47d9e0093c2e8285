//! The server keys that a client accepts.

#[cfg(feature = "openssh")]
use crate::keys::known_hosts::{KnownHosts, Verdict};
use crate::keys::{
    identity::KeyError,
    signers::{Fingerprint, Signer},
};

/// The keys that a client accepts. The key is checked once the peer has proved that it holds it,
/// and before any message is sent.
///
/// ```
/// use hikyaku::{Trust, known_hosts::KnownHosts};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The server has printed its fingerprint, and somebody has copied it.
/// let text = "SHA256:uBzwYp1ZbOVlvZk9gUJPaAyGzRwmAHnhDkSrTKkVYgU";
/// let one = Trust::pinned(text.parse()?);
///
/// // As ssh does it, with a file of the program's own.
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let remembered = Trust::KnownHosts(KnownHosts::open(&folder.join("known_hosts"))?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trust {
    /// As ssh does: the first key of a host is remembered, and a different key is refused later.
    #[cfg(feature = "openssh")]
    KnownHosts(KnownHosts),
    /// Like known hosts, for a host that was found by an announcement, which anyone can forge: any
    /// key except the announced one is refused, and not remembered.
    #[cfg(feature = "openssh")]
    Announced {
        /// The key that was announced.
        key: Fingerprint,
        /// The keys of hosts.
        known: KnownHosts,
    },
    /// Only these keys.
    Pinned(Vec<Fingerprint>),
    /// Any key. Check [`Connection::peer`](crate::Connection::peer) yourself, or use a shared key.
    AnyKey,
}

impl Trust {
    #[cfg(feature = "openssh")]
    /// Trusts by the known hosts of this user ([`KnownHosts::default_path`]).
    ///
    /// # Errors
    /// If the file cannot be read, or this user has no folder for it.
    pub fn known_hosts() -> Result<Self, KeyError> {
        let path = KnownHosts::default_path().ok_or(KeyError::NoFolder)?;
        KnownHosts::open(&path).map(Self::KnownHosts)
    }

    /// Trusts only this key.
    #[must_use]
    pub fn pinned(fingerprint: Fingerprint) -> Self {
        Self::Pinned(vec![fingerprint])
    }

    /// Judges the key that `host` has proved to hold, and remembers a new one.
    #[cfg_attr(
        not(feature = "openssh"),
        expect(unused_variables, reason = "known hosts alone are judged by name")
    )]
    pub(crate) fn judge(&mut self, host: &str, key: &Signer) -> Result<Trusted, TrustError> {
        let offered = key.fingerprint();
        match self {
            Self::AnyKey => Ok(Trusted::Unchecked),
            Self::Pinned(keys) if keys.contains(&offered) => Ok(Trusted::Pinned),
            Self::Pinned(_) => Err(TrustError::NotPinned { offered }),
            #[cfg(feature = "openssh")]
            Self::KnownHosts(known) => remembered(known, host, key),
            #[cfg(feature = "openssh")]
            Self::Announced { key: announced, .. } if *announced != offered => {
                Err(TrustError::NotAnnounced { offered, announced: *announced })
            }
            #[cfg(feature = "openssh")]
            Self::Announced { known, .. } => remembered(known, host, key),
        }
    }
}

#[cfg(feature = "openssh")]
fn remembered(known: &mut KnownHosts, host: &str, key: &Signer) -> Result<Trusted, TrustError> {
    let offered = key.fingerprint();
    let mut verdict = known.check(host, key);
    if verdict == Verdict::New {
        // If another process was first, obey what it remembered.
        verdict = known.remember(host, key)?;
    }
    let host = host.to_owned();
    match verdict {
        Verdict::New => Ok(Trusted::FirstContact),
        Verdict::Known => Ok(Trusted::Known),
        Verdict::Revoked { .. } => Err(TrustError::Revoked { host, offered }),
        Verdict::Changed { remembered, line } => {
            let file = known.path().to_owned();
            Err(TrustError::KeyChanged { host, offered, remembered, file, line })
        }
    }
}

/// Why the peer's key was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trusted {
    /// Its key is the remembered one.
    Known,
    /// No key was remembered for its host; from now on, this one is.
    FirstContact,
    /// Its key is one of the accepted keys.
    Pinned,
    /// Its key was not checked.
    Unchecked,
    /// The peer connected to this endpoint, which accepts its key or all keys.
    CameIn,
}

/// Why the peer's key was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Another key is remembered for the host.
    #[error(
        "the key of {host} has changed: it is {offered} now, and {remembered} is remembered \
         ({}:{line}). Somebody may be listening in; if you know why it changed, remove that line",
        file.display()
    )]
    KeyChanged {
        /// The host, as it is remembered.
        host: String,
        /// The key that was offered.
        offered: Fingerprint,
        /// The key that is remembered.
        remembered: Fingerprint,
        /// The file that remembers it.
        file: std::path::PathBuf,
        /// The line in that file, counted from 1.
        line: usize,
    },
    /// The key is not one of the accepted keys.
    #[error("the peer's key is {offered}, which is not one of the expected keys")]
    NotPinned {
        /// The key that was offered.
        offered: Fingerprint,
    },
    /// The key is not the one that was announced.
    #[error("the peer's key is {offered}, and {announced} was announced")]
    NotAnnounced {
        /// The key that was offered.
        offered: Fingerprint,
        /// The key that was announced.
        announced: Fingerprint,
    },
    /// The key is marked as revoked.
    #[error("the key {offered} of {host} is marked as revoked")]
    Revoked {
        /// The host, as it is remembered.
        host: String,
        /// The key.
        offered: Fingerprint,
    },
    /// The known hosts could not be read or written.
    #[error(transparent)]
    KnownHosts(#[from] KeyError),
}

#[cfg(all(test, feature = "openssh"))]
mod tests {
    use super::*;
    use crate::keys::identity::Identity;

    #[test]
    fn an_announced_key_is_remembered_and_any_other_is_refused_and_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        let open = || KnownHosts::open(&file).unwrap();
        let [hana, eve] = ["hana", "eve"].map(|name| Identity::generate(name).unwrap().public());
        let announced = |key: &Signer| Trust::Announced { key: key.fingerprint(), known: open() };

        let forged = announced(&hana).judge("hana@lan", &eve);
        assert!(matches!(forged, Err(TrustError::NotAnnounced { .. })), "{forged:?}");
        assert!(!open().knows("hana@lan"));
        let first = announced(&hana).judge("hana@lan", &hana);
        assert_eq!(first.unwrap(), Trusted::FirstContact);
        assert!(open().knows("hana@lan"));
        assert_eq!(announced(&hana).judge("hana@lan", &hana).unwrap(), Trusted::Known);
        let changed = announced(&eve).judge("hana@lan", &eve);
        assert!(matches!(changed, Err(TrustError::KeyChanged { .. })), "{changed:?}");
    }
}
