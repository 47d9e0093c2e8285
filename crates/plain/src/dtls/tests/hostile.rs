//! Damage, noise and malicious peers.
//!
//! In: two sides, a wire in memory. Out: what both do. Never: a socket.

use super::*;

// Found by fuzzing: the state machine answered a gap in a flight at once, and then again each time
// its deadline was read.
#[test]
fn a_damaged_record_causes_no_busy_loop() {
    let [own, theirs] = [0, 1].map(|_| Certified::generate(&["a".to_owned()], wall()).unwrap());
    let pinned = |of: &Certified| Anchors::pinned(vec![of.pin()]);
    for (which, at) in (3..8).flat_map(|which| (0..12).map(move |at| (which, 20 + 70 * at))) {
        let listener = ServerConfig::new(&own, Some(pinned(&theirs)), MinVersion::V1_3).unwrap();
        let client =
            ClientConfig::new("a", pinned(&own), Some(&theirs), MinVersion::V1_3, wall()).unwrap();
        let mut world = World::new(listener, &client);
        world.damaged = Some((which, at));
        world.pass(Duration::from_secs(10));
        let (timers, carried) = (world.timers, world.carried);
        // The handshake may fail; neither side may spin over it.
        assert!(timers < 120 && carried < 150, "{which} at {at}: {timers} timers, {carried} sent");
    }
}

// Found by fuzzing: the state machine asks for a larger buffer for everything except a certificate.
#[test]
fn a_peer_with_a_long_certificate_does_not_end_the_process() {
    let names: Vec<String> = (0..150).map(|n| format!("a-long-name-{n}.example")).collect();
    let [own, theirs] = [0, 1].map(|_| Certified::generate(&names, wall()).unwrap());
    let pinned = |of: &Certified| Anchors::pinned(vec![of.pin()]);
    for min in [MinVersion::V1_2, MinVersion::V1_3] {
        let listener = ServerConfig::new(&own, Some(pinned(&theirs)), min).unwrap();
        let client = ClientConfig::new("a", pinned(&own), Some(&theirs), min, wall()).unwrap();
        World::new(listener, &client).speak();
    }
}

#[test]
fn noise_and_forged_records_end_no_association() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    for by_key in [false, true] {
        let mut world = if by_key {
            let listener = ServerConfig::with_shared_key(shared(KEY)).unwrap();
            World::new(listener, &ClientConfig::with_shared_key(shared(KEY)).unwrap())
        } else {
            World::new(server(&own), &client("a", Anchors::anyone()))
        };
        world.speak();
        let originals: Vec<Vec<u8>> = world.tapped.iter().cloned().collect();
        world.answered = 0;
        let mut poured = 0;
        for n in 0..4_000_usize {
            let mut datagram = originals[n % originals.len()].clone();
            let at = n * 31 % datagram.len();
            datagram[at] ^= 1 + (n % 255) as u8;
            poured += datagram.len();
            world.hub.handle_datagram(&datagram, world.from, world.wall, world.now);
            world.client.handle_datagram(&datagram, world.now, world.wall);
            world.client.handle_datagram(&record::fatal_alert(40), world.now, world.wall);
        }
        world.settle();
        world.heard.clear();
        world.events.clear();
        assert!(world.answered < poured, "{} for {poured} bytes", world.answered);
        world.speak();
    }
}

#[test]
fn removing_1_3_from_a_hello_in_transit_does_not_downgrade_to_1_2() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut world = World::new(server(&own), &client("a", Anchors::anyone()));
    let mut hello = world.client.poll_output().unwrap();
    // In the extension supported_versions, the first version, DTLS 1.3, becomes an unknown one.
    let versions = [0, 0x2b, 0, 5, 4, 0xfe];
    let at = hello.windows(versions.len()).position(|w| w == versions).unwrap();
    hello[at..at + 2].copy_from_slice(&[0xfa, 0xfa]);
    world.hub.handle_datagram(&hello, world.from, world.wall, world.now);
    world.pass(Duration::from_secs(60));
    assert!(!world.client.is_established());
    assert!(world.notices().contains(&Notice::Failed(world.from.peer, Ended::Downgraded)));
}

const CHANGE: [u8; 14] = [20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 70, 0, 1, 1];

/// Returns a record that nobody has sealed.
fn sealed_record(kind: u8) -> Vec<u8> {
    [&[kind, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 77, 0, 40], &[9; 40][..]].concat()
}

#[test]
fn forged_records_neither_end_a_handshake_nor_blame_the_key() {
    let forgeries: [Forge; 6] = [
        |_| Some(record::fatal_alert(51)),
        |_| Some(record::fatal_alert(40)),
        |_| Some(sealed_record(22)),
        |_| Some(sealed_record(23)),
        // The announcement is genuine, since it is in the clear.
        |_| Some([&CHANGE[..], &sealed_record(22)].concat()),
        |whole| {
            record::holds_finished(whole).then(|| {
                let mut forged = whole.to_vec();
                let last = forged.len() - 1;
                forged[last] ^= 1;
                forged
            })
        },
    ];
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    for (n, forge) in forgeries.into_iter().enumerate() {
        for by_key in [true, false] {
            let mut world = if by_key {
                let listener = ServerConfig::with_shared_key(shared(KEY)).unwrap();
                World::new(listener, &ClientConfig::with_shared_key(shared(KEY)).unwrap())
            } else {
                World::new(server(&own), &client("a", Anchors::anyone()))
            };
            world.forge = Some(forge);
            world.pass(Duration::from_secs(15));
            assert!(world.client.is_established(), "{n}, {by_key}: {:?}", world.events);
            world.forge = None;
            world.events.clear();
            world.speak();
            assert_eq!(world.notices(), [Notice::Established(world.from.peer)], "{n}, {by_key}");
        }
    }
}

/// Returns a listener, and a client that starts another handshake when one fails.
fn persistent(own: &Certified, by_key: bool) -> World {
    let (listener, config) = if by_key {
        let listener = ServerConfig::with_shared_key(shared(KEY)).unwrap();
        (listener, ClientConfig::with_shared_key(shared(KEY)).unwrap())
    } else {
        (server(own), client("a", Anchors::anyone()))
    };
    let mut world = World::new(listener, &config);
    let mut attempts = Attempts::new(false, world.now);
    world.client = attempts.begin(&config, world.now);
    world.again = Some((attempts, config));
    world
}

#[test]
fn a_forged_copy_of_a_datagram_of_a_handshake_does_not_end_it() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut ended = Vec::new();
    for by_key in [false, true] {
        let mut world = persistent(&own, by_key);
        world.speak();
        for which in 1..=world.carried {
            // Bytes of the record, of the handshake message, and of each part of a hello.
            for at in (10..120).step_by(7).chain([300, 1_000]) {
                let mut world = persistent(&own, by_key);
                world.forged = Some((which, at));
                world.pass(Duration::from_secs(39));
                if !world.client.is_established() {
                    ended.push((by_key, which, at, world.ended()));
                }
            }
        }
    }
    assert!(ended.is_empty(), "{ended:#?}");
}

#[test]
fn a_failure_that_happens_twice_is_reported() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut world = World::new(server(&own), &client("a", Anchors::anyone()));
    let pinned = Anchors::pinned(vec![Certified::generate(&[], wall()).unwrap().pin()]);
    let config = client("a", pinned);
    let mut attempts = Attempts::new(false, world.now);
    world.client = attempts.begin(&config, world.now);
    world.again = Some((attempts, config));
    world.pass(Duration::from_secs(1));
    assert!(matches!(world.ended(), Some(Ended::Refused(_))), "{:?}", world.events);
    assert_eq!(world.from.peer.port(), 4_001, "it has tried twice");
}

#[test]
fn a_server_that_answers_only_one_port_is_given_up_soon() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut world = persistent(&own, true);
    let config = ClientConfig::with_shared_key(shared(&KEY.replace('0', "f"))).unwrap();
    let mut attempts = Attempts::new(false, world.now);
    world.client = attempts.begin(&config, world.now);
    world.again = Some((attempts, config));
    world.alerts_are_lost = true;
    while world.from.peer.port() == 4_000 {
        world.pass(Duration::from_secs(1));
    }
    world.loss = 255;
    world.pass(Duration::from_secs(6));
    assert_eq!(world.ended(), Some(Ended::Unproven));
}

#[test]
fn an_alert_that_nothing_follows_ends_a_handshake_soon() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let mut world = World::new(server(&own), &client("a", Anchors::anyone()));
    world.loss = 255;
    world.client.handle_datagram(&record::fatal_alert(40), world.now, world.wall);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.ended(), Some(Ended::RefusedByPeer(40)));
}
