//! Messages received: joined, put in order, kept once, within credit.
//!
//! In: parts as they come, what the application takes. Out: whole messages, credit to announce.
//! Never: packets; what a class promises of its own is in `credited.rs` and `uncredited.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Fragment, LaneId, Message, Scope, assembly::Assembly, budget::Budget, compact_map::CompactMap,
    credit::Window, queue::ReceiveQueue, window::SeenWindow,
};
use crate::{
    delivery::{ChannelId, Class},
    error::Close,
    limits::{MAX_UNREPORTED, MESSAGE_OVERHEAD},
    time::Time,
};

/// What a channel costs (D-14): its counters and those of Latest and Deadline, with the slack of
/// the tree that they stand in.
pub(super) const CHANNEL_COST: u32 = 256;

/// What a message costs besides its bytes and [`OVERHEAD`] while it is unfinished (D-14): the list
/// of its pieces, and the places where it is found.
pub(super) const UNFINISHED_COST: u32 = 192;

/// Length that a message adds to its own in every account.
pub(super) const OVERHEAD: usize = MESSAGE_OVERHEAD as usize;

/// The own transport parameters that bound an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboxConfig {
    /// Parameter 4: bytes of credited messages that are not taken, of all channels.
    pub(crate) credit: u32,
    /// Parameter 5: the same of each channel.
    pub(crate) channel_credit: u32,
    /// Parameter 6: the longest message, in bytes.
    pub(crate) max_message: u32,
    /// Bytes of messages without credit that wait (D-6): `UNCREDITED_POOL`, or more.
    pub(crate) pool: u32,
}

/// What holds for all inboxes of an endpoint.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(super) config: InboxConfig,
    /// What each may hold whatever the others do, in bytes (D-13).
    each: u64,
    /// For what they hold beyond that.
    pub(crate) budget: Budget,
    /// From so many bytes on what was taken from a queue elsewhere is reported: a quarter of a
    /// window at most, so that credit which comes back in halves is never far behind.
    report_at: u64,
}

impl Rules {
    pub(crate) fn new(config: InboxConfig, (each, together): (u64, u64)) -> Arc<Self> {
        let window = u64::from(config.credit.min(config.channel_credit));
        let report_at = (window / 4).clamp(1, MAX_UNREPORTED);
        Arc::new(Self { config, each, budget: Budget::new(together), report_at })
    }

    /// D-13: where so much is held, is there room for a message that costs so much? Then it is
    /// taken. One that `waits` for others that have not begun leaves half of the room to those:
    /// else all of it could be held by what waits, and nothing would ever be delivered.
    pub(super) fn take_room(&self, held: u64, cost: u64, waits: bool) -> bool {
        let more = self.beyond_each(held + cost) - self.beyond_each(held);
        more == 0 || (!waits || self.budget.has_plenty(more)) && self.budget.take(more)
    }

    pub(super) const fn beyond_each(&self, held: u64) -> u64 {
        held.saturating_sub(self.each)
    }
}

/// Bytes of messages that left a connection and still count for its endpoint (D-13), as long as
/// this lives.
#[derive(Debug)]
pub struct Charge {
    rules: Arc<Rules>,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.rules.budget.give(self.bytes);
    }
}

/// What became of a part (D-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a packet with a refused part must not be acknowledged"]
pub(crate) enum Kept {
    /// All that its class promises to keep is kept.
    Yes,
    /// There is no room: its packet must not be acknowledged.
    Refused,
}

impl Kept {
    /// D-2, where there is no room: what is resent is refused, so that it comes again; the rest is
    /// dropped.
    pub(super) const fn or_dropped(class: Class) -> Self {
        if class.is_resent() { Self::Refused } else { Self::Yes }
    }
}

/// A CREDIT (of the connection) or CHANNEL_CREDIT frame to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreditUpdate {
    pub(crate) scope: Scope,
    /// Bytes the peer may have sent since the start.
    pub(crate) total: u64,
}

/// The receiving side of one connection's messages.
///
/// Memory: credited messages cost at most twice the connection's credit and about 80 bytes for
/// each 64 of it; those without credit the same of the pool (D-6). What neither counts is counted
/// apart (D-14), for the budget of the endpoint (D-13). A connection that received nothing holds no
/// heap.
pub(crate) struct Inbox {
    pub(super) rules: Arc<Rules>,
    pub(super) channels: CompactMap<ChannelId, Channel>,
    /// What is not over and not ready, of all lanes.
    pub(super) pending: BTreeMap<(LaneId, u64), Slot>,
    /// What is whole, unless another queue took it over.
    pub(super) ready: ReceiveQueue,
    pub(super) window: Window,
    /// Windows to announce.
    pub(super) announce: VecDeque<Scope>,
    /// Bytes in the pool of classes without credit.
    pub(super) pool: u32,
    /// Bytes that neither credit nor pool count: of channels, unfinished messages and gaps (D-14).
    pub(super) state: u32,
    /// Those that remember gaps between delivered Deadline messages (D-7). Not of the pool: they
    /// may stay for as long as the connection, and a message must not wait for that.
    pub(super) gaps: u32,
    /// The peer said that it waits on a channel of which nothing came. Which one, is not kept.
    pub(super) blocked_early: bool,
    /// Windows for whose credit the peer waits.
    pub(super) wanted: u32,
    /// A message found no room since what was taken was last accounted for.
    pub(super) short: bool,
    /// Another queue is read, and what was taken from that may not be known here.
    is_lent: bool,
    /// The owner of that queue is to report what was taken.
    report_wanted: bool,
    /// Unfinished messages that may be dropped for others, by arrival.
    pub(super) evictable: BTreeMap<u64, (LaneId, u64)>,
    /// Unfinished Deadline messages by the time they are dropped.
    pub(super) expiry: BTreeSet<(Time, LaneId, u64)>,
    pub(super) arrivals: u64,
}

/// What a channel needs as long as the connection lives.
#[derive(Default)]
pub(super) struct Channel {
    pub(super) window: Window,
    /// The lowest id not wholly received, of Ordered and of Reliable.
    pub(super) next: [u64; 2],
    pub(super) others: Option<Box<Others>>,
}

/// What a channel needs that used Latest or Deadline.
#[derive(Default)]
pub(super) struct Others {
    /// Latest: all ids below are over.
    pub(super) floor: u64,
    /// Latest: the newest id of which anything came.
    pub(super) newest: u64,
    /// Latest: what the newest whole one takes of the pool until it is taken; 0 after that.
    pub(super) waiting: u32,
    /// Deadline.
    pub(super) seen: SeenWindow,
}

/// A message that is not over and not ready.
pub(super) enum Slot {
    /// Parts are missing.
    Partial(Box<Assembly>),
    /// Ordered: whole, and one before it is missing.
    Whole(Bytes),
    /// Reliable: it was ready before one with a lower id, and must not be so again.
    Passed { taken: bool },
}

impl Channel {
    /// Returns `true` if nothing has come on it but Unreliable messages.
    pub(super) fn is_untouched(&self) -> bool {
        self.window.is_untouched() && self.others.is_none()
    }
}

impl Inbox {
    pub(crate) fn new(rules: &Arc<Rules>) -> Self {
        Self {
            rules: Arc::clone(rules),
            channels: CompactMap::default(),
            pending: BTreeMap::new(),
            ready: ReceiveQueue::new(),
            window: Window::default(),
            announce: VecDeque::new(),
            pool: 0,
            state: 0,
            gaps: 0,
            blocked_early: false,
            wanted: 0,
            short: false,
            is_lent: false,
            report_wanted: false,
            evictable: BTreeMap::new(),
            expiry: BTreeSet::new(),
            arrivals: 0,
        }
    }

    /// A part came in a packet that opened and had not come before.
    ///
    /// # Errors
    ///
    /// What the peer must not do, as the connection then closes: M-50, M-52, D-4 (FLOW_CONTROL).
    #[inline]
    pub(crate) fn insert(&mut self, now: Time, part: Fragment<'_>) -> Result<Kept, Close> {
        if self.deliver_next(&part) {
            return Ok(Kept::Yes);
        }
        self.insert_any(now, part)
    }

    fn insert_any(&mut self, now: Time, part: Fragment<'_>) -> Result<Kept, Close> {
        // M-50
        if part.total > self.rules.config.max_message as usize {
            return Err(Close::violation("a message is larger than allowed"));
        }
        let ends = part.offset.checked_add(part.data.len());
        if ends.is_none_or(|end| end > part.total) {
            return Err(Close::violation("a fragment ends beyond its message"));
        }
        self.account_for_taken();
        if !self.open_channel(part.channel) {
            self.want_report();
            return Ok(Kept::or_dropped(part.class));
        }
        let kept = match part.class {
            Class::Ordered | Class::Reliable => self.insert_credited(part),
            Class::Latest | Class::Unreliable | Class::Deadline => {
                self.insert_uncredited(now, part)
            }
        };
        if self.short {
            self.want_report();
        }
        kept
    }

    /// D-14: returns `true` if there is a channel of this name, or room for it.
    fn open_channel(&mut self, channel: ChannelId) -> bool {
        if self.channels.get(channel).is_some() {
            return true;
        }
        let room = self.take_state(CHANNEL_COST);
        if room {
            // Its BLOCKED may have overtaken this message.
            self.channels.get_or_default(channel).window.wanted = self.blocked_early;
            self.wanted += u32::from(self.blocked_early);
        }
        self.short |= !room;
        room
    }

    /// Takes the message that has been ready for longest, of this channel or of all that are not
    /// dedicated. Those whose time is up are dropped.
    pub(crate) fn take(&mut self, now: Time, channel: Option<ChannelId>) -> Option<Message> {
        // The accounts follow when they matter: a run of messages costs little more than one.
        self.ready.take(now, channel)
    }

    /// Accounts for what was taken from `queue`, and moves all that is ready there; `arrived` is
    /// called for each message, with its channel if that is dedicated.
    pub(crate) fn exchange(
        &mut self,
        now: Time,
        queue: &mut ReceiveQueue,
        arrived: impl FnMut(Option<ChannelId>),
    ) {
        queue.drop_expired(now);
        let taken = queue.lend_taken();
        taken.iter().for_each(|run| self.on_taken(run));
        queue.restore_taken(taken);
        self.ready.move_to(queue, arrived);
        let waits = mem::take(&mut self.short) || self.wanted > 0;
        queue.set_report_at(if waits { 1 } else { self.rules.report_at });
        self.is_lent = true;
    }

    /// Returns `true`, once, when the peer waits for what may have been taken from another queue
    /// already.
    pub(crate) fn poll_report_wanted(&mut self) -> bool {
        mem::take(&mut self.report_wanted)
    }

    /// The peer waits for credit, or a message found no room.
    pub(super) fn want_report(&mut self) {
        self.report_wanted |= self.is_lent;
    }

    /// Returns `true` if there is a message on any channel that has not expired.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Drops all messages: no one will take them.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(&Arc::clone(&self.rules));
    }

    /// Releases memory that only a busy connection needs. Call it when nothing arrived for 3 PTO
    /// or longer: an Unreliable message that is incomplete by then stays so.
    pub(crate) fn release_idle(&mut self, now: Time) {
        self.drop_expired(now);
        while self.evict_one() {}
        self.ready.release_idle();
        self.announce.shrink_to_fit();
        // An emptied tree keeps its root.
        if self.pending.is_empty() {
            self.pending = BTreeMap::new();
        }
        if self.expiry.is_empty() {
            self.expiry = BTreeSet::new();
        }
        self.evictable = BTreeMap::new();
        let (channels, mut wanted) = (self.channels.len(), 0);
        self.channels.compact(|channel| {
            let gone = channel.is_untouched();
            wanted += u32::from(gone && channel.window.wanted);
            !gone
        });
        self.wanted -= wanted;
        self.blocked_early |= wanted > 0;
        let gone = channels - self.channels.len();
        // There are 65,536 channels at most.
        self.give_state(gone as u32 * CHANNEL_COST);
    }

    /// Returns `true` if it holds no more than the counters of channels that were used.
    #[cfg(test)]
    pub(crate) fn heap_is_idle(&self) -> bool {
        self.pending.is_empty() && self.ready.heap_is_idle() && self.announce.capacity() == 0
    }
}

impl Inbox {
    /// Charges what is held once more, for its next holder.
    pub(crate) fn charge_unread(&self) -> Charge {
        let bytes = self.held();
        self.rules.budget.take_over(bytes);
        Charge { rules: Arc::clone(&self.rules), bytes }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.rules.budget.give(self.rules.beyond_each(self.held()));
    }
}

#[cfg(test)]
pub(super) mod tests;
