//! Messages the application can take, in the order they became whole: of all channels or of one.
//!
//! In: whole messages. Out: the oldest. Never: what a message costs.

use std::{collections::BTreeSet, mem};

use super::Message;
use crate::{delivery::ChannelId, time::Time};

/// No place.
pub(super) const NONE: u32 = u32::MAX;

/// In place of a neighbour: it is not in this list.
const APART: u32 = u32::MAX - 1;

/// Places that stay allocated when the queue is empty, until the connection rests: 280 KiB, what a
/// few full receive buffers of small messages take, so that such bursts do not allocate them each
/// time.
const PLACES_KEPT: usize = 4_096;

/// A list of all messages that is also a list for each channel: both are doubly linked through the
/// same places, so that a message leaves both at once. A place costs about 80 bytes and is used
/// again.
#[derive(Default)]
pub(super) struct ReadyQueue {
    places: Vec<Entry>,
    all: List,
    len: usize,
    free: Vec<u32>,
    /// Channels whose messages are in the list of their channel alone.
    apart: BTreeSet<ChannelId>,
    /// Those of them that had no message, and have one now.
    news: BTreeSet<ChannelId>,
}

/// Both ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    first: u32,
    last: u32,
}

pub(super) struct Entry {
    pub(super) message: Message,
    pub(super) id: u64,
    /// Deadline only: it is not delivered after that.
    pub(super) due: Time,
    /// The neighbours among all messages, and among those of the channel.
    links: [Links; 2],
}

#[derive(Clone, Copy)]
struct Links {
    before: u32,
    after: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl List {
    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// The place of the oldest message, or `NONE`.
    pub(super) fn first(&self) -> u32 {
        self.first
    }
}

impl ReadyQueue {
    /// The place of the oldest message, or `NONE`.
    pub(super) fn first(&self) -> u32 {
        self.all.first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// From now on the messages of this channel, whose list this is, are none of all messages.
    pub(super) fn set_apart(&mut self, channel: ChannelId, of_channel: List) {
        if !self.apart.insert(channel) {
            return;
        }
        if !of_channel.is_empty() {
            self.news.insert(channel);
        }
        let mut all = self.all;
        let mut place = of_channel.first;
        while let Some(entry) = self.places.get_mut(place as usize) {
            let links = entry.links[0];
            entry.links[0].before = APART;
            place = entry.links[1].after;
            self.unlink(0, &mut all, links);
        }
        self.all = all;
    }

    /// A channel apart that has messages, and had none when it was last asked about.
    pub(super) fn poll_news(&mut self) -> Option<ChannelId> {
        self.news.pop_first()
    }

    /// Puts a message at the end; `of_channel` is the list of its channel. Returns its place.
    pub(super) fn push(
        &mut self,
        of_channel: &mut List,
        message: Message,
        id: u64,
        due: Time,
    ) -> u32 {
        let apart = !self.apart.is_empty() && self.apart.contains(&message.channel);
        if apart && of_channel.is_empty() {
            self.news.insert(message.channel);
        }
        let before = if apart { APART } else { self.all.last };
        let links = [before, of_channel.last].map(|before| Links { before, after: NONE });
        let entry = Entry { message, id, due, links };
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = entry;
                place
            }
            None => {
                self.places.push(entry);
                // What waits has been paid for with 64 bytes each, out of less than 2^32.
                (self.places.len() - 1) as u32
            }
        };
        if !apart {
            let mut all = self.all;
            self.append(0, &mut all, place);
            self.all = all;
        }
        self.append(1, of_channel, place);
        self.len += 1;
        place
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Entry> {
        self.places.get_mut(place as usize)
    }

    /// Takes out the message at a place it is at.
    pub(super) fn remove(&mut self, of_channel: &mut List, place: u32) -> Option<Message> {
        let entry = self.places.get_mut(place as usize)?;
        let message = Message {
            channel: entry.message.channel,
            class: entry.message.class,
            payload: mem::take(&mut entry.message.payload),
        };
        let links = entry.links;
        self.len -= 1;
        if self.len == 0 {
            (self.all, *of_channel) = (List::default(), List::default());
            self.empty();
            return Some(message);
        }
        if links[0].before != APART {
            let mut all = self.all;
            self.unlink(0, &mut all, links[0]);
            self.all = all;
        }
        self.unlink(1, of_channel, links[1]);
        self.free.push(place);
        Some(message)
    }

    /// The places are taken in their order again.
    fn empty(&mut self) {
        self.places.clear();
        self.free.clear();
        if self.places.capacity() > PLACES_KEPT {
            self.shrink(PLACES_KEPT);
        }
    }

    /// Frees what an empty queue does not need.
    pub(super) fn release_idle(&mut self) {
        if self.len == 0 {
            self.places.clear();
            self.free.clear();
            self.shrink(0);
        }
    }

    #[cfg(test)]
    pub(super) fn heap_is_idle(&self) -> bool {
        self.places.capacity() == 0 && self.free.capacity() == 0
    }

    #[cfg(test)]
    pub(super) fn for_each(&self, mut look: impl FnMut(&Message)) {
        let free: BTreeSet<usize> = self.free.iter().map(|place| *place as usize).collect();
        let taken = self.places.iter().enumerate().filter(|(place, _)| !free.contains(place));
        taken.for_each(|(_, entry)| look(&entry.message));
    }

    fn shrink(&mut self, kept: usize) {
        self.places.shrink_to(kept);
        self.free.shrink_to(kept);
    }

    fn append(&mut self, which: usize, list: &mut List, place: u32) {
        match self.places.get_mut(list.last as usize) {
            Some(last) => last.links[which].after = place,
            None => list.first = place,
        }
        list.last = place;
    }

    fn unlink(&mut self, which: usize, list: &mut List, links: Links) {
        match self.places.get_mut(links.before as usize) {
            Some(before) => before.links[which].after = links.after,
            None => list.first = links.after,
        }
        match self.places.get_mut(links.after as usize) {
            Some(after) => after.links[which].before = links.before,
            None => list.last = links.before,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::{ChannelId, Class};

    proptest! {
        #[test]
        fn it_is_a_queue_for_all_and_for_each(
            ops in prop::collection::vec((0u8..6, 0u16..3), 0..200),
            apart_at in 0..300_u64,
        ) {
            let mut queue = ReadyQueue::default();
            let mut lists = [List::default(); 3];
            let mut model: Vec<(u16, u64)> = Vec::new();
            let mut apart = None;
            for (id, (op, channel)) in (0..).zip(ops) {
                if id == apart_at {
                    apart = Some(1);
                    queue.set_apart(ChannelId(1), lists[1]);
                    prop_assert_eq!(queue.poll_news().is_some(), !lists[1].is_empty());
                }
                if op < 3 {
                    let (class, payload) = (Class::Reliable, vec![0; 3].into());
                    let message = Message { channel: ChannelId(channel), class, payload };
                    let news = apart == Some(channel) && lists[usize::from(channel)].is_empty();
                    queue.push(&mut lists[usize::from(channel)], message, id, Time::ZERO);
                    prop_assert_eq!(queue.poll_news(), news.then_some(ChannelId(channel)));
                    model.push((channel, id));
                    continue;
                }
                let of_one = op == 3;
                let first = lists[usize::from(channel)].first();
                let place = if of_one { first } else { queue.first() };
                let at = model.iter().position(|entry| match of_one {
                    true => entry.0 == channel,
                    false => Some(entry.0) != apart,
                });
                let taken = queue.get_mut(place).map(|entry| (entry.message.channel.0, entry.id));
                prop_assert_eq!(taken, at.map(|at| model.remove(at)));
                if let Some((channel, _)) = taken {
                    queue.remove(&mut lists[usize::from(channel)], place);
                }
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }
}
