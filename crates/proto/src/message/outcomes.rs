//! Outcomes of messages, until the application has taken them.
//!
//! In: outcomes. Out: the same, in order. Never: messages.

use std::collections::VecDeque;

use super::receipt::{Outcome, ReceiptId};

/// A queue of outcomes. Consecutive receipts with the same outcome share an entry.
#[derive(Default)]
pub(super) struct Outcomes(VecDeque<Run>);

struct Run {
    first: u64,
    count: u64,
    outcome: Outcome,
}

impl Outcomes {
    #[inline]
    pub(super) fn push(&mut self, receipt: ReceiptId, outcome: Outcome) {
        if let Some(run) = self.0.back_mut()
            && run.outcome == outcome
            && run.first + run.count == receipt.0
        {
            run.count += 1;
            return;
        }
        self.0.push_back(Run { first: receipt.0, count: 1, outcome });
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<(ReceiptId, Outcome)> {
        let run = self.0.front_mut()?;
        let next = (ReceiptId(run.first), run.outcome);
        run.first += 1;
        run.count -= 1;
        if run.count == 0 {
            self.0.pop_front();
        }
        Some(next)
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) fn holds_memory(&self) -> bool {
        self.0.capacity() > 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_queue(ops in prop::collection::vec((0u8..4, 0u64..3), 0..100)) {
            let (mut outcomes, mut model) = (Outcomes::default(), VecDeque::new());
            let mut next = 0;
            for (op, step) in ops {
                if op == 0 {
                    prop_assert_eq!(outcomes.pop(), model.pop_front());
                    continue;
                }
                next += step;
                let outcome = if op == 1 { Outcome::Expired } else { Outcome::Acknowledged };
                outcomes.push(ReceiptId(next), outcome);
                model.push_back((ReceiptId(next), outcome));
            }
            prop_assert!(std::iter::from_fn(|| outcomes.pop()).eq(model));
        }
    }
}
