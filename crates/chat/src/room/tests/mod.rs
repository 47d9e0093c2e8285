//! Tests of a chat as a value: everything that can happen, in the words that a plain member reads.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::*;
use crate::{
    event::Seq,
    limits::{FAN_OUT_RATE, LINE_OVERHEAD, LINE_UNIT, MAX_LOG_EVENTS},
    log::MemoryLog,
    request::Question,
    time::Stamp,
    words::{Language, Sentence},
};

mod charges;
mod rooms;

type TestRoom = Chat<u32, MemoryLog>;

fn new_room<P: Peer>(config: RoomConfig) -> Chat<P, MemoryLog> {
    Chat::new(config, MemoryLog::new())
}

impl Peer for u32 {
    fn network(&self) -> Option<IpAddr> {
        None
    }
}

/// Formats each effect in English: its receivers (`1`, or `*` for all), and the event.
fn told(room: &TestRoom, effects: Vec<Effect<u32>>) -> Vec<String> {
    let show = |effect: Effect<u32>| {
        let (to, reader) = match effect.to {
            Audience::One(peer) => (peer.to_string(), room.member_id(peer)),
            Audience::Room(_) | Audience::All => ("*".to_owned(), None),
            Audience::Keys(one, other) => (format!("{one}+{other}"), None),
        };
        // Nobody is shown their own arrival.
        Some(match Language::English.event(&effect.event, reader)? {
            Sentence::Speech { speaker, text } => format!("{to} {speaker}: {text}"),
            Sentence::Notice(text) | Sentence::Line(text) => format!("{to} {text}"),
        })
    };
    effects.into_iter().filter_map(show).collect()
}

fn time(millis: u64) -> Time {
    Time::from_epoch(Duration::from_millis(millis))
}

fn at(millis: u64) -> Now {
    Now { time: time(millis), stamp: Stamp::from_millis(millis) }
}

fn act(room: &mut TestRoom, millis: u64, from: u32, action: Action) -> Vec<String> {
    let mut effects = Vec::new();
    room.handle(at(millis), from, action, &mut effects);
    told(room, effects)
}

fn named(name: &str) -> Action {
    Action::Named(name.to_owned())
}

fn said(text: &str) -> Action {
    Action::Said(text.to_owned())
}

fn whispered(words: &str) -> Action {
    Action::Whispered(words.to_owned())
}

fn room_of(names: &[(u32, &str)], config: RoomConfig) -> TestRoom {
    let mut room = new_room(config);
    for (peer, name) in names {
        act(&mut room, 0, *peer, named(name));
    }
    room
}

fn alice_and_bob() -> TestRoom {
    room_of(&[(1, "alice"), (2, "bob")], RoomConfig::default())
}

#[test]
fn a_newcomer_with_a_name_is_announced_once_and_by_name() {
    let mut room = room_of(&[(1, "alice")], RoomConfig::default());
    assert_eq!(
        act(&mut room, 0, 2, named("bob")),
        [
            "2 this is a hikyaku chat; you are bob; here: alice; /help lists the commands",
            "* bob joined",
        ]
    );
}

#[test]
fn a_speaker_joins_under_their_address() {
    let mut room = room_of(&[(1, "alice")], RoomConfig::default());
    let told = act(&mut room, 0, 77, said("hi"));
    assert_eq!(told[1..], ["* 77 joined", "* 77: hi"]);
}

#[test]
fn the_first_member_is_greeted_as_the_only_one() {
    let mut room = new_room(RoomConfig::default());
    let told = act(&mut room, 0, 1, Action::Heard);
    assert!(told[0].contains("you are 1; nobody else is here yet"), "{}", told[0]);
}

#[test]
fn a_keep_alive_is_not_passed_on() {
    assert!(act(&mut alice_and_bob(), 0, 1, Action::Heard).is_empty());
}

#[test]
fn a_line_goes_to_all_others() {
    assert_eq!(act(&mut alice_and_bob(), 0, 1, said("hi")), ["* alice: hi"]);
}

#[test]
fn a_new_name_is_announced_to_all() {
    assert_eq!(act(&mut alice_and_bob(), 0, 1, named("Al")), ["* alice is now Al"]);
}

#[test]
fn a_repeated_hello_is_greeted_again() {
    let told = act(&mut alice_and_bob(), 0, 1, named("alice"));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("1 this is a hikyaku chat; you are alice"));
}

#[test]
fn a_taken_name_is_refused_to_its_requester_only() {
    let told = act(&mut alice_and_bob(), 0, 1, named("BOB"));
    assert_eq!(told, ["1 name refused: BOB is taken, BOB-2 is free; choose one with /nick NAME"]);
}

#[test]
fn a_newcomer_with_a_refused_name_joins_under_their_address() {
    let told = act(&mut alice_and_bob(), 0, 9, named("a:b"));
    assert!(told[0].contains("you are 9"));
    assert!(told[1].starts_with("9 name refused: it must not have `:`"), "{told:?}");
    assert_eq!(told[2], "* 9 joined");
}

#[test]
fn a_newcomer_whose_name_is_taken_gets_the_next_free_one() {
    let mut room = alice_and_bob();
    for (peer, name) in [(9, "alice-2"), (10, "alice-3")] {
        let told = act(&mut room, 0, peer, Action::Hello("alice".to_owned()));
        assert!(told[0].contains(&format!("you are {name};")), "{told:?}");
        let why = format!("alice is taken, so you are {name}; choose another name with /nick NAME");
        assert_eq!(told[1..], [format!("{peer} {why}"), format!("* {name} joined")]);
    }
}

#[test]
fn a_repeated_hello_is_answered_with_the_same_name() {
    let mut room = alice_and_bob();
    act(&mut room, 0, 9, Action::Hello("alice".to_owned()));
    let told = act(&mut room, 0, 9, Action::Hello("alice".to_owned()));
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("you are alice-2;"), "{told:?}");
}

#[test]
fn a_hello_of_a_nameless_member_names_them() {
    let mut room = alice_and_bob();
    act(&mut room, 0, 9, said("hi"));
    let told = act(&mut room, 0, 9, Action::Hello("carol".to_owned()));
    assert!(told[0].contains("you are carol;"), "{told:?}");
    assert_eq!(told[1..], ["* 9 is now carol"]);
}

#[test]
fn a_topic_is_announced_to_all_and_sent_on_request() {
    let mut room = alice_and_bob();
    let ask = || Action::Asked(Question::Topic);
    assert_eq!(act(&mut room, 0, 2, ask()), ["2 there is no topic; /topic TEXT sets one"]);
    let topic = Action::Topic(" lunch ".to_owned());
    assert_eq!(act(&mut room, 0, 1, topic), ["* alice set the topic: lunch"]);
    assert_eq!(act(&mut room, 0, 2, ask()), ["2 the topic is: lunch"]);
    let topic = Action::Topic(String::new());
    assert_eq!(act(&mut room, 0, 1, topic), ["* alice removed the topic"]);
}

#[test]
fn missed_events_are_repeated_except_those_before_joining() {
    let mut room = alice_and_bob();
    act(&mut room, 0, 1, said("one"));
    act(&mut room, 0, 9, said("two"));
    let missed = act(&mut room, 0, 2, Action::Resumed(Seq(2)));
    assert_eq!(missed, ["2 alice: one", "2 9 joined", "2 9: two"]);
    let missed = act(&mut room, 0, 1, Action::Resumed(Seq(5)));
    assert!(missed.is_empty(), "{missed:?}");
    let mut effects = Vec::new();
    room.handle(at(0), 9, Action::Resumed(Seq::START), &mut effects);
    let seqs: Vec<_> = effects.iter().filter_map(|effect| effect.event.seq).collect();
    assert_eq!(seqs, [Seq(4), Seq(5)]);
}

#[test]
fn repeated_events_count_against_the_allowance() {
    let config = RoomConfig { rate: 1, burst: 20, ..RoomConfig::default() };
    let mut room = room_of(&[(1, "alice"), (2, "bob")], config);
    for _ in 0..10 {
        act(&mut room, 0, 1, said("x"));
    }
    assert_eq!(act(&mut room, 0, 2, Action::Resumed(Seq(2))).len(), 10);
    assert_eq!(act(&mut room, 0, 2, Action::Resumed(Seq(2))).len(), 10);
    let told = act(&mut room, 0, 2, Action::Resumed(Seq(2)));
    assert!(told[0].starts_with("2 too fast"), "{told:?}");
}

#[test]
fn events_no_longer_stored_are_reported_as_missing() {
    let config = RoomConfig { rate: 10_000, burst: 10_000, ..RoomConfig::default() };
    let mut room = room_of(&[(1, "alice"), (2, "bob")], config);
    let mut effects = Vec::new();
    for _ in 0..MAX_LOG_EVENTS {
        room.handle(at(0), 1, said("x"), &mut effects);
    }
    let told = act(&mut room, 0, 2, Action::Resumed(Seq(1)));
    assert_eq!(told, ["2 some lines are missing here: the host no longer has them"]);
}

#[test]
fn an_answer_bears_the_number_of_its_request() {
    let mut room = alice_and_bob();
    let numbered =
        |number, action| Request { request: Some(RequestId(number)), ..Request::from(action) };
    for (number, action) in [
        (5, said("hi")),
        (6, whispered("bob hi")),
        (7, Action::Asked(Question::Who)),
        (8, named("BOB")),
        (9, named("al")),
    ] {
        let mut effects = Vec::new();
        room.handle(at(0), 1, numbered(number, action), &mut effects);
        let last = effects.last().expect("each has an answer");
        assert_eq!(last.event.request, Some(RequestId(number)), "{last:?}");
        let mine = room.member_id(1).expect("alice is here");
        assert!(last.event.author.is_none() || last.event.is_by(mine), "{last:?}");
    }
}

#[test]
fn a_forged_name_is_refused() {
    let told = act(&mut alice_and_bob(), 0, 1, named("bob: hi\n[12:00:00] carol"));
    assert_eq!(
        told,
        ["1 name refused: it has an invisible character, or is not UTF-8; choose another with \
                /nick NAME"]
    );
}

#[test]
fn whispers_reach_one_and_are_confirmed() {
    let told = act(&mut alice_and_bob(), 0, 1, whispered("Bob psst, you"));
    assert_eq!(told, ["2 alice -> you: psst, you", "1 you -> bob: psst, you"]);
}

#[test]
fn whispers_to_nobody_come_back() {
    let mut room = alice_and_bob();
    let told = act(&mut room, 0, 1, whispered("carol psst"));
    assert_eq!(told, ["1 nobody here is called carol; /who lists the members"]);
    assert_eq!(
        act(&mut room, 0, 1, whispered("bob")),
        ["1 there is nothing to send; write /msg NAME TEXT"]
    );
}

#[test]
fn who_lists_all_including_the_caller() {
    let told = act(&mut alice_and_bob(), 0, 1, Action::Asked(Question::Who));
    assert_eq!(told, ["1 2 here: alice, bob"]);
}

#[test]
fn an_unknown_command_is_answered_to_its_sender_only() {
    let told = act(&mut alice_and_bob(), 0, 1, Action::Unknown("/foo".to_owned()));
    assert_eq!(told, ["1 there is no /foo; /help lists the commands"]);
}

#[test]
fn a_line_too_long_is_refused_and_counted() {
    let mut room = alice_and_bob();
    let told = act(&mut room, 0, 1, Action::TooLong(20_000));
    assert_eq!(told, ["1 not sent: the line has 20000 bytes, and a line may have 16384"]);
    assert_eq!(room.stats().dropped_too_long, 1);
}

#[test]
fn a_farewell_is_announced_to_the_others() {
    let mut room = alice_and_bob();
    assert_eq!(act(&mut room, 0, 1, Action::Left), ["* alice left"]);
    assert_eq!(room.peers().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_farewell_does_not_make_a_stranger_a_member() {
    let mut room = alice_and_bob();
    assert!(act(&mut room, 0, 9, Action::Left).is_empty());
    assert_eq!(room.stats().members, 2);
}

#[test]
fn silence_ends_a_membership_at_its_deadline() {
    let mut room = alice_and_bob();
    act(&mut room, 1_000, 2, Action::Heard);
    assert_eq!(room.poll_timeout(), Some(time(300_000)));
    let mut effects = Vec::new();
    room.handle_timeout(at(299_999), &mut effects);
    assert!(effects.is_empty());
    room.handle_timeout(at(300_000), &mut effects);
    assert_eq!(told(&room, effects), ["* alice left (silent for 300s)"]);
    assert_eq!(room.poll_timeout(), Some(time(301_000)));
}

#[test]
fn the_host_is_never_idle_nor_limited_nor_counted() {
    let config = RoomConfig { max_clients: 1, burst: 1, ..RoomConfig::default() };
    let mut room = new_room(config);
    room.seat_host(0, Some(&Name::parse("hostess").unwrap()));
    assert_eq!(room.poll_timeout(), None);
    assert_eq!(act(&mut room, 0, 0, said("a")), ["* hostess: a"]);
    assert_eq!(act(&mut room, 0, 0, said("b")), ["* hostess: b"]);
    assert_eq!(act(&mut room, 0, 1, named("alice"))[1], "* alice joined");
}

#[test]
fn a_full_room_answers_once_per_second_in_all() {
    let config = RoomConfig { max_clients: 1, ..RoomConfig::default() };
    let mut room = room_of(&[(1, "alice")], config);
    let full = ["2 this chat is full; try again later"];
    assert_eq!(act(&mut room, 0, 2, Action::Heard), full);
    assert!(act(&mut room, 0, 3, Action::Heard).is_empty());
    assert!(act(&mut room, 999, 2, Action::Heard).is_empty());
    assert_eq!(act(&mut room, 1_000, 2, Action::Heard), full);
    assert_eq!((room.stats().dropped_full, room.stats().members), (4, 1));
}

#[test]
fn excess_is_dropped_counted_and_reported_once() {
    let mut room = alice_and_bob();
    let mut told = Vec::new();
    for _ in 0..300 {
        told.append(&mut act(&mut room, 0, 1, said("x")));
    }
    assert_eq!(told.iter().filter(|line| *line == "* alice: x").count(), 200);
    assert_eq!(told.iter().filter(|line| line.starts_with("1 too fast")).count(), 1);
    assert_eq!((room.stats().relayed, room.stats().dropped_too_fast), (200, 100));
}

#[test]
fn the_next_burst_of_excess_is_reported_again() {
    let config = RoomConfig { rate: 1, burst: 1, ..RoomConfig::default() };
    let mut room = room_of(&[(1, "alice")], config);
    for (millis, expected) in [(0, 1), (1, 1), (2, 0), (1_001, 1), (1_002, 1)] {
        let told = act(&mut room, millis, 1, said("x"));
        assert_eq!(told.len(), expected, "at {millis} ms: {told:?}");
    }
}

#[test]
fn joining_and_leaving_does_not_exceed_the_common_limit() {
    let config = RoomConfig { max_clients: 3, ..RoomConfig::default() };
    let mut room = new_room(config);
    for _ in 0..1_000 {
        act(&mut room, 0, 1, said("spam"));
        act(&mut room, 0, 1, Action::Left);
    }
    assert_eq!((room.stats().joined, room.stats().dropped_crowd), (64, 936));
    // The rest of the common allowance serves others until it is used up.
    for peer in 2..=1_000 {
        act(&mut room, 0, peer, said("spam"));
        act(&mut room, 0, peer, Action::Left);
    }
    assert_eq!(room.stats().joined, 100);
}

#[test]
fn one_socket_that_keeps_rejoining_does_not_keep_others_out() {
    let mut room = new_room(RoomConfig::default());
    for millis in 0..60_000 {
        for _ in 0..2 {
            act(&mut room, millis, 1, said("spam"));
            act(&mut room, millis, 1, Action::Left);
        }
        if millis % 500 == 499 {
            let guest = 2 + u32::try_from(millis).unwrap();
            act(&mut room, millis, guest, named("guest"));
            assert!(room.is_member(guest), "at {millis} ms");
            act(&mut room, millis, guest, Action::Left);
        }
    }
}

#[test]
fn one_address_cannot_fill_a_room_and_gets_no_answer_for_trying() {
    let mut room = new_room(RoomConfig::default());
    let mut effects = Vec::new();
    for port in 1..=100 {
        effects.clear();
        let peer = SocketAddr::from(([10, 0, 0, 1], port));
        room.handle(at(0), peer, Action::Heard, &mut effects);
        assert_eq!(effects.is_empty(), port > 64, "{port}");
    }
    assert_eq!((room.stats().members, room.stats().dropped_same_ip), (64, 36));
    room.handle(at(0), SocketAddr::from(([10, 0, 0, 2], 1)), Action::Heard, &mut effects);
    assert_eq!(room.stats().members, 65);
}

/// A room of a thousand, a minute after they joined.
fn crowd() -> TestRoom {
    let mut room = new_room(RoomConfig::default());
    let mut effects = Vec::new();
    for peer in 0..1_000 {
        room.handle(at(0), peer, Action::Heard, &mut effects);
    }
    room
}

#[test]
fn a_room_limits_the_bytes_it_sends() {
    let mut room = crowd();
    let mut effects = Vec::new();
    for second in 60..70 {
        for peer in 0..1_000 {
            let action = said(&"x".repeat(LINE_UNIT));
            room.handle(at(second * 1_000), peer, action, &mut effects);
        }
    }
    let copies = |effect: &Effect<u32>| match effect.to {
        Audience::One(_) => 1,
        _ => 1_000,
    };
    let sent: usize = effects.iter().map(|e| (e.event.weight() + LINE_OVERHEAD) * copies(e)).sum();
    let most = (10 + 1) * FAN_OUT_RATE as usize;
    assert!(sent > 9 * FAN_OUT_RATE as usize && sent < most, "{sent} bytes");
}

#[test]
fn drops_of_a_busy_room_are_counted_and_reported_once() {
    let mut room = crowd();
    let mut told = Vec::new();
    for _ in 0..100 {
        told.append(&mut act(&mut room, 60_000, 1, said(&"x".repeat(LINE_UNIT))));
    }
    let stats = room.stats();
    assert_eq!((stats.relayed + stats.dropped_busy, stats.dropped_too_fast), (100, 0));
    let fitting = u64::from(FAN_OUT_RATE) / (1_000 * (LINE_UNIT + LINE_OVERHEAD) as u64);
    assert!((fitting * 2 / 3..fitting * 4 / 3).contains(&stats.relayed), "{stats:?}");
    assert_eq!(told.iter().filter(|line| line.starts_with("1 the chat is too busy")).count(), 1);
    assert_eq!(act(&mut room, 70_000, 2, said("hi")), ["* 2: hi"]);
}

#[test]
fn a_busy_room_admits_nobody_and_its_host_can_still_speak() {
    let mut room = new_room(RoomConfig::default());
    room.seat_host(0, None);
    for peer in 1..=900 {
        act(&mut room, 0, peer, Action::Heard);
    }
    for _ in 0..100 {
        act(&mut room, 60_000, 1, said(&"x".repeat(LINE_UNIT)));
    }
    assert!(act(&mut room, 60_000, 1_000, Action::Heard).is_empty());
    assert_eq!(act(&mut room, 60_000, 0, said("hush")), ["* 0: hush"]);
}

#[test]
fn the_host_is_not_limited() {
    let mut room = new_room(RoomConfig::default());
    room.seat_host(0, None);
    for peer in 1..=900 {
        act(&mut room, 0, peer, Action::Heard);
    }
    for _ in 0..100 {
        act(&mut room, 60_000, 0, said(&"x".repeat(LINE_UNIT)));
    }
    assert_eq!(act(&mut room, 60_000, 1, said("hi")), ["* 1: hi"]);
}

#[test]
fn farewells_of_a_crowd_are_one_report() {
    let mut room = new_room(RoomConfig { max_clients: 2_000, ..RoomConfig::default() });
    for peer in 0..2_000 {
        act(&mut room, u64::from(peer) * 10, peer, Action::Heard);
    }
    for peer in 0..1_000 {
        act(&mut room, 200_000, peer, Action::Heard);
    }
    let mut effects = Vec::new();
    room.handle_timeout(at(400_000), &mut effects);
    assert_eq!((room.stats().members, effects.len()), (1_000, 1));
    let presence = &effects[0].event.kind;
    assert!(
        matches!(presence, Kind::Presence { left, .. } if left.count() == 1_000),
        "{presence:?}"
    );
}

#[test]
fn nobody_times_out_on_arrival() {
    let config = RoomConfig { idle: Duration::ZERO, ..RoomConfig::default() };
    let mut room = room_of(&[(1, "alice")], config);
    let mut effects = Vec::new();
    room.handle_timeout(at(0), &mut effects);
    assert_eq!((effects.len(), room.poll_timeout()), (0, Some(time(1))));
}

#[test]
fn a_room_of_the_default_size_can_arrive_at_once() {
    let mut room: TestRoom = new_room(RoomConfig::default());
    let mut effects = Vec::new();
    for peer in 0..1_000 {
        room.handle(at(0), peer, named(&format!("n{peer}")), &mut effects);
    }
    assert_eq!(room.stats().members, 1_000);
}

#[test]
fn every_notice_fits_a_datagram_however_many_members_there_are() {
    let mut room = new_room(RoomConfig::default());
    let mut effects = Vec::new();
    for peer in 0..1_000 {
        room.handle(at(0), peer, named(&format!("{peer:032}")), &mut effects);
    }
    room.handle(at(0), 1, Action::Asked(Question::Who), &mut effects);
    let longest = told(&room, effects).iter().map(String::len).max();
    assert!(longest < Some(1_200), "{longest:?}");
}

#[test]
fn closing_is_announced_to_all() {
    let mut effects = Vec::new();
    let mut room = alice_and_bob();
    room.close(at(0), &mut effects);
    assert_eq!(told(&room, effects), ["* this chat is closing"]);
}
