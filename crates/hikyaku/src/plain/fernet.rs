//! Fernet armour: each datagram is a token that only holders of the shared key can make or read.
//!
//! In: a payload or a token, and the time. Out: the other. Never: a clock.
//!
//! Fernet specification version 0x80: AES-128-CBC and HMAC-SHA256 over a time stamp and the
//! message, in URL-safe base64. A token carries no sequence number: whoever records one can play
//! it again until it is too old.

use std::{fmt, time::Duration};

use crate::{identity::SharedKey, plain::Discard};

/// Seals payloads into tokens.
#[derive(Clone)]
pub(super) struct Fernet(fernet::Fernet);

impl Fernet {
    pub(super) fn new(key: &SharedKey) -> Self {
        Self(key.fernet())
    }

    pub(super) fn seal(&self, payload: &[u8], now_secs: u64) -> Vec<u8> {
        self.0.encrypt_at_time(payload, now_secs).into_bytes()
    }

    /// Opens a token. Without `max_age` its age does not matter; a token from more than a minute
    /// in the future never opens.
    pub(super) fn open(
        &self,
        token: &[u8],
        max_age: Option<Duration>,
        now_secs: u64,
    ) -> Result<Vec<u8>, Discard> {
        // Programs that send lines end the token with a newline.
        let token = std::str::from_utf8(token.trim_ascii()).map_err(|_| Discard::Undecryptable)?;
        let ttl_secs = max_age.map(|age| age.as_secs());
        if let Ok(payload) = self.0.decrypt_at_time(token, ttl_secs, now_secs) {
            return Ok(payload);
        }
        // The crate has one error for everything. Authentic but refused means too old.
        match self.0.decrypt_at_time(token, None, now_secs) {
            Ok(_) => Err(Discard::Stale),
            Err(_) => Err(Discard::Undecryptable),
        }
    }
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
    fn the_specification_s_token_opens() {
        let opened = armour().open(SPEC_TOKEN.as_bytes(), None, SPEC_TIME);
        assert_eq!(opened, Ok(b"hello".to_vec()));
    }

    #[test]
    fn a_sealed_payload_opens_with_its_key_alone() {
        let token = armour().seal(b"payload", 1_000);
        assert_eq!(armour().open(&token, None, 1_000), Ok(b"payload".to_vec()));
        let other = Fernet::new(&SharedKey::generate());
        assert_eq!(other.open(&token, None, 1_000), Err(Discard::Undecryptable));
    }

    #[test]
    fn an_old_token_is_stale_not_undecryptable() {
        let token = armour().seal(b"x", 1_000);
        let minute = Some(Duration::from_secs(60));
        assert!(armour().open(&token, minute, 1_060).is_ok());
        assert_eq!(armour().open(&token, minute, 1_061), Err(Discard::Stale));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let token = armour().seal(b"payload", 1_000);
        for index in 0..token.len() {
            let mut changed = token.clone();
            changed[index] ^= 1;
            let opened = armour().open(&changed, None, 1_000);
            // base64 padding has bits that carry nothing; what opens must be what was sealed.
            assert!(opened.is_err() || opened == Ok(b"payload".to_vec()), "byte {index}");
        }
    }

    #[test]
    fn garbage_and_a_trailing_newline_are_handled() {
        assert_eq!(armour().open(&[0xff; 100], None, 0), Err(Discard::Undecryptable));
        assert_eq!(armour().open(b"", None, 0), Err(Discard::Undecryptable));
        let mut token = armour().seal(b"x", 5);
        token.push(b'\n');
        assert_eq!(armour().open(&token, None, 5), Ok(b"x".to_vec()));
    }
}
