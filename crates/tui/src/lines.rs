//! The lines of a room, in order.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use hikyaku_chat::{Stamp, event::Seq, json::Progress, message_id::MessageId};

use crate::limits::{MAX_LINES, MAX_LINES_LEN};

/// Something to read.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) at: Stamp,
    pub(crate) seq: Option<Seq>,
    pub(crate) id: Option<MessageId>,
    pub(crate) what: What,
    /// For the reader's own message: how far it has got.
    pub(crate) own: Option<Progress>,
    /// The host refused it.
    pub(crate) is_refused: bool,
}

/// The kinds of lines. All text is escaped.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Speech {
        speaker: String,
        /// The source of the speaker's colour: a key, or a name.
        colour_of: Arc<str>,
        /// May have several lines.
        text: String,
        /// Where the text mentions the reader.
        mentions: Vec<Range<usize>>,
    },
    Notice(String),
    Warning(String),
}

impl Item {
    pub(crate) const fn new(at: Stamp, what: What) -> Self {
        Self { at, seq: None, id: None, what, own: None, is_refused: false }
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.own == Some(Progress::Pending) && !self.is_refused
    }

    fn len(&self) -> usize {
        match &self.what {
            What::Speech { speaker, text, .. } => speaker.len() + text.len(),
            What::Notice(text) | What::Warning(text) => text.len(),
        }
    }
}

/// Lines in the order of the log; lines without a number stay where they arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    items: VecDeque<Item>,
    len: usize,
    /// How many rows the view is above the newest.
    pub(crate) up: usize,
    /// There are no lines before the first one, as far as is known.
    pub(crate) is_whole: bool,
}

impl Lines {
    pub(crate) const fn items(&self) -> &VecDeque<Item> {
        &self.items
    }

    /// Returns the line before one.
    pub(crate) fn before(&self, index: usize) -> Option<&Item> {
        self.items.get(index.checked_sub(1)?)
    }

    /// Returns the number of the oldest line that has one.
    pub(crate) fn oldest(&self) -> Option<Seq> {
        self.items.iter().find_map(|item| item.seq)
    }

    /// Returns `true` if no more lines have a place.
    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= MAX_LINES || self.len >= MAX_LINES_LEN
    }

    /// Adds a line that has just arrived, and drops the oldest ones if there are too many. Returns
    /// its position, or `None` if it is already there.
    pub(crate) fn add(&mut self, item: Item) -> Option<usize> {
        let index = match item.seq {
            None => self.items.len(),
            Some(seq) => {
                let is_later = |other: &Item| match other.seq {
                    Some(other) => other > seq,
                    None => other.is_pending(),
                };
                let last = self.items.iter().rposition(|other| !is_later(other));
                last.map_or(0, |last| last + 1)
            }
        };
        let mut index = self.insert(index, item)?;
        while self.items.len() > MAX_LINES || self.len > MAX_LINES_LEN && self.items.len() > 1 {
            let first = self.items.pop_front()?;
            self.len -= first.len();
            self.is_whole = false;
            index = index.checked_sub(1)?;
        }
        Some(index)
    }

    /// Adds a line of the past, and drops the newest ones if there are too many.
    pub(crate) fn add_old(&mut self, item: Item) -> bool {
        let Some(seq) = item.seq else { return false };
        let later = self.items.iter().position(|other| other.seq.is_none_or(|other| other >= seq));
        self.insert(later.unwrap_or(self.items.len()), item).is_some()
    }

    /// Forgets the newest lines if there are too many.
    pub(crate) fn cut_newest(&mut self) {
        while self.items.len() > MAX_LINES || self.len > MAX_LINES_LEN && self.items.len() > 1 {
            let Some(last) = self.items.pop_back() else { return };
            self.len -= last.len();
        }
    }

    fn insert(&mut self, index: usize, item: Item) -> Option<usize> {
        let is_there = |other: Option<&Item>| {
            item.seq.is_some() && other.is_some_and(|other| other.seq == item.seq)
        };
        if is_there(self.items.get(index)) || is_there(self.before(index)) {
            return None;
        }
        self.len += item.len();
        self.items.insert(index, item);
        Some(index)
    }

    /// Takes a message out, by its id.
    pub(crate) fn take(&mut self, id: MessageId) -> Option<Item> {
        let index = self.items.iter().rposition(|item| item.id == Some(id))?;
        let item = self.items.remove(index)?;
        self.len -= item.len();
        Some(item)
    }

    pub(crate) fn with_seq(&mut self, seq: Seq) -> Option<&mut Item> {
        self.items.iter_mut().rev().find(|item| item.seq == Some(seq))
    }

    pub(crate) fn with_id(&mut self, id: MessageId) -> Option<&mut Item> {
        self.items.iter_mut().rev().find(|item| item.id == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: Option<u64>) -> Item {
        let text = seq.map_or_else(|| "notice".to_owned(), |seq| seq.to_string());
        let item = Item::new(Stamp::from_millis(0), What::Notice(text));
        Item { seq: seq.map(Seq), ..item }
    }

    fn seqs(lines: &Lines) -> Vec<Option<u64>> {
        lines.items().iter().map(|item| item.seq.map(|seq| seq.0)).collect()
    }

    #[test]
    fn lines_are_in_the_order_of_the_log_once_each() {
        let mut lines = Lines::default();
        for seq in [Some(5), None, Some(9), Some(7), Some(9)] {
            lines.add(line(seq));
        }
        for seq in [2, 3, 5, 1] {
            lines.add_old(line(Some(seq)));
        }
        assert_eq!(seqs(&lines), [Some(1), Some(2), Some(3), Some(5), None, Some(7), Some(9)]);
        assert_eq!(lines.oldest(), Some(Seq(1)));
    }

    #[test]
    fn the_past_comes_before_notices_of_the_client() {
        let mut lines = Lines::default();
        lines.add(line(None));
        lines.add_old(line(Some(2)));
        lines.add_old(line(Some(3)));
        assert_eq!(seqs(&lines), [Some(2), Some(3), None]);
    }

    #[test]
    fn a_pending_message_stays_below_newer_messages_of_others() {
        let mut lines = Lines::default();
        let id = MessageId::new(Stamp::from_millis(1), [1; 10]);
        lines.add(Item { id: Some(id), own: Some(Progress::Pending), ..line(None) });
        lines.add(line(Some(4)));
        assert_eq!(seqs(&lines), [Some(4), None]);
        let mut mine = lines.take(id).unwrap();
        mine.seq = Some(Seq(3));
        lines.add(mine);
        assert_eq!(seqs(&lines), [Some(3), Some(4)]);
    }

    #[test]
    fn memory_is_bounded_on_both_sides() {
        let mut lines = Lines::default();
        for seq in 0..MAX_LINES as u64 + 100 {
            lines.add(line(Some(10_000 + seq)));
        }
        assert_eq!(lines.items().len(), MAX_LINES);
        assert_eq!(lines.oldest(), Some(Seq(10_100)));
        for seq in (0..500).rev() {
            lines.add_old(line(Some(seq)));
        }
        lines.cut_newest();
        assert_eq!((lines.items().len(), lines.oldest()), (MAX_LINES, Some(Seq(0))));
        let text = "x".repeat(4_096);
        let mut lines = Lines::default();
        for seq in 0..MAX_LINES as u64 {
            lines.add(Item { what: What::Notice(text.clone()), ..line(Some(seq)) });
        }
        assert!(lines.len <= MAX_LINES_LEN);
    }
}
