//! How long a side waits for a handshake, and what ends it sooner: another shared key.

use super::*;

#[test]
fn a_shared_key_accepts_those_that_have_it() {
    let listener = || ServerConfig::with_shared_key(shared(KEY)).unwrap();
    World::new(listener(), &ClientConfig::with_shared_key(shared(KEY)).unwrap()).speak();
    let wrong = ClientConfig::with_shared_key(shared(&KEY.replace('0', "f"))).unwrap();
    let mut world = World::new(listener(), &wrong);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.ended(), Some(Ended::RefusedByPeer(51)));
    let peer = world.from.peer;
    assert_eq!(world.notices(), [Notice::Failed(peer, Ended::OtherSharedKey)]);
}

#[test]
fn a_listener_with_another_shared_key_is_given_up_soon() {
    let wrong = ClientConfig::with_shared_key(shared(&KEY.replace('0', "f"))).unwrap();
    let mut world = World::new(ServerConfig::with_shared_key(shared(KEY)).unwrap(), &wrong);
    world.alerts_are_lost = true;
    world.pass(Duration::from_secs(12));
    assert_eq!(world.ended(), Some(Ended::Unproven));
}

#[test]
fn a_client_gives_up_after_the_configured_time() {
    let own = Certified::generate(&["a".to_owned()], wall()).unwrap();
    let client = client("a", Anchors::anyone()).give_up_after(Duration::from_secs(3));
    let mut world = World::new(server(&own), &client);
    world.loss = 255;
    world.pass(Duration::from_secs(4));
    let Some(ended @ Ended::NoAnswer(_)) = world.ended() else { panic!("{:?}", world.events) };
    assert_eq!(ended.to_string(), "no answer to a DTLS handshake within 3 seconds");
}
