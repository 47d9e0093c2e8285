//! The newest events of a chat as machine lines, shared by all members that receive them.
//!
//! Consecutive lines with the same readers are a *run*. The first device that reads a run joins its
//! lines to a message; all others at that position share it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku::Bytes;
use tokio::sync::watch;

use super::message::{Joined, Message};
use crate::{
    event::Seq,
    limits::{MAX_LOG_EVENTS, MAX_RUNS, MAX_WINDOW_LEN, WINDOW_BATCH},
    room_name::RoomName,
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
    fn allow(&self, entry: &Entry) -> bool {
        let is_own = || entry.author.as_ref() == Some(&self.key);
        match &entry.readers {
            For::All => true,
            For::Some(Readers::Room(room)) => self.allow_room(room, entry.seq) || is_own(),
            For::Some(Readers::Two(one, other)) => {
                *one == self.key || *other == self.key || is_own()
            }
        }
    }

    /// Returns `true` if the device may read all events of a room from `first` on.
    fn allow_room(&self, room: &RoomName, first: Option<Seq>) -> bool {
        let since = self.rooms.get(room);
        since.is_some_and(|since| first.is_none_or(|first| first > *since))
    }

    /// Returns `true` if the device may read every line of a run.
    fn allow_run(&self, readers: &For, run: &Run) -> bool {
        match readers {
            For::All => true,
            For::Some(Readers::Room(room)) => self.allow_room(room, run.first),
            For::Some(Readers::Two(..)) => false,
        }
    }
}

/// What follows a position in the window.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The lines before position `then` that the device may read, if there are any, and the last
    /// number before that position.
    Lines { message: Option<Message>, then: u64, seq: Option<Seq> },
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
    /// The runs that devices read last, by position.
    runs: BTreeMap<u64, Run>,
    /// The position of the first line.
    first: u64,
    /// The position of the first line that is not announced.
    announced: u64,
    /// Bytes in `lines`.
    len: usize,
    /// The last number that is no longer in memory.
    forgotten: Seq,
}

/// Consecutive lines with the same readers.
#[derive(Clone, Debug)]
struct Run {
    message: Message,
    /// The first number.
    first: Option<Seq>,
    /// The last number.
    last: Option<Seq>,
    /// The next line does not fit in the message.
    is_full: bool,
    /// No later line can join it.
    is_over: bool,
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

    /// Appends a line; numbers grow. Readers receive it after [`Self::announce`].
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

    /// Makes all lines readable, and wakes the readers that wait for more.
    pub(in crate::server) fn announce(&self) {
        let mut window = self.lock();
        let end = window.end();
        window.announced = end;
        drop(window);
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
        let is_before = |entry: &&Entry| entry.seq.is_none_or(|of| of <= seq);
        let skipped = window.lines.iter().take_while(is_before).count();
        Ok(window.first + skipped as u64)
    }

    /// Returns what comes at a place for a device with these rights: a message at most.
    pub(super) fn after(&self, place: u64, rights: &Rights) -> Next {
        self.lock().after(place, rights)
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

    /// Returns the index of a place, if it is in memory.
    fn index(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.first)?).ok()
    }

    fn after(&mut self, place: u64, rights: &Rights) -> Next {
        let Some(first) = self.index(place) else { return Next::Behind };
        let end = self.index(self.announced).unwrap_or(0);
        if first >= end {
            return Next::Nothing;
        }
        let run = self.run(place, first, end);
        // A run that lines of other rooms interrupt is short: the device receives it together with
        // what follows those.
        let is_long = run.is_full || first + run.message.lines == end;
        if is_long && rights.allow_run(&self.lines[first].readers, &run) {
            let then = place + run.message.lines as u64;
            return Next::Lines { message: Some(run.message), then, seq: run.last };
        }
        let (message, count, seq) = self.pick(first, end, rights);
        Next::Lines { message, then: place + count as u64, seq }
    }

    /// Returns the run at a position, which has the index `first`. Lines before `end` are
    /// announced.
    fn run(&mut self, place: u64, first: usize, end: usize) -> Run {
        if let Some(run) = self.runs.get(&place)
            && (run.is_over || first + run.message.lines == end)
        {
            return run.clone();
        }
        let run = self.new_run(first, end);
        self.runs.insert(place, run.clone());
        if self.runs.len() > MAX_RUNS {
            self.runs.pop_first();
        }
        run
    }

    fn new_run(&self, first: usize, end: usize) -> Run {
        let readers = &self.lines[first].readers;
        let mut joined = Joined::default();
        let (mut first_seq, mut last, mut is_full, mut is_over) = (None, None, false, false);
        for entry in self.lines.range(first..end) {
            is_full = entry.readers == *readers && !joined.has_room_for(entry.line.len());
            is_over = is_full || entry.readers != *readers;
            if is_over {
                break;
            }
            joined.push(&entry.line);
            first_seq = first_seq.or(entry.seq);
            last = entry.seq.or(last);
        }
        Run { message: joined.into_message(), first: first_seq, last, is_full, is_over }
    }

    /// Returns the lines from `first` on that a device may read, if there are any, the number of
    /// lines looked at, and the last sequence number among those.
    fn pick(
        &self,
        first: usize,
        end: usize,
        rights: &Rights,
    ) -> (Option<Message>, usize, Option<Seq>) {
        let (mut joined, mut count, mut seq) = (Joined::default(), 0, None);
        for entry in self.lines.range(first..end).take(WINDOW_BATCH) {
            if rights.allow(entry) {
                if !joined.has_room_for(entry.line.len()) {
                    break;
                }
                joined.push(&entry.line);
            }
            count += 1;
            seq = entry.seq.or(seq);
        }
        (joined.into_nonempty(), count, seq)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{limits::MAX_MACHINE_LINE_LEN, room_name::RoomName};

    fn entry(seq: Option<u64>, len: usize) -> Entry {
        let readers = For::Some(Readers::Room(RoomName::general()));
        Entry { seq: seq.map(Seq), readers, author: None, line: vec![b'x'; len].into() }
    }

    fn push(window: &Window, seq: u64) {
        window.push(entry(Some(seq), 1));
    }

    fn rights(since: u64) -> Rights {
        Rights { key: "me".into(), rooms: BTreeMap::from([(RoomName::general(), Seq(since))]) }
    }

    /// Announces everything. Returns what a device is sent after `seq`, of which it may read what
    /// comes after `since`, or the last number that is not in memory.
    fn sent(window: &Window, seq: u64, since: u64) -> Result<Vec<Message>, u64> {
        window.announce();
        let mut place = window.place_after(Seq(seq)).map_err(|forgotten| forgotten.0)?;
        let mut messages = Vec::new();
        while let Next::Lines { message, then, .. } = window.after(place, &rights(since)) {
            assert!(then > place, "it goes on");
            messages.extend(message);
            place = then;
        }
        assert_eq!(window.after(place, &rights(since)), Next::Nothing);
        Ok(messages)
    }

    /// The number of lines in each message after `seq`.
    fn counts(window: &Window, seq: u64) -> Result<Vec<usize>, u64> {
        Ok(sent(window, seq, 0)?.iter().map(|message| message.lines).collect())
    }

    #[test]
    fn devices_are_sent_what_was_announced_together_as_one_shared_message() {
        let window = Window::default();
        for seq in [3, 5, 9] {
            push(&window, seq);
        }
        let place = window.place_after(Seq::START).unwrap();
        assert_eq!(window.after(place, &rights(0)), Next::Nothing, "not announced yet");
        let [one, other] = [0, 2].map(|since| sent(&window, 2, since).unwrap());
        assert_eq!((one.len(), one[0].lines, &one[0].bytes[..]), (1, 3, &b"x\nx\nx"[..]));
        assert_eq!(one[0].bytes.as_ptr(), other[0].bytes.as_ptr());
        assert_eq!(counts(&window, 3), Ok(vec![2]), "a device within it is sent the rest");
        push(&window, 10);
        assert_eq!(counts(&window, 9), Ok(vec![1]));
        assert_eq!(counts(&window, 10), Ok(vec![]));
    }

    #[test]
    fn devices_that_come_late_share_a_longer_message() {
        let window = Window::default();
        for seq in 1..=6 {
            push(&window, seq);
            window.announce();
        }
        let [one, other] = [0, 0].map(|since| sent(&window, 2, since).unwrap());
        assert_eq!((one.len(), one[0].lines), (1, 4));
        assert_eq!(one[0].bytes.as_ptr(), other[0].bytes.as_ptr());
        let since = sent(&window, 0, 3).unwrap();
        assert_eq!(since.iter().map(|message| message.lines).sum::<usize>(), 3);
    }

    #[test]
    fn few_messages_are_kept_for_others() {
        let window = Window::default();
        for seq in 1..=MAX_RUNS as u64 + 9 {
            push(&window, seq);
            assert_eq!(counts(&window, seq - 1), Ok(vec![1]));
        }
        assert_eq!(window.lock().runs.len(), MAX_RUNS);
    }

    #[test]
    fn a_message_is_no_longer_than_one_may_be_and_no_line_is_left_out() {
        let window = Window::new(Seq(0));
        for seq in 1..=100 {
            window.push(entry(Some(seq), MAX_MACHINE_LINE_LEN / 7));
        }
        let messages = sent(&window, 0, 0).unwrap();
        assert!(messages.iter().all(|message| message.bytes.len() <= MAX_MACHINE_LINE_LEN));
        assert_eq!(messages.iter().map(|message| message.lines).sum::<usize>(), 100);
        assert!(messages.len() <= 100 / 6 + 1, "{}", messages.len());
        window.push(entry(Some(101), MAX_MACHINE_LINE_LEN));
        window.push(entry(Some(102), MAX_MACHINE_LINE_LEN));
        assert_eq!(counts(&window, 100), Ok(vec![1, 1]));
    }

    #[test]
    fn a_line_without_a_number_is_read_once_by_those_who_are_there() {
        let window = Window::default();
        push(&window, 1);
        let place = window.place_after(Seq(1)).unwrap();
        window.push(entry(None, 1));
        push(&window, 2);
        window.announce();
        let Next::Lines { message: Some(message), then, seq } = window.after(place, &rights(0))
        else {
            panic!()
        };
        assert_eq!((message.lines, seq), (2, Some(Seq(2))));
        assert_eq!(window.after(then, &rights(0)), Next::Nothing);
        assert_eq!(counts(&window, 1), Ok(vec![1]), "later readers do not receive it");
    }

    #[test]
    fn memory_is_bounded_by_count_and_bytes_and_the_slow_fall_behind() {
        let window = Window::new(Seq(0));
        for seq in 1..=MAX_LOG_EVENTS as u64 + 7 {
            push(&window, seq);
        }
        assert_eq!(counts(&window, 6), Err(7));
        assert_eq!(window.after(0, &rights(0)), Next::Behind);
        let all = counts(&window, 7).unwrap();
        assert_eq!(all.iter().sum::<usize>(), MAX_LOG_EVENTS);
        for seq in 2_000..3_000 {
            window.push(entry(Some(seq), 16_000));
        }
        let lines = window.lock();
        assert!(lines.len <= MAX_WINDOW_LEN && lines.lines.len() > 200, "{}", lines.lines.len());
    }

    #[test]
    fn a_device_reads_its_rooms_its_whispers_and_what_is_its_own() {
        let garden: RoomName = "garden".parse().unwrap();
        let rights = rights(5);
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

    #[test]
    fn a_device_is_sent_lines_of_its_rooms_alone_and_together() {
        let window = Window::default();
        for seq in 1..=20 {
            let mut line = entry(Some(seq), 1);
            if seq % 2 == 0 {
                line.readers = For::Some(Readers::Room("garden".parse().unwrap()));
            }
            window.push(line);
        }
        assert_eq!(counts(&window, 0), Ok(vec![10]));
    }
}
