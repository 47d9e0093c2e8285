//! How a host recognises its pages without storing anything about them.
//!
//! ```text
//! page  ── secret, and the token of its link, or its pass ──▶  host
//! page  ◀──────────────────── a new pass ────────────────────  host
//! ```
//!
//! A page generates its secret. The identity that the host holds for the page is derived from that
//! secret and the host's session key. The pass proves that this identity was admitted before.

use std::{fmt, time::Duration};

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use data_encoding::BASE64URL_NOPAD;
use hikyaku::{identity::Identity, signers::Fingerprint};
use zeroize::Zeroizing;

use crate::limits::PASS_VALID;

/// Bytes of a session key, of a page's secret, and of a MAC.
const LEN: usize = 32;

/// The secret by which a host recognises its pages. If it is stored, it does so even after a
/// restart. It is wiped from memory when dropped.
pub struct SessionKey(Zeroizing<[u8; LEN]>);

/// The secret that a page has generated.
pub(crate) struct PageSecret(Zeroizing<[u8; LEN]>);

impl SessionKey {
    /// Creates a new key.
    ///
    /// # Panics
    /// If the system provides no randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; LEN]);
        aws_lc_rs::rand::fill(&mut *key).expect("the system has randomness");
        Self(key)
    }

    /// Returns the key as text, for storage. The caller must keep it secret.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(&*self.0))
    }

    /// Parses the output of [`Self::to_text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decode(text.trim()).map(Self)
    }

    /// Returns the identity of a page.
    pub(crate) fn identity(&self, secret: &PageSecret) -> Option<Identity> {
        let seed = self.mac(b"hikyaku web identity", &*secret.0);
        let seed = Zeroizing::new(<[u8; LEN]>::try_from(seed.as_ref()).ok()?);
        Identity::from_seed(&seed, "a web page")
    }

    /// Returns a pass, which proves from now on that a page was admitted. `now` is the time since
    /// 1970.
    pub(crate) fn pass(&self, page: Fingerprint, now: Duration) -> String {
        let issued = now.as_secs().to_be_bytes();
        let mac = self.pass_mac(page, issued);
        BASE64URL_NOPAD.encode(&[&issued[..], mac.as_ref()].concat())
    }

    /// Returns `true` for a pass of this page that is still valid. The time that it takes does not
    /// depend on the key.
    pub(crate) fn admits(&self, page: Fingerprint, pass: &str, now: Duration) -> bool {
        let Ok(bytes) = BASE64URL_NOPAD.decode(pass.as_bytes()) else { return false };
        let Some((issued, mac)) = bytes.split_first_chunk() else { return false };
        let is_ours = verify_slices_are_equal(self.pass_mac(page, *issued).as_ref(), mac).is_ok();
        let age = now.saturating_sub(Duration::from_secs(u64::from_be_bytes(*issued)));
        is_ours && age <= PASS_VALID
    }

    fn pass_mac(&self, page: Fingerprint, issued: [u8; 8]) -> hmac::Tag {
        self.mac(b"hikyaku web pass", &[&issued, &page.as_bytes()[..]].concat())
    }

    /// No purpose is a prefix of another, and the rest has a fixed length.
    fn mac(&self, purpose: &[u8], bytes: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), &[purpose, bytes].concat())
    }
}

impl PageSecret {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        decode(text).map(Self)
    }
}

fn decode(text: &str) -> Option<Zeroizing<[u8; LEN]>> {
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn secret(byte: u8) -> PageSecret {
        PageSecret(Zeroizing::new([byte; LEN]))
    }

    #[test]
    fn a_secret_makes_one_identity_per_host() {
        let (ours, theirs) = (SessionKey::generate(), SessionKey::generate());
        let key = |host: &SessionKey, byte| host.identity(&secret(byte)).unwrap().fingerprint();
        assert_eq!(key(&ours, 1), key(&SessionKey::parse(&ours.to_text()).unwrap(), 1));
        assert_ne!(key(&ours, 1), key(&ours, 2));
        assert_ne!(key(&ours, 1), key(&theirs, 1));
    }

    #[test]
    fn a_pass_is_for_one_page_of_one_host_and_expires() {
        let (ours, theirs) = (SessionKey::generate(), SessionKey::generate());
        let [ana, ben] = [1, 2].map(|byte| ours.identity(&secret(byte)).unwrap().fingerprint());
        let pass = ours.pass(ana, NOW);
        assert!(ours.admits(ana, &pass, NOW) && ours.admits(ana, &pass, NOW + PASS_VALID));
        assert!(!ours.admits(ana, &pass, NOW + PASS_VALID + Duration::from_secs(1)));
        assert!(!ours.admits(ben, &pass, NOW) && !theirs.admits(ana, &pass, NOW));
        let newer = ours.pass(ana, NOW + PASS_VALID);
        let forged = format!("{}{}", &newer[..10], &pass[10..]);
        for wrong in ["", "x", &pass[1..], &forged] {
            assert!(!ours.admits(ana, wrong, NOW), "{wrong}");
        }
    }

    #[test]
    fn debug_output_contains_no_secret() {
        assert_eq!(format!("{:?}", SessionKey::generate()), "SessionKey(secret)");
    }
}
