//! Storage of connections, with direct access by handle.

use crate::event::ConnectionHandle;

/// The bits of a handle that contain the index; the others are a serial number.
const INDEX_BITS: u32 = 24;

/// A slab: indices are reused, but each handle refers to one value only. Holds at most 2^24 values
/// at once and 2^40 in total: ten thousand per second for three years.
///
/// Values are boxed: an empty entry is small, and a value does not move.
#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Vec<Option<(ConnectionHandle, Box<T>)>>,
    free: Vec<u32>,
    next_serial: u64,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), next_serial: 0 }
    }
}

impl<T> Slots<T> {
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Inserts a value. Returns `None` if there are too many.
    pub(super) fn insert(&mut self, value: Box<T>) -> Option<ConnectionHandle> {
        let full = self.free.is_empty() && self.entries.len() >> INDEX_BITS != 0;
        if full || self.next_serial >> (u64::BITS - INDEX_BITS) != 0 {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            (self.entries.len() - 1) as u32
        });
        let handle = ConnectionHandle(self.next_serial << INDEX_BITS | u64::from(index));
        self.next_serial += 1;
        *self.entries.get_mut(index as usize)? = Some((handle, value));
        Some(handle)
    }

    pub(super) fn handles(&self) -> impl Iterator<Item = ConnectionHandle> {
        self.entries.iter().flatten().map(|(handle, _)| *handle)
    }

    #[inline]
    pub(super) fn get(&self, handle: ConnectionHandle) -> Option<&T> {
        let (holder, value) = self.entries.get(index_of(handle))?.as_ref()?;
        (*holder == handle).then_some(value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, handle: ConnectionHandle) -> Option<&mut T> {
        let (holder, value) = self.entries.get_mut(index_of(handle))?.as_mut()?;
        (*holder == handle).then_some(value)
    }

    pub(super) fn remove(&mut self, handle: ConnectionHandle) -> Option<Box<T>> {
        let entry = self.entries.get_mut(index_of(handle))?;
        let (_, value) = entry.take_if(|(holder, _)| *holder == handle)?;
        self.free.push(index_of(handle) as u32);
        Some(value)
    }
}

/// Returns the index, which is below 2^24.
#[inline]
const fn index_of(handle: ConnectionHandle) -> usize {
    (handle.0 & ((1 << INDEX_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_refers_to_one_value_even_if_its_index_is_reused() {
        let mut slots = Slots::default();
        let [one, two] = ["one", "two"].map(|value| slots.insert(Box::new(value)).unwrap());
        assert_eq!(slots.remove(one), Some(Box::new("one")));
        let three = slots.insert(Box::new("three")).unwrap();
        assert_eq!((index_of(three), slots.len()), (index_of(one), 2));
        assert_eq!(slots.get(one), None);
        assert_eq!(slots.get_mut(one), None);
        assert_eq!(slots.remove(one), None);
        assert_eq!((slots.get(two), slots.get(three)), (Some(&"two"), Some(&"three")));
    }
}
