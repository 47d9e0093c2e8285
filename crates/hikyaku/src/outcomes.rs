//! The outcomes of the messages of one connection, as ranges of their numbers.
//!
//! In: outcomes, by number. Out: the same, later. Never: a waiting task.

use std::collections::BTreeMap;

use hikyaku_proto::Outcome;

use crate::limits::MAX_OUTCOME_RUNS;

/// Outcomes by message number, neighbours with the same outcome as one run: most messages are
/// acknowledged, so a million of them are a few runs.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// The first number of a run → its last number, and the outcome of all of them.
    runs: BTreeMap<u64, (u64, Outcome)>,
    /// Lower numbers are forgotten.
    from: u64,
}

/// What is known about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Yes(Outcome),
    NotYet,
    /// Dropped because too many different outcomes followed.
    Forgotten,
}

impl Known {
    pub(crate) const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Yes(outcome) => Some(outcome),
            Self::NotYet | Self::Forgotten => None,
        }
    }
}

impl Outcomes {
    /// Records an outcome, once per number.
    pub(crate) fn insert(&mut self, number: u64, outcome: Outcome) {
        // By far the most frequent case: the next number, with the same outcome.
        if let Some(mut last) = self.runs.last_entry()
            && *last.get() == (number.wrapping_sub(1), outcome)
        {
            last.get_mut().0 = number;
            return;
        }
        let before = self.runs.range_mut(..number).next_back();
        let joined = match before {
            Some((&first, (last, of_run))) if *last + 1 == number && *of_run == outcome => {
                *last = number;
                first
            }
            _ => {
                self.runs.insert(number, (number, outcome));
                number
            }
        };
        self.join_next(joined, number, outcome);
        if self.runs.len() > MAX_OUTCOME_RUNS
            && let Some((_, (last, _))) = self.runs.pop_first()
        {
            self.from = last + 1;
        }
    }

    fn join_next(&mut self, first: u64, last: u64, outcome: Outcome) {
        let Some(&(end, of_next)) = self.runs.get(&(last + 1)) else { return };
        if of_next != outcome {
            return;
        }
        self.runs.remove(&(last + 1));
        self.runs.insert(first, (end, outcome));
    }

    pub(crate) fn get(&self, number: u64) -> Known {
        if let Some((_, (last, outcome))) = self.runs.range(..=number).next_back()
            && number <= *last
        {
            return Known::Yes(*outcome);
        }
        if number < self.from { Known::Forgotten } else { Known::NotYet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_outcomes_join_from_both_sides() {
        let mut outcomes = Outcomes::default();
        for number in [0, 2, 4, 3, 1] {
            outcomes.insert(number, Outcome::Acknowledged);
        }
        assert_eq!(outcomes.runs.len(), 1);
        outcomes.insert(5, Outcome::Expired);
        outcomes.insert(6, Outcome::Acknowledged);
        assert_eq!(outcomes.runs.len(), 3);
        assert_eq!(outcomes.get(3), Known::Yes(Outcome::Acknowledged));
        assert_eq!(outcomes.get(5), Known::Yes(Outcome::Expired));
        assert_eq!(outcomes.get(7), Known::NotYet);
    }

    #[test]
    fn remembered_outcomes_are_bounded() {
        let mut outcomes = Outcomes::default();
        for number in 0..3 * MAX_OUTCOME_RUNS as u64 {
            let outcome = if number % 2 == 0 { Outcome::Sent } else { Outcome::Expired };
            outcomes.insert(number, outcome);
        }
        assert_eq!(outcomes.runs.len(), MAX_OUTCOME_RUNS);
        assert_eq!(outcomes.get(0), Known::Forgotten);
    }
}
