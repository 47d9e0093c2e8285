//! Losses that were none: packets that come after they were given up.
//!
//! In: packets found lost, ranges acknowledged. Out: how far apart order got, and whether a whole
//! congestion event was a mistake. Never: windows.

use std::{collections::VecDeque, ops::RangeInclusive};

use crate::time::Time;

/// Lost packets remembered. A path that reorders so many at once is not told from one that loses.
const MAX_REMEMBERED: usize = 1_024;

/// The memory of one path. A congestion event begins with a lost packet that left after the last
/// one began, as in RFC 9002 section 7.3.2.
#[derive(Debug, Default)]
pub(super) struct Reordering {
    /// Those that have not come, ascending.
    lost: VecDeque<Lost>,
    /// When the present event began.
    began: Option<Time>,
    event: u32,
    /// Packets of the present event that have not come.
    missing: usize,
    /// One of them was forgotten: it cannot be a mistake as a whole any more.
    forgotten: bool,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    number: u64,
    event: u32,
}

/// What came late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Late {
    /// How many numbers the latest of them was behind, 0 for none.
    pub(super) behind: u64,
    /// All of the present event have come.
    pub(super) spurious: bool,
}

impl Reordering {
    /// A packet that left `at` is given up.
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
        let lost = Lost { number, event: self.event };
        // Mostly at the end; levels differ in what their ACKs may tell (M-12).
        let index = self.lost.partition_point(|other| other.number < number);
        self.lost.insert(index, lost);
        self.missing += 1;
    }

    /// A range was acknowledged, when `largest` had been the highest number acknowledged. What
    /// comes late is forgotten, so that an ACK that says the same again finds nothing here.
    pub(super) fn on_acked(&mut self, range: &RangeInclusive<u64>, largest: u64) -> Late {
        let mut late = Late::default();
        if self.lost.back().is_none_or(|last| last.number < *range.start()) {
            return late;
        }
        let first = self.lost.partition_point(|lost| lost.number < *range.start());
        let end = self.lost.partition_point(|lost| lost.number <= *range.end());
        for lost in self.lost.drain(first..end) {
            late.behind = late.behind.max(largest.saturating_sub(lost.number));
            if lost.event == self.event {
                self.missing = self.missing.saturating_sub(1);
                late.spurious |= self.missing == 0 && !self.forgotten;
            }
        }
        if late.spurious {
            // The controller takes the event back: the next loss is a new one.
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
    fn r_5_an_event_is_a_mistake_when_all_of_it_came() {
        let mut seen = Reordering::default();
        seen.on_lost(at(100), 4, at(50));
        seen.on_lost(at(110), 7, at(60));
        assert_eq!(seen.on_acked(&(4..=4), 9), Late { behind: 5, spurious: false });
        assert_eq!(seen.on_acked(&(0..=8), 12), Late { behind: 5, spurious: true });
        assert_eq!(seen.on_acked(&(0..=8), 12), Late::default(), "told once");
    }

    #[test]
    fn r_5_what_came_of_an_earlier_event_does_not_undo_the_present_one() {
        let mut seen = Reordering::default();
        seen.on_lost(at(100), 4, at(50));
        seen.on_lost(at(300), 40, at(200));
        assert_eq!(seen.on_acked(&(4..=4), 43), Late { behind: 39, spurious: false });
        assert!(seen.on_acked(&(40..=40), 43).spurious);
    }

    #[test]
    fn r_5_an_event_too_large_to_remember_is_no_mistake() {
        let mut seen = Reordering::default();
        for number in 0..=MAX_REMEMBERED as u64 {
            seen.on_lost(at(100), number, at(50));
        }
        assert_eq!(seen.lost.len(), MAX_REMEMBERED);
        assert!(!seen.on_acked(&(0..=5_000), 5_000).spurious);
    }
}
