//! Counts how many members have each message, and reports it to the author from time to time.
//!
//! A member acknowledges everything up to a number. So a message has reached the members of its
//! room at that time whose acknowledgements have passed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::Bound::{Excluded, Included},
    sync::Arc,
};

use crate::{
    event::{Kind, Seq},
    limits::{DELIVERED_INTERVAL, MAX_COUNTED, MAX_REPORT_LINES, MAX_UNREPORTED},
    room_name::RoomName,
    time::Time,
};

/// The intended receivers of a message.
#[derive(Debug)]
pub(super) enum Whose {
    /// The members of a room.
    Room(RoomName),
    /// The member with this key.
    Key(Arc<str>),
}

#[derive(Debug)]
struct Counted<P> {
    author: P,
    whose: Whose,
    to: u32,
    of: u32,
    /// It is among those that have changed.
    is_listed: bool,
}

/// The reports to one author.
#[derive(Debug, Default)]
struct Reports {
    /// Messages that more members have than was last reported.
    changed: BTreeSet<Seq>,
    /// When the next report may be sent.
    next: Time,
    /// How many messages the current report has named.
    lines: usize,
}

/// A member that acknowledges.
#[derive(Debug)]
pub(super) struct Acknowledgement<'a, P> {
    pub(super) by: P,
    pub(super) key: Option<&'a Arc<str>>,
    /// Its rooms, and for each the number from which its events are for the member.
    pub(super) rooms: &'a BTreeMap<RoomName, Seq>,
    /// The previous and the current number.
    pub(super) from: Seq,
    pub(super) to: Seq,
}

/// The newest messages, and how many members have them.
#[derive(Debug)]
pub(super) struct Ticks<P> {
    messages: BTreeMap<Seq, Counted<P>>,
    reports: BTreeMap<P, Reports>,
    due: BTreeSet<(Time, P)>,
}

impl<P: Copy + Ord> Ticks<P> {
    pub(super) const fn new() -> Self {
        Self { messages: BTreeMap::new(), reports: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// Starts counting for a message, which has its number; `of` other members should get it.
    pub(super) fn add(&mut self, seq: Seq, author: P, whose: Whose, of: usize) {
        if of == 0 {
            return;
        }
        let of = u32::try_from(of).unwrap_or(u32::MAX);
        self.messages.insert(seq, Counted { author, whose, to: 0, of, is_listed: false });
        if self.messages.len() > MAX_COUNTED {
            self.messages.pop_first();
        }
    }

    /// Counts the messages that a member has now and did not have before.
    pub(super) fn acknowledge(&mut self, ack: &Acknowledgement<'_, P>) {
        if ack.from >= ack.to {
            return;
        }
        let range = (Excluded(ack.from), Included(ack.to));
        let mut crowded_out = Vec::new();
        for (seq, message) in self.messages.range_mut(range) {
            let is_theirs = match &message.whose {
                Whose::Room(room) => ack.rooms.get(room).is_some_and(|since| since < seq),
                Whose::Key(key) => ack.key == Some(key),
            };
            if !is_theirs || message.author == ack.by || message.to == message.of {
                continue;
            }
            message.to += 1;
            // A thousand members have what is listed once.
            if mem::replace(&mut message.is_listed, true) {
                continue;
            }
            let reports = self.reports.entry(message.author).or_default();
            if reports.changed.is_empty() {
                self.due.insert((reports.next, message.author));
            }
            reports.changed.insert(*seq);
            if reports.changed.len() > MAX_UNREPORTED {
                crowded_out.extend(reports.changed.pop_first());
            }
        }
        for seq in crowded_out {
            self.set_unlisted(seq);
        }
    }

    fn set_unlisted(&mut self, seq: Seq) {
        if let Some(message) = self.messages.get_mut(&seq) {
            message.is_listed = false;
        }
    }

    /// Forgets what would be reported to an author who has gone.
    pub(super) fn forget(&mut self, author: P) {
        if let Some(reports) = self.reports.remove(&author) {
            self.due.remove(&(reports.next, author));
            reports.changed.into_iter().for_each(|seq| self.set_unlisted(seq));
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Returns the next part of a report that is due, and its author.
    pub(super) fn next_report(&mut self, now: Time) -> Option<(P, Kind)> {
        while let Some((at, author)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, author));
            let Some(reports) = self.reports.get_mut(&author) else { continue };
            let Some(seq) = reports.changed.pop_first() else { continue };
            reports.lines += 1;
            if reports.changed.is_empty() || reports.lines >= MAX_REPORT_LINES {
                reports.next = now + DELIVERED_INTERVAL;
                reports.lines = 0;
            }
            if !reports.changed.is_empty() {
                self.due.insert((at.max(reports.next), author));
            }
            self.set_unlisted(seq);
            let Some(message) = self.messages.get(&seq) else { continue };
            let (to, of) = (message.to, message.of);
            if to == of {
                self.messages.remove(&seq);
            }
            return Some((author, Kind::Delivered { seq, to, of }));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ANA: u32 = 1;

    fn at(millis: u64) -> Time {
        Time::from_epoch(Duration::from_millis(millis))
    }

    fn acknowledge(ticks: &mut Ticks<u32>, by: u32, since: u64, from: u64, to: u64) {
        let rooms = BTreeMap::from([(RoomName::general(), Seq(since))]);
        let ack = Acknowledgement { by, key: None, rooms: &rooms, from: Seq(from), to: Seq(to) };
        ticks.acknowledge(&ack);
    }

    fn reports(ticks: &mut Ticks<u32>, millis: u64) -> Vec<(u64, u32, u32)> {
        let report = |(author, kind)| match kind {
            Kind::Delivered { seq, to, of } if author == ANA => (seq.0, to, of),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| ticks.next_report(at(millis))).map(report).collect()
    }

    fn said(ticks: &mut Ticks<u32>, seq: u64, of: usize) {
        ticks.add(Seq(seq), ANA, Whose::Room(RoomName::general()), of);
    }

    #[test]
    fn each_member_counts_once_the_author_and_latecomers_do_not() {
        let mut ticks = Ticks::new();
        said(&mut ticks, 5, 2);
        acknowledge(&mut ticks, ANA, 0, 0, 9);
        acknowledge(&mut ticks, 3, 5, 5, 9);
        assert_eq!(reports(&mut ticks, 0), []);
        acknowledge(&mut ticks, 2, 0, 0, 5);
        acknowledge(&mut ticks, 2, 0, 5, 9);
        assert_eq!(reports(&mut ticks, 0), [(5, 1, 2)]);
        acknowledge(&mut ticks, 4, 4, 0, 5);
        assert_eq!(reports(&mut ticks, 1_000), [(5, 2, 2)]);
    }

    #[test]
    fn an_author_gets_at_most_five_reports_per_second_with_the_newest_counts() {
        let mut ticks = Ticks::new();
        said(&mut ticks, 1, 100);
        said(&mut ticks, 2, 100);
        let mut count = 0;
        for millis in 0..1_000 {
            if millis % 10 == 0 {
                acknowledge(&mut ticks, 100 + millis as u32, 0, 0, 2);
            }
            count += reports(&mut ticks, millis).len();
        }
        assert_eq!(count, 2 * 5);
        assert_eq!(reports(&mut ticks, 2_000), [(1, 100, 100), (2, 100, 100)]);
    }

    #[test]
    fn a_report_names_a_bounded_number_of_messages_and_the_next_one_the_others() {
        let mut ticks = Ticks::new();
        let last = MAX_REPORT_LINES as u64 + 6;
        for seq in 1..=last {
            said(&mut ticks, seq, 1);
        }
        acknowledge(&mut ticks, 2, 0, 0, last);
        assert_eq!(reports(&mut ticks, 0).len(), MAX_REPORT_LINES);
        assert_eq!(reports(&mut ticks, 100), []);
        assert_eq!(reports(&mut ticks, 200).len(), 6);
    }

    #[test]
    fn counted_messages_and_pending_reports_are_bounded() {
        let mut ticks = Ticks::new();
        let last = MAX_COUNTED as u64 + 10;
        for seq in 1..=last {
            said(&mut ticks, seq, 1);
        }
        assert_eq!(ticks.messages.len(), MAX_COUNTED);
        acknowledge(&mut ticks, 2, 0, 0, last);
        assert_eq!(ticks.reports[&ANA].changed.len(), MAX_UNREPORTED);
        ticks.forget(ANA);
        assert_eq!((reports(&mut ticks, 9_999), ticks.poll_timeout()), (vec![], None));
    }
}
