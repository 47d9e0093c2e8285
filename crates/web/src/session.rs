//! How a host knows its pages again, without keeping anything of them.
//!
//! ```text
//! page  ── secret, and the token of its link, or its pass ──▶  host
//! page  ◀──────────────────── a new pass ────────────────────  host
//! ```
//!
//! A page makes up its secret. From it and the host's session key follows the identity that the
//! host holds for the page. The pass proves that this identity was admitted once.

use std::{fmt, time::Duration};

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use data_encoding::BASE64URL_NOPAD;
use hikyaku::{identity::Identity, signers::Fingerprint};
use zeroize::Zeroizing;

use crate::limits::PASS_VALID;

/// Bytes of a session key, of a page's secret, and of a MAC.
const LEN: usize = 32;

/// The secret by which a host knows its pages again. Whoever keeps it, knows them after a restart.
/// It is wiped from memory when dropped.
pub struct SessionKey(Zeroizing<[u8; LEN]>);

/// What a page has made up.
pub(crate) struct PageSecret(Zeroizing<[u8; LEN]>);

impl SessionKey {
    /// Creates a new key.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; LEN]);
        aws_lc_rs::rand::fill(&mut *key).expect("the system has randomness");
        Self(key)
    }

    /// Returns the key as text, to be kept. The caller keeps it secret.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(&*self.0))
    }

    /// Reads [`Self::to_text`].
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

    /// Returns what shows from now on that a page was admitted. `now` is the time since 1970.
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

    /// No purpose is the beginning of another, and what follows each has a fixed length.
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
    fn a_pass_is_for_one_page_of_one_host_and_for_a_time() {
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
