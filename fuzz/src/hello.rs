//! Forged Hello packets and Retries, whose keys follow from plaintext fields (PROTOCOL.md section
//! 2).

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk},
    hmac,
};

/// The plaintext fields of a client's first packet.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The destination id, from which the keys are derived.
    pub to: [u8; 8],
    /// The sender's own id.
    pub from: [u8; 8],
    /// The token of a Retry.
    pub token: Vec<u8>,
    /// The packet number.
    pub number: u32,
}

impl Hello {
    /// Creates the first Hello of a connection.
    #[must_use]
    pub const fn new(to: [u8; 8]) -> Self {
        Self { to, from: [9; 8], token: Vec::new(), number: 0 }
    }

    /// Returns the Hello that follows a Retry, if `datagram` is one.
    #[must_use]
    pub fn after_retry(datagram: &[u8]) -> Option<Self> {
        let (head, _) = datagram.split_last_chunk::<16>()?;
        let token = head.get(21..)?.to_vec();
        let to = head.get(13..21)?.try_into().ok()?;
        (head.starts_with(&[0xc3, 0, 0, 0, 1])).then_some(Self { to, token, ..Self::new([0; 8]) })
    }

    /// Seals these frames, padded to the length that a server requires.
    #[must_use]
    pub fn seal(&self, frames: &[u8]) -> Vec<u8> {
        let ids = [self.to, self.from];
        sealed((self.to, "client"), ids, &self.token, self.number, frames)
    }

    /// Seals a server's answer to this Hello, from that id.
    #[must_use]
    pub fn seal_back(&self, from: [u8; 8], number: u32, frames: &[u8]) -> Vec<u8> {
        sealed((from, "server"), [self.to, from], &[], number, frames)
    }
}

fn sealed(
    (root, side): ([u8; 8], &str),
    [to, from]: [[u8; 8]; 2],
    token: &[u8],
    number: u32,
    frames: &[u8],
) -> Vec<u8> {
    let secret = expand(&hello_root(root), &format!("hikyaku v1 {side}"), 32);
    let key = UnboundKey::new(&AES_128_GCM, &expand(&secret, "key", 16)).expect("16 bytes");
    let mut nonce: [u8; 12] = expand(&secret, "iv", 12).try_into().expect("12 bytes");
    for (byte, number) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= number;
    }
    let mut header = vec![0xc0, 0, 0, 0, 1];
    header.extend_from_slice(&to);
    header.extend_from_slice(&from);
    let token_len = u16::try_from(token.len()).expect("tokens are short") | 0x4000;
    header.extend_from_slice(&token_len.to_be_bytes());
    header.extend_from_slice(token);
    header.extend_from_slice(&number.to_be_bytes());
    let mut body = frames.to_vec();
    body.resize(body.len().max(1_184_usize.saturating_sub(header.len())), 0);
    let nonce = Nonce::assume_unique_for_key(nonce);
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::from(&header), &mut body)
        .expect("a packet is short enough");
    [header, body].concat()
}

/// Returns the tag of a Retry to a Hello to `answered` (M-31).
#[must_use]
pub fn retry_tag(answered: [u8; 8], retry: &[u8]) -> [u8; 16] {
    let secret = expand(&hello_root(answered), "hikyaku v1 retry", 32);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    hmac::sign(&key, retry).as_ref()[..16].try_into().expect("16 of 32 bytes")
}

fn hello_root(destination: [u8; 8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"hikyaku v1 hello");
    hmac::sign(&key, &destination).as_ref().to_vec()
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(secret: &[u8], info: &str, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let prk = Prk::new_less_safe(HKDF_SHA256, secret);
    let expanded =
        prk.expand(&[info.as_bytes()], Len(len)).expect("the length is valid").fill(&mut out);
    expanded.expect("the length matches");
    out
}
