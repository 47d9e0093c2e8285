//! The packets that were sent and are neither acknowledged nor lost.
//!
//! In: packets sent, ACKs, time. Out: the end of each packet, exactly once (acknowledged, lost, or
//! dropped with its level), and the loss timers. Never: bytes, windows.

use std::{collections::VecDeque, time::Duration};

use super::{
    Group,
    ecn::EcnPath,
    rate::RateSampler,
    reordering::Reordering,
    rtt::Rtt,
    sent::{SentFrame, SentPacket},
};
use crate::{
    limits::{MAX_EXPENDABLE, MAX_PACKETS_ELSEWHERE, MAX_PACKETS_IN_FLIGHT},
    time::Time,
    wire::level::Level,
};

mod acked;
mod lost;

pub(crate) use acked::AckHeader;

/// The initial packet threshold for loss detection (R-2; RFC 9002 section 6.1.1).
const PACKET_THRESHOLD: u64 = 3;

/// The number of packets sent on each probe timeout.
const PROBES: usize = 2;

/// Probe timeouts after which silence is attributed to the peer rather than to a pause of our own
/// (M-66).
const UNANSWERED_PROBES: u8 = 3;

/// The packets in flight at all levels and on all paths of a connection, in one number space (M-2).
///
/// Packets that are exempt from the window are tracked up to a bound, so that memory grows with
/// what is sent within the window and not with what the peer makes us answer.
///
/// The steady state allocates nothing: the slots are a ring, and each packet's list of frames comes
/// from [`Self::lend_frames`] and returns when the packet ends. Grown memory is kept until
/// [`Self::release_memory`].
/// once grew to is kept until [`Self::release_memory`].
#[derive(Debug)]
pub(crate) struct InFlight {
    /// Packets and skipped numbers, in ascending order; excludes some packets that elicit no ACK
    /// and some expendable ones.
    slots: VecDeque<Slot>,
    /// The lowest number that may be sent next.
    next: u64,
    /// Ack-eliciting packets in `slots`, of all levels and paths.
    eliciting: u32,
    /// Those of them sent on the current path, and their bytes.
    on_path: u32,
    bytes: u64,
    /// Packets in `slots` whose loss has no consequence, ACK-only packets among them.
    expendable: u16,
    /// Probe timeouts, and expendable packets beyond the bound, since the oldest packet became the
    /// oldest.
    unanswered: u8,
    path: u8,
    /// The highest number acknowledged at each group's level: loss detection uses only ACKs that
    /// cover the packet's level.
    largest: [Option<u64>; Group::COUNT],
    loss_at: Option<Time>,
    last_eliciting: Option<Time>,
    backoff: u32,
    packet_threshold: u64,
    max_ack_delay: Duration,
    first_rtt_at: Option<Time>,
    rate: RateSampler,
    /// Set from the first loss on, while busy.
    reordering: Option<Box<Reordering>>,
    ecn: EcnPath,
    spare: Vec<Vec<SentFrame>>,
}

#[derive(Debug)]
enum Slot {
    /// The packet with this number ended, as did those of at least `run` slots starting here.
    Gone {
        number: u64,
        run: usize,
    },
    /// A skipped number: an ACK of it is forged (M-53).
    Skipped(u64),
    Flying(SentPacket),
}

impl Slot {
    const fn number(&self) -> u64 {
        match self {
            Self::Gone { number, .. } | Self::Skipped(number) => *number,
            Self::Flying(packet) => packet.number,
        }
    }
}

impl InFlight {
    /// Creates an empty store. The peer's parameter 7 is the default until
    /// [`Self::set_max_ack_delay`].
    pub(crate) fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            next: 0,
            eliciting: 0,
            on_path: 0,
            bytes: 0,
            expendable: 0,
            unanswered: 0,
            path: 0,
            largest: [None; Group::COUNT],
            loss_at: None,
            last_eliciting: None,
            backoff: 0,
            packet_threshold: PACKET_THRESHOLD,
            max_ack_delay: Duration::from_millis(25),
            first_rtt_at: None,
            rate: RateSampler::default(),
            reordering: None,
            ecn: EcnPath::default(),
            spare: Vec::new(),
        }
    }

    /// Sets the peer's parameter 7.
    pub(crate) const fn set_max_ack_delay(&mut self, delay: Duration) {
        self.max_ack_delay = delay;
    }

    /// Lends an empty list for a packet's frames. Return it with [`Self::record`], or with
    /// [`Self::give_back`] if the packet is not sent.
    pub(crate) fn lend_frames(&mut self) -> Vec<SentFrame> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a list from [`Self::lend_frames`].
    pub(crate) fn give_back(&mut self, mut frames: Vec<SentFrame>) {
        frames.clear();
        self.spare.push(frames);
    }

    /// Records a packet that was sent. Its number must be above all previous ones; otherwise the
    /// caller has a bug and the packet is not recorded.
    ///
    /// Of the packets that are exempt from the window and never retransmitted, at most
    /// [`MAX_EXPENDABLE`] are tracked, and none while nothing else is in flight.
    pub(crate) fn record(&mut self, mut packet: SentPacket) {
        let next = self.next;
        if packet.number < next {
            debug_assert!(false, "numbers rise (M-2)");
            return;
        }
        self.next = packet.number + 1;
        if packet.marked {
            self.ecn.on_sent();
        }
        if packet.eliciting {
            self.last_eliciting = Some(packet.at);
        }
        packet.expendable = !packet.eliciting || packet.is_expendable();
        let unasked = !packet.eliciting && self.eliciting == 0;
        if unasked || (packet.expendable && self.expendable >= MAX_EXPENDABLE) {
            if unasked {
                self.forget_all();
            } else {
                // A steady flow of these packets keeps postponing the probe timeout.
                self.unanswered = self.unanswered.saturating_add(1);
            }
            self.give_back(packet.frames);
            return;
        }
        self.slots.extend((next..packet.number).map(Slot::Skipped));
        let bytes = u64::from(packet.bytes);
        self.expendable += u16::from(packet.expendable);
        self.eliciting += u32::from(packet.eliciting);
        if packet.eliciting && packet.path == self.path {
            packet.snapshot = self.rate.on_sent(packet.at, self.bytes, bytes);
            self.on_path += 1;
            self.bytes += bytes;
        }
        self.slots.push_back(Slot::Flying(packet));
    }

    /// Returns the frames of the oldest ack-eliciting packets in flight, for probes to repeat. They
    /// stay in flight and may still be acknowledged.
    pub(crate) fn oldest_frames(&self) -> impl Iterator<Item = &SentFrame> {
        self.slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Flying(packet) if packet.eliciting && !packet.mtu_probe => Some(packet),
                _ => None,
            })
            .take(PROBES)
            .flat_map(|packet| &packet.frames)
    }

    /// Returns when the oldest ack-eliciting packet in flight was sent, if it and the probes after
    /// it have gone unanswered for so many timeouts that the peer had a chance to answer.
    pub(crate) fn unanswered_since(&self) -> Option<Time> {
        if self.unanswered < UNANSWERED_PROBES {
            return None;
        }
        self.oldest().map(|packet| packet.at)
    }

    fn oldest(&self) -> Option<&SentPacket> {
        self.slots.iter().find_map(|slot| match slot {
            Slot::Flying(packet) if packet.eliciting => Some(packet),
            _ => None,
        })
    }

    /// Returns the current probe timeout without backoff, on which other timers are based.
    pub(crate) fn pto(&self, rtt: &Rtt) -> Duration {
        rtt.pto(self.max_ack_delay)
    }

    /// Drops the packets of `level`, whose keys are gone (M-13): they are neither acknowledged nor
    /// lost, and the backoff starts again (RFC 9002 section 6.4).
    pub(crate) fn drop_level(&mut self, level: Level) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if !matches!(slot, Slot::Flying(packet) if packet.level == level) {
                continue;
            }
            let gone = Slot::Gone { number: slot.number(), run: 1 };
            if let Slot::Flying(packet) = std::mem::replace(slot, gone) {
                self.leave_flight(&packet);
                self.give_back(packet.frames);
            }
        }
        self.backoff = 0;
        self.compact();
    }

    /// Switches to another path (P-3), possibly back to a previous one. Packets in flight on other
    /// paths stay tracked but no longer count for this one (RFC 9000 section 9.4). The caller
    /// starts a new RTT estimate and controller, or restores the saved ones.
    pub(crate) fn on_new_path(&mut self, path: u8) {
        self.path = path;
        self.rate = RateSampler::default();
        self.reordering = None;
        self.ecn.on_new_path();
        self.packet_threshold = PACKET_THRESHOLD;
        self.backoff = 0;
        self.first_rtt_at = None;
        (self.on_path, self.bytes) = (0, 0);
        for slot in &mut self.slots {
            if let Slot::Flying(packet) = slot
                && packet.eliciting
                && packet.path == path
            {
                let bytes = u64::from(packet.bytes);
                packet.snapshot = self.rate.on_sent(packet.at, self.bytes, bytes);
                self.on_path += 1;
                self.bytes += bytes;
            }
        }
    }

    /// Records that the application has no more to send although window and pacer would allow it.
    pub(crate) fn on_app_limited(&mut self) {
        self.rate.on_app_limited(self.bytes);
    }

    /// Returns `true` if the next packet should be sent as ECT(0).
    pub(crate) fn marks(&self) -> bool {
        self.ecn.marks()
    }

    /// Returns the bytes in flight on the current path, for comparison with the window.
    pub(crate) const fn bytes_in_flight(&self) -> u64 {
        self.bytes
    }

    /// Returns `true` if any ack-eliciting packet is in flight, on any path.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.eliciting > 0
    }

    /// Returns `true` if so much is tracked that only probes may be sent.
    pub(crate) fn is_full(&self) -> bool {
        let span = self.slots.front().map_or(0, |front| self.next - front.number());
        span >= MAX_PACKETS_IN_FLIGHT || self.eliciting - self.on_path >= MAX_PACKETS_ELSEWHERE
    }

    /// Returns the lowest number that may be sent next.
    #[cfg(test)]
    pub(crate) const fn next_number(&self) -> u64 {
        self.next
    }

    /// Releases what an idle connection does not need. Only while nothing is in flight.
    pub(crate) fn release_memory(&mut self) {
        if self.eliciting == 0 {
            self.spare = Vec::new();
            self.slots.shrink_to_fit();
            self.reordering = None;
        }
    }

    fn leave_flight(&mut self, packet: &SentPacket) {
        self.expendable -= u16::from(packet.expendable);
        self.eliciting -= u32::from(packet.eliciting);
        if packet.eliciting && packet.path == self.path {
            self.on_path -= 1;
            self.bytes -= u64::from(packet.bytes);
        }
    }

    /// Returns the highest number acknowledged at a level that covers this group.
    fn largest_for(&self, group: Group) -> Option<u64> {
        self.largest[group.index()..].iter().copied().max().flatten()
    }

    /// Removes the slots before the oldest packet in flight.
    fn compact(&mut self) {
        if self.eliciting == 0 {
            self.forget_all();
            return;
        }
        loop {
            match (self.slots.front(), self.slots.get(1)) {
                (Some(Slot::Gone { .. }), _) => {}
                // Keep it: a dishonest peer that acknowledges the next packet can still reveal
                // itself.
                (Some(Slot::Skipped(_)), next) if !matches!(next, Some(Slot::Flying(_))) => {}
                _ => return,
            }
            self.slots.pop_front();
            self.unanswered = 0;
        }
    }

    /// Returns the index of the first slot with this number or a higher one.
    fn index_of(&self, number: u64) -> usize {
        let Some(front) = self.slots.front() else { return 0 };
        // If every packet is ack-eliciting, its index is the distance from the first number.
        let guess = usize::try_from(number.saturating_sub(front.number())).unwrap_or(usize::MAX);
        if self.slots.get(guess).is_some_and(|slot| slot.number() == number) {
            return guess;
        }
        self.slots.partition_point(|slot| slot.number() < number)
    }

    /// Returns `true` if the number was not skipped, as far as it is remembered.
    fn is_packet(&self, number: u64) -> bool {
        let slot = self.slots.get(self.index_of(number));
        !matches!(slot, Some(Slot::Skipped(skipped)) if *skipped == number)
    }

    fn forget_all(&mut self) {
        while let Some(slot) = self.slots.pop_front() {
            if let Slot::Flying(packet) = slot {
                self.give_back(packet.frames);
            }
        }
        (self.unanswered, self.expendable) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, ops::RangeInclusive};

    use proptest::prelude::*;

    use super::{
        super::{ecn::EcnCounts, report::Report},
        *,
    };
    use crate::error::Close;

    const BYTES: u16 = 1_200;

    const fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    /// A store with its RTT and report.
    struct Side {
        flight: InFlight,
        rtt: Rtt,
        report: Report,
    }

    impl Side {
        fn new() -> Self {
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

        fn send_as(
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

        fn ack_at(
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

        fn detect(&mut self, millis: u64) {
            self.report.clear();
            self.flight.detect_lost(at(millis), &mut self.rtt, &mut self.report);
        }

        fn acked(&self) -> Vec<u64> {
            numbers(&self.report.acked)
        }

        fn lost(&self) -> Vec<u64> {
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
        assert_eq!(
            side.flight.slots.len(),
            2 * 10,
            "10 packets, each with a skipped number before it"
        );
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
        assert_eq!(
            (side.flight.slots.len(), side.flight.expendable),
            (0, 0),
            "all others are lost"
        );
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
}
