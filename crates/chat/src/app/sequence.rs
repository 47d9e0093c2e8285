//! Delivers the events of a log in order, each once, whatever the network does.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    event::{Event, Seq},
    limits::{MAX_HELD_EVENTS, REPLAY_TRIES, REPLAY_WAIT},
    time::Time,
};

/// A reader's position in a log, and the events that arrived early.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    /// The last event delivered. `None` until the log is known.
    cursor: Option<Seq>,
    held: BTreeMap<Seq, Arc<Event>>,
    /// A number that the log has reached.
    head: Seq,
    /// How often, and when, the missing events were last requested.
    asked: Option<(u32, Time)>,
}

/// What to do about missing events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Request the events after this one.
    Ask(Seq),
    /// Continue without them: at least this many are missing.
    GiveUp(u64),
}

impl Sequence {
    /// Starts after `head`, with another log or another membership.
    pub(crate) fn restart(&mut self, head: Seq) {
        self.cursor = Some(head);
        self.head = head;
        self.held.retain(|seq, _| *seq > head);
        self.asked = None;
    }

    /// Records that the log has reached `head`.
    pub(crate) fn reaches(&mut self, head: Seq) {
        self.head = self.head.max(head);
    }

    /// Stores an event unless it was delivered. [`Self::next`] returns it in order.
    pub(crate) fn put(&mut self, event: Arc<Event>) {
        let Some(seq) = event.seq else { return };
        if self.cursor.is_some_and(|cursor| seq <= cursor) {
            return;
        }
        self.held.insert(seq, event);
        // Without the first event the later ones are useless: it is requested again.
        if self.held.len() > MAX_HELD_EVENTS {
            self.held.pop_last();
        }
        self.head = self.head.max(seq);
    }

    /// Returns the next event, once all before it have been delivered.
    pub(crate) fn next(&mut self) -> Option<Arc<Event>> {
        let cursor = self.cursor?;
        let entry = self.held.first_entry().filter(|entry| entry.get().prev <= cursor)?;
        let (seq, event) = entry.remove_entry();
        self.cursor = Some(seq);
        self.asked = None;
        Some(event)
    }

    /// Returns when to call [`Self::handle_timeout`], if anything is missing.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let cursor = self.cursor?;
        (self.head > cursor).then(|| self.asked.map_or(Time::ZERO, |(_, at)| at + REPLAY_WAIT))
    }

    /// Returns what to do about missing events now.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> Option<Missing> {
        let cursor = self.cursor?;
        if self.poll_timeout()? > now {
            return None;
        }
        let tries = self.asked.map_or(0, |(tries, _)| tries);
        if tries < REPLAY_TRIES {
            self.asked = Some((tries + 1, now));
            return Some(Missing::Ask(cursor));
        }
        Some(Missing::GiveUp(self.give_up()))
    }

    /// Continues with the oldest event that is here. Returns how many before it are missing.
    pub(crate) fn give_up(&mut self) -> u64 {
        let Some(cursor) = self.cursor else { return 0 };
        let to = self.held.first_key_value().map_or(self.head, |(_, event)| event.prev);
        self.cursor = Some(to.max(cursor));
        self.asked = None;
        to.0.saturating_sub(cursor.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{event::Kind, time::Stamp};

    fn event(seq: u64) -> Arc<Event> {
        let mut event = Event::new(Stamp::from_millis(0), None, None, Kind::Joined);
        (event.seq, event.prev) = (Some(Seq(seq)), Seq(seq - 1));
        Arc::new(event)
    }

    fn taken(sequence: &mut Sequence) -> Vec<u64> {
        std::iter::from_fn(|| sequence.next()).filter_map(|event| event.seq).map(|s| s.0).collect()
    }

    fn at(millis: u64) -> Time {
        Time::from_epoch(std::time::Duration::from_millis(millis))
    }

    #[test]
    fn a_missing_event_is_requested_and_later_ones_wait() {
        let mut sequence = Sequence::default();
        sequence.restart(Seq(4));
        sequence.put(event(7));
        assert!(taken(&mut sequence).is_empty());
        assert_eq!(sequence.handle_timeout(at(10)), Some(Missing::Ask(Seq(4))));
        assert_eq!(sequence.handle_timeout(at(10)), None);
        for seq in [5, 6, 7] {
            sequence.put(event(seq));
        }
        assert_eq!(taken(&mut sequence), [5, 6, 7]);
        assert_eq!(sequence.poll_timeout(), None);
    }

    #[test]
    fn events_that_nobody_repeats_are_given_up() {
        let mut sequence = Sequence::default();
        sequence.restart(Seq(1));
        sequence.put(event(4));
        for try_ in 0..u64::from(REPLAY_TRIES) {
            let asked = sequence.handle_timeout(at(try_ * 400));
            assert_eq!(asked, Some(Missing::Ask(Seq(1))));
        }
        assert_eq!(sequence.handle_timeout(at(1_200)), Some(Missing::GiveUp(2)));
        assert_eq!(taken(&mut sequence), [4]);
    }

    #[test]
    fn a_known_head_shows_that_the_newest_is_missing() {
        let mut sequence = Sequence::default();
        sequence.restart(Seq(4));
        sequence.reaches(Seq(6));
        assert_eq!(sequence.handle_timeout(at(0)), Some(Missing::Ask(Seq(4))));
    }

    #[test]
    fn sparse_numbers_are_not_gaps() {
        let mut sequence = Sequence::default();
        sequence.restart(Seq(10));
        let mut later = Arc::unwrap_or_clone(event(50));
        later.prev = Seq(10);
        sequence.put(Arc::new(later));
        assert_eq!(taken(&mut sequence), [50]);
    }

    proptest! {
        #[test]
        fn each_event_is_delivered_once_and_in_order(
            start in 0_u64..5,
            arrivals in proptest::collection::vec(1_u64..40, 0..200),
        ) {
            let mut sequence = Sequence::default();
            sequence.restart(Seq(start));
            let mut all = Vec::new();
            for (step, seq) in arrivals.into_iter().enumerate() {
                sequence.put(event(seq));
                sequence.handle_timeout(at(step as u64 * 100));
                all.extend(taken(&mut sequence));
            }
            prop_assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
            prop_assert!(all.iter().all(|seq| *seq > start));
        }
    }
}
