//! Properties of every room, whatever its members do.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{event::Seq, log::MemoryLog, request::Question, time::Stamp};

/// An input of a room.
#[derive(Clone, Debug)]
enum Step {
    Does(u32, Action),
    Waits(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = "[a-c]{1,2}";
    let action = prop_oneof![
        4 => "[a-z]{1,9}".prop_map(Action::Said),
        2 => name.prop_map(Action::Named),
        2 => name.prop_map(Action::Hello),
        1 => Just(Action::Left),
        1 => Just(Action::Heard),
        1 => "[a-c]{1,2} [a-z]{0,5}".prop_map(Action::Whispered),
        1 => "[a-z]{0,5}".prop_map(Action::Topic),
        2 => (0_u64..60).prop_map(|seq| Action::Resumed(Seq(seq))),
        1 => Just(Action::Asked(Question::Who)),
    ];
    prop_oneof![
        9 => (0_u32..6, action).prop_map(|(peer, action)| Step::Does(peer, action)),
        1 => (1_u64..200_000).prop_map(Step::Waits),
    ]
}

/// What each membership of each peer received from the log, without repetitions.
#[derive(Default)]
struct Seen {
    live: BTreeMap<(u32, MemberId), Vec<Seq>>,
    repeated: Vec<(MemberId, Seq)>,
}

fn run(steps: Vec<Step>) -> (Vec<Seq>, Seen, BTreeMap<MemberId, Seq>) {
    let config = RoomConfig { rate: 1_000, burst: 1_000, ..RoomConfig::default() };
    let mut room = Chat::<u32, _>::new(config, MemoryLog::new());
    let (mut all, mut seen, mut joined) = (Vec::new(), Seen::default(), BTreeMap::new());
    let mut millis = 0;
    for step in steps {
        let mut effects = Vec::new();
        let now = |millis| Now {
            time: Time::from_epoch(Duration::from_millis(millis)),
            stamp: Stamp::from_millis(millis),
        };
        match step {
            Step::Does(peer, action) => room.handle(now(millis), peer, action, &mut effects),
            Step::Waits(more) => {
                millis += more;
                room.handle_timeout(now(millis), &mut effects);
            }
        }
        for Effect { to, event } in effects {
            match (to, event.seq) {
                (Audience::Room(_), Some(seq)) => {
                    all.push(seq);
                    if let (Kind::Joined, Some(author)) = (&event.kind, &event.author) {
                        joined.insert(author.member, seq);
                    }
                    for peer in room.peers() {
                        let stay = room.member_id(peer).expect("peers are members");
                        seen.live.entry((peer, stay)).or_default().push(seq);
                    }
                }
                (Audience::One(peer), Some(seq)) => {
                    let stay = room.member_id(peer).expect("only members receive the log");
                    seen.repeated.push((stay, seq));
                }
                (Audience::One(_), None) => {}
                (to, seq) => panic!("unexpected event: {to:?} {seq:?} {event:?}"),
            }
        }
    }
    (all, seen, joined)
}

proptest! {
    #[test]
    fn every_member_sees_the_same_numbers_from_joining_to_leaving(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let (all, seen, joined) = run(steps);
        prop_assert!(all.is_sorted_by(|a, b| a < b), "a number is given twice: {all:?}");
        for ((_, stay), seqs) in seen.live {
            prop_assert_eq!(seqs.first(), joined.get(&stay), "the first is not the own arrival");
            let from = all.iter().position(|seq| Some(seq) == seqs.first()).unwrap();
            prop_assert_eq!(&seqs[..], &all[from..from + seqs.len()], "none is missing");
        }
    }

    #[test]
    fn events_before_a_member_joined_are_not_repeated_to_them(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let (_, seen, joined) = run(steps);
        for (stay, seq) in seen.repeated {
            prop_assert!(joined.get(&stay).is_some_and(|from| seq >= *from), "{seq:?} to {stay:?}");
        }
    }
}
