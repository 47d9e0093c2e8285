//! The slots of waiting messages, and the lists through them.

use std::mem;

use super::{List, NONE, ReceiveQueue, SLOTS_KEPT, Slot};
use crate::delivery::ChannelId;

impl ReceiveQueue {
    /// Returns the list of the messages of this channel.
    pub(super) fn list_of(&mut self, channel: ChannelId) -> &mut List {
        let dedicated = self.index.as_mut().and_then(|index| index.dedicated.get_mut(&channel));
        dedicated.unwrap_or(&mut self.common)
    }

    /// Puts a message into a free slot.
    pub(super) fn store(&mut self, slot: Slot) -> u32 {
        let index = self.free;
        if let Some(free) = self.slots.get_mut(index as usize) {
            self.free = free.after;
            *free = slot;
            return index;
        }
        self.slots.push(slot);
        // Each waiting message is charged 64 bytes, out of less than 2^32.
        (self.slots.len() - 1) as u32
    }

    /// Puts the free slots in order again: nothing waits.
    pub(super) fn reset_slots(&mut self) {
        self.slots.clear();
        (self.free, self.len) = (NONE, 0);
        if self.slots.capacity() > SLOTS_KEPT {
            self.slots.shrink_to(SLOTS_KEPT);
        }
    }

    /// Appends a slot to the list of its channel.
    pub(super) fn append(&mut self, index: u32) {
        let Some(channel) = self.slots.get(index as usize).map(|slot| slot.message.channel) else {
            return;
        };
        let list = self.list_of(channel);
        let last = mem::replace(&mut list.last, index);
        if last == NONE {
            list.first = index;
        }
        if let Some(last) = self.slots.get_mut(last as usize) {
            last.after = index;
        }
        if let Some(slot) = self.slots.get_mut(index as usize) {
            (slot.before, slot.after) = (last, NONE);
        }
    }

    /// Removes a slot from its list, by its neighbours.
    pub(super) fn unlink(&mut self, list: &mut List, before: u32, after: u32) {
        match self.slots.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => list.first = after,
        }
        match self.slots.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => list.last = before,
        }
    }
}
