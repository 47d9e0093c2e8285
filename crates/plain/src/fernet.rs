//! Fernet armour: each datagram is a token that only holders of the shared key can create or read.
//!
//! In: a payload or a token, and the time. Out: the other. Never: a clock.
//!
//! Fernet specification version 0x80: AES-128-CBC and HMAC-SHA256 over a time stamp and the
//! message, in URL-safe base64. A token has no sequence number: anyone who records one can replay
//! it until it is too old.

use std::{fmt, time::Duration};

use data_encoding::BASE64URL;
use hikyaku::identity::SharedKey;
use zeroize::Zeroizing;

use crate::{DropReason, limits::MAX_CLOCK_SKEW_SECS};

/// Seals payloads into tokens.
#[derive(Clone)]
pub(super) struct Fernet(fernet::Fernet);

impl Fernet {
    pub(super) fn new(key: &SharedKey) -> Self {
        let text = Zeroizing::new(BASE64URL.encode(key.as_bytes()));
        Self(fernet::Fernet::new(&text).expect("a shared key has the length of a Fernet key"))
    }

    pub(super) fn seal(&self, payload: &[u8], now_secs: u64) -> Vec<u8> {
        self.0.encrypt_at_time(payload, now_secs).into_bytes()
    }

    /// Opens a token. With `max_age`, an older token is refused, and one from more than a minute in
    /// the future. Without it, the time does not matter, as in Python's `cryptography`.
    pub(super) fn open(
        &self,
        token: &[u8],
        max_age: Option<Duration>,
        now_secs: u64,
    ) -> Result<Vec<u8>, DropReason> {
        // Programs that send lines end the token with a newline.
        let token =
            std::str::from_utf8(token.trim_ascii()).map_err(|_| DropReason::Undecryptable)?;
        // The crate adds times unchecked, and reports every failure alike. So it only checks
        // authenticity, and the time is checked here.
        let payload = self
            .0
            .decrypt_at_time(token, None, u64::MAX - MAX_CLOCK_SKEW_SECS)
            .map_err(|_| DropReason::Undecryptable)?;
        let Some(max_age) = max_age else { return Ok(payload) };
        let made = made_at(token).ok_or(DropReason::Undecryptable)?;
        let too_old = now_secs.saturating_sub(made) > max_age.as_secs();
        if too_old || made > now_secs.saturating_add(MAX_CLOCK_SKEW_SECS) {
            return Err(DropReason::Stale);
        }
        Ok(payload)
    }
}

/// Returns when an authentic token was created: bytes 1 to 8, after the version (Fernet
/// specification).
fn made_at(token: &str) -> Option<u64> {
    let head = BASE64URL.decode(token.as_bytes().get(..12)?).ok()?;
    head.get(1..9)?.try_into().ok().map(u64::from_be_bytes)
}

impl fmt::Debug for Fernet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fernet(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key, token and time of the Fernet specification's `generate.json`.
    const SPEC_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const SPEC_TOKEN: &str = concat!(
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64",
        "jVmpU4IwqDA=="
    );
    const SPEC_TIME: u64 = 499_162_800;

    fn armour() -> Fernet {
        Fernet::new(&SharedKey::parse(SPEC_KEY).unwrap())
    }

    #[test]
    fn the_token_of_the_specification_opens() {
        let opened = armour().open(SPEC_TOKEN.as_bytes(), None, SPEC_TIME);
        assert_eq!(opened, Ok(b"hello".to_vec()));
    }

    #[test]
    fn a_sealed_payload_opens_only_with_its_key() {
        let token = armour().seal(b"payload", 1_000);
        assert_eq!(armour().open(&token, None, 1_000), Ok(b"payload".to_vec()));
        let other = Fernet::new(&SharedKey::generate());
        assert_eq!(other.open(&token, None, 1_000), Err(DropReason::Undecryptable));
    }

    #[test]
    fn an_old_token_is_stale_not_undecryptable() {
        let token = armour().seal(b"x", 1_000);
        let minute = Some(Duration::from_secs(60));
        assert!(armour().open(&token, minute, 1_060).is_ok());
        assert_eq!(armour().open(&token, minute, 1_061), Err(DropReason::Stale));
    }

    #[test]
    fn times_far_away_are_stale_and_nothing_overflows() {
        let max_age = Some(Duration::MAX);
        let at = |made, now| armour().open(&armour().seal(b"x", made), max_age, now);
        assert_eq!(at(u64::MAX - 100, 1_000), Err(DropReason::Stale));
        assert_eq!(at(1_061, 1_000), Err(DropReason::Stale));
        assert!(at(1_060, 1_000).is_ok());
        assert!(at(0, u64::MAX).is_ok());
        let ahead = armour().seal(b"x", 9_000);
        assert!(armour().open(&ahead, None, 1_000).is_ok(), "as Python does");
        let forged = format!("gP__________{}", "A".repeat(88));
        assert_eq!(armour().open(forged.as_bytes(), max_age, 0), Err(DropReason::Undecryptable));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let token = armour().seal(b"payload", 1_000);
        for index in 0..token.len() {
            let mut changed = token.clone();
            changed[index] ^= 1;
            let opened = armour().open(&changed, None, 1_000);
            // The padding of base64 has unused bits; the content must be what was sealed.
            assert!(opened.is_err() || opened == Ok(b"payload".to_vec()), "byte {index}");
        }
    }

    #[test]
    fn garbage_and_a_trailing_newline_are_handled() {
        assert_eq!(armour().open(&[0xff; 100], None, 0), Err(DropReason::Undecryptable));
        assert_eq!(armour().open(b"", None, 0), Err(DropReason::Undecryptable));
        let mut token = armour().seal(b"x", 5);
        token.push(b'\n');
        assert_eq!(armour().open(&token, None, 5), Ok(b"x".to_vec()));
    }
}
