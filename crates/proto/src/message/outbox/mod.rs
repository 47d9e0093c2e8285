//! Messages to send: queued within a bound, fragmented, resent, given up, and their outcomes.
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
    compactor::Compactor,
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

/// The cost of a message in the outbox besides its length.
const OVERHEAD: usize = MESSAGE_OVERHEAD as usize;

/// The sending side of one connection's messages.
///
/// Memory: a message costs its payload and about 90 bytes; the capacity counts 64 for them. Each
/// lane ever used costs 16 bytes, and each channel with credited messages 32, plus the slack of a
/// B-tree until the connection is idle. A connection that sent nothing has nothing on the heap.
pub(crate) struct Outbox {
    pub(super) lanes: SlotMap<LaneId, Lane>,
    /// The next ids of lanes that are not in `lanes`. Entries of other lanes are out of date.
    ids: CompactMap<LaneId, u64>,
    priorities: BTreeMap<ChannelId, u8>,
    pub(super) schedule: Schedule,
    /// Deadline messages by the time they are given up.
    deadlines: BTreeSet<(Time, LaneId, u64)>,
    pub(super) outcomes: Outcomes,
    pub(super) credit: SendCredit,
    /// Lanes parked because their next message must not be sent as 0-RTT.
    pub(super) not_early: Vec<LaneId>,
    pub(super) max_message: u64,
    capacity: usize,
    compactor: Compactor,
    /// Messages for which there was no room, by lane: the length of each. Few connections ever have
    /// one.
    #[expect(clippy::box_collection, reason = "an idle connection is 16 bytes smaller")]
    refused: Option<Box<BTreeMap<LaneId, usize>>>,
    /// There is more room than when `refused` was last checked.
    freed: bool,
    pub(super) queued: usize,
    pub(super) live: usize,
    receipts: u64,
    /// Bytes of messages sent again.
    pub(super) resent: u64,
    /// How long an Unreliable message may wait (D-16).
    patience: Duration,
}

impl Outbox {
    /// Makes an outbox that holds at most `capacity` bytes of messages, each counted with 64 more.
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
            compactor: Compactor::default(),
            refused: None,
            freed: false,
            queued: 0,
            live: 0,
            receipts: 0,
            resent: 0,
            patience: Duration::MAX,
        }
    }

    /// Sets how long Unreliable messages may wait that are queued from now on (D-16).
    pub(crate) const fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Queues a message.
    ///
    /// A Latest message replaces one on its channel of which nothing was sent yet.
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub(crate) fn push(&mut self, now: Time, message: Outgoing) -> Result<ReceiptId, Refused> {
        let Outgoing { channel, delivery, payload, repeatable, receipt } = message;
        self.drop_stale(now, LaneId { channel, class: delivery.class() });
        if let Err(reason) = self.check(channel, delivery.class(), payload.len()) {
            if reason != QueueError::Full {
                return Err(Refused { payload, reason });
            }
            self.note_refused(channel, delivery.class(), payload.len());
            // It waits elsewhere, behind at least as many.
            return Err(Refused { payload: self.compactor.compact(payload, usize::MAX), reason });
        }
        let payload = self.compactor.compact(payload, self.live);
        let receipt = receipt.unwrap_or_else(|| {
            self.receipts += 1;
            ReceiptId(self.receipts - 1)
        });
        let lane_id = LaneId { channel, class: delivery.class() };
        self.queued += payload.len() + OVERHEAD;
        self.live += 1;
        let due = match delivery {
            Delivery::Deadline(span) => now + span,
            Delivery::Unreliable => now + self.patience,
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
                    // The reason why the old one was parked need not hold for this one.
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

    /// Remembers a message for which there was no room: `poll_writable` reports when there is.
    fn note_refused(&mut self, channel: ChannelId, class: Class, len: usize) {
        self.refused.get_or_insert_default().insert(LaneId { channel, class }, len);
    }

    /// Returns `true` while a message was refused as `Full` and [`Self::poll_writable`] has not
    /// reported room for it.
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
    /// [`QueueError::Full`]: try again later. A lane may hold as much as the others leave free: one
    /// that nobody reads takes half of the capacity, and the next one half of the rest, so that
    /// there is always room for another (the dynamic thresholds of Choudhury and Hahne, IEEE/ACM
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
        // The replaced message counts until its outcome is taken.
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
            Sent::Fragment(fragment) => self.on_fragment_acked(fragment),
            Sent::Run(run) => self.end_run(run, Outcome::Acknowledged),
        }
    }

    /// Handles the loss of a packet that carried this. What is still needed is resent.
    pub(crate) fn on_lost(&mut self, sent: Sent) {
        match sent {
            Sent::Fragment(fragment) => self.on_fragment_lost(fragment),
            Sent::Run(run) => self.on_run_lost(run),
        }
    }

    /// Sends a message or fragment again although it may still be acknowledged, unless it has
    /// expired.
    pub(crate) fn repeat(&mut self, sent: Sent) {
        if let Sent::Fragment(SentFragment { channel, class, id, .. }) = sent {
            let lane = self.lanes.get(LaneId { channel, class });
            if lane.and_then(|lane| lane.get(id)).is_none_or(Queued::is_late) {
                return;
            }
        }
        self.on_lost(sent);
    }

    fn on_fragment_acked(&mut self, fragment: SentFragment) {
        let lane_id = LaneId { channel: fragment.channel, class: fragment.class };
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        let Some(message) = lane.get(fragment.id) else { return };
        // The peer drops an incomplete message at its deadline. If it acknowledges the fragments
        // after that, it is unknown whether it ever had all of them.
        let unsure = message.is_late() && message.payload().len() != fragment.len as usize;
        if lane.on_acked(fragment.id, fragment.offset, fragment.len) {
            let outcome = if unsure { Outcome::Unconfirmed } else { Outcome::Acknowledged };
            self.resolve(lane_id, fragment.id, outcome);
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

    fn on_fragment_lost(&mut self, fragment: SentFragment) {
        if !fragment.class.is_resent() {
            return;
        }
        let lane_id = LaneId { channel: fragment.channel, class: fragment.class };
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        if lane.get(fragment.id).is_some_and(Queued::is_late) {
            return self.resolve(lane_id, fragment.id, Outcome::Unconfirmed);
        }
        if lane.on_lost(fragment.id, fragment.offset, fragment.len) {
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

    /// Handles CHANNEL_CREDIT. It is ignored for a channel that sent nothing: no credit can have
    /// come back, and the peer must not be able to create entries for 65,536 channels.
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

    /// Returns the next outcome. Call it often: each outcome counts 64 bytes of the outbox until it
    /// is taken.
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
        self.compactor.release();
        self.schedule.clear();
    }

    /// Releases the memory that only a busy connection needs.
    pub(crate) fn release_idle(&mut self) {
        if self.live > 0 {
            return;
        }
        self.schedule.clear();
        self.compactor.release();
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

    /// Returns `true` if it holds nothing but the counters of channels that were used.
    #[cfg(test)]
    pub(crate) fn heap_is_idle(&self) -> bool {
        self.lanes.is_empty()
            && self.schedule.is_empty()
            && self.deadlines.is_empty()
            && !self.outcomes.holds_memory()
    }

    /// Ends a message, and reports its outcome. An Ordered message that arrived before an earlier
    /// one is reported together with that one, with the same outcome (D-1).
    pub(super) fn resolve(&mut self, lane_id: LaneId, id: u64, outcome: Outcome) {
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        let Some(finished) = lane.finish(id) else { return };
        self.queued -= finished.payload.len();
        self.freed = true;
        let mut report = |receipt| {
            self.live -= 1;
            self.outcomes.push(receipt, outcome);
        };
        if !finished.waits {
            report(finished.receipt);
            lane.pop_done(report);
        }
        if lane_id.class == Class::Deadline {
            self.deadlines.remove(&(finished.due, lane_id, id));
        }
        self.unpark(lane_id, Park::Window);
        self.free_if_empty(lane_id);
    }

    /// Ends the messages of a run that have no outcome yet, as `resolve` does for each.
    pub(super) fn end_run(&mut self, run: SentRun, outcome: Outcome) {
        let lane_id = LaneId { channel: run.channel, class: run.class };
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        self.freed = true;
        let mut report = |receipt| {
            self.live -= 1;
            self.outcomes.push(receipt, outcome);
        };
        for id in run.ids() {
            let Some(finished) = lane.finish(id) else { continue };
            self.queued -= finished.payload.len();
            if !finished.waits {
                report(finished.receipt);
                lane.pop_done(&mut report);
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
mod tests;
