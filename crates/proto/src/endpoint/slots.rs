//! The connections of an endpoint, each in a place of its own: one step from handle to connection.
//!
//! In: connections. Out: handles, and connections by them. Never: what a connection does.

use crate::event::ConnectionHandle;

/// Bits of a handle that tell the place; the others are of a number that rises with each value.
const PLACE_BITS: u32 = 24;

/// Places for values, used again; a handle is good for one value only. At most 2^24 at once, and
/// 2^40 in all: ten thousand a second, for three years.
///
/// Values are boxed: an empty place is small, and a value stays where it is.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Option<(ConnectionHandle, Box<T>)>>,
    free: Vec<u32>,
    next_serial: u64,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), next_serial: 0 }
    }
}

impl<T> Slots<T> {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// None when there are too many of them.
    pub(super) fn insert(&mut self, value: Box<T>) -> Option<ConnectionHandle> {
        let full = self.free.is_empty() && self.places.len() >> PLACE_BITS != 0;
        if full || self.next_serial >> (u64::BITS - PLACE_BITS) != 0 {
            return None;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            (self.places.len() - 1) as u32
        });
        let handle = ConnectionHandle(self.next_serial << PLACE_BITS | u64::from(place));
        self.next_serial += 1;
        *self.places.get_mut(place as usize)? = Some((handle, value));
        Some(handle)
    }

    pub(super) fn handles(&self) -> impl Iterator<Item = ConnectionHandle> {
        self.places.iter().flatten().map(|(handle, _)| *handle)
    }

    #[inline]
    pub(super) fn get(&self, handle: ConnectionHandle) -> Option<&T> {
        let (holder, value) = self.places.get(place_of(handle))?.as_ref()?;
        (*holder == handle).then_some(value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, handle: ConnectionHandle) -> Option<&mut T> {
        let (holder, value) = self.places.get_mut(place_of(handle))?.as_mut()?;
        (*holder == handle).then_some(value)
    }

    pub(super) fn remove(&mut self, handle: ConnectionHandle) -> Option<Box<T>> {
        let place = self.places.get_mut(place_of(handle))?;
        let (_, value) = place.take_if(|(holder, _)| *holder == handle)?;
        self.free.push(place_of(handle) as u32);
        Some(value)
    }
}

/// Below 2^24.
#[inline]
const fn place_of(handle: ConnectionHandle) -> usize {
    (handle.0 & ((1 << PLACE_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_good_for_one_value_though_its_place_is_used_again() {
        let mut slots = Slots::default();
        let [one, two] = ["one", "two"].map(|value| slots.insert(Box::new(value)).unwrap());
        assert_eq!(slots.remove(one), Some(Box::new("one")));
        let three = slots.insert(Box::new("three")).unwrap();
        assert_eq!((place_of(three), slots.len()), (place_of(one), 2));
        assert_eq!(slots.get(one), None);
        assert_eq!(slots.get_mut(one), None);
        assert_eq!(slots.remove(one), None);
        assert_eq!((slots.get(two), slots.get(three)), (Some(&"two"), Some(&"three")));
    }
}
