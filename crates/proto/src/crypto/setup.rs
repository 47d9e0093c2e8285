//! The TLS configuration an endpoint brings to every handshake: identity, trust, sessions.
//!
//! In: an identity and choices. Out: TLS's configurations. Never: a connection, a clock.
//!
//! Only this file, `agreement` and `packet` (for the keys of TLS) know rustls.

// Longer than 400 lines: client and server configurations share identity, trust and sessions.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, ServerConfig, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs as provider},
    pki_types::{
        CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
    },
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage, ServerSessionMemoryCache,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::TLS13,
};
use zeroize::Zeroizing;

use super::{cookie::ResetKey, packet::Secret};
use crate::{limits::MAX_APPLICATION, time::Time};

/// The protocol and its version, as an ALPN name (RFC 7301).
pub(super) const ALPN: &[u8] = b"hikyaku/1";

/// The number of sessions remembered for resumption at each end, about 300 bytes each. The oldest
/// are dropped first.
const REMEMBERED_SESSIONS: usize = 1_024;

/// The value by which QUIC allows early data and leaves its limit to other means (RFC 9001 section
/// 4.6.1).
const EARLY_DATA: u32 = u32::MAX;

/// The PKCS#8 header before the 32 bytes of an Ed25519 seed (RFC 8410 section 7).
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The SubjectPublicKeyInfo header before the 32 bytes of an Ed25519 public key (RFC 8410 section
/// 4).
pub(super) const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The peers with which a handshake may succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// Any peer that proves to have its key. The caller checks the key afterwards.
    AnyKey,
    /// Peers with one of these Ed25519 public keys.
    Pinned(Vec<[u8; 32]>),
}

impl KeyPolicy {
    pub(super) fn accepts(&self, key: &[u8; 32]) -> bool {
        match self {
            Self::AnyKey => true,
            Self::Pinned(keys) => keys.contains(key),
        }
    }
}

/// A log of handshake secrets, for decrypting captured packets.
pub trait KeyLog: fmt::Debug + Send + Sync {
    /// Logs a secret with its label and the client random of its connection, as in the NSS key log
    /// format. Data keys follow from `EXPORTER_SECRET` (PROTOCOL.md section 2).
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]);
}

#[derive(Debug)]
struct RustlsKeyLog(Arc<dyn KeyLog>);

impl rustls::KeyLog for RustlsKeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.0.log(label, client_random, secret);
    }
}

/// An endpoint's identity and secrets, and the sessions it can resume. Clones share them.
#[derive(Clone)]
pub struct Crypto {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    pub(super) accepts: Arc<KeyPolicy>,
    pub(super) resumes: bool,
    shared_key: Option<Arc<Zeroizing<[u8; 32]>>>,
    public_key: [u8; 32],
    reset_secret: Arc<Secret>,
    time: Arc<SharedTime>,
}

impl Crypto {
    /// Creates the configuration for the Ed25519 key pair of this seed (RFC 8032 section 5.1.5). It
    /// accepts any client.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self::with_provider(seed, provider_for_all())
    }

    /// Accepts only these clients. Servers are chosen per connection.
    #[must_use]
    pub fn accepting(mut self, trust: KeyPolicy) -> Self {
        self.accepts = Arc::new(trust);
        self
    }

    /// Mixes a secret known to both ends into the data keys (M-10). Early data is then neither sent
    /// nor accepted, because the 0-RTT keys come from TLS alone. Forgets existing sessions.
    #[must_use]
    pub fn with_shared_key(mut self, key: &[u8; 32]) -> Self {
        self.shared_key = Some(Arc::new(Zeroizing::new(*key)));
        let server = Arc::make_mut(&mut self.server);
        server.max_early_data_size = 0;
        let client = Arc::make_mut(&mut self.client);
        client.enable_early_data = false;
        if self.resumes {
            server.session_storage = ServerSessionMemoryCache::new(REMEMBERED_SESSIONS);
            client.resumption = Resumption::in_memory_sessions(REMEMBERED_SESSIONS);
        }
        self
    }

    /// Offers an application protocol by name (M-14), truncated to [`MAX_APPLICATION`] bytes. A
    /// peer that does not offer the same name is still accepted.
    #[must_use]
    pub fn with_application(mut self, name: &str) -> Self {
        let name = name.as_bytes();
        let name = name.get(..MAX_APPLICATION).unwrap_or(name);
        let protocols = vec![[ALPN, b" ", name].concat(), ALPN.to_vec()];
        Arc::make_mut(&mut self.server).alpn_protocols.clone_from(&protocols);
        Arc::make_mut(&mut self.client).alpn_protocols = protocols;
        self
    }

    /// Logs the secrets of every handshake to `log`, which allows its reader to decrypt all
    /// traffic.
    #[must_use]
    pub fn with_key_log(mut self, log: Arc<dyn KeyLog>) -> Self {
        let log = Arc::new(RustlsKeyLog(log));
        Arc::make_mut(&mut self.server).key_log = Arc::clone(&log) as _;
        Arc::make_mut(&mut self.client).key_log = log;
        self
    }

    /// Disables session tickets: every handshake is a full one, without 0-RTT.
    #[must_use]
    pub fn without_resumption(mut self) -> Self {
        self.resumes = false;
        let server = Arc::make_mut(&mut self.server);
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.max_early_data_size = 0;
        let client = Arc::make_mut(&mut self.client);
        client.resumption = Resumption::disabled();
        client.enable_early_data = false;
        self
    }

    /// Returns the Ed25519 public key that peers see.
    #[must_use]
    pub const fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// Sets the time by which tickets age (24 hours), the only clock of TLS. Set it before
    /// handshakes begin or read; it never goes back.
    pub fn set_time(&self, now: Time) {
        self.time.0.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    /// Returns the secret known to both ends, if one was given.
    pub(super) fn shared_key(&self) -> Option<&[u8; 32]> {
        self.shared_key.as_deref().map(|key| &**key)
    }

    /// Returns the key of stateless resets for the endpoint at `local` of this host. It is the same
    /// after a restart with the same identity, and differs for every other address and host.
    /// Otherwise an endpoint could be made to reveal the tokens of another's ids (RFC 9000 section
    /// 21.11).
    pub(crate) fn reset_key(&self, local: SocketAddr, host: &str) -> ResetKey {
        let local = format!("{local}{host}");
        ResetKey::new(&self.reset_secret.derive("hikyaku v1 reset", local.as_bytes()))
    }

    pub(super) fn with_provider(seed: &[u8; 32], provider: CryptoProvider) -> Self {
        // aws-lc's randomness takes some 50 ms to initialize, once per process: do it before a
        // handshake.
        let _ = provider.secure_random.fill(&mut [0]);
        let key = certified_key(seed);
        let public_key = key
            .cert
            .first()
            .and_then(|spki| ed25519_key(spki))
            .expect("certified_key makes an Ed25519 SubjectPublicKeyInfo");
        let (time, provider) = (Arc::new(SharedTime::default()), Arc::new(provider));
        Self {
            server: Arc::new(server_config(&provider, &time, &key)),
            client: Arc::new(client_config(&provider, &time, &key)),
            accepts: Arc::new(KeyPolicy::AnyKey),
            resumes: true,
            shared_key: None,
            public_key,
            reset_secret: Arc::new(Secret::extract(b"hikyaku v1 reset", seed)),
            time,
        }
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("accepts", &self.accepts)
            .field("resumes", &self.resumes)
            .finish_non_exhaustive()
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    time: &Arc<SharedTime>,
    key: &Arc<CertifiedKey>,
) -> ServerConfig {
    let (provider, time) = (Arc::clone(provider), Arc::clone(time));
    let mut config = ServerConfig::builder_with_details(Arc::clone(&provider), time)
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has TLS 1.3 suites and groups")
        .with_client_cert_verifier(Arc::new(RawKeys::new(&provider)))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(key))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Kept here instead of sealed into the tickets: each can be used once, so 0-RTT data cannot be
    // replayed to this server (RFC 8446 section 8.1), and no clock has to rotate ticket keys.
    config.session_storage = ServerSessionMemoryCache::new(REMEMBERED_SESSIONS);
    config.send_tls13_tickets = 1;
    config.max_early_data_size = EARLY_DATA;
    config.send_half_rtt_data = false; // M-11
    config
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    time: &Arc<SharedTime>,
    key: &Arc<CertifiedKey>,
) -> ClientConfig {
    let (provider, time) = (Arc::clone(provider), Arc::clone(time));
    let mut config = ClientConfig::builder_with_details(Arc::clone(&provider), time)
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has TLS 1.3 suites and groups")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(RawKeys::new(&provider)))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::clone(
            key,
        ))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::in_memory_sessions(REMEMBERED_SESSIONS);
    config.enable_early_data = true;
    config.enable_sni = false; // names mean nothing here
    config
}

/// Returns the suites and groups of PROTOCOL.md section 2, in order of preference.
fn provider_for_all() -> CryptoProvider {
    let aes = provider::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let chacha = provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
    let suites = if has_aes() { vec![aes, chacha] } else { vec![chacha, aes] };
    CryptoProvider {
        cipher_suites: suites,
        kx_groups: vec![provider::kx_group::X25519MLKEM768, provider::kx_group::X25519],
        ..provider::default_provider()
    }
}

/// Returns `true` if the processor has AES instructions. Without them ChaCha20-Poly1305 is faster,
/// and software AES is hard to protect against timing attacks.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// Returns the key pair of `seed` for TLS, with the raw public key in place of a certificate.
pub(super) fn certified_key(seed: &[u8; 32]) -> Arc<CertifiedKey> {
    let mut der = Zeroizing::new([0; PKCS8_HEAD.len() + 32]);
    der[..PKCS8_HEAD.len()].copy_from_slice(&PKCS8_HEAD);
    der[PKCS8_HEAD.len()..].copy_from_slice(seed);
    let key = provider::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&der[..]))
        .expect("any 32 bytes are an Ed25519 seed (RFC 8032 section 5.1.5)");
    let spki = key.public_key().expect("rustls knows the public key of an Ed25519 key");
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki.as_ref().to_vec())], key))
}

/// Returns the public key in a SubjectPublicKeyInfo, if it is an Ed25519 key and not a weak one.
pub(super) fn ed25519_key(spki: &[u8]) -> Option<[u8; 32]> {
    spki.strip_prefix(&SPKI_HEAD)?.try_into().ok().filter(|key| !is_weak(key))
}

/// Returns `true` for a point of small order. Anybody can sign for those, and the signature check
/// does not reject them (RFC 8032 section 5.1.7 leaves it open). Covers each encoding that a
/// decoder may accept and ignores the sign, which is the last bit.
fn is_weak(key: &[u8; 32]) -> bool {
    const fn around(first: u8, middle: u8, last: u8) -> [u8; 32] {
        let mut point = [middle; 32];
        (point[0], point[31]) = (first, last);
        point
    }
    const WEAK: [[u8; 32]; 7] = [
        around(0, 0, 0),
        around(1, 0, 0),
        *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\
          \xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
        *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\
          \x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
        // p − 1, p and p + 1, where p = 2^255 − 19.
        around(0xec, 0xff, 0x7f),
        around(0xed, 0xff, 0x7f),
        around(0xee, 0xff, 0x7f),
    ];
    let mut unsigned = *key;
    unsigned[31] &= 0x7f;
    WEAK.contains(&unsigned)
}

/// The time that TLS sees, in µs, set by the caller and never read from a clock.
#[derive(Debug, Default)]
struct SharedTime(AtomicU64);

impl TimeProvider for SharedTime {
    fn current_time(&self) -> Option<UnixTime> {
        let time = Duration::from_micros(self.0.load(Ordering::Relaxed));
        Some(UnixTime::since_unix_epoch(time))
    }
}

/// Accepts any peer that proves to have its Ed25519 key (RFC 7250, RFC 8446 section 4.4.2).
///
/// `agreement` then asks [`KeyPolicy`] whether the key is trusted, because a resumed handshake does
/// not call this verifier, and because rustls resumes only under the same verifier.
#[derive(Debug)]
struct RawKeys(WebPkiSupportedAlgorithms);

impl RawKeys {
    const fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }

    fn check(key: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        if others.is_empty() && ed25519_key(key).is_some() {
            Ok(())
        } else {
            Err(CertificateError::BadEncoding.into())
        }
    }

    fn verify(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signed.scheme != SignatureScheme::ED25519 {
            return Err(PeerIncompatible::NoSignatureSchemesInCommon.into());
        }
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &self.0)
    }
}

impl ServerCertVerifier for RawKeys {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Self::check(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls13RequiredForQuic.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for RawKeys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Self::check(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls13RequiredForQuic.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
