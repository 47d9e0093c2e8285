//! The ordered byte stream of TLS at one level, carried in CRYPTO frames.

use crate::{error::Close, message::ranges::RangeSet};

/// The number of bytes kept beyond the first missing one: more than any of our handshakes needs. It
/// bounds what an unauthenticated Hello can make us keep.
const MAX_AHEAD: u64 = 16 << 10;

/// The maximum number of separate ranges kept: an honest handshake is about 10 packets long.
const MAX_PIECES: usize = 64;

/// Both directions of one level.
#[derive(Debug, Default)]
pub(super) struct CryptoStream {
    outgoing: Outgoing,
    incoming: Incoming,
}

/// Positions are relative to `base`; everything below was acknowledged.
#[derive(Debug, Default)]
struct Outgoing {
    base: u64,
    bytes: Vec<u8>,
    /// Ranges to send, for the first time or again.
    pending: RangeSet,
    acked: RangeSet,
}

/// Positions are relative to `next`; everything below was handed to TLS.
#[derive(Debug, Default)]
struct Incoming {
    next: u64,
    bytes: Vec<u8>,
    have: RangeSet,
}

impl CryptoStream {
    /// Appends bytes to send.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let out = &mut self.outgoing;
        let start = position(out.bytes.len());
        out.bytes.extend_from_slice(bytes);
        out.pending.insert(start..position(out.bytes.len()));
    }

    /// Corrupts a byte that was not sent yet.
    #[cfg(fuzzing)]
    pub(super) fn lie(&mut self, at: usize, xor: u8) {
        let out = &mut self.outgoing;
        let Some(range) = out.pending.first() else { return };
        let waiting = out.bytes.get_mut(range.start as usize..).unwrap_or_default();
        let len = waiting.len().max(1);
        if let Some(byte) = waiting.get_mut(at % len) {
            *byte ^= xor;
        }
    }

    /// Returns `true` if there are bytes to send.
    pub(super) fn wants_to_send(&self) -> bool {
        !self.outgoing.pending.is_empty()
    }

    /// Returns `true` if everything was sent and acknowledged.
    pub(super) fn is_complete(&self) -> bool {
        self.outgoing.bytes.is_empty() && self.incoming.bytes.is_empty()
    }

    /// Returns the offset and length of the next bytes to send.
    pub(super) fn front(&self) -> Option<(u64, usize)> {
        let range = self.outgoing.pending.first()?;
        Some((self.outgoing.base + u64::from(range.start), range.len()))
    }

    /// Takes the first `len` bytes of [`Self::front`] to be sent.
    pub(super) fn take(&mut self, len: usize) -> &[u8] {
        let out = &mut self.outgoing;
        let Some(range) = out.pending.first() else { return &[] };
        let end = range.end.min(range.start.saturating_add(position(len)));
        out.pending.remove(range.start..end);
        out.bytes.get(range.start as usize..end as usize).unwrap_or_default()
    }

    /// Records that the packet with this range was acknowledged.
    pub(super) fn on_acked(&mut self, offset: u64, len: u16) {
        let out = &mut self.outgoing;
        let Some(range) = out.range(offset, len) else { return };
        out.pending.remove(range.clone());
        out.acked.insert(range);
        if out.acked.covers(position(out.bytes.len())) {
            let base = out.base + out.bytes.len() as u64;
            *out = Outgoing { base, ..Outgoing::default() };
        }
    }

    /// Records that the packet with this range was lost or must be repeated.
    pub(super) fn on_lost(&mut self, offset: u64, len: u16) {
        let out = &mut self.outgoing;
        let Some(range) = out.range(offset, len) else { return };
        out.pending.insert(range.clone());
        out.pending.remove_all(&out.acked, range);
    }

    /// Queues everything again (after a Retry).
    pub(super) fn restart(&mut self) {
        let out = &mut self.outgoing;
        out.acked = RangeSet::default();
        out.pending.insert(0..position(out.bytes.len()));
    }

    /// Handles a CRYPTO frame. [`Self::pop`] then returns the bytes that are next in order.
    ///
    /// # Errors
    ///
    /// If the frame is too far ahead, or leaves too many separate ranges (M-40).
    pub(super) fn insert(&mut self, offset: u64, data: &[u8]) -> Result<(), Close> {
        let incoming = &mut self.incoming;
        let end = offset.saturating_add(data.len() as u64);
        if end <= incoming.next {
            return Ok(());
        }
        let skip = incoming.next.saturating_sub(offset);
        let data = usize::try_from(skip).ok().and_then(|skip| data.get(skip..)).unwrap_or_default();
        let ahead = offset.max(incoming.next) - incoming.next;
        if end - incoming.next > MAX_AHEAD {
            return Err(Close::violation("handshake bytes too far ahead"));
        }
        // Both are at most `MAX_AHEAD`.
        let (from, to) = (ahead as usize, ahead as usize + data.len());
        if incoming.bytes.len() < to {
            incoming.bytes.resize(to, 0);
        }
        if let Some(target) = incoming.bytes.get_mut(from..to) {
            target.copy_from_slice(data);
        }
        incoming.have.insert(position(from)..position(to));
        if incoming.have.iter().len() > MAX_PIECES {
            return Err(Close::violation("handshake bytes in too many ranges"));
        }
        Ok(())
    }

    /// Returns all bytes that are next in order. Allocates, as handshakes do.
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        let incoming = &mut self.incoming;
        let len = incoming.have.first().filter(|first| first.start == 0)?.end;
        let left = incoming.bytes.split_off(len as usize);
        let bytes = std::mem::replace(&mut incoming.bytes, left);
        incoming.next += u64::from(len);
        let mut have = RangeSet::default();
        for range in incoming.have.iter().skip(1) {
            have.insert(range.start - len..range.end - len);
        }
        incoming.have = have;
        Some(bytes)
    }
}

impl Outgoing {
    /// Returns the range of a frame that is not below `base`.
    fn range(&self, offset: u64, len: u16) -> Option<std::ops::Range<u32>> {
        let start = u32::try_from(offset.checked_sub(self.base)?).ok()?;
        Some(start..start.checked_add(u32::from(len))?)
    }
}

/// TLS writes far less than 2^32 bytes per level.
fn position(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sends `bytes` in frames of `chunk` bytes and delivers them in the order given by `order`,
    /// losing the first `lost` of them once.
    fn through(bytes: &[u8], chunk: usize, order: &[prop::sample::Index], lost: usize) -> Vec<u8> {
        let (mut from, mut to) = (CryptoStream::default(), CryptoStream::default());
        from.push(bytes);
        let (mut frames, mut dropped, mut got) = (Vec::new(), 0, Vec::new());
        let mut order = order.iter().cycle();
        loop {
            while let Some((offset, len)) = from.front() {
                let data = from.take(len.min(chunk)).to_vec();
                frames.push((offset, data));
            }
            if frames.is_empty() {
                assert!(from.is_complete() && to.is_complete());
                return got;
            }
            let (offset, data) = frames.remove(order.next().unwrap().index(frames.len()));
            let len = u16::try_from(data.len()).unwrap();
            if dropped < lost {
                dropped += 1;
                from.on_lost(offset, len);
                continue;
            }
            to.insert(offset, &data).unwrap();
            to.insert(offset, &data).unwrap();
            from.on_acked(offset, len);
            got.extend(std::iter::from_fn(|| to.pop()).flatten());
        }
    }

    proptest! {
        // M-40
        #[test]
        fn bytes_arrive_once_and_in_order(
            bytes in prop::collection::vec(any::<u8>(), 1..5_000),
            // Large enough that there are at most `MAX_PIECES`.
            chunk in 80_usize..900,
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
            lost in 0_usize..20,
        ) {
            prop_assert_eq!(through(&bytes, chunk, &order, lost), bytes);
        }
    }

    // M-40
    #[test]
    fn m_40_too_many_separate_ranges_are_a_violation() {
        let mut stream = CryptoStream::default();
        let islands = (1..100_u64).map(|n| stream.insert(2 * n, &[1]));
        assert_eq!(islands.take_while(Result::is_ok).count(), MAX_PIECES);
    }

    // M-40
    #[test]
    fn bytes_too_far_ahead_are_refused() {
        let mut stream = CryptoStream::default();
        stream.insert(MAX_AHEAD - 1, &[1]).unwrap();
        assert!(stream.insert(MAX_AHEAD, &[1]).is_err());
        assert!(stream.insert(u64::MAX, &[1]).is_err());
    }

    #[test]
    fn acknowledged_bytes_are_not_sent_again() {
        let mut stream = CryptoStream::default();
        stream.push(&[1, 2, 3, 4]);
        stream.take(2);
        stream.take(2);
        stream.on_acked(0, 2);
        stream.on_lost(0, 4);
        assert_eq!(stream.front(), Some((2, 2)));
    }
}
