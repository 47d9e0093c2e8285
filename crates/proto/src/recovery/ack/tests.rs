//! Tests of pending acknowledgements.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const RTT: Duration = Duration::from_millis(40);
const MAX_DELAY: Duration = Duration::from_millis(25);

const fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1_000)
}

fn empty() -> PendingAcks {
    PendingAcks::new(MAX_DELAY)
}

/// Returns a state past the start, with everything acknowledged.
fn past_start() -> PendingAcks {
    let mut ack = empty();
    for number in 0..START {
        data(&mut ack, at(0), number);
    }
    ack.on_ack_written(Level::Data);
    ack
}

fn data(ack: &mut PendingAcks, now: Time, number: u64) {
    ack.on_packet(now, number, Level::Data, true, None, RTT);
}

fn list(ack: &PendingAcks, level: Level) -> Vec<RangeInclusive<u64>> {
    ack.ranges(level).collect()
}

//
#[test]
fn r_6_a_lone_packet_is_acknowledged_after_a_quarter_of_the_rtt() {
    let mut ack = past_start();
    data(&mut ack, at(5), START);
    assert!(!ack.is_due(at(5), Level::Data) && ack.is_pending(Level::Data));
    assert_eq!(ack.deadline(), Some(at(15)));
    assert!(ack.is_due(at(15), Level::Data));
}

//
#[test]
fn r_6_a_ping_is_acknowledged_at_once() {
    let mut ack = past_start();
    data(&mut ack, at(5), START);
    ack.on_ping(at(5));
    assert!(ack.is_due(at(5), Level::Data));
}

//
#[test]
fn r_6_no_ack_waits_longer_than_parameter_7() {
    let mut ack = past_start();
    ack.on_packet(at(5), START, Level::Data, true, None, Duration::from_secs(1));
    assert_eq!(ack.deadline(), Some(at(5) + MAX_DELAY));
}

//
#[test]
fn r_6_the_second_packet_at_the_start_and_the_tenth_later_are_acknowledged_at_once() {
    let mut ack = empty();
    data(&mut ack, at(0), 0);
    assert!(!ack.is_due(at(0), Level::Data));
    data(&mut ack, at(0), 1);
    assert!(ack.is_due(at(0), Level::Data));
    let mut ack = past_start();
    for count in 0..10 {
        assert!(!ack.is_due(at(1), Level::Data), "{count} packets");
        data(&mut ack, at(1), START + count);
    }
    assert!(ack.is_due(at(1), Level::Data));
}

//
#[test]
fn r_6_a_gap_and_its_end_are_acknowledged_at_once() {
    let mut ack = past_start();
    data(&mut ack, at(1), START + 1);
    assert!(ack.is_due(at(1), Level::Data));
    ack.on_ack_written(Level::Data);
    data(&mut ack, at(2), START + 2);
    assert!(!ack.is_due(at(2), Level::Data), "an old gap is not reported again");
    data(&mut ack, at(3), START);
    assert!(ack.is_due(at(3), Level::Data));
    assert_eq!(list(&ack, Level::Data), [0..=START + 2]);
}

//
#[test]
fn r_6_congestion_marks_and_handshake_packets_are_acknowledged_at_once() {
    let mut ack = past_start();
    ack.on_packet(at(1), START, Level::Data, true, Some(EcnMark::Ce), RTT);
    assert!(ack.is_due(at(1), Level::Data));
    assert_eq!(ack.ecn(), Some(EcnCounts { ect0: 0, ect1: 0, ce: 1 }));
    let mut ack = empty();
    ack.on_packet(at(1), 0, Level::Hello, true, None, RTT);
    assert!(ack.is_due(at(1), Level::Hello));
}

#[test]
fn a_packet_that_elicits_no_ack_is_listed_but_not_pending() {
    let mut ack = empty();
    ack.on_packet(at(1), 7, Level::Data, false, None, RTT);
    assert_eq!(ack.deadline(), None);
    assert_eq!(list(&ack, Level::Data), [7..=7]);
}

// M-12
#[test]
fn m_12_an_ack_lists_only_packets_of_its_level_and_below() {
    let mut ack = empty();
    for (number, level) in
        [(0, Level::Hello), (1, Level::ZeroRtt), (2, Level::Handshake), (3, Level::Data)]
    {
        ack.on_packet(at(number), number, level, true, None, RTT);
    }
    assert_eq!(list(&ack, Level::Hello), [0..=0]);
    assert_eq!(list(&ack, Level::Handshake), [2..=2, 0..=0]);
    assert_eq!(list(&ack, Level::Data), [1..=3], "anyone can forge a Hello");
    assert_eq!(ack.delay(at(10), Level::Handshake), Duration::from_millis(8));
    ack.on_ack_written(Level::Handshake);
    assert!(ack.is_pending(Level::Data) && !ack.is_pending(Level::Handshake));
}

// M-13
#[test]
fn m_13_a_dropped_level_has_nothing_pending() {
    let mut ack = empty();
    ack.on_packet(at(1), 0, Level::Hello, true, None, RTT);
    ack.drop_level(Level::Hello);
    assert_eq!(ack.deadline(), None);
    assert_eq!(list(&ack, Level::Handshake), [0..=0]);
}

#[test]
fn ranges_the_peer_knows_are_not_listed_again() {
    let mut ack = empty();
    for number in [0, 1, 3, 5, 6, 9] {
        data(&mut ack, at(1), number);
    }
    ack.on_ack_of_ack(Level::Data, 5);
    assert_eq!(list(&ack, Level::Data), [9..=9, 6..=6]);
    ack.on_ack_of_ack(Level::Data, 9);
    assert_eq!(list(&ack, Level::Data), [9..=9], "the highest stays");
    data(&mut ack, at(2), 2);
    assert_eq!(list(&ack, Level::Data), [9..=9, 2..=2], "a late packet is still listed");
}

#[test]
fn an_ack_of_a_lower_levels_ack_prunes_only_what_it_listed() {
    let mut ack = empty();
    ack.on_packet(at(1), 0, Level::ZeroRtt, true, None, RTT);
    ack.on_packet(at(1), 1, Level::Handshake, true, None, RTT);
    ack.on_ack_of_ack(Level::Handshake, 1);
    assert_eq!(list(&ack, Level::Data), [0..=1], "0 was never listed");
}

#[test]
fn an_idle_connection_keeps_the_newest_ranges() {
    let mut ack = empty();
    (0..40).for_each(|count| data(&mut ack, at(1), count * 2));
    ack.release_memory();
    assert_eq!(list(&ack, Level::Data), [78..=78, 76..=76, 74..=74, 72..=72]);
    assert_eq!(ack.data.ranges.0.capacity(), RANGES_AT_REST);
}

// M-51
#[test]
fn m_51_at_most_64_ranges_are_listed_and_the_oldest_go_first() {
    let mut ack = empty();
    (0..100).for_each(|count| data(&mut ack, at(1), count * 2));
    let ranges = list(&ack, Level::Data);
    assert_eq!((ranges.len(), ranges[0].clone()), (MAX_ACK_RANGES, 198..=198));
    assert!(ack.wants_ack());
    data(&mut ack, at(1), 1);
    assert_eq!(list(&ack, Level::Data), ranges, "older than all kept ranges");
}

proptest! {
    #[test]
    fn ranges_are_the_newest_of_a_set(numbers in prop::collection::vec(0_u64..400, 0..300)) {
        let mut ranges = Ranges::default();
        let mut model = BTreeSet::new();
        let mut evicted = false;
        for number in numbers {
            model.insert(number);
            evicted |= ranges.0.len() == MAX_ACK_RANGES;
            ranges.insert(number);
            prop_assert!(ranges.0.len() <= MAX_ACK_RANGES);
            for pair in ranges.0.windows(2) {
                prop_assert!(pair[0].1 + 1 < pair[1].0, "ascending and not adjacent");
            }
        }
        let listed: BTreeSet<u64> = ranges.newest_first().flatten().collect();
        prop_assert!(listed.is_subset(&model));
        prop_assert!(evicted || listed == model);
        prop_assert_eq!(listed.last(), model.last());
    }
}
