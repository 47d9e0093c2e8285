//! Buffers of long messages, used again and again.
//!
//! An allocator returns the pages of a freed buffer of this size to the system, which makes new
//! ones for the next message.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use crate::limits::{LONG_MESSAGE, MAX_KEPT_BUFFERS};

/// The length of a buffer that is kept: the most that is allocated for the beginning of a message.
pub(super) const BUFFER: usize = 64 << 10;

/// Buffers that are free, of all connections of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // A panic leaves a list of buffers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an empty buffer for the beginning of a message of `total` bytes.
    pub(super) fn take(&self, total: usize) -> Vec<u8> {
        if !(LONG_MESSAGE..=BUFFER).contains(&total) {
            return Vec::with_capacity(total.min(BUFFER));
        }
        self.lock().pop().unwrap_or_else(|| Vec::with_capacity(BUFFER))
    }

    /// Returns a whole message as a payload. Its buffer is free again when the payload is dropped.
    pub(super) fn payload(self: &Arc<Self>, message: Vec<u8>) -> Bytes {
        if message.capacity() != BUFFER || message.len() < LONG_MESSAGE {
            return message.into();
        }
        Bytes::from_owner(Lent { message, buffers: Arc::clone(self) })
    }

    /// Frees the memory of all buffers.
    pub(super) fn clear(&self) {
        let buffers = mem::take(&mut *self.lock());
        drop(buffers);
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = self.lock();
        if free.len() < MAX_KEPT_BUFFERS {
            free.push(buffer);
        }
    }
}

/// A message in a buffer.
struct Lent {
    message: Vec<u8>,
    buffers: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.buffers.give(mem::take(&mut self.message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_of_a_long_message_is_used_for_the_next() {
        let buffers = Arc::new(Buffers::default());
        let mut message = buffers.take(BUFFER);
        message.extend_from_slice(&[1; BUFFER]);
        let place = message.as_ptr();
        let payload = buffers.payload(message);
        let part = payload.slice(..10);
        drop(payload);
        assert_eq!(buffers.lock().len(), 0, "a part of it is in use");
        drop(part);
        assert_eq!(buffers.lock().len(), 1);
        let again = buffers.take(BUFFER);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_and_short_messages_keep_no_buffer() {
        let buffers = Arc::new(Buffers::default());
        let message = |len| {
            let mut message = buffers.take(len);
            message.resize(len, 0);
            buffers.payload(message)
        };
        let payloads: Vec<_> = (0..2 * MAX_KEPT_BUFFERS).map(|_| message(BUFFER)).collect();
        drop(payloads);
        assert_eq!(buffers.lock().len(), MAX_KEPT_BUFFERS);
        buffers.clear();
        for len in [0, 1, LONG_MESSAGE - 1, 2 * BUFFER] {
            drop(message(len));
        }
        assert!(buffers.lock().is_empty());
    }
}
