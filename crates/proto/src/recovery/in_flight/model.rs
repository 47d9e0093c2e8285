//! The packets in flight against a model, over random sequences of sends, ACKs and timers.

use std::{collections::BTreeMap, ops::RangeInclusive};

use proptest::prelude::*;

use super::{
    tests::{BYTES, Side, at},
    *,
};

#[derive(Clone, Debug)]
enum Step {
    Send { level: usize, eliciting: bool, probe: bool, path: u8, skip: bool },
    Ack { level: usize, from: u64, numbers: Vec<bool> },
    Wait(u64),
    Drop(usize),
    Path(u8),
    Pto,
}

const LEVELS: [Level; 4] = [Level::Hello, Level::Handshake, Level::ZeroRtt, Level::Data];

fn step() -> impl Strategy<Value = Step> {
    let send = (0..4_usize, prop::bool::weighted(0.8), any::<(bool, bool)>(), 0..2_u8);
    let numbers = prop::collection::vec(any::<bool>(), 1..30);
    prop_oneof![
        8 => send.prop_map(|(level, eliciting, (probe, skip), path)| Step::Send {
            level,
            eliciting,
            probe: probe && skip,
            path,
            skip,
        }),
        4 => (0..4_usize, 0..30_u64, numbers)
            .prop_map(|(level, from, numbers)| Step::Ack { level, from, numbers }),
        2 => (0..2_000_u64).prop_map(Step::Wait),
        1 => (0..4_usize).prop_map(Step::Drop),
        1 => (0..2_u8).prop_map(Step::Path),
        1 => Just(Step::Pto),
    ]
}

/// Every ack-eliciting packet in flight: its level and path.
type Model = BTreeMap<u64, (Level, u8)>;

fn end_all(model: &mut Model, ends: &[u64], level: Option<Level>) {
    for number in ends {
        let (of, _) = model.remove(number).expect("each packet ends once");
        assert!(level.is_none_or(|level| Group::of(of) <= Group::of(level)), "M-12");
    }
}

/// Returns ranges, newest first, of those numbers from `from` on that are wanted and were sent.
fn ranges_of(sent: &[u64], from: u64, wanted: &[bool]) -> Vec<RangeInclusive<u64>> {
    let newest = sent.iter().rev().skip(from as usize).zip(wanted);
    newest.filter(|(_, wanted)| **wanted).map(|(number, _)| *number..=*number).collect()
}

proptest! {
    #[test]
    fn each_packet_ends_in_exactly_one_way(steps in prop::collection::vec(step(), 0..200)) {
        let (mut side, mut model) = (Side::new(), Model::new());
        let (mut now, mut number, mut path) = (0, 0, 0);
        let mut sent = Vec::new();
        for step in steps {
            match step {
                Step::Send { level, eliciting, probe, path, skip } => {
                    number += u64::from(skip);
                    side.send_as(number, now, LEVELS[level], |packet| {
                        packet.eliciting = eliciting;
                        packet.mtu_probe = probe;
                        packet.path = path;
                        if !eliciting {
                            packet.frames.clear();
                        }
                    });
                    if eliciting {
                        model.insert(number, (LEVELS[level], path));
                    }
                    sent.push(number);
                    number += 1;
                }
                Step::Ack { level, from, numbers } => {
                    let ranges = ranges_of(&sent, from, &numbers);
                    let level = LEVELS[level];
                    let heard: Vec<u64> = ranges
                        .iter()
                        .map(|range| *range.start())
                        .filter(|number| {
                            let flying = model.get(number);
                            flying.is_some_and(|(of, _)| Group::of(*of) <= Group::of(level))
                        })
                        .collect();
                    side.ack_at(now, level, &ranges).unwrap();
                    prop_assert_eq!(side.acked(), heard);
                    end_all(&mut model, &side.acked(), Some(level));
                    end_all(&mut model, &side.lost(), None);
                }
                Step::Wait(millis) => {
                    now += millis;
                    side.detect(now);
                    end_all(&mut model, &side.lost(), None);
                    prop_assert!(side.flight.loss_deadline().is_none_or(|due| due > at(now)));
                }
                Step::Drop(level) => {
                    side.flight.drop_level(LEVELS[level]);
                    model.retain(|_, (of, _)| *of != LEVELS[level]);
                }
                Step::Path(to) => {
                    path = to;
                    side.flight.on_new_path(to);
                }
                Step::Pto => prop_assert_eq!(side.flight.on_pto(), 2),
            }
            let flying = model.values().filter(|(_, of)| *of == path).count() as u64;
            prop_assert_eq!(side.flight.bytes_in_flight(), flying * u64::from(BYTES));
            prop_assert_eq!(side.flight.is_waiting(), !model.is_empty());
            prop_assert_eq!(side.flight.next_number(), sent.last().map_or(0, |last| last + 1));
        }
        LEVELS.iter().for_each(|level| side.flight.drop_level(*level));
        prop_assert_eq!(side.flight.bytes_in_flight(), 0);
        prop_assert!(!side.flight.is_waiting() && side.flight.slots.is_empty());
    }
}
