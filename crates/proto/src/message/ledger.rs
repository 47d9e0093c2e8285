//! What is kept for as long as a connection lives, of each channel or lane ever used.
//!
//! In: keys, values. Out: the same. Never: what they mean.

use std::{collections::BTreeMap, mem};

/// A map whose keys mostly stay. A B-tree, which has room for eleven entries however few there
/// are, takes the new ones; what was there at the last [`Self::settle`] stands in a sorted slice
/// that has room for nothing else.
#[derive(Debug)]
pub(super) struct Ledger<K, V> {
    settled: Box<[(K, V)]>,
    /// None of the keys of `settled`.
    recent: BTreeMap<K, V>,
}

impl<K, V> Default for Ledger<K, V> {
    fn default() -> Self {
        Self { settled: Box::default(), recent: BTreeMap::new() }
    }
}

impl<K: Ord + Copy, V> Ledger<K, V> {
    pub(super) fn get(&self, key: K) -> Option<&V> {
        match self.place(key) {
            Ok(place) => self.settled.get(place).map(|(_, value)| value),
            Err(_) => self.recent.get(&key),
        }
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        match self.place(key) {
            Ok(place) => self.settled.get_mut(place).map(|(_, value)| value),
            Err(_) => self.recent.get_mut(&key),
        }
    }

    pub(super) fn get_or_insert_with(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        match self.place(key) {
            Ok(place) => &mut self.settled[place].1,
            Err(_) => self.recent.entry(key).or_insert_with(new),
        }
    }

    pub(super) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.get_or_insert_with(key, V::default)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.place(key) {
            Ok(place) => self.settled[place].1 = value,
            Err(_) => _ = self.recent.insert(key, value),
        }
    }

    /// Takes out a value that nobody needs, if that costs little. [`Self::settle`] does it in any
    /// case. Says whether it did.
    pub(super) fn remove_recent(&mut self, key: K) -> bool {
        self.recent.remove(&key).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.settled.len() + self.recent.len()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.settled.iter_mut().map(|(_, value)| value).chain(self.recent.values_mut())
    }

    /// Drops what is not to be kept, and takes as little memory as there can be for the rest.
    pub(super) fn settle(&mut self, mut keep: impl FnMut(&V) -> bool) {
        // An emptied tree keeps its root.
        let recent = mem::take(&mut self.recent);
        if recent.is_empty() && self.settled.iter().all(|(_, value)| keep(value)) {
            return;
        }
        let settled = mem::take(&mut self.settled).into_vec();
        let mut all: Vec<(K, V)> =
            settled.into_iter().chain(recent).filter(|(_, value)| keep(value)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        self.settled = all.into_boxed_slice();
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.settled.iter().map(|(_, value)| value).chain(self.recent.values())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.recent.is_empty()
    }

    fn place(&self, key: K) -> Result<usize, usize> {
        self.settled.binary_search_by_key(&key, |(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(ops in prop::collection::vec((0_u8..6, 0_u16..12, 0_u32..100), 0..80)) {
            let (mut ledger, mut model) = (Ledger::default(), BTreeMap::new());
            for (op, key, value) in ops {
                match op {
                    0 => {
                        ledger.insert(key, value);
                        model.insert(key, value);
                    }
                    1 => {
                        let kept = *ledger.get_or_insert_with(key, || value);
                        prop_assert_eq!(kept, *model.entry(key).or_insert(value));
                    }
                    2 => {
                        let changed = ledger.get_mut(key).map(|old| *old += 1);
                        prop_assert_eq!(changed, model.get_mut(&key).map(|old| *old += 1));
                    }
                    3 => {
                        ledger.values_mut().for_each(|old| *old += 1);
                        model.values_mut().for_each(|old| *old += 1);
                    }
                    4 => {
                        ledger.settle(|kept| *kept >= value);
                        model.retain(|_, kept| *kept >= value);
                        prop_assert_eq!(ledger.settled.len(), model.len());
                    }
                    _ => {
                        let settled = ledger.place(key).is_ok();
                        ledger.remove_recent(key);
                        if !settled {
                            model.remove(&key);
                        }
                    }
                }
                for key in 0..12 {
                    prop_assert_eq!(ledger.get(key), model.get(&key));
                }
                prop_assert_eq!(ledger.is_empty(), model.is_empty());
            }
        }
    }
}
