//! Spurious losses: packets that arrive after they were declared lost.

use std::{collections::VecDeque, ops::RangeInclusive};

use crate::time::Time;

/// The number of lost packets remembered. More reordering than that is treated as loss.
const MAX_REMEMBERED: usize = 1_024;

/// The lost packets of one path. A congestion event begins with a lost packet that was sent after
/// the previous event began, as in RFC 9002 section 7.3.2.
#[derive(Debug, Default)]
pub(super) struct Reordering {
    /// Those that have not arrived, ascending.
    lost: VecDeque<Lost>,
    /// When the current event began.
    began: Option<Time>,
    event: u32,
    /// Packets of the current event that have not arrived.
    missing: usize,
    /// A packet of the event was forgotten, so the event can no longer prove spurious.
    forgotten: bool,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    number: u64,
    event: u32,
    sent_at: Time,
}

/// The lost packets that an ACK shows to have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Late {
    /// The largest distance in numbers by which one of them was late, 0 for none.
    pub(super) behind: u64,
    /// When the oldest of them was sent.
    pub(super) oldest: Option<Time>,
    /// All packets of the current event have arrived.
    pub(super) spurious: bool,
}

impl Reordering {
    /// Records that a packet sent `at` was declared lost.
    pub(super) fn on_lost(&mut self, now: Time, number: u64, at: Time) {
        if self.began.is_none_or(|began| at > began) {
            self.began = Some(now);
            self.event = self.event.wrapping_add(1);
            self.missing = 0;
            self.forgotten = false;
        }
        if self.lost.len() >= MAX_REMEMBERED
            && let Some(oldest) = self.lost.pop_front()
        {
            self.forgotten |= oldest.event == self.event;
        }
        let lost = Lost { number, event: self.event, sent_at: at };
        // Mostly at the end; ACKs of different levels cover different packets (M-12).
        let index = self.lost.partition_point(|other| other.number < number);
        self.lost.insert(index, lost);
        self.missing += 1;
    }

    /// Processes an acknowledged range; `largest` was the highest number acknowledged until then.
    /// Packets that arrived late are removed, so that a repeated ACK has no effect.
    pub(super) fn on_acked(&mut self, range: &RangeInclusive<u64>, largest: u64) -> Late {
        let mut late = Late::default();
        if self.lost.back().is_none_or(|last| last.number < *range.start()) {
            return late;
        }
        let first = self.lost.partition_point(|lost| lost.number < *range.start());
        let end = self.lost.partition_point(|lost| lost.number <= *range.end());
        for lost in self.lost.drain(first..end) {
            late.behind = late.behind.max(largest.saturating_sub(lost.number));
            late.oldest = Some(late.oldest.map_or(lost.sent_at, |at| at.min(lost.sent_at)));
            if lost.event == self.event {
                self.missing = self.missing.saturating_sub(1);
                late.spurious |= self.missing == 0 && !self.forgotten;
            }
        }
        if late.spurious {
            // The controller undoes the event: the next loss is a new one.
            self.began = None;
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    //
    #[test]
    fn r_5_an_event_is_spurious_when_all_its_packets_arrive() {
        let mut seen = Reordering::default();
        seen.on_lost(at(100), 4, at(50));
        seen.on_lost(at(110), 7, at(60));
        assert_eq!(
            seen.on_acked(&(4..=4), 9),
            Late { behind: 5, oldest: Some(at(50)), spurious: false }
        );
        assert_eq!(
            seen.on_acked(&(0..=8), 12),
            Late { behind: 5, oldest: Some(at(60)), spurious: true }
        );
        assert_eq!(seen.on_acked(&(0..=8), 12), Late::default(), "reported once");
    }

    #[test]
    fn r_5_packets_of_an_earlier_event_do_not_undo_the_current_one() {
        let mut seen = Reordering::default();
        seen.on_lost(at(100), 4, at(50));
        seen.on_lost(at(300), 40, at(200));
        assert_eq!(
            seen.on_acked(&(4..=4), 43),
            Late { behind: 39, oldest: Some(at(50)), spurious: false }
        );
        assert!(seen.on_acked(&(40..=40), 43).spurious);
    }

    #[test]
    fn r_5_an_event_too_large_to_remember_is_not_spurious() {
        let mut seen = Reordering::default();
        for number in 0..=MAX_REMEMBERED as u64 {
            seen.on_lost(at(100), number, at(50));
        }
        assert_eq!(seen.lost.len(), MAX_REMEMBERED);
        assert!(!seen.on_acked(&(0..=5_000), 5_000).spurious);
    }
}
