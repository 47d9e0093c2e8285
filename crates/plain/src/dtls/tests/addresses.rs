//! Peers whose datagrams carry other addresses, and peers that return to an address.
//!
//! In: datagrams that are forged, or late. Out: what the peer notices. Never: a socket.

use super::*;

#[test]
fn a_forged_source_address_does_not_choose_where_answers_come_from() {
    // A listener with many addresses: an answer must come from the address that the peer wrote to.
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let config = client("a", Anchors::anyone());
    let mut world = World::new(server(&own), &config);
    let (ours, another) = ("192.0.2.7".parse().unwrap(), "198.51.100.7".parse().unwrap());
    world.from.local = Some(ours);
    world.speak();
    let forged = ReplyTo { local: Some(another), ..world.from };
    let hello = lone(&config, world.now).poll_output().unwrap();
    for datagram in [b"noise".as_slice(), &record::fatal_alert(40), &hello] {
        world.hub.handle_datagram(datagram, forged, world.wall, world.now);
        while world.hub.poll_output().is_some() {}
        world.hub.send(b"answer", world.from.peer, world.now, world.wall).unwrap();
        let (_, to) = world.hub.poll_output().unwrap();
        assert_eq!(to.local, Some(ours), "{} bytes", datagram.len());
    }
    // The peer itself sends to another of our addresses.
    world.client.send(b"question", world.now).unwrap();
    let question = world.client.poll_output().unwrap();
    world.hub.handle_datagram(&question, forged, world.wall, world.now);
    world.hub.send(b"answer", world.from.peer, world.now, world.wall).unwrap();
    assert_eq!(world.hub.poll_output().unwrap().1.local, Some(another));
}

#[test]
fn an_end_is_reported_only_for_associations_whose_beginning_was() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let config = client("a", Anchors::anyone());
    let mut world = World::new(server(&own), &config);
    // The cookie is returned, and nothing after it.
    for _ in 0..2 {
        let hello = world.client.poll_output().unwrap();
        world.hub.handle_datagram(&hello, world.from, world.wall, world.now);
        let (answer, _) = world.hub.poll_output().unwrap();
        world.client.handle_datagram(&answer, world.now, world.wall);
    }
    assert_eq!(world.hub.unverified(), 0);
    while world.hub.poll_output().is_some() {}
    world.restart_client(&config);
    world.speak();
    assert_eq!(world.notices(), [Notice::Established(world.from.peer)]);
}
