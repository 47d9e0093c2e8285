//! Chooses the lane to serve next (D-8).
//!
//! In: lanes that have something to send. Out: the one to serve. Never: what they send.

use std::collections::VecDeque;

use super::LaneId;

/// The number of priorities, 0 to 7; 7 is served first.
pub(super) const PRIORITIES: u8 = 8;

/// The default priority of a channel.
pub(super) const DEFAULT_PRIORITY: u8 = 3;

/// What a lane has to send. Lost fragments go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lost,
    Fresh,
}

/// Queues of lanes, by kind and priority. Nothing is allocated before the first lane is queued.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// In the order in which they are served: lost 7 … lost 0, fresh 7 … fresh 0.
    queues: Vec<Queue>,
    /// Bit n is set if queue n contains a lane.
    filled: u16,
}

#[derive(Debug, Default)]
struct Queue {
    lanes: VecDeque<LaneId>,
    /// The bytes that the first lane has sent in its turn.
    turn: usize,
}

impl Schedule {
    /// Appends a lane to its queue. A lane must be in a queue at most once, which its owner
    /// ensures.
    pub(super) fn push(&mut self, kind: Kind, priority: u8, lane: LaneId) {
        if self.queues.is_empty() {
            self.queues.resize_with(2 * usize::from(PRIORITIES), Queue::default);
        }
        let first = match kind {
            Kind::Lost => 0,
            Kind::Fresh => PRIORITIES,
        };
        let index = first + (PRIORITIES - 1 - priority.min(PRIORITIES - 1));
        self.queues[usize::from(index)].lanes.push_back(lane);
        self.filled |= 1 << index;
    }

    /// Returns the lane to serve.
    pub(super) fn front(&self) -> Option<(Kind, LaneId)> {
        let index = self.filled.trailing_zeros();
        let lane = *self.queues.get(index as usize)?.lanes.front()?;
        let kind = if index < u32::from(PRIORITIES) { Kind::Lost } else { Kind::Fresh };
        Some((kind, lane))
    }

    /// Removes the first lane.
    pub(super) fn pop(&mut self) {
        let index = self.filled.trailing_zeros();
        let Some(queue) = self.queues.get_mut(index as usize) else { return };
        queue.lanes.pop_front();
        queue.turn = 0;
        if queue.lanes.is_empty() {
            self.filled &= !(1 << index);
        }
    }

    /// Returns how much of its `quantum` the first lane has left.
    pub(super) fn left(&self, quantum: usize) -> usize {
        let front = self.queues.get(self.filled.trailing_zeros() as usize);
        quantum.saturating_sub(front.map_or(0, |queue| queue.turn))
    }

    /// Notes that the first lane has sent `bytes`; after a `quantum` of them, the next one has its
    /// turn.
    pub(super) fn spend(&mut self, bytes: usize, quantum: usize) {
        let Some(queue) = self.queues.get_mut(self.filled.trailing_zeros() as usize) else {
            return;
        };
        queue.turn += bytes;
        if queue.turn >= quantum {
            queue.turn = 0;
            queue.lanes.rotate_left(1);
        }
    }

    /// Removes all lanes, and releases their memory.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{ChannelId, Class};

    fn lane(channel: u16) -> LaneId {
        LaneId { channel: ChannelId(channel), class: Class::Ordered }
    }

    fn drain(schedule: &mut Schedule) -> Vec<u16> {
        let mut order = Vec::new();
        while let Some((_, lane)) = schedule.front() {
            order.push(lane.channel.0);
            schedule.pop();
        }
        order
    }

    // D-8
    #[test]
    fn d8_lost_fragments_come_first_then_the_higher_priority() {
        let mut schedule = Schedule::default();
        schedule.push(Kind::Fresh, 0, lane(1));
        schedule.push(Kind::Fresh, 7, lane(2));
        schedule.push(Kind::Lost, 0, lane(3));
        schedule.push(Kind::Lost, 7, lane(4));
        assert_eq!(drain(&mut schedule), [4, 3, 2, 1]);
        assert!(schedule.is_empty());
    }

    #[test]
    fn d8_a_turn_ends_after_a_quantum() {
        let mut schedule = Schedule::default();
        schedule.push(Kind::Fresh, 3, lane(1));
        schedule.push(Kind::Fresh, 3, lane(2));
        schedule.spend(999, 1000);
        assert_eq!(schedule.front(), Some((Kind::Fresh, lane(1))));
        schedule.spend(1, 1000);
        assert_eq!(schedule.front(), Some((Kind::Fresh, lane(2))));
        schedule.spend(1000, 1000);
        assert_eq!(schedule.front(), Some((Kind::Fresh, lane(1))));
    }
}
