//! Which of the last 4,096 ids were delivered (D-7).
//!
//! In: delivered ids. Out: whether an id was delivered. Never: messages.

use crate::limits::MAX_MESSAGES_IN_FLIGHT;

const WORDS: usize = (MAX_MESSAGES_IN_FLIGHT / 64) as usize;

/// The heap memory of a [`SeenWindow`], in bytes.
pub(super) const SEEN_BITS_LEN: u32 = WORDS as u32 * 8;

/// The ids delivered on one channel. Without gaps this is one number; a gap costs 512 bytes until
/// it closes or leaves the window.
#[derive(Debug, Default)]
pub(super) struct SeenWindow {
    /// All lower ids are finished.
    floor: u64,
    /// Lower ids were given up for lack of memory; whether they were delivered is unknown.
    unknown_below: u64,
    /// Delivered ids from `floor` on; id n is bit n modulo 4,096.
    bits: Option<Box<[u64; WORDS]>>,
    /// The number of bits that are set.
    held: u16,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was not delivered.
    New,
    /// It was delivered, or is too old to know (D-7).
    Over,
    /// There was no memory to keep track of it.
    Unknown,
}

impl SeenWindow {
    pub(super) fn look_up(&self, id: u64) -> Seen {
        if id < self.floor {
            return if id < self.unknown_below { Seen::Unknown } else { Seen::Over };
        }
        let ahead = id - self.floor;
        let marked = ahead < MAX_MESSAGES_IN_FLIGHT && self.bits.is_some() && self.bit(id);
        if marked { Seen::Over } else { Seen::New }
    }

    /// Returns `true` if marking this id takes another `SEEN_BITS_LEN` bytes.
    pub(super) fn needs_memory(&self, id: u64) -> bool {
        self.bits.is_none() && id != self.floor
    }

    /// Returns `true` if it holds heap memory.
    pub(super) fn holds_memory(&self) -> bool {
        self.bits.is_some()
    }

    /// Marks an id as delivered.
    pub(super) fn mark(&mut self, id: u64) {
        if id < self.floor {
            return;
        }
        if id - self.floor >= MAX_MESSAGES_IN_FLIGHT {
            self.raise_floor(id - (MAX_MESSAGES_IN_FLIGHT - 1));
        }
        if id != self.floor {
            let word = &mut self.bits.get_or_insert_with(|| Box::new([0; WORDS]))[word_of(id)];
            self.held += u16::from(*word & mask_of(id) == 0);
            *word |= mask_of(id);
            return;
        }
        self.floor += 1;
        while self.held > 0 && self.bit(self.floor) {
            self.clear(self.floor, 1);
            self.floor += 1;
        }
        if self.held == 0 {
            self.bits = None;
        }
    }

    /// Marks an id as delivered without memory for the gap below it: the ids in the gap are given
    /// up.
    pub(super) fn mark_without_gap(&mut self, id: u64) {
        self.raise_floor(id.saturating_add(1));
        self.unknown_below = id;
    }

    fn raise_floor(&mut self, floor: u64) {
        let passed = (floor - self.floor).min(MAX_MESSAGES_IN_FLIGHT);
        let end = self.floor + passed;
        // By whole words, so that a jump across the window costs 64 steps instead of 4,096.
        while self.floor < end && self.held > 0 {
            let most = (64 - self.floor % 64).min(end - self.floor);
            self.clear(self.floor, most);
            self.floor += most;
        }
        self.floor = floor;
    }

    fn bit(&self, id: u64) -> bool {
        self.bits.as_ref().is_some_and(|bits| bits[word_of(id)] & mask_of(id) != 0)
    }

    /// Clears `count` ids, at least one, all in the word of the first.
    fn clear(&mut self, id: u64, count: u64) {
        let Some(bits) = &mut self.bits else { return };
        let word = &mut bits[word_of(id)];
        let gone = *word & (u64::MAX >> (64 - count)) << (id % 64);
        // At most 64 bits are set.
        self.held -= gone.count_ones() as u16;
        *word &= !gone;
    }
}

/// Returns the word of an id: below `WORDS` for any id.
const fn word_of(id: u64) -> usize {
    (id / 64) as usize % WORDS
}

const fn mask_of(id: u64) -> u64 {
    1 << (id % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        // D-7
        #[test]
        fn d7_the_window_covers_the_last_4096_ids(
            steps in prop::collection::vec((0u64..3, 0u64..5000), 1..300),
        ) {
            let (mut window, mut model) = (SeenWindow::default(), BTreeSet::new());
            let mut highest = 0u64;
            for (far, step) in steps {
                let id = if far == 0 { highest + step } else { highest.saturating_sub(step % 50) };
                let known = model.contains(&id);
                let seen = window.look_up(id);
                if highest < 4096 || id > highest - 4096 {
                    prop_assert_eq!(seen == Seen::Over, known, "id {}", id);
                }
                if seen == Seen::New {
                    window.mark(id);
                    model.insert(id);
                    highest = highest.max(id);
                }
                prop_assert_eq!(window.held > 0, window.holds_memory());
            }
        }
    }

    // D-7
    #[test]
    fn d7_ids_older_than_the_window_count_as_seen() {
        let mut window = SeenWindow::default();
        window.mark(4096);
        assert_eq!((window.look_up(0), window.look_up(1)), (Seen::Over, Seen::New));
    }

    #[test]
    fn without_a_gap_it_holds_no_memory() {
        let mut window = SeenWindow::default();
        (0..10).for_each(|id| window.mark(id));
        window.mark(11);
        assert!(window.holds_memory());
        window.mark(10);
        assert!(!window.holds_memory() && window.look_up(11) == Seen::Over);
    }

    #[test]
    fn ids_given_up_without_memory_are_unknown() {
        let mut window = SeenWindow::default();
        window.mark_without_gap(5);
        assert_eq!((window.look_up(4), window.look_up(5)), (Seen::Unknown, Seen::Over));
        assert_eq!(window.look_up(6), Seen::New);
    }
}
