//! The receiver's side of Latest, Unreliable and Deadline: at most once, in a pool (D-6, D-7).
//!
//! In: fragments, time. Out: messages that are ready. Never: credit, messages that are obsolete.
//!
//! When its first fragment is admitted, a message takes its length and 64 bytes of the pool (its
//! memory is allocated only as fragments arrive). So whatever is admitted can be completed, and
//! unfinished messages never wait for each other's room.

use bytes::Bytes;

use super::{
    Fragment, LaneId, Message,
    assembly::{Added, Assembly},
    inbox::{Inbox, Kept, OVERHEAD, Others, Slot, UNFINISHED_COST},
    window::{SEEN_BITS_LEN, Seen},
};
use crate::{delivery::Class, error::Close, limits::UNCREDITED_POOL, time::Time};

impl Inbox {
    pub(super) fn insert_uncredited(
        &mut self,
        now: Time,
        fragment: Fragment<'_>,
    ) -> Result<Kept, Close> {
        if fragment.total > UNCREDITED_POOL - OVERHEAD {
            return Err(Close::violation("a message without credit is larger than the pool"));
        }
        self.drop_expired(now);
        let lane = LaneId { channel: fragment.channel, class: fragment.class };
        match self.is_wanted(lane, fragment.id) {
            Seen::Over => return Ok(Kept::Yes),
            Seen::Unknown => return Ok(Kept::Refused),
            Seen::New => {}
        }
        // D-7: the time left counts from the arrival. The fragment that was fastest gives the best
        // estimate.
        let due = fragment.time_left.map_or(Time::from_micros(u64::MAX), |left| now + left);
        let Some(Slot::Partial(assembly)) = self.pending.get_mut(&(lane, fragment.id)) else {
            return self.begin(lane, due, fragment);
        };
        let added = assembly.add(fragment.total, fragment.offset, fragment.data)?;
        let due = self.hasten(lane, fragment.id, due);
        match added {
            Added::Kept => Ok(Kept::Yes),
            Added::Refused => Ok(Kept::or_dropped(fragment.class)),
            Added::Whole(payload) => {
                self.forget(lane, fragment.id);
                self.complete(lane, fragment.id, payload, due);
                Ok(Kept::Yes)
            }
        }
    }

    /// Drops the Deadline messages that have expired, unfinished or ready.
    pub(super) fn drop_expired(&mut self, now: Time) {
        while let Some(&(due, lane, id)) = self.expiry.first()
            && due < now
        {
            self.expiry.pop_first();
            self.drop_unfinished(lane, id);
        }
        self.ready.drop_expired(now);
        self.account_for_taken();
    }

    /// Drops the oldest unfinished message that may be dropped (D-6).
    pub(super) fn evict_one(&mut self) -> bool {
        let Some((_, (lane, id))) = self.evictable.pop_first() else { return false };
        self.drop_unfinished(lane, id);
        true
    }

    fn is_wanted(&mut self, lane: LaneId, id: u64) -> Seen {
        match lane.class {
            Class::Latest => {
                let others = self.others(lane);
                if id < others.floor {
                    return Seen::Over;
                }
                if id > others.newest {
                    let before = std::mem::replace(&mut others.newest, id);
                    self.let_go(lane, before);
                }
                Seen::New
            }
            Class::Deadline => self.others(lane).seen.look_up(id),
            // These are never resent, and a packet is opened only once (M-4).
            _ => Seen::New,
        }
    }

    /// Handles the arrival of a newer Latest message: the sender gave up this one, and D-6 may drop
    /// it. Earlier ones became evictable when this one arrived, or when their first fragment
    /// arrived after one of its fragments.
    fn let_go(&mut self, lane: LaneId, id: u64) {
        if let Some(Slot::Partial(assembly)) = self.pending.get(&(lane, id)) {
            self.evictable.insert(assembly.arrival, (lane, id));
        }
    }

    /// Handles the first fragment of a message, or all of it.
    fn begin(&mut self, lane: LaneId, due: Time, fragment: Fragment<'_>) -> Result<Kept, Close> {
        // A whole Latest message replaces one that was not taken yet.
        let replaced = if fragment.is_whole() { self.waiting_cost(lane) } else { 0 };
        let besides = if fragment.is_whole() { 0 } else { UNFINISHED_COST };
        if !self.admit(fragment.total + OVERHEAD, besides, replaced) {
            return Ok(Kept::or_dropped(fragment.class));
        }
        if fragment.is_whole() {
            self.complete(lane, fragment.id, Bytes::copy_from_slice(fragment.data), due);
            return Ok(Kept::Yes);
        }
        self.arrivals += 1;
        let mut assembly = Assembly::new(&self.rules.buffers, fragment.total, self.arrivals, due);
        // The first fragment can be neither the last one nor one island too many.
        assembly.add(fragment.total, fragment.offset, fragment.data)?;
        match lane.class {
            Class::Deadline => {
                self.expiry.insert((due, lane, fragment.id));
            }
            Class::Latest if self.others(lane).newest == fragment.id => {}
            _ => {
                self.evictable.insert(self.arrivals, (lane, fragment.id));
            }
        }
        self.pending.insert((lane, fragment.id), Slot::Partial(Box::new(assembly)));
        Ok(Kept::Yes)
    }

    /// Makes room in the pool, and for the state that a message needs `besides`. Returns `false` if
    /// that is impossible. `replaced` bytes are about to be released.
    fn admit(&mut self, cost: usize, besides: u32, replaced: usize) -> bool {
        let most = self.rules.config.pool as usize;
        while self.pool as usize - replaced + cost > most || !self.take_of_pool(cost, besides) {
            if !self.evict_one() {
                self.short = true;
                return false;
            }
        }
        true
    }

    /// Returns what the waiting Latest message of this lane takes of the pool.
    fn waiting_cost(&mut self, lane: LaneId) -> usize {
        if lane.class != Class::Latest {
            return 0;
        }
        self.others(lane).waiting as usize
    }

    /// Moves the deadline of an unfinished message to an earlier time, and returns it.
    fn hasten(&mut self, lane: LaneId, id: u64, due: Time) -> Time {
        let Some(Slot::Partial(assembly)) = self.pending.get_mut(&(lane, id)) else { return due };
        let before = assembly.due;
        if due < before && self.expiry.remove(&(before, lane, id)) {
            assembly.due = due;
            self.expiry.insert((due, lane, id));
        }
        assembly.due
    }

    /// Removes an unfinished message, and returns its share of the pool, which stays taken.
    fn forget(&mut self, lane: LaneId, id: u64) -> usize {
        let Some(Slot::Partial(assembly)) = self.pending.remove(&(lane, id)) else { return 0 };
        self.evictable.remove(&assembly.arrival);
        self.expiry.remove(&(assembly.due, lane, id));
        self.give_state(UNFINISHED_COST);
        assembly.total() + OVERHEAD
    }

    fn drop_unfinished(&mut self, lane: LaneId, id: u64) {
        let cost = self.forget(lane, id);
        self.give_to_pool(cost);
    }

    /// Handles that a message is whole, with its room in the pool taken.
    fn complete(&mut self, lane: LaneId, id: u64, payload: Bytes, due: Time) {
        match lane.class {
            Class::Latest => return self.complete_latest(lane, id, payload),
            Class::Deadline => self.mark_seen(lane, id),
            _ => {}
        }
        self.make_ready(lane, id, payload, due);
    }

    /// Ends older messages; this one replaces one that was not taken.
    fn complete_latest(&mut self, lane: LaneId, id: u64, payload: Bytes) {
        while let Some((&(_, older), _)) = self.pending.range((lane, 0)..(lane, id)).next() {
            self.drop_unfinished(lane, older);
        }
        let cost = self.waiting_cost(lane);
        self.give_to_pool(cost);
        let others = self.others(lane);
        others.floor = id.saturating_add(1);
        // It is in the pool, which is smaller than 2^32.
        others.waiting = (payload.len() + OVERHEAD) as u32;
        self.make_ready(lane, id, payload, Time::from_micros(u64::MAX));
    }

    fn make_ready(&mut self, lane: LaneId, id: u64, payload: Bytes, due: Time) {
        let message = Message { channel: lane.channel, class: lane.class, payload };
        self.ready.push(message, id, due);
    }

    /// Marks an id as seen (D-7). A gap takes memory, for at most 2,048 channels when the pool is 4
    /// MiB; without memory, the ids in the gap are given up.
    fn mark_seen(&mut self, lane: LaneId, id: u64) {
        let before = self.others(lane).seen.holds_memory();
        let needs = self.others(lane).seen.needs_memory(id);
        let full = self.gaps + SEEN_BITS_LEN > self.rules.config.pool / 4;
        let blind = needs && (full || !self.take_state(SEEN_BITS_LEN));
        let seen = &mut self.others(lane).seen;
        if blind {
            seen.mark_without_gap(id);
        } else {
            seen.mark(id);
        }
        match (before, seen.holds_memory()) {
            (false, true) => self.gaps += SEEN_BITS_LEN,
            (true, false) => {
                self.gaps -= SEEN_BITS_LEN;
                self.give_state(SEEN_BITS_LEN);
            }
            _ => {}
        }
    }

    fn others(&mut self, lane: LaneId) -> &mut Others {
        self.channels.get_or_default(lane.channel).others.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::{
        inbox::InboxConfig,
        inbox::tests::{CONFIG, NOW, fragment, half, inbox, kept, on, pop, with},
    };

    fn later(millis: u64) -> Time {
        NOW + Duration::from_millis(millis)
    }

    // D-6
    #[test]
    fn d6_all_but_the_newest_of_many_unfinished_latest_may_be_dropped() {
        let mut inbox = inbox();
        // In any order: 3 and 9 arrive after a newer one has begun.
        for id in [0, 2, 1, 7, 3, 12, 9] {
            assert!(kept(&mut inbox, half(fragment(Class::Latest, id, &[1; 20]))));
        }
        assert_eq!((inbox.pending.len(), inbox.evictable.len()), (7, 6));
        while inbox.evict_one() {}
        let left: Vec<u64> = inbox.pending.keys().map(|(_, id)| *id).collect();
        assert_eq!(left, [12]);
    }

    #[test]
    fn a_latest_message_replaces_an_older_one_that_was_not_taken() {
        let mut inbox = inbox();
        for id in [0, 2, 1] {
            assert!(kept(&mut inbox, fragment(Class::Latest, id, &[id as u8; 10])));
        }
        assert_eq!(inbox.pool as usize, 10 + OVERHEAD);
        assert_eq!((pop(&mut inbox), pop(&mut inbox)), (Some(vec![2; 10]), None));
        assert!(kept(&mut inbox, fragment(Class::Latest, 2, &[2; 10])));
        assert_eq!((pop(&mut inbox), inbox.pool), (None, 0));
    }

    #[test]
    fn an_unfinished_latest_may_still_arrive_until_a_newer_one_is_complete() {
        let mut inbox = inbox();
        let (old, new) =
            (half(fragment(Class::Latest, 0, &[0])), half(fragment(Class::Latest, 1, &[1])));
        assert!(kept(&mut inbox, old) && kept(&mut inbox, new));
        assert!(kept(&mut inbox, Fragment { offset: 1, ..old }));
        assert_eq!(pop(&mut inbox), Some(vec![0, 0]));
        assert!(kept(&mut inbox, half(fragment(Class::Latest, 3, &[3]))));
        assert!(kept(&mut inbox, fragment(Class::Latest, 4, &[4])));
        assert!(inbox.pending.is_empty(), "1 and 3 are over");
    }

    // D-6
    #[test]
    fn d6_a_full_pool_drops_the_oldest_unfinished_unreliable() {
        let mut inbox = inbox();
        for id in 0..3 {
            assert!(kept(&mut inbox, half(fragment(Class::Unreliable, id, &[id as u8; 400]))));
        }
        let ids: Vec<u64> = inbox.pending.keys().map(|(_, id)| *id).collect();
        assert_eq!(ids, [1, 2]);
        for id in 1..3 {
            let data = [id as u8; 400];
            let rest = half(fragment(Class::Unreliable, id, &data));
            assert!(kept(&mut inbox, Fragment { offset: 400, ..rest }));
            assert!(inbox.has_ready());
        }
        assert!(
            kept(&mut inbox, fragment(Class::Unreliable, 3, &[0; 400])),
            "dropped, and not owed"
        );
        assert_eq!(inbox.pool, 2 * 864);
    }

    // D-2, D-6
    #[test]
    fn d2_resent_messages_are_refused_while_the_pool_is_full_and_accepted_later() {
        for class in [Class::Deadline, Class::Latest] {
            let mut inbox = inbox();
            assert!(kept(&mut inbox, fragment(Class::Unreliable, 0, &[0; 900])));
            assert!(kept(&mut inbox, fragment(Class::Unreliable, 1, &[0; 900])));
            assert!(!kept(&mut inbox, fragment(class, 0, &[9; 100])));
            pop(&mut inbox).unwrap();
            assert!(kept(&mut inbox, fragment(class, 0, &[9; 100])));
            pop(&mut inbox).unwrap();
            assert_eq!(pop(&mut inbox), Some(vec![9; 100]));
        }
    }

    // D-6
    #[test]
    fn d6_only_a_latest_that_its_sender_gave_up_is_dropped_for_others() {
        let mut inbox = inbox();
        assert!(kept(&mut inbox, half(fragment(Class::Latest, 0, &[0; 400]))));
        assert!(kept(&mut inbox, on(1, half(fragment(Class::Latest, 0, &[0; 400])))));
        let newer = half(fragment(Class::Latest, 1, &[0; 400]));
        assert!(!kept(&mut inbox, on(2, newer)), "both may yet be finished");
        assert!(kept(&mut inbox, newer), "it replaces the older one");
        assert_eq!(inbox.pool, 2 * 864);
    }

    #[test]
    fn deadline_is_not_delivered_after_its_time() {
        let mut inbox = inbox();
        assert!(kept(&mut inbox, fragment(Class::Deadline, 0, &[0; 10])));
        assert!(kept(&mut inbox, on(1, fragment(Class::Deadline, 0, &[1; 10]))));
        let message = inbox.take(later(50), None).unwrap();
        assert_eq!(message.payload, &[0; 10][..]);
        assert_eq!(inbox.take(later(51), None), None);
        inbox.account_for_taken();
        assert_eq!((inbox.pool, inbox.has_ready()), (0, false));
    }

    // D-7
    #[test]
    fn an_unfinished_deadline_follows_its_fastest_fragment() {
        let mut inbox = inbox();
        let first = half(fragment(Class::Deadline, 0, &[0; 10]));
        assert!(kept(&mut inbox, first));
        let fast = Fragment { time_left: Some(Duration::from_millis(20)), ..first };
        assert!(kept(&mut inbox, fast));
        let rest = Fragment { offset: 10, ..first };
        assert_eq!(inbox.insert(later(21), rest), Ok(Kept::Yes));
        assert!(!inbox.has_ready());
    }

    // D-7
    #[test]
    fn d7_a_deadline_message_is_delivered_once() {
        let mut inbox = inbox();
        for id in [0, 2, 2, 0, 5_000, 2, 3_000, 3_000] {
            assert!(kept(&mut inbox, fragment(Class::Deadline, id, &[id as u8])));
        }
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut inbox)).flatten().collect();
        assert_eq!(order, [0, 2, 5_000_u64 as u8, 3_000_u64 as u8]);
    }

    // D-7
    #[test]
    fn without_memory_for_a_gap_the_ids_in_it_are_refused() {
        let mut inbox = inbox();
        assert!(kept(&mut inbox, on(1, fragment(Class::Deadline, 5, &[5]))), "takes all there is");
        assert!(kept(&mut inbox, fragment(Class::Deadline, 5, &[5])));
        assert!(!kept(&mut inbox, fragment(Class::Deadline, 4, &[4])));
        assert!(kept(&mut inbox, fragment(Class::Deadline, 6, &[6])));
        (0..5).for_each(|id| assert!(kept(&mut inbox, on(1, fragment(Class::Deadline, id, &[])))));
        assert_eq!(inbox.gaps, 0, "the gap of channel 1 is closed");
        assert!(kept(&mut inbox, fragment(Class::Deadline, 8, &[8])));
        assert!(kept(&mut inbox, fragment(Class::Deadline, 7, &[7])), "now it is remembered");
    }

    #[test]
    fn d7_a_gap_takes_no_room_in_the_pool() {
        let mut inbox = inbox();
        assert!(kept(&mut inbox, fragment(Class::Deadline, 5, &[5])));
        pop(&mut inbox).unwrap();
        assert_eq!((inbox.pool, inbox.gaps), (0, SEEN_BITS_LEN));
    }

    // D-6
    #[test]
    fn d6_a_message_larger_than_every_pool_closes() {
        let mut inbox = with(InboxConfig { max_message: 16 << 20, ..CONFIG });
        let huge = Fragment {
            total: UNCREDITED_POOL - OVERHEAD + 1,
            ..fragment(Class::Unreliable, 0, &[0; 10])
        };
        assert!(inbox.insert(NOW, huge).is_err());
        assert_eq!(pop(&mut inbox), None);
    }
}
