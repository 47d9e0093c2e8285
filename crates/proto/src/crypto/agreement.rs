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
    setup::{ALPN, Crypto, Trust, ed25519_key},
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
    trust: Arc<Trust>,
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
        trust: Trust,
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

    fn new(crypto: &Crypto, tls: Connection, side: Side, trust: Arc<Trust>) -> Self {
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
fn session_name(server: SocketAddr, trust: &Trust) -> ServerName<'static> {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(server.to_string().as_bytes());
    if let Trust::Pinned(keys) = trust {
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
mod tests {
    use std::time::Duration;

    use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};

    use super::*;
    use crate::{
        crypto::packet::tests::{FRAMES, HEADER, unsealed},
        error::Discard,
        time::Time,
    };

    pub(super) const CLIENT: [u8; 32] = [1; 32];
    pub(super) const SERVER: [u8; 32] = [2; 32];

    /// Two agreements joined by function calls, and everything each has produced.
    pub(super) struct Pair {
        pub(super) client: Agreement,
        pub(super) server: Agreement,
        client_keys: Option<LevelKeys>,
        server_keys: Option<LevelKeys>,
        /// Sender, level and number of bytes, in order.
        flights: Vec<(Side, Level, usize)>,
    }

    impl Pair {
        pub(super) fn new(client: &Crypto, server: &Crypto, trust: Trust) -> Self {
            Self {
                client: Agreement::client(client, address(), trust, b"client's".to_vec()).unwrap(),
                server: Agreement::server(server, b"server's".to_vec()).unwrap(),
                client_keys: None,
                server_keys: None,
                flights: Vec::new(),
            }
        }

        /// Carries one side's output to the other. Returns `true` if there was any.
        pub(super) fn carry(&mut self, from: Side) -> Result<bool, Close> {
            let (sender, keys, receiver) = match from {
                Side::Client => (&mut self.client, &mut self.client_keys, &mut self.server),
                Side::Server => (&mut self.server, &mut self.server_keys, &mut self.client),
            };
            let mut any = false;
            while let Some(outcome) = sender.poll_outcome() {
                any = true;
                match outcome {
                    Outcome::HandshakeKeys(new) => {
                        assert!(keys.replace(new).is_none(), "handshake keys come once");
                    }
                    Outcome::Bytes { level, bytes } => {
                        self.flights.push((from, level, bytes.len()));
                        // In pieces, as packets would carry it.
                        bytes.chunks(500).try_for_each(|bytes| receiver.read(level, bytes))?;
                    }
                }
            }
            Ok(any)
        }

        pub(super) fn run(&mut self) -> Result<(), Close> {
            while self.carry(Side::Client)? | self.carry(Side::Server)? {}
            Ok(())
        }
    }

    pub(super) fn address() -> SocketAddr {
        "192.0.2.1:443".parse().unwrap()
    }

    pub(super) fn cryptos() -> (Crypto, Crypto) {
        (Crypto::new(&CLIENT), Crypto::new(&SERVER))
    }

    pub(super) fn complete(client: &Crypto, server: &Crypto) -> Pair {
        let mut pair = Pair::new(client, server, Trust::AnyKey);
        pair.run().unwrap();
        assert!(pair.client.is_complete() && pair.server.is_complete());
        pair
    }

    /// Seals with one side's data keys and opens with the other's.
    pub(super) fn carries(from: &mut DataKeys, to: &mut DataKeys) -> Result<(), Discard> {
        let mut packet = unsealed();
        let phase = from.phase_to_send().unwrap();
        from.seal(0, &mut packet, HEADER.len());
        let keep = Duration::ZERO;
        to.open(phase, 0, &mut packet, HEADER.len(), Time::ZERO, || keep)
            .map(|plain| assert_eq!(plain, FRAMES))
    }

    pub(super) fn data_keys(pair: &Pair, client: &Crypto, server: &Crypto) -> (DataKeys, DataKeys) {
        (pair.client.data_keys(client).unwrap(), pair.server.data_keys(server).unwrap())
    }

    pub(super) fn with_only(
        seed: &[u8; 32],
        suites: &[rustls::SupportedCipherSuite],
        groups: &[&'static dyn rustls::crypto::SupportedKxGroup],
    ) -> Crypto {
        let provider = CryptoProvider {
            cipher_suites: suites.to_vec(),
            kx_groups: groups.to_vec(),
            ..provider::default_provider()
        };
        Crypto::with_provider(seed, provider)
    }

    #[test]
    fn both_sides_see_the_others_key_and_parameters() {
        let (client, server) = cryptos();
        let pair = complete(&client, &server);
        assert_eq!(pair.client.peer_key(), Some(server.public_key()));
        assert_eq!(pair.server.peer_key(), Some(client.public_key()));
        assert_eq!(pair.client.peer_params(), Some(&b"server's"[..]));
        assert_eq!(pair.server.peer_params(), Some(&b"client's"[..]));
    }

    #[test]
    fn the_public_key_is_the_seeds() {
        // RFC 8032 section 7.1, test 1.
        let seed = *b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\
            \x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
        let key = *b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\
            \x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
        assert_eq!(Crypto::new(&seed).public_key(), key);
    }

    #[test]
    fn data_and_handshake_keys_match_in_both_directions() {
        let (client, server) = cryptos();
        let pair = complete(&client, &server);
        let (mut ours, mut theirs) = data_keys(&pair, &client, &server);
        assert_eq!(carries(&mut ours, &mut theirs), Ok(()));
        assert_eq!(carries(&mut theirs, &mut ours), Ok(()));

        let (ours, theirs) = (pair.client_keys.unwrap(), pair.server_keys.unwrap());
        for (seal, open) in [(&ours.seal, &theirs.open), (&theirs.seal, &ours.open)] {
            let mut packet = unsealed();
            seal.seal(3, &mut packet, HEADER.len());
            let mut damaged = packet.clone();
            assert_eq!(open.open(3, &mut packet, HEADER.len()), Ok(FRAMES));
            damaged[HEADER.len()] ^= 1;
            let end: [u8; 16] = *damaged.last_chunk().unwrap();
            let opened = open.open(3, &mut damaged, HEADER.len());
            assert_eq!(opened, Err(Discard::Unauthentic));
            assert_eq!(damaged.last_chunk(), Some(&end), "M-60");
        }
    }

    #[test]
    fn every_suite_and_group_agrees() {
        let aes = provider::cipher_suite::TLS13_AES_128_GCM_SHA256;
        let chacha = provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
        let (hybrid, x25519) = (provider::kx_group::X25519MLKEM768, provider::kx_group::X25519);
        for suite in [aes, chacha] {
            for groups in [&[hybrid][..], &[x25519], &[x25519, hybrid]] {
                let client = Crypto::new(&CLIENT);
                let server = with_only(&SERVER, &[suite], groups);
                let pair = complete(&client, &server);
                let tls = &pair.server.tls;
                assert_eq!(tls.negotiated_cipher_suite(), Some(suite));
                let group = tls.negotiated_key_exchange_group().unwrap().name();
                assert!(groups.iter().any(|offered| offered.name() == group));
                let (mut ours, mut theirs) = data_keys(&pair, &client, &server);
                assert_eq!(carries(&mut ours, &mut theirs), Ok(()));
                assert_eq!(carries(&mut theirs, &mut ours), Ok(()));
            }
        }
    }

    #[test]
    fn the_post_quantum_group_is_preferred() {
        let (client, server) = cryptos();
        let pair = complete(&client, &server);
        let group = pair.client.tls.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    }

    #[test]
    fn nothing_in_common_ends_with_an_alert() {
        let client = Crypto::new(&CLIENT);
        let aes256 = provider::cipher_suite::TLS13_AES_256_GCM_SHA384;
        let server = with_only(&SERVER, &[aes256], &[provider::kx_group::X25519]);
        let close = Pair::new(&client, &server, Trust::AnyKey).run().unwrap_err();
        assert_eq!(close.code, Close::CRYPTO_ERROR + 40, "handshake_failure");
    }

    #[test]
    fn the_flights_have_their_known_sizes() {
        let (client, server) = cryptos();
        let pair = complete(&client, &server);
        let [hello, server_hello, server_rest, client_rest, ticket] = pair.flights[..] else {
            panic!("five flights, not {:?}", pair.flights);
        };
        let expected = [
            (hello, Side::Client, Level::Hello, 1_300..1_440),
            (server_hello, Side::Server, Level::Hello, 1_150..1_220),
            (server_rest, Side::Server, Level::Handshake, 180..240),
            (client_rest, Side::Client, Level::Handshake, 150..180),
            (ticket, Side::Server, Level::Data, 80..130),
        ];
        for ((from, level, len), side, at, lens) in expected {
            assert_eq!((from, level), (side, at));
            assert!(lens.contains(&len), "{side:?} {level:?}: {len}");
        }
    }

    #[test]
    fn pinned_keys_are_accepted_and_others_refused_by_either_side() {
        let (client, server) = cryptos();
        let pinned = |keys: &[&Crypto]| {
            Trust::Pinned(keys.iter().map(|crypto| crypto.public_key()).collect())
        };
        let access_denied = Close::CRYPTO_ERROR + 49;

        let mut right = Pair::new(&client, &server, pinned(&[&client, &server]));
        assert_eq!(right.run(), Ok(()));
        let mut wrong = Pair::new(&client, &server, pinned(&[&client]));
        assert_eq!(wrong.run().unwrap_err().code, access_denied);
        assert!(wrong.client.poll_outcome().is_none(), "not even our own key is shown");
        assert!(!wrong.client.is_complete() && wrong.client.data_keys(&client).is_none());

        let server = server.clone().accepting(pinned(&[&server]));
        let mut wrong = Pair::new(&client, &server, Trust::AnyKey);
        assert_eq!(wrong.run().unwrap_err().code, access_denied);
        assert!(!wrong.server.is_complete() && wrong.server.data_keys(&server).is_none());
        let server = server.accepting(pinned(&[&client]));
        assert_eq!(Pair::new(&client, &server, Trust::AnyKey).run(), Ok(()));
        let nobody = server.accepting(Trust::Pinned(Vec::new()));
        let mut wrong = Pair::new(&client, &nobody, Trust::AnyKey);
        assert_eq!(wrong.run().unwrap_err().code, access_denied);
    }

    #[test]
    fn a_key_no_longer_trusted_is_refused_in_a_resumed_handshake_too() {
        let (client, server) = cryptos();
        complete(&client, &server);
        // The same sessions, fewer keys.
        let server = server.accepting(Trust::Pinned(Vec::new()));
        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        assert_eq!(pair.run().unwrap_err().code, Close::CRYPTO_ERROR + 49);
        assert!(pair.server.is_resumed());
        assert!(pair.server.poll_outcome().is_none());
    }

    // M-10
    #[test]
    fn data_packets_open_only_with_the_same_shared_key_on_both_sides() {
        let keys: [Option<[u8; 32]>; 3] = [None, Some([7; 32]), Some([8; 32])];
        for ours in keys {
            for theirs in keys {
                let with = |crypto: Crypto, key: Option<[u8; 32]>| match key {
                    Some(key) => crypto.with_shared_key(&key),
                    None => crypto,
                };
                let (client, server) = cryptos();
                let (client, server) = (with(client, ours), with(server, theirs));
                let pair = complete(&client, &server);
                let (mut a, mut b) = data_keys(&pair, &client, &server);
                let expected = if ours == theirs { Ok(()) } else { Err(Discard::Unauthentic) };
                assert_eq!(carries(&mut a, &mut b), expected, "M-10");
                assert_eq!(carries(&mut b, &mut a), expected, "M-10");
            }
        }
    }

    // M-11
    #[test]
    fn no_side_has_data_keys_before_the_peers_finished() {
        let (client, server) = cryptos();
        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        assert!(pair.client.data_keys(&client).is_none());
        pair.carry(Side::Client).unwrap();
        assert!(pair.server.data_keys(&server).is_none(), "M-11");
        pair.carry(Side::Server).unwrap();
        assert!(pair.client.data_keys(&client).is_some());
        assert!(pair.server.data_keys(&server).is_none(), "M-11");
        pair.carry(Side::Client).unwrap();
        assert!(pair.server.data_keys(&server).is_some());
    }

    #[test]
    fn a_second_handshake_resumes_with_early_data_and_knows_the_peer() {
        let (client, server) = cryptos();
        let first = complete(&client, &server);
        assert_eq!(first.client.early_accepted(), Some(false));
        assert_eq!(first.server.early_accepted(), Some(false));
        assert!(first.client.zero_rtt_seal().is_none());

        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        let seal = pair.client.zero_rtt_seal().unwrap();
        assert_eq!(pair.client.peer_params(), Some(&b"server's"[..]), "remembered");
        assert_eq!(pair.client.early_accepted(), None);
        let mut packet = unsealed();
        seal.seal(1, &mut packet, HEADER.len());
        pair.carry(Side::Client).unwrap();
        assert_eq!(pair.server.early_accepted(), Some(true));
        let open = pair.server.zero_rtt_open().unwrap();
        assert_eq!(open.open(1, &mut packet, HEADER.len()), Ok(FRAMES));
        assert!(pair.server.zero_rtt_seal().is_none() && pair.client.zero_rtt_open().is_none());

        pair.run().unwrap();
        assert!(pair.client.is_resumed() && pair.server.is_resumed());
        assert_eq!(pair.client.early_accepted(), Some(true));
        assert_eq!(pair.client.peer_key(), Some(server.public_key()));
        assert_eq!(pair.server.peer_key(), Some(client.public_key()));
        let (mut ours, mut theirs) = data_keys(&pair, &client, &server);
        assert_eq!(carries(&mut ours, &mut theirs), Ok(()));
    }

    #[test]
    fn a_replayed_first_flight_gets_no_early_data_accepted() {
        let (client, server) = cryptos();
        complete(&client, &server);
        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        let Some(Outcome::Bytes { level, bytes }) = pair.client.poll_outcome() else {
            panic!("the client sends the first bytes");
        };
        pair.server.read(level, &bytes).unwrap();
        assert_eq!(pair.server.early_accepted(), Some(true));
        let mut replayed = Agreement::server(&server, Vec::new()).unwrap();
        replayed.read(level, &bytes).unwrap();
        assert_eq!(replayed.early_accepted(), Some(false));
    }

    #[test]
    fn a_server_that_forgot_refuses_early_data_and_goes_on() {
        let (client, server) = cryptos();
        complete(&client, &server);
        let restarted = Crypto::new(&SERVER);
        let mut pair = Pair::new(&client, &restarted, Trust::AnyKey);
        assert!(pair.client.zero_rtt_seal().is_some());
        pair.run().unwrap();
        assert_eq!(pair.client.early_accepted(), Some(false), "M-37");
        assert_eq!(pair.server.early_accepted(), Some(false));
        assert!(pair.server.zero_rtt_open().is_none());
        assert_eq!(pair.client.peer_key(), Some(server.public_key()));
    }

    #[test]
    fn tickets_age_by_the_time_that_was_set() {
        let (client, server) = cryptos();
        complete(&client, &server);
        let day = Time::ZERO + Duration::from_secs(24 * 3_600 + 1);
        client.set_time(day);
        let pair = Pair::new(&client, &server, Trust::AnyKey);
        assert!(pair.client.zero_rtt_seal().is_none());
        client.set_time(Time::ZERO);
        complete(&client, &server);
        assert!(Pair::new(&client, &server, Trust::AnyKey).client.zero_rtt_seal().is_some());
    }

    #[test]
    fn a_session_is_resumed_only_at_its_address_and_under_its_trust() {
        let (client, server) = cryptos();
        complete(&client, &server);
        let pinned = Trust::Pinned(vec![server.public_key()]);
        assert!(Pair::new(&client, &server, pinned).client.zero_rtt_seal().is_none());
        let elsewhere = "192.0.2.1:444".parse().unwrap();
        let other = Agreement::client(&client, elsewhere, Trust::AnyKey, Vec::new()).unwrap();
        assert!(other.zero_rtt_seal().is_none());
    }

    #[test]
    fn without_resumption_there_are_no_tickets() {
        for (ours, theirs) in [(true, false), (false, true)] {
            let with = |crypto: Crypto, it| if it { crypto } else { crypto.without_resumption() };
            let (client, server) = cryptos();
            let (client, server) = (with(client, ours), with(server, theirs));
            complete(&client, &server);
            let pair = complete(&client, &server);
            assert!(!pair.client.is_resumed() && !pair.server.is_resumed());
        }
    }

    #[test]
    fn it_is_over_once_the_ticket_has_arrived() {
        let (client, server) = cryptos();
        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        for from in [Side::Client, Side::Server, Side::Client] {
            pair.carry(from).unwrap();
            assert!(!pair.client.is_over() && !pair.server.is_over());
        }
        pair.carry(Side::Server).unwrap();
        assert!(pair.client.is_over() && pair.server.is_over());
    }

    #[test]
    fn handshake_bytes_in_a_hello_packet_are_refused() {
        let (client, server) = cryptos();
        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        pair.carry(Side::Client).unwrap();
        let Some(Outcome::Bytes { level: Level::Hello, bytes: mut hello }) =
            pair.server.poll_outcome()
        else {
            panic!("the server answers with bytes");
        };
        assert!(matches!(pair.server.poll_outcome(), Some(Outcome::HandshakeKeys(_))));
        let Some(Outcome::Bytes { bytes: rest, .. }) = pair.server.poll_outcome() else {
            panic!("the server sends a second flight");
        };
        let mut joined = Agreement::client(&client, address(), Trust::AnyKey, Vec::new()).unwrap();
        std::mem::swap(&mut joined, &mut pair.client);
        hello.extend(&rest);
        assert!(joined.read(Level::Hello, &hello).is_err(), "in one piece with the ServerHello");
        assert!(!joined.is_complete());
    }

    #[test]
    fn bytes_of_another_level_are_a_violation() {
        let (client, server) = cryptos();
        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        for level in [Level::Handshake, Level::ZeroRtt, Level::Data] {
            let mut server = Agreement::server(&server, Vec::new()).unwrap();
            let close = server.read(level, &[1]).unwrap_err();
            assert_eq!(close.code, Close::PROTOCOL_VIOLATION, "{level:?}");
        }
        pair.run().unwrap();
        let close = pair.client.read(Level::Hello, &[1]).unwrap_err();
        assert_eq!(close.code, Close::PROTOCOL_VIOLATION);
    }

    #[test]
    fn garbage_ends_the_handshake_for_good() {
        let server = Crypto::new(&SERVER);
        let mut server = Agreement::server(&server, Vec::new()).unwrap();
        let close = server.read(Level::Hello, &[0xff; 64]).unwrap_err();
        assert!(close.code > Close::CRYPTO_ERROR && close.code < Close::CRYPTO_ERROR + 256);
        assert_eq!(server.read(Level::Hello, &[]).unwrap_err(), close);
        assert!(server.poll_outcome().is_none() && !server.is_complete());
    }

    /// A dependency of the handshake that panics.
    #[derive(Debug)]
    struct Panics;

    impl super::super::KeyLog for Panics {
        fn log(&self, _label: &str, _client_random: &[u8], _secret: &[u8]) {
            panic!("deliberate panic, contained by the test");
        }
    }

    #[test]
    fn a_panic_within_tls_ends_only_its_handshake() {
        let (client, server) = cryptos();
        let server = server.with_key_log(Arc::new(Panics));
        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        let close = pair.run().unwrap_err();
        assert_eq!(close.code, Close::CRYPTO_ERROR + 80, "internal_error");
        assert!(pair.server.poll_outcome().is_none() && !pair.server.is_complete());
        assert_eq!(pair.server.read(Level::Hello, &[]).unwrap_err(), close);
    }

    #[test]
    fn every_damaged_byte_of_a_flight_stops_the_handshake() {
        let (client, server) = cryptos();
        let damage = |from: Side, flight: usize, at: usize| {
            let client = client.clone().without_resumption();
            let mut pair = Pair::new(&client, &server, Trust::AnyKey);
            for turn in 0.. {
                let sender = if turn % 2 == 0 { Side::Client } else { Side::Server };
                let (out, into) = match sender {
                    Side::Client => (&mut pair.client, &mut pair.server),
                    Side::Server => (&mut pair.server, &mut pair.client),
                };
                let mut sent = 0;
                while let Some(outcome) = out.poll_outcome() {
                    let Outcome::Bytes { level, mut bytes } = outcome else { continue };
                    if (sender, turn / 2 + sent) == (from, flight) {
                        let at = at % bytes.len();
                        bytes[at] ^= 0x10;
                    }
                    sent += 1;
                    if into.read(level, &bytes).is_err() {
                        return true;
                    }
                }
                if sent == 0 {
                    return !(pair.client.is_complete() && pair.server.is_complete());
                }
            }
            false
        };
        for (from, flight) in [(Side::Client, 0), (Side::Server, 0), (Side::Server, 1)] {
            for at in (0..1_400).step_by(61) {
                assert!(damage(from, flight, at), "{from:?} flight {flight} byte {at}");
            }
        }
        for at in (0..170).step_by(13) {
            assert!(damage(Side::Client, 1, at), "client's last flight, byte {at}");
        }
    }

    #[test]
    fn nothing_secret_is_shown_by_debug() {
        let crypto = Crypto::new(&[0xab; 32]).with_shared_key(&[0xcd; 32]);
        let shown = format!("{crypto:?}");
        assert_eq!(shown, "Crypto { accepts: AnyKey, resumes: true, .. }");
    }
}
