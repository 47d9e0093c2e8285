//! Known attacks on handshakes like this one, tried against it (SECURITY.md).

use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    client::{AlwaysResolvesClientRawPublicKeys, ResolvesClientCert},
    crypto::aws_lc_rs as provider,
    pki_types::CertificateDer,
    server::{AlwaysResolvesServerRawPublicKeys, ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, Signer, SigningKey},
};

use super::{
    super::setup::{SPKI_HEAD, certified_key},
    tests::{CLIENT, Pair, SERVER, carries, complete, cryptos, data_keys, with_only},
    *,
};
use crate::error::Discard;

const DECRYPT_ERROR: u64 = Close::CRYPTO_ERROR + 51;
const BAD_CERTIFICATE: u64 = Close::CRYPTO_ERROR + 42;
const NO_APPLICATION_PROTOCOL: u64 = Close::CRYPTO_ERROR + 120;
const ATTACKER: [u8; 32] = [0x66; 32];

/// Returns an end that presents these certificates, whatever they are, and signs with that key.
fn presenting(shown: Vec<Vec<u8>>, key: Arc<dyn SigningKey>) -> Crypto {
    let mut crypto = Crypto::new(&ATTACKER).without_resumption();
    let shown = shown.into_iter().map(CertificateDer::from).collect();
    let key = Arc::new(CertifiedKey::new(shown, key));
    Arc::make_mut(&mut crypto.server).cert_resolver =
        Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&key)));
    Arc::make_mut(&mut crypto.client).client_auth_cert_resolver =
        Arc::new(AlwaysResolvesClientRawPublicKeys::new(key));
    crypto
}

fn spki(key: &[u8; 32]) -> Vec<u8> {
    [&SPKI_HEAD[..], key].concat()
}

/// Returns an end with the key of `stolen` that presents the key of `other`.
fn impersonating(other: &Crypto, stolen: &[u8; 32]) -> Crypto {
    presenting(vec![spki(&other.public_key())], Arc::clone(&certified_key(stolen).key))
}

fn pinned(key: [u8; 32]) -> KeyPolicy {
    KeyPolicy::Pinned(vec![key])
}

/// Returns the error of a handshake that must fail.
fn refusal(client: &Crypto, server: &Crypto, trust: KeyPolicy) -> Close {
    let mut pair = Pair::new(client, server, trust);
    let close = pair.run().unwrap_err();
    assert!(!(pair.client.is_complete() && pair.server.is_complete()));
    close
}

// Key compromise impersonation: a server's stolen key impersonates nobody else to that server.
#[test]
fn a_stolen_server_key_cannot_impersonate_a_client_to_that_server() {
    let (client, server) = cryptos();
    let server = server.accepting(pinned(client.public_key()));
    let impostor = impersonating(&client, &SERVER);
    assert_eq!(refusal(&impostor, &server, KeyPolicy::AnyKey).code, DECRYPT_ERROR);
    let itself = Crypto::new(&SERVER);
    assert_eq!(refusal(&itself, &server, KeyPolicy::AnyKey).code, Close::ACCESS_DENIED);
}

// The same in the other direction.
#[test]
fn a_stolen_client_key_cannot_impersonate_a_server_to_that_client() {
    let (client, server) = cryptos();
    let trust = pinned(server.public_key());
    let impostor = impersonating(&server, &CLIENT);
    assert_eq!(refusal(&client, &impostor, trust.clone()).code, DECRYPT_ERROR);
    assert_eq!(refusal(&client, &Crypto::new(&CLIENT), trust).code, Close::ACCESS_DENIED);
}

// Unknown key share: nobody gets between two ends that know each other's keys, even if one accepts
// any client; and nobody can present another's key as their own.
#[test]
fn a_relay_with_keys_of_its_own_is_noticed_by_pins_on_both_ends() {
    let (client, server) = cryptos();
    let relay = Crypto::new(&ATTACKER);
    let trust = pinned(server.public_key());
    let server = server.accepting(pinned(client.public_key()));
    assert_eq!(refusal(&client, &relay, trust.clone()).code, Close::ACCESS_DENIED);
    assert_eq!(refusal(&relay, &server, KeyPolicy::AnyKey).code, Close::ACCESS_DENIED);
    assert_eq!(refusal(&client, &impersonating(&server, &ATTACKER), trust).code, DECRYPT_ERROR);
    let impostor = impersonating(&client, &ATTACKER);
    assert_eq!(refusal(&impostor, &server, KeyPolicy::AnyKey).code, DECRYPT_ERROR);
}

/// Signs as anybody can after presenting a point of small order as the key.
#[derive(Debug)]
struct ForgedSignature([u8; 64]);

impl SigningKey for ForgedSignature {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(Self(self.0)) as _)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for ForgedSignature {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

// With the neutral element as the key and as R, and S = 0, every message verifies.
#[test]
fn a_key_that_anybody_can_sign_for_is_refused() {
    let (client, server) = cryptos();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let forger = presenting(vec![spki(&neutral)], Arc::new(ForgedSignature(signature)));
    assert_eq!(refusal(&forger, &server, KeyPolicy::AnyKey).code, BAD_CERTIFICATE);
    assert_eq!(refusal(&client, &forger, KeyPolicy::AnyKey).code, BAD_CERTIFICATE);
    // The other encodings are refused too, even where nobody can sign for them; p + 1 is another
    // encoding of 1.
    for (first, rest, last) in [(0, 0, 0x80), (1, 0, 0x80), (0xec, 0xff, 0xff), (0xee, 0xff, 0x7f)]
    {
        let mut weak = [rest; 32];
        (weak[0], weak[31]) = (first, last);
        let forger = presenting(vec![spki(&weak)], Arc::new(ForgedSignature(signature)));
        assert_eq!(refusal(&forger, &server, KeyPolicy::AnyKey).code, BAD_CERTIFICATE, "{first:x}");
    }
}

// RFC 7250: a certificate, or more than one key, in place of the one key.
#[test]
fn a_certificate_in_place_of_a_key_is_refused_by_either_side() {
    let (client, server) = cryptos();
    let key = || Arc::clone(&certified_key(&ATTACKER).key);
    let own = spki(&Crypto::new(&ATTACKER).public_key());
    // The first bytes of a certificate around the key (RFC 5280 section 4.1).
    let certificate = [&[0x30, 0x5a, 0x30, 0x47, 0xa0, 3, 2, 1, 2][..], &own].concat();
    for shown in [vec![certificate], vec![own.clone(), own.clone()], vec![own[..43].to_vec()]] {
        let attacker = presenting(shown, key());
        assert!(refusal(&client, &attacker, KeyPolicy::AnyKey).code > Close::CRYPTO_ERROR);
        assert!(refusal(&attacker, &server, KeyPolicy::AnyKey).code > Close::CRYPTO_ERROR);
    }
    assert_eq!(Pair::new(&client, &presenting(vec![own], key()), KeyPolicy::AnyKey).run(), Ok(()));
}

/// Claims to have certificates of the other kind.
#[derive(Debug)]
struct Certificates(Arc<CertifiedKey>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl ResolvesClientCert for Certificates {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

// Neither side falls back to certificates, which nobody here would verify.
#[test]
fn an_end_with_only_certificates_is_refused() {
    let (client, server) = cryptos();
    let certificates = Arc::new(Certificates(certified_key(&ATTACKER)));
    let mut attacker = Crypto::new(&ATTACKER);
    Arc::make_mut(&mut attacker.server).cert_resolver = Arc::clone(&certificates) as _;
    Arc::make_mut(&mut attacker.client).client_auth_cert_resolver = certificates;
    assert!(refusal(&client, &attacker, KeyPolicy::AnyKey).code > Close::CRYPTO_ERROR);
    assert!(refusal(&attacker, &server, KeyPolicy::AnyKey).code > Close::CRYPTO_ERROR);
}

// A peer without a key is refused, whatever is accepted.
#[test]
fn a_client_that_shows_no_key_is_refused() {
    let (client, server) = cryptos();
    let nobody = presenting(Vec::new(), Arc::clone(&certified_key(&ATTACKER).key));
    assert!(refusal(&nobody, &server, KeyPolicy::AnyKey).code > Close::CRYPTO_ERROR);
    assert!(refusal(&client, &nobody, KeyPolicy::AnyKey).code > Close::CRYPTO_ERROR);
}

#[test]
fn another_application_protocol_or_none_ends_the_handshake() {
    for protocols in [vec![], vec![b"hikyaku/2".to_vec()], vec![b"h3".to_vec()]] {
        let (client, server) = cryptos();
        let mut other = Crypto::new(&ATTACKER);
        Arc::make_mut(&mut other.client).alpn_protocols.clone_from(&protocols);
        Arc::make_mut(&mut other.server).alpn_protocols = protocols;
        assert_eq!(refusal(&other, &server, KeyPolicy::AnyKey).code, NO_APPLICATION_PROTOCOL);
        assert_eq!(refusal(&client, &other, KeyPolicy::AnyKey).code, NO_APPLICATION_PROTOCOL);
    }
}

// M-14: both ends know whether they named the same application, and connect in either case.
#[test]
fn the_application_is_shared_where_both_ends_name_the_same() {
    let named = |crypto: Crypto, name: Option<&str>| match name {
        Some(name) => crypto.with_application(name),
        None => crypto,
    };
    let cases = [
        (Some("board/1"), Some("board/1"), true),
        (Some("board/1"), Some("board/2"), false),
        (Some("board/1"), None, false),
        (None, Some("board/1"), false),
        (None, None, false),
    ];
    for (ours, theirs, shared) in cases {
        let (client, server) = cryptos();
        let mut pair = Pair::new(&named(client, ours), &named(server, theirs), KeyPolicy::AnyKey);
        pair.run().unwrap();
        assert!(pair.client.is_complete() && pair.server.is_complete());
        let found = [pair.client.shares_application(), pair.server.shares_application()];
        assert_eq!(found, [shared, shared], "{ours:?} {theirs:?}");
    }
}

/// Carries the client's Hello, changed in transit, to the server, and the answer back. Returns
/// whether the server and the client accepted what they read.
fn tampered(client: &Crypto, server: &Crypto, change: impl FnOnce(&mut Vec<u8>)) -> [bool; 2] {
    let mut pair = Pair::new(client, server, KeyPolicy::AnyKey);
    let Some(Outcome::Bytes { level, mut bytes }) = pair.client.poll_outcome() else {
        panic!("the client sends the first bytes");
    };
    change(&mut bytes);
    if pair.server.read(level, &bytes).is_err() {
        return [false, false];
    }
    [true, pair.run().is_ok() && pair.client.is_complete()]
}

/// Returns the offset of `needle`, which occurs exactly once.
fn find(bytes: &[u8], needle: &[u8]) -> usize {
    let mut all = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(needle));
    let (Some(at), None) = (all.next(), all.next()) else {
        panic!("the needle must occur exactly once")
    };
    at
}

// The groups that a client supports are covered by both ends' signatures and Finished.
#[test]
fn the_post_quantum_group_cannot_be_stripped() {
    let client = Crypto::new(&CLIENT).without_resumption();
    let server = Crypto::new(&SERVER).without_resumption();
    // supported_groups: X25519MLKEM768 and X25519.
    let groups = [0, 10, 0, 6, 0, 4, 0x11, 0xec, 0, 0x1d];
    assert_eq!(tampered(&client, &server, |hello| _ = find(hello, &groups)), [true, true]);
    let stripped = |hello: &mut Vec<u8>| {
        let at = find(hello, &groups);
        hello[at + 6..at + 8].copy_from_slice(&[0x0a, 0x0a]); // a value that no end supports
    };
    assert_eq!(
        tampered(&client, &server, stripped),
        [true, false],
        "the server continues, the client notices"
    );
}

// A share of small order would lead to a secret that the attacker knows.
#[test]
fn a_key_share_of_zeros_is_refused() {
    let x25519 = [provider::kx_group::X25519];
    let suites = [provider::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let client = with_only(&CLIENT, &suites, &x25519.map(|group| group as _));
    let share = |hello: &[u8]| find(hello, &[0, 51, 0, 38, 0, 36, 0, 0x1d, 0, 32]) + 10;
    let server = Crypto::new(&SERVER);
    assert_eq!(tampered(&client, &server, |hello| _ = share(hello)), [true, true]);
    for low in [0, 1] {
        let zeroed = |hello: &mut Vec<u8>| {
            let at = share(hello);
            hello[at..at + 32].fill(0);
            hello[at] = low;
        };
        assert_eq!(tampered(&client, &server, zeroed), [false, false], "{low}");
    }
}

// A Hello that never ends is buffered up to a limit.
#[test]
fn an_endless_hello_is_refused_within_64_kib() {
    for (head, most) in [([1, 0xff, 0xff, 0xff], 4), ([1, 0, 0xff, 0xff], 65_540)] {
        let mut server = Agreement::server(&Crypto::new(&SERVER), Vec::new()).unwrap();
        let mut taken = head.len();
        let mut result = server.read(Level::Hello, &head);
        while result.is_ok() && taken < 1 << 20 {
            result = server.read(Level::Hello, &[0; 1_000]);
            taken += 1_000;
        }
        assert!(result.is_err() && taken <= most + 1_000, "{taken}");
    }
}

// A ticket is worthless to another server at the same address.
#[test]
fn a_ticket_of_one_server_is_ignored_by_another() {
    let (client, server) = cryptos();
    complete(&client, &server);
    let other = Crypto::new(&ATTACKER);
    let mut pair = Pair::new(&client, &other, KeyPolicy::AnyKey);
    assert!(pair.client.zero_rtt_seal().is_some());
    pair.run().unwrap();
    assert!(!pair.client.is_resumed());
    assert_eq!(pair.server.early_accepted(), Some(false));
    assert!(pair.server.zero_rtt_open().is_none());
    assert_eq!(pair.client.peer_key(), Some(other.public_key()), "not the one remembered");
    // With a pinned key the other server is refused in spite of the ticket.
    let trust = pinned(server.public_key());
    Pair::new(&client, &server, trust.clone()).run().unwrap();
    assert_eq!(refusal(&client, &other, trust).code, Close::ACCESS_DENIED);
}

// M-10: early data is sealed by TLS alone, without the shared key.
#[test]
fn with_a_shared_key_there_is_no_early_data() {
    for (ours, theirs) in [(true, true), (true, false), (false, true)] {
        let with = |crypto: Crypto, it| if it { crypto.with_shared_key(&[7; 32]) } else { crypto };
        let (client, server) = cryptos();
        let (client, server) = (with(client, ours), with(server, theirs));
        complete(&client, &server);
        let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
        let offered = pair.client.zero_rtt_seal().is_some();
        pair.run().unwrap();
        assert!(!offered && pair.server.zero_rtt_open().is_none(), "{ours} {theirs}");
        assert!(pair.client.is_resumed() && pair.server.is_resumed(), "{ours} {theirs}");
    }
}

// M-10: earlier sessions are no proof of the new key.
#[test]
fn changing_the_shared_key_forgets_earlier_sessions() {
    let (client, server) = cryptos();
    complete(&client, &server);
    let changed = server.with_shared_key(&[7; 32]);
    let mut pair = Pair::new(&client, &changed, KeyPolicy::AnyKey);
    pair.run().unwrap();
    assert!(!pair.server.is_resumed() && pair.server.early_accepted() == Some(false));
    let (mut a, mut b) = data_keys(&pair, &client, &changed);
    assert_eq!(carries(&mut a, &mut b), Err(Discard::Unauthentic));
}

// RFC 9001 section 6: as in QUIC, keys change by the phase bit, and there is no renegotiation.
#[test]
fn tls_messages_after_the_handshake_change_no_keys() {
    let (client, server) = cryptos();
    // KeyUpdate (asking for one), ClientHello, and one that does not exist.
    for message in [&[24, 0, 0, 1, 1][..], &[1, 0, 0, 0], &[99, 0, 0, 0]] {
        let mut pair = complete(&client, &server);
        assert!(pair.client.read(Level::Data, message).is_err(), "{message:?}");
        assert!(pair.server.read(Level::Data, message).is_err(), "{message:?}");
    }
}
