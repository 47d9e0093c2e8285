//! The newest events of a room as machine lines, shared by all who are sent them.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hikyaku::Bytes;
use tokio::sync::watch;

use crate::{
    event::Seq,
    limits::{MAX_LOG_EVENTS, MAX_WINDOW_LEN, WINDOW_BATCH},
};

/// What is next for a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Events, in their order.
    Lines(Vec<(Seq, Bytes)>),
    /// Events up to this one are not remembered any more.
    Missed(Seq),
}

#[derive(Debug, Default)]
pub(super) struct Window {
    lines: Mutex<Lines>,
    head: watch::Sender<Seq>,
}

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<(Seq, Bytes)>,
    /// Bytes in `lines`.
    len: usize,
    /// The last number that has been forgotten.
    forgotten: Seq,
}

impl Window {
    /// A poisoned lock means that a task panicked between two statements that cannot.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an event; numbers grow.
    pub(super) fn push(&self, seq: Seq, line: Bytes) {
        let mut window = self.lock();
        window.len += line.len();
        window.lines.push_back((seq, line));
        while (window.lines.len() > MAX_LOG_EVENTS || window.len > MAX_WINDOW_LEN)
            && let Some((oldest, line)) = window.lines.pop_front()
        {
            window.len -= line.len();
            window.forgotten = oldest;
        }
        drop(window);
        self.head.send_replace(seq);
    }

    /// Returns what comes after `cursor`, a batch at most, if anything does.
    pub(super) fn after(&self, cursor: Seq) -> Option<Next> {
        let window = self.lock();
        if cursor < window.forgotten {
            return Some(Next::Missed(window.forgotten));
        }
        let first = window.lines.partition_point(|(seq, _)| *seq <= cursor);
        let lines: Vec<_> = window.lines.range(first..).take(WINDOW_BATCH).cloned().collect();
        (!lines.is_empty()).then_some(Next::Lines(lines))
    }

    /// Returns a receiver that changes with each event.
    pub(super) fn heads(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seqs(window: &Window, cursor: u64) -> Option<Vec<u64>> {
        match window.after(Seq(cursor))? {
            Next::Lines(lines) => Some(lines.into_iter().map(|(seq, _)| seq.0).collect()),
            Next::Missed(seq) => Some(vec![u64::MAX, seq.0]),
        }
    }

    #[test]
    fn a_cursor_gets_what_comes_after_it_a_batch_at_a_time() {
        let window = Window::default();
        for seq in [3, 5, 9] {
            window.push(Seq(seq), Bytes::from_static(b"x"));
        }
        assert_eq!(seqs(&window, 0), Some(vec![3, 5, 9]));
        assert_eq!(seqs(&window, 4), Some(vec![5, 9]));
        assert_eq!(seqs(&window, 9), None);
        for seq in 10..200 {
            window.push(Seq(seq), Bytes::from_static(b"x"));
        }
        assert_eq!(seqs(&window, 9).map(|seqs| seqs.len()), Some(WINDOW_BATCH));
    }

    #[test]
    fn memory_is_bounded_by_count_and_bytes_and_the_slow_learn_that_they_missed_something() {
        let window = Window::default();
        for seq in 1..=MAX_LOG_EVENTS as u64 + 7 {
            window.push(Seq(seq), Bytes::from_static(b"x"));
        }
        assert_eq!(seqs(&window, 6), Some(vec![u64::MAX, 7]));
        assert_eq!(seqs(&window, 7).map(|seqs| seqs[0]), Some(8));
        for seq in 2_000..3_000 {
            window.push(Seq(seq), vec![b'x'; 16_000].into());
        }
        let lines = window.lock();
        assert!(lines.len <= MAX_WINDOW_LEN && lines.lines.len() > 200, "{}", lines.lines.len());
    }
}
