//! The window of packet numbers already received.
//!
//! A ring of bits as in RFC 6479: advancing the window clears whole words and never shifts. The
//! ring has one more word than the window needs, so that a word that is only partly inside can be
//! kept whole.

use crate::limits::REPLAY_WINDOW;

const WORD: u64 = u64::BITS as u64;
const WORDS: usize = (REPLAY_WINDOW / WORD) as usize + 1;

const _: () = assert!(REPLAY_WINDOW.is_multiple_of(WORD), "the window is whole words");

/// The packet numbers of one direction that were opened (M-4). Tracks the [`REPLAY_WINDOW`] numbers
/// below the highest in 528 bytes.
pub(crate) struct ReplayWindow {
    /// One above the highest number entered; 0 when there is none.
    next: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// Creates an empty window.
    pub(crate) const fn new() -> Self {
        Self { next: 0, seen: [0; WORDS] }
    }

    /// Returns `true` if `number` is new. A number older than the window counts as seen.
    ///
    /// Call it before a packet is opened; call [`Self::commit`] once it has opened.
    #[inline]
    pub(crate) fn check(&self, number: u64) -> bool {
        if number >= self.next {
            return true;
        }
        if self.is_too_old(number) {
            return false;
        }
        let (word, bit) = word_and_bit(number);
        self.seen[word] & bit == 0
    }

    /// Records `number`, whose packet was authentic.
    #[inline]
    pub(crate) fn commit(&mut self, number: u64) {
        if number >= self.next {
            self.advance_to(number);
        } else if self.is_too_old(number) {
            return;
        }
        let (word, bit) = word_and_bit(number);
        self.seen[word] |= bit;
    }

    /// Returns the next expected number: one above the highest recorded (M-3).
    #[inline]
    pub(crate) const fn expected(&self) -> u64 {
        self.next
    }

    /// Only for numbers below `next`, so there is a highest.
    const fn is_too_old(&self, number: u64) -> bool {
        self.next - 1 - number > REPLAY_WINDOW
    }

    /// Makes `number` the highest and clears the words it reuses.
    fn advance_to(&mut self, number: u64) {
        let last_word = self.next.checked_sub(1).map(|highest| highest / WORD);
        let new_word = number / WORD;
        // Before the first number no word is in use.
        let fresh = last_word.map_or(WORDS as u64, |last| new_word - last).min(WORDS as u64);
        for step in 0..fresh {
            let (word, _) = word_and_bit((new_word - step.min(new_word)) * WORD);
            self.seen[word] = 0;
        }
        self.next = number.saturating_add(1);
    }
}

/// Returns the word of the ring, and the bit in it, for `number`.
#[inline]
const fn word_and_bit(number: u64) -> (usize, u64) {
    let word = (number / WORD) % WORDS as u64;
    (word as usize, 1 << (number % WORD))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_is_new_once() {
        let mut window = ReplayWindow::new();
        assert!(window.check(0));
        window.commit(0);
        assert!(!window.check(0));
        assert!(window.check(1));
    }

    // M-4
    #[test]
    fn checking_records_nothing() {
        let window = ReplayWindow::new();
        assert!(window.check(7));
        assert!(window.check(7));
        assert_eq!(window.expected(), 0);
    }

    // M-4
    #[test]
    fn exactly_4096_numbers_below_the_highest_are_distinguished() {
        for highest in [4_096, 5_000, 8_191, 8_192, 1 << 40] {
            let mut window = ReplayWindow::new();
            window.commit(highest);
            assert!(window.check(highest - 4_096));
            if highest > 4_096 {
                assert!(!window.check(highest - 4_097), "older than the window below {highest}");
            }
        }
    }

    #[test]
    fn a_jump_over_the_whole_ring_clears_it() {
        let mut window = ReplayWindow::new();
        (0..5_000).for_each(|number| window.commit(number));
        window.commit(1_000_000);
        assert!((1_000_000 - 4_096..1_000_000).all(|number| window.check(number)));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let mut window = ReplayWindow::new();
        window.commit(u64::MAX);
        assert!(!window.check(0));
        window.commit(u64::MAX - 1);
        assert!(!window.check(u64::MAX - 1));
    }

    /// Numbers near each other, with jumps: reordered as by a network, and worse.
    fn numbers() -> impl Strategy<Value = Vec<u64>> {
        let leap = prop_oneof![8 => 0_u64..3, 2 => 0_u64..200, 1 => 3_900_u64..4_400];
        let late = prop_oneof![6 => Just(0_u64), 3 => 0_u64..300, 2 => 4_000_u64..4_200];
        proptest::collection::vec((leap, late), 0..400).prop_map(|steps| {
            let mut highest = 0;
            let at = |(leap, late)| {
                highest += leap;
                u64::saturating_sub(highest, late)
            };
            steps.into_iter().map(at).collect()
        })
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set(numbers in numbers()) {
            let mut window = ReplayWindow::new();
            let mut model = BTreeSet::new();
            for number in numbers {
                let old = model.last().is_some_and(|last| number + REPLAY_WINDOW < *last);
                let new = !old && !model.contains(&number);
                prop_assert_eq!(window.check(number), new, "number {}", number);
                window.commit(number);
                model.insert(number);
                prop_assert_eq!(window.expected(), model.last().unwrap() + 1);
            }
        }
    }
}
