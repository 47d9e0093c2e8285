//! Forged first packets: those of real clients, with other connection ids.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk},
    hmac,
};
use hikyaku_proto::{Crypto, Endpoint, EndpointConfig, KeyPolicy, Output, time::Time};

use crate::dice::Dice;

/// First byte, version, both ids, the length of an empty token, the number.
const HEADER: usize = 1 + 4 + 8 + 8 + 1 + 4;
const TO: std::ops::Range<usize> = 5..13;
const FROM: std::ops::Range<usize> = 13..21;
const NUMBER: std::ops::Range<usize> = HEADER - 4..HEADER;

/// The position of the random bytes of a DTLS ClientHello, after the record header, message header
/// and version (RFC 6347 sections 4.1, 4.2.2 and 4.2.1).
pub(super) const DTLS_RANDOM: std::ops::Range<usize> = 27..59;

/// Creates a client endpoint with a random key.
pub(super) fn dialler(seed: u64) -> Endpoint {
    let mut config = EndpointConfig::client(Crypto::new(&[7; 32]));
    config.max_connections = 1 << 20;
    Endpoint::new(config, Box::new(Dice(seed)))
}

/// Returns the datagrams of one client's first flight.
pub(super) fn first_flight(to: SocketAddr) -> Result<Vec<Vec<u8>>> {
    let (mut client, mut out) = (dialler(1), Vec::new());
    let now = Time::from_micros(1);
    client.connect(now, to, KeyPolicy::AnyKey)?;
    let mut flight = Vec::new();
    while let Output::Transmit(train) = client.poll_output(now, &mut out) {
        flight.extend(out[..train.len].chunks(train.segment_size).map(<[u8]>::to_vec));
    }
    Ok(flight)
}

/// Returns the same flight for another client, sealed again because its keys depend on its id.
pub(super) fn another(flight: &[Vec<u8>], dice: &mut Dice) -> Result<Vec<Vec<u8>>> {
    let to: [u8; 8] = dice.array();
    flight.iter().map(|datagram| resealed(datagram, to)).collect()
}

fn resealed(datagram: &[u8], to: [u8; 8]) -> Result<Vec<u8>> {
    let mut datagram = datagram.to_vec();
    let (header, body) = datagram.split_at_mut_checked(HEADER).context("too short")?;
    let number = header[NUMBER].try_into()?;
    let (key, nonce) = hello_key(&header[TO], number)?;
    let plain = key.open_in_place(nonce, Aad::from(&header), body)?.len();
    header[TO].copy_from_slice(&to);
    let (key, nonce) = hello_key(&to, number)?;
    let (body, end) = body.split_at_mut(plain);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&header), body)?;
    end.copy_from_slice(tag.as_ref());
    Ok(datagram)
}

/// Returns a Hello with a random token.
pub(super) fn with_token(datagram: &[u8], dice: &mut Dice) -> Vec<u8> {
    let token: [u8; 48] = dice.array();
    let mut with = datagram[..HEADER - 5].to_vec();
    with.push(token.len() as u8);
    with.extend_from_slice(&token);
    with.extend_from_slice(&datagram[HEADER - 4..datagram.len() - token.len()]);
    with
}

/// Returns the client's own id in a long packet, which stays the same for the connection.
pub(super) fn source_of(datagram: &[u8]) -> Option<[u8; 8]> {
    datagram.get(FROM)?.try_into().ok()
}

/// Derives the Hello key as in PROTOCOL.md section 2.
fn hello_key(to: &[u8], number: [u8; 4]) -> Result<(LessSafeKey, Nonce)> {
    let salt = hmac::Key::new(hmac::HMAC_SHA256, b"hikyaku v1 hello");
    let root = hmac::sign(&salt, to);
    let secret: [u8; 32] = expand(root.as_ref(), b"hikyaku v1 client")?;
    let key = UnboundKey::new(&AES_128_GCM, &expand::<16>(&secret, b"key")?)?;
    let mut nonce: [u8; 12] = expand(&secret, b"iv")?;
    for (byte, number) in nonce[8..].iter_mut().zip(number) {
        *byte ^= number;
    }
    Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
}

fn expand<const N: usize>(secret: &[u8], info: &[u8]) -> Result<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = [0; N];
    Prk::new_less_safe(HKDF_SHA256, secret).expand(&[info], Length(N))?.fill(&mut out)?;
    Ok(out)
}
