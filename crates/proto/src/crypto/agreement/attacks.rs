//! What has been tried against handshakes like this one, tried against this one (SECURITY.md).
//!
//! In: agreements, and somebody in between or in one's place. Out: refusals. Never: packets.

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

/// An end that shows these certificates, whatever they are, and signs with that key.
fn showing(shown: Vec<Vec<u8>>, key: Arc<dyn SigningKey>) -> Crypto {
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

/// Who has the key of `stolen` shows that of `other`.
fn posing(other: &Crypto, stolen: &[u8; 32]) -> Crypto {
    showing(vec![spki(&other.public_key())], Arc::clone(&certified_key(stolen).key))
}

fn pinned(key: [u8; 32]) -> Trust {
    Trust::Pinned(vec![key])
}

/// How a handshake ends that must not end well.
fn refusal(client: &Crypto, server: &Crypto, trust: Trust) -> Close {
    let mut pair = Pair::new(client, server, trust);
    let close = pair.run().unwrap_err();
    assert!(!(pair.client.is_complete() && pair.server.is_complete()));
    close
}

// Key compromise impersonation: what is stolen from a server makes nobody else to it.
#[test]
fn a_thief_of_the_servers_key_cannot_pose_as_a_client_to_it() {
    let (client, server) = cryptos();
    let server = server.accepting(pinned(client.public_key()));
    let thief = posing(&client, &SERVER);
    assert_eq!(refusal(&thief, &server, Trust::AnyKey).code, DECRYPT_ERROR);
    let itself = Crypto::new(&SERVER);
    assert_eq!(refusal(&itself, &server, Trust::AnyKey).code, Close::ACCESS_DENIED);
}

// The same the other way round.
#[test]
fn a_thief_of_a_clients_key_cannot_pose_as_a_server_to_it() {
    let (client, server) = cryptos();
    let trust = pinned(server.public_key());
    let thief = posing(&server, &CLIENT);
    assert_eq!(refusal(&client, &thief, trust.clone()).code, DECRYPT_ERROR);
    assert_eq!(refusal(&client, &Crypto::new(&CLIENT), trust).code, Close::ACCESS_DENIED);
}

// Unknown key share: nobody gets between two ends that know each other's keys, even where he lets
// in anybody himself; and nobody can show a key as his that is another's.
#[test]
fn a_relay_with_keys_of_its_own_is_noticed_by_pins_on_both_ends() {
    let (client, server) = cryptos();
    let relay = Crypto::new(&ATTACKER);
    let trust = pinned(server.public_key());
    let server = server.accepting(pinned(client.public_key()));
    assert_eq!(refusal(&client, &relay, trust.clone()).code, Close::ACCESS_DENIED);
    assert_eq!(refusal(&relay, &server, Trust::AnyKey).code, Close::ACCESS_DENIED);
    assert_eq!(refusal(&client, &posing(&server, &ATTACKER), trust).code, DECRYPT_ERROR);
    let posing = posing(&client, &ATTACKER);
    assert_eq!(refusal(&posing, &server, Trust::AnyKey).code, DECRYPT_ERROR);
}

/// Signs as anybody can who shows a point of small order for his key.
#[derive(Debug)]
struct Anybody([u8; 64]);

impl SigningKey for Anybody {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(Self(self.0)) as _)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Anybody {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

// With the neutral element for key and for R, and S = 0, every message is signed.
#[test]
fn a_key_that_anybody_can_sign_for_is_refused() {
    let (client, server) = cryptos();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let anybody = showing(vec![spki(&neutral)], Arc::new(Anybody(signature)));
    assert_eq!(refusal(&anybody, &server, Trust::AnyKey).code, BAD_CERTIFICATE);
    assert_eq!(refusal(&client, &anybody, Trust::AnyKey).code, BAD_CERTIFICATE);
    // So with the others, whoever could sign for them; p + 1 is 1 once more.
    for (first, rest, last) in [(0, 0, 0x80), (1, 0, 0x80), (0xec, 0xff, 0xff), (0xee, 0xff, 0x7f)]
    {
        let mut weak = [rest; 32];
        (weak[0], weak[31]) = (first, last);
        let anybody = showing(vec![spki(&weak)], Arc::new(Anybody(signature)));
        assert_eq!(refusal(&anybody, &server, Trust::AnyKey).code, BAD_CERTIFICATE, "{first:x}");
    }
}

// RFC 7250: a certificate, or more than one key, in the place of the one key.
#[test]
fn a_certificate_in_a_keys_place_is_refused_by_either_side() {
    let (client, server) = cryptos();
    let key = || Arc::clone(&certified_key(&ATTACKER).key);
    let own = spki(&Crypto::new(&ATTACKER).public_key());
    // The first bytes of a certificate around the key (RFC 5280 section 4.1).
    let certificate = [&[0x30, 0x5a, 0x30, 0x47, 0xa0, 3, 2, 1, 2][..], &own].concat();
    for shown in [vec![certificate], vec![own.clone(), own.clone()], vec![own[..43].to_vec()]] {
        let attacker = showing(shown, key());
        assert!(refusal(&client, &attacker, Trust::AnyKey).code > Close::CRYPTO_ERROR);
        assert!(refusal(&attacker, &server, Trust::AnyKey).code > Close::CRYPTO_ERROR);
    }
    assert_eq!(Pair::new(&client, &showing(vec![own], key()), Trust::AnyKey).run(), Ok(()));
}

/// Says that it has certificates of the other kind.
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

// Neither side settles for certificates, which nobody here would verify.
#[test]
fn an_end_that_has_certificates_alone_is_refused() {
    let (client, server) = cryptos();
    let certificates = Arc::new(Certificates(certified_key(&ATTACKER)));
    let mut attacker = Crypto::new(&ATTACKER);
    Arc::make_mut(&mut attacker.server).cert_resolver = Arc::clone(&certificates) as _;
    Arc::make_mut(&mut attacker.client).client_auth_cert_resolver = certificates;
    assert!(refusal(&client, &attacker, Trust::AnyKey).code > Close::CRYPTO_ERROR);
    assert!(refusal(&attacker, &server, Trust::AnyKey).code > Close::CRYPTO_ERROR);
}

// A peer without a key is nobody, whatever is accepted.
#[test]
fn a_client_that_shows_no_key_is_refused() {
    let (client, server) = cryptos();
    let nobody = showing(Vec::new(), Arc::clone(&certified_key(&ATTACKER).key));
    assert!(refusal(&nobody, &server, Trust::AnyKey).code > Close::CRYPTO_ERROR);
    assert!(refusal(&client, &nobody, Trust::AnyKey).code > Close::CRYPTO_ERROR);
}

#[test]
fn another_application_protocol_or_none_ends_the_handshake() {
    for protocols in [vec![], vec![b"hikyaku/2".to_vec()], vec![b"h3".to_vec()]] {
        let (client, server) = cryptos();
        let mut other = Crypto::new(&ATTACKER);
        Arc::make_mut(&mut other.client).alpn_protocols.clone_from(&protocols);
        Arc::make_mut(&mut other.server).alpn_protocols = protocols;
        assert_eq!(refusal(&other, &server, Trust::AnyKey).code, NO_APPLICATION_PROTOCOL);
        assert_eq!(refusal(&client, &other, Trust::AnyKey).code, NO_APPLICATION_PROTOCOL);
    }
}

// M-14: both ends know whether they named the same application, and speak with each other anyway.
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
        let mut pair = Pair::new(&named(client, ours), &named(server, theirs), Trust::AnyKey);
        pair.run().unwrap();
        assert!(pair.client.is_complete() && pair.server.is_complete());
        let found = [pair.client.shares_application(), pair.server.shares_application()];
        assert_eq!(found, [shared, shared], "{ours:?} {theirs:?}");
    }
}

/// Carries the client's Hello to the server, changed on the way; how the server takes it, and then
/// the client the answer.
fn meddled(client: &Crypto, server: &Crypto, change: impl FnOnce(&mut Vec<u8>)) -> [bool; 2] {
    let mut pair = Pair::new(client, server, Trust::AnyKey);
    let Some(Outcome::Bytes { level, mut bytes }) = pair.client.poll_outcome() else {
        panic!("a client begins with bytes");
    };
    change(&mut bytes);
    if pair.server.read(level, &bytes).is_err() {
        return [false, false];
    }
    [true, pair.run().is_ok() && pair.client.is_complete()]
}

/// Where `needle` stands, from which there is one.
fn find(bytes: &[u8], needle: &[u8]) -> usize {
    let mut all = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(needle));
    let (Some(at), None) = (all.next(), all.next()) else { panic!("it stands there once") };
    at
}

// The groups that a client supports are under both ends' signatures and Finished.
#[test]
fn the_post_quantum_group_cannot_be_talked_away() {
    let client = Crypto::new(&CLIENT).without_resumption();
    let server = Crypto::new(&SERVER).without_resumption();
    // supported_groups: X25519MLKEM768 and X25519.
    let groups = [0, 10, 0, 6, 0, 4, 0x11, 0xec, 0, 0x1d];
    assert_eq!(meddled(&client, &server, |hello| _ = find(hello, &groups)), [true, true]);
    let taken_away = |hello: &mut Vec<u8>| {
        let at = find(hello, &groups);
        hello[at + 6..at + 8].copy_from_slice(&[0x0a, 0x0a]); // one that nobody has
    };
    assert_eq!(meddled(&client, &server, taken_away), [true, false], "it goes on, and is noticed");
}

// A share of small order would make an agreement that anybody knows.
#[test]
fn a_key_share_of_zeros_is_refused() {
    let x25519 = [provider::kx_group::X25519];
    let suites = [provider::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let client = with_only(&CLIENT, &suites, &x25519.map(|group| group as _));
    let share = |hello: &[u8]| find(hello, &[0, 51, 0, 38, 0, 36, 0, 0x1d, 0, 32]) + 10;
    let server = Crypto::new(&SERVER);
    assert_eq!(meddled(&client, &server, |hello| _ = share(hello)), [true, true]);
    for low in [0, 1] {
        let zeroed = |hello: &mut Vec<u8>| {
            let at = share(hello);
            hello[at..at + 32].fill(0);
            hello[at] = low;
        };
        assert_eq!(meddled(&client, &server, zeroed), [false, false], "{low}");
    }
}

// A Hello that never ends is kept up to a limit.
#[test]
fn a_hello_without_end_is_refused_within_64_kib() {
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

// Where another server stands at the address, its ticket is nothing there.
#[test]
fn a_ticket_of_one_server_is_nothing_to_another() {
    let (client, server) = cryptos();
    complete(&client, &server);
    let other = Crypto::new(&ATTACKER);
    let mut pair = Pair::new(&client, &other, Trust::AnyKey);
    assert!(pair.client.zero_rtt_seal().is_some());
    pair.run().unwrap();
    assert!(!pair.client.is_resumed());
    assert_eq!(pair.server.early_accepted(), Some(false));
    assert!(pair.server.zero_rtt_open().is_none());
    assert_eq!(pair.client.peer_key(), Some(other.public_key()), "not the one remembered");
    // And under a pin: with the ticket at hand, the other is still refused.
    let trust = pinned(server.public_key());
    Pair::new(&client, &server, trust.clone()).run().unwrap();
    assert_eq!(refusal(&client, &other, trust).code, Close::ACCESS_DENIED);
}

// M-10: what goes early is sealed by TLS alone, which the shared key is no part of.
#[test]
fn with_a_shared_key_nothing_is_sent_early_and_nothing_taken() {
    for (ours, theirs) in [(true, true), (true, false), (false, true)] {
        let with = |crypto: Crypto, it| if it { crypto.with_shared_key(&[7; 32]) } else { crypto };
        let (client, server) = cryptos();
        let (client, server) = (with(client, ours), with(server, theirs));
        complete(&client, &server);
        let mut pair = Pair::new(&client, &server, Trust::AnyKey);
        let offered = pair.client.zero_rtt_seal().is_some();
        pair.run().unwrap();
        assert!(!offered && pair.server.zero_rtt_open().is_none(), "{ours} {theirs}");
        assert!(pair.client.is_resumed() && pair.server.is_resumed(), "{ours} {theirs}");
    }
}

// M-10: sessions of before are not taken for a proof of the new key.
#[test]
fn a_changed_shared_key_forgets_the_sessions_of_the_former() {
    let (client, server) = cryptos();
    complete(&client, &server);
    let changed = server.with_shared_key(&[7; 32]);
    let mut pair = Pair::new(&client, &changed, Trust::AnyKey);
    pair.run().unwrap();
    assert!(!pair.server.is_resumed() && pair.server.early_accepted() == Some(false));
    let (mut a, mut b) = data_keys(&pair, &client, &changed);
    assert_eq!(carries(&mut a, &mut b), Err(Discard::Unauthentic));
}

// RFC 9001 section 6: in QUIC's way keys change by the phase bit; and nobody renegotiates.
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
