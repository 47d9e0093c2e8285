//! Recognises a flood: more datagrams are lost before they are received than congestion control
//! would let continue (M-67).
//!
//! Honest senders fill the system's buffer too, and make packets wait, but they slow down when some
//! are lost.

use std::mem;

use crate::{
    limits::{FLOOD_SPANS, SHARE_SPAN},
    time::Time,
};

/// What was received and lost in the current span.
#[derive(Debug, Default)]
pub(super) struct Flood {
    span: u64,
    late: bool,
    taken: u64,
    /// Taken in the previous span.
    taken_before: u64,
    /// The system's count of losses when the last late span ended.
    lost: Option<u64>,
    /// Consecutive spans with too many losses.
    spans: u32,
}

impl Flood {
    /// Counts what a turn takes from the system's buffer. Returns `true` if the caller must call
    /// [`Flood::on_losses`] next.
    pub(super) fn on_turn(&mut self, now: Time, late: bool, taken: u64) -> bool {
        let span = now.as_micros() / SHARE_SPAN.as_micros() as u64;
        if span == self.span {
            self.late |= late;
            self.taken += taken;
            return false;
        }
        self.span = span;
        self.taken_before = mem::replace(&mut self.taken, taken);
        let was_late = mem::replace(&mut self.late, late);
        if !was_late {
            (self.lost, self.spans) = (None, 0);
        }
        was_late
    }

    /// Accounts for the system's count of all datagrams that it had to drop.
    pub(super) fn on_losses(&mut self, total: u64) {
        let lost = self.lost.replace(total).map_or(0, |before| total.saturating_sub(before));
        let too_many = lost > 0 && lost.saturating_mul(4) >= lost + self.taken_before;
        self.spans = if too_many { self.spans.saturating_add(1) } else { 0 };
    }

    /// Returns `true` while a quarter or more is lost.
    #[inline]
    pub(super) const fn is_on(&self) -> bool {
        self.spans >= FLOOD_SPANS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs spans in which this much is taken and lost. Returns the number of the first one in a
    /// flood.
    fn first_flooded(late: bool, taken: u64, lost: u64) -> Option<u64> {
        let mut flood = Flood::default();
        (1..50).find(|span| {
            let now = Time::from_micros(span * SHARE_SPAN.as_micros() as u64);
            if flood.on_turn(now, late, taken) {
                flood.on_losses(span * lost);
            }
            flood.is_on()
        })
    }

    // M-67
    #[test]
    fn m67_a_quarter_lost_in_span_after_span_is_a_flood() {
        assert_eq!(first_flooded(true, 300, 100), Some(4));
        assert_eq!(first_flooded(true, 300, 90), None, "congestion control does that");
        assert_eq!(first_flooded(true, 300, 0), None);
        assert_eq!(first_flooded(false, 300, 1_000), None, "no packet waits");
    }

    // M-67
    #[test]
    fn m67_losses_while_the_process_was_stopped_are_no_flood() {
        let mut flood = Flood::default();
        let spans = [(1, 0), (2, 0), (300, 100_000), (301, 100_000), (302, 100_000)];
        for (span, lost) in spans {
            let now = Time::from_micros(span * SHARE_SPAN.as_micros() as u64);
            if flood.on_turn(now, true, 10) {
                flood.on_losses(lost);
            }
            assert!(!flood.is_on());
        }
    }
}
