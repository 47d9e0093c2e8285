//! What the peer is owed: which of its packets came, and by when it should hear so.
//!
//! In: packets received and kept. Out: ranges to list, a deadline. Never: bytes, frames.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Group,
    ecn::{EcnCounts, EcnMark},
};
use crate::{limits::MAX_ACK_RANGES, time::Time, wire::level::Level};

/// Packets that want an ACK after which one is owed at once.
const PACKETS_PER_ACK: u32 = 10;

/// The same near the start, when the peer's window is small and its samples few.
const PACKETS_PER_ACK_AT_START: u32 = 2;

/// Packets that are the start.
const START: u64 = 100;

/// Ranges after which an ACK should be made to be acknowledged, so that the list is cut.
const MANY_RANGES: usize = 16;

/// Ranges that an idle connection keeps.
const RANGES_AT_REST: usize = 4;

/// What is owed. One number space, but three lists: an ACK tells only of packets of its own level
/// and lower ones (M-12), so the list of each group holds what came in it or below; but Hello's
/// numbers are in no list of Data.
#[derive(Debug)]
pub(crate) struct AckOwed {
    data: Owed,
    /// Hello's and Handshake's; gone with the handshake.
    early: Option<Box<[Owed; 2]>>,
    /// The own parameter 7.
    max_delay: Duration,
    /// The highest number received, at any level.
    largest: Option<u64>,
    /// Packets received, up to the end of the start.
    received: u64,
    ecn: EcnCounts,
}

/// What is owed at a level that is gone.
static NOTHING: Owed =
    Owed { ranges: Ranges(Vec::new()), largest_at: Time::ZERO, eliciting: 0, due: None };

/// One list, with the debts made by packets of that very group.
#[derive(Debug, Default)]
struct Owed {
    ranges: Ranges,
    /// When the highest of `ranges` came.
    largest_at: Time,
    /// Packets since the last ACK that want one.
    eliciting: u32,
    due: Option<Time>,
}

impl AckOwed {
    /// Nothing owed; later at most `max_delay` (the own parameter 7) from when it is.
    pub(crate) fn new(max_delay: Duration) -> Self {
        Self {
            data: Owed::default(),
            early: Some(Box::default()),
            max_delay,
            largest: None,
            received: 0,
            ecn: EcnCounts::default(),
        }
    }

    /// A packet came, opened, was no replay, and all it holds was kept (D-2). `smoothed` is the
    /// smoothed RTT.
    pub(crate) fn on_packet(
        &mut self,
        now: Time,
        (number, level): (u64, Level),
        eliciting: bool,
        mark: Option<EcnMark>,
        smoothed: Duration,
    ) {
        let group = Group::of(level);
        // A gap that closes is a number that is not the next one, too.
        let is_next =
            self.largest.map_or(Some(0), |largest| largest.checked_add(1)) == Some(number);
        if group != Group::Hello {
            self.largest = self.largest.max(Some(number));
        }
        self.received = self.received.saturating_add(1);
        if let Some(mark) = mark {
            self.ecn.on_packet(mark);
        }
        // Anyone who saw the first packet can make a Hello of any number: a list that messages are
        // acknowledged by must not hold it.
        let highest = if group == Group::Hello { Group::Handshake } else { Group::Data };
        for group in Group::between(group, highest) {
            let Some(owed) = self.list_mut(*group) else { continue };
            if owed.ranges.largest().is_none_or(|largest| number > largest) {
                owed.largest_at = now;
            }
            owed.ranges.insert(number);
        }
        if !eliciting {
            return;
        }
        let limit = if self.received <= START { PACKETS_PER_ACK_AT_START } else { PACKETS_PER_ACK };
        let longest = self.max_delay.min(smoothed / 4);
        let Some(owed) = self.list_mut(group) else { return };
        owed.eliciting = owed.eliciting.saturating_add(1);
        //
        let at_once = !is_next
            || mark == Some(EcnMark::Ce)
            || group != Group::Data
            || owed.eliciting >= limit;
        let due = if at_once { now } else { now + longest };
        owed.due = Some(owed.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// The data packet of that call held a PING: somebody waits for the answer.
    pub(crate) const fn on_ping(&mut self, now: Time) {
        self.data.due = Some(now);
    }

    /// Must an ACK leave in a packet of `level` now?
    pub(crate) fn is_due(&self, now: Time, level: Level) -> bool {
        self.debts(level).any(|owed| owed.due.is_some_and(|due| due <= now))
    }

    /// Is there anything the peer waits to hear of, that an ACK may tell in a packet of `level`
    /// that leaves anyway?
    pub(crate) fn is_owed(&self, level: Level) -> bool {
        self.debts(level).any(|owed| owed.due.is_some())
    }

    /// When the first ACK is due; in the past when it is due at once.
    #[cfg(test)]
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline_at(Level::Data)
    }

    /// The same, of what may be told in a packet of `level`.
    pub(crate) fn deadline_at(&self, level: Level) -> Option<Time> {
        self.debts(level).filter_map(|owed| owed.due).min()
    }

    /// The ranges that an ACK in a packet of `level` lists: newest first, not touching, at most 64
    /// (M-51). Empty before any packet came.
    pub(crate) fn ranges(
        &self,
        level: Level,
    ) -> impl ExactSizeIterator<Item = RangeInclusive<u64>> + Clone + '_ {
        self.list(Group::of(level)).ranges.newest_first()
    }

    /// How long ago the highest number of [`Self::ranges`] came (RFC 9000 section 13.2.5).
    pub(crate) fn delay(&self, now: Time, level: Level) -> Duration {
        now.since(self.list(Group::of(level)).largest_at)
    }

    /// Counts of marks, when any packet had one.
    pub(crate) fn ecn(&self) -> Option<EcnCounts> {
        (self.ecn != EcnCounts::default()).then_some(self.ecn)
    }

    /// An ACK was written into a packet of `level`: what it could tell is no longer owed.
    pub(crate) fn on_ack_written(&mut self, level: Level) {
        for group in Group::between(Group::Hello, Group::of(level)) {
            let Some(owed) = self.list_mut(*group) else { continue };
            owed.due = None;
            owed.eliciting = 0;
        }
    }

    /// The peer acknowledged an ACK that left at `level` and listed everything up to `largest`:
    /// it need not be told again (RFC 9000 section 13.2.4). The highest number stays, so that
    /// every ACK has one.
    pub(crate) fn on_ack_of_ack(&mut self, level: Level, largest: u64) {
        for group in Group::between(Group::Hello, Group::of(level)) {
            let Some(owed) = self.list_mut(*group) else { continue };
            owed.ranges.forget_to(largest);
        }
    }

    /// The list is long: the next packet with an ACK should elicit one (a PING will do), so that
    /// it can be cut. For ends that only receive.
    pub(crate) fn wants_answer(&self) -> bool {
        self.data.ranges.0.len() > MANY_RANGES
    }

    /// The keys of `level` are gone (M-13): no ACK can leave there. What came there can still be
    /// told at higher levels, but is not owed.
    pub(crate) fn drop_level(&mut self, level: Level) {
        match (&mut self.early, Group::of(level)) {
            // It is the last of the two (M-13).
            (early, Group::Handshake) => *early = None,
            (Some(early), Group::Hello) => early[0] = Owed::default(),
            _ => {}
        }
    }

    /// Gives back what an idle connection does not need. A peer that has been silent for so long
    /// has heard of all but the newest ranges, or sends again what it has not.
    pub(crate) fn release_memory(&mut self) {
        for group in Group::ALL {
            let Some(owed) = self.list_mut(*group) else { continue };
            let ranges = &mut owed.ranges.0;
            ranges.drain(..ranges.len().saturating_sub(RANGES_AT_REST));
            ranges.shrink_to_fit();
        }
    }

    /// The lists up to that of `level`.
    fn debts(&self, level: Level) -> impl Iterator<Item = &Owed> {
        Group::between(Group::Hello, Group::of(level)).iter().map(|group| self.list(*group))
    }

    fn list(&self, group: Group) -> &Owed {
        match (&self.early, group) {
            (_, Group::Data) => &self.data,
            (Some(early), group) => &early[group.index()],
            (None, _) => &NOTHING,
        }
    }

    /// None at a level that is gone.
    fn list_mut(&mut self, group: Group) -> Option<&mut Owed> {
        match (&mut self.early, group) {
            (_, Group::Data) => Some(&mut self.data),
            (Some(early), group) => Some(&mut early[group.index()]),
            (None, _) => None,
        }
    }
}

/// A set of numbers as ranges: ascending, not touching, at most 64; what is more goes from the
/// oldest end. It allocates only while it grows.
#[derive(Debug, Default)]
struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    fn insert(&mut self, number: u64) {
        // The next number is by far the most frequent.
        if let Some(last) = self.0.last_mut()
            && last.1.checked_add(1) == Some(number)
        {
            last.1 = number;
            return;
        }
        let at = self.0.partition_point(|range| range.1 < number);
        if self.0.get(at).is_some_and(|range| range.0 <= number) {
            return;
        }
        let extends_left = at > 0 && self.0[at - 1].1 + 1 == number;
        let extends_right = self.0.get(at).is_some_and(|range| range.0 == number + 1);
        match (extends_left, extends_right) {
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
            (true, false) => self.0[at - 1].1 = number,
            (false, true) => self.0[at].0 = number,
            (false, false) => self.insert_alone(at, number),
        }
    }

    fn insert_alone(&mut self, at: usize, number: u64) {
        if self.0.len() < MAX_ACK_RANGES {
            self.0.insert(at, (number, number));
        } else if at > 0 {
            // Full: the oldest range makes room. One older than all is not worth it.
            self.0.remove(0);
            self.0.insert(at - 1, (number, number));
        }
    }

    fn forget_to(&mut self, largest: u64) {
        let Some(top) = self.largest() else { return };
        let first_kept = largest.saturating_add(1).min(top);
        let gone = self.0.partition_point(|range| range.1 < first_kept);
        self.0.drain(..gone);
        if let Some(first) = self.0.first_mut() {
            first.0 = first.0.max(first_kept);
        }
    }

    fn largest(&self) -> Option<u64> {
        self.0.last().map(|range| range.1)
    }

    fn newest_first(&self) -> impl ExactSizeIterator<Item = RangeInclusive<u64>> + Clone + '_ {
        self.0.iter().rev().map(|&(first, last)| first..=last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const RTT: Duration = Duration::from_millis(40);
    const MAX_DELAY: Duration = Duration::from_millis(25);

    const fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    fn owed() -> AckOwed {
        AckOwed::new(MAX_DELAY)
    }

    /// Past the start, with everything acknowledged.
    fn settled() -> AckOwed {
        let mut ack = owed();
        for number in 0..START {
            data(&mut ack, at(0), number);
        }
        ack.on_ack_written(Level::Data);
        ack
    }

    fn data(ack: &mut AckOwed, now: Time, number: u64) {
        ack.on_packet(now, (number, Level::Data), true, None, RTT);
    }

    fn list(ack: &AckOwed, level: Level) -> Vec<RangeInclusive<u64>> {
        ack.ranges(level).collect()
    }

    //
    #[test]
    fn r_6_a_lone_packet_is_acknowledged_after_a_quarter_of_the_rtt() {
        let mut ack = settled();
        data(&mut ack, at(5), START);
        assert!(!ack.is_due(at(5), Level::Data) && ack.is_owed(Level::Data));
        assert_eq!(ack.deadline(), Some(at(15)));
        assert!(ack.is_due(at(15), Level::Data));
    }

    //
    #[test]
    fn r_6_a_ping_is_acknowledged_at_once() {
        let mut ack = settled();
        data(&mut ack, at(5), START);
        ack.on_ping(at(5));
        assert!(ack.is_due(at(5), Level::Data));
    }

    //
    #[test]
    fn r_6_no_ack_waits_longer_than_parameter_7() {
        let mut ack = settled();
        ack.on_packet(at(5), (START, Level::Data), true, None, Duration::from_secs(1));
        assert_eq!(ack.deadline(), Some(at(5) + MAX_DELAY));
    }

    //
    #[test]
    fn r_6_the_second_packet_at_the_start_and_the_tenth_later_are_acknowledged_at_once() {
        let mut ack = owed();
        data(&mut ack, at(0), 0);
        assert!(!ack.is_due(at(0), Level::Data));
        data(&mut ack, at(0), 1);
        assert!(ack.is_due(at(0), Level::Data));
        let mut ack = settled();
        for count in 0..10 {
            assert!(!ack.is_due(at(1), Level::Data), "{count} packets");
            data(&mut ack, at(1), START + count);
        }
        assert!(ack.is_due(at(1), Level::Data));
    }

    //
    #[test]
    fn r_6_a_gap_is_told_at_once_and_so_is_its_end() {
        let mut ack = settled();
        data(&mut ack, at(1), START + 1);
        assert!(ack.is_due(at(1), Level::Data));
        ack.on_ack_written(Level::Data);
        data(&mut ack, at(2), START + 2);
        assert!(!ack.is_due(at(2), Level::Data), "an old gap is no news");
        data(&mut ack, at(3), START);
        assert!(ack.is_due(at(3), Level::Data));
        assert_eq!(list(&ack, Level::Data), [0..=START + 2]);
    }

    //
    #[test]
    fn r_6_congestion_marks_and_handshake_packets_are_told_at_once() {
        let mut ack = settled();
        ack.on_packet(at(1), (START, Level::Data), true, Some(EcnMark::Ce), RTT);
        assert!(ack.is_due(at(1), Level::Data));
        assert_eq!(ack.ecn(), Some(EcnCounts { ect0: 0, ect1: 0, ce: 1 }));
        let mut ack = owed();
        ack.on_packet(at(1), (0, Level::Hello), true, None, RTT);
        assert!(ack.is_due(at(1), Level::Hello));
    }

    #[test]
    fn a_packet_that_wants_no_ack_is_listed_but_not_owed() {
        let mut ack = owed();
        ack.on_packet(at(1), (7, Level::Data), false, None, RTT);
        assert_eq!(ack.deadline(), None);
        assert_eq!(list(&ack, Level::Data), [7..=7]);
    }

    // M-12
    #[test]
    fn m_12_an_ack_lists_only_packets_of_its_level_and_below() {
        let mut ack = owed();
        for (number, level) in
            [(0, Level::Hello), (1, Level::ZeroRtt), (2, Level::Handshake), (3, Level::Data)]
        {
            ack.on_packet(at(number), (number, level), true, None, RTT);
        }
        assert_eq!(list(&ack, Level::Hello), [0..=0]);
        assert_eq!(list(&ack, Level::Handshake), [2..=2, 0..=0]);
        assert_eq!(list(&ack, Level::Data), [1..=3], "anyone can make a Hello");
        assert_eq!(ack.delay(at(10), Level::Handshake), Duration::from_millis(8));
        ack.on_ack_written(Level::Handshake);
        assert!(ack.is_owed(Level::Data) && !ack.is_owed(Level::Handshake));
    }

    // M-13
    #[test]
    fn m_13_a_dropped_level_owes_nothing() {
        let mut ack = owed();
        ack.on_packet(at(1), (0, Level::Hello), true, None, RTT);
        ack.drop_level(Level::Hello);
        assert_eq!(ack.deadline(), None);
        assert_eq!(list(&ack, Level::Handshake), [0..=0]);
    }

    #[test]
    fn what_the_peer_knows_is_not_listed_again() {
        let mut ack = owed();
        for number in [0, 1, 3, 5, 6, 9] {
            data(&mut ack, at(1), number);
        }
        ack.on_ack_of_ack(Level::Data, 5);
        assert_eq!(list(&ack, Level::Data), [9..=9, 6..=6]);
        ack.on_ack_of_ack(Level::Data, 9);
        assert_eq!(list(&ack, Level::Data), [9..=9], "the highest stays");
        data(&mut ack, at(2), 2);
        assert_eq!(list(&ack, Level::Data), [9..=9, 2..=2], "one that was late is still told");
    }

    #[test]
    fn an_ack_of_a_lower_levels_ack_prunes_only_what_it_listed() {
        let mut ack = owed();
        ack.on_packet(at(1), (0, Level::ZeroRtt), true, None, RTT);
        ack.on_packet(at(1), (1, Level::Handshake), true, None, RTT);
        ack.on_ack_of_ack(Level::Handshake, 1);
        assert_eq!(list(&ack, Level::Data), [0..=1], "0 was never told");
    }

    #[test]
    fn at_rest_the_newest_ranges_are_kept() {
        let mut ack = owed();
        (0..40).for_each(|count| data(&mut ack, at(1), count * 2));
        ack.release_memory();
        assert_eq!(list(&ack, Level::Data), [78..=78, 76..=76, 74..=74, 72..=72]);
        assert_eq!(ack.data.ranges.0.capacity(), RANGES_AT_REST);
    }

    // M-51
    #[test]
    fn m_51_at_most_64_ranges_are_listed_and_the_oldest_go_first() {
        let mut ack = owed();
        (0..100).for_each(|count| data(&mut ack, at(1), count * 2));
        let ranges = list(&ack, Level::Data);
        assert_eq!((ranges.len(), ranges[0].clone()), (MAX_ACK_RANGES, 198..=198));
        assert!(ack.wants_answer());
        data(&mut ack, at(1), 1);
        assert_eq!(list(&ack, Level::Data), ranges, "older than all that is kept");
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
                    prop_assert!(pair[0].1 + 1 < pair[1].0, "apart, and ascending");
                }
            }
            let listed: BTreeSet<u64> = ranges.newest_first().flatten().collect();
            prop_assert!(listed.is_subset(&model));
            prop_assert!(evicted || listed == model);
            prop_assert_eq!(listed.last(), model.last());
        }
    }
}
