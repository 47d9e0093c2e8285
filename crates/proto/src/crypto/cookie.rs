//! Stateless tokens: they prove that an address answers, that a Retry is genuine, and that a peer
//! has lost its state.
//!
//! In: addresses, ids, times. Out: tokens, and whether they are valid. Never: state per peer.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use zeroize::Zeroizing;

use super::packet::{Cipher, OpenKey, SealKey, Secret, hello_secret};
use crate::{error::Discard, limits::TAG_LEN, rng::Random, time::Time};

/// The lifetime of a Retry's token (M-31): several round trips.
const TOKEN_LIFETIME: Duration = Duration::from_secs(15);

/// The lifetime of a token key (M-31). It bounds how long a stolen key is of use.
const TOKEN_KEY_LIFETIME: Duration = Duration::from_secs(3_600);

const SALT_LEN: usize = 16;
const ADDRESS_LEN: usize = 16 + 2;
const ID_LEN: usize = 8;
const TIME_LEN: usize = 8;

/// The length of a Retry's token: a salt, the sealed id and time, and the tag.
pub(crate) const TOKEN_LEN: usize = SALT_LEN + ID_LEN + TIME_LEN + TAG_LEN;

/// The length of what a token is bound to: the values the client repeats, which are not sent again.
/// They are the associated data of the seal.
const BOUND_LEN: usize = ADDRESS_LEN + ID_LEN;

/// Seals and opens the tokens of Retry packets (M-31).
///
/// Each token has a key of its own, derived from the 16 random bytes it begins with: the number of
/// tokens does not wear the key out, and endpoints that share it need not coordinate nonces.
pub(crate) struct TokenKey(Secret);

impl TokenKey {
    /// Generates a random key. Endpoints behind one address share one.
    pub(crate) fn generate(rng: &mut dyn Random) -> Self {
        let random = Zeroizing::new(rng.array::<32>());
        Self(Secret::extract(b"hikyaku v1 token", &random[..]))
    }

    /// Seals a token for the client at `from`, which sent its Hello to `original` and will send the
    /// next one to `retry_id` (the source id of the Retry).
    pub(crate) fn seal(
        &self,
        rng: &mut dyn Random,
        from: SocketAddr,
        original: [u8; 8],
        retry_id: [u8; 8],
        now: Time,
    ) -> [u8; TOKEN_LEN] {
        let salt = rng.array::<SALT_LEN>();
        let mut sealed = [0; BOUND_LEN + ID_LEN + TIME_LEN + TAG_LEN];
        sealed[..BOUND_LEN].copy_from_slice(&bound(from, retry_id));
        sealed[BOUND_LEN..][..ID_LEN].copy_from_slice(&original);
        sealed[BOUND_LEN + ID_LEN..][..TIME_LEN].copy_from_slice(&now.as_micros().to_be_bytes());
        let secret = self.0.derive("token", &salt);
        SealKey::new(&secret, Cipher::Aes128Gcm).seal(0, &mut sealed, BOUND_LEN);
        let mut token = [0; TOKEN_LEN];
        token[..SALT_LEN].copy_from_slice(&salt);
        token[SALT_LEN..].copy_from_slice(&sealed[BOUND_LEN..]);
        token
    }

    /// Opens the token of a Hello from `from` to `to`. Returns the destination id of the client's
    /// first Hello.
    ///
    /// # Errors
    /// `BadToken` for a token of another key, address or id, and for one older than 15 s.
    pub(crate) fn open(
        &self,
        token: &[u8],
        from: SocketAddr,
        to: [u8; 8],
        now: Time,
    ) -> Result<[u8; 8], Discard> {
        let token: &[u8; TOKEN_LEN] = token.try_into().map_err(|_| Discard::BadToken)?;
        let (salt, rest) = token.split_at(SALT_LEN);
        let mut sealed = [0; BOUND_LEN + ID_LEN + TIME_LEN + TAG_LEN];
        sealed[..BOUND_LEN].copy_from_slice(&bound(from, to));
        sealed[BOUND_LEN..].copy_from_slice(rest);
        let key = OpenKey::new(&self.0.derive("token", salt), Cipher::Aes128Gcm);
        let plain = key.open(0, &mut sealed, BOUND_LEN).map_err(|_| Discard::BadToken)?;
        let (original, time) = plain.split_first_chunk().ok_or(Discard::BadToken)?;
        let time = time.try_into().map_err(|_| Discard::BadToken)?;
        let issued = Time::from_micros(u64::from_be_bytes(time));
        if issued > now || now.since(issued) > TOKEN_LIFETIME {
            return Err(Discard::BadToken);
        }
        Ok(*original)
    }
}

/// The current token key, and the previous one for tokens issued under it.
pub(crate) struct TokenKeys {
    current: TokenKey,
    former: Option<TokenKey>,
    changed_at: Time,
}

impl TokenKeys {
    /// Generates random keys.
    pub(crate) fn generate(rng: &mut dyn Random) -> Self {
        Self { current: TokenKey::generate(rng), former: None, changed_at: Time::ZERO }
    }

    /// Seals under the current key, see [`TokenKey::seal`].
    pub(crate) fn seal(
        &mut self,
        rng: &mut dyn Random,
        from: SocketAddr,
        original: [u8; 8],
        retry_id: [u8; 8],
        now: Time,
    ) -> [u8; TOKEN_LEN] {
        if now.since(self.changed_at) >= TOKEN_KEY_LIFETIME {
            self.former = Some(std::mem::replace(&mut self.current, TokenKey::generate(rng)));
            self.changed_at = now;
        }
        self.current.seal(rng, from, original, retry_id, now)
    }

    /// Opens under either key, see [`TokenKey::open`].
    ///
    /// # Errors
    /// As for [`TokenKey::open`].
    pub(crate) fn open(
        &mut self,
        token: &[u8],
        from: SocketAddr,
        to: [u8; 8],
        now: Time,
    ) -> Result<[u8; 8], Discard> {
        if now.since(self.changed_at) > TOKEN_LIFETIME {
            // All of its tokens have expired.
            self.former = None;
        }
        let opened = self.current.open(token, from, to, now);
        match &self.former {
            Some(former) => opened.or_else(|_| former.open(token, from, to, now)),
            None => opened,
        }
    }
}

/// Encodes the address and the id that a token is valid for. Both forms of an IPv4 address encode
/// alike.
fn bound(from: SocketAddr, id: [u8; 8]) -> [u8; BOUND_LEN] {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; BOUND_LEN];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..ADDRESS_LEN].copy_from_slice(&from.port().to_be_bytes());
    bytes[ADDRESS_LEN..].copy_from_slice(&id);
    bytes
}

/// Returns the tag of a Retry that answers a Hello to `answered`, over all bytes before the tag
/// (M-31). It proves that the sender has seen that Hello.
pub(crate) fn retry_tag(answered: [u8; 8], retry: &[u8]) -> [u8; TAG_LEN] {
    truncated(&hello_secret(answered).derive("hikyaku v1 retry", &[]).hmac_key(), retry)
}

/// Returns `true` if `tag` is the tag of the Retry before it, as the answer to a Hello to
/// `answered`.
pub(crate) fn is_retry_tag(answered: [u8; 8], retry: &[u8], tag: &[u8; TAG_LEN]) -> bool {
    equal(&retry_tag(answered, retry), tag)
}

/// Makes stateless reset tokens (M-60).
pub(crate) struct ResetKey(hmac::Key);

impl ResetKey {
    /// Generates a random key that lasts as long as this process.
    pub(crate) fn generate(rng: &mut dyn Random) -> Self {
        let random = Zeroizing::new(rng.array::<32>());
        Self::new(&Secret::extract(b"hikyaku v1 reset", &random[..]))
    }

    /// Derives the key from a secret that survives a restart, see
    /// [`super::setup::Crypto::reset_key`].
    pub(super) fn new(secret: &Secret) -> Self {
        Self(secret.hmac_key())
    }

    /// Returns the token of one of this endpoint's connection ids.
    pub(crate) fn token(&self, id: [u8; 8]) -> [u8; TAG_LEN] {
        truncated(&self.0, &id)
    }
}

/// Hashes reset tokens with a secret key, so that they can be looked up without comparing them: see
/// `endpoint/resets.rs`.
pub(crate) struct MarkKey(hmac::Key);

impl MarkKey {
    /// Generates a random key.
    pub(crate) fn generate(rng: &mut dyn Random) -> Self {
        let random = Zeroizing::new(rng.array::<32>());
        Self(Secret::extract(b"hikyaku v1 mark", &random[..]).hmac_key())
    }

    /// Returns the mark of a token issued by the peer at `from`.
    pub(crate) fn mark(&self, from: SocketAddr, token: &[u8; TAG_LEN]) -> u64 {
        let bound = bound(from, [0; ID_LEN]);
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&bound);
        context.update(token);
        let tag = context.sign();
        u64::from_be_bytes(*tag.as_ref().first_chunk().expect("HMAC-SHA256 gives 32 bytes"))
    }
}

/// Compares two tokens or tags in constant time.
#[inline]
pub(crate) fn equal(one: &[u8; TAG_LEN], other: &[u8; TAG_LEN]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

/// Returns the first 16 bytes of HMAC-SHA256 (RFC 2104 section 5).
fn truncated(key: &hmac::Key, data: &[u8]) -> [u8; TAG_LEN] {
    let tag = hmac::sign(key, data);
    *tag.as_ref().first_chunk().expect("HMAC-SHA256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{packet::tests::hex, setup::Crypto},
        *,
    };

    const NOW: Time = Time::from_micros(1_000_000_000);
    const RETRY_ID: [u8; 8] = [2; 8];
    const ORIGINAL: [u8; 8] = [1; 8];

    struct Counter(u8);

    impl Random for Counter {
        fn fill(&mut self, bytes: &mut [u8]) {
            self.0 += 1;
            bytes.fill(self.0);
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn token() -> (TokenKey, [u8; TOKEN_LEN]) {
        let mut rng = Counter(0);
        let key = TokenKey::generate(&mut rng);
        let token = key.seal(&mut rng, address("192.0.2.1:5"), ORIGINAL, RETRY_ID, NOW);
        (key, token)
    }

    #[test]
    fn a_token_returns_the_first_id_at_its_address() {
        let (key, token) = token();
        let opened = key.open(&token, address("192.0.2.1:5"), RETRY_ID, NOW);
        assert_eq!(opened, Ok(ORIGINAL));
        let mapped = address("[::ffff:192.0.2.1]:5");
        assert_eq!(key.open(&token, mapped, RETRY_ID, NOW), Ok(ORIGINAL));
    }

    // M-31
    #[test]
    fn a_token_is_invalid_for_another_address_port_or_id() {
        let (key, token) = token();
        for other in ["192.0.2.2:5", "192.0.2.1:6", "[2001:db8::1]:5"] {
            let opened = key.open(&token, address(other), RETRY_ID, NOW);
            assert_eq!(opened, Err(Discard::BadToken), "M-31: {other}");
        }
        let opened = key.open(&token, address("192.0.2.1:5"), [3; 8], NOW);
        assert_eq!(opened, Err(Discard::BadToken));
    }

    // M-31
    #[test]
    fn a_token_is_valid_for_15_seconds() {
        let (key, token) = token();
        let open = |now| key.open(&token, address("192.0.2.1:5"), RETRY_ID, now);
        assert_eq!(open(NOW + Duration::from_secs(15)), Ok(ORIGINAL), "M-31");
        assert_eq!(open(NOW + Duration::from_micros(15_000_001)), Err(Discard::BadToken));
        assert_eq!(open(Time::from_micros(NOW.as_micros() - 1)), Err(Discard::BadToken));
    }

    #[test]
    fn a_token_of_another_key_or_with_a_flipped_bit_is_refused() {
        let (key, token) = token();
        let open =
            |key: &TokenKey, token: &[u8]| key.open(token, address("192.0.2.1:5"), RETRY_ID, NOW);
        let other = TokenKey::generate(&mut Counter(7));
        assert_eq!(open(&other, &token), Err(Discard::BadToken));
        for bit in 0..TOKEN_LEN * 8 {
            let mut token = token;
            token[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, &token), Err(Discard::BadToken), "bit {bit}");
        }
    }

    // M-31
    #[test]
    fn the_key_rotates_hourly_and_tokens_of_the_previous_key_stay_valid() {
        let (mut rng, from) = (Counter(0), address("192.0.2.1:5"));
        let mut keys = TokenKeys::generate(&mut rng);
        let first = keys.seal(&mut rng, from, ORIGINAL, RETRY_ID, NOW);
        let hour = Time::ZERO + Duration::from_secs(3_600);
        let just_before = Time::from_micros(hour.as_micros() - 1);
        let old = keys.seal(&mut rng, from, ORIGINAL, RETRY_ID, just_before);
        let new = keys.seal(&mut rng, from, ORIGINAL, RETRY_ID, hour);
        let mut open = |token: &[u8], after| keys.open(token, from, RETRY_ID, hour + after);
        assert_eq!(open(&old, Duration::ZERO), Ok(ORIGINAL));
        assert_eq!(open(&new, Duration::from_secs(14)), Ok(ORIGINAL));
        assert_eq!(open(&old, Duration::from_secs(14)), Ok(ORIGINAL));
        assert_eq!(open(&old, Duration::from_secs(16)), Err(Discard::BadToken));
        assert_eq!(open(&first, Duration::ZERO), Err(Discard::BadToken));
        let opened = keys.current.open(&old, from, RETRY_ID, just_before);
        assert_eq!(opened, Err(Discard::BadToken), "another key");
        assert!(keys.former.is_none(), "a key without valid tokens is forgotten");
    }

    #[test]
    fn a_token_of_another_length_is_refused() {
        let (key, token) = token();
        let longer = [&token[..], &[0]].concat();
        for token in [&[][..], &token[..TOKEN_LEN - 1], &longer] {
            let opened = key.open(token, address("192.0.2.1:5"), RETRY_ID, NOW);
            assert_eq!(opened, Err(Discard::BadToken));
        }
    }

    // M-31
    #[test]
    fn a_retry_tag_is_as_the_protocol_says() {
        let tag = retry_tag([1, 2, 3, 4, 5, 6, 7, 8], b"retry packet");
        assert_eq!(hex(&tag), "a6687bab54effb3808c63c5a6c2b5eb2");
    }

    // M-31
    #[test]
    fn a_retry_tag_is_valid_for_one_id_and_one_packet() {
        let tag = retry_tag(ORIGINAL, b"retry packet");
        assert!(is_retry_tag(ORIGINAL, b"retry packet", &tag));
        assert!(!is_retry_tag(RETRY_ID, b"retry packet", &tag));
        assert!(!is_retry_tag(ORIGINAL, b"retry packes", &tag));
        let mut wrong = tag;
        wrong[15] ^= 1;
        assert!(!is_retry_tag(ORIGINAL, b"retry packet", &wrong));
    }

    // M-60
    #[test]
    fn a_reset_token_is_as_the_protocol_says_and_survives_a_restart() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        for _start in 0..2 {
            let key = Crypto::new(&[1; 32]).reset_key(address("127.0.0.1:9"), "");
            assert_eq!(hex(&key.token(id)), "12e0857ed84cb92d24544f7d0e8ebe46", "M-60");
        }
    }

    // M-60
    #[test]
    fn reset_tokens_differ_by_id_address_host_and_identity() {
        let crypto = Crypto::new(&[1; 32]);
        let token = crypto.reset_key(address("127.0.0.1:9"), "").token([1; 8]);
        assert!(!equal(&token, &crypto.reset_key(address("127.0.0.1:9"), "").token([2; 8])));
        assert!(!equal(&token, &crypto.reset_key(address("127.0.0.1:8"), "").token([1; 8])));
        let elsewhere = crypto.reset_key(address("127.0.0.1:9"), "elsewhere");
        assert!(!equal(&token, &elsewhere.token([1; 8])));
        let other = Crypto::new(&[2; 32]);
        assert!(!equal(&token, &other.reset_key(address("127.0.0.1:9"), "").token([1; 8])));
    }
}
