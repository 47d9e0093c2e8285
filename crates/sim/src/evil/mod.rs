//! An authenticated peer that seals arbitrary frames. It connects like an honest one, takes the
//! connection's keys from the key log, and from then on sends what [`frames`] generates.
//!
//! In: time, datagrams. Out: datagrams. Never: a socket, an honest frame after the handshake.
//!
//! Its sealing is written from PROTOCOL.md and shares no code with the protocol.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{SHA256, digest},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};

use crate::{
    api::{self, Datagram, Endpoint, EndpointConfig, Output, Time},
    rng::Rng,
};

pub mod frames;

/// The length of a data packet's header.
const HEADER: usize = 13;

/// The length of a tag.
const TAG: usize = 16;

/// The length of the shortest packet.
const MIN_PACKET: usize = 41;

/// Above all packet numbers that its endpoint uses in the handshake.
const FIRST_NUMBER: u64 = 1_000;

/// The number of received packet numbers that are kept for ACKs.
const HEARD: usize = 256;

/// A peer during its handshake, in which it is honest.
pub struct Dialler {
    endpoint: Endpoint,
    to: SocketAddr,
    log: Arc<Log>,
    /// The id that the server chose.
    id: Option<[u8; 8]>,
    buffer: Vec<u8>,
}

/// A peer with the keys of its connection.
pub struct Evil {
    to: [u8; 8],
    keys: Keys,
    /// The keys of the other end.
    theirs: Keys,
    number: u64,
    /// The latest packet numbers of the other end, ascending.
    pub(crate) heard: Vec<u64>,
}

/// Packet keys of one direction, with the mask of the nonce.
struct Keys {
    key: LessSafeKey,
    mask: [u8; NONCE_LEN],
}

/// Records the secret from which data keys are derived.
#[derive(Debug, Default)]
struct Log(Mutex<Option<Vec<u8>>>);

impl hikyaku_proto::KeyLog for Log {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == "EXPORTER_SECRET" {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret.to_vec());
        }
    }
}

impl std::fmt::Debug for Dialler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialler").field("to", &self.to).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Evil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evil").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Dialler {
    /// Connects. `seed` determines the identity.
    ///
    /// # Errors
    /// A description of the failure.
    pub fn new(now: Time, to: SocketAddr, seed: u64) -> Result<Self, String> {
        let log = Arc::new(Log::default());
        let mut random = Rng::new(seed);
        let mut identity = [0; 32];
        hikyaku_proto::rng::Random::fill(&mut random, &mut identity);
        let crypto = api::crypto(identity, None).with_key_log(Arc::clone(&log) as _);
        let mut endpoint = Endpoint::new(EndpointConfig::client(crypto), Box::new(random));
        api::dial(&mut endpoint, now, to)?;
        Ok(Self { endpoint, to, log, id: None, buffer: Vec::new() })
    }

    /// Returns the datagrams to send now.
    pub fn poll(&mut self, now: Time) -> Vec<Vec<u8>> {
        self.endpoint.handle_timeout(now);
        let mut datagrams = Vec::new();
        loop {
            match self.endpoint.poll_output(now, &mut self.buffer) {
                Output::Transmit(transmit) => {
                    let bytes = &self.buffer[..transmit.len];
                    datagrams.extend(bytes.chunks(transmit.segment_size).map(<[u8]>::to_vec));
                }
                Output::Event(..) => {}
                Output::Timeout(_) => return datagrams,
            }
        }
    }

    /// Handles a datagram. Returns the evil peer with the first data packet of the complete
    /// connection.
    ///
    /// # Errors
    /// If the other end uses ciphers that PROTOCOL.md does not name.
    pub fn handle_datagram(&mut self, now: Time, datagram: &[u8]) -> Result<Option<Evil>, String> {
        // Long form: first byte, version, destination, source.
        if datagram.first().is_some_and(|first| first & 0x80 != 0) {
            self.id = datagram.get(13..21).and_then(|id| id.try_into().ok());
        }
        self.endpoint.handle_datagram(now, Datagram::new(self.to, &mut datagram.to_vec()));
        let secret = self.log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (self.id, secret) {
            (Some(id), Some(secret)) if datagram[0] & 0x80 == 0 => {
                Evil::new(id, &secret, datagram).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Evil {
    /// Derives the keys with which this packet of the other end opens.
    fn new(to: [u8; 8], secret: &[u8], packet: &[u8]) -> Result<Self, String> {
        let root = Salt::new(HKDF_SHA256, &[]).extract(&exported(secret));
        for (cipher, key_len) in [(&AES_128_GCM, 16), (&CHACHA20_POLY1305, 32)] {
            let [ours, theirs] = ["hikyaku v1 client", "hikyaku v1 server"].map(|direction| {
                let secret =
                    Prk::new_less_safe(HKDF_SHA256, &expand(&root, &[direction.as_bytes()], 32));
                let key = UnboundKey::new(cipher, &expand(&secret, &[b"key"], key_len));
                let mask = expand(&secret, &[b"iv"], NONCE_LEN).try_into().unwrap_or_default();
                key.map(|key| Keys { key: LessSafeKey::new(key), mask })
            });
            if let (Ok(keys), Ok(theirs)) = (ours, theirs)
                && theirs.open(packet).is_some()
            {
                return Ok(Self { to, keys, theirs, number: FIRST_NUMBER, heard: Vec::new() });
            }
        }
        Err("no cipher opens what the other end sealed".into())
    }

    /// Records the number of a packet of the other end, to acknowledge it.
    pub fn handle_datagram(&mut self, datagram: &[u8]) {
        let Some(number) = number_of(datagram) else { return };
        if self.heard.last().is_none_or(|last| number > *last) {
            self.heard.push(number);
        }
        if self.heard.len() > 2 * HEARD {
            self.heard.drain(..HEARD);
        }
    }

    /// Returns `true` if this packet of the other end closes the connection.
    #[must_use]
    pub fn is_closed(&self, datagram: &[u8]) -> bool {
        let Some(frames) = self.theirs.open(datagram) else { return false };
        frames::is_close(&frames)
    }

    /// Seals the next packet, with these frames.
    pub fn seal(&mut self, frames: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x40];
        packet.extend_from_slice(&self.to);
        packet.extend_from_slice(&(self.number as u32).to_be_bytes());
        let header: [u8; HEADER] = packet[..].try_into().unwrap_or_default();
        packet.extend_from_slice(frames);
        packet.resize(packet.len().max(MIN_PACKET - TAG), 0);
        let mut sealed = packet.split_off(HEADER);
        let nonce = self.keys.nonce(self.number);
        if let Ok(tag) =
            self.keys.key.seal_in_place_separate_tag(nonce, Aad::from(header), &mut sealed)
        {
            packet.extend_from_slice(&sealed);
            packet.extend_from_slice(tag.as_ref());
        }
        self.number += 1;
        packet
    }
}

impl Keys {
    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.mask;
        for (byte, of_number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= of_number;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn open(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let number = number_of(packet)?;
        let (header, sealed) = packet.split_at(HEADER);
        let mut sealed = sealed.to_vec();
        let opened = self.key.open_in_place(self.nonce(number), Aad::from(header), &mut sealed);
        opened.ok().map(|frames| frames.to_vec())
    }
}

/// Returns the number of a data packet, of which there were fewer than 2^32.
fn number_of(packet: &[u8]) -> Option<u64> {
    let data = packet.first()? & 0x80 == 0;
    let number = packet.get(9..HEADER)?.try_into().ok()?;
    data.then_some(u32::from_be_bytes(number).into())
}

/// TLS-Exporter("EXPORTER-hikyaku-v1", "", 32), RFC 8446 section 7.5.
fn exported(secret: &[u8]) -> Vec<u8> {
    let nothing = digest(&SHA256, &[]);
    let derived = expand_label(secret, b"EXPORTER-hikyaku-v1", nothing.as_ref());
    expand_label(&derived, b"exporter", nothing.as_ref())
}

/// HKDF-Expand-Label of 32 bytes, RFC 8446 section 7.1.
fn expand_label(secret: &[u8], label: &[u8], context: &[u8]) -> Vec<u8> {
    let secret = Prk::new_less_safe(HKDF_SHA256, secret);
    let head = [0, 32, 6 + label.len() as u8];
    let info = [&head[..], b"tls13 ", label, &[context.len() as u8], context];
    expand(&secret, &info, 32)
}

fn expand(secret: &Prk, info: &[&[u8]], len: usize) -> Vec<u8> {
    struct Len(usize);
    impl KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = vec![0; len];
    // Fails only for lengths above 255 hashes.
    let _ = secret.expand(info, Len(len)).and_then(|okm| okm.fill(&mut out));
    out
}
