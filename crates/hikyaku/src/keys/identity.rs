//! The local identity: an Ed25519 key pair.
//!
//! In: a seed. Out: signatures, the public half. Never: a secret in a log, a file.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

#[cfg(feature = "openssh")]
pub use crate::keys::openssh::{KeyFile, LockedKey, public_path, read_public};
use crate::keys::signers::{Fingerprint, Signer};
pub use crate::keys::{key_error::KeyError, shared_key::SharedKey};

/// An Ed25519 key pair (RFC 8032). The secret half is wiped from memory when the last clone is
/// dropped.
#[derive(Clone)]
pub struct Identity {
    secret: Arc<Secret>,
    public: Signer,
}

struct Secret {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl Identity {
    /// Generates a new key pair.
    ///
    /// # Errors
    /// When the system provides no randomness.
    pub fn generate(comment: &str) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *seed).map_err(|e| KeyError::Generate(e.to_string()))?;
        Self::from_seed(&seed, comment)
            .ok_or_else(|| KeyError::Generate("the system provided no usable seed".to_owned()))
    }

    /// Returns the key pair of a secret seed (RFC 8032 section 5.1.5), or `None` for a seed whose
    /// key is not usable.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32], comment: &str) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
        let public = Signer::new(&public, comment)?;
        Some(Self { secret: Arc::new(Secret { seed: Zeroizing::new(*seed), pair }), public })
    }

    /// The public key as a line for an authorized-keys file.
    #[must_use]
    pub fn public_line(&self) -> String {
        self.public.public_line().to_owned()
    }

    /// SHA-256 fingerprint of the public key.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }

    /// The public key alone.
    #[must_use]
    pub fn public(&self) -> Signer {
        self.public.clone()
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.secret.seed
    }

    /// Returns the signature of `bytes` (RFC 8032).
    ///
    /// # Panics
    /// Never: an Ed25519 signature is 64 bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let signature = self.secret.pair.sign(bytes);
        signature.as_ref().try_into().expect("an Ed25519 signature is 64 bytes")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_contains_no_secret() {
        let shown = format!("{:?}", Identity::generate("").unwrap());
        assert!(shown.starts_with("Identity(SHA256:"), "{shown}");
    }

    // The first test vector of RFC 8032 section 7.1.
    #[test]
    fn a_seed_makes_the_key_and_the_signature_of_rfc_8032() {
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let identity = Identity::from_seed(seed.as_slice().try_into().unwrap(), "").unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(identity.public().key().as_slice(), hex(public));
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555\
                         fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!(identity.sign(b"").as_slice(), hex(signature));
    }
}
