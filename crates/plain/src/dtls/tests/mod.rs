//! Associations between two sides, over a wire in memory.
//!
//! In: certificates, a clock moved by hand. Out: what both sides report. Never: a socket.

mod addresses;
mod faults;
mod patience;
mod world;

use std::{collections::VecDeque, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use self::world::{Forge, World, lone};
use super::*;
use crate::{
    ReplyTo,
    limits::{DTLS_IDLE, MAX_DTLS_PAYLOAD, MAX_UNVERIFIED_AGE, MAX_UNVERIFIED_PEERS},
};

mod hostile;

/// An issuer, and the certificates it has issued.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.self_signed(&pair).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let made = Certified::from_parts(certificate.der(), pair.serialize_der());
        made.write(
            &folder.path().join("ca.pem"),
            &folder.path().join("ca.key"),
            hikyaku::files::IfExists::Refuse,
        )
        .unwrap();
        Self { folder, issuer: Issuer::new(params, pair) }
    }

    fn anchors(&self) -> Anchors {
        Anchors::read(&self.folder.path().join("ca.pem")).unwrap()
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        let mut params = CertificateParams::new(vec!["server.example".to_owned()]).unwrap();
        change(&mut params);
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.signed_by(&pair, &self.issuer).unwrap();
        Certified::from_parts(certificate.der(), pair.serialize_der())
    }

    fn server(&self) -> Certified {
        self.issue(|_| {})
    }
}

fn wall() -> SystemTime {
    hikyaku::clock::wall()
}

fn client(name: &str, anchors: Anchors) -> ClientConfig {
    ClientConfig::new(name, anchors, None, MinVersion::V1_2, wall()).unwrap()
}

fn server(own: &Certified) -> ServerConfig {
    ServerConfig::new(own, None, MinVersion::V1_2).unwrap()
}

fn address(port: u16) -> ReplyTo {
    std::net::SocketAddr::from(([192, 0, 2, 1], port)).into()
}

/// Returns why the client rejects the server's certificate.
fn refusal(anchors: Anchors, name: &str, own: &Certified) -> Problem {
    let mut world = World::new(server(own), &client(name, anchors));
    world.pass(Duration::from_secs(1));
    let Some(Ended::Refused(refusal)) = world.ended() else { panic!("{:?}", world.events) };
    assert_eq!(refusal.pin, own.pin());
    assert!(world.client.send(b"secret", world.now).is_err());
    refusal.problem
}

fn shared(key: &str) -> PreShared {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    hikyaku::files::write_private(&path, key, hikyaku::files::IfExists::Refuse).unwrap();
    PreShared::read("sensor", &path).unwrap()
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f";

#[test]
fn messages_travel_both_ways_and_a_close_is_received() {
    let authority = Authority::new();
    let mut world =
        World::new(server(&authority.server()), &client("server.example", authority.anchors()));
    world.speak();
    assert_eq!(world.notices(), [Notice::Established(world.from.peer)]);
    world.client.close(Ended::Closed);
    world.settle();
    assert_eq!(world.notices(), [Notice::Ended(world.from.peer, Ended::ClosedByPeer)]);
    assert_eq!(world.hub.deadline(), None, "nothing is left of it");
}

#[test]
fn a_listener_closes_every_association() {
    let authority = Authority::new();
    let mut world =
        World::new(server(&authority.server()), &client("server.example", authority.anchors()));
    world.speak();
    world.hub.close(world.wall);
    world.settle();
    assert_eq!(world.ended(), Some(Ended::ClosedByPeer));
}

#[test]
fn a_server_needs_a_valid_issuer_name_date_and_purpose() {
    let authority = Authority::new();
    let anchors = || authority.anchors();
    let name = "server.example";
    let good = authority.server();

    let other = refusal(anchors(), "other.example", &good);
    let names = vec![name.to_owned()];
    assert_eq!(other, Problem::Name { wanted: "other.example".to_owned(), names });
    assert_eq!(refusal(Authority::new().anchors(), name, &good), Problem::UnknownIssuer);
    let expired = authority.issue(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert!(matches!(refusal(anchors(), name, &expired), Problem::Expired(_)));
    let early = authority.issue(|params| params.not_before = rcgen::date_time_ymd(2999, 1, 1));
    assert!(matches!(refusal(anchors(), name, &early), Problem::NotYet(_)));
    let for_clients = authority
        .issue(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(refusal(anchors(), name, &for_clients), Problem::Purpose("server"));
    let issuers =
        authority.issue(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(refusal(anchors(), name, &issuers), Problem::Issuers);
}

#[test]
fn a_pin_accepts_one_certificate_and_insecure_accepts_all() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    World::new(server(&own), &client("b", Anchors::pinned(vec![own.pin()]))).speak();
    World::new(server(&own), &client("b", Anchors::anyone())).speak();
    let other = Certified::generate(&["a".to_owned()], wall()).unwrap();
    assert_eq!(refusal(Anchors::pinned(vec![other.pin()]), "a", &own), Problem::NotPinned);
}

#[test]
fn a_generated_certificate_is_its_own_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = Certified::generate(&names, wall()).unwrap();
    made.write(&certificate, &key, hikyaku::files::IfExists::Refuse).unwrap();
    let read = Certified::read(&certificate, &key).unwrap();
    assert_eq!((read.pin(), read.unsent()), (made.pin(), 0));
    for name in &names {
        World::new(server(&read), &client(name, Anchors::read(&certificate).unwrap())).speak();
    }
}

#[test]
fn a_listener_accepts_only_trusted_clients() {
    let authority = Authority::new();
    let open = || {
        let clients = Some(authority.anchors());
        ServerConfig::new(&authority.server(), clients, MinVersion::V1_2).unwrap()
    };
    let with = |own: Option<&Certified>| {
        let anchors = authority.anchors();
        ClientConfig::new("server.example", anchors, own, MinVersion::V1_2, wall()).unwrap()
    };
    World::new(open(), &with(Some(&authority.issue(|_| {})))).speak();

    let stranger = Authority::new().server();
    for own in [None, Some(&stranger)] {
        let mut world = World::new(open(), &with(own));
        world.pass(Duration::from_secs(5));
        assert_eq!(world.ended(), Some(Ended::DismissedByPeer), "{:?}", world.events);
        assert!(!world.events.contains(&Event::Established));
        let [Notice::Failed(_, Ended::Refused(refusal))] = &world.notices()[..] else {
            panic!("the listener says why");
        };
        assert_eq!(refusal.problem, Problem::UnknownIssuer);
        assert!(world.heard.is_empty());
    }
}

#[test]
fn a_minimum_of_1_3_excludes_1_2() {
    let authority = Authority::new();
    let own = authority.server();
    let only = ServerConfig::new(&own, None, MinVersion::V1_3).unwrap();
    World::new(only.clone(), &client("server.example", authority.anchors())).speak();
    let mut world = World::new(only, &ClientConfig::with_shared_key(shared(KEY)).unwrap());
    world.pass(Duration::from_secs(60));
    assert!(world.ended().is_some() && world.heard.is_empty(), "{:?}", world.events);
}

#[test]
fn handshakes_complete_over_a_path_that_loses_a_fifth() {
    let authority = Authority::new();
    let own = authority.server();
    for seed in 0..60 {
        let by_key = seed % 2 == 0;
        let mut world = if by_key {
            let listener = ServerConfig::with_shared_key(shared(KEY)).unwrap();
            World::new(listener, &ClientConfig::with_shared_key(shared(KEY)).unwrap())
        } else {
            World::new(server(&own), &client("server.example", authority.anchors()))
        };
        (world.loss, world.dice) = (51, seed * 7_919);
        world.pass(Duration::from_secs(40));
        assert!(world.client.is_established(), "seed {seed}: {:?}", world.events);
        world.loss = 0;
        world.events.clear();
        world.speak();
    }
}

#[test]
fn a_message_is_at_most_one_record_long() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut world = World::new(server(&own), &client("a", Anchors::anyone()));
    world.speak();
    let longest = vec![7; MAX_DTLS_PAYLOAD];
    world.client.send(&longest, world.now).unwrap();
    world.settle();
    assert_eq!(world.heard, std::slice::from_ref(&longest));
    assert_eq!(
        world.client.send(&[&longest[..], &[7]].concat(), world.now),
        Err(NotSent::TooLarge)
    );
    world.hub.send(&longest, world.from.peer, world.now, world.wall).unwrap();
    world.settle();
    assert_eq!(world.events, [Event::Message(longest)]);
}

#[test]
fn messages_of_a_peer_are_delivered_before_its_close() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let config = client("a", Anchors::anyone());
    let mut world = World::new(server(&own), &config);
    world.speak();
    let peer = world.from.peer;
    assert_eq!(world.notices(), [Notice::Established(peer)]);
    world.client.send(b"bye", world.now).unwrap();
    world.client.close(Ended::Closed);
    while let Some(datagram) = world.client.poll_output() {
        world.hub.handle_datagram(&datagram, world.from, world.wall, world.now);
    }
    assert_eq!(world.notices(), [], "not before all is heard");
    assert_eq!(world.hub.poll_arrived().unwrap().payload, b"bye");
    assert_eq!(world.hub.poll_arrived().map(|a| a.payload), None);
    assert_eq!(world.notices(), [Notice::Ended(peer, Ended::ClosedByPeer)]);
}

#[test]
fn a_dismissed_peer_receives_a_close_and_may_reconnect() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let config = client("a", Anchors::anyone());
    let mut world = World::new(server(&own), &config);
    world.speak();
    let peer = world.from.peer;
    world.hub.dismiss(peer, world.wall);
    world.settle();
    assert_eq!(world.ended(), Some(Ended::ClosedByPeer));
    assert_eq!(world.hub.len(), 0);
    world.restart_client(&config);
    world.speak();
    assert_eq!(
        world.notices(),
        [Notice::Established(peer), Notice::Ended(peer, Ended::Closed), Notice::Established(peer)]
    );
    world.hub.dismiss(address(9).peer, world.wall);
}

#[test]
fn a_client_that_restarts_on_its_port_gets_a_new_association() {
    // RFC 6347 section 4.2.8.
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let config = client("a", Anchors::anyone());
    let mut world = World::new(server(&own), &config);
    world.speak();
    world.restart_client(&config);
    world.speak();
    let peer = world.from.peer;
    assert_eq!(
        world.notices(),
        [
            Notice::Established(peer),
            Notice::Ended(peer, Ended::Replaced),
            Notice::Established(peer),
        ]
    );
}

#[test]
fn a_failed_handshake_from_a_peers_port_keeps_its_association() {
    let authority = Authority::new();
    let listener =
        ServerConfig::new(&authority.server(), Some(authority.anchors()), MinVersion::V1_2);
    let with = |own: &Certified| {
        let anchors = authority.anchors();
        ClientConfig::new("server.example", anchors, Some(own), MinVersion::V1_2, wall()).unwrap()
    };
    let mut world = World::new(listener.unwrap(), &with(&authority.issue(|_| {})));
    world.speak();
    let peer = world.from.peer;
    assert_eq!(world.notices(), [Notice::Established(peer)]);
    world.restart_client(&with(&Authority::new().server()));
    world.pass(Duration::from_secs(5));
    let notices = world.notices();
    assert!(matches!(&notices[..], [Notice::Failed(_, Ended::Refused(_))]), "{notices:?}");
    world.hub.send(b"still here", peer, world.now, world.wall).unwrap();
}

#[test]
fn a_hello_under_someone_elses_address_ends_no_association() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let config = client("a", Anchors::anyone());
    let mut world = World::new(server(&own), &config);
    world.speak();
    for _ in 0..50 {
        let mut forger = lone(&config, world.now);
        let hello = forger.poll_output().unwrap();
        world.hub.handle_datagram(&hello, world.from, world.wall, world.now);
        while world.hub.poll_output().is_some() {}
        world.speak();
    }
    world.pass(MAX_UNVERIFIED_AGE + Duration::from_secs(1));
    world.speak();
    assert_eq!(world.notices(), [Notice::Established(world.from.peer)]);
}

#[test]
fn replayed_datagrams_neither_begin_anew_nor_deliver_again() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut world = World::new(server(&own), &client("a", Anchors::anyone()));
    world.speak();
    for datagram in std::mem::take(&mut world.tapped) {
        world.hub.handle_datagram(&datagram, world.from, world.wall, world.now);
    }
    world.settle();
    assert!(world.heard.is_empty());
    world.speak();
    assert_eq!(world.notices(), [Notice::Established(world.from.peer)]);
}

#[test]
fn unverified_peers_take_bounded_memory_for_a_bounded_time() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let config = client("a", Anchors::anyone());
    let mut world = World::new(server(&own), &config);
    world.speak();
    let hello = lone(&config, world.now).poll_output().unwrap();
    let (mut poured, mut answered) = (0, 0);
    for port in 10_000..=u16::try_from(10_000 + MAX_UNVERIFIED_PEERS + 100).unwrap() {
        poured += hello.len();
        world.hub.handle_datagram(&hello, address(port), world.wall, world.now);
        answered +=
            std::iter::from_fn(|| world.hub.poll_output()).map(|(d, _)| d.len()).sum::<usize>();
    }
    assert!(answered < poured, "{answered} for {poured} bytes");
    assert_eq!(world.hub.unverified(), MAX_UNVERIFIED_PEERS);
    world.speak();
    let before = world.answered;
    world.pass(MAX_UNVERIFIED_AGE + Duration::from_secs(1));
    assert_eq!((world.hub.unverified(), world.hub.len()), (0, 1));
    assert_eq!(world.answered, before, "nobody is asked twice who did not ask twice");
    world.speak();
    assert_eq!(world.notices(), [Notice::Established(world.from.peer)], "they are not told of");
}

#[test]
fn a_datagram_without_a_hello_creates_no_peer() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut hub = Hub::new(server(&own));
    let now = hikyaku::clock::monotonic();
    for datagram in [b"hello".as_slice(), b"", &record::fatal_alert(40), &[22; 100]] {
        assert!(!hub.handle_datagram(datagram, address(1), wall(), now));
    }
    assert_eq!(hub.len(), 0);
}

#[test]
fn an_association_ends_after_a_long_silence() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut world = World::new(server(&own), &client("a", Anchors::anyone()));
    world.speak();
    world.pass(DTLS_IDLE - Duration::from_secs(1));
    world.speak();
    world.pass(DTLS_IDLE - Duration::from_secs(1));
    assert!(world.client.is_established());
    world.pass(Duration::from_secs(2));
    assert!(world.ended().is_some());
    assert_eq!(world.hub.len(), 0);
}

#[test]
fn a_resent_record_has_a_new_number() {
    // RFC 6347 section 4.1: OpenSSL takes a record with a known number for a replay, and would
    // never answer a client whose first answer was lost.
    let mut world = World::new(server(&Authority::new().server()), &client("a", Anchors::anyone()));
    world.loss = 255;
    world.pass(Duration::from_secs(10));
    let numbers: Vec<&[u8]> = world.tapped.iter().map(|datagram| &datagram[3..11]).collect();
    assert!(numbers.len() > 3 && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[test]
fn a_silent_server_is_given_up() {
    let mut world = World::new(server(&Authority::new().server()), &client("a", Anchors::anyone()));
    world.loss = 255;
    world.dice = 3;
    world.pass(Duration::from_secs(120));
    assert!(matches!(world.ended(), Some(Ended::NoAnswer(_))));
}
