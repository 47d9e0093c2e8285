//! Keeps the buffers behind queued payloads in proportion to what the queue counts.
//!
//! In: payloads, and how many messages wait. Out: the same bytes, in smaller buffers where that is
//! needed. Never: a copy of a payload that others share on purpose.
//!
//! A queue counts the length of a payload, but a [`Bytes`] keeps its whole buffer, whose size it
//! does not tell. A payload that is alone in its buffer is measured, which costs some nanoseconds:
//! one in [`SAMPLE`], and all for a while after one that moved. A payload whose buffer others hold
//! too is copied only if many messages wait, and only if it does not lie beside the one before it,
//! as the lines of one block do.

use bytes::Bytes;

use crate::limits::{MAX_COMPACTED, MESSAGE_OVERHEAD, SHARED_BUFFERS};

/// The bytes between two payloads of one buffer that the cost of a message covers.
const GAP: usize = MESSAGE_OVERHEAD as usize;

/// Of as many payloads one is looked at, as long as none had to move.
const SAMPLE: u32 = 16;

/// Payloads looked at after one that moved.
const SUSPECTS: u32 = 1_024;

/// Decides which payloads of one queue move to buffers of their own.
#[derive(Debug, Default)]
pub struct Compactor {
    /// A payload that was copied. It keeps its buffer, so that no other one can have the same
    /// addresses.
    block: Bytes,
    /// The end of the last payload in that buffer.
    end: usize,
    /// Payloads that are not looked at, before one that is.
    skipped: u32,
    /// Payloads that are all looked at.
    suspects: u32,
}

impl Compactor {
    /// Returns the payload, moved to a smaller buffer if it keeps a larger one alive than it should
    /// while `waiting` messages are queued before it.
    #[must_use]
    #[inline]
    pub fn compact(&mut self, payload: Bytes, waiting: usize) -> Bytes {
        if self.skipped > 0 {
            self.skipped -= 1;
            return payload;
        }
        if payload.len() > MAX_COMPACTED || self.continues_block(&payload) {
            return payload;
        }
        self.look_at(payload, waiting)
    }

    /// Releases the buffer that payloads are compared with.
    pub fn release(&mut self) {
        self.block = Bytes::new();
        self.end = 0;
    }

    /// Returns `true` for a payload that is right behind the last one of its block, or equals it.
    fn continues_block(&mut self, payload: &Bytes) -> bool {
        let start = payload.as_ptr().addr();
        let continues = !self.block.is_empty()
            && (self.block.as_ptr().addr()..=self.end + GAP).contains(&start);
        if continues {
            self.end = self.end.max(start + payload.len());
        }
        continues
    }

    fn look_at(&mut self, payload: Bytes, waiting: usize) -> Bytes {
        let (before, alone) = (payload.as_ptr(), payload.is_unique());
        let after = if alone {
            shrink(payload)
        } else if waiting < SHARED_BUFFERS {
            payload
        } else {
            let copy = Bytes::copy_from_slice(&payload);
            self.end = payload.as_ptr().addr() + payload.len();
            self.block = payload;
            copy
        };
        let moved = after.as_ptr() != before;
        self.suspects = if moved { SUSPECTS } else { self.suspects.saturating_sub(1) };
        if self.suspects == 0 {
            self.skipped = SAMPLE - 1;
        }
        after
    }
}

/// Moves a payload out of a buffer that is much larger and belongs to nobody else.
fn shrink(payload: Bytes) -> Bytes {
    let whole = Vec::from(payload);
    if whole.capacity() > 2 * whole.len() + GAP {
        // A new buffer: shrinking the old one in place may leave a page of memory to it.
        return Bytes::copy_from_slice(&whole);
    }
    whole.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 1 << 20;

    fn large() -> Bytes {
        vec![7; LARGE].into()
    }

    /// Returns a part of a buffer that nobody else has.
    fn part(range: std::ops::Range<usize>) -> Bytes {
        large().slice(range)
    }

    /// Returns whether the payload moved, if it is looked at.
    fn moves(compactor: &mut Compactor, payload: Bytes, waiting: usize) -> bool {
        compactor.skipped = 0;
        let (before, copy) = (payload.as_ptr(), payload.to_vec());
        let after = compactor.compact(payload, waiting);
        assert_eq!(after, copy);
        after.as_ptr() != before
    }

    #[test]
    fn a_small_part_of_a_buffer_that_nobody_else_has_moves() {
        let mut compactor = Compactor::default();
        for range in [0..16, 500..516, LARGE - 16..LARGE, 1_000..1_000 + MAX_COMPACTED] {
            assert!(moves(&mut compactor, part(range), 0));
        }
        let mut spare = Vec::with_capacity(LARGE);
        spare.extend_from_slice(b"hello");
        assert!(moves(&mut compactor, spare.into(), 0));
    }

    #[test]
    fn a_payload_that_fills_its_buffer_stays_where_it_is() {
        let mut compactor = Compactor::default();
        assert!(!moves(&mut compactor, vec![7; 1_000].into(), usize::MAX));
        let mut spare = Vec::with_capacity(1_500);
        spare.resize(1_000, 7);
        assert!(!moves(&mut compactor, spare.into(), usize::MAX));
        assert!(!moves(&mut compactor, Bytes::new(), usize::MAX));
        assert!(!moves(&mut compactor, large(), usize::MAX));
    }

    #[test]
    fn a_payload_that_others_hold_moves_only_while_many_messages_wait() {
        let mut compactor = Compactor::default();
        let shared = large();
        assert!(!moves(&mut compactor, shared.slice(0..16), SHARED_BUFFERS - 1));
        assert!(moves(&mut compactor, shared.slice(0..16), SHARED_BUFFERS));
        assert!(moves(&mut compactor, shared.slice(5_000..5_016), SHARED_BUFFERS));
        assert!(!moves(&mut compactor, shared.slice(0..MAX_COMPACTED + 1), SHARED_BUFFERS));
    }

    #[test]
    fn one_part_of_a_large_buffer_has_all_that_follow_looked_at() {
        let mut compactor = Compactor::default();
        let mut kept = 0;
        for _ in 0..1_000 {
            for _ in 0..40 {
                _ = compactor.compact(vec![7; 10].into(), 0);
            }
            let payload = part(16..32);
            let before = payload.as_ptr();
            kept += u32::from(compactor.compact(payload, 0).as_ptr() == before);
        }
        assert!(kept < 2 * SAMPLE, "{kept} of 1,000");
    }

    #[test]
    fn the_lines_of_one_block_and_repeated_payloads_stay_shared() {
        let mut compactor = Compactor::default();
        let block = large();
        let mut moved = 0;
        for line in 0..1_000 {
            let start = line * 101;
            let line = block.slice(start..start + 100);
            moved += usize::from(moves(&mut compactor, line.clone(), usize::MAX));
            moved += usize::from(moves(&mut compactor, line, usize::MAX));
        }
        assert_eq!(moved, 1, "the first, of which nothing is known");
    }
}
