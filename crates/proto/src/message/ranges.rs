//! A set of byte offsets, stored as ranges.
//!
//! In: ranges to add and to remove. Out: the first range, and whether the set is complete. Never:
//! bytes.

use std::ops::Range;

/// Sorted ranges that neither overlap nor touch. An empty set allocates nothing.
///
/// Adding at either end is cheap; adding in the middle moves what follows. A message has at most as
/// many ranges as it was sent in fragments.
#[derive(Debug, Default)]
pub(crate) struct RangeSet {
    ranges: Vec<Range<u32>>,
}

impl RangeSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn first(&self) -> Option<Range<u32>> {
        self.ranges.first().cloned()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Range<u32>> + '_ {
        self.ranges.iter().cloned()
    }

    /// Removes everything of another set from a range of this one.
    pub(crate) fn remove_all(&mut self, other: &Self, within: Range<u32>) {
        let from = other.ranges.partition_point(|range| range.end <= within.start);
        let common = other.ranges[from..].iter().take_while(|range| range.start < within.end);
        common.for_each(|range| self.remove(range.clone()));
    }

    /// Returns `true` if everything below `end` is in the set.
    pub(crate) fn covers(&self, end: u32) -> bool {
        self.ranges.first().is_some_and(|first| first.start == 0 && first.end >= end)
    }

    pub(crate) fn insert(&mut self, new: Range<u32>) {
        if new.is_empty() {
            return;
        }
        // In order: by far the most frequent case.
        if let Some(last) = self.ranges.last_mut()
            && last.end == new.start
        {
            last.end = new.end;
            return;
        }
        let from = self.ranges.partition_point(|old| old.end < new.start);
        let to = self.ranges.partition_point(|old| old.start <= new.end);
        if from == to {
            self.ranges.insert(from, new);
            return;
        }
        let joined = new.start.min(self.ranges[from].start)..new.end.max(self.ranges[to - 1].end);
        self.ranges[from] = joined;
        self.ranges.drain(from + 1..to);
    }

    pub(crate) fn remove(&mut self, gone: Range<u32>) {
        if self.ranges.is_empty() {
            return;
        }
        let from = self.ranges.partition_point(|old| old.end <= gone.start);
        let to = self.ranges.partition_point(|old| old.start < gone.end);
        if gone.is_empty() || from >= to {
            return;
        }
        let left = self.ranges[from].start..gone.start;
        let right = gone.end..self.ranges[to - 1].end;
        let rest = [left, right].into_iter().filter(|range| !range.is_empty());
        self.ranges.splice(from..to, rest);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_subtracted_from_a_range(
            ours in prop::collection::vec((0u32..60, 0u32..12), 0..8),
            theirs in prop::collection::vec((0u32..60, 0u32..12), 0..8),
            (start, len) in (0u32..60, 0u32..30),
        ) {
            let mut sets = [RangeSet::default(), RangeSet::default()];
            for (set, ranges) in sets.iter_mut().zip([ours, theirs]) {
                ranges.into_iter().for_each(|(start, len)| set.insert(start..start + len));
            }
            let [mut set, other] = sets;
            // The expected set: nothing of the other set within the range, and everything outside
            // it.
            let before: BTreeSet<u32> = set.iter().flatten().collect();
            let out: BTreeSet<u32> = other.iter().flatten().collect();
            set.remove_all(&other, start..start + len);
            let left: BTreeSet<u32> = set.iter().flatten().collect();
            prop_assert!(left.is_subset(&before));
            prop_assert!((start..start + len).all(|at| !(left.contains(&at) && out.contains(&at))));
            prop_assert!(before.difference(&left).all(|at| out.contains(at)));
        }

        #[test]
        fn acts_as_a_set(ops in prop::collection::vec((any::<bool>(), 0u32..60, 0u32..12), 0..60)) {
            let (mut set, mut model) = (RangeSet::default(), BTreeSet::new());
            for (add, start, len) in ops {
                if add {
                    set.insert(start..start + len);
                    model.extend(start..start + len);
                } else {
                    set.remove(start..start + len);
                    model.retain(|at| !(start..start + len).contains(at));
                }
                let flat: Vec<u32> = set.iter().flatten().collect();
                prop_assert_eq!(flat, model.iter().copied().collect::<Vec<_>>());
                for pair in set.ranges.windows(2) {
                    prop_assert!(pair[0].end < pair[1].start, "ranges touch: {:?}", set);
                }
                let covered = (0..5).all(|at| model.contains(&at));
                prop_assert_eq!(set.covers(5), covered);
            }
        }
    }
}
