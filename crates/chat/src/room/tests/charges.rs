//! Tests of what members pay for: no request is free, and nobody takes another's share.

use super::{
    rooms::{Keyed, KeyedChat, does, in_room, key, keyed, refusal},
    *,
};
use crate::{
    limits::{
        DEFAULT_BURST, DEFAULT_MAX_CLIENTS, DEFAULT_RATE, FAN_OUT_RATE, LINE_UNIT, MAX_LINE_LEN,
        MAX_MEMBERS_PER_IP, MAX_NAME_SUFFIX, MAX_REPLAY, MAX_ROOMS_PER_MEMBER, OPENING_COST,
        SEARCH_COST, SIGN_BURST, SIGN_RATE, SITE_SHARE,
    },
    store::LogId,
};

const OLGA: u32 = 100;

/// Lets a member send a thousand requests per second for `seconds`. Returns how many were dropped.
fn dropped(chat: &mut KeyedChat, seconds: u64, mut request: impl FnMut(u64) -> Request) -> u64 {
    let before = chat.stats();
    for millis in 0..seconds * 1_000 {
        chat.handle(at(millis), Keyed(OLGA), request(millis), &mut Vec::new());
    }
    let after = chat.stats();
    after.dropped_too_fast - before.dropped_too_fast
}

#[test]
fn no_request_is_free() {
    let room = || RoomName::general();
    let in_vain = [
        Action::Heard,
        Action::Read(Seq(1)),
        Action::Resumed(Seq(0)),
        Action::LeftRoom,
        Action::Joined,
        Action::Identify("ana".to_owned()),
        Action::History(None),
        Action::Search("tea".to_owned(), None),
        Action::Unsigned,
        Action::BadRoomName,
        Action::Asked(Question::Rooms),
        named("olga"),
        said("hi"),
    ];
    let permitted = u64::from(DEFAULT_BURST + 10 * DEFAULT_RATE);
    let signs = u64::from(SIGN_BURST + 10 * SIGN_RATE);
    for action in in_vain {
        let mut chat = keyed(&[(OLGA, "olga")]);
        // The last room is left with the chat, which needs no allowance.
        does(&mut chat, OLGA, in_room("garden", Action::Joined));
        let request = || Request { room: room(), ..Request::from(action.clone()) };
        let taken = 10_000 - dropped(&mut chat, 10, |_| request());
        let most =
            if matches!(action, Action::Heard | Action::Read(_)) { signs } else { permitted };
        assert!(taken <= most, "{action:?}: {taken} were taken");
    }
}

#[test]
fn a_member_who_reads_a_lot_may_still_write() {
    let mut chat = keyed(&[(OLGA, "olga"), (1, "ana")]);
    assert!(dropped(&mut chat, 1, |seq| Action::Read(Seq(seq)).into()) > 0);
    let told = does(&mut chat, OLGA, said("hi"));
    assert!(matches!(told[0].event.kind, Kind::Said { .. }), "{told:?}");
}

#[test]
fn requests_that_cost_the_host_more_cost_the_member_more() {
    let count = |cost: u32| u64::from(DEFAULT_BURST.div_ceil(cost));
    for (action, most) in [
        (Action::Search("tea".to_owned(), None), count(SEARCH_COST)),
        (Action::Resumed(Seq::START), count(MAX_REPLAY as u32)),
        (said(&"x".repeat(MAX_LINE_LEN)), count((MAX_LINE_LEN / LINE_UNIT) as u32)),
    ] {
        let mut chat = keyed(&[(OLGA, "olga")]);
        for _ in 0..1_000 {
            chat.handle(at(0), Keyed(OLGA), action.clone(), &mut Vec::new());
        }
        let taken = 1_001 - chat.stats().dropped_too_fast;
        assert!(taken <= most + 1, "{action:?}: {taken}");
        assert!(chat.take_rewinds().len() as u64 <= most, "{action:?}");
    }
}

#[test]
fn rooms_that_are_opened_and_left_are_paid_for_and_forgotten() {
    let mut chat = keyed(&[(OLGA, "olga"), (1, "ana")]);
    for millis in 0..8_000 {
        let room = format!("room-{millis}");
        for action in [Action::Joined, Action::LeftRoom] {
            chat.handle(at(millis), Keyed(OLGA), in_room(&room, action), &mut Vec::new());
        }
    }
    // The log contains what olga did in these rooms, and nothing else.
    let opened = chat.head().0 / 2;
    let permitted = u64::from((DEFAULT_BURST + 8 * DEFAULT_RATE) / OPENING_COST);
    // Leaving a room that one is not in costs something, too.
    assert!((permitted / 4..=permitted + 2).contains(&opened), "{opened}, not {permitted}");
    // Leaving has a price, too, so olga is still in some rooms.
    assert!(chat.room_count() <= MAX_ROOMS_PER_MEMBER);
    chat.handle(at(8_000), Keyed(OLGA), Action::Left, &mut Vec::new());
    assert_eq!(chat.room_count(), 1);
    assert_eq!(chat.log().newest().room_count(), 1);
}

#[test]
fn rooms_with_topics_that_give_way_to_others_are_forgotten_in_the_log_too() {
    let mut chat = keyed(&[(1, "ana")]);
    let config = RoomConfig { rate: 1_000_000, burst: 1_000_000, ..RoomConfig::default() };
    chat.config = config;
    for n in 0..2_000 {
        let room = format!("room-{n}");
        for action in [Action::Joined, Action::Topic("tea".to_owned()), Action::LeftRoom] {
            chat.handle(at(n * 1_000), Keyed(1), in_room(&room, action), &mut Vec::new());
        }
    }
    assert_eq!(chat.room_count(), crate::limits::MAX_ROOMS);
    let heads = chat.log().newest().room_count();
    assert!(heads <= crate::limits::MAX_ROOMS, "{heads}");
}

fn hello(chat: &mut KeyedChat, millis: u64, from: u32, network: &str, rooms: &[RoomName]) -> bool {
    let network = Some(network.parse().unwrap());
    let name = format!("n{from}");
    let hello = Hello { name: &name, rooms, network };
    chat.handle_hello(at(millis), Keyed(from), &hello, &mut Vec::new())
}

#[test]
fn the_keys_of_one_network_do_not_fill_a_chat() {
    let share = DEFAULT_MAX_CLIENTS / SITE_SHARE;
    let mut chat = keyed(&[]);
    let office = (100..100 + 2 * share as u32)
        .filter(|key| hello(&mut chat, 0, *key, "2001:db8::7", &[]))
        .count();
    assert_eq!(office, share);
    assert_eq!(chat.stats().dropped_same_ip, share as u64);
    assert!(!hello(&mut chat, 60_000, 5_000, "2001:db8::8", &[]), "one network is one /64");
    assert!(hello(&mut chat, 60_000, 5_001, "2001:db8:0:1::8", &[]));
    // Members who leave make room, and members who move no longer count there.
    chat.handle(at(60_000), Keyed(100), Action::Left, &mut Vec::new());
    assert!(hello(&mut chat, 60_000, 5_002, "2001:db8::8", &[]));
    assert!(hello(&mut chat, 60_000, 101, "192.0.2.1", &[]));
    assert!(hello(&mut chat, 60_000, 5_003, "2001:db8::8", &[]));
}

#[test]
fn a_small_chat_admits_a_whole_home_and_everybody_on_this_machine() {
    let config = RoomConfig { max_clients: 80, ..RoomConfig::default() };
    for (network, most) in [("192.0.2.7", MAX_MEMBERS_PER_IP), ("127.0.0.1", 80)] {
        let mut chat: KeyedChat = Chat::new(config.clone(), MemoryLog::named(LogId::new(9 << 11)));
        let here = (100..300).filter(|key| hello(&mut chat, 0, *key, network, &[])).count();
        assert_eq!(here, most, "{network}");
    }
}

#[test]
fn the_keys_of_one_network_join_no_faster_than_one_source_may() {
    let mut chat = keyed(&[]);
    let mut came = 0;
    for millis in 0..10_000 {
        let key = 100 + millis as u32;
        if hello(&mut chat, millis, key, "192.0.2.7", &[]) {
            came += 1;
            chat.handle(at(millis), Keyed(key), Action::Left, &mut Vec::new());
        }
    }
    let share = DEFAULT_MAX_CLIENTS / SITE_SHARE;
    assert!((share..share + 60).contains(&came), "{came}");
    assert!(hello(&mut chat, 10_000, 1, "192.0.2.8", &[]));
}

#[test]
fn leaving_and_coming_back_pays_no_debt() {
    let mut chat = keyed(&[]);
    let rooms: Vec<RoomName> = (0..16).map(|n| format!("r{n}").parse().unwrap()).collect();
    let mut came = 0;
    for millis in 0..10_000 {
        if hello(&mut chat, millis, OLGA, "127.0.0.1", &rooms) {
            came += 1;
            chat.handle(at(millis), Keyed(OLGA), Action::Left, &mut Vec::new());
        }
    }
    let permitted = (DEFAULT_BURST + 10 * DEFAULT_RATE) / (16 * OPENING_COST);
    assert!((1..=permitted + 2).contains(&came), "{came}");
}

#[test]
fn a_member_that_keeps_coming_back_is_not_always_greeted() {
    let mut chat = keyed(&[]);
    let came = (0..10_000).filter(|n| hello(&mut chat, *n, OLGA, "127.0.0.1", &[])).count();
    assert!((40..200).contains(&came), "{came}");
    assert!(chat.is_member(Keyed(OLGA)));
    assert!(hello(&mut chat, 20_000, OLGA, "127.0.0.1", &[]));
}

fn hello_as_alice(chat: &mut KeyedChat, peer: u32) {
    let hello = Hello { name: "alice", rooms: &[], network: None };
    chat.handle_hello(at(0), Keyed(peer), &hello, &mut Vec::new());
}

#[test]
fn everybody_gets_a_free_name_after_a_few_tries() {
    let mut chat = keyed(&[]);
    for peer in 100..400 {
        hello_as_alice(&mut chat, peer);
        let shown = chat.author(Keyed(peer)).unwrap().name;
        assert!(shown.starts_with("alice"), "{shown}");
    }
    does(&mut chat, 150, named("zoe"));
    let Refusal::NameTaken { free, .. } = refusal(does(&mut chat, 150, named("alice"))) else {
        panic!()
    };
    assert!(free.is_some_and(|free| free.starts_with("alice-")));
    assert_eq!(chat.author(Keyed(102)).unwrap().key, Some(key(102)));
}

#[test]
fn only_a_few_names_are_tried() {
    let mut chat = keyed(&[]);
    let names: Vec<_> = (0..20)
        .map(|n| {
            hello_as_alice(&mut chat, 100 + n);
            chat.author(Keyed(100 + n)).unwrap().name
        })
        .collect();
    let tried = MAX_NAME_SUFFIX as usize;
    assert_eq!(&*names[tried - 1], format!("alice-{tried}"));
    // The next number is free, but it is not tried: each has a number of its own.
    assert!(!names.contains(&format!("alice-{}", tried + 1).into()), "{names:?}");
}

#[test]
fn readers_of_the_log_may_be_sent_more_than_those_of_datagrams() {
    let config = RoomConfig { rate: 1_000_000, burst: 1_000_000, ..RoomConfig::default() };
    let relayed = |peers: std::ops::Range<u32>| {
        let mut chat = Chat::new(config.clone(), MemoryLog::named(LogId::new(9 << 11)));
        for (millis, peer) in peers.clone().enumerate() {
            let hello = named(&format!("m{peer}"));
            chat.handle(at(1_000 * millis as u64), Keyed(peer), hello, &mut Vec::new());
        }
        let line = said(&"x".repeat(MAX_LINE_LEN));
        for millis in 0..3_000 {
            let now = at(1_000_000 + millis);
            chat.handle(now, Keyed(peers.start), line.clone(), &mut Vec::new());
        }
        chat.stats().relayed
    };
    let (datagrams, log) = (relayed(50..100), relayed(100..150));
    let most = u64::from(FAN_OUT_RATE) * 4 / (50 * MAX_LINE_LEN as u64);
    assert!(datagrams <= most && log == 3_000, "{datagrams} {log} {most}");
}
