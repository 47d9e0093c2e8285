//! The logs of all rooms that a client is in. Each is ordered independently.

use std::{collections::BTreeMap, sync::Arc};

use super::sequence::{Missing, Sequence};
use crate::{
    event::{Event, Seq},
    limits::MAX_ROOMS_PER_MEMBER,
    room_name::RoomName,
    time::Time,
};

/// A sequence per room. An event names the one before it in its room.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    general: Sequence,
    others: BTreeMap<RoomName, Sequence>,
}

impl Sequences {
    /// Starts after `head`, with another log or another membership.
    pub(super) fn restart(&mut self, head: Seq) {
        self.general.restart(head);
        self.others.clear();
    }

    /// Records that the log of #general has reached `head`.
    pub(super) fn reaches(&mut self, head: Seq) {
        self.general.reaches(head);
    }

    /// Stores an event unless it was delivered. [`Self::next`] returns it in order.
    pub(super) fn put(&mut self, event: Arc<Event>) {
        if event.room.is_general() {
            return self.general.put(event);
        }
        if !self.others.contains_key(&event.room) {
            if self.others.len() >= MAX_ROOMS_PER_MEMBER {
                self.others.pop_first();
            }
            // The first event of a room is the client's own arrival, or one after it.
            let mut room = Sequence::default();
            room.restart(event.prev);
            self.others.insert(event.room.clone(), room);
        }
        if let Some(room) = self.others.get_mut(&event.room) {
            room.put(event);
        }
    }

    /// Returns the next event, once all before it in its room have been delivered.
    pub(super) fn next(&mut self) -> Option<Arc<Event>> {
        self.all().find_map(Sequence::next)
    }

    /// Returns when to call [`Self::handle_timeout`], if anything is missing.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let all = std::iter::once(&self.general).chain(self.others.values());
        all.filter_map(Sequence::poll_timeout).min()
    }

    /// Returns what to do about missing events now.
    pub(super) fn handle_timeout(&mut self, now: Time) -> Option<Missing> {
        self.all().find_map(|room| room.handle_timeout(now))
    }

    /// Continues with the oldest events that are here.
    pub(super) fn give_up(&mut self) {
        for room in self.all() {
            if room.poll_timeout().is_some() {
                room.give_up();
            }
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Sequence> {
        std::iter::once(&mut self.general).chain(self.others.values_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Kind, time::Stamp};

    fn event(room: &str, seq: u64, prev: u64) -> Arc<Event> {
        let mut event = Event::new(Stamp::from_millis(0), None, None, Kind::Joined);
        (event.seq, event.prev, event.room) = (Some(Seq(seq)), Seq(prev), room.parse().unwrap());
        Arc::new(event)
    }

    fn taken(sequences: &mut Sequences) -> Vec<u64> {
        let numbers = std::iter::from_fn(|| sequences.next());
        numbers.filter_map(|event| event.seq).map(|seq| seq.0).collect()
    }

    #[test]
    fn missing_events_of_one_room_do_not_delay_other_rooms() {
        let mut sequences = Sequences::default();
        sequences.restart(Seq(4));
        sequences.put(event("garden", 5, 2));
        // 6, in #general, is lost.
        sequences.put(event("garden", 7, 5));
        sequences.put(event("general", 8, 6));
        assert_eq!(taken(&mut sequences), [5, 7]);
        assert_eq!(sequences.handle_timeout(Time::ZERO), Some(Missing::Ask(Seq(4))));
        sequences.put(event("general", 6, 4));
        assert_eq!(taken(&mut sequences), [6, 8]);
        assert_eq!(sequences.poll_timeout(), None);
    }

    #[test]
    fn rooms_are_bounded() {
        let mut sequences = Sequences::default();
        for n in 0..100 {
            sequences.put(event(&format!("r{n}"), n + 1, n));
        }
        assert_eq!(sequences.others.len(), MAX_ROOMS_PER_MEMBER);
    }
}
