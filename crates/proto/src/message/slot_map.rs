//! A map that finds the last used key at once: most messages go where the one before went.
//!
//! In: keys, values. Out: values. Never: an iteration order that a seed could not reproduce.

use std::{cell::Cell, collections::BTreeMap};

/// A map in the order of its keys. An empty map has nothing on the heap once `remove` emptied it.
#[derive(Debug)]
pub(super) struct SlotMap<K, V> {
    /// The index in `slots` of each key.
    by_key: BTreeMap<K, u32>,
    slots: Vec<Option<(K, V)>>,
    free: Vec<u32>,
    /// The slot that was found last.
    last: Cell<u32>,
}

impl<K, V> Default for SlotMap<K, V> {
    fn default() -> Self {
        let (by_key, slots, free) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { by_key, slots, free, last: Cell::new(0) }
    }
}

impl<K: Copy + Ord, V> SlotMap<K, V> {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns the keys in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.by_key.keys().copied()
    }

    #[inline]
    pub(super) fn get(&self, key: K) -> Option<&V> {
        let (_, value) = self.slots.get(self.find(key)?)?.as_ref()?;
        Some(value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let slot = self.find(key)?;
        let (_, value) = self.slots.get_mut(slot)?.as_mut()?;
        Some(value)
    }

    /// Returns the value of this key, which is inserted if there is none.
    #[inline]
    pub(super) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let slot = match self.find(key) {
            Some(slot) => slot,
            None => self.insert(key),
        };
        &mut self.slots[slot].get_or_insert_with(|| (key, make())).1
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let slot = self.by_key.remove(&key)?;
        self.free.push(slot);
        let (_, value) = self.slots.get_mut(slot as usize)?.take()?;
        Some(value)
    }

    #[inline]
    fn find(&self, key: K) -> Option<usize> {
        let last = self.last.get() as usize;
        if let Some(Some((name, _))) = self.slots.get(last)
            && *name == key
        {
            return Some(last);
        }
        self.search(key)
    }

    fn search(&self, key: K) -> Option<usize> {
        let slot = *self.by_key.get(&key)?;
        self.last.set(slot);
        Some(slot as usize)
    }

    /// Inserts a slot for a new key, and returns its index.
    fn insert(&mut self, key: K) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            // Keys have at most 19 bits.
            (self.slots.len() - 1) as u32
        });
        self.by_key.insert(key, slot);
        self.last.set(slot);
        slot as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn acts_like_a_map(ops in prop::collection::vec((0u8..4, 0u16..6), 0..100)) {
            let (mut slot_map, mut model) = (SlotMap::default(), BTreeMap::new());
            for (value, (op, key)) in (0..).zip(ops) {
                match op {
                    0 => {
                        let was = *model.entry(key).or_insert(value);
                        prop_assert_eq!(*slot_map.get_or_insert_with(key, || value), was);
                    }
                    1 => prop_assert_eq!(slot_map.remove(key), model.remove(&key)),
                    _ => {
                        prop_assert_eq!(slot_map.get(key), model.get(&key));
                        prop_assert_eq!(slot_map.get_mut(key), model.get_mut(&key));
                    }
                }
                prop_assert_eq!(slot_map.len(), model.len());
                prop_assert!(slot_map.keys().eq(model.keys().copied()));
                prop_assert!(slot_map.slots.len() <= 6, "slots are used again");
            }
        }
    }
}
