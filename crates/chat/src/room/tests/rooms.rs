//! Tests of several rooms: who is where, who reads what, who may remove whom.

use std::collections::BTreeSet;

use super::*;
use crate::{
    limits::{MAX_ANNOUNCED, MAX_ROOMS, MAX_ROOMS_PER_MEMBER},
    store::LogId,
};

/// A member of a chat with a key; those from 100 on read the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Keyed(pub(super) u32);

impl std::fmt::Display for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.0)
    }
}

impl Peer for Keyed {
    fn network(&self) -> Option<IpAddr> {
        (self.0 < 100).then(|| [10, 0, 0, self.0 as u8].into())
    }

    fn key(&self) -> Option<Arc<str>> {
        (self.0 >= 100).then(|| key(self.0))
    }

    fn reads_log(&self) -> bool {
        self.0 >= 100
    }
}

pub(super) fn key(number: u32) -> Arc<str> {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    hikyaku::signers::Fingerprint::from_bytes(&bytes).unwrap().to_string().into()
}

pub(super) type KeyedChat = Chat<Keyed, MemoryLog>;

pub(super) fn keyed(members: &[(u32, &str)]) -> KeyedChat {
    let owners = BTreeSet::from([key(100)]);
    let config = RoomConfig { owners, ..RoomConfig::default() };
    let mut chat = Chat::new(config, MemoryLog::named(LogId::new(9 << 11)));
    for (member, name) in members {
        does(&mut chat, *member, named(name));
    }
    chat
}

pub(super) fn does(
    chat: &mut KeyedChat,
    from: u32,
    request: impl Into<Request>,
) -> Vec<Effect<Keyed>> {
    let mut effects = Vec::new();
    chat.handle(at(0), Keyed(from), request, &mut effects);
    effects
}

pub(super) fn in_room(room: &str, action: Action) -> Request {
    Request { room: room.parse().unwrap(), ..Request::from(action) }
}

/// The only event of a call.
fn only(effects: Vec<Effect<Keyed>>) -> (Audience<Keyed>, Kind) {
    let [effect] = effects.try_into().unwrap();
    (effect.to, effect.event.kind.clone())
}

fn room(name: &str) -> Audience<Keyed> {
    Audience::Room(name.parse().unwrap())
}

pub(super) fn refusal(effects: Vec<Effect<Keyed>>) -> Refusal {
    match only(effects).1 {
        Kind::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_line_goes_to_its_room_and_nowhere_else() {
    let mut chat = keyed(&[(1, "ana"), (2, "ben"), (100, "olga")]);
    assert_eq!(only(does(&mut chat, 1, in_room("garden", Action::Joined))).0, room("garden"));
    let (to, _) = only(does(&mut chat, 1, said("in the garden")));
    assert_eq!(to, room("garden"), "the room that was joined last");
    assert_eq!(chat.receivers(&to).collect::<Vec<_>>(), [Keyed(1)]);
    let (to, _) = only(does(&mut chat, 2, said("hi")));
    assert_eq!(chat.receivers(&to).collect::<Vec<_>>(), [Keyed(1), Keyed(2)]);
    assert_eq!(refusal(does(&mut chat, 2, in_room("garden", said("hi")))), Refusal::NotInRoom);
}

#[test]
fn leaving_the_last_room_leaves_the_chat() {
    let mut chat = keyed(&[(1, "ana"), (2, "ben")]);
    does(&mut chat, 1, in_room("garden", Action::Joined));
    let told = does(&mut chat, 1, Action::LeftRoom);
    assert_eq!(told[0].to, Audience::One(Keyed(1)), "who left sees it, too");
    assert!(matches!(told[1].event.kind, Kind::Left(Departure::Quit)));
    assert_eq!(told[1].to, room("garden"));
    assert_eq!(chat.current_room(Keyed(1)), RoomName::general());
    assert_eq!(only(does(&mut chat, 1, said("hi"))).0, room("general"));
    does(&mut chat, 1, Action::LeftRoom);
    assert!(!chat.is_member(Keyed(1)) && chat.is_member(Keyed(2)));
}

#[test]
fn each_room_has_its_members_and_its_topic() {
    let mut chat = keyed(&[(1, "ana"), (2, "ben")]);
    does(&mut chat, 1, in_room("garden", Action::Joined));
    does(&mut chat, 1, Action::Topic("roses".to_owned()));
    let who = in_room("garden", Action::Asked(Question::Who));
    let Kind::Members { roll } = only(does(&mut chat, 2, who)).1 else { panic!() };
    assert_eq!(roll.names, ["ana".into()]);
    let Kind::Rooms { rooms } = only(does(&mut chat, 2, Action::Asked(Question::Rooms))).1 else {
        panic!()
    };
    let listed: Vec<_> =
        rooms.iter().map(|info| (info.room.as_str(), info.members, &*info.topic)).collect();
    assert_eq!(listed, [("general", 2, ""), ("garden", 1, "roses")]);
    let topic = only(does(&mut chat, 2, Action::Asked(Question::Topic))).1;
    assert_eq!(topic, Kind::Topic { text: "".into() });
}

#[test]
fn a_name_belongs_to_one_member_in_every_room() {
    let mut chat = keyed(&[(1, "ana"), (2, "ben")]);
    does(&mut chat, 1, in_room("garden", Action::Joined));
    does(&mut chat, 1, Action::LeftRoom);
    assert!(matches!(refusal(does(&mut chat, 2, named("ana"))), Refusal::NameTaken { .. }));
    let refused = refusal(does(&mut chat, 2, named("аnа")));
    assert_eq!(refused, Refusal::NameConfusable { name: "аnа".into(), like: "ana".into() });
    does(&mut chat, 1, in_room("garden", Action::Joined));
    let renamed = does(&mut chat, 1, named("anna"));
    let rooms: Vec<_> = renamed.into_iter().map(|effect| effect.to).collect();
    assert_eq!(rooms, [room("garden"), room("general")]);
}

#[test]
fn rooms_are_bounded_and_empty_ones_give_way() {
    let mut chat = keyed(&[(1, "ana")]);
    for n in 1..MAX_ROOMS_PER_MEMBER {
        does(&mut chat, 1, in_room(&format!("r{n}"), Action::Joined));
    }
    let more = in_room("more", Action::Joined);
    assert_eq!(refusal(does(&mut chat, 1, more)), Refusal::TooManyRooms);
    let mut chat = keyed(&[(1, "ana")]);
    for n in 0..2 * MAX_ROOMS as u64 {
        let now = Now { time: time(n * 1_000), stamp: Stamp::from_millis(n) };
        for request in [
            in_room(&format!("r{n}"), Action::Joined),
            Action::Topic("t".to_owned()).into(),
            Action::LeftRoom.into(),
        ] {
            chat.handle(now, Keyed(1), request, &mut Vec::new());
        }
        assert_eq!(chat.rooms_of(Keyed(1)).map(|rooms| rooms.len()), Some(1), "{n}");
    }
}

#[test]
fn whispers_of_keyed_members_are_in_the_log_and_others_are_not() {
    let mut chat = keyed(&[(1, "ana"), (100, "olga"), (101, "ben lee")]);
    let unsigned = whispered("\"Ben Lee\" psst");
    assert_eq!(refusal(does(&mut chat, 100, unsigned)), Refusal::Forged);
    let signed = Action::WhisperedTo(key(101), "psst".to_owned());
    let (to, kind) = only(does(&mut chat, 100, signed));
    assert_eq!(to, Audience::Keys(key(100), key(101)));
    let Kind::Whispered { to_key, text, .. } = kind else { panic!("{kind:?}") };
    assert_eq!((to_key, &*text), (Some(key(101)), "psst"));
    let told = does(&mut chat, 100, whispered("ana psst"));
    assert_eq!(told[0].to, Audience::One(Keyed(1)));
    assert_eq!(told[0].event.seq, None);
    does(&mut chat, 101, Action::Left);
    let by_key = Action::WhisperedTo(key(101), "later".to_owned());
    assert_eq!(only(does(&mut chat, 100, by_key)).0, Audience::Keys(key(100), key(101)));
    let unknown = Action::WhisperedTo(key(555), "psst".to_owned());
    assert!(matches!(refusal(does(&mut chat, 100, unknown)), Refusal::Nobody { .. }));
}

#[test]
fn only_owners_may_remove_members() {
    let mut chat = keyed(&[(1, "ana"), (100, "olga"), (101, "ben")]);
    let kick = |name: &str| Action::Kick(name.to_owned());
    assert_eq!(refusal(does(&mut chat, 101, kick("ana"))), Refusal::NotAnOwner);
    let told = does(&mut chat, 100, kick("ana"));
    assert_eq!(told[0].to, Audience::One(Keyed(1)), "a member without a cursor is told so");
    assert!(matches!(told[1].event.kind, Kind::Left(Departure::Kicked)));
    assert_eq!(chat.take_dismissed(), [(Keyed(1), Departure::Kicked)]);
    assert_eq!(told[2].event.kind, Kind::Kicked { who: "ana".into() });
    let says = |chat: &mut Chat<Keyed, MemoryLog>, millis| {
        let mut effects = Vec::new();
        chat.handle(at(millis), Keyed(1), said("back"), &mut effects);
        (chat.is_member(Keyed(1)), effects)
    };
    let (is_back, told) = says(&mut chat, 59_999);
    assert!(!is_back && refusal(told) == Refusal::Kicked);
    assert!(says(&mut chat, 60_001).0, "a kick is not a ban");
}

#[test]
fn a_ban_of_a_key_or_a_network_lasts_until_it_is_lifted() {
    let mut chat = keyed(&[(1, "ana"), (2, "eve"), (100, "olga"), (101, "ben")]);
    let ban = |who: &str| Action::Ban(who.to_owned());
    does(&mut chat, 100, ban("ben"));
    does(&mut chat, 100, ban("ana"));
    does(&mut chat, 100, ban("10.0.0.2/32"));
    let changes: Vec<_> = chat.take_ban_changes().into_iter().map(|(who, _)| who).collect();
    assert_eq!(changes, [key(101), "10.0.0.1".into(), "10.0.0.2/32".into()]);
    let gone: Vec<_> = chat.take_dismissed().into_iter().map(|(peer, _)| peer.0).collect();
    assert_eq!(gone, [101, 1, 2]);
    for peer in [101, 1, 2] {
        does(&mut chat, peer, said("back"));
        assert!(!chat.is_member(Keyed(peer)), "{peer}");
    }
    let (_, answer) = only(does(&mut chat, 100, Action::Unban("ben".to_owned())));
    assert_eq!(answer, Kind::Unbanned { who: "ben".into() });
    does(&mut chat, 101, said("back"));
    assert!(chat.is_member(Keyed(101)));
    assert_eq!(chat.stats().dropped_banned, 3);
}

#[test]
fn a_large_room_reports_arrivals_and_departures_periodically() {
    let mut chat = keyed(&[]);
    let last = 100 + MAX_ANNOUNCED as u32 + 5;
    let mut announced = 0;
    for peer in 100..last {
        let told = does(&mut chat, peer, named(&format!("n{peer}")));
        announced +=
            told.iter().filter(|e| e.to == room("general") && e.event.seq.is_some()).count();
    }
    assert_eq!(announced, MAX_ANNOUNCED);
    does(&mut chat, 101, Action::Left);
    let due = chat.poll_timeout().unwrap();
    let mut effects = Vec::new();
    chat.handle_timeout(Now { time: due, stamp: Stamp::from_millis(0) }, &mut effects);
    let (to, kind) = only(effects);
    let Kind::Presence { members, joined, left } = kind else { panic!("{kind:?}") };
    assert_eq!((to, members), (room("general"), MAX_ANNOUNCED + 4));
    assert_eq!((joined.count(), left.names), (5, vec!["n101".into()]));
}

#[test]
fn a_message_is_reported_to_its_author_as_members_acknowledge_it() {
    let mut chat = keyed(&[(1, "ana"), (100, "olga"), (101, "ben"), (102, "carl")]);
    let told = does(&mut chat, 100, said("hi"));
    let seq = told[0].event.seq.unwrap();
    does(&mut chat, 101, Action::Read(seq));
    does(&mut chat, 1, Action::Read(seq));
    let mut effects = Vec::new();
    chat.handle_timeout(at(0), &mut effects);
    let delivered = Kind::Delivered { seq, to: 1, of: 2 };
    assert_eq!(only(effects), (Audience::One(Keyed(100)), delivered));
    does(&mut chat, 102, Action::Read(Seq(u64::MAX)));
    let mut effects = Vec::new();
    chat.handle_timeout(at(1_000), &mut effects);
    assert_eq!(only(effects).1, Kind::Delivered { seq, to: 2, of: 2 });
}

#[test]
fn a_member_that_comes_back_is_in_the_rooms_that_it_names() {
    let mut chat = keyed(&[]);
    let rooms = ["garden".parse().unwrap(), "shed".parse().unwrap()];
    let mut effects = Vec::new();
    let hello = |rooms| Hello { name: "olga", rooms, network: None };
    assert!(chat.handle_hello(at(0), Keyed(100), &hello(&rooms), &mut effects));
    let Kind::Greeted { rooms: named, log, durable, .. } = &effects[0].event.kind else { panic!() };
    assert_eq!((&named[..], *log, *durable), (&rooms[..], Some(LogId::new(9 << 11)), false));
    let more = ["shed".parse().unwrap(), RoomName::general()];
    assert!(chat.handle_hello(at(0), Keyed(100), &hello(&more), &mut effects));
    assert_eq!(chat.rooms_of(Keyed(100)).map(|rooms| rooms.len()), Some(3));
    let joined = effects.iter().filter(|effect| effect.event.kind == Kind::Joined).count();
    assert_eq!(joined, 3);
}

#[test]
fn whispers_and_other_rooms_are_no_gap_for_a_reader_of_one_room() {
    let mut chat = keyed(&[(1, "ana"), (100, "olga"), (101, "ben")]);
    let last = does(&mut chat, 1, said("hi"))[0].event.seq.unwrap();
    does(&mut chat, 100, in_room("garden", Action::Joined));
    does(&mut chat, 100, Action::WhisperedTo(key(101), "psst".to_owned()));
    let greeted = only(does(&mut chat, 1, Action::Hello("ana".to_owned()))).1;
    assert!(matches!(greeted, Kind::Greeted { head, .. } if head == last), "{greeted:?}");
    assert_eq!(does(&mut chat, 1, said("again"))[0].event.prev, last);
}

#[test]
fn nobody_is_taken_for_a_host_who_does_not_sit_at_the_server() {
    let mut chat = keyed(&[(100, "olga")]);
    for wish in ["host", "HOST", "h\u{43e}st"] {
        let refused = refusal(does(&mut chat, 100, Action::Named(wish.to_owned())));
        assert!(
            matches!(refused, Refusal::NameTaken { .. } | Refusal::NameConfusable { .. }),
            "{wish}: {refused:?}"
        );
    }
    does(&mut chat, 101, named("host"));
    assert_ne!(&*chat.author(Keyed(101)).unwrap().name, "host");
}
