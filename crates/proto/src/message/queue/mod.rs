//! Whole messages that wait for the application: which reader gets which, and which are dropped.
//!
//! These rules are nowhere else: a newer Latest replaces the one that waits, a Deadline is dropped
//! when it expires, and a channel that is read by itself is dedicated to its readers.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use bytes::Bytes;

use self::in_order::InOrder;
use super::{LaneId, Message};
use crate::{
    delivery::{ChannelId, Class},
    limits::MESSAGE_OVERHEAD,
    time::Time,
};

mod in_order;
mod slots;

/// No slot.
const NONE: u32 = u32::MAX;

/// Slots that stay allocated when the queue is empty: 4 KiB, charged to no account. A burst that
/// needs more allocates a few times while it grows.
const SLOTS_KEPT: usize = 64;

/// Received messages that wait to be taken.
///
/// Each connection has one, which [`Connection::recv`](crate::Connection::recv) takes from. A
/// driver whose applications run elsewhere gives them another, and calls
/// [`Connection::exchange`](crate::Connection::exchange).
///
/// Memory: 64 bytes for each waiting message, besides its payload, and 24 for each run of messages
/// that were taken and not reported yet.
pub struct ReceiveQueue {
    slots: Vec<Slot>,
    /// The first free slot, or `NONE`; the others follow through `after`.
    free: u32,
    len: u32,
    /// Messages that wait for an earlier one, and have no slot.
    held: u32,
    /// Messages of channels that are not dedicated, in the order in which they became whole.
    common: List,
    /// What few queues need.
    index: Option<Box<Index>>,
    /// Messages that were taken and not reported to the connection yet.
    taken: Vec<Taken>,
    /// The bytes that these messages count as.
    taken_bytes: u64,
    /// How many taken bytes make a report due.
    report_at: u64,
}

#[derive(Default)]
struct Index {
    /// Messages of dedicated channels.
    dedicated: BTreeMap<ChannelId, List>,
    /// The slot of the waiting Latest message of each channel.
    latest: BTreeMap<ChannelId, u32>,
    /// Deadline messages by the time at which they are dropped, with their slots.
    deadlines: BTreeSet<(Time, u32)>,
    /// Deadline messages that are received in order.
    order: Option<Box<InOrder>>,
}

/// The two ends of a list.
#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

struct Slot {
    message: Message,
    id: u64,
    /// Deadline only: it is not delivered after this time.
    due: Time,
    /// The neighbours in its list.
    before: u32,
    after: u32,
}

/// Consecutive messages of one lane that left a queue, taken or dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) lane: LaneId,
    /// The id of the last one. Those of Reliable messages have no gaps.
    pub(super) last: u64,
    pub(super) count: u32,
    /// The total length of their payloads.
    pub(super) bytes: u64,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl Default for ReceiveQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveQueue {
    /// Creates an empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            len: 0,
            held: 0,
            common: List { first: NONE, last: NONE },
            index: None,
            taken: Vec::new(),
            taken_bytes: 0,
            report_at: 1,
        }
    }

    /// Returns `true` if no message waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0 && self.held == 0
    }

    /// Returns `true` if a waiting message will expire. If none will, the time passed to
    /// [`Self::take`] does not matter.
    #[must_use]
    pub fn has_deadlines(&self) -> bool {
        self.held > 0 || self.index.as_ref().is_some_and(|index| !index.deadlines.is_empty())
    }

    /// Dedicates a channel: from now on its messages are returned only to readers of this channel.
    pub fn dedicate(&mut self, channel: ChannelId) {
        let dedicated = &mut self.index.get_or_insert_default().dedicated;
        if dedicated.contains_key(&channel) {
            return;
        }
        dedicated.insert(channel, List::default());
        let mut next = self.common.first;
        while let Some(slot) = self.slots.get(next as usize) {
            let (index, after) = (next, slot.after);
            if slot.message.channel == channel {
                let (before, mut common) = (slot.before, self.common);
                self.unlink(&mut common, before, after);
                self.common = common;
                self.append(index);
            }
            next = after;
        }
    }

    /// Takes the oldest waiting message: of this channel, which is then dedicated, or of all that
    /// are not dedicated. Messages that have expired at `now` are dropped.
    pub fn take(&mut self, now: Time, channel: Option<ChannelId>) -> Option<Message> {
        self.drop_expired(now);
        let list = match channel {
            Some(channel) => {
                self.dedicate(channel);
                *self.list_of(channel)
            }
            None => self.common,
        };
        self.take_out(list.first)
    }

    /// Returns `true` if a report of what was taken is due: call
    /// [`Connection::exchange`](crate::Connection::exchange).
    #[must_use]
    pub const fn is_report_due(&self) -> bool {
        self.taken_bytes >= self.report_at
    }

    /// Forgets what was taken: the connection has ended.
    pub fn forget_taken(&mut self) {
        self.taken = Vec::new();
        self.taken_bytes = 0;
    }

    /// Sets how many taken bytes make a report due.
    pub(super) const fn set_report_at(&mut self, bytes: u64) {
        self.report_at = bytes;
    }

    /// Appends a message, or replaces an older Latest one.
    pub(super) fn push(&mut self, message: Message, id: u64, due: Time) {
        if self.keeps_order_of(&message) {
            return self.push_in_order(message, id, due);
        }
        self.add(message, id, due);
    }

    fn add(&mut self, message: Message, id: u64, due: Time) {
        let (channel, class) = (message.channel, message.class);
        if class == Class::Latest
            && let Some(waiting) = self.latest_of(channel)
        {
            (waiting.message, waiting.id) = (message, id);
            return;
        }
        let slot = Slot { message, id, due, before: NONE, after: NONE };
        let index = self.store(slot);
        self.len += 1;
        match class {
            Class::Latest => {
                self.index.get_or_insert_default().latest.insert(channel, index);
            }
            Class::Deadline => {
                self.index.get_or_insert_default().deadlines.insert((due, index));
            }
            Class::Ordered | Class::Reliable | Class::Unreliable => {}
        }
        self.append(index);
    }

    /// Drops the Deadline messages that have expired.
    pub(super) fn drop_expired(&mut self, now: Time) {
        self.release_until(now);
        while let Some(index) = &self.index
            && let Some(&(due, slot)) = index.deadlines.first()
            && due < now
        {
            self.take_out(slot);
        }
    }

    /// Moves all messages to another queue. `arrived` is called with each channel that is dedicated
    /// there and to which a message moves, and with `None` if messages of others do.
    pub(super) fn move_to(&mut self, to: &mut Self, mut arrived: impl FnMut(Option<ChannelId>)) {
        if self.len == 0 && self.held == 0 {
            return;
        }
        if self.index.is_none() && to.index.is_none() && to.len == 0 {
            // By far the most frequent case, of a reader that keeps up: no message is touched.
            arrived(None);
            return self.swap_with(to);
        }
        self.release_held();
        // Those of dedicated channels too: none are dedicated here if another queue is read.
        let dedicated = self.index.as_ref().map(|index| index.dedicated.values().copied());
        let lists: Vec<List> = dedicated.into_iter().flatten().collect();
        for list in std::iter::once(self.common).chain(lists) {
            let mut next = list.first;
            while let Some(slot) = self.slots.get_mut(next as usize) {
                next = slot.after;
                let (message, id, due) = (slot.take_message(), slot.id, slot.due);
                arrived(to.is_dedicated(message.channel).then_some(message.channel));
                to.push(message, id, due);
            }
        }
        self.reset_slots();
        self.common = List::default();
        if let Some(index) = &mut self.index {
            index.latest.clear();
            index.deadlines.clear();
            index.dedicated.values_mut().for_each(|list| *list = List::default());
        }
    }

    /// Moves all messages to an empty queue, in one piece.
    fn swap_with(&mut self, to: &mut Self) {
        mem::swap(&mut self.slots, &mut to.slots);
        (to.free, to.len, to.common) = (self.free, self.len, self.common);
        self.reset_slots();
        self.common = List::default();
    }

    /// Returns `true` if something was taken or dropped since the last accounting.
    pub(super) const fn has_taken(&self) -> bool {
        self.taken_bytes > 0
    }

    /// Returns what was taken or dropped. [`Self::restore_taken`] takes the buffer back.
    pub(super) fn lend_taken(&mut self) -> Vec<Taken> {
        self.taken_bytes = 0;
        mem::take(&mut self.taken)
    }

    /// Takes back the buffer of what was accounted for.
    pub(super) fn restore_taken(&mut self, mut taken: Vec<Taken>) {
        taken.clear();
        self.taken = taken;
    }

    /// Releases memory that an empty queue does not need.
    pub(super) fn release_idle(&mut self) {
        self.taken.shrink_to_fit();
        if self.len == 0 {
            self.slots = Vec::new();
            self.free = NONE;
            // An emptied tree keeps its root; dedicated channels stay.
            self.index = self.index.take().filter(|index| index.is_lasting());
            if let Some(index) = &mut self.index {
                (index.latest, index.deadlines) = (BTreeMap::new(), BTreeSet::new());
            }
        }
    }

    fn is_dedicated(&self, channel: ChannelId) -> bool {
        self.index.as_ref().is_some_and(|index| index.dedicated.contains_key(&channel))
    }

    fn latest_of(&mut self, channel: ChannelId) -> Option<&mut Slot> {
        let slot = *self.index.as_ref()?.latest.get(&channel)?;
        self.slots.get_mut(slot as usize)
    }

    /// Removes the message of a slot that is in use, and notes that it left the queue.
    fn take_out(&mut self, index: u32) -> Option<Message> {
        let (message, id, _) = self.remove(index)?;
        self.note_taken(&message, id);
        Some(message)
    }

    /// Removes the message of a slot that is in use, with its id and its deadline.
    fn remove(&mut self, index: u32) -> Option<(Message, u64, Time)> {
        let slot = self.slots.get_mut(index as usize)?;
        let (message, id, due) = (slot.take_message(), slot.id, slot.due);
        let (before, after) = (slot.before, slot.after);
        let lookup = self.index.as_mut();
        match (message.class, lookup) {
            (Class::Latest, Some(lookup)) => _ = lookup.latest.remove(&message.channel),
            (Class::Deadline, Some(lookup)) => _ = lookup.deadlines.remove(&(due, index)),
            _ => {}
        }
        let mut list = *self.list_of(message.channel);
        self.unlink(&mut list, before, after);
        *self.list_of(message.channel) = list;
        self.len -= 1;
        if self.len == 0 {
            self.reset_slots();
        } else {
            self.slots[index as usize].after = self.free;
            self.free = index;
        }
        Some((message, id, due))
    }

    fn note_taken(&mut self, message: &Message, id: u64) {
        let lane = LaneId { channel: message.channel, class: message.class };
        let len = message.payload.len() as u64;
        self.taken_bytes += len + MESSAGE_OVERHEAD;
        if let Some(run) = self.taken.last_mut()
            && run.lane == lane
            && (lane.class != Class::Reliable || id == run.last + 1)
        {
            (run.last, run.count, run.bytes) = (id, run.count + 1, run.bytes + len);
            return;
        }
        self.taken.push(Taken { lane, last: id, count: 1, bytes: len });
    }
}

impl Index {
    /// Returns `true` if it holds more than waiting messages need.
    fn is_lasting(&self) -> bool {
        !self.dedicated.is_empty() || self.order.is_some()
    }
}

impl Slot {
    /// Takes the message out; the channel and the class stay.
    fn take_message(&mut self) -> Message {
        let Message { channel, class, .. } = self.message;
        Message { channel, class, payload: mem::replace(&mut self.message.payload, Bytes::new()) }
    }
}

impl std::fmt::Debug for ReceiveQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveQueue").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl ReceiveQueue {
        pub(in crate::message) fn heap_is_idle(&self) -> bool {
            let index = self.index.as_ref();
            self.slots.capacity() == 0
                && index.is_none_or(|index| index.is_lasting())
                && self.taken.capacity() == 0
        }

        pub(in crate::message) fn unreported(&self) -> &[Taken] {
            &self.taken
        }

        pub(in crate::message) fn for_each(&self, mut look: impl FnMut(&Message)) {
            let dedicated = self.index.as_ref().map(|index| index.dedicated.values().copied());
            for list in dedicated.into_iter().flatten().chain([self.common]) {
                let mut next = list.first;
                while let Some(slot) = self.slots.get(next as usize) {
                    look(&slot.message);
                    next = slot.after;
                }
            }
            let order = self.index.as_ref().and_then(|index| index.order.as_ref());
            order.into_iter().for_each(|order| order.for_each(&mut look));
        }
    }

    pub(super) fn message(channel: u16, class: Class, says: u64) -> Message {
        Message::new(ChannelId(channel), class, says.to_be_bytes().to_vec())
    }

    fn says(message: &Message) -> u64 {
        u64::from_be_bytes(*message.payload.first_chunk().unwrap())
    }

    /// The model of a queue: a plain list.
    #[derive(Default)]
    struct Model {
        waiting: Vec<(u16, Class, u64, Time)>,
        dedicated: BTreeSet<u16>,
    }

    impl Model {
        fn push(&mut self, channel: u16, class: Class, id: u64, due: Time) {
            let older = self
                .waiting
                .iter_mut()
                .find(|(of, is, ..)| class == Class::Latest && (*of, *is) == (channel, class));
            match older {
                Some(older) => older.2 = id,
                None => self.waiting.push((channel, class, id, due)),
            }
        }

        fn take(&mut self, now: Time, channel: Option<u16>) -> Option<u64> {
            self.dedicated.extend(channel);
            self.waiting.retain(|(_, class, _, due)| *class != Class::Deadline || *due >= now);
            let at = self.waiting.iter().position(|(of, ..)| match channel {
                Some(channel) => *of == channel,
                None => !self.dedicated.contains(of),
            });
            at.map(|at| self.waiting.remove(at).2)
        }
    }

    proptest! {
        #[test]
        fn each_dedicated_channel_has_a_queue_and_all_others_share_one(
            steps in prop::collection::vec((0_u8..8, 0_u16..4, 0_u64..30), 0..200),
        ) {
            let (mut near, mut far) = (ReceiveQueue::new(), ReceiveQueue::new());
            let mut model = Model::default();
            let (mut now, mut left) = (Time::from_micros(1_000), 0);
            for (id, (step, channel, span)) in (0..).zip(steps) {
                let due = Time::from_micros(1_000 + id + span);
                match step {
                    0..5 => {
                        let class = Class::ALL[usize::from(step)];
                        near.push(message(channel, class, id), id, due);
                        model.push(channel, class, id, due);
                    }
                    5 => {
                        near.move_to(&mut far, |_| {});
                        prop_assert!(near.is_empty());
                    }
                    _ => {
                        near.move_to(&mut far, |_| {});
                        now = Time::from_micros(1_000 + id);
                        let channel = (step == 6).then_some(channel);
                        let taken = far.take(now, channel.map(ChannelId));
                        left += u64::from(taken.is_some());
                        prop_assert_eq!(taken.as_ref().map(says), model.take(now, channel));
                    }
                }
                near.move_to(&mut far, |_| {});
                far.drop_expired(now);
                let mut waits = 0;
                far.for_each(|_| waits += 1);
                prop_assert_eq!(waits, far.len);
            }
            let noted: u32 = far.unreported().iter().map(|run| run.count).sum();
            prop_assert!(u64::from(noted) >= left, "what left is noted, dropped or taken");
        }
    }

    #[test]
    fn moving_messages_names_the_readers_of_a_dedicated_channel() {
        let (mut near, mut far) = (ReceiveQueue::new(), ReceiveQueue::new());
        far.dedicate(ChannelId(2));
        for channel in [1, 2, 3] {
            near.push(message(channel, Class::Ordered, 0), 0, Time::ZERO);
        }
        let mut named = Vec::new();
        near.move_to(&mut far, |channel| named.push(channel));
        assert_eq!(named, [None, Some(ChannelId(2)), None]);
    }

    #[test]
    fn messages_taken_in_order_form_one_run() {
        let mut queue = ReceiveQueue::new();
        for (class, ids) in [(Class::Ordered, [0, 1, 2]), (Class::Reliable, [4, 5, 9])] {
            ids.into_iter().for_each(|id| queue.push(message(1, class, id), id, Time::ZERO));
        }
        while queue.take(Time::ZERO, None).is_some() {}
        let runs: Vec<_> = queue.unreported().iter().map(|run| (run.last, run.count)).collect();
        assert_eq!(runs, [(2, 3), (5, 2), (9, 1)]);
        assert_eq!(queue.taken_bytes, 6 * (8 + MESSAGE_OVERHEAD));
    }

    #[test]
    fn messages_of_a_reader_that_keeps_up_move_in_one_piece() {
        let (mut near, mut far) = (ReceiveQueue::new(), ReceiveQueue::new());
        for id in 0..3 {
            near.push(message(1, Class::Ordered, id), id, Time::ZERO);
        }
        let (place, mut calls) = (near.slots.as_ptr(), Vec::new());
        near.move_to(&mut far, |channel| calls.push(channel));
        assert_eq!((far.slots.as_ptr(), calls), (place, vec![None]));
        assert!(near.is_empty());
        // One that is behind receives the others one by one.
        near.push(message(1, Class::Ordered, 3), 3, Time::ZERO);
        near.move_to(&mut far, |_| {});
        let all = std::iter::from_fn(|| far.take(Time::ZERO, None));
        assert_eq!(all.map(|message| says(&message)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn an_empty_queue_keeps_no_memory_when_it_is_idle() {
        let mut queue = ReceiveQueue::new();
        for class in Class::ALL {
            queue.push(message(1, class, 0), 0, Time::ZERO);
        }
        queue.drop_expired(Time::from_micros(1));
        while queue.take(Time::ZERO, None).is_some() {}
        queue.forget_taken();
        queue.release_idle();
        assert!(queue.heap_is_idle());
    }
}
