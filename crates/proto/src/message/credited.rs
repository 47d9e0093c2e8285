//! The receiver's side of Ordered and Reliable: exactly once, within credit (D-3, D-4).
//!
//! In: fragments. Out: messages that are ready, credit given back. Never: the refusal of a fragment
//! whose message has begun; a first fragment is refused where the endpoint holds too much (D-13).

use bytes::Bytes;

use super::{
    Fragment, LaneId, Message,
    assembly::{Added, Assembly},
    inbox::{Channel, Inbox, Kept, OVERHEAD, Slot, UNFINISHED_COST},
    queue::Taken,
};
use crate::{
    delivery::{ChannelId, Class},
    error::Close,
    limits::MAX_CREDITED_IN_FLIGHT,
    time::Time,
};

/// How many earlier messages are examined to decide whether a message waits for one of them.
const MANY: u64 = 64;

impl Inbox {
    pub(super) fn insert_credited(&mut self, fragment: Fragment<'_>) -> Result<Kept, Close> {
        let channel = self.channels.get_mut(fragment.channel);
        let next = channel.map_or(0, |channel| *channel.next_of(fragment.class));
        let Some(ahead) = fragment.id.checked_sub(next) else { return Ok(Kept::Yes) };
        // M-52
        if ahead >= MAX_CREDITED_IN_FLIGHT {
            return Err(Close::violation("a message id is too far ahead"));
        }
        self.insert_pending(fragment)
    }

    /// Handles by far the most frequent case: a message that is whole and next, while nothing
    /// waits, and within its credit. Returns `false`, and does nothing, if it is another case.
    #[inline]
    pub(super) fn deliver_next(&mut self, fragment: &Fragment<'_>) -> bool {
        let Fragment { channel: channel_id, class, id, data, .. } = *fragment;
        let plain = class.is_credited() && fragment.is_whole() && self.pending.is_empty();
        if !plain || fragment.total > self.rules.config.max_message as usize {
            return false;
        }
        let held = self.held();
        let Some(channel) = self.channels.get_mut(channel_id) else { return false };
        let cost = (fragment.total + OVERHEAD) as u64;
        let paid = channel.window.allows(cost, self.rules.config.channel_credit)
            && self.window.allows(cost, self.rules.config.credit);
        let next = channel.next_of(class);
        if !paid || id != *next || !self.rules.take_room(held, cost, false) {
            return false;
        }
        *next = id + 1;
        channel.window.charge(cost);
        self.window.charge(cost);
        let message = Message { channel: channel_id, class, payload: Bytes::copy_from_slice(data) };
        self.ready.push(message, id, Time::ZERO);
        true
    }

    /// Handles a fragment of a message, or a message that waits for others or that others wait for.
    fn insert_pending(&mut self, fragment: Fragment<'_>) -> Result<Kept, Close> {
        let key = (LaneId { channel: fragment.channel, class: fragment.class }, fragment.id);
        let payload = match self.pending.get_mut(&key) {
            Some(Slot::Partial(assembly)) => {
                match assembly.add(fragment.total, fragment.offset, fragment.data)? {
                    Added::Kept => return Ok(Kept::Yes),
                    Added::Refused => return Ok(Kept::Refused),
                    Added::Whole(payload) => {
                        self.give_state(UNFINISHED_COST);
                        payload
                    }
                }
            }
            Some(Slot::Whole(_) | Slot::Passed { .. }) => return Ok(Kept::Yes),
            None => {
                let waits = self.waits_for_others(key.0, fragment.id);
                let besides = if fragment.is_whole() { 0 } else { UNFINISHED_COST };
                if !self.charge(fragment.channel, (fragment.total + OVERHEAD, besides), waits)? {
                    return Ok(Kept::Refused);
                }
                if !fragment.is_whole() {
                    let mut assembly =
                        Assembly::new(&self.rules.buffers, fragment.total, 0, Time::ZERO);
                    // The first fragment can be neither the last one nor one island too many.
                    assembly.add(fragment.total, fragment.offset, fragment.data)?;
                    self.pending.insert(key, Slot::Partial(Box::new(assembly)));
                    return Ok(Kept::Yes);
                }
                Bytes::copy_from_slice(fragment.data)
            }
        };
        match fragment.class {
            Class::Ordered => self.complete_ordered(key.0, fragment.id, payload),
            _ => self.complete_reliable(key.0, fragment.id, payload),
        }
        Ok(Kept::Yes)
    }

    /// Returns `true` if an earlier message exists of which nothing has arrived. If there are many
    /// earlier ones, that is assumed.
    fn waits_for_others(&mut self, lane: LaneId, id: u64) -> bool {
        let channel = self.channels.get_mut(lane.channel);
        let next = channel.map_or(0, |channel| *channel.next_of(lane.class));
        let before = id.saturating_sub(next);
        let begun = || self.pending.range((lane, next)..(lane, id)).count() as u64;
        before > MANY || before > 0 && begun() < before
    }

    /// Handles that the application took Reliable messages.
    pub(super) fn on_reliable_taken(&mut self, run: &Taken) {
        let mut cost = run.bytes as usize;
        let first = run.last + 1 - u64::from(run.count);
        for id in first..=run.last {
            // A message above a gap is remembered (`Passed`) until the gap closes; the 64 bytes
            // that each message is charged pay for that.
            let slot =
                if self.pending.is_empty() { None } else { self.pending.get_mut(&(run.lane, id)) };
            match slot {
                Some(Slot::Passed { taken }) => *taken = true,
                _ => cost += OVERHEAD,
            }
        }
        self.give_back(run.lane.channel, cost);
    }

    /// Charges for a message when its first fragment arrives (D-4), and for the state it needs
    /// `besides` (D-14). Returns `false` if the endpoint holds too much (D-13).
    fn charge(
        &mut self,
        channel: ChannelId,
        (cost, besides): (usize, u32),
        waits: bool,
    ) -> Result<bool, Close> {
        let held = self.held();
        let cost = cost as u64;
        let of = &mut self.channels.get_or_default(channel).window;
        if !of.allows(cost, self.rules.config.channel_credit) {
            return Err(Close::new(Close::FLOW_CONTROL, "a channel's credit is overdrawn"));
        }
        if !self.window.allows(cost, self.rules.config.credit) {
            return Err(Close::new(Close::FLOW_CONTROL, "the connection's credit is overdrawn"));
        }
        if !self.rules.take_room(held, cost + u64::from(besides), waits) {
            self.short = true;
            return Ok(false);
        }
        self.state += besides;
        of.charge(cost);
        self.window.charge(cost);
        Ok(true)
    }

    fn complete_ordered(&mut self, lane: LaneId, id: u64, payload: Bytes) {
        let Some(channel) = self.channels.get_mut(lane.channel) else { return };
        let next = &mut channel.next[0];
        if id != *next {
            self.pending.insert((lane, id), Slot::Whole(payload));
            return;
        }
        self.pending.remove(&(lane, id));
        let mut payload = payload;
        loop {
            let message = Message { channel: lane.channel, class: lane.class, payload };
            self.ready.push(message, *next, Time::ZERO);
            *next += 1;
            // Messages that waited for this one.
            payload = match self.pending.get_mut(&(lane, *next)) {
                Some(Slot::Whole(waiting)) => std::mem::take(waiting),
                _ => return,
            };
            self.pending.remove(&(lane, *next));
        }
    }

    fn complete_reliable(&mut self, lane: LaneId, id: u64, payload: Bytes) {
        let Some(channel) = self.channels.get_mut(lane.channel) else { return };
        let message = Message { channel: lane.channel, class: lane.class, payload };
        self.ready.push(message, id, Time::ZERO);
        if id != channel.next[1] {
            self.pending.insert((lane, id), Slot::Passed { taken: false });
            return;
        }
        self.pending.remove(&(lane, id));
        let mut next = id + 1;
        let mut paid = 0;
        while let Some(Slot::Passed { taken }) = self.pending.get(&(lane, next)) {
            paid += if *taken { OVERHEAD } else { 0 };
            self.pending.remove(&(lane, next));
            next += 1;
        }
        channel.next[1] = next;
        if paid > 0 {
            self.give_back(lane.channel, paid);
        }
    }
}

impl Channel {
    /// Returns the lowest id of a credited class that was not received as a whole.
    fn next_of(&mut self, class: Class) -> &mut u64 {
        &mut self.next[usize::from(class == Class::Reliable)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::inbox::tests::{CONFIG, NOW, fragment, half, inbox, kept, on, pop};
    use crate::message::inbox::{CHANNEL_COST, Rules};

    // D-13
    #[test]
    fn d13_waiting_messages_leave_room_for_those_they_wait_for() {
        for class in [Class::Ordered, Class::Reliable] {
            let mut inbox = Inbox::new(&Rules::new(CONFIG, (CHANNEL_COST.into(), 600)));
            let room = (1..9).filter(|id| kept(&mut inbox, fragment(class, *id, &[1; 36]))).count();
            assert_eq!(room, 3, "of 100 each: half of it");
            assert!(kept(&mut inbox, fragment(class, 0, &[0; 236])), "what they wait for");
            assert!(!kept(&mut inbox, fragment(class, 4, &[4; 36])), "there is no more");
            let got = std::iter::from_fn(|| pop(&mut inbox)).count();
            assert_eq!(got, 4);
            assert!(kept(&mut inbox, fragment(class, 4, &[4; 36])));
        }
    }

    #[test]
    fn ordered_messages_arrive_once_in_the_order_of_ids() {
        let mut inbox = inbox();
        for id in [2, 1, 1, 0, 2, 0, 3] {
            assert!(kept(&mut inbox, fragment(Class::Ordered, id, &[id as u8])));
        }
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut inbox)).flatten().collect();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn reliable_messages_arrive_once_as_soon_as_they_are_complete() {
        let mut inbox = inbox();
        for id in [2, 1, 1, 0, 2, 0, 3] {
            assert!(kept(&mut inbox, fragment(Class::Reliable, id, &[id as u8])));
        }
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut inbox)).flatten().collect();
        assert_eq!(order, [2, 1, 0, 3]);
        assert!(inbox.pending.is_empty());
    }

    // M-52
    #[test]
    fn m52_an_id_65536_above_the_lowest_missing_closes() {
        for class in [Class::Ordered, Class::Reliable] {
            let mut inbox = inbox();
            assert!(kept(&mut inbox, fragment(class, 65_535, &[])));
            let close = inbox.insert(NOW, fragment(class, 65_536, &[])).unwrap_err();
            assert_eq!(close.code, Close::PROTOCOL_VIOLATION);
            assert!(kept(&mut inbox, fragment(class, 0, &[])));
            assert!(kept(&mut inbox, fragment(class, 65_536, &[])));
        }
    }

    // D-4
    #[test]
    fn d4_overdrawing_a_channel_or_the_connection_closes() {
        let mut inbox = inbox();
        assert!(kept(&mut inbox, half(fragment(Class::Ordered, 0, &[0; 400]))));
        let close = inbox.insert(NOW, fragment(Class::Reliable, 0, &[0; 73])).unwrap_err();
        assert_eq!(close.code, Close::FLOW_CONTROL);
        assert!(kept(&mut inbox, fragment(Class::Reliable, 0, &[0; 72])), "exactly all of it");
        assert!(kept(&mut inbox, on(1, fragment(Class::Ordered, 0, &[0; 900]))));
        let close = inbox.insert(NOW, on(2, fragment(Class::Ordered, 0, &[]))).unwrap_err();
        assert_eq!(close.code, Close::FLOW_CONTROL);
    }

    // D-4
    #[test]
    fn d4_a_message_is_counted_once_however_many_fragments_it_has() {
        let mut inbox = inbox();
        let first = half(fragment(Class::Ordered, 0, &[7; 400]));
        assert!(kept(&mut inbox, first) && kept(&mut inbox, first));
        assert_eq!(inbox.window.outstanding(), 864);
        assert!(kept(&mut inbox, Fragment { offset: 400, ..first }));
        assert_eq!(pop(&mut inbox), Some(vec![7; 800]));
        assert_eq!(inbox.window.outstanding(), 0);
    }

    // D-4
    #[test]
    fn d4_a_reliable_message_above_a_gap_holds_64_bytes_until_the_gap_closes() {
        for taken_first in [true, false] {
            let mut inbox = inbox();
            assert!(kept(&mut inbox, fragment(Class::Reliable, 1, &[1; 100])));
            if taken_first {
                pop(&mut inbox).unwrap();
                assert_eq!(inbox.window.outstanding(), 64);
            }
            assert!(kept(&mut inbox, fragment(Class::Reliable, 0, &[0; 100])));
            while pop(&mut inbox).is_some() {}
            assert_eq!(inbox.window.outstanding(), 0);
        }
    }
}
