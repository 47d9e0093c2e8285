//! Messages the application can take, in the order they became whole: of all channels or of one.
//!
//! In: whole messages. Out: the oldest. Never: what a message costs.

use std::mem;

use super::Message;
use crate::time::Time;

/// No place.
pub(super) const NONE: u32 = u32::MAX;

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

    /// Puts a message at the end; `of_channel` is the list of its channel. Returns its place.
    pub(super) fn push(
        &mut self,
        of_channel: &mut List,
        message: Message,
        id: u64,
        due: Time,
    ) -> u32 {
        let links = [self.all.last, of_channel.last].map(|before| Links { before, after: NONE });
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
        let mut all = self.all;
        self.append(0, &mut all, place);
        self.append(1, of_channel, place);
        self.all = all;
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
        let mut all = self.all;
        self.unlink(0, &mut all, links[0]);
        self.unlink(1, of_channel, links[1]);
        self.all = all;
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
        let mut place = self.all.first;
        while let Some(entry) = self.places.get(place as usize) {
            look(&entry.message);
            place = entry.links[0].after;
        }
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
    use crate::message::delivery::{ChannelId, Class};

    proptest! {
        #[test]
        fn it_is_a_queue_for_all_and_for_each(
            ops in prop::collection::vec((0u8..6, 0u16..3), 0..200),
        ) {
            let mut queue = ReadyQueue::default();
            let mut lists = [List::default(); 3];
            let mut model: Vec<(u16, u64)> = Vec::new();
            for (id, (op, channel)) in (0..).zip(ops) {
                if op < 3 {
                    let (class, payload) = (Class::Reliable, vec![0; 3]);
                    let message = Message { channel: ChannelId(channel), class, payload };
                    queue.push(&mut lists[usize::from(channel)], message, id, Time::ZERO);
                    model.push((channel, id));
                    continue;
                }
                let of_one = op == 3;
                let first = lists[usize::from(channel)].first();
                let place = if of_one { first } else { queue.first() };
                let at = model.iter().position(|entry| !of_one || entry.0 == channel);
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
