//! Tests of handshakes between two agreements.

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
    pub(super) fn new(client: &Crypto, server: &Crypto, trust: KeyPolicy) -> Self {
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
    let mut pair = Pair::new(client, server, KeyPolicy::AnyKey);
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
fn the_public_key_belongs_to_the_seed() {
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
    let close = Pair::new(&client, &server, KeyPolicy::AnyKey).run().unwrap_err();
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
        KeyPolicy::Pinned(keys.iter().map(|crypto| crypto.public_key()).collect())
    };
    let access_denied = Close::CRYPTO_ERROR + 49;

    let mut right = Pair::new(&client, &server, pinned(&[&client, &server]));
    assert_eq!(right.run(), Ok(()));
    let mut wrong = Pair::new(&client, &server, pinned(&[&client]));
    assert_eq!(wrong.run().unwrap_err().code, access_denied);
    assert!(wrong.client.poll_outcome().is_none(), "not even our own key is shown");
    assert!(!wrong.client.is_complete() && wrong.client.data_keys(&client).is_none());

    let server = server.clone().accepting(pinned(&[&server]));
    let mut wrong = Pair::new(&client, &server, KeyPolicy::AnyKey);
    assert_eq!(wrong.run().unwrap_err().code, access_denied);
    assert!(!wrong.server.is_complete() && wrong.server.data_keys(&server).is_none());
    let server = server.accepting(pinned(&[&client]));
    assert_eq!(Pair::new(&client, &server, KeyPolicy::AnyKey).run(), Ok(()));
    let nobody = server.accepting(KeyPolicy::Pinned(Vec::new()));
    let mut wrong = Pair::new(&client, &nobody, KeyPolicy::AnyKey);
    assert_eq!(wrong.run().unwrap_err().code, access_denied);
}

#[test]
fn a_key_no_longer_trusted_is_refused_in_a_resumed_handshake_too() {
    let (client, server) = cryptos();
    complete(&client, &server);
    // The same sessions, fewer keys.
    let server = server.accepting(KeyPolicy::Pinned(Vec::new()));
    let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
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
    let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
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

    let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
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
    let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
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
fn a_server_without_its_sessions_refuses_early_data_and_continues() {
    let (client, server) = cryptos();
    complete(&client, &server);
    let restarted = Crypto::new(&SERVER);
    let mut pair = Pair::new(&client, &restarted, KeyPolicy::AnyKey);
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
    let pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
    assert!(pair.client.zero_rtt_seal().is_none());
    client.set_time(Time::ZERO);
    complete(&client, &server);
    assert!(Pair::new(&client, &server, KeyPolicy::AnyKey).client.zero_rtt_seal().is_some());
}

#[test]
fn a_session_is_resumed_only_at_its_address_and_under_its_trust() {
    let (client, server) = cryptos();
    complete(&client, &server);
    let pinned = KeyPolicy::Pinned(vec![server.public_key()]);
    assert!(Pair::new(&client, &server, pinned).client.zero_rtt_seal().is_none());
    let elsewhere = "192.0.2.1:444".parse().unwrap();
    let other = Agreement::client(&client, elsewhere, KeyPolicy::AnyKey, Vec::new()).unwrap();
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
    let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
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
    let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
    pair.carry(Side::Client).unwrap();
    let Some(Outcome::Bytes { level: Level::Hello, bytes: mut hello }) = pair.server.poll_outcome()
    else {
        panic!("the server answers with bytes");
    };
    assert!(matches!(pair.server.poll_outcome(), Some(Outcome::HandshakeKeys(_))));
    let Some(Outcome::Bytes { bytes: rest, .. }) = pair.server.poll_outcome() else {
        panic!("the server sends a second flight");
    };
    let mut joined = Agreement::client(&client, address(), KeyPolicy::AnyKey, Vec::new()).unwrap();
    std::mem::swap(&mut joined, &mut pair.client);
    hello.extend(&rest);
    assert!(joined.read(Level::Hello, &hello).is_err(), "in one piece with the ServerHello");
    assert!(!joined.is_complete());
}

#[test]
fn bytes_of_another_level_are_a_violation() {
    let (client, server) = cryptos();
    let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
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
    let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
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
        let mut pair = Pair::new(&client, &server, KeyPolicy::AnyKey);
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
fn debug_output_contains_no_secrets() {
    let crypto = Crypto::new(&[0xab; 32]).with_shared_key(&[0xcd; 32]);
    let shown = format!("{crypto:?}");
    assert_eq!(shown, "Crypto { accepts: AnyKey, resumes: true, .. }");
}
