//! The log of a room, which gives its events their numbers.
//!
//! A room appends events and takes them out numbered, immediately or later, with other writers'
//! events between them. So a log may be on a disk, shared by several hosts, or in memory.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    event::{Event, Seq},
    limits::{EVENT_OVERHEAD, MAX_LOG_EVENTS, MAX_LOG_LEN},
    store::StoreError,
};

/// What became of an event that was submitted.
#[derive(Clone, Debug)]
pub enum Committed {
    /// It has its number, and is stored if the log stores anything.
    Event(Arc<Event>),
    /// Its author had submitted its id before: nothing was appended.
    Repeated {
        /// The event as submitted.
        event: Box<Event>,
        /// The number that it has.
        seq: Seq,
    },
    /// It could not be stored: nothing was appended.
    Failed {
        /// The event as submitted.
        event: Box<Event>,
        /// Why.
        why: StoreError,
    },
}

/// An ordered list of events, of which a room is one writer.
pub trait Log {
    /// Appends an event. [`Log::committed`] returns it with its number, now or later.
    fn submit(&mut self, event: Event);

    /// Returns what became of the next event, if it was not taken yet. Numbers grow strictly; gaps
    /// and events of other writers are possible.
    fn committed(&mut self) -> Option<Committed>;

    /// Returns the number of the event taken last, 0 before the first.
    fn head(&self) -> Seq;

    /// Returns the stored events after `seq`, as far as they have been taken, or `None` if one of
    /// them is no longer stored.
    fn after(&self, seq: Seq) -> Option<impl DoubleEndedIterator<Item = &Arc<Event>>>;
}

/// A log in memory that keeps the newest events and numbers from 1.
#[derive(Debug, Default)]
pub struct MemoryLog {
    events: VecDeque<Arc<Event>>,
    /// The number of `events`, at the end, that have not been taken.
    waiting: usize,
    /// The last number assigned.
    last: u64,
    /// The last number no longer stored.
    forgotten: u64,
    /// Bytes in `events`.
    len: usize,
}

impl MemoryLog {
    /// Creates an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn cost(event: &Event) -> usize {
        event.weight() + EVENT_OVERHEAD
    }
}

impl Log for MemoryLog {
    fn submit(&mut self, mut event: Event) {
        event.prev = Seq(self.last);
        self.last += 1;
        event.seq = Some(Seq(self.last));
        self.len += Self::cost(&event);
        self.events.push_back(Arc::new(event));
        self.waiting += 1;
    }

    fn committed(&mut self) -> Option<Committed> {
        let next = self.events.len().checked_sub(self.waiting)?;
        let event = Arc::clone(self.events.get(next)?);
        self.waiting -= 1;
        while (self.events.len() > MAX_LOG_EVENTS || self.len > MAX_LOG_LEN)
            && self.events.len() > self.waiting
            && let Some(oldest) = self.events.pop_front()
        {
            self.len -= Self::cost(&oldest);
            self.forgotten += 1;
        }
        Some(Committed::Event(event))
    }

    fn head(&self) -> Seq {
        Seq(self.last - self.waiting as u64)
    }

    fn after(&self, seq: Seq) -> Option<impl DoubleEndedIterator<Item = &Arc<Event>>> {
        if seq.0 < self.forgotten {
            return None;
        }
        let known = self.events.len() - self.waiting;
        let skipped = usize::try_from(seq.0 - self.forgotten).unwrap_or(usize::MAX);
        Some(self.events.range(skipped.min(known)..known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Kind, time::Stamp};

    fn said(text: &str) -> Event {
        let text = text.to_owned();
        Event::new(Stamp::from_millis(0), None, None, Kind::Said { text, emote: false })
    }

    fn seqs(log: &MemoryLog, after: u64) -> Option<Vec<u64>> {
        let events = log.after(Seq(after))?;
        Some(events.map(|event| event.seq.map_or(0, |seq| seq.0)).collect())
    }

    #[test]
    fn numbers_are_given_in_the_order_of_submission() {
        let mut log = MemoryLog::new();
        log.submit(said("a"));
        log.submit(said("b"));
        assert_eq!((log.head(), seqs(&log, 0)), (Seq(0), Some(vec![])));
        let taken: Vec<_> = std::iter::from_fn(|| log.committed())
            .map(|committed| match committed {
                Committed::Event(event) => event.seq,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(taken, [Some(Seq(1)), Some(Seq(2))]);
        assert_eq!((log.head(), seqs(&log, 1)), (Seq(2), Some(vec![2])));
        assert_eq!(seqs(&log, 9), Some(vec![]));
    }

    #[test]
    fn the_oldest_events_are_dropped_and_reported_as_missing() {
        let mut log = MemoryLog::new();
        for _ in 0..MAX_LOG_EVENTS + 5 {
            log.submit(said("x"));
            log.committed();
        }
        assert_eq!(seqs(&log, 4), None);
        assert_eq!(seqs(&log, 5).map(|seqs| (seqs[0], seqs.len())), Some((6, MAX_LOG_EVENTS)));
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        let mut log = MemoryLog::new();
        for _ in 0..MAX_LOG_EVENTS {
            log.submit(said(&"x".repeat(4_096)));
            log.committed();
        }
        assert!(log.len <= MAX_LOG_LEN && log.events.len() > 200, "{}", log.events.len());
    }
}
