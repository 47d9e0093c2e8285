//! One TLS 1.3 handshake (RFC 8446, carried as in RFC 9001), from the first bytes to the keys.
//!
//! In: handshake bytes of a level, in order. Out: the same, keys, the peer's key and parameters.
//! Never: packets, frames, loss, time (`Crypto::set_time` sets the clock that tickets age by).
//!
//! Allocates as TLS does. Drop it once [`Agreement::is_over`]: an idle connection needs none.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use aws_lc_rs::digest;
use rustls::{
    AlertDescription, CipherSuite,
    pki_types::ServerName,
    quic::{self, Connection, KeyChange, Version},
};
use zeroize::Zeroizing;

use super::{
    Side,
    packet::{Cipher, LevelKeys, OpenKey, SealKey, Secret},
    phases::DataKeys,
    setup::{ALPN, Crypto, KeyPolicy, ed25519_key},
};
use crate::{error::Close, wire::level::Level};

/// The label of the secret exported from TLS (RFC 8446 section 7.5).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-hikyaku-v1";

/// A result of a handshake in progress.
pub(crate) enum Outcome {
    /// Bytes for CRYPTO frames of this level, to follow those produced for it before.
    Bytes {
        /// Hello, Handshake or Data.
        level: Level,
        /// Never empty.
        bytes: Vec<u8>,
    },
    /// The keys of the Handshake level; produced once.
    HandshakeKeys(LevelKeys),
}

/// A handshake, and the TLS messages that follow it.
pub(crate) struct Agreement {
    tls: Box<Connection>,
    side: Side,
    trust: Arc<KeyPolicy>,
    resumes: bool,
    early_offered: bool,
    /// The level of the bytes that TLS writes next.
    writes: Level,
    has_handshake_keys: bool,
    peer_key: Option<[u8; 32]>,
    outcomes: VecDeque<Outcome>,
    failed: Option<Close>,
}

impl Agreement {
    /// Begins a client's handshake with the server at `server`, with these transport parameters.
    ///
    /// Resumes a session with that address under the same `trust` when there is one.
    ///
    /// # Errors
    /// INTERNAL when TLS cannot begin (no randomness).
    pub(crate) fn client(
        crypto: &Crypto,
        server: SocketAddr,
        trust: KeyPolicy,
        params: Vec<u8>,
    ) -> Result<Self, Close> {
        let (config, name) = (Arc::clone(&crypto.client), session_name(server, &trust));
        let tls = quic::ClientConnection::new(config, Version::V1, name, params)
            .map_err(|_| Close::new(Close::INTERNAL, "TLS could not begin"))?;
        let mut agreement = Self::new(crypto, tls.into(), Side::Client, Arc::new(trust));
        agreement.early_offered = agreement.tls.zero_rtt_keys().is_some();
        agreement.collect();
        Ok(agreement)
    }

    /// Begins a server's handshake, with these transport parameters, for clients that `crypto`
    /// accepts.
    ///
    /// # Errors
    /// INTERNAL when TLS cannot begin.
    pub(crate) fn server(crypto: &Crypto, params: Vec<u8>) -> Result<Self, Close> {
        let tls = quic::ServerConnection::new(Arc::clone(&crypto.server), Version::V1, params)
            .map_err(|_| Close::new(Close::INTERNAL, "TLS could not begin"))?;
        Ok(Self::new(crypto, tls.into(), Side::Server, Arc::clone(&crypto.accepts)))
    }

    fn new(crypto: &Crypto, tls: Connection, side: Side, trust: Arc<KeyPolicy>) -> Self {
        Self {
            tls: Box::new(tls),
            side,
            trust,
            resumes: crypto.resumes,
            early_offered: false,
            writes: Level::Hello,
            has_handshake_keys: false,
            peer_key: None,
            outcomes: VecDeque::new(),
            failed: None,
        }
    }

    /// Reads the next bytes of the peer's CRYPTO stream of `level`. Call [`Self::poll_outcome`]
    /// afterwards until it returns `None`.
    ///
    /// # Errors
    /// CRYPTO_ERROR with TLS's alert, or with `access_denied` when the peer's key is not
    /// trusted; PROTOCOL_VIOLATION for bytes of a level that has ended or not begun (RFC 9001
    /// section 4.1.3). After an error every later call fails and there are no more outcomes. A
    /// panic of the TLS library while it reads the peer's bytes is reported as the alert
    /// `internal_error` and ends only this handshake.
    pub(crate) fn read(&mut self, level: Level, bytes: &[u8]) -> Result<(), Close> {
        if let Some(close) = &self.failed {
            return Err(close.clone());
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.try_read(level, bytes)))
            .unwrap_or_else(|_| Err(close_of(None)));
        if let Err(close) = &result {
            self.failed = Some(close.clone());
            self.outcomes.clear();
        }
        result
    }

    fn try_read(&mut self, level: Level, bytes: &[u8]) -> Result<(), Close> {
        if level != self.level_to_read() {
            return Err(Close::violation("handshake bytes at a wrong level"));
        }
        self.tls.read_hs(bytes).map_err(|_| close_of(self.tls.alert()))?;
        self.check_peer()?;
        self.collect();
        Ok(())
    }

    fn level_to_read(&self) -> Level {
        if self.is_complete() {
            Level::Data
        } else if self.has_handshake_keys {
            Level::Handshake
        } else {
            Level::Hello
        }
    }

    /// Checks the peer's key as soon as TLS has verified it, in a resumed handshake too, and before
    /// anything that TLS answered is sent.
    fn check_peer(&mut self) -> Result<(), Close> {
        if self.peer_key.is_some() {
            return Ok(());
        }
        let key = match self.tls.peer_certificates() {
            None if self.tls.is_handshaking() => return Ok(()),
            Some([key]) => ed25519_key(key),
            _ => None,
        };
        // TLS demands a key of the right form on both sides; this check does not rely on it.
        let key = key.ok_or_else(|| close_of(Some(AlertDescription::CertificateRequired)))?;
        self.peer_key = Some(key);
        if !self.trust.accepts(&key) {
            return Err(close_of(Some(AlertDescription::AccessDenied)));
        }
        Ok(())
    }

    /// Collects all bytes that TLS wants to send, and the keys it has made.
    fn collect(&mut self) {
        loop {
            let mut bytes = Vec::new();
            let change = self.tls.write_hs(&mut bytes);
            let wrote = !bytes.is_empty();
            if wrote {
                self.outcomes.push_back(Outcome::Bytes { level: self.writes, bytes });
            }
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    self.has_handshake_keys = true;
                    self.writes = Level::Handshake;
                    self.outcomes.push_back(Outcome::HandshakeKeys(LevelKeys::handshake(keys)));
                }
                // The data keys are our own (PROTOCOL.md section 2); those of TLS are not used.
                Some(KeyChange::OneRtt { .. }) => self.writes = Level::Data,
                None if !wrote => return,
                None => {}
            }
        }
    }

    /// Returns the next outcome, in order.
    pub(crate) fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// Returns `true` once the peer's Finished is verified. From then on there are data keys.
    pub(crate) fn is_complete(&self) -> bool {
        self.failed.is_none() && !self.tls.is_handshaking()
    }

    /// Returns `true` if the handshake is complete, with no outcomes left and nothing to wait for
    /// (a client that may resume waits for a ticket). It can then be dropped; keep the peer's key.
    pub(crate) fn is_over(&self) -> bool {
        let waits = match &*self.tls {
            Connection::Client(tls) => self.resumes && tls.tls13_tickets_received() == 0,
            Connection::Server(_) => false,
        };
        self.is_complete() && self.outcomes.is_empty() && !waits
    }

    /// Returns the Ed25519 key whose possession the peer has proved (in a resumed handshake: proved
    /// earlier), whether it is trusted or not. Before the handshake is complete, it may be a
    /// replay.
    pub(crate) const fn peer_key(&self) -> Option<[u8; 32]> {
        self.peer_key
    }

    /// Returns `true` if both ends named the same application (M-14).
    pub(crate) fn shares_application(&self) -> bool {
        self.tls.alpn_protocol().is_some_and(|protocol| protocol != ALPN)
    }

    /// Returns the peer's transport parameters. Do not rely on them before the handshake is
    /// complete: a client that resumes has those of the previous connection until the server's
    /// arrive.
    pub(crate) fn peer_params(&self) -> Option<&[u8]> {
        self.tls.quic_transport_parameters()
    }

    /// Returns `true` if the handshake resumed an earlier session.
    #[cfg(test)]
    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Returns a client's key for ZeroRtt packets, available from the start if it resumes a
    /// session.
    pub(crate) fn zero_rtt_seal(&self) -> Option<SealKey> {
        let key = self.tls.zero_rtt_keys().filter(|_| self.side == Side::Client)?;
        Some(SealKey::tls(key.packet))
    }

    /// Returns a server's key for ZeroRtt packets, once it has read a Hello whose early data it
    /// accepts.
    pub(crate) fn zero_rtt_open(&self) -> Option<OpenKey> {
        let key = self.tls.zero_rtt_keys().filter(|_| self.side == Side::Server)?;
        Some(OpenKey::tls(key.packet))
    }

    /// Returns `true` if ZeroRtt was accepted, or `None` while that is unknown; also `Some(false)`
    /// when the client did not offer it. A client knows when the handshake is complete (M-37).
    pub(crate) fn early_accepted(&self) -> Option<bool> {
        match &*self.tls {
            Connection::Client(_) if !self.early_offered => Some(false),
            Connection::Client(tls) => self.is_complete().then(|| tls.is_early_data_accepted()),
            Connection::Server(tls) => {
                self.has_handshake_keys.then(|| tls.zero_rtt_keys().is_some())
            }
        }
    }

    /// Returns the keys of data packets (PROTOCOL.md section 2) once the handshake is complete.
    /// Call it only once: a second set would use the same packet numbers under the same keys.
    pub(crate) fn data_keys(&self, crypto: &Crypto) -> Option<DataKeys> {
        if !self.is_complete() {
            return None;
        }
        let cipher = match self.tls.negotiated_cipher_suite()?.suite() {
            CipherSuite::TLS13_AES_128_GCM_SHA256 => Cipher::Aes128Gcm,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Cipher::ChaCha20Poly1305,
            _ => return None, // no other suite is offered
        };
        let exported = Zeroizing::new([0; 32]);
        let exported = self.tls.export_keying_material(exported, EXPORTER_LABEL, None).ok()?;
        // As the HMAC key, the shared key protects the output even if the TLS secret is known.
        let salt = crypto.shared_key().map_or(&[][..], |key| &key[..]);
        Some(DataKeys::new(cipher, &Secret::extract(salt, &exported[..]), self.side))
    }
}

/// Returns the name under which a session is kept. It covers the address and the trust, so that a
/// ticket is never shown to a server it did not come from. It has the form of an IP address because
/// rustls requires a name and never sends this kind.
fn session_name(server: SocketAddr, trust: &KeyPolicy) -> ServerName<'static> {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(server.to_string().as_bytes());
    if let KeyPolicy::Pinned(keys) = trust {
        hash.update(b" pinned ");
        keys.iter().for_each(|key| hash.update(key));
    }
    let hash = hash.finish();
    let name: [u8; 16] = *hash.as_ref().first_chunk().expect("SHA-256 gives 32 bytes");
    ServerName::from(IpAddr::V6(Ipv6Addr::from(name)))
}

/// Returns a close with TLS's alert, or with `internal_error` when TLS gave none.
fn close_of(alert: Option<AlertDescription>) -> Close {
    let alert = alert.unwrap_or(AlertDescription::InternalError);
    let reason = match alert {
        AlertDescription::AccessDenied => "the key is not trusted",
        AlertDescription::NoApplicationProtocol => "no protocol in common",
        AlertDescription::HandshakeFailure => "no cipher or key exchange in common",
        AlertDescription::CertificateRequired => "a key is required",
        AlertDescription::DecryptError => "a signature or a Finished is wrong",
        _ => "the TLS handshake failed",
    };
    Close::new(Close::CRYPTO_ERROR + u64::from(u8::from(alert)), reason)
}

#[cfg(test)]
mod attacks;

#[cfg(test)]
mod tests;
