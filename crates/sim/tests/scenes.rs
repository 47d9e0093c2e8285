//! One scenario for each question that a user would ask.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use hikyaku_sim::{
    action::Action,
    api::{ChannelId, Class, ClosedReason, Delivery},
    attack::{Attack, Attacker},
    ends::{Planned, Reader, Side, State},
    link::LinkConfig,
    network::{HostId, Move},
    presets::Preset,
    rng::Rng,
    trace::Trace,
    world::{HostConfig, World},
};

const MS: Duration = Duration::from_millis(1);

fn message(delivery: Delivery, size: usize) -> Planned {
    Planned { channel: ChannelId(0), delivery, size, repeatable: false }
}

/// Returns a client and a server, connected over `preset`.
fn scene(preset: Preset) -> (World, HostId, HostId) {
    let mut world = World::new(7, Trace::on());
    let server = world.add_host(HostConfig::server());
    let client = world.add_host(HostConfig::client());
    world.join(client, server, preset.up(), preset.down());
    let readers = [Reader::Prompt; 2];
    let early = Vec::new();
    world.plan(world.now, Action::Connect { client, server, readers, early });
    world.run_for(Duration::from_secs(5)).unwrap();
    let id = world.newest_end(client, Side::Client).unwrap();
    assert!(matches!(world.state(id), State::Open), "{:?}", world.state(id));
    (world, client, server)
}

fn send(world: &mut World, client: HostId, side: Side, planned: Planned) {
    world.plan(world.now, Action::Send(client, side, planned));
}

fn assert_ok(result: Result<(), String>, world: &World) {
    let last: Vec<&String> = world.trace.lines().iter().rev().take(40).collect();
    assert_eq!(result, Ok(()), "the last lines, newest first: {last:#?}");
}

#[test]
fn each_class_keeps_its_promise_on_each_path() {
    for preset in Preset::ALL {
        for class in Class::ALL {
            let (mut world, client, _) = scene(preset);
            let delivery = class.delivery(500 * MS);
            for index in 0..100 {
                let planned = message(delivery, 4 + index * 80);
                for side in [Side::Client, Side::Server] {
                    let at = world.now + 10 * MS * index as u32;
                    world.plan(at, Action::Send(client, side, planned));
                }
            }
            let result = world.run_for(Duration::from_secs(60)).and_then(|()| world.converge());
            assert_ok(result, &world);
            assert!(world.oracle.deliveries() >= 20, "{preset:?} {class:?}");
        }
    }
}

#[test]
fn on_a_perfect_path_everything_arrives_whatever_its_class() {
    for delivery in [Delivery::Unreliable, Delivery::Deadline(100 * MS), Delivery::Latest] {
        let (mut world, client, _) = scene(Preset::Perfect);
        for index in 0..50 {
            let planned = message(delivery, 800);
            world.plan(world.now + 30 * MS * index, Action::Send(client, Side::Client, planned));
        }
        let result = world.run_for(Duration::from_secs(5));
        assert_ok(result, &world);
        assert_eq!(world.oracle.deliveries(), 50, "{delivery:?}");
    }
}

#[test]
fn a_restarted_server_is_detected_within_two_round_trips_of_the_next_message() {
    let (mut world, client, server) = scene(Preset::Perfect);
    world.plan(world.now, Action::Restart(server));
    send(&mut world, client, Side::Client, message(Delivery::Reliable, 100));
    let result = world.run_for(40 * MS);
    assert_ok(result, &world);
    let id = world.newest_end(client, Side::Client).unwrap();
    let state = world.state(id);
    assert!(matches!(state, State::Closed(ClosedReason::Reset)), "{state:?}");
}

#[test]
fn a_new_address_does_not_end_a_connection() {
    for how in [Move::Port, Move::Address] {
        let (mut world, client, _) = scene(Preset::Wifi);
        world.plan(world.now, Action::Move(client, how));
        for index in 0..20 {
            for side in [Side::Client, Side::Server] {
                let planned = message(Delivery::Ordered, 3_000);
                world.plan(world.now + 20 * MS * index, Action::Send(client, side, planned));
            }
        }
        let result = world.run_for(Duration::from_secs(20)).and_then(|()| world.converge());
        assert_ok(result, &world);
        assert_eq!(world.oracle.deliveries(), 40);
    }
}

#[test]
fn an_outage_shorter_than_the_idle_timeout_ends_nothing() {
    let (mut world, client, server) = scene(Preset::Lte);
    let outage = (world.now, world.now + Duration::from_secs(8));
    let link = LinkConfig { outages: vec![outage], ..Preset::Lte.up() };
    world.join(client, server, link.clone(), link);
    for _ in 0..10 {
        send(&mut world, client, Side::Client, message(Delivery::Ordered, 10_000));
    }
    let result = world.run_for(Duration::from_secs(25)).and_then(|()| world.converge());
    assert_ok(result, &world);
    assert_eq!(world.oracle.deliveries(), 10);
}

#[test]
fn a_graceful_close_delivers_first() {
    let (mut world, client, _) = scene(Preset::Wifi);
    for _ in 0..20 {
        send(&mut world, client, Side::Client, message(Delivery::Ordered, 50_000));
    }
    let within = Duration::from_secs(60);
    world.plan(world.now + MS, Action::CloseGracefully(client, Side::Client, within));
    let result = world.run_for(Duration::from_secs(30)).and_then(|()| world.converge());
    assert_ok(result, &world);
    assert_eq!(world.oracle.deliveries(), 20);
}

#[test]
fn each_attack_alone_neither_ends_nor_alters_a_connection() {
    for kind in Attack::ALL {
        let (mut world, client, _) = scene(Preset::Perfect);
        world.attacker = Some(Attacker::new(Rng::new(5), vec![kind], 0.5));
        for index in 0..100 {
            let planned = message(Delivery::Ordered, 1_500);
            world.plan(world.now + 10 * MS * index, Action::Send(client, Side::Client, planned));
            world.plan(world.now + 10 * MS * index, Action::Send(client, Side::Server, planned));
        }
        let result = world
            .run_for(Duration::from_secs(3))
            .and_then(|()| world.heal())
            .and_then(|()| world.converge());
        assert_ok(result, &world);
        assert_eq!(world.oracle.deliveries(), 200, "{kind:?}");
    }
}

#[test]
fn a_slow_channel_does_not_delay_another() {
    let (mut world, client, _) = scene(Preset::Lan);
    // A message that never finishes in time for the others, on a channel of low priority.
    let large = Planned { channel: ChannelId(1), ..message(Delivery::Ordered, 4_000_000) };
    world.plan(world.now, Action::Priority(client, Side::Client, ChannelId(1), 0));
    send(&mut world, client, Side::Client, large);
    world.log = Some(Vec::new());
    for index in 0..10 {
        let at = world.now + MS * (index + 1);
        world.plan(at, Action::Send(client, Side::Client, message(Delivery::Ordered, 100)));
    }
    let result = world.run_for(Duration::from_secs(5)).and_then(|()| world.converge());
    assert_ok(result, &world);
    let log = world.log.take().unwrap();
    assert_eq!(log.len(), 11);
    assert_eq!(log.last().unwrap().delivered.len, 4_000_000);
}

#[test]
fn a_flood_of_first_packets_keeps_nobody_out() {
    let mut world = World::new(9, Trace::on());
    let server = world.add_host(HostConfig { max_half_open: 16, ..HostConfig::server() });
    let client = world.add_host(HostConfig::client());
    world.join(client, server, Preset::Perfect.up(), Preset::Perfect.down());
    world.plan(world.now, Action::Flood(server, 100));
    let (readers, early) = ([Reader::Prompt; 2], Vec::new());
    world.plan(world.now + 500 * MS, Action::Connect { client, server, readers, early });
    let result = world.run_for(Duration::from_secs(5));
    assert_ok(result, &world);
    let id = world.newest_end(client, Side::Client).unwrap();
    assert!(matches!(world.state(id), State::Open), "{:?}", world.state(id));
}
