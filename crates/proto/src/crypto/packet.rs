//! Seals and opens packets with the key of one level, direction and phase.
//!
//! In: a packet and its number. Out: the same bytes, sealed or opened, in place. Never: frames, the
//! packet numbers in use, when keys change.
//!
//! Nothing here allocates per packet.

use aws_lc_rs::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{self, HKDF_SHA256, Prk},
    hmac,
};
use rustls::quic;
use zeroize::Zeroizing;

use super::Side;
use crate::{error::Discard, limits::TAG_LEN};

/// The cipher of a connection's data packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    /// AES-128-GCM.
    Aes128Gcm,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
}

impl Cipher {
    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    /// Returns the number of packets that one key may seal: RFC 9001 section 6.6 (M-20).
    /// ChaCha20-Poly1305 has no limit below that of packet numbers.
    pub(crate) const fn seal_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm => 1 << 23,
            Self::ChaCha20Poly1305 => 1 << 62,
        }
    }

    /// Returns how many packets may fail to open during a connection: RFC 9001 section 6.6 (M-22).
    pub(crate) const fn open_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm => 1 << 52,
            Self::ChaCha20Poly1305 => 1 << 36,
        }
    }
}

/// 32 secret bytes from which keys are derived, wiped when dropped.
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// HKDF-Extract with SHA-256 (RFC 5869 section 2.2).
    ///
    /// Built from HMAC by hand: the library's version leaves a copy of the salt in memory, and the
    /// salt can be the shared key.
    pub(crate) fn extract(salt: &[u8], input: &[u8]) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
        hmac::sign_to_buffer(&key, input, &mut bytes[..])
            .expect("the buffer is as long as HMAC-SHA256's output");
        Self(bytes)
    }

    /// HKDF-Expand with SHA-256 (RFC 5869 section 2.3); `info` is given in pieces to be joined.
    fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
        struct Length(usize);
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        Prk::new_less_safe(HKDF_SHA256, &self.0[..])
            .expand(info, Length(out.len()))
            .and_then(|okm| okm.fill(out))
            .expect("no key here exceeds the output of HKDF (255 hashes)");
    }

    /// Derives the secret for `label` and `context`.
    pub(crate) fn derive(&self, label: &str, context: &[u8]) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        self.expand(&[label.as_bytes(), context], &mut bytes[..]);
        Self(bytes)
    }

    /// Derives the secret for packets sent by `from` (PROTOCOL.md section 2).
    pub(crate) fn of_direction(&self, from: Side) -> Self {
        match from {
            Side::Client => self.derive("hikyaku v1 client", &[]),
            Side::Server => self.derive("hikyaku v1 server", &[]),
        }
    }

    /// Derives the secret of the next key phase.
    pub(crate) fn next(&self) -> Self {
        self.derive("update", &[])
    }

    /// Returns the secret as a key of HMAC-SHA256.
    pub(crate) fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0[..])
    }

    fn key(&self, cipher: Cipher) -> Key {
        let mut key = Zeroizing::new([0; 32]);
        let key = &mut key[..cipher.algorithm().key_len()];
        let mut mask = Zeroizing::new([0; aead::NONCE_LEN]);
        self.expand(&[b"key"], key);
        self.expand(&[b"iv"], &mut mask[..]);
        let key = UnboundKey::new(cipher.algorithm(), key)
            .expect("the key is as long as its algorithm says");
        Key::Own { key: LessSafeKey::new(key), mask }
    }
}

/// A packet key, either derived here or made by TLS.
enum Key {
    Own { key: LessSafeKey, mask: Zeroizing<[u8; aead::NONCE_LEN]> },
    Tls(Box<dyn quic::PacketKey>),
}

/// Returns the mask with the number XORed into its last 8 bytes. Unique per key, as numbers are
/// (M-2).
#[inline]
fn nonce(mask: &[u8; aead::NONCE_LEN], number: u64) -> Nonce {
    let mut nonce = *mask;
    for (byte, number) in nonce[aead::NONCE_LEN - 8..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= number;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// Seals packets of one direction.
pub(crate) struct SealKey(Key);

impl SealKey {
    /// Derives the key from the secret of the direction in which this side sends.
    pub(crate) fn new(secret: &Secret, cipher: Cipher) -> Self {
        Self(secret.key(cipher))
    }

    /// Wraps a key that TLS made.
    pub(super) fn tls(key: Box<dyn quic::PacketKey>) -> Self {
        Self(Key::Tls(key))
    }

    /// Seals `packet`: header, plaintext, and [`TAG_LEN`] spare bytes for the tag.
    ///
    /// The caller uses each number once (M-2) and passes a packet with room for its header and the
    /// tag.
    #[inline]
    pub(crate) fn seal(&self, number: u64, packet: &mut [u8], header_len: usize) {
        debug_assert!(packet.len() >= header_len + TAG_LEN, "room for header and tag");
        let (header, sealed) = packet.split_at_mut(header_len);
        let (plain, tag) = sealed.split_at_mut(sealed.len() - TAG_LEN);
        match &self.0 {
            Key::Own { key, mask } => {
                let made = key
                    .seal_in_place_separate_tag(nonce(mask, number), Aad::from(&*header), plain)
                    .expect("a datagram is shorter than any cipher's limit");
                tag.copy_from_slice(made.as_ref());
            }
            Key::Tls(key) => {
                let made = key
                    .encrypt_in_place(number, header, plain)
                    .expect("a datagram is shorter than any cipher's limit");
                tag.copy_from_slice(made.as_ref());
            }
        }
    }
}

/// Opens packets of one direction.
pub(crate) struct OpenKey(Key);

impl OpenKey {
    /// Derives the key from the secret of the direction in which this side receives.
    pub(crate) fn new(secret: &Secret, cipher: Cipher) -> Self {
        Self(secret.key(cipher))
    }

    /// Wraps a key that TLS made.
    pub(super) fn tls(key: Box<dyn quic::PacketKey>) -> Self {
        Self(Key::Tls(key))
    }

    /// Opens `packet` and returns its plaintext, which follows the header.
    ///
    /// # Errors
    /// `Malformed` when the packet is too short for header and tag; `Unauthentic` when it
    /// was not sealed with this key under this number and header. The plaintext is garbage then,
    /// but the last 16 bytes are unchanged, because they may be a reset token (M-60).
    #[inline]
    pub(crate) fn open<'a>(
        &self,
        number: u64,
        packet: &'a mut [u8],
        header_len: usize,
    ) -> Result<&'a [u8], Discard> {
        let (header, sealed) = packet.split_at_mut_checked(header_len).ok_or(Discard::Malformed)?;
        let tag: [u8; TAG_LEN] = *sealed.last_chunk().ok_or(Discard::Malformed)?;
        self.open_sealed(number, header, sealed, tag).ok_or(Discard::Unauthentic)
    }

    /// Returns an `Option` and is never inlined, so that the result stays in registers. A result in
    /// memory would be read with another width than it was written, which stalls the load.
    #[inline(never)]
    fn open_sealed<'a>(
        &self,
        number: u64,
        header: &[u8],
        sealed: &'a mut [u8],
        tag: [u8; TAG_LEN],
    ) -> Option<&'a [u8]> {
        let len = match &self.0 {
            Key::Own { key, mask } => key
                .open_in_place(nonce(mask, number), Aad::from(header), sealed)
                .map(|plain| plain.len())
                .ok(),
            Key::Tls(key) => key.decrypt_in_place(number, header, sealed).map(<[u8]>::len).ok(),
        };
        if let Some(len) = len {
            return sealed.get(..len);
        }
        if let Some(end) = sealed.last_chunk_mut() {
            *end = tag;
        }
        None
    }
}

/// The salt of this version's Hello keys. Anyone can derive them; the salt keeps packets of other
/// protocols from opening by accident.
const HELLO_SALT: &[u8] = b"hikyaku v1 hello";

/// Returns the secret from which the Hello keys and the Retry tag are derived.
pub(super) fn hello_secret(first_destination: [u8; 8]) -> Secret {
    Secret::extract(HELLO_SALT, &first_destination)
}

/// The keys of both directions at the Hello or Handshake level.
pub(crate) struct LevelKeys {
    /// Seals what this side sends.
    pub(crate) seal: SealKey,
    /// Opens what the peer sends.
    pub(crate) open: OpenKey,
}

impl LevelKeys {
    /// Derives the keys of Hello packets from the destination id of the client's first Hello (after
    /// a Retry, of the first Hello that follows it).
    pub(crate) fn hello(first_destination: [u8; 8], side: Side) -> Self {
        let root = hello_secret(first_destination);
        Self {
            seal: SealKey::new(&root.of_direction(side), Cipher::Aes128Gcm),
            open: OpenKey::new(&root.of_direction(side.peer()), Cipher::Aes128Gcm),
        }
    }

    /// Wraps the keys of Handshake packets, as TLS made them.
    pub(super) fn handshake(keys: quic::Keys) -> Self {
        Self { seal: SealKey::tls(keys.local.packet), open: OpenKey::tls(keys.remote.packet) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::crypto) const HEADER: &[u8] = b"header";
    pub(in crate::crypto) const FRAMES: &[u8] = b"frames";

    /// Returns a packet with room for its tag.
    pub(in crate::crypto) fn unsealed() -> Vec<u8> {
        [HEADER, FRAMES, &[0; TAG_LEN]].concat()
    }

    /// Formats bytes as hex. The values below were computed with Python's `cryptography` from
    /// PROTOCOL.md alone.
    pub(in crate::crypto) fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn pair(cipher: Cipher) -> (SealKey, OpenKey) {
        let secret = Secret::extract(b"salt", b"input");
        (SealKey::new(&secret, cipher), OpenKey::new(&secret, cipher))
    }

    #[test]
    fn hello_packets_are_sealed_as_the_protocol_says() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        let mut packet = unsealed();
        LevelKeys::hello(id, Side::Client).seal.seal(7, &mut packet, HEADER.len());
        assert_eq!(hex(&packet[HEADER.len()..]), "5f8552b3afaf8e203456be60a28ff7c6168db949eb7a");
        let mut packet = unsealed();
        LevelKeys::hello(id, Side::Server).seal.seal(1 << 40, &mut packet, HEADER.len());
        assert_eq!(hex(&packet[HEADER.len()..]), "eb400acca2ab1b27820351ad4721dd947fd181438d98");
    }

    #[test]
    fn each_side_opens_the_others_hello_packets_and_not_its_own() {
        let (client, server) =
            (LevelKeys::hello([7; 8], Side::Client), LevelKeys::hello([7; 8], Side::Server));
        let mut packet = unsealed();
        client.seal.seal(0, &mut packet, HEADER.len());
        let mut own = packet.clone();
        assert_eq!(server.open.open(0, &mut packet, HEADER.len()), Ok(FRAMES));
        assert_eq!(client.open.open(0, &mut own, HEADER.len()), Err(Discard::Unauthentic));
    }

    #[test]
    fn a_packet_opens_only_under_its_own_number() {
        for cipher in [Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305] {
            let (seal, open) = pair(cipher);
            let mut packet = unsealed();
            seal.seal(5, &mut packet, HEADER.len());
            for other in [4, 6, 5 | 1 << 32, 5 | 1 << 63] {
                let mut packet = packet.clone();
                let opened = open.open(other, &mut packet, HEADER.len());
                assert_eq!(opened, Err(Discard::Unauthentic));
            }
            assert_eq!(open.open(5, &mut packet, HEADER.len()), Ok(FRAMES));
        }
    }

    #[test]
    fn every_flipped_bit_is_detected_and_the_last_16_bytes_are_kept() {
        for cipher in [Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305] {
            let (seal, open) = pair(cipher);
            let mut packet = unsealed();
            seal.seal(5, &mut packet, HEADER.len());
            for bit in 0..packet.len() * 8 {
                let mut packet = packet.clone();
                packet[bit / 8] ^= 1 << (bit % 8);
                let end: [u8; TAG_LEN] = *packet.last_chunk().unwrap();
                let opened = open.open(5, &mut packet, HEADER.len());
                assert_eq!(opened, Err(Discard::Unauthentic), "bit {bit}");
                assert_eq!(packet.last_chunk(), Some(&end), "M-60: bit {bit}");
            }
        }
    }

    #[test]
    fn a_short_packet_is_malformed_whatever_the_header_length() {
        let (seal, open) = pair(Cipher::Aes128Gcm);
        let mut packet = unsealed();
        seal.seal(5, &mut packet, HEADER.len());
        for len in 0..HEADER.len() + TAG_LEN {
            let mut packet = packet.clone();
            let opened = open.open(5, &mut packet[..len], HEADER.len());
            assert_eq!(opened, Err(Discard::Malformed), "length {len}");
        }
        assert_eq!(open.open(5, &mut packet, usize::MAX), Err(Discard::Malformed));
    }

    #[test]
    fn a_packet_may_be_empty() {
        let (seal, open) = pair(Cipher::ChaCha20Poly1305);
        let mut packet = [HEADER, &[0; TAG_LEN]].concat();
        seal.seal(5, &mut packet, HEADER.len());
        assert_eq!(open.open(5, &mut packet, HEADER.len()), Ok(&[][..]));
    }
}
