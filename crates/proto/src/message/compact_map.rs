//! A map for what is kept, of each channel or lane ever used, as long as the connection lives.

use std::{collections::BTreeMap, mem};

/// A map whose entries mostly stay. New keys go into a B-tree, whose nodes have room for eleven
/// entries however few there are. [`Self::compact`] moves them into a sorted slice without spare
/// room.
#[derive(Debug)]
pub(super) struct CompactMap<K, V> {
    compacted: Box<[(K, V)]>,
    /// Contains none of the keys of `compacted`.
    recent: BTreeMap<K, V>,
}

impl<K, V> Default for CompactMap<K, V> {
    fn default() -> Self {
        Self { compacted: Box::default(), recent: BTreeMap::new() }
    }
}

impl<K: Ord + Copy, V> CompactMap<K, V> {
    pub(super) fn get(&self, key: K) -> Option<&V> {
        match self.position(key) {
            Ok(index) => self.compacted.get(index).map(|(_, value)| value),
            Err(_) => self.recent.get(&key),
        }
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        match self.position(key) {
            Ok(index) => self.compacted.get_mut(index).map(|(_, value)| value),
            Err(_) => self.recent.get_mut(&key),
        }
    }

    pub(super) fn get_or_insert_with(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        match self.position(key) {
            Ok(index) => &mut self.compacted[index].1,
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
        match self.position(key) {
            Ok(index) => self.compacted[index].1 = value,
            Err(_) => _ = self.recent.insert(key, value),
        }
    }

    /// Removes a value that is no longer needed, if that is cheap: [`Self::compact`] removes it in
    /// any case. Returns `true` if it was removed.
    pub(super) fn remove_recent(&mut self, key: K) -> bool {
        self.recent.remove(&key).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.compacted.len() + self.recent.len()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.compacted.iter_mut().map(|(_, value)| value).chain(self.recent.values_mut())
    }

    /// Drops the values that `keep` rejects, and stores the rest in as little memory as possible.
    pub(super) fn compact(&mut self, mut keep: impl FnMut(&V) -> bool) {
        // An emptied tree keeps its root.
        let recent = mem::take(&mut self.recent);
        if recent.is_empty() && self.compacted.iter().all(|(_, value)| keep(value)) {
            return;
        }
        let compacted = mem::take(&mut self.compacted).into_vec();
        let mut all: Vec<(K, V)> =
            compacted.into_iter().chain(recent).filter(|(_, value)| keep(value)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        self.compacted = all.into_boxed_slice();
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.compacted.iter().map(|(_, value)| value).chain(self.recent.values())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.compacted.is_empty() && self.recent.is_empty()
    }

    fn position(&self, key: K) -> Result<usize, usize> {
        self.compacted.binary_search_by_key(&key, |(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn acts_like_a_map(ops in prop::collection::vec((0_u8..6, 0_u16..12, 0_u32..100), 0..80)) {
            let (mut compact_map, mut model) = (CompactMap::default(), BTreeMap::new());
            for (op, key, value) in ops {
                match op {
                    0 => {
                        compact_map.insert(key, value);
                        model.insert(key, value);
                    }
                    1 => {
                        let kept = *compact_map.get_or_insert_with(key, || value);
                        prop_assert_eq!(kept, *model.entry(key).or_insert(value));
                    }
                    2 => {
                        let changed = compact_map.get_mut(key).map(|old| *old += 1);
                        prop_assert_eq!(changed, model.get_mut(&key).map(|old| *old += 1));
                    }
                    3 => {
                        compact_map.values_mut().for_each(|old| *old += 1);
                        model.values_mut().for_each(|old| *old += 1);
                    }
                    4 => {
                        compact_map.compact(|kept| *kept >= value);
                        model.retain(|_, kept| *kept >= value);
                        prop_assert_eq!(compact_map.compacted.len(), model.len());
                    }
                    _ => {
                        let compacted = compact_map.position(key).is_ok();
                        compact_map.remove_recent(key);
                        if !compacted {
                            model.remove(&key);
                        }
                    }
                }
                for key in 0..12 {
                    prop_assert_eq!(compact_map.get(key), model.get(&key));
                }
                prop_assert_eq!(compact_map.is_empty(), model.is_empty());
            }
        }
    }
}
