//! Messages received that wait for the applications of one connection.
//!
//! In: messages, from the driver; the time. Out: the same, but for those that a newer one replaced
//! (Latest) or whose time is up (Deadline). Never: a lock, who waits.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    mem,
    sync::Arc,
};

use hikyaku_proto::{ChannelId, Class, Message, time::Time};
use tokio::sync::Notify;

use crate::limits::{MAX_APART, MAX_INCOMING, MESSAGE_COST};

/// A message, and when its deadline is over.
pub(crate) type Kept = (Message, Option<Time>);

/// What waits: of channels that are read for themselves, and of all others.
pub(crate) struct Received {
    common: Queue,
    apart: BTreeMap<ChannelId, Queue>,
}

/// Messages in the order they came, and who waits for them.
pub(crate) struct Queue {
    messages: VecDeque<Kept>,
    /// How many were taken: the place of the first one that waits.
    taken: u64,
    /// The place of the Latest of each channel, of those that wait.
    latest: BTreeMap<ChannelId, u64>,
    bytes: usize,
    /// No more are let in from so many bytes on.
    room: usize,
    /// The driver has more than there was room for.
    more: bool,
    /// There are messages, or the connection is over.
    arrived: Arc<Notify>,
}

impl Received {
    pub(crate) fn new() -> Self {
        Self { common: Queue::new(MAX_INCOMING), apart: BTreeMap::new() }
    }

    /// What waits for who reads this channel, or all that are not read for themselves.
    pub(crate) fn queue(&mut self, channel: Option<ChannelId>) -> &mut Queue {
        let apart = channel.and_then(|channel| self.apart.get_mut(&channel));
        apart.unwrap_or(&mut self.common)
    }

    /// This channel is read for itself from now on. False when it was before.
    pub(crate) fn set_apart(&mut self, channel: ChannelId) -> bool {
        let Entry::Vacant(entry) = self.apart.entry(channel) else { return false };
        let mine = entry.insert(Queue::new(MAX_APART));
        let common = &mut self.common;
        common.taken = 0;
        common.bytes = 0;
        common.latest.clear();
        for kept in mem::take(&mut common.messages) {
            if kept.0.channel == channel { mine.push(kept) } else { common.push(kept) }
        }
        true
    }

    /// The channels that are read for themselves.
    pub(crate) fn apart(&self) -> Vec<ChannelId> {
        self.apart.keys().copied().collect()
    }

    /// Lets messages in while there is room, with `all` however many there are: `next` is asked for
    /// each. Returns who is to be woken.
    pub(crate) fn fill(
        &mut self,
        channel: Option<ChannelId>,
        all: bool,
        mut next: impl FnMut() -> Option<Kept>,
    ) -> Option<Arc<Notify>> {
        if channel.is_some() {
            return self.queue(channel).fill(all, next);
        }
        let Self { common, apart } = self;
        common.fill(all, || {
            loop {
                let kept = next()?;
                // The protocol has not heard yet that this channel is read for itself. What it has
                // of it is bounded by its credit.
                let Some(queue) = apart.get_mut(&kept.0.channel) else { return Some(kept) };
                queue.push(kept);
                queue.arrived.notify_waiters();
            }
        })
    }

    /// Bytes of what waits.
    pub(crate) fn bytes(&self) -> usize {
        self.common.bytes + self.apart.values().map(|queue| queue.bytes).sum::<usize>()
    }

    /// Returns `true` if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.common.messages.is_empty()
            && self.apart.values().all(|queue| queue.messages.is_empty())
    }

    /// The connection is over.
    pub(crate) fn wake_all(&self) {
        self.common.arrived.notify_waiters();
        self.apart.values().for_each(|queue| queue.arrived.notify_waiters());
    }
}

impl Queue {
    fn new(room: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            taken: 0,
            latest: BTreeMap::new(),
            bytes: 0,
            room,
            more: false,
            arrived: Arc::default(),
        }
    }

    pub(crate) fn arrived(&self) -> Arc<Notify> {
        Arc::clone(&self.arrived)
    }

    /// Takes up to `limit` messages whose time is not up; `take` gets each.
    pub(crate) fn take(
        &mut self,
        limit: usize,
        now: impl Fn() -> Time,
        mut take: impl FnMut(Message),
    ) -> usize {
        let mut count = 0;
        while count < limit
            && let Some((message, expires)) = self.messages.pop_front()
        {
            self.taken += 1;
            self.bytes -= cost(&message);
            if message.class == Class::Latest {
                self.latest.remove(&message.channel);
            }
            if expires.is_none_or(|at| now() <= at) {
                take(message);
                count += 1;
            }
        }
        count
    }

    /// Is there room for what the driver has? True once, until it was asked.
    pub(crate) fn wants_more(&mut self) -> bool {
        self.bytes <= self.room / 2 && mem::take(&mut self.more)
    }

    fn fill(&mut self, all: bool, mut next: impl FnMut() -> Option<Kept>) -> Option<Arc<Notify>> {
        let mut any = false;
        self.more = true;
        while all || self.bytes < self.room {
            let Some(kept) = next() else {
                self.more = false;
                break;
            };
            self.push(kept);
            any = true;
        }
        any.then(|| self.arrived())
    }

    /// As in the protocol's own queue, a Latest takes the place of the one that waits (D-6).
    fn push(&mut self, kept: Kept) {
        self.bytes += cost(&kept.0);
        if kept.0.class == Class::Latest {
            match self.latest.entry(kept.0.channel) {
                Entry::Vacant(entry) => {
                    entry.insert(self.taken + self.messages.len() as u64);
                }
                Entry::Occupied(entry) => {
                    let place = usize::try_from(entry.get() - self.taken).ok();
                    if let Some(older) = place.and_then(|place| self.messages.get_mut(place)) {
                        self.bytes -= cost(&older.0);
                        *older = kept;
                    }
                    return;
                }
            }
        }
        self.messages.push_back(kept);
    }
}

fn cost(message: &Message) -> usize {
    message.payload.len() + MESSAGE_COST
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_000);

    fn kept(channel: u16, class: Class, says: u8) -> Kept {
        let expires = (class == Class::Deadline).then_some(NOW);
        (Message::new(ChannelId(channel), class, vec![says]), expires)
    }

    fn fill(received: &mut Received, channel: Option<u16>, kept: Vec<Kept>) -> bool {
        let mut kept = kept.into_iter();
        received.fill(channel.map(ChannelId), true, || kept.next()).is_some()
    }

    fn take(received: &mut Received, channel: Option<u16>, now: Time) -> Vec<u8> {
        let mut all = Vec::new();
        let queue = received.queue(channel.map(ChannelId));
        queue.take(usize::MAX, || now, |message| all.extend(message.payload));
        all
    }

    #[test]
    fn a_latest_takes_the_place_of_the_one_that_waits_on_its_channel() {
        let mut received = Received::new();
        let latest = |channel, says| kept(channel, Class::Latest, says);
        let first = vec![kept(0, Class::Ordered, 0), latest(1, 1), latest(2, 2), latest(1, 3)];
        assert!(fill(&mut received, None, first));
        assert_eq!(received.common.bytes, 3 * (1 + MESSAGE_COST));
        let mut one = None;
        received.common.take(1, || NOW, |message| one = Some(message.payload));
        fill(&mut received, None, vec![latest(2, 4)]);
        assert_eq!((one, take(&mut received, None, NOW)), (Some(vec![0].into()), vec![3, 4]));
        fill(&mut received, None, vec![latest(1, 5)]);
        assert_eq!(take(&mut received, None, NOW), [5]);
        assert!(received.common.latest.is_empty() && received.common.bytes == 0);
    }

    #[test]
    fn a_deadline_is_judged_when_it_is_taken() {
        let mut received = Received::new();
        for (late, expected) in [(0, vec![1, 2]), (1, vec![2])] {
            let both = vec![kept(0, Class::Deadline, 1), kept(0, Class::Unreliable, 2)];
            fill(&mut received, None, both);
            let now = Time::from_micros(1_000 + late);
            assert_eq!(take(&mut received, None, now), expected);
            assert_eq!(received.common.bytes, 0);
        }
    }

    #[test]
    fn a_channel_set_apart_takes_what_waits_of_it_along() {
        let mut received = Received::new();
        let latest = |channel, says| kept(channel, Class::Latest, says);
        fill(&mut received, None, vec![latest(1, 1), latest(2, 2), kept(1, Class::Ordered, 3)]);
        assert!(received.set_apart(ChannelId(1)) && !received.set_apart(ChannelId(1)));
        // On their way when it was set apart.
        assert!(!fill(&mut received, None, vec![latest(1, 4)]));
        assert!(fill(&mut received, None, vec![latest(2, 5)]));
        assert_eq!(take(&mut received, Some(1), NOW), [4, 3]);
        assert_eq!(take(&mut received, None, NOW), [5]);
        assert_eq!(received.apart(), [ChannelId(1)]);
    }

    #[test]
    fn more_is_asked_for_once_half_of_the_room_is_free() {
        let mut queue = Queue::new(4 * (1 + MESSAGE_COST));
        let fill = |queue: &mut Queue| queue.fill(false, || Some(kept(0, Class::Ordered, 0)));
        assert!(fill(&mut queue).is_some() && queue.messages.len() == 4);
        let one = |queue: &mut Queue| queue.take(1, || NOW, drop) == 1 && queue.wants_more();
        assert_eq!([(); 3].map(|()| one(&mut queue)), [false, true, false]);
    }
}
