//! Messages received: joined, put in order, kept once, within credit.
//!
//! In: parts as they come, what the application takes. Out: whole messages, credit to announce.
//! Never: packets; what a class promises of its own is in `credited.rs` and `uncredited.rs`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    LaneId, Message, MessagePart, Scope,
    assembly::Assembly,
    budget::Budget,
    credit::Window,
    ledger::Ledger,
    ready::{List, NONE, ReadyQueue},
    window::SeenWindow,
};
use crate::{
    delivery::{ChannelId, Class},
    error::Close,
    limits::MESSAGE_OVERHEAD,
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
}

impl Rules {
    pub(crate) fn new(config: InboxConfig, (each, together): (u64, u64)) -> Arc<Self> {
        Arc::new(Self { config, each, budget: Budget::new(together) })
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
    pub(super) channels: Ledger<ChannelId, Channel>,
    /// What is not over and not ready, of all lanes.
    pub(super) pending: BTreeMap<(LaneId, u64), Slot>,
    pub(super) ready: ReadyQueue,
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
    /// Unfinished messages that may be dropped for others, by arrival.
    pub(super) evictable: BTreeMap<u64, (LaneId, u64)>,
    /// Deadline messages by the time they are dropped, with their place in `ready` or `NONE`.
    pub(super) expiry: BTreeMap<(Time, LaneId, u64), u32>,
    pub(super) arrivals: u64,
}

/// What a channel needs as long as the connection lives.
#[derive(Default)]
pub(super) struct Channel {
    pub(super) window: Window,
    /// The lowest id not wholly received, of Ordered and of Reliable.
    pub(super) next: [u64; 2],
    pub(super) ready: List,
    pub(super) others: Option<Box<Others>>,
}

/// What a channel needs that used Latest or Deadline.
pub(super) struct Others {
    /// Latest: all ids below are over.
    pub(super) floor: u64,
    /// Latest: the newest id of which anything came.
    pub(super) newest: u64,
    /// Latest: the place of a message that is ready, or `NONE`.
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

impl Default for Others {
    fn default() -> Self {
        Self { floor: 0, newest: 0, waiting: NONE, seen: SeenWindow::default() }
    }
}

impl Channel {
    fn is_untouched(&self) -> bool {
        self.window.is_untouched() && self.ready.is_empty() && self.others.is_none()
    }
}

impl Inbox {
    pub(crate) fn new(rules: &Arc<Rules>) -> Self {
        Self {
            rules: Arc::clone(rules),
            channels: Ledger::default(),
            pending: BTreeMap::new(),
            ready: ReadyQueue::default(),
            window: Window::default(),
            announce: VecDeque::new(),
            pool: 0,
            state: 0,
            gaps: 0,
            blocked_early: false,
            evictable: BTreeMap::new(),
            expiry: BTreeMap::new(),
            arrivals: 0,
        }
    }

    /// A part came in a packet that opened and had not come before.
    ///
    /// # Errors
    ///
    /// What the peer must not do, as the connection then closes: M-50, M-52, D-4 (FLOW_CONTROL).
    #[inline]
    pub(crate) fn insert(&mut self, now: Time, part: MessagePart<'_>) -> Result<Kept, Close> {
        if self.deliver_next(&part) {
            return Ok(Kept::Yes);
        }
        self.insert_any(now, part)
    }

    fn insert_any(&mut self, now: Time, part: MessagePart<'_>) -> Result<Kept, Close> {
        // M-50
        if part.total > self.rules.config.max_message as usize {
            return Err(Close::violation("a message is larger than allowed"));
        }
        let ends = part.offset.checked_add(part.data.len());
        if ends.is_none_or(|end| end > part.total) {
            return Err(Close::violation("a fragment ends beyond its message"));
        }
        if !self.open_channel(part.channel) {
            return Ok(Kept::or_dropped(part.class));
        }
        match part.class {
            Class::Ordered | Class::Reliable => self.insert_credited(part),
            Class::Latest | Class::Unreliable | Class::Deadline => {
                self.insert_uncredited(now, part)
            }
        }
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
        }
        room
    }

    /// The message that has been ready for longest, of this channel or of all that are not apart,
    /// and when a Deadline is over. Those whose time is up are gone.
    pub(crate) fn pop(
        &mut self,
        now: Time,
        channel: Option<ChannelId>,
    ) -> Option<(Message, Option<Time>)> {
        self.drop_expired(now);
        let (channel, place) = match channel {
            Some(channel) => (channel, self.channels.get(channel)?.ready.first()),
            None => {
                let place = self.ready.first();
                (self.ready.get_mut(place)?.message.channel, place)
            }
        };
        self.take(channel, place)
    }

    /// The messages of this channel are given out by its name alone from now on.
    pub(crate) fn set_apart(&mut self, channel: ChannelId) {
        let list = self.channels.get(channel).map(|channel| channel.ready);
        self.ready.set_apart(channel, list.unwrap_or_default());
    }

    /// A channel apart that has messages, and had none when it was last asked about.
    pub(crate) fn poll_apart(&mut self) -> Option<ChannelId> {
        self.ready.poll_news()
    }

    /// Is there a message, of any channel, but for those whose time is up?
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Drops all: nobody takes it any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(&Arc::clone(&self.rules));
    }

    /// Frees what only a busy connection needs. Call it when nothing came for 3 PTO or longer: of
    /// an Unreliable message that is not whole by then, nothing more will come.
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
            self.expiry = BTreeMap::new();
        }
        self.evictable = BTreeMap::new();
        let (channels, mut wanted) = (self.channels.len(), false);
        self.channels.settle(|channel| {
            wanted |= channel.is_untouched() && channel.window.wanted;
            !channel.is_untouched()
        });
        self.blocked_early |= wanted;
        let gone = channels - self.channels.len();
        // There are 65,536 channels at most.
        self.give_state(gone as u32 * CHANNEL_COST);
    }

    /// Does it hold no more than the counters of channels that were used?
    #[cfg(test)]
    pub(crate) fn heap_is_idle(&self) -> bool {
        self.pending.is_empty() && self.ready.heap_is_idle() && self.announce.capacity() == 0
    }

    /// Gives the message at this place away, and its credit or its share of the pool back.
    fn take(&mut self, channel_id: ChannelId, place: u32) -> Option<(Message, Option<Time>)> {
        let (id, due) = self.ready.get_mut(place).map(|entry| (entry.id, entry.due))?;
        let channel = self.channels.get_mut(channel_id)?;
        let message = self.ready.remove(&mut channel.ready, place)?;
        let lane = LaneId { channel: channel_id, class: message.class };
        let len = message.payload.len();
        let mut expires = None;
        match message.class {
            Class::Ordered => {
                let cost = (len + OVERHEAD) as u64;
                if channel.window.give_back(cost, self.rules.config.channel_credit) {
                    self.announce.push_back(Scope::Channel(channel_id));
                }
                self.return_credit(cost);
                return Some((message, None));
            }
            Class::Reliable => {
                self.on_reliable_taken(lane, id, len);
                return Some((message, None));
            }
            Class::Latest => {
                if let Some(others) = &mut channel.others {
                    others.waiting = NONE;
                }
            }
            Class::Deadline => {
                self.expiry.remove(&(due, lane, id));
                expires = Some(due);
            }
            Class::Unreliable => {}
        }
        if channel.is_untouched() {
            let wanted = channel.window.wanted;
            if self.channels.remove_recent(channel_id) {
                self.blocked_early |= wanted;
                self.give_state(CHANNEL_COST);
            }
        }
        self.give_to_pool(len + OVERHEAD);
        Some((message, expires))
    }
}

impl Inbox {
    /// Charges what is held once more, to whoever takes it over, with what they hold already.
    pub(crate) fn charge_unread(&self, besides: u64) -> Charge {
        let bytes = self.held() + besides;
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
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    pub(in crate::message) fn inbox() -> Inbox {
        with(CONFIG)
    }

    pub(in crate::message) fn with(config: InboxConfig) -> Inbox {
        Inbox::new(&Rules::new(config, (0, u64::MAX)))
    }

    pub(in crate::message) const NOW: Time = Time::from_micros(1_000_000);
    pub(in crate::message) const CONFIG: InboxConfig =
        InboxConfig { credit: 2_000, channel_credit: 1_000, max_message: 900, pool: 2_048 };

    pub(in crate::message) fn part(class: Class, id: u64, data: &[u8]) -> MessagePart<'_> {
        let time_left = (class == Class::Deadline).then_some(Duration::from_millis(50));
        let channel = ChannelId(0);
        MessagePart { channel, class, id, time_left, total: data.len(), offset: 0, data }
    }

    pub(in crate::message) fn on(channel: u16, part: MessagePart<'_>) -> MessagePart<'_> {
        MessagePart { channel: ChannelId(channel), ..part }
    }

    /// The first half of a message of twice the length.
    pub(in crate::message) fn half(part: MessagePart<'_>) -> MessagePart<'_> {
        MessagePart { total: part.total * 2, ..part }
    }

    pub(in crate::message) fn kept(inbox: &mut Inbox, part: MessagePart<'_>) -> bool {
        inbox.insert(NOW, part).unwrap() == Kept::Yes
    }

    pub(in crate::message) fn pop(inbox: &mut Inbox) -> Option<Vec<u8>> {
        pop_from(inbox, None)
    }

    pub(in crate::message) fn pop_from(inbox: &mut Inbox, channel: Option<u16>) -> Option<Vec<u8>> {
        inbox.pop(NOW, channel.map(ChannelId)).map(|(message, _)| message.payload.into())
    }

    // D-14
    #[test]
    fn d14_channels_are_of_the_budget_and_go_with_the_connection() {
        for class in [Class::Ordered, Class::Latest, Class::Deadline] {
            let cost = u64::from(CHANNEL_COST);
            let rules = Rules::new(CONFIG, (3 * cost, 20 * cost + OVERHEAD as u64));
            let mut inbox = Inbox::new(&rules);
            let opened = (0..u16::MAX).filter(|channel| {
                let kept = kept(&mut inbox, on(*channel, part(class, 0, &[])));
                assert!(!kept || pop(&mut inbox).is_some());
                kept
            });
            assert_eq!(opened.count(), 23, "{class:?}");
            assert!(kept(&mut inbox, on(0, part(class, 1, &[]))), "a channel that is open");
            let other = kept(&mut Inbox::new(&rules), on(9, part(class, 0, &[])));
            assert!(other, "each connection has room of its own");
            drop(inbox);
            assert_eq!(rules.budget.taken(), 0);
        }
    }

    // D-14
    #[test]
    fn d14_a_channel_of_unreliable_messages_gives_its_room_back() {
        let rules = Rules::new(CONFIG, (0, 2 * u64::from(CHANNEL_COST)));
        let mut inbox = Inbox::new(&rules);
        for channel in 0..100 {
            assert!(kept(&mut inbox, on(channel, part(Class::Unreliable, 0, &[1]))));
            assert_eq!(pop(&mut inbox), Some(vec![1]));
        }
        assert_eq!(rules.budget.taken(), 0);
    }

    // D-5
    #[test]
    fn d5_blocked_before_the_first_message_costs_nothing_and_is_not_forgotten() {
        let mut inbox = inbox();
        (0..u16::MAX).for_each(|channel| inbox.on_blocked(Scope::Channel(ChannelId(channel))));
        assert!(inbox.channels.is_empty() && inbox.heap_is_idle());
        assert!(kept(&mut inbox, on(7, part(Class::Ordered, 0, &[1]))));
        pop(&mut inbox);
        let update = inbox.poll_credit().map(|update| update.scope);
        assert_eq!(update, Some(Scope::Channel(ChannelId(7))));
    }

    // M-50
    #[test]
    fn m50_a_fragment_beyond_its_message_and_a_message_beyond_the_limit_close() {
        let mut inbox = inbox();
        for (total, offset, len) in [(10, 5, 6), (10, usize::MAX, 2), (901, 0, 5)] {
            for class in Class::ALL {
                let data = &[0; 10][..len];
                let bad = MessagePart { total, offset, ..part(class, 0, data) };
                let close = inbox.insert(NOW, bad).unwrap_err();
                assert_eq!(close.code, Close::PROTOCOL_VIOLATION);
            }
        }
        assert!(inbox.channels.is_empty() && inbox.heap_is_idle());
    }

    #[test]
    fn messages_are_taken_in_order_of_arrival_or_by_channel() {
        let mut inbox = inbox();
        for channel in [3, 1, 3, 2] {
            assert!(kept(&mut inbox, on(channel, part(Class::Unreliable, 0, &[channel as u8]))));
        }
        assert_eq!(pop_from(&mut inbox, Some(2)), Some(vec![2]));
        assert_eq!(pop_from(&mut inbox, Some(2)), None);
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut inbox)).flatten().collect();
        assert_eq!(order, [3, 1, 3]);
        assert!(inbox.channels.is_empty(), "channels of Unreliable leave nothing behind");
    }

    #[test]
    fn a_channel_apart_is_told_of_and_given_out_by_name_alone() {
        let mut inbox = inbox();
        for (channel, class) in [(1, Class::Latest), (0, Class::Ordered), (1, Class::Ordered)] {
            assert!(kept(&mut inbox, on(channel, part(class, 0, &[channel as u8]))));
        }
        inbox.set_apart(ChannelId(1));
        assert!(kept(&mut inbox, on(1, part(Class::Latest, 1, &[9]))));
        assert_eq!((inbox.poll_apart(), inbox.poll_apart()), (Some(ChannelId(1)), None));
        assert_eq!((pop(&mut inbox), pop(&mut inbox)), (Some(vec![0]), None));
        assert!(kept(&mut inbox, on(1, part(Class::Deadline, 0, &[3]))));
        assert!(inbox.has_ready());
        let all = [(); 4].map(|()| pop_from(&mut inbox, Some(1)));
        assert_eq!(all, [Some(vec![9]), Some(vec![1]), Some(vec![3]), None]);
        assert_eq!((inbox.poll_apart(), inbox.pool), (None, 0));
        assert!(kept(&mut inbox, on(1, part(Class::Ordered, 1, &[4]))));
        assert_eq!((inbox.poll_apart(), pop(&mut inbox)), (Some(ChannelId(1)), None));
        inbox.clear();
        assert!(!inbox.has_ready());
    }

    // D-5
    #[test]
    fn d5_credit_is_announced_when_half_a_window_was_taken_and_again_when_lost() {
        let mut inbox = inbox();
        assert!(kept(&mut inbox, part(Class::Ordered, 0, &[0; 500])));
        assert_eq!(inbox.poll_credit(), None, "nothing was taken");
        pop(&mut inbox).unwrap();
        let scope = Scope::Channel(ChannelId(0));
        let update = Some(CreditUpdate { scope, total: 1_564 });
        assert_eq!((inbox.poll_credit(), inbox.poll_credit()), (update, None));
        inbox.on_credit_lost(scope);
        assert!(inbox.owes_credit());
        assert_eq!((inbox.poll_credit(), inbox.poll_credit()), (update, None));
    }

    // D-5
    #[test]
    fn a_peer_that_waits_gets_credit_at_once_even_if_that_overtakes_its_messages() {
        let mut inbox = inbox();
        inbox.on_blocked(Scope::Channel(ChannelId(0)));
        inbox.on_blocked(Scope::Connection);
        assert!(kept(&mut inbox, part(Class::Reliable, 0, &[0; 10])));
        pop(&mut inbox).unwrap();
        let totals: Vec<u64> =
            std::iter::from_fn(|| inbox.poll_credit()).map(|update| update.total).collect();
        assert_eq!(totals, [2_074, 1_074]);
    }

    #[test]
    fn an_idle_inbox_holds_only_counters() {
        let mut inbox = inbox();
        for class in Class::ALL {
            assert!(kept(&mut inbox, part(class, 0, &[0; 10])));
        }
        assert!(kept(&mut inbox, half(part(Class::Unreliable, 1, &[0; 10]))));
        while pop(&mut inbox).is_some() {}
        inbox.release_idle(NOW);
        assert!(inbox.heap_is_idle());
        assert_eq!(inbox.pool, 0);
        assert!(kept(&mut inbox, part(Class::Ordered, 0, &[0; 10])));
        assert!(!inbox.has_ready(), "what was delivered is remembered");
    }
}
