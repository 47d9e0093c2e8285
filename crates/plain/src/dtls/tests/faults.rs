//! Our own certificates of any size, and the effects of a panic of the state machine.
//!
//! In: certificates that are too large. Out: who is affected. Never: a socket.

use rcgen::SanType;

use super::*;
use crate::limits::MAX_OWN_CERTIFICATE;

/// Makes a certificate of about this many bytes.
fn certificate_of(authority: &Authority, bytes: usize) -> Certified {
    authority.issue(|params| {
        // Each name takes its 60 bytes and three more.
        let names = (0..bytes.saturating_sub(400) / 63)
            .map(|n| SanType::DnsName(format!("{n:057}.ex").try_into().unwrap()));
        params.subject_alt_names.extend(names);
    })
}

#[test]
fn the_largest_accepted_certificate_completes_a_handshake_on_either_side() {
    let authority = Authority::new();
    let own = certificate_of(&authority, MAX_OWN_CERTIFICATE);
    let len = own.for_handshakes().certificate.len();
    assert!((MAX_OWN_CERTIFICATE - 200..=MAX_OWN_CERTIFICATE).contains(&len), "{len}");
    for min in [MinVersion::V1_2, MinVersion::V1_3] {
        let anchors = authority.anchors();
        let server = ServerConfig::new(&own, Some(authority.anchors()), min).unwrap();
        let client = ClientConfig::new("server.example", anchors, Some(&own), min, wall()).unwrap();
        let mut world = World::new(server, &client);
        world.pass(Duration::from_secs(5));
        world.speak();
    }
}

#[test]
fn a_certificate_too_large_for_a_handshake_is_refused_with_its_size() {
    let authority = Authority::new();
    let own = certificate_of(&authority, MAX_OWN_CERTIFICATE + 500);
    let len = own.for_handshakes().certificate.len();
    let [certificate, key] = ["c.pem", "k.pem"].map(|name| authority.folder.path().join(name));
    own.write(&certificate, &key, hikyaku::files::IfExists::Refuse).unwrap();
    let refused = Certified::read(&certificate, &key).unwrap_err().to_string();
    assert!(refused.contains(&format!("{len} bytes")), "{refused}");
    assert!(refused.contains(&format!("{MAX_OWN_CERTIFICATE}")), "{refused}");
    let names: Vec<String> = (0..500).map(|n| format!("host-{n}.example")).collect();
    let made = Certified::generate(&names, wall());
    assert!(matches!(made, Err(CredentialError::TooLarge { .. })), "{made:?}");
}

/// The state machine panics over such a certificate once the client has returned its cookie.
#[test]
fn a_panic_ends_only_one_association() {
    let authority = Authority::new();
    let own = certificate_of(&authority, 12_000);
    let config = || ServerConfig::new(&own, None, MinVersion::V1_2).unwrap();
    let client = client("server.example", authority.anchors());
    let mut world = World::new(config(), &client);
    world.settle();
    let failed = Notice::Failed(world.from.peer, Ended::Fault);
    assert_eq!(world.notices(), [failed]);
    assert_eq!((world.hub.take_faults(), world.hub.take_faults()), (1, 0));
    assert_eq!(world.hub.len(), 0, "nothing of it is left");
    // The same hub still serves the next peer as far as possible.
    world.from = address(4_001);
    world.restart_client(&client);
    world.settle();
    assert_eq!(world.hub.take_faults(), 1);
}

#[test]
fn a_panic_of_a_client_is_reported_after_the_messages_before_it() {
    let authority = Authority::new();
    let config = client("server.example", authority.anchors());
    let mut world = World::new(server(&authority.server()), &config);
    world.speak();
    world.hub.send(b"last words", world.from.peer, world.now, world.wall).unwrap();
    world.settle();
    world.client.contained(|_| panic!("contained, as it should be"));
    world.settle();
    let last_words = Event::Message(b"last words".to_vec());
    assert_eq!(world.events, [last_words, Event::Ended(Ended::Fault)]);
    assert!(world.client.has_ended() && world.client.deadline().is_none());
    assert!(world.client.send(b"x", world.now).is_err());
    world.client.handle_timeout(world.now + DTLS_IDLE);
    assert!(world.client.poll_event().is_none() && world.client.poll_output().is_none());
}
