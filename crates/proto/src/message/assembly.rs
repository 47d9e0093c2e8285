//! Reassembles one message from its fragments.
//!
//! In: fragments. Out: the message, once it is whole. Never: memory for bytes that have not
//! arrived.

use std::{collections::BTreeMap, mem, ops::Range, sync::Arc};

use bytes::Bytes;

use super::buffers::Buffers;
use crate::{error::Close, time::Time};

/// A message that is incomplete.
///
/// Memory: at most [`BUFFER`](super::buffers::BUFFER) or twice the bytes that arrived, whichever is
/// more, and never more than four thirds of the total (which the sender paid for, by credit or in
/// the pool); about 80 bytes for each island. Bytes that arrive in order are copied once; bytes
/// that arrive beyond a gap, twice.
#[derive(Debug)]
pub(super) struct Assembly {
    total: usize,
    buffers: Arc<Buffers>,
    /// The bytes from the beginning up to the first gap.
    head: Vec<u8>,
    /// The bytes beyond the first gap, by offset. Islands do not overlap.
    islands: BTreeMap<usize, Vec<u8>>,
    /// When its first fragment arrived, counted in unfinished messages.
    pub(super) arrival: u64,
    /// Deadline: if it is incomplete at this time, it is dropped.
    pub(super) due: Time,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// Kept; the message is still incomplete.
    Kept,
    /// That was the last missing fragment: the whole message.
    Whole(Bytes),
    /// Not kept, or not all of it: the message has too many islands.
    Refused,
}

impl Assembly {
    pub(super) fn new(buffers: &Arc<Buffers>, total: usize, arrival: u64, due: Time) -> Self {
        let (buffers, head, islands) = (Arc::clone(buffers), Vec::new(), BTreeMap::new());
        Self { total, buffers, head, islands, arrival, due }
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Adds the bytes at `offset`, which end within the total.
    ///
    /// # Errors
    ///
    /// M-50: the total differs, or the bytes differ from those that arrived before for the same
    /// range.
    pub(super) fn add(&mut self, total: usize, offset: usize, data: &[u8]) -> Result<Added, Close> {
        if total != self.total {
            return Err(Close::violation("fragments of one message differ in its length"));
        }
        if offset == self.head.len() && self.islands.is_empty() {
            // By far the most frequent case: the next bytes, and no islands.
            self.append(data);
        } else if !self.add_with_gaps(offset, data)? {
            return Ok(Added::Refused);
        }
        if self.head.len() < self.total {
            return Ok(Added::Kept);
        }
        Ok(Added::Whole(self.buffers.payload(mem::take(&mut self.head))))
    }

    /// Adds bytes that overlap earlier ones, or that leave a gap. Returns `false` if they were not
    /// kept, or not all of them.
    fn add_with_gaps(&mut self, offset: usize, data: &[u8]) -> Result<bool, Close> {
        let end = offset + data.len();
        let mut at = offset;
        while at < end {
            let bytes = &data[at - offset..];
            let known = self.known(at, bytes.len());
            if known.is_empty() {
                let gap = self.gap(at, end);
                if !self.fill(at, &bytes[..gap.len()]) {
                    return Ok(false);
                }
                at = gap.end;
            } else {
                if known != &bytes[..known.len()] {
                    return Err(Close::violation("overlapping fragments do not agree"));
                }
                at += known.len();
            }
        }
        self.join();
        Ok(true)
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.head.capacity() == 0 {
            self.head = self.buffers.take(self.total);
        }
        extend(&mut self.head, bytes, self.total);
    }

    /// Returns the bytes that are known from `at` on, at most `len`.
    fn known(&self, at: usize, len: usize) -> &[u8] {
        let (start, bytes) = match self.islands.range(..=at).next_back() {
            Some((start, island)) if at >= self.head.len() => (*start, island),
            _ => (0, &self.head),
        };
        let bytes = bytes.get(at - start..).unwrap_or_default();
        &bytes[..bytes.len().min(len)]
    }

    /// Returns the gap that begins at `at`: the range for which nothing has arrived.
    fn gap(&self, at: usize, end: usize) -> Range<usize> {
        let next = self.islands.range(at..).next();
        at..next.map_or(end, |(start, _)| end.min(*start))
    }

    /// Puts bytes into a gap: at the end of what precedes it, or as an island of their own.
    fn fill(&mut self, at: usize, bytes: &[u8]) -> bool {
        if at == self.head.len() {
            self.append(bytes);
            return true;
        }
        if let Some((start, island)) = self.islands.range_mut(..at).next_back()
            && start + island.len() == at
        {
            extend(island, bytes, self.total - start);
            return true;
        }
        let room = self.islands.len() < most_islands(self.total);
        if room {
            self.islands.insert(at, bytes.to_vec());
        }
        room
    }

    /// Appends the islands that the head has reached.
    fn join(&mut self) {
        while let Some(first) = self.islands.first_entry()
            && *first.key() == self.head.len()
        {
            extend(&mut self.head, &first.remove(), self.total);
        }
    }
}

/// Honest fragments have at least 64 bytes (`sending::MIN_FRAGMENT`). So no honest message needs
/// more islands, and the cost of one stays in proportion to the length that its sender paid for.
const fn most_islands(total: usize) -> usize {
    1 + total / 64
}

/// Appends; the capacity doubles when it grows, but does not exceed `most`.
fn extend(bytes: &mut Vec<u8>, more: &[u8], most: usize) {
    let needed = bytes.len() + more.len();
    if needed > bytes.capacity() {
        let room = needed.max(2 * bytes.capacity()).min(most.max(needed));
        bytes.reserve_exact(room - bytes.len());
    }
    bytes.extend_from_slice(more);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assembly(total: usize) -> Assembly {
        Assembly::new(&Arc::default(), total, 0, Time::ZERO)
    }

    fn message(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 7 + at / 256) as u8).collect()
    }

    proptest! {
        #[test]
        fn a_message_is_complete_exactly_when_every_byte_has_arrived(
            total in 1usize..2000,
            cuts in prop::collection::vec((0usize..2000, 64usize..300), 0..60),
        ) {
            let (message, mut assembly) = (message(total), assembly(total));
            let mut came = vec![false; total];
            let finish = (0..total).step_by(64).map(|at| (at, 64));
            for (at, len) in cuts.into_iter().chain(finish) {
                let at = at % total;
                let end = (at + len).min(total);
                let added = assembly.add(total, at, &message[at..end]).unwrap();
                match added {
                    Added::Refused => continue,
                    Added::Kept => came[at..end].fill(true),
                    Added::Whole(bytes) => {
                        came[at..end].fill(true);
                        prop_assert!(came.iter().all(|came| *came));
                        prop_assert_eq!(bytes, message);
                        return Ok(());
                    }
                }
                prop_assert!(!came.iter().all(|came| *came), "complete, but not reported");
                prop_assert!(assembly.islands.len() <= most_islands(total));
            }
            prop_assert!(false, "never whole");
        }
    }

    // M-50
    #[test]
    fn m50_overlapping_fragments_must_agree() {
        for other in [0, 30, 60] {
            let mut assembly = assembly(100);
            assembly.add(100, 0, &[1; 20]).unwrap();
            assembly.add(100, 40, &[1; 20]).unwrap();
            let mut bytes = [1; 100];
            assert_eq!(assembly.add(100, 10, &bytes[..40]), Ok(Added::Kept));
            bytes[other] = 2;
            let agrees = assembly.add(100, other, &bytes[other..other + 1]);
            let fresh = other == 60;
            assert_eq!(agrees.is_ok(), fresh, "byte {other}");
        }
    }

    // M-50
    #[test]
    fn m50_all_fragments_carry_the_same_total() {
        let mut assembly = assembly(100);
        assembly.add(100, 0, &[1; 20]).unwrap();
        assert!(assembly.add(99, 20, &[1; 20]).is_err());
    }

    #[test]
    fn a_claimed_length_costs_nothing() {
        let mut assembly = assembly(16 << 20);
        assembly.add(16 << 20, (16 << 20) - 10, &[1; 10]).unwrap();
        let held: usize = assembly.islands.values().map(Vec::capacity).sum();
        assert!(assembly.head.capacity() + held <= 20);
    }

    // D-10
    #[test]
    fn tiny_islands_are_refused_but_never_the_next_bytes() {
        let mut assembly = assembly(640);
        let islands = (1..300).map(|at| assembly.add(640, 2 * at, &[0]).unwrap());
        assert_eq!(islands.filter(|added| *added == Added::Kept).count(), 11);
        assert_eq!(assembly.add(640, 0, &[0; 500]), Ok(Added::Kept));
        assert!(matches!(assembly.add(640, 500, &[0; 140]), Ok(Added::Whole(_))));
    }

    #[test]
    fn a_whole_message_takes_no_more_than_its_length() {
        let mut assembly = assembly(1000);
        for at in (0..900).step_by(100) {
            assembly.add(1000, at, &[0; 100]).unwrap();
        }
        let Ok(Added::Whole(bytes)) = assembly.add(1000, 900, &[0; 100]) else {
            panic!("not whole")
        };
        assert_eq!(Vec::from(bytes).capacity(), 1000);
    }
}
