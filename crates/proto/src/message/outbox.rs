//! Messages to send: queued within a bound, split, resent, given up, and their outcomes.
//!
//! In: messages, credit, what became of the fragments. Out: fragments to send (`sending.rs`),
//! receipts. Never: packets, the reasons for a loss.

// Longer than 400 lines: queueing, acknowledgement and loss change the same lanes.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};

use super::{
    LaneId, Scope, Sent, SentFragment, SentRun,
    compact_map::CompactMap,
    credit::SendCredit,
    lane::{Lane, Park, Queued},
    outcomes::Outcomes,
    outgoing::{Outgoing, Refused},
    receipt::{Outcome, QueueError, ReceiptId},
    schedule::{DEFAULT_PRIORITY, Kind, PRIORITIES, Schedule},
    slot_map::SlotMap,
};
use crate::{
    delivery::{ChannelId, Class, Delivery},
    limits::{MESSAGE_OVERHEAD, UNCREDITED_POOL},
    time::Time,
};

/// Lanes that stay allocated when they become empty, so that one request per round trip does not
/// allocate each time. `release_idle` frees them too.
const LANES_KEPT: usize = 8;

/// What a message costs of the outbox besides its length.
const OVERHEAD: usize = MESSAGE_OVERHEAD as usize;

/// The sending side of one connection's messages.
///
/// Memory: a message costs its payload and about 90 bytes; the capacity counts 64 for them. For
/// each lane ever used 16 bytes, for each channel with credited messages 32, plus the slack of a
/// B-tree until it rests; a connection that sent nothing holds no heap.
pub(crate) struct Outbox {
    pub(super) lanes: SlotMap<LaneId, Lane>,
    /// Next ids of lanes that are not in `lanes`; of others, what was true once.
    ids: CompactMap<LaneId, u64>,
    priorities: BTreeMap<ChannelId, u8>,
    pub(super) schedule: Schedule,
    /// Deadline messages by the time they are given up.
    deadlines: BTreeSet<(Time, LaneId, u64)>,
    pub(super) outcomes: Outcomes,
    pub(super) credit: SendCredit,
    /// Lanes parked because their next message may not go in 0-RTT.
    pub(super) not_early: Vec<LaneId>,
    pub(super) max_message: u64,
    capacity: usize,
    /// Messages for which there was no room, by their lanes: the length of each. Few connections
    /// ever have one.
    #[expect(clippy::box_collection, reason = "an idle connection is 16 bytes smaller")]
    refused: Option<Box<BTreeMap<LaneId, usize>>>,
    /// There is more room than when `refused` was last looked at.
    freed: bool,
    pub(super) queued: usize,
    pub(super) live: usize,
    receipts: u64,
    /// Bytes of messages sent again.
    pub(super) resent: u64,
}

impl Outbox {
    /// An outbox that holds at most `capacity` bytes of messages, each counted with 64 more.
    ///
    /// Nothing can be sent before `set_peer_limits`.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            lanes: SlotMap::default(),
            ids: CompactMap::default(),
            priorities: BTreeMap::new(),
            schedule: Schedule::default(),
            deadlines: BTreeSet::new(),
            outcomes: Outcomes::default(),
            credit: SendCredit::default(),
            not_early: Vec::new(),
            // An offset in a message is 32 bits wide here.
            max_message: u64::from(u32::MAX) - MESSAGE_OVERHEAD,
            capacity,
            refused: None,
            freed: false,
            queued: 0,
            live: 0,
            receipts: 0,
            resent: 0,
        }
    }

    /// Queues a message.
    ///
    /// A Latest message takes the place of one of its channel of which nothing was sent.
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub(crate) fn push(&mut self, now: Time, message: Outgoing) -> Result<ReceiptId, Refused> {
        let Outgoing { channel, delivery, payload, repeatable, receipt } = message;
        if let Err(reason) = self.check(channel, delivery.class(), payload.len()) {
            if reason == QueueError::Full {
                self.note_refused(channel, delivery.class(), payload.len());
            }
            return Err(Refused { payload, reason });
        }
        let receipt = receipt.unwrap_or_else(|| {
            self.receipts += 1;
            ReceiptId(self.receipts - 1)
        });
        let lane_id = LaneId { channel, class: delivery.class() };
        self.queued += payload.len() + OVERHEAD;
        self.live += 1;
        let due = match delivery {
            Delivery::Deadline(span) => now + span,
            _ => Time::from_micros(u64::MAX),
        };
        let message = Queued::new(payload, receipt, due, repeatable);
        let ids = &self.ids;
        let lane = self.lanes.get_or_insert_with(lane_id, || {
            Lane::starting_at(ids.get(lane_id).copied().unwrap_or(0), lane_id.class)
        });
        let replaced = match lane_id.class {
            Class::Latest => lane.replace_unsent_last(message),
            _ => Err(message),
        };
        match replaced {
            Ok(old) => {
                self.live -= 1;
                self.queued -= old.payload.len();
                self.freed = true;
                self.outcomes.push(old.receipt, Outcome::Superseded);
                if repeatable {
                    // What may have kept the old one need not keep this one.
                    lane.parked = None;
                }
            }
            Err(message) => {
                let id = lane.push(message);
                if lane_id.class == Class::Deadline {
                    self.deadlines.insert((due, lane_id, id));
                }
            }
        }
        if !lane.listed_fresh {
            self.list(lane_id, Kind::Fresh);
        }
        Ok(receipt)
    }

    /// Remembers a message for which there was no room: `poll_writable` says when there is.
    fn note_refused(&mut self, channel: ChannelId, class: Class, len: usize) {
        self.refused.get_or_insert_default().insert(LaneId { channel, class }, len);
    }

    /// Returns `true` while a message that was refused as `Full` has not been reported to fit.
    pub(crate) const fn has_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Returns `true` when a message that was refused as `Full` would be taken now. Each refusal
    /// is reported once, several of them together.
    pub(crate) fn poll_writable(&mut self) -> bool {
        if self.refused.is_none() || !mem::take(&mut self.freed) {
            return false;
        }
        let Some(mut refused) = self.refused.take() else { return false };
        let before = refused.len();
        refused.retain(|lane, len| self.check(lane.channel, lane.class, *len).is_err());
        let after = refused.len();
        self.refused = (after > 0).then_some(refused);
        after < before
    }

    /// Returns `Ok` if `push` would queue a message of `len` bytes.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLarge`], now and later: the message is longer than the peer accepts, or
    /// costs more than the peer's initial credit (so that it could never be sent), than the pool
    /// that every receiver has for classes without credit (D-6), or than this outbox holds.
    /// [`QueueError::Full`]: not now. A lane may hold as much as the others leave free: one that
    /// nobody reads takes half of the capacity, and the next one half of the rest, so that there is
    /// always room for another (the dynamic thresholds of Choudhury and Hahne, IEEE/ACM
    /// Transactions on Networking 6(2), 1998, with α = 1).
    pub(crate) fn check(
        &self,
        channel: ChannelId,
        class: Class,
        len: usize,
    ) -> Result<(), QueueError> {
        let cost = len.saturating_add(OVERHEAD);
        if len > self.max_message(class) || cost > self.capacity {
            return Err(QueueError::TooLarge);
        }
        let lane = self.lanes.get(LaneId { channel, class });
        let replaced = match class {
            Class::Latest => lane.and_then(Lane::unsent_last_len),
            _ => None,
        };
        // The outcome of the one that is replaced waits, and counts until it is taken.
        let left = self.capacity.saturating_sub(self.queued - replaced.unwrap_or(0));
        let held = lane.map_or(0, |lane| lane.queued) - replaced.map_or(0, |len| len + OVERHEAD);
        if held + cost > left {
            return Err(QueueError::Full);
        }
        Ok(())
    }

    /// Sets the priority of a channel, from its next turn on: 0 to 7, where 7 is sent first.
    pub(crate) fn set_priority(&mut self, channel: ChannelId, priority: u8) {
        if priority == DEFAULT_PRIORITY {
            self.priorities.remove(&channel);
        } else {
            self.priorities.insert(channel, priority.min(PRIORITIES - 1));
        }
    }

    /// Handles the acknowledgement of a packet that carried this.
    pub(crate) fn on_acked(&mut self, sent: Sent) {
        match sent {
            Sent::Fragment(part) => self.on_fragment_acked(part),
            Sent::Run(run) => self.end_run(run, Outcome::Acknowledged),
        }
    }

    /// Handles the loss of a packet that carried this. What is still needed is resent.
    pub(crate) fn on_lost(&mut self, sent: Sent) {
        match sent {
            Sent::Fragment(part) => self.on_fragment_lost(part),
            Sent::Run(run) => self.on_run_lost(run),
        }
    }

    fn on_fragment_acked(&mut self, part: SentFragment) {
        let lane_id = LaneId { channel: part.channel, class: part.class };
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        let Some(message) = lane.get(part.id) else { return };
        // The peer drops incomplete messages at their deadline: if it acknowledges the fragments
        // after that, it is unknown whether it ever had all of them.
        let unsure = message.is_late() && message.payload().len() != part.len as usize;
        if lane.on_acked(part.id, part.offset, part.len) {
            let outcome = if unsure { Outcome::Unconfirmed } else { Outcome::Acknowledged };
            self.resolve(lane_id, part.id, outcome);
        }
    }

    fn on_run_lost(&mut self, run: SentRun) {
        let SentRun { channel, class, .. } = run;
        let lane_id = LaneId { channel, class };
        for id in run.ids() {
            let message = self.lanes.get(lane_id).and_then(|lane| lane.get(id));
            let Some(message) = message else { continue };
            // Messages are shorter than 2^32 bytes: `check`.
            let len = message.payload().len() as u32;
            self.on_fragment_lost(SentFragment { channel, class, id, offset: 0, len });
        }
    }

    fn on_fragment_lost(&mut self, part: SentFragment) {
        if !part.class.is_resent() {
            return;
        }
        let lane_id = LaneId { channel: part.channel, class: part.class };
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        if lane.get(part.id).is_some_and(Queued::is_late) {
            return self.resolve(lane_id, part.id, Outcome::Unconfirmed);
        }
        if lane.on_lost(part.id, part.offset, part.len) {
            self.list(lane_id, Kind::Lost);
        }
    }

    /// Handles CREDIT: the connection may send `total` bytes since its start.
    pub(crate) fn on_credit(&mut self, total: u64) {
        if !self.credit.raise(Scope::Connection, total) {
            return;
        }
        for lane_id in self.credit.take_starved() {
            self.unpark(lane_id, Park::Connection);
        }
    }

    /// Returns the number of lanes that CREDIT woke since the last call: one byte of credit may
    /// wake all that wait.
    pub(crate) fn take_woken(&mut self) -> u32 {
        self.credit.take_woken()
    }

    /// CHANNEL_CREDIT came. For a channel that sent nothing it is ignored: no credit can have
    /// come back, and an entry for each of 65,536 channels is not the peer's to make.
    pub(crate) fn on_channel_credit(&mut self, channel: ChannelId, total: u64) {
        if !self.credit.raise(Scope::Channel(channel), total) {
            return;
        }
        for class in [Class::Ordered, Class::Reliable] {
            self.unpark(LaneId { channel, class }, Park::Channel);
        }
    }

    /// Returns the scope of the next BLOCKED frame to send: a message waits for its credit.
    pub(crate) fn poll_blocked(&mut self) -> Option<Scope> {
        self.credit.poll_blocked()
    }

    /// Returns `true` if there is a BLOCKED frame to send and no credit has arrived since.
    pub(crate) fn has_pending_blocked(&mut self) -> bool {
        self.credit.has_pending_blocked()
    }

    /// Handles the loss of a packet with a BLOCKED frame.
    pub(crate) fn on_blocked_lost(&mut self, scope: Scope) {
        self.credit.on_blocked_lost(scope);
    }

    /// Returns when the next Deadline message is given up.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(due, ..)| *due)
    }

    /// Gives up the Deadline messages that have expired.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while let Some(&(due, lane_id, id)) = self.deadlines.first()
            && due <= now
        {
            self.deadlines.pop_first();
            let lane = self.lanes.get_mut(lane_id);
            if let Some(outcome) = lane.and_then(|lane| lane.expire(id)) {
                self.resolve(lane_id, id, outcome);
            }
        }
    }

    /// Subtracts the one-way delay, now that it is measured, from the deadlines of messages that
    /// were queued before and have not been sent (D-7).
    pub(crate) fn count_way(&mut self, way: Duration) {
        for (due, lane_id, id) in mem::take(&mut self.deadlines) {
            let Some(lane) = self.lanes.get_mut(lane_id) else { continue };
            let begun = lane.get(id).is_none_or(Queued::begun);
            let due = if begun { due } else { due.before(way) };
            lane.hasten(id, due);
            self.deadlines.insert((due, lane_id, id));
        }
    }

    /// Returns the next outcome. Take them often: each counts 64 bytes of the outbox until then.
    pub(crate) fn poll_receipt(&mut self) -> Option<(ReceiptId, Outcome)> {
        let outcome = self.outcomes.pop()?;
        self.queued -= OVERHEAD;
        self.freed = true;
        Some(outcome)
    }

    /// Returns the number of message bytes that were resent so far.
    pub(crate) const fn resent(&self) -> u64 {
        self.resent
    }

    /// Returns the bytes that count against the capacity.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Returns the queued bytes per channel and class. Empty lanes are omitted.
    pub(crate) fn queued_by_channel(&self) -> impl Iterator<Item = (ChannelId, usize)> + '_ {
        let lanes = self.lanes.keys();
        let bytes = lanes.map(|id| (id.channel, self.lanes.get(id).map_or(0, |lane| lane.queued)));
        bytes.filter(|(_, bytes)| *bytes > 0)
    }

    /// Returns `true` if every message has an outcome (M-63).
    pub(crate) fn is_drained(&self) -> bool {
        self.live == 0
    }

    /// Gives up all messages that have no outcome: the connection is closed.
    pub(crate) fn give_up_all(&mut self) {
        let all: Vec<LaneId> = self.lanes.keys().collect();
        for lane_id in all {
            while let Some(lane) = self.lanes.get(lane_id)
                && let Some(oldest) = lane.older_than(lane.next_id())
            {
                self.resolve(lane_id, oldest, Outcome::Unsent);
            }
        }
        self.schedule.clear();
    }

    /// Releases the memory that only a busy connection needs.
    pub(crate) fn release_idle(&mut self) {
        if self.live > 0 {
            return;
        }
        self.schedule.clear();
        let lanes = mem::take(&mut self.lanes);
        for lane_id in lanes.keys() {
            if let Some(lane) = lanes.get(lane_id) {
                self.ids.insert(lane_id, lane.next_id());
            }
        }
        self.ids.compact(|_| true);
        self.deadlines = BTreeSet::new();
        self.outcomes.shrink_to_fit();
        self.not_early = Vec::new();
        self.credit.release_idle();
    }

    /// Returns `true` if it holds no more than the counters of channels that were used.
    #[cfg(test)]
    pub(crate) fn heap_is_idle(&self) -> bool {
        self.lanes.is_empty()
            && self.schedule.is_empty()
            && self.deadlines.is_empty()
            && !self.outcomes.holds_memory()
    }

    /// Ends a message, and reports its outcome. An Ordered message that arrived before one ahead of
    /// it is reported together with that one, with the same outcome (D-1).
    pub(super) fn resolve(&mut self, lane_id: LaneId, id: u64, outcome: Outcome) {
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        let Some(finished) = lane.finish(id) else { return };
        self.queued -= finished.payload.len();
        self.freed = true;
        let mut tell = |receipt| {
            self.live -= 1;
            self.outcomes.push(receipt, outcome);
        };
        if !finished.waits {
            tell(finished.receipt);
            lane.pop_done(tell);
        }
        if lane_id.class == Class::Deadline {
            self.deadlines.remove(&(finished.due, lane_id, id));
        }
        self.unpark(lane_id, Park::Window);
        self.free_if_empty(lane_id);
    }

    /// Ends those messages of a run that have no outcome yet, as `resolve` does for each.
    pub(super) fn end_run(&mut self, run: SentRun, outcome: Outcome) {
        let lane_id = LaneId { channel: run.channel, class: run.class };
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        self.freed = true;
        let mut tell = |receipt| {
            self.live -= 1;
            self.outcomes.push(receipt, outcome);
        };
        for id in run.ids() {
            let Some(finished) = lane.finish(id) else { continue };
            self.queued -= finished.payload.len();
            if !finished.waits {
                tell(finished.receipt);
                lane.pop_done(&mut tell);
            }
        }
        self.unpark(lane_id, Park::Window);
        self.free_if_empty(lane_id);
    }

    /// Puts a lane in a queue, unless it is there already or parked.
    pub(super) fn list(&mut self, lane_id: LaneId, kind: Kind) {
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        let listed = match kind {
            Kind::Lost => &mut lane.listed_lost,
            Kind::Fresh if lane.parked.is_some() => return,
            Kind::Fresh => &mut lane.listed_fresh,
        };
        if !mem::replace(listed, true) {
            let priority = self.priorities.get(&lane_id.channel).copied();
            self.schedule.push(kind, priority.unwrap_or(DEFAULT_PRIORITY), lane_id);
        }
    }

    /// Puts a lane back in the queue if it was parked for this reason.
    pub(super) fn unpark(&mut self, lane_id: LaneId, reason: Park) {
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        if lane.parked == Some(reason) {
            lane.parked = None;
            self.list(lane_id, Kind::Fresh);
        }
    }

    /// Frees an empty lane, and keeps its next id.
    pub(super) fn free_if_empty(&mut self, lane_id: LaneId) {
        if self.lanes.len() <= LANES_KEPT {
            return;
        }
        let Some(lane) = self.lanes.get(lane_id) else { return };
        if lane.is_empty() && !lane.is_listed() {
            self.ids.insert(lane_id, lane.next_id());
            self.lanes.remove(lane_id);
        }
    }

    /// Returns the length of the longest message of a class that is ever queued.
    pub(crate) fn max_message(&self, class: Class) -> usize {
        let most = usize::try_from(self.max_len(class)).unwrap_or(usize::MAX);
        most.min(self.capacity.saturating_sub(OVERHEAD))
    }

    /// Returns the length of the longest message of a class that could ever be sent.
    pub(super) fn max_len(&self, class: Class) -> u64 {
        let most = if class.is_credited() { self.credit.largest() } else { UNCREDITED_POOL as u64 };
        self.max_message.min(most.saturating_sub(MESSAGE_OVERHEAD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{FragmentHeader, peer_limits::PeerLimits, tests::packet};

    const NOW: Time = Time::ZERO;
    const CHANNEL: ChannelId = ChannelId(0);

    fn limits(max_message: u64) -> PeerLimits {
        PeerLimits { credit: 10_000, channel_credit: 5_000, max_message }
    }

    fn push(outbox: &mut Outbox, delivery: Delivery, len: usize) -> Result<ReceiptId, QueueError> {
        let message = Outgoing::new(CHANNEL, delivery, vec![0; len]);
        outbox.push(NOW, message).map_err(|refused| refused.reason)
    }

    // D-11
    #[test]
    fn it_holds_so_many_bytes_and_an_outcome_counts_until_it_is_taken() {
        let mut outbox = Outbox::new(1_000);
        outbox.set_peer_limits(limits(5_000));
        assert_eq!(push(&mut outbox, Delivery::Unreliable, 937), Err(QueueError::TooLarge));
        assert_eq!(outbox.max_message(Class::Unreliable), 936);
        push(&mut outbox, Delivery::Unreliable, 936).unwrap();
        assert_eq!(push(&mut outbox, Delivery::Ordered, 0), Err(QueueError::Full));
        assert_eq!(packet(&mut outbox, NOW, false).len(), 1);
        assert_eq!(push(&mut outbox, Delivery::Ordered, 873), Err(QueueError::Full));
        push(&mut outbox, Delivery::Ordered, 872).unwrap();
        outbox.poll_receipt().unwrap();
        assert_eq!(outbox.queued(), 936);
    }

    /// Sends ids 0 to 2, a packet each, and says that those of 2 and 1 arrived.
    fn all_but_the_first(delivery: Delivery) -> (Outbox, FragmentHeader) {
        let mut outbox = Outbox::new(100_000);
        outbox.set_peer_limits(limits(5_000));
        let parts: Vec<_> = (0..3)
            .map(|_| {
                push(&mut outbox, delivery, 10).unwrap();
                packet(&mut outbox, NOW, false)[0]
            })
            .collect();
        outbox.on_acked(Sent::Fragment(parts[2].sent()));
        outbox.on_acked(Sent::Fragment(parts[1].sent()));
        (outbox, parts[0])
    }

    fn outcomes(outbox: &mut Outbox) -> Vec<(u64, Outcome)> {
        std::iter::from_fn(|| outbox.poll_receipt()).map(|(ReceiptId(n), end)| (n, end)).collect()
    }

    // D-1
    #[test]
    fn d1_an_ordered_message_is_acknowledged_when_all_before_it_are() {
        let (mut outbox, first) = all_but_the_first(Delivery::Ordered);
        assert_eq!(outcomes(&mut outbox), []);
        assert!(!outbox.is_drained());
        outbox.on_acked(Sent::Fragment(first.sent()));
        let all: Vec<_> = (0..3).map(|number| (number, Outcome::Acknowledged)).collect();
        assert_eq!(outcomes(&mut outbox), all);
        assert!(outbox.is_drained() && outbox.queued() == 0);
        let (mut outbox, _) = all_but_the_first(Delivery::Reliable);
        assert_eq!(outcomes(&mut outbox).len(), 2, "nothing holds up a Reliable one");
    }

    // D-1
    #[test]
    fn d1_at_the_end_what_lies_behind_a_gap_is_unsent() {
        let (mut outbox, _) = all_but_the_first(Delivery::Ordered);
        outbox.give_up_all();
        let all: Vec<_> = (0..3).map(|number| (number, Outcome::Unsent)).collect();
        assert_eq!(outcomes(&mut outbox), all);
        assert!(outbox.is_drained() && outbox.queued() == 0);
    }

    #[test]
    fn a_newer_latest_needs_only_the_room_the_older_does_not_free() {
        let mut outbox = Outbox::new(1_000);
        push(&mut outbox, Delivery::Latest, 800).unwrap();
        assert_eq!(push(&mut outbox, Delivery::Latest, 900), Err(QueueError::Full));
        push(&mut outbox, Delivery::Latest, 870).unwrap();
        assert_eq!(outbox.queued(), 870 + 2 * OVERHEAD);
    }

    #[test]
    fn a_lane_that_nobody_reads_leaves_room_for_another() {
        let mut outbox = Outbox::new(100_000);
        outbox.set_peer_limits(limits(5_000));
        let fill = |outbox: &mut Outbox, channel| {
            let push = |outbox: &mut Outbox| {
                outbox.push(NOW, Outgoing::new(channel, Delivery::Ordered, vec![0; 936]))
            };
            (0..).take_while(|_| push(outbox).is_ok()).count()
        };
        let counts = [0, 1, 2, 3].map(|channel| fill(&mut outbox, channel));
        assert_eq!(counts, [50, 25, 13, 6]);
    }

    #[test]
    fn room_is_reported_once_to_all_that_were_refused() {
        let mut outbox = Outbox::new(1_000);
        outbox.set_peer_limits(limits(5_000));
        push(&mut outbox, Delivery::Unreliable, 400).unwrap();
        for delivery in [Delivery::Ordered, Delivery::Unreliable] {
            assert_eq!(push(&mut outbox, delivery, 500), Err(QueueError::Full));
        }
        assert!(!outbox.poll_writable());
        packet(&mut outbox, NOW, false);
        assert!(outbox.poll_writable() && !outbox.poll_writable());
        outbox.poll_receipt().unwrap();
        assert!(!outbox.poll_writable());
    }

    // D-4, D-6
    #[test]
    fn what_could_never_be_sent_is_too_large() {
        let mut outbox = Outbox::new(64 << 20);
        outbox.set_peer_limits(limits(6_000));
        let longest = 5_000 - OVERHEAD;
        assert!(push(&mut outbox, Delivery::Ordered, longest).is_ok());
        let more = push(&mut outbox, Delivery::Reliable, longest + 1);
        assert_eq!(more, Err(QueueError::TooLarge), "it costs more than its channel ever has");
        assert!(push(&mut outbox, Delivery::Latest, 6_000).is_ok());
        assert_eq!(push(&mut outbox, Delivery::Latest, 6_001), Err(QueueError::TooLarge));
        let mut outbox = Outbox::new(64 << 20);
        let most = UNCREDITED_POOL - OVERHEAD;
        assert_eq!(push(&mut outbox, Delivery::Latest, most + 1), Err(QueueError::TooLarge));
    }

    #[test]
    fn what_turns_out_too_large_is_given_up_and_leaves_no_gap() {
        let mut outbox = Outbox::new(100_000);
        let lens = [10, 7_000, 20, 7_000];
        let receipts = lens.map(|len| push(&mut outbox, Delivery::Ordered, len).unwrap());
        outbox.set_peer_limits(limits(5_000));
        let mut reported: Vec<_> = std::iter::from_fn(|| outbox.poll_receipt()).collect();
        reported.sort_by_key(|(receipt, _)| *receipt);
        let gone = [receipts[1], receipts[3]].map(|receipt| (receipt, Outcome::TooLarge));
        assert_eq!(reported, gone);
        let sent = packet(&mut outbox, NOW, false);
        let sent: Vec<_> = sent.iter().map(|part| (part.id, part.total)).collect();
        assert_eq!(sent, [(0, 10), (1, 20)]);
        assert_eq!(outbox.queued(), 30 + 2 * OVERHEAD);
    }

    #[test]
    fn ids_survive_when_a_lane_is_let_go() {
        let mut outbox = Outbox::new(100_000);
        outbox.set_peer_limits(limits(5_000));
        for id in 0..3 {
            push(&mut outbox, Delivery::Ordered, 10).unwrap();
            let part = packet(&mut outbox, NOW, false)[0];
            assert_eq!(part.id, id);
            outbox.on_acked(Sent::Fragment(part.sent()));
            outbox.poll_receipt().unwrap();
            outbox.release_idle();
            assert!(outbox.heap_is_idle());
        }
    }

    #[test]
    fn lanes_of_channels_used_once_do_not_pile_up() {
        let mut outbox = Outbox::new(100_000);
        outbox.set_peer_limits(limits(5_000));
        for channel in 0..100 {
            let channel = ChannelId(channel);
            outbox.push(NOW, Outgoing::new(channel, Delivery::Unreliable, vec![0; 9])).unwrap();
            assert_eq!(packet(&mut outbox, NOW, false).len(), 1);
            outbox.poll_receipt().unwrap();
        }
        assert!(outbox.lanes.len() <= LANES_KEPT);
    }

    #[test]
    fn d5_credit_of_a_channel_never_used_makes_no_entry() {
        let mut outbox = Outbox::new(100_000);
        outbox.set_peer_limits(limits(5_000));
        outbox.on_channel_credit(CHANNEL, 1 << 40);
        push(&mut outbox, Delivery::Ordered, 4_900).unwrap();
        push(&mut outbox, Delivery::Ordered, 4_900).unwrap();
        while !packet(&mut outbox, NOW, false).is_empty() {}
        assert_eq!(outbox.poll_blocked(), Some(Scope::Channel(CHANNEL)));
    }
}
