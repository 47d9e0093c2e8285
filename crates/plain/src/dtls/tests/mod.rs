//! Associations with each other, over a wire in memory.
//!
//! In: certificates, a clock moved by hand. Out: what both sides report. Never: a socket.

mod addresses;
mod faults;
mod patience;

use std::{collections::VecDeque, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

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

/// A datagram that a forger sends before a genuine one arrives.
type Forge = fn(&[u8]) -> Option<Vec<u8>>;

/// A listener and a client, a wire between them, and a clock.
struct World {
    hub: Hub,
    client: Association,
    from: ReplyTo,
    now: Instant,
    wall: SystemTime,
    /// The probability, in 256, that a datagram is lost.
    loss: u8,
    /// Alerts in the clear are lost.
    alerts_are_lost: bool,
    /// The forged datagram, which arrives before each datagram for which this returns `true`, from
    /// the same sender.
    forge: Option<Forge>,
    dice: u64,
    /// Which datagram arrives damaged, and where.
    damaged: Option<(usize, usize)>,
    carried: usize,
    timers: usize,
    heard: Vec<Vec<u8>>,
    noticed: Vec<Notice>,
    events: Vec<Event>,
    /// What the client sent, for another sender to repeat.
    tapped: VecDeque<Vec<u8>>,
    answered: usize,
}

impl World {
    fn new(server: ServerConfig, client: &ClientConfig) -> Self {
        let now = hikyaku::clock::monotonic();
        Self {
            hub: Hub::new(server),
            client: Association::client(client, now),
            from: address(4_000),
            now,
            wall: wall(),
            loss: 0,
            alerts_are_lost: false,
            forge: None,
            dice: 1,
            damaged: None,
            carried: 0,
            timers: 0,
            heard: Vec::new(),
            noticed: Vec::new(),
            events: Vec::new(),
            tapped: VecDeque::new(),
            answered: 0,
        }
    }

    fn is_lost(&mut self) -> bool {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.dice >> 40) as u8) < self.loss
    }

    /// Returns what arrives of a datagram.
    fn pass_on(&mut self, mut datagram: Vec<u8>) -> Option<Vec<u8>> {
        self.carried += 1;
        if let Some((_, at)) = self.damaged.filter(|(which, _)| *which == self.carried) {
            let at = at.min(datagram.len() - 1);
            datagram[at] ^= 1;
        }
        let is_alert = datagram.first() == Some(&21);
        let is_lost = self.is_lost() || is_alert && self.alerts_are_lost;
        (!is_lost).then_some(datagram)
    }

    /// Delivers all datagrams in transit.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(datagram) = self.client.poll_output() {
                quiet = false;
                self.tapped.push_back(datagram.clone());
                if let Some(forged) = self.forge.and_then(|forge| forge(&datagram)) {
                    self.hub.handle_datagram(&forged, self.from, self.wall, self.now);
                }
                if let Some(datagram) = self.pass_on(datagram) {
                    self.hub.handle_datagram(&datagram, self.from, self.wall, self.now);
                }
            }
            while let Some((datagram, to)) = self.hub.poll_output() {
                quiet = false;
                self.answered += datagram.len();
                if let Some(forged) = self.forge.and_then(|forge| forge(&datagram)) {
                    self.client.handle_datagram(&forged, self.now, self.wall);
                }
                if to.peer == self.from.peer
                    && let Some(datagram) = self.pass_on(datagram)
                {
                    self.client.handle_datagram(&datagram, self.now, self.wall);
                }
            }
            self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
            if quiet {
                return self.listen();
            }
        }
    }

    /// Takes what the hub reports, in order.
    fn listen(&mut self) {
        loop {
            if let Some(arrived) = self.hub.poll_arrived() {
                self.heard.push(arrived.payload);
            } else if let Some(notice) = self.hub.poll_notice() {
                self.noticed.push(notice);
            } else {
                return;
            }
        }
    }

    /// Advances the time from timer to timer.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut timers = 0;
        loop {
            self.settle();
            let next = self.client.deadline().into_iter().chain(self.hub.deadline()).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            timers += 1;
            self.timers += 1;
            assert!(timers < 10_000, "timers without end");
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.hub.handle_timeout(self.now, self.wall);
        }
        self.now = end;
    }

    fn restart_client(&mut self, config: &ClientConfig) {
        self.client = Association::client(config, self.now);
    }

    fn ended(&mut self) -> Option<Ended> {
        self.events.iter().find_map(|event| match event {
            Event::Ended(why) => Some(why.clone()),
            _ => None,
        })
    }

    fn notices(&mut self) -> Vec<Notice> {
        self.noticed.extend(std::iter::from_fn(|| self.hub.poll_notice()));
        std::mem::take(&mut self.noticed)
    }

    /// Sends a message in each direction.
    #[track_caller]
    fn speak(&mut self) {
        self.settle();
        assert!(self.client.is_established(), "{:?} {:?}", self.client, self.events);
        self.events.clear();
        self.client.send(b"question", self.now).unwrap();
        self.settle();
        assert_eq!(self.heard.pop().as_deref(), Some(b"question".as_slice()));
        self.hub.send(b"answer", self.from.peer, self.now, self.wall).unwrap();
        self.settle();
        assert_eq!(self.events, [Event::Message(b"answer".to_vec())]);
        self.events.clear();
    }
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
fn messages_go_both_ways_and_a_goodbye_is_heard() {
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
fn a_listener_says_goodbye_to_everyone() {
    let authority = Authority::new();
    let mut world =
        World::new(server(&authority.server()), &client("server.example", authority.anchors()));
    world.speak();
    world.hub.close(world.wall);
    world.settle();
    assert_eq!(world.ended(), Some(Ended::ClosedByPeer));
}

#[test]
fn a_server_is_believed_for_its_issuer_name_dates_and_purpose_together() {
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
fn a_pin_is_for_one_certificate_and_insecure_for_all() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    World::new(server(&own), &client("b", Anchors::pinned(vec![own.pin()]))).speak();
    World::new(server(&own), &client("b", Anchors::anyone())).speak();
    let other = Certified::generate(&["a".to_owned()], wall()).unwrap();
    assert_eq!(refusal(Anchors::pinned(vec![other.pin()]), "a", &own), Problem::NotPinned);
}

#[test]
fn a_certificate_made_here_is_its_own_issuer() {
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
fn a_listener_lets_in_only_clients_it_believes() {
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
fn with_a_minimum_of_1_3_nothing_else_is_spoken() {
    let authority = Authority::new();
    let own = authority.server();
    let only = ServerConfig::new(&own, None, MinVersion::V1_3).unwrap();
    World::new(only.clone(), &client("server.example", authority.anchors())).speak();
    let mut world = World::new(only, &ClientConfig::with_shared_key(shared(KEY)).unwrap());
    world.pass(Duration::from_secs(60));
    assert!(world.ended().is_some() && world.heard.is_empty(), "{:?}", world.events);
}

#[test]
fn handshakes_come_to_their_end_over_a_wire_that_loses_a_fifth() {
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
fn a_message_has_at_most_what_a_record_holds() {
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
fn what_a_peer_said_comes_before_its_goodbye() {
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
fn a_peer_that_is_dismissed_is_said_goodbye_and_may_begin_anew() {
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
fn a_handshake_that_fails_on_a_peers_port_leaves_its_association() {
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
        let mut forger = Association::client(&config, world.now);
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
fn what_was_sent_before_is_no_new_beginning_and_no_new_message() {
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
fn strangers_take_a_bounded_place_for_a_bounded_time() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let config = client("a", Anchors::anyone());
    let mut world = World::new(server(&own), &config);
    world.speak();
    let hello = Association::client(&config, world.now).poll_output().unwrap();
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
fn what_does_not_begin_with_a_hello_makes_no_peer() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut hub = Hub::new(server(&own));
    let now = hikyaku::clock::monotonic();
    for datagram in [b"hello".as_slice(), b"", &record::fatal_alert(40), &[22; 100]] {
        assert!(!hub.handle_datagram(datagram, address(1), wall(), now));
    }
    assert_eq!(hub.len(), 0);
}

#[test]
fn an_association_ends_when_nothing_was_said_for_long() {
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
fn what_is_sent_again_has_a_number_of_its_own() {
    // RFC 6347 section 4.1: OpenSSL takes a record with a known number for a replay, and never
    // answers a client whose first answer was lost.
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
