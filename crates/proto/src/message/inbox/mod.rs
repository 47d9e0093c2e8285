//! Received messages: reassembled, put in order, kept once, within credit.
//!
//! In: fragments as they arrive, what the application takes. Out: whole messages, credit to
//! announce. Never: packets; the promises of each class are in `credited.rs` and `uncredited.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Fragment, LaneId, Message, Scope, assembly::Assembly, budget::Budget, buffers::Buffers,
    compact_map::CompactMap, credit::Window, queue::ReceiveQueue, window::SeenWindow,
};
use crate::{
    delivery::{ChannelId, Class},
    error::Close,
    limits::{MAX_UNREPORTED, MESSAGE_OVERHEAD},
    time::Time,
};

/// The cost of a channel (D-14): its counters and those of Latest and Deadline, with the slack of
/// the tree that holds them.
pub(super) const CHANNEL_COST: u32 = 256;

/// The cost of an unfinished message besides its bytes and [`OVERHEAD`] (D-14): its list of
/// fragments, and its entries in the indexes.
pub(super) const UNFINISHED_COST: u32 = 192;

/// The length that each message adds to its own in every account.
pub(super) const OVERHEAD: usize = MESSAGE_OVERHEAD as usize;

/// Our own transport parameters that bound an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboxConfig {
    /// Parameter 4: bytes of credited messages, of all channels, that have not been taken.
    pub(crate) credit: u32,
    /// Parameter 5: the same for each channel.
    pub(crate) channel_credit: u32,
    /// Parameter 6: the longest message, in bytes.
    pub(crate) max_message: u32,
    /// Bytes of waiting messages without credit (D-6): `UNCREDITED_POOL`, or more.
    pub(crate) pool: u32,
}

/// The rules that all inboxes of an endpoint share.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(super) config: InboxConfig,
    /// The bytes that each connection may hold whatever the others do (D-13).
    each: u64,
    /// For what connections hold beyond that.
    pub(crate) budget: Budget,
    /// For long messages of all connections.
    pub(super) buffers: Arc<Buffers>,
    /// The number of bytes taken from another queue at which they are reported: at most a quarter
    /// of a window, because credit is announced in halves of a window and must not lag far behind.
    report_at: u64,
}

impl Rules {
    pub(crate) fn new(config: InboxConfig, (each, together): (u64, u64)) -> Arc<Self> {
        let window = u64::from(config.credit.min(config.channel_credit));
        let report_at = (window / 4).clamp(1, MAX_UNREPORTED);
        let (budget, buffers) = (Budget::new(together), Arc::default());
        Arc::new(Self { config, each, budget, buffers, report_at })
    }

    /// Takes room for a message that costs `cost`, where `held` bytes are held already (D-13).
    /// Returns `false` if there is none. A message that `waits` for others that have not begun
    /// leaves half of the room to those: otherwise waiting messages could take all of it, and
    /// nothing would ever be delivered.
    pub(super) fn take_room(&self, held: u64, cost: u64, waits: bool) -> bool {
        let more = self.beyond_each(held + cost) - self.beyond_each(held);
        more == 0 || (!waits || self.budget.has_plenty(more)) && self.budget.take(more)
    }

    pub(super) const fn beyond_each(&self, held: u64) -> u64 {
        held.saturating_sub(self.each)
    }
}

/// Bytes of messages that left a connection and still count for its endpoint (D-13), as long as
/// this value lives.
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

/// What became of a fragment (D-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a packet with a refused fragment must not be acknowledged"]
pub(crate) enum Kept {
    /// Everything that its class promises to keep was kept.
    Yes,
    /// There is no room: the packet must not be acknowledged.
    Refused,
}

impl Kept {
    /// Returns the outcome of a fragment for which there is no room (D-2): classes that are resent
    /// refuse it, so that it arrives again; the others drop it.
    pub(super) const fn or_dropped(class: Class) -> Self {
        if class.is_resent() { Self::Refused } else { Self::Yes }
    }
}

/// A CREDIT (of the connection) or CHANNEL_CREDIT frame to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreditUpdate {
    pub(crate) scope: Scope,
    /// Bytes that the peer may have sent since the connection began.
    pub(crate) total: u64,
}

/// The receiving side of one connection's messages.
///
/// Memory: credited messages cost at most twice the connection's credit and about 80 bytes for each
/// 64 of it; those without credit, the same of the pool (D-6). What neither counts is counted
/// separately (D-14), for the budget of the endpoint (D-13). A connection that received nothing has
/// nothing on the heap.
pub(crate) struct Inbox {
    pub(super) rules: Arc<Rules>,
    pub(super) channels: CompactMap<ChannelId, Channel>,
    /// Messages of all lanes that are neither finished nor ready.
    pub(super) pending: BTreeMap<(LaneId, u64), Slot>,
    /// Whole messages, unless they moved to another queue.
    pub(super) ready: ReceiveQueue,
    pub(super) window: Window,
    /// Windows to announce.
    pub(super) announce: VecDeque<Scope>,
    /// Bytes in the pool of classes without credit.
    pub(super) pool: u32,
    /// Bytes that neither credit nor the pool counts: of channels, unfinished messages and gaps
    /// (D-14).
    pub(super) state: u32,
    /// Bytes that remember gaps between delivered Deadline messages (D-7). They do not count in the
    /// pool: they may stay as long as the connection, and a message must not wait for that.
    pub(super) gaps: u32,
    /// The peer is blocked on a channel on which nothing arrived. Which one is not kept.
    pub(super) blocked_early: bool,
    /// Windows whose credit the peer waits for.
    pub(super) wanted: u32,
    /// A message found no room since the last accounting of what was taken.
    pub(super) short: bool,
    /// Messages are read from another queue, and what was taken from it may not be known here.
    is_lent: bool,
    /// The owner of that queue must report what was taken.
    report_wanted: bool,
    /// Unfinished messages that may be dropped to make room, by arrival.
    pub(super) evictable: BTreeMap<u64, (LaneId, u64)>,
    /// Unfinished Deadline messages, by the time at which they are dropped.
    pub(super) expiry: BTreeSet<(Time, LaneId, u64)>,
    pub(super) arrivals: u64,
}

/// The state of a channel, kept as long as the connection lives.
#[derive(Default)]
pub(super) struct Channel {
    pub(super) window: Window,
    /// The lowest id that was not received as a whole, of Ordered and of Reliable.
    pub(super) next: [u64; 2],
    pub(super) others: Option<Box<Others>>,
}

/// The state of a channel that used Latest or Deadline.
#[derive(Default)]
pub(super) struct Others {
    /// Latest: all lower ids are finished.
    pub(super) floor: u64,
    /// Latest: the newest id of which anything arrived.
    pub(super) newest: u64,
    /// Latest: what the newest whole message takes of the pool until it is taken; 0 after that.
    pub(super) waiting: u32,
    /// Deadline.
    pub(super) seen: SeenWindow,
}

/// A message that is neither finished nor ready.
pub(super) enum Slot {
    /// Fragments are missing.
    Partial(Box<Assembly>),
    /// Ordered: whole, and an earlier message is missing.
    Whole(Bytes),
    /// Reliable: it was delivered before one with a lower id, and must not be delivered again.
    Passed { taken: bool },
}

impl Channel {
    /// Returns `true` if nothing but Unreliable messages arrived on it.
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

    /// Handles a fragment of a packet that opened and had not arrived before.
    ///
    /// # Errors
    ///
    /// A violation by the peer, which closes the connection: M-50, M-52, D-4 (FLOW_CONTROL).
    #[inline]
    pub(crate) fn insert(&mut self, now: Time, fragment: Fragment<'_>) -> Result<Kept, Close> {
        if self.deliver_next(&fragment) {
            return Ok(Kept::Yes);
        }
        self.insert_any(now, fragment)
    }

    fn insert_any(&mut self, now: Time, fragment: Fragment<'_>) -> Result<Kept, Close> {
        // M-50
        if fragment.total > self.rules.config.max_message as usize {
            return Err(Close::violation("a message is larger than allowed"));
        }
        let ends = fragment.offset.checked_add(fragment.data.len());
        if ends.is_none_or(|end| end > fragment.total) {
            return Err(Close::violation("a fragment ends beyond its message"));
        }
        self.account_for_taken();
        if !self.open_channel(fragment.channel) {
            self.want_report();
            return Ok(Kept::or_dropped(fragment.class));
        }
        let kept = match fragment.class {
            Class::Ordered | Class::Reliable => self.insert_credited(fragment),
            Class::Latest | Class::Unreliable | Class::Deadline => {
                self.insert_uncredited(now, fragment)
            }
        };
        if self.short {
            self.want_report();
        }
        kept
    }

    /// Returns `true` if the channel exists, or there is room to open it (D-14).
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

    /// Takes the oldest ready message, of this channel or of all that are not dedicated. Messages
    /// that have expired are dropped.
    pub(crate) fn take(&mut self, now: Time, channel: Option<ChannelId>) -> Option<Message> {
        // The accounts are brought up to date when they matter: a run of messages costs little more
        // than one.
        self.ready.take(now, channel)
    }

    /// Accounts for what was taken from `queue`, and moves all ready messages there. Calls
    /// `arrived` as [`ReceiveQueue::move_to`] does.
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

    /// Returns `true`, once, if the peer waits for credit of messages that may already have been
    /// taken from another queue.
    pub(crate) fn poll_report_wanted(&mut self) -> bool {
        mem::take(&mut self.report_wanted)
    }

    /// Asks for a report: the peer waits for credit, or a message found no room.
    pub(super) fn want_report(&mut self) {
        self.report_wanted |= self.is_lent;
    }

    /// Returns `true` if there is a message on any channel that has not expired.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Drops all messages: nobody will take them.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(&Arc::clone(&self.rules));
    }

    /// Releases memory that only a busy connection needs. Call it when nothing has arrived for at
    /// least 3 PTO: an Unreliable message that is incomplete by then stays so.
    pub(crate) fn release_idle(&mut self, now: Time) {
        self.drop_expired(now);
        while self.evict_one() {}
        self.ready.release_idle();
        self.rules.buffers.clear();
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
    /// Charges a second time for what is held, for its next holder.
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
