//! Deadline messages that are received in order: which wait for an earlier one, and until when.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Message, ReceiveQueue};
use crate::{
    delivery::{ChannelId, Class},
    limits::HOLD_MARGIN,
    time::Time,
};

/// The channels whose order is kept, and their messages that wait for an earlier one.
///
/// Memory: about 60 bytes for each message besides its payload, of which 64 count, and as many for
/// each channel on which one arrived.
#[derive(Default)]
pub(super) struct InOrder {
    /// The order is kept on all channels.
    all: bool,
    lanes: BTreeMap<ChannelId, Lane>,
    /// The messages that wait, by their deadline.
    deadlines: BTreeSet<(Time, ChannelId, u64)>,
}

#[derive(Default)]
struct Lane {
    /// All lower ids were passed on or skipped.
    next: u64,
    waiting: BTreeMap<u64, (Bytes, Time)>,
}

impl InOrder {
    fn covers(&self, channel: ChannelId) -> bool {
        self.all || self.lanes.contains_key(&channel)
    }

    fn cover(&mut self, channel: Option<ChannelId>) {
        match channel {
            Some(channel) => _ = self.lanes.entry(channel).or_default(),
            None => self.all = true,
        }
    }

    /// Removes the next message of a channel if it waits for nothing, or for nothing below
    /// `through`.
    fn pop(&mut self, channel: ChannelId, through: u64) -> Option<(Message, u64, Time)> {
        let lane = self.lanes.get_mut(&channel)?;
        let first = lane.waiting.first_entry()?;
        let id = *first.key();
        if id != lane.next && id > through {
            return None;
        }
        let (payload, due) = first.remove();
        lane.next = id + 1;
        self.deadlines.remove(&(due, channel, id));
        Some((Message { channel, class: Class::Deadline, payload }, id, due))
    }

    #[cfg(test)]
    pub(super) fn for_each(&self, mut look: impl FnMut(&Message)) {
        for (channel, lane) in &self.lanes {
            for (payload, _) in lane.waiting.values() {
                look(&Message::new(*channel, Class::Deadline, payload.clone()));
            }
        }
    }
}

impl ReceiveQueue {
    /// Keeps Deadline messages in order from now on, those of this channel or of all.
    ///
    /// [`Self::take`] then returns a message whose predecessor is missing when the predecessor
    /// arrives, or without it shortly before the first deadline of the messages that wait
    /// ([`Self::next_release`]). A message that arrives after a later one was passed on is dropped.
    pub fn keep_order(&mut self, channel: Option<ChannelId>) {
        let index = self.index.get_or_insert_default();
        let order = index.order.get_or_insert_default();
        if channel.map_or(order.all, |channel| order.covers(channel)) {
            return;
        }
        let channel_of = |slot: u32| self.slots.get(slot as usize).map(|slot| slot.message.channel);
        let joins = |of| channel.is_none_or(|channel| channel == of) && !order.covers(of);
        let slots = index.deadlines.iter().map(|&(_, slot)| slot);
        let joining: Vec<u32> = slots.filter(|slot| channel_of(*slot).is_some_and(joins)).collect();
        order.cover(channel);
        let waiting: Vec<_> = joining.into_iter().filter_map(|slot| self.remove(slot)).collect();
        waiting.into_iter().for_each(|(message, id, due)| self.push(message, id, due));
    }

    /// Returns when the next message stops waiting for earlier ones that have not arrived: call
    /// [`Self::take`] then.
    #[must_use]
    pub fn next_release(&self) -> Option<Time> {
        let (due, ..) = self.index.as_ref()?.order.as_ref()?.deadlines.first()?;
        Some(due.before(HOLD_MARGIN))
    }

    /// Lets no message wait for an earlier one any longer: none will arrive.
    pub fn release_held(&mut self) {
        self.release_until(Time::from_micros(u64::MAX));
    }

    /// Passes on the messages that must not wait any longer, in order.
    pub(super) fn release_until(&mut self, now: Time) {
        while let Some(order) = self.order()
            && let Some(&(due, channel, id)) = order.deadlines.first()
            && due.before(HOLD_MARGIN) <= now
        {
            self.pass_on(channel, id);
        }
    }

    /// Returns `true` if this message must be pushed by [`Self::push_in_order`].
    pub(super) fn keeps_order_of(&self, message: &Message) -> bool {
        let order = self.index.as_ref().and_then(|index| index.order.as_ref());
        message.class == Class::Deadline && order.is_some_and(|it| it.covers(message.channel))
    }

    /// Passes a message on in its turn, or drops it if a later one was passed on.
    pub(super) fn push_in_order(&mut self, message: Message, id: u64, due: Time) {
        let channel = message.channel;
        let Some(order) = self.order() else { return };
        let lane = order.lanes.entry(channel).or_default();
        if id < lane.next {
            return self.note_taken(&message, id);
        }
        if id == lane.next && lane.waiting.is_empty() {
            lane.next += 1;
            return self.add(message, id, due);
        }
        lane.waiting.insert(id, (message.payload, due));
        order.deadlines.insert((due, channel, id));
        self.held += 1;
        self.pass_on(channel, 0);
    }

    /// Passes on the messages of a channel up to the id `through`, and those that follow at once.
    fn pass_on(&mut self, channel: ChannelId, through: u64) {
        while let Some((message, id, due)) = self.order().and_then(|it| it.pop(channel, through)) {
            self.held -= 1;
            self.add(message, id, due);
        }
    }

    fn order(&mut self) -> Option<&mut InOrder> {
        self.index.as_mut()?.order.as_deref_mut()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::message, *};
    use crate::limits::MESSAGE_OVERHEAD;

    const CHANNEL: ChannelId = ChannelId(1);

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    fn push(queue: &mut ReceiveQueue, id: u64, due: Time) {
        queue.push(message(CHANNEL.0, Class::Deadline, id), id, due);
    }

    fn take(queue: &mut ReceiveQueue, now: Time) -> Option<u64> {
        let taken = queue.take(now, None)?;
        Some(u64::from_be_bytes(*taken.payload.first_chunk().unwrap()))
    }

    fn take_all(queue: &mut ReceiveQueue, now: Time) -> Vec<u64> {
        std::iter::from_fn(|| take(queue, now)).collect()
    }

    #[test]
    fn a_message_waits_for_the_one_before_it() {
        let mut queue = ReceiveQueue::new();
        queue.keep_order(Some(CHANNEL));
        [1, 2, 0].into_iter().for_each(|id| push(&mut queue, id, at(100)));
        assert_eq!(take_all(&mut queue, at(1)), [0, 1, 2]);
        assert_eq!(queue.next_release(), None);
    }

    #[test]
    fn it_waits_until_shortly_before_the_first_deadline() {
        let mut queue = ReceiveQueue::new();
        queue.keep_order(None);
        // The later message must not expire behind the earlier one.
        for (id, due) in [(0, 500), (2, 400), (3, 100), (6, 300)] {
            push(&mut queue, id, at(due));
        }
        assert_eq!(take_all(&mut queue, at(1)), [0]);
        let until = at(100).before(HOLD_MARGIN);
        assert_eq!(queue.next_release(), Some(until));
        assert_eq!(take(&mut queue, until.before(std::time::Duration::from_micros(1))), None);
        assert!(!queue.is_empty() && queue.has_deadlines());
        assert_eq!(take_all(&mut queue, until), [2, 3]);
        assert_eq!(queue.next_release(), Some(at(300).before(HOLD_MARGIN)));
    }

    #[test]
    fn a_message_after_a_later_one_is_dropped_and_returns_its_room() {
        let mut queue = ReceiveQueue::new();
        queue.keep_order(Some(CHANNEL));
        push(&mut queue, 1, at(50));
        assert_eq!(take_all(&mut queue, at(50)), [1]);
        push(&mut queue, 0, at(90));
        assert_eq!((take(&mut queue, at(51)), queue.is_empty()), (None, true));
        assert_eq!(queue.taken_bytes, 2 * (8 + MESSAGE_OVERHEAD));
    }

    #[test]
    fn messages_that_wait_already_are_put_in_order() {
        let mut queue = ReceiveQueue::new();
        [3, 1, 0].into_iter().for_each(|id| push(&mut queue, id, at(100)));
        queue.push(message(2, Class::Deadline, 9), 9, at(100));
        queue.keep_order(Some(CHANNEL));
        assert_eq!(take_all(&mut queue, at(1)), [9, 0, 1]);
        // Asking for order again changes neither the messages passed on nor those that wait.
        push(&mut queue, 2, at(100));
        queue.keep_order(None);
        assert_eq!(take_all(&mut queue, at(1)), [2, 3]);
        assert_eq!(queue.unreported().iter().map(|run| run.count).sum::<u32>(), 5);
    }

    #[test]
    fn other_classes_and_other_channels_do_not_wait() {
        let mut queue = ReceiveQueue::new();
        queue.keep_order(Some(CHANNEL));
        push(&mut queue, 7, at(100));
        queue.push(message(CHANNEL.0, Class::Unreliable, 5), 5, Time::ZERO);
        queue.push(message(2, Class::Deadline, 6), 6, at(100));
        assert_eq!(take_all(&mut queue, at(1)), [5, 6]);
    }

    #[test]
    fn nothing_waits_at_the_end_or_when_moved_to_another_queue() {
        let (mut queue, mut other) = (ReceiveQueue::new(), ReceiveQueue::new());
        queue.keep_order(None);
        [4, 2].into_iter().for_each(|id| push(&mut queue, id, at(100)));
        queue.release_held();
        assert_eq!(take(&mut queue, at(1)), Some(2));
        push(&mut queue, 9, at(100));
        queue.move_to(&mut other, |_| {});
        assert!(queue.is_empty());
        assert_eq!(take_all(&mut other, at(1)), [4, 9]);
    }

    proptest! {
        #[test]
        fn order_never_reverses_and_nothing_waits_or_drops_needlessly(
            arrivals in prop::collection::vec((0_u64..200, 20_u64..120, any::<bool>()), 1..80),
        ) {
            let mut queue = ReceiveQueue::new();
            queue.keep_order(None);
            // Each message has the time at which it arrives, if it does.
            let mut coming: Vec<_> = (0..).zip(&arrivals).filter(|(_, (.., lost))| !lost)
                .map(|(id, (comes, left, _))| (id + comes, id, id + comes + left)).collect();
            coming.sort_unstable();
            let (mut taken, mut dropped) = (Vec::new(), 0);
            let mut coming = coming.into_iter().peekable();
            for now in 0..500 {
                while let Some((_, id, due)) = coming.next_if(|(comes, ..)| *comes == now) {
                    let late = taken.last().is_some_and(|last| id < *last);
                    dropped += usize::from(late);
                    push(&mut queue, id, at(due));
                }
                if queue.next_release().is_none_or(|release| release <= at(now)) || now % 7 == 0 {
                    taken.extend(take_all(&mut queue, at(now)));
                }
                prop_assert!(queue.next_release().is_none_or(|release| release > at(now)));
            }
            prop_assert!(taken.is_sorted_by(|a, b| a < b), "{:?}", taken);
            let arrived = arrivals.iter().filter(|(.., lost)| !lost).count();
            prop_assert_eq!(taken.len() + dropped, arrived);
            prop_assert!(queue.is_empty());
        }
    }
}
