//! The order in which waiting senders stage their messages.
//!
//! In: waiting senders, room. Out: the wakers of senders that are granted a turn. Never: a message,
//! a lock.
//!
//! Senders are served by the priority of their channel, then in the order they arrived: a sender
//! with another message ready waits behind the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    task::Waker,
};

use hikyaku_proto::{ChannelId, Class};

/// One class on one channel, which has its own share of the protocol's queue.
pub(crate) type Lane = (ChannelId, Class);

/// The default priority of a channel, see `Channel::set_priority`.
const DEFAULT_PRIORITY: u8 = 3;

/// A position in the order of waiting senders: by descending priority, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// 7 less the priority.
    rank: u8,
    ticket: u64,
}

/// A sender that waits.
#[derive(Debug)]
struct Waiter {
    lane: Lane,
    /// The bytes that its message counts as.
    cost: usize,
    waker: Waker,
}

/// The senders of one connection that wait for room.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: BTreeMap<Turn, Waiter>,
    /// Senders whose lane has no room in the protocol; they do not delay other lanes.
    blocked: BTreeMap<Lane, BTreeMap<Turn, Waiter>>,
    blocked_lanes: BTreeSet<Lane>,
    /// Turns granted to senders that were woken and have not staged yet. No room is reserved for
    /// them, so a sender that is never polled again takes none from the others.
    granted: BTreeSet<Turn>,
    priorities: BTreeMap<ChannelId, u8>,
    tickets: u64,
}

impl Turns {
    pub(crate) fn set_priority(&mut self, channel: ChannelId, priority: u8) {
        if priority == DEFAULT_PRIORITY {
            self.priorities.remove(&channel);
        } else {
            self.priorities.insert(channel, priority);
        }
    }

    fn rank(&self, lane: Lane) -> u8 {
        7 - self.priorities.get(&lane.0).copied().unwrap_or(DEFAULT_PRIORITY).min(7)
    }

    /// Returns `true` if others wait ahead of a new sender, or its lane has no room.
    pub(crate) fn must_wait(&self, lane: Lane) -> bool {
        if self.waiting.is_empty() && self.blocked_lanes.is_empty() {
            return false; // nearly always
        }
        let first = self.waiting.keys().next();
        self.is_blocked(lane) || first.is_some_and(|first| first.rank <= self.rank(lane))
    }

    /// Returns `true` if a new sender should yield to senders that were woken before.
    pub(crate) fn should_yield(&self, lane: Lane) -> bool {
        self.granted.first().is_some_and(|first| first.rank <= self.rank(lane))
    }

    /// Returns `true` if the protocol has no room for this lane.
    pub(crate) fn is_blocked(&self, lane: Lane) -> bool {
        self.blocked_lanes.contains(&lane)
    }

    /// Adds a waiting sender with a message that counts `cost` bytes.
    pub(crate) fn wait(&mut self, lane: Lane, cost: usize, waker: Waker) -> Turn {
        let turn = Turn { rank: self.rank(lane), ticket: self.tickets };
        self.tickets += 1;
        self.wait_again(turn, lane, cost, waker);
        turn
    }

    /// Adds a sender again that was woken and found no room; it keeps its position.
    pub(crate) fn wait_again(&mut self, turn: Turn, lane: Lane, cost: usize, waker: Waker) {
        let waiter = Waiter { lane, cost, waker };
        if self.blocked_lanes.contains(&lane) {
            self.blocked.entry(lane).or_default().insert(turn, waiter);
        } else {
            self.waiting.insert(turn, waiter);
        }
    }

    /// Takes a granted turn. Returns `false` if it is not granted yet; `waker` is woken when it is.
    pub(crate) fn take(&mut self, turn: Turn, lane: Lane, waker: &Waker) -> bool {
        if self.granted.remove(&turn) {
            return true;
        }
        let waiter = match self.waiting.get_mut(&turn) {
            Some(waiter) => Some(waiter),
            None => self.blocked.get_mut(&lane).and_then(|lane| lane.get_mut(&turn)),
        };
        if let Some(waiter) = waiter {
            waiter.waker.clone_from(waker);
        }
        false
    }

    /// Removes a sender that no longer waits.
    pub(crate) fn cancel(&mut self, turn: Turn, lane: Lane) {
        if !self.granted.remove(&turn)
            && self.waiting.remove(&turn).is_none()
            && let Some(waiters) = self.blocked.get_mut(&lane)
        {
            waiters.remove(&turn);
            if waiters.is_empty() {
                self.blocked.remove(&lane);
            }
        }
    }

    /// Grants turns to as many senders as fit into `room` bytes. Returns their wakers.
    #[must_use]
    pub(crate) fn grant(&mut self, mut room: usize) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while room > 0
            && let Some((turn, waiter)) = self.waiting.pop_first()
        {
            room = room.saturating_sub(waiter.cost);
            self.granted.insert(turn);
            wakers.push(waiter.waker);
        }
        wakers
    }

    /// Records whether the protocol has no room for this lane.
    pub(crate) fn set_blocked(&mut self, lane: Lane, blocked: bool) {
        if !blocked {
            self.blocked_lanes.remove(&lane);
            self.waiting.extend(self.blocked.remove(&lane).unwrap_or_default());
        } else if self.blocked_lanes.insert(lane) {
            let of_lane = self.waiting.extract_if(.., |_, waiter| waiter.lane == lane);
            let of_lane: BTreeMap<_, _> = of_lane.collect();
            if !of_lane.is_empty() {
                self.blocked.insert(lane, of_lane);
            }
        }
    }

    /// Removes all waiting senders, since nothing more is staged. Returns their wakers.
    #[must_use]
    pub(crate) fn end(&mut self) -> Vec<Waker> {
        let blocked = mem::take(&mut self.blocked).into_values().flatten();
        let waiting = mem::take(&mut self.waiting).into_iter();
        blocked.chain(waiting).map(|(_, waiter)| waiter.waker).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const LIMIT: usize = 100;

    fn lane(channel: u16) -> Lane {
        (ChannelId(channel), Class::Ordered)
    }

    fn wait(turns: &mut Turns, channel: u16, cost: usize) -> Turn {
        turns.wait(lane(channel), cost, Waker::noop().clone())
    }

    fn take(turns: &mut Turns, turn: Turn, channel: u16) -> bool {
        turns.take(turn, lane(channel), Waker::noop())
    }

    #[test]
    fn waiting_senders_are_served_in_turn_before_new_ones() {
        let mut turns = Turns::default();
        assert!(!turns.must_wait(lane(1)));
        let [one, two, three] = [40, 70, 10].map(|cost| wait(&mut turns, 1, cost));
        assert_eq!(turns.grant(LIMIT).len(), 2);
        assert!(turns.must_wait(lane(1)));
        assert!(take(&mut turns, one, 1) && !take(&mut turns, three, 1));
        // Its next message waits behind the one that was woken and the one that waits.
        let next = wait(&mut turns, 1, 40);
        assert!(take(&mut turns, two, 1));
        assert_eq!(turns.grant(1).len(), 1);
        assert!(take(&mut turns, three, 1) && !take(&mut turns, next, 1));
    }

    #[test]
    fn a_sender_that_is_never_polled_again_blocks_no_room() {
        let mut turns = Turns::default();
        let parked = wait(&mut turns, 1, 2 * LIMIT);
        assert_eq!(turns.grant(LIMIT).len(), 1);
        assert!(!turns.must_wait(lane(1)) && turns.should_yield(lane(1)));
        let next = wait(&mut turns, 1, 10);
        assert_eq!(turns.grant(LIMIT).len(), 1);
        assert!(take(&mut turns, next, 1));
        turns.cancel(parked, lane(1));
        assert!(!turns.should_yield(lane(1)));
    }

    #[test]
    fn a_sender_that_still_finds_no_room_keeps_its_position() {
        let mut turns = Turns::default();
        let [one, two] = [40, 40].map(|cost| wait(&mut turns, 1, cost));
        assert_eq!(turns.grant(1).len(), 1);
        assert!(take(&mut turns, one, 1));
        turns.wait_again(one, lane(1), 40, Waker::noop().clone());
        assert_eq!(turns.grant(1).len(), 1);
        assert!(!take(&mut turns, two, 1) && take(&mut turns, one, 1));
    }

    #[test]
    fn a_higher_priority_goes_first() {
        let mut turns = Turns::default();
        turns.set_priority(ChannelId(1), 0);
        turns.set_priority(ChannelId(7), 7);
        let bulk = wait(&mut turns, 1, 10);
        assert!(turns.must_wait(lane(1)) && !turns.must_wait(lane(7)) && !turns.must_wait(lane(2)));
        let urgent = wait(&mut turns, 7, 10);
        assert_eq!(turns.grant(1).len(), 1);
        assert!(!take(&mut turns, bulk, 1) && take(&mut turns, urgent, 7));
    }

    #[test]
    fn a_lane_without_room_delays_no_other() {
        let mut turns = Turns::default();
        let before = wait(&mut turns, 1, 10);
        turns.set_blocked(lane(1), true);
        let after = wait(&mut turns, 1, 10);
        assert!(turns.must_wait(lane(1)) && !turns.must_wait(lane(2)));
        assert!(turns.grant(LIMIT).is_empty());
        turns.set_blocked(lane(1), false);
        assert_eq!(turns.grant(LIMIT).len(), 2);
        assert!(take(&mut turns, before, 1) && take(&mut turns, after, 1));
        assert!(!turns.must_wait(lane(1)));
    }

    #[test]
    fn a_sender_that_gives_up_leaves_no_trace() {
        let mut turns = Turns::default();
        let [one, two] = [40, 50].map(|cost| wait(&mut turns, 1, cost));
        turns.set_blocked(lane(2), true);
        let three = wait(&mut turns, 2, 30);
        assert_eq!(turns.grant(1).len(), 1);
        turns.cancel(one, lane(1));
        turns.cancel(two, lane(1));
        turns.cancel(three, lane(2));
        assert!(turns.blocked.is_empty() && turns.granted.is_empty() && turns.waiting.is_empty());
        assert!(turns.end().is_empty());
    }
}
