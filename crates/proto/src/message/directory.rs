//! Things found by name, the last one at once: most messages go where the one before went.
//!
//! In: names, values. Out: values. Never: a name in no order, which no seed could repeat.

use std::{cell::Cell, collections::BTreeMap};

/// A map in the order of its names. Empty, it holds no heap once it was given back as a whole.
#[derive(Debug)]
pub(super) struct Directory<K, V> {
    /// Where in `places`, by name.
    index: BTreeMap<K, u32>,
    places: Vec<Option<(K, V)>>,
    free: Vec<u32>,
    /// The place that was found last.
    last: Cell<u32>,
}

impl<K, V> Default for Directory<K, V> {
    fn default() -> Self {
        let (index, places, free) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { index, places, free, last: Cell::new(0) }
    }
}

impl<K: Copy + Ord, V> Directory<K, V> {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// In their order.
    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.index.keys().copied()
    }

    #[inline]
    pub(super) fn get(&self, key: K) -> Option<&V> {
        let (_, value) = self.places.get(self.place(key)?)?.as_ref()?;
        Some(value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.place(key)?;
        let (_, value) = self.places.get_mut(place)?.as_mut()?;
        Some(value)
    }

    /// The value of this name, which is made if there is none.
    #[inline]
    pub(super) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let place = match self.place(key) {
            Some(place) => place,
            None => self.insert(key),
        };
        &mut self.places[place].get_or_insert_with(|| (key, make())).1
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let place = self.index.remove(&key)?;
        self.free.push(place);
        let (_, value) = self.places.get_mut(place as usize)?.take()?;
        Some(value)
    }

    #[inline]
    fn place(&self, key: K) -> Option<usize> {
        let last = self.last.get() as usize;
        if let Some(Some((name, _))) = self.places.get(last)
            && *name == key
        {
            return Some(last);
        }
        self.search(key)
    }

    fn search(&self, key: K) -> Option<usize> {
        let place = *self.index.get(&key)?;
        self.last.set(place);
        Some(place as usize)
    }

    /// A place for a new name.
    fn insert(&mut self, key: K) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            // Names are of 19 bits at most.
            (self.places.len() - 1) as u32
        });
        self.index.insert(key, place);
        self.last.set(place);
        place as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(ops in prop::collection::vec((0u8..4, 0u16..6), 0..100)) {
            let (mut directory, mut model) = (Directory::default(), BTreeMap::new());
            for (value, (op, key)) in (0..).zip(ops) {
                match op {
                    0 => {
                        let was = *model.entry(key).or_insert(value);
                        prop_assert_eq!(*directory.get_or_insert_with(key, || value), was);
                    }
                    1 => prop_assert_eq!(directory.remove(key), model.remove(&key)),
                    _ => {
                        prop_assert_eq!(directory.get(key), model.get(&key));
                        prop_assert_eq!(directory.get_mut(key), model.get_mut(&key));
                    }
                }
                prop_assert_eq!(directory.len(), model.len());
                prop_assert!(directory.keys().eq(model.keys().copied()));
                prop_assert!(directory.places.len() <= 6, "places are used again");
            }
        }
    }
}
