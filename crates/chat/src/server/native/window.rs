//! The newest events of a chat as machine lines, shared by all members that receive them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku::Bytes;
use tokio::sync::watch;

use crate::{
    event::Seq,
    limits::{MAX_LOG_EVENTS, MAX_WINDOW_LEN, WINDOW_BATCH},
    store::{Readers, Rights},
};

/// Who may read a line of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) enum For {
    /// Every member.
    All,
    /// The readers of a stored event.
    Some(Readers),
}

/// A line of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct Entry {
    /// The number in the log, unless it is not in the log.
    pub(in crate::server) seq: Option<Seq>,
    pub(in crate::server) readers: For,
    /// The key of the author, who sees their own events in every room.
    pub(in crate::server) author: Option<Arc<str>>,
    pub(in crate::server) line: Bytes,
}

impl Rights {
    pub(super) fn allow(&self, entry: &Entry) -> bool {
        let is_own = || entry.author.as_ref() == Some(&self.key);
        let since = |room| self.rooms.get(room);
        match &entry.readers {
            For::All => true,
            For::Some(Readers::Room(room)) => {
                since(room).is_some_and(|since| entry.seq.is_none_or(|seq| seq > *since))
                    || is_own()
            }
            For::Some(Readers::Two(one, other)) => {
                *one == self.key || *other == self.key || is_own()
            }
        }
    }
}

/// What follows a position in the window.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Lines in order, and the position after them.
    Lines(Vec<Entry>, u64),
    /// Nothing yet.
    Nothing,
    /// Lines from that position on are no longer in memory.
    Behind,
}

#[derive(Debug, Default)]
pub(in crate::server) struct Window {
    lines: Mutex<Lines>,
    head: watch::Sender<u64>,
}

/// Lines have positions, counted from 0, because not every line has a number.
#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<Entry>,
    /// The position of the first line.
    first: u64,
    /// Bytes in `lines`.
    len: usize,
    /// The last number that is no longer in memory.
    forgotten: Seq,
}

impl Window {
    /// Creates the window of a log that has reached `head`.
    pub(in crate::server) fn new(head: Seq) -> Self {
        let lines = Lines { forgotten: head, ..Lines::default() };
        Self { lines: Mutex::new(lines), head: watch::Sender::default() }
    }

    /// A poisoned lock would mean a panic between two statements that cannot panic.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().len
    }

    /// Appends a line; numbers grow. Waiting readers continue after [`Self::announce`].
    pub(in crate::server) fn push(&self, entry: Entry) {
        let mut window = self.lock();
        window.len += entry.line.len();
        window.lines.push_back(entry);
        while (window.lines.len() > MAX_LOG_EVENTS || window.len > MAX_WINDOW_LEN)
            && let Some(oldest) = window.lines.pop_front()
        {
            window.first += 1;
            window.len -= oldest.line.len();
            window.forgotten = oldest.seq.unwrap_or(window.forgotten);
        }
    }

    /// Wakes readers that wait for more lines.
    pub(super) fn announce(&self) {
        let end = self.lock().end();
        self.head.send_replace(end);
    }

    /// Returns the position after the event with the number `seq`, or the last number that is no
    /// longer in memory.
    pub(super) fn place_after(&self, seq: Seq) -> Result<u64, Seq> {
        let window = self.lock();
        if seq < window.forgotten {
            return Err(window.forgotten);
        }
        // A line without a number follows the number before it.
        let is_before = |entry: &Entry| entry.seq.is_none_or(|of| of <= seq);
        let skipped = window.lines.iter().take_while(|entry| is_before(entry)).count();
        Ok(window.first + skipped as u64)
    }

    /// Returns what comes at a place, a batch at most.
    pub(super) fn after(&self, place: u64) -> Next {
        let window = self.lock();
        let Some(skipped) = place.checked_sub(window.first) else { return Next::Behind };
        let first = usize::try_from(skipped).unwrap_or(usize::MAX).min(window.lines.len());
        let lines: Vec<_> = window.lines.range(first..).take(WINDOW_BATCH).cloned().collect();
        match lines.len() {
            0 => Next::Nothing,
            count => Next::Lines(lines, window.first + (first + count) as u64),
        }
    }

    /// Returns a receiver that changes when lines are announced.
    pub(super) fn heads(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
}

impl Lines {
    fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::room_name::RoomName;

    fn entry(seq: Option<u64>, len: usize) -> Entry {
        let readers = For::Some(Readers::Room(RoomName::general()));
        Entry { seq: seq.map(Seq), readers, author: None, line: vec![b'x'; len].into() }
    }

    fn push(window: &Window, seq: u64) {
        window.push(entry(Some(seq), 1));
    }

    /// The numbers after `seq`, or the last that is no longer in memory.
    fn seqs(window: &Window, seq: u64) -> Result<Vec<u64>, u64> {
        let place = window.place_after(Seq(seq)).map_err(|forgotten| forgotten.0)?;
        match window.after(place) {
            Next::Lines(lines, next) => {
                assert_eq!(next, place + lines.len() as u64);
                Ok(lines.into_iter().map(|entry| entry.seq.map_or(0, |seq| seq.0)).collect())
            }
            Next::Nothing => Ok(Vec::new()),
            Next::Behind => panic!("the place was just found"),
        }
    }

    #[test]
    fn a_cursor_gets_what_comes_after_it_a_batch_at_a_time() {
        let window = Window::default();
        for seq in [3, 5, 9] {
            push(&window, seq);
        }
        assert_eq!(seqs(&window, 0), Ok(vec![3, 5, 9]));
        assert_eq!(seqs(&window, 4), Ok(vec![5, 9]));
        assert_eq!(seqs(&window, 9), Ok(vec![]));
        for seq in 10..200 {
            push(&window, seq);
        }
        assert_eq!(seqs(&window, 9).map(|seqs| seqs.len()), Ok(WINDOW_BATCH));
    }

    #[test]
    fn a_line_without_a_number_is_read_once_by_those_who_are_there() {
        let window = Window::default();
        push(&window, 1);
        let place = window.place_after(Seq(1)).unwrap();
        window.push(entry(None, 1));
        push(&window, 2);
        let Next::Lines(lines, next) = window.after(place) else { panic!() };
        assert_eq!(lines.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [None, Some(Seq(2))]);
        assert_eq!(window.after(next), Next::Nothing);
        assert_eq!(seqs(&window, 1), Ok(vec![2]), "later readers do not see it");
    }

    #[test]
    fn memory_is_bounded_by_count_and_bytes_and_the_slow_fall_behind() {
        let window = Window::new(Seq(0));
        for seq in 1..=MAX_LOG_EVENTS as u64 + 7 {
            push(&window, seq);
        }
        assert_eq!(seqs(&window, 6), Err(7));
        assert_eq!(window.after(0), Next::Behind);
        assert_eq!(seqs(&window, 7).map(|seqs| seqs[0]), Ok(8));
        for seq in 2_000..3_000 {
            window.push(entry(Some(seq), 16_000));
        }
        let lines = window.lock();
        assert!(lines.len <= MAX_WINDOW_LEN && lines.lines.len() > 200, "{}", lines.lines.len());
    }

    #[test]
    fn a_device_reads_its_rooms_its_whispers_and_what_is_its_own() {
        let garden: RoomName = "garden".parse().unwrap();
        let rooms = BTreeMap::from([(RoomName::general(), Seq(5))]);
        let rights = Rights { key: "me".into(), rooms };
        let in_room = |room: &RoomName, seq| {
            let readers = For::Some(Readers::Room(room.clone()));
            Entry { readers, ..entry(Some(seq), 1) }
        };
        assert!(rights.allow(&in_room(&RoomName::general(), 6)));
        assert!(!rights.allow(&in_room(&RoomName::general(), 5)), "from before it came");
        assert!(!rights.allow(&in_room(&garden, 6)));
        assert!(rights.allow(&Entry { author: Some("me".into()), ..in_room(&garden, 6) }));
        let whisper = |one: &str, other: &str| Entry {
            readers: For::Some(Readers::Two(one.into(), other.into())),
            ..entry(Some(6), 1)
        };
        assert!(rights.allow(&whisper("me", "b")) && rights.allow(&whisper("b", "me")));
        assert!(!rights.allow(&whisper("b", "c")));
    }
}
