//! Tokens that this side gives out and need not remember: to tell an address that answers from a
//! forged one, a Retry from a forged one, and a peer that forgot from one that is silent.
//!
//! In: addresses, ids, times. Out: tokens, and whether they hold. Never: state for a peer.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use zeroize::Zeroizing;

use super::packet::{Cipher, OpenKey, SealKey, Secret, hello_secret};
use crate::{error::Discard, limits::TAG_LEN, rng::Random, time::Time};

/// How long a Retry's token holds (M-31): time for one round trip, several times over.
const TOKEN_LIFETIME: Duration = Duration::from_secs(15);

const SALT_LEN: usize = 16;
const ADDRESS_LEN: usize = 16 + 2;
const ID_LEN: usize = 8;
const TIME_LEN: usize = 8;

/// Length of a Retry's token: a salt, then sealed the id and the time, then the seal's tag.
pub(crate) const TOKEN_LEN: usize = SALT_LEN + ID_LEN + TIME_LEN + TAG_LEN;

/// What is sealed: what the client has to repeat (not sent again), then what the server wants
/// back. The first part is the associated data.
const BOUND_LEN: usize = ADDRESS_LEN + ID_LEN;

/// Seals and opens the tokens of Retry packets (M-31).
///
/// Each token has a key of its own, from 16 random bytes that begin it: no count of tokens wears
/// the key out, and endpoints that share it need not agree on nonces.
pub(crate) struct TokenKey(Secret);

impl TokenKey {
    /// A key that nobody knows. Endpoints behind one address share one.
    pub(crate) fn generate(rng: &mut dyn Random) -> Self {
        let random = Zeroizing::new(rng.array::<32>());
        Self(Secret::extract(b"hikyaku v1 token", &random[..]))
    }

    /// A token for the client at `from`, whose Hello was to `original`, and which will send its
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

    /// The destination id of the client's first Hello, out of the token of a Hello that came from
    /// `from` to `to`.
    ///
    /// # Errors
    /// `BadToken` when it is not of this key, of another address or id, or older than 15 s.
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

/// The address and the id that a token holds for. IPv4 addresses are one thing in both their
/// forms.
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

/// The tag of a Retry that answers a Hello to `answered`, over all of it before the tag (M-31).
/// Who makes it has seen that Hello.
pub(crate) fn retry_tag(answered: [u8; 8], retry: &[u8]) -> [u8; TAG_LEN] {
    truncated(&hello_secret(answered).derive("hikyaku v1 retry", &[]).hmac_key(), retry)
}

/// Does `tag` belong to the Retry before it, as the answer to a Hello to `answered`?
pub(crate) fn is_retry_tag(answered: [u8; 8], retry: &[u8], tag: &[u8; TAG_LEN]) -> bool {
    equal(&retry_tag(answered, retry), tag)
}

/// Makes stateless reset tokens (M-60).
pub(crate) struct ResetKey(hmac::Key);

impl ResetKey {
    /// From a secret that outlives a restart, see [`super::setup::Crypto::reset_key`].
    pub(super) fn new(secret: &Secret) -> Self {
        Self(secret.hmac_key())
    }

    /// The token of one of this endpoint's connection ids.
    pub(crate) fn token(&self, id: [u8; 8]) -> [u8; TAG_LEN] {
        truncated(&self.0, &id)
    }
}

/// Are these the same, told in a time that does not depend on them? For tokens and tags.
#[inline]
pub(crate) fn equal(one: &[u8; TAG_LEN], other: &[u8; TAG_LEN]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

/// The first 16 bytes of HMAC-SHA256 (RFC 2104 section 5).
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
    fn a_token_gives_back_the_first_id_at_its_address() {
        let (key, token) = token();
        let opened = key.open(&token, address("192.0.2.1:5"), RETRY_ID, NOW);
        assert_eq!(opened, Ok(ORIGINAL));
        let mapped = address("[::ffff:192.0.2.1]:5");
        assert_eq!(key.open(&token, mapped, RETRY_ID, NOW), Ok(ORIGINAL));
    }

    // M-31
    #[test]
    fn a_token_holds_for_no_other_address_port_or_id() {
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
    fn a_token_holds_for_15_seconds() {
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
    fn a_retry_tag_holds_for_one_id_and_one_packet() {
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
    fn a_reset_token_is_as_the_protocol_says_and_outlives_a_restart() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        for _start in 0..2 {
            let key = Crypto::new(&[1; 32]).reset_key(address("127.0.0.1:9"));
            assert_eq!(hex(&key.token(id)), "12e0857ed84cb92d24544f7d0e8ebe46", "M-60");
        }
    }

    // M-60
    #[test]
    fn reset_tokens_differ_by_id_address_and_identity() {
        let crypto = Crypto::new(&[1; 32]);
        let token = crypto.reset_key(address("127.0.0.1:9")).token([1; 8]);
        assert!(!equal(&token, &crypto.reset_key(address("127.0.0.1:9")).token([2; 8])));
        assert!(!equal(&token, &crypto.reset_key(address("127.0.0.1:8")).token([1; 8])));
        let other = Crypto::new(&[2; 32]);
        assert!(!equal(&token, &other.reset_key(address("127.0.0.1:9")).token([1; 8])));
    }
}
