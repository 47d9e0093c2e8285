//! Tests of the packets in flight.

use std::ops::RangeInclusive;

use super::{
    super::{ecn::EcnCounts, report::Report},
    *,
};
use crate::error::Close;

pub(super) const BYTES: u16 = 1_200;

pub(super) const fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1_000)
}

/// A store with its RTT and report.
pub(super) struct Side {
    pub(super) flight: InFlight,
    rtt: Rtt,
    report: Report,
}

impl Side {
    pub(super) fn new() -> Self {
        Self { flight: InFlight::new(), rtt: Rtt::default(), report: Report::default() }
    }

    /// Returns a side with an RTT of 100 ms, nothing in flight, and number 1 next, at 100 ms.
    fn sampled() -> Self {
        let mut side = Self::new();
        side.send(0, 0);
        side.ack(100, &[0..=0]);
        side
    }

    fn send(&mut self, number: u64, millis: u64) {
        self.send_as(number, millis, Level::Data, |_| {});
    }

    pub(super) fn send_as(
        &mut self,
        number: u64,
        millis: u64,
        level: Level,
        change: impl FnOnce(&mut SentPacket),
    ) {
        let mut frames = self.flight.lend_frames();
        assert!(frames.is_empty());
        frames.push(SentFrame::NewId(number));
        let mut packet = SentPacket::new(number, level, at(millis), BYTES, frames);
        change(&mut packet);
        self.flight.record(packet);
    }

    fn ack(&mut self, millis: u64, ranges: &[RangeInclusive<u64>]) {
        self.ack_at(millis, Level::Data, ranges).unwrap();
    }

    pub(super) fn ack_at(
        &mut self,
        millis: u64,
        level: Level,
        ranges: &[RangeInclusive<u64>],
    ) -> Result<(), Close> {
        let header = AckHeader { level, delay: Duration::ZERO, ecn: None };
        self.ack_with(millis, &header, ranges)
    }

    fn ack_with(
        &mut self,
        millis: u64,
        header: &AckHeader,
        ranges: &[RangeInclusive<u64>],
    ) -> Result<(), Close> {
        self.report.clear();
        let ranges = ranges.iter().cloned();
        self.flight.on_ack(at(millis), header, ranges, &mut self.rtt, &mut self.report)
    }

    pub(super) fn detect(&mut self, millis: u64) {
        self.report.clear();
        self.flight.detect_lost(at(millis), &mut self.rtt, &mut self.report);
    }

    pub(super) fn acked(&self) -> Vec<u64> {
        numbers(&self.report.acked)
    }

    pub(super) fn lost(&self) -> Vec<u64> {
        numbers(&self.report.lost)
    }
}

fn numbers(frames: &[SentFrame]) -> Vec<u64> {
    let number = |frame: &SentFrame| match frame {
        SentFrame::NewId(number) => *number,
        other => panic!("{other:?}"),
    };
    frames.iter().map(number).collect()
}

#[test]
fn an_ack_returns_each_packets_frames_once() {
    let mut side = Side::new();
    (0..4).for_each(|number| side.send(number, 0));
    side.ack(50, &[2..=3, 0..=0]);
    assert_eq!(side.acked(), [2, 3, 0]);
    assert_eq!(side.flight.bytes_in_flight(), u64::from(BYTES));
    side.ack(60, &[0..=3]);
    assert_eq!(side.acked(), [1]);
    assert_eq!((side.flight.bytes_in_flight(), side.flight.is_waiting()), (0, false));
}

//
#[test]
fn at_most_131_072_numbers_are_tracked() {
    let mut side = Side::sampled();
    (1..131_072).for_each(|number| side.send(number, 100));
    assert!(!side.flight.is_full());
    side.send(131_072, 100);
    assert!(side.flight.is_full());
}

// M-53
#[test]
fn m_53_an_ack_of_an_unsent_packet_is_a_violation() {
    let mut side = Side::new();
    side.send(0, 0);
    let close = side.ack_at(50, Level::Data, &[0..=1]).unwrap_err();
    assert_eq!(close.code, Close::PROTOCOL_VIOLATION);
    assert!(side.report.acked.is_empty(), "no part of the ACK counts");
    side.send(2, 60);
    assert!(side.ack_at(90, Level::Data, &[0..=2]).is_err(), "1 was skipped");
    assert!(side.ack_at(90, Level::Data, &[2..=2, 0..=0]).is_ok());
}

// M-53
#[test]
fn m_53_skipped_numbers_are_remembered_while_they_matter() {
    let mut side = Side::sampled();
    [1, 3, 5, 8].iter().for_each(|number| side.send(*number, 100));
    for lie in [[1..=3], [5..=6], [7..=8], [4..=5]] {
        assert!(side.ack_at(150, Level::Data, &lie).is_err(), "{lie:?}");
    }
    side.ack(160, &[8..=8, 5..=5, 3..=3, 1..=1]);
    assert!(side.flight.slots.is_empty());
    side.send(10, 200);
    assert!(side.ack_at(250, Level::Data, &[9..=10]).is_err(), "nothing else is in flight");
}

#[test]
fn skipped_numbers_are_forgotten_once_their_neighbours_arrived() {
    let mut side = Side::sampled();
    (1..=5_000).filter(|number| number % 2 == 0).for_each(|number| side.send(number, 100));
    (1..=2_490).for_each(|count| side.ack(150, &[count * 2..=count * 2]));
    assert_eq!(side.flight.slots.len(), 2 * 10, "10 packets, each with a skipped number before it");
}

//
#[test]
fn r_2_a_skipped_number_does_not_count_as_a_packet() {
    let mut side = Side::sampled();
    [1, 2, 4, 5].iter().for_each(|number| side.send(*number, 100));
    side.ack(150, &[4..=4]);
    assert!(side.lost().is_empty(), "2 and 4 were sent after 1");
    side.ack(151, &[4..=5]);
    assert_eq!(side.lost(), [1]);
    side.ack(152, &[4..=5, 1..=2]);
    (6..=12).for_each(|number| side.send(number, 300));
    side.ack(400, &[9..=9]);
    assert!(side.lost().is_empty(), "1 was 3 packets late: now 4 packets later is lost");
    side.ack(401, &[9..=10]);
    assert_eq!(side.lost(), [6]);
}

//
#[test]
fn r_4_a_skipped_number_does_not_interrupt_persistent_congestion() {
    let mut side = Side::sampled();
    side.send(1, 100);
    side.send(3, 3_000);
    (4..=6).for_each(|number| side.send(number, 4_000));
    side.ack(4_100, &[4..=6]);
    assert_eq!(side.lost(), [1, 3]);
    assert!(side.report.loss.unwrap().persistent);
}

// M-12
#[test]
fn m_12_an_ack_does_not_cover_higher_levels() {
    let mut side = Side::new();
    side.send_as(0, 0, Level::Hello, |_| {});
    side.send_as(1, 0, Level::ZeroRtt, |_| {});
    side.send_as(2, 0, Level::Handshake, |_| {});
    side.ack_at(50, Level::Hello, &[0..=2]).unwrap();
    assert_eq!(side.acked(), [0]);
    side.ack_at(60, Level::Handshake, &[0..=2]).unwrap();
    assert_eq!(side.acked(), [2]);
    side.ack_at(70, Level::Data, &[0..=2]).unwrap();
    assert_eq!(side.acked(), [1], "ZeroRtt is acknowledged as Data");
}

// M-12
#[test]
fn m_12_acks_that_do_not_cover_a_packet_do_not_declare_it_lost() {
    let mut side = Side::new();
    side.send_as(0, 0, Level::ZeroRtt, |_| {});
    (1..8).for_each(|number| side.send_as(number, 0, Level::Hello, |_| {}));
    side.ack_at(500, Level::Hello, &[7..=7]).unwrap();
    assert_eq!(side.lost(), [1, 2, 3, 4], "but not the 0-RTT packet");
}

//
#[test]
fn rfc_9002_6_1_1_three_numbers_below_is_lost() {
    let mut side = Side::sampled();
    (1..=4).for_each(|number| side.send(number, 100));
    side.ack(150, &[3..=3]);
    assert!(side.lost().is_empty());
    side.ack(151, &[3..=4]);
    assert_eq!(side.lost(), [1]);
    let event = side.report.loss.unwrap();
    assert_eq!((event.newest, event.persistent), (at(100), false));
    assert_eq!(side.flight.bytes_in_flight(), u64::from(BYTES));
}

//
#[test]
fn rfc_9002_6_1_2_nine_eighths_of_the_rtt_is_lost() {
    let mut side = Side::sampled();
    side.send(1, 100);
    side.send(2, 110);
    side.ack(210, &[2..=2]);
    assert!(side.lost().is_empty());
    let due = at(100) + Duration::from_micros(112_500);
    assert_eq!(side.flight.loss_deadline(), Some(due));
    assert_eq!(side.flight.pto_deadline(&side.rtt, false), None, "the earlier timer wins");
    side.detect(213);
    assert_eq!(side.lost(), [1]);
    assert_eq!(side.flight.loss_deadline(), None);
}

//
#[test]
fn rfc_9002_6_2_probe_timeouts_double_until_an_ack() {
    let mut side = Side::sampled();
    side.send(1, 100);
    let pto = side.flight.pto(&side.rtt);
    let deadline = |side: &Side| side.flight.pto_deadline(&side.rtt, false);
    assert_eq!(deadline(&side), Some(at(100) + pto));
    assert_eq!(side.flight.on_pto(), 2);
    assert_eq!(deadline(&side), Some(at(100) + pto * 2));
    side.send(2, 500);
    assert_eq!(deadline(&side), Some(at(500) + pto * 2));
    side.send(3, 500);
    side.ack(600, &[1..=2]);
    assert_eq!(deadline(&side), Some(at(500) + side.flight.pto(&side.rtt)));
}

#[test]
fn rfc_9002_6_2_2_1_a_client_probes_though_nothing_is_in_flight() {
    let mut side = Side::new();
    side.send_as(0, 0, Level::Hello, |_| {});
    side.ack_at(100, Level::Hello, &[0..=0]).unwrap();
    assert_eq!(side.flight.pto_deadline(&side.rtt, false), None);
    assert!(side.flight.pto_deadline(&side.rtt, true).is_some());
}

#[test]
fn probes_carry_the_oldest_frames() {
    let mut side = Side::sampled();
    (1..=4).for_each(|number| side.send(number, 100));
    let frames: Vec<_> = side.flight.oldest_frames().copied().collect();
    assert_eq!(numbers(&frames), [1, 2]);
    assert_eq!(side.flight.bytes_in_flight(), 4 * u64::from(BYTES), "they stay in flight");
}

//
#[test]
fn rfc_9002_7_6_persistent_congestion_spans_three_probe_timeouts() {
    // The last sample leaves 100 ms smoothed and 37.5 ms of variation: 3 * 275 ms.
    let is_persistent = |step: u64| {
        let mut side = Side::sampled();
        (1..=20).for_each(|number| side.send(number, 100 + (number - 1) * step));
        (21..=23).for_each(|number| side.send(number, 2_000));
        side.ack(2_100, &[21..=23]);
        assert_eq!(side.lost().len(), 20);
        side.report.loss.unwrap().persistent
    };
    assert!(!is_persistent(43), "817 ms");
    assert!(is_persistent(44), "836 ms");
}

#[test]
fn rfc_9002_7_6_2_an_ack_in_between_rules_out_persistent_congestion() {
    let mut side = Side::sampled();
    side.send(1, 100);
    side.send(2, 1_000);
    side.ack(1_100, &[2..=2]);
    assert_eq!(side.lost(), [1]);
    side.send(3, 1_200);
    side.send(4, 5_000);
    (5..=8).for_each(|number| side.send(number, 9_000));
    side.ack(9_100, &[8..=8, 4..=4]);
    assert_eq!(side.lost(), [3, 5]);
    assert!(!side.report.loss.unwrap().persistent);
}

#[test]
fn rfc_9002_7_6_2_losses_before_the_first_rtt_are_not_persistent_congestion() {
    let mut side = Side::new();
    side.send(0, 0);
    side.send(1, 5_000);
    side.send(2, 5_000);
    side.send(3, 5_000);
    side.send(4, 5_000);
    side.ack(5_100, &[4..=4]);
    assert_eq!(side.lost(), [0, 1]);
    assert!(!side.report.loss.unwrap().persistent);
}

// P-4
#[test]
fn p_4_a_lost_mtu_probe_is_reported_but_is_no_congestion() {
    let mut side = Side::sampled();
    side.send_as(1, 100, Level::Data, |packet| {
        packet.mtu_probe = true;
        packet.bytes = 1_400;
    });
    (2..=5).for_each(|number| side.send(number, 100));
    side.ack(200, &[2..=5]);
    assert_eq!(side.report.loss, None);
    let lost = side.report.lost_packets[0];
    assert!(lost.mtu_probe && !lost.counts && !lost.is_large());
    side.send_as(6, 300, Level::Data, |packet| packet.mtu_probe = true);
    side.ack(400, &[6..=6]);
    assert_eq!(side.report.mtu_probe_acked, Some(BYTES));
}

#[test]
fn p_5_large_packets_lost_or_acknowledged_are_reported() {
    let mut side = Side::sampled();
    side.send_as(1, 100, Level::Data, |packet| packet.bytes = 1_400);
    (2..=4).for_each(|number| side.send(number, 100));
    side.ack(200, &[2..=4]);
    assert!(side.report.lost_packets[0].is_large());
    assert_eq!(side.report.acked_bytes, BYTES);
}

// RFC 8985 section 6.2.
#[test]
fn r_5_late_packets_extend_the_wait_for_later_ones() {
    let mut side = Side::sampled();
    (1..=2).for_each(|number| side.send(number, 100));
    side.ack(200, &[2..=2]);
    side.detect(213);
    assert_eq!(side.lost(), [1], "nine eighths of 100 ms after it was sent");
    side.ack(240, &[1..=2]);
    (3..=4).for_each(|number| side.send(number, 300));
    side.ack(400, &[4..=4]);
    side.detect(413);
    assert!(side.lost().is_empty(), "the other one took 140 ms");
    side.detect(441);
    assert_eq!(side.lost(), [3]);
}

//
#[test]
fn r_5_spurious_losses_are_reported_and_raise_the_threshold() {
    let mut side = Side::sampled();
    (1..=9).for_each(|number| side.send(number, 100));
    side.ack(200, &[6..=6]);
    assert_eq!(side.lost(), [1, 2, 3]);
    side.ack(201, &[2..=6]);
    assert!(!side.report.spurious);
    side.ack(202, &[1..=6]);
    assert!(side.report.spurious);
    assert!(side.report.acked.is_empty(), "their frames were already returned as lost");
    (10..=19).for_each(|number| side.send(number, 300));
    side.ack(400, &[15..=15]);
    assert_eq!(side.lost(), [7, 8, 9], "reordering by 5 was seen: the threshold is now 6");
}

//
#[test]
fn r_1_the_peers_ack_delay_is_capped_and_ignored_below_data() {
    let sample = |level: Level| {
        let mut side = Side::sampled();
        side.send_as(1, 100, level, |_| {});
        let delay = Duration::from_secs(1);
        side.ack_with(300, &AckHeader { level, delay, ecn: None }, &[1..=1]).unwrap();
        side.rtt.smoothed()
    };
    // 7/8 of 100 and 1/8 of 175 or 200.
    assert_eq!(sample(Level::Data), Duration::from_micros(109_375));
    assert_eq!(sample(Level::Handshake), Duration::from_micros(112_500));
}

#[test]
fn rfc_9002_5_1_only_the_highest_number_newly_acknowledged_is_a_sample() {
    let mut side = Side::sampled();
    (1..=2).for_each(|number| side.send(number, 100));
    side.ack(150, &[2..=2]);
    assert_eq!(side.rtt.latest(), Duration::from_millis(50));
    side.ack(160, &[1..=2]);
    assert_eq!(side.rtt.latest(), Duration::from_millis(50));
}

// M-13
#[test]
fn m_13_packets_of_a_dropped_level_are_neither_acknowledged_nor_lost() {
    let mut side = Side::new();
    side.send_as(0, 0, Level::Hello, |_| {});
    side.send_as(1, 0, Level::Handshake, |_| {});
    side.flight.drop_level(Level::Hello);
    assert_eq!(side.flight.bytes_in_flight(), u64::from(BYTES));
    side.ack_at(100, Level::Handshake, &[0..=1]).unwrap();
    assert_eq!((side.acked(), side.lost()), (vec![1], vec![]));
}

// P-3
#[test]
fn p_3_packets_of_the_old_path_do_not_count_on_the_new_one() {
    let mut side = Side::sampled();
    (1..=5).for_each(|number| side.send(number, 100));
    side.flight.on_new_path(1);
    side.rtt = Rtt::default();
    assert_eq!(side.flight.bytes_in_flight(), 0);
    side.ack(200, &[5..=5]);
    assert_eq!((side.acked(), side.lost()), (vec![5], vec![1, 2]));
    assert!(side.report.loss.is_none() && side.report.sample.is_none());
    assert!(!side.rtt.is_sampled());
    side.flight.on_new_path(0);
    assert_eq!(side.flight.bytes_in_flight(), 2 * u64::from(BYTES), "back again");
}

#[test]
fn r_9_congestion_marks_are_reported_with_their_packets_send_time() {
    let mut side = Side::new();
    for number in 0..2 {
        side.send_as(number, number, Level::Data, |packet| packet.marked = true);
    }
    let ecn = Some(EcnCounts { ect0: 1, ect1: 0, ce: 1 });
    let header = AckHeader { level: Level::Data, delay: Duration::ZERO, ecn };
    side.ack_with(50, &header, &[0..=1]).unwrap();
    assert_eq!(side.report.marked_at, Some(at(1)));
    side.send_as(2, 60, Level::Data, |packet| packet.marked = true);
    side.ack(90, &[0..=2]);
    assert!(!side.flight.marks(), "an ACK without counts ends marking");
}

#[test]
fn acks_of_our_acks_are_not_waited_for() {
    let mut side = Side::new();
    for number in 0..1_000 {
        side.send_as(number, number, Level::Data, |packet| packet.eliciting = false);
    }
    assert_eq!((side.flight.slots.len(), side.flight.next_number()), (0, 1_000));
    assert_eq!(side.flight.spare.len(), 1, "one list of frames was reused");
    side.ack(2_000, &[0..=999]);
}

//
#[test]
fn r_10_a_peer_that_acknowledges_nothing_costs_few_tracked_packets() {
    let mut side = Side::new();
    side.send(0, 0);
    for number in 1..10_000 {
        side.send_as(number, number, Level::Data, |packet| packet.eliciting = false);
    }
    assert_eq!(side.flight.slots.len(), 1 + MAX_EXPENDABLE as usize);
    for number in 10_000..20_000 {
        side.send_as(number, number, Level::Data, |packet| {
            packet.frames.clear();
            packet.frames.push(SentFrame::Response);
        });
    }
    assert_eq!(side.flight.slots.len(), 1 + MAX_EXPENDABLE as usize);
    assert!(side.flight.spare.len() <= 1 && !side.flight.is_full());
    side.report.clear();
    let header = AckHeader { level: Level::Data, delay: Duration::ZERO, ecn: None };
    side.ack_with(20_000, &header, &[19_999..=19_999, 0..=0]).unwrap();
    assert_eq!((side.flight.slots.len(), side.flight.expendable), (0, 0), "all others are lost");
}

//
#[test]
fn r_10_at_most_1_024_packets_are_tracked_on_former_paths() {
    let mut side = Side::sampled();
    for number in 1..=1_024 {
        assert!(!side.flight.is_full());
        side.send_as(number, 100, Level::Data, |packet| packet.path = number as u8 & 1);
        side.flight.on_new_path(number as u8 & 1 ^ 1);
    }
    side.flight.on_new_path(7);
    assert!(side.flight.is_full());
    side.ack(200, &[1..=1]);
    assert!(!side.flight.is_full());
}

// M-66
#[test]
fn m_66_three_unanswered_probe_timeouts_are_reported() {
    let mut side = Side::sampled();
    side.send(1, 200);
    side.send(2, 300);
    for _ in 0..3 {
        assert_eq!(side.flight.unanswered_since(), None);
        side.flight.on_pto();
    }
    assert_eq!(side.flight.unanswered_since(), Some(at(200)));
    side.ack(400, &[1..=1]);
    assert_eq!(side.flight.unanswered_since(), None, "another is the oldest");
}

#[test]
fn the_steady_state_reuses_its_memory() {
    let mut side = Side::new();
    let mut grown = (0, 0);
    for round in 0..100 {
        (0..50).for_each(|step| side.send(round * 50 + step, round));
        side.ack(round, &[0..=round * 50 + 49]);
        let now = (side.flight.slots.capacity(), side.flight.spare.len());
        assert!(round == 0 || grown == now, "{grown:?} {now:?}");
        grown = now;
    }
    side.flight.release_memory();
    assert_eq!((side.flight.slots.capacity(), side.flight.spare.len()), (0, 0));
}

//
#[test]
fn r_11_after_a_loss_each_packet_is_copied_once() {
    let room = BYTES.into();
    let mut side = Side::sampled();
    (1..=4).for_each(|number| side.send(number, 100));
    assert!(!side.flight.may_copy(at(200)), "nothing was lost");
    side.ack(200, &[4..=4]);
    assert!(side.flight.may_copy(at(200)) && !side.flight.may_copy(at(10_201)), "1 was lost");
    assert!(side.flight.next_copy(room - 1).is_none(), "only whole packets");
    let copied = |side: &mut Side| side.flight.next_copy(room).map(<[SentFrame]>::to_vec);
    assert_eq!(copied(&mut side), Some(vec![SentFrame::NewId(3)]));
    assert_eq!(copied(&mut side), Some(vec![SentFrame::NewId(2)]));
    assert_eq!(copied(&mut side), None);
    // A copy is not copied again.
    side.flight.begin_copies(1);
    side.send_as(5, 210, Level::Data, |packet| packet.frames.push(SentFrame::NewId(3)));
    assert_eq!(copied(&mut side), Some(vec![SentFrame::NewId(5)]));
    (6..=20).for_each(|number| side.send(number, 210));
    assert!(!side.flight.may_copy(at(210)), "the flow is not thin");
}
