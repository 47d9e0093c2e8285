//! Pending acknowledgements: which of the peer's packets arrived, and when an ACK is due.
//!
//! In: packets received and kept. Out: ranges to list, a deadline. Never: bytes, frames.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Group,
    ecn::{EcnCounts, EcnMark},
};
use crate::{limits::MAX_ACK_RANGES, time::Time, wire::level::Level};

/// Ack-eliciting packets after which an ACK is due at once.
const PACKETS_PER_ACK: u32 = 10;

/// The same for the start of a connection, when the peer has a small window and few samples.
const PACKETS_PER_ACK_AT_START: u32 = 2;

/// The number of packets that count as the start.
const START: u64 = 100;

/// The number of ranges above which we ask the peer to acknowledge an ACK, so that the list
/// shrinks.
const MANY_RANGES: usize = 16;

/// The number of ranges that an idle connection keeps.
const RANGES_AT_REST: usize = 4;

/// The acknowledgements of all levels. They share one number space but have three lists: an ACK
/// covers only packets of its own level and below (M-12), so each group's list holds what arrived
/// at its level or below, except that Hello's numbers are in no list of Data.
#[derive(Debug)]
pub(crate) struct PendingAcks {
    data: PendingList,
    /// The lists of Hello and Handshake; dropped with the handshake.
    early: Option<Box<[PendingList; 2]>>,
    /// Our own parameter 7.
    max_delay: Duration,
    /// The highest number received, at any level.
    largest: Option<u64>,
    /// Packets received, counted until the start is over.
    received: u64,
    ecn: EcnCounts,
}

/// The list of a level that was dropped.
static NOTHING: PendingList =
    PendingList { ranges: Ranges(Vec::new()), largest_at: Time::ZERO, eliciting: 0, due: None };

/// One list, and the ack-eliciting packets of exactly that group.
#[derive(Debug, Default)]
struct PendingList {
    ranges: Ranges,
    /// When the highest number of `ranges` arrived.
    largest_at: Time,
    /// Ack-eliciting packets since the last ACK.
    eliciting: u32,
    due: Option<Time>,
}

impl PendingAcks {
    /// Creates an empty state. An ACK waits for at most `max_delay` (our own parameter 7).
    pub(crate) fn new(max_delay: Duration) -> Self {
        Self {
            data: PendingList::default(),
            early: Some(Box::default()),
            max_delay,
            largest: None,
            received: 0,
            ecn: EcnCounts::default(),
        }
    }

    /// Records a packet that arrived, opened, was no replay, and whose contents were all kept
    /// (D-2). `smoothed` is the smoothed RTT.
    pub(crate) fn on_packet(
        &mut self,
        now: Time,
        number: u64,
        level: Level,
        eliciting: bool,
        mark: Option<EcnMark>,
        smoothed: Duration,
    ) {
        let group = Group::of(level);
        // A packet that closes a gap is not the next number, either.
        let is_next =
            self.largest.map_or(Some(0), |largest| largest.checked_add(1)) == Some(number);
        if group != Group::Hello {
            self.largest = self.largest.max(Some(number));
        }
        self.received = self.received.saturating_add(1);
        if let Some(mark) = mark {
            self.ecn.on_packet(mark);
        }
        // Anyone who saw the first packet can forge a Hello of any number, so the list that
        // acknowledges messages must not contain it.
        let highest = if group == Group::Hello { Group::Handshake } else { Group::Data };
        for group in Group::between(group, highest) {
            let Some(list) = self.list_mut(*group) else { continue };
            if list.ranges.largest().is_none_or(|largest| number > largest) {
                list.largest_at = now;
            }
            list.ranges.insert(number);
        }
        if !eliciting {
            return;
        }
        let limit = if self.received <= START { PACKETS_PER_ACK_AT_START } else { PACKETS_PER_ACK };
        let longest = self.max_delay.min(smoothed / 4);
        let Some(list) = self.list_mut(group) else { return };
        list.eliciting = list.eliciting.saturating_add(1);
        //
        let at_once = !is_next
            || mark == Some(EcnMark::Ce)
            || group != Group::Data
            || list.eliciting >= limit;
        let due = if at_once { now } else { now + longest };
        list.due = Some(list.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Records that the last data packet contained a PING: the peer waits for the answer.
    pub(crate) const fn on_ping(&mut self, now: Time) {
        self.data.due = Some(now);
    }

    /// Returns `true` if an ACK must be sent in a packet of `level` now.
    pub(crate) fn is_due(&self, now: Time, level: Level) -> bool {
        self.lists_up_to(level).any(|list| list.due.is_some_and(|due| due <= now))
    }

    /// Returns `true` if a packet of `level` that is sent anyway should carry an ACK.
    pub(crate) fn is_pending(&self, level: Level) -> bool {
        self.lists_up_to(level).any(|list| list.due.is_some())
    }

    /// Returns when the first ACK is due; a time in the past means at once.
    #[cfg(test)]
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline_at(Level::Data)
    }

    /// Returns when an ACK in a packet of `level` is due.
    pub(crate) fn deadline_at(&self, level: Level) -> Option<Time> {
        self.lists_up_to(level).filter_map(|list| list.due).min()
    }

    /// Returns the ranges that an ACK in a packet of `level` lists: newest first, not adjacent, at
    /// most 64 (M-51). Empty before any packet arrived.
    pub(crate) fn ranges(
        &self,
        level: Level,
    ) -> impl ExactSizeIterator<Item = RangeInclusive<u64>> + Clone + '_ {
        self.list(Group::of(level)).ranges.newest_first()
    }

    /// Returns the time since the highest number of [`Self::ranges`] arrived (RFC 9000 section
    /// 13.2.5).
    pub(crate) fn delay(&self, now: Time, level: Level) -> Duration {
        now.since(self.list(Group::of(level)).largest_at)
    }

    /// Returns the ECN counts if any packet was marked.
    pub(crate) fn ecn(&self) -> Option<EcnCounts> {
        (self.ecn != EcnCounts::default()).then_some(self.ecn)
    }

    /// Records that an ACK was written into a packet of `level`: nothing it covers is pending any
    /// more.
    pub(crate) fn on_ack_written(&mut self, level: Level) {
        for group in Group::between(Group::Hello, Group::of(level)) {
            let Some(list) = self.list_mut(*group) else { continue };
            list.due = None;
            list.eliciting = 0;
        }
    }

    /// Records that the peer acknowledged an ACK sent at `level` that listed everything up to
    /// `largest`: those numbers need not be listed again (RFC 9000 section 13.2.4). The highest
    /// number stays, so that every ACK has one.
    pub(crate) fn on_ack_of_ack(&mut self, level: Level, largest: u64) {
        for group in Group::between(Group::Hello, Group::of(level)) {
            let Some(list) = self.list_mut(*group) else { continue };
            list.ranges.forget_to(largest);
        }
    }

    /// Returns `true` if the list is long: the next packet with an ACK should be ack-eliciting (a
    /// PING is enough), so that the list can be pruned. For ends that only receive.
    pub(crate) fn wants_ack(&self) -> bool {
        self.data.ranges.0.len() > MANY_RANGES
    }

    /// Records that the keys of `level` were dropped (M-13): no ACK can be sent there. Its packets
    /// are still listed at higher levels, but no ACK of them is pending.
    pub(crate) fn drop_level(&mut self, level: Level) {
        match (&mut self.early, Group::of(level)) {
            // The later of the two to be dropped (M-13).
            (early, Group::Handshake) => *early = None,
            (Some(early), Group::Hello) => early[0] = PendingList::default(),
            _ => {}
        }
    }

    /// Releases what an idle connection does not need. After such a silence the peer has received
    /// all but the newest ranges, or will retransmit.
    pub(crate) fn release_memory(&mut self) {
        for group in Group::ALL {
            let Some(list) = self.list_mut(*group) else { continue };
            let ranges = &mut list.ranges.0;
            ranges.drain(..ranges.len().saturating_sub(RANGES_AT_REST));
            ranges.shrink_to_fit();
        }
    }

    /// Returns the lists up to that of `level`.
    fn lists_up_to(&self, level: Level) -> impl Iterator<Item = &PendingList> {
        Group::between(Group::Hello, Group::of(level)).iter().map(|group| self.list(*group))
    }

    fn list(&self, group: Group) -> &PendingList {
        match (&self.early, group) {
            (_, Group::Data) => &self.data,
            (Some(early), group) => &early[group.index()],
            (None, _) => &NOTHING,
        }
    }

    /// Returns `None` at a level that was dropped.
    fn list_mut(&mut self, group: Group) -> Option<&mut PendingList> {
        match (&mut self.early, group) {
            (_, Group::Data) => Some(&mut self.data),
            (Some(early), group) => Some(&mut early[group.index()]),
            (None, _) => None,
        }
    }
}

/// A set of numbers as ranges: ascending, not adjacent, at most 64; the oldest are dropped first.
/// It allocates only while it grows.
#[derive(Debug, Default)]
struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    fn insert(&mut self, number: u64) {
        // The next number is by far the most frequent case.
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
            // Full: drop the oldest range, unless the new number is older still.
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
mod tests;
