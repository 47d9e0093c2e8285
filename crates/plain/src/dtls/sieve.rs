//! Reassembles handshake messages before the state machine sees them.
//!
//! In: received datagrams. Out: the same with whole messages in place of fragments; the
//! certificates that a peer sent along. Never: more memory than the limits allow, an answer to
//! anyone.
//!
//! A peer that resends a flight may fragment it differently; OpenSSL does. The fragments then
//! overlap, which RFC 6347 section 4.2.3 requires everyone to accept; `dimpl` accepts only
//! contiguous ones. The transcript that both sides sign treats handshake messages as unfragmented,
//! and nothing seals them yet, so joining them here changes nothing that is verified.
//!
//! In DTLS 1.2 the last message of a handshake is sealed, and cannot be used before the record that
//! announces it. Other implementations send the two in separate datagrams. The message is kept for
//! that record (RFC 6347 section 4.2.4 permits either); otherwise, on a path that loses a fifth,
//! one or the other would be lost again and again. Nothing shows yet whether it is genuine, so
//! several are kept.
//!
//! Alerts in the clear are removed, because the state machine would believe them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use super::record::{self, CERTIFICATE, FRAGMENT_HEADER_LEN, Fragment, Record};
use crate::limits::{
    MAX_EARLY_FINISHED, MAX_HANDSHAKE_MESSAGE, MAX_HANDSHAKE_PARTS, MAX_INTERMEDIATES,
    MAX_PARTIAL_BYTES, MAX_PARTIAL_MESSAGES,
};

/// Incomplete handshake messages of one peer.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    partial: BTreeMap<u16, Partial>,
    /// Bytes of all of them.
    held: usize,
    /// Certificates in the newest Certificate message received in the clear, the peer's own first.
    chain: Vec<Vec<u8>>,
    /// The newest sealed handshake records.
    finished: VecDeque<Vec<u8>>,
    /// The handshake is complete. Anything that still arrives in the clear may request a
    /// retransmission, for which its header is enough.
    is_over: bool,
}

#[derive(Debug)]
struct Partial {
    kind: u8,
    message_len: usize,
    /// By their offsets; none touches another.
    parts: BTreeMap<usize, Vec<u8>>,
}

impl Sieve {
    /// Returns what the state machine should see of a datagram: nothing if it held only fragments.
    pub(super) fn pass<'d>(&mut self, datagram: &'d [u8]) -> Cow<'d, [u8]> {
        let mut passed = Vec::new();
        let mut end = 0;
        let mut changed = false;
        let mut seals = false;
        let mut finishes = Vec::new();
        for record in record::records(datagram) {
            let (whole, joined) = match record {
                Record::Other(whole) => (whole, None),
                Record::Alert { whole, .. } => (whole, (!self.is_over).then(Vec::new)),
                Record::ChangeCipherSpec(whole) => {
                    seals = true;
                    (whole, None)
                }
                Record::Finished(whole) => {
                    self.keep_finished(whole);
                    finishes.push(whole);
                    (whole, None)
                }
                Record::Handshake { header, body } => {
                    let whole = &datagram[end..end + header.len() + 2 + body.len()];
                    (whole, if self.is_over { None } else { self.join(header, body) })
                }
            };
            end += whole.len();
            match joined {
                None => passed.extend_from_slice(whole),
                Some(joined) => {
                    changed = true;
                    passed.extend_from_slice(&joined);
                }
            }
        }
        if seals {
            for finished in self.finished.iter().filter(|kept| !finishes.contains(&kept.as_slice()))
            {
                changed = true;
                passed.extend_from_slice(finished);
            }
        }
        if changed { Cow::Owned(passed) } else { Cow::Borrowed(&datagram[..end]) }
    }

    fn keep_finished(&mut self, record: &[u8]) {
        if self.is_over || self.finished.iter().any(|kept| kept == record) {
            return;
        }
        if self.finished.len() == MAX_EARLY_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(record.to_vec());
    }

    /// Returns `true` if everything is within its limits.
    #[cfg(fuzzing)]
    pub(super) fn check(&self) {
        let held: usize = self.partial.values().map(Partial::held).sum();
        assert_eq!(held, self.held, "it counts wrongly");
        assert!(held <= MAX_PARTIAL_BYTES && self.partial.len() <= MAX_PARTIAL_MESSAGES);
        let most = self.partial.values().map(|partial| partial.parts.len()).max();
        assert!(most.is_none_or(|most| most <= MAX_HANDSHAKE_PARTS));
    }

    /// Stores nothing from now on, because anyone can send what still arrives in the clear.
    pub(super) fn finish(&mut self) {
        *self = Self { is_over: true, ..Self::default() };
    }

    /// Returns the issuers' certificates that the peer sent with its certificate `own`. Only the
    /// signatures in them authenticate them.
    pub(super) fn intermediates(&self, own: &[u8]) -> &[Vec<u8>] {
        match self.chain.split_first() {
            Some((first, rest)) if first == own => rest,
            _ => &[],
        }
    }

    /// Returns `None` for a record with only whole messages, which stays as it is.
    fn join(&mut self, header: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let Some(fragments) = record::fragments(body) else { return Some(Vec::new()) };
        for fragment in fragments.iter().filter(|fragment| fragment.is_whole()) {
            self.on_message(fragment.kind, fragment.bytes);
        }
        if fragments.iter().all(Fragment::is_whole) {
            return None;
        }
        let mut joined = Vec::new();
        for fragment in &fragments {
            if fragment.is_whole() {
                put_message(&mut joined, fragment, fragment.bytes);
            } else if let Some(message) = self.add(fragment) {
                self.on_message(fragment.kind, &message);
                put_message(&mut joined, fragment, &message);
            }
        }
        if joined.is_empty() {
            return Some(joined);
        }
        // The record with the last fragment lends its number, which is still used only once.
        let len = u16::try_from(joined.len()).ok()?;
        Some([header, &len.to_be_bytes(), &joined].concat())
    }

    /// Returns the whole message if this was its last fragment.
    fn add(&mut self, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        if fragment.message_len > MAX_HANDSHAKE_MESSAGE || fragment.bytes.is_empty() {
            return None;
        }
        let key = fragment.number;
        let is_other = |partial: &Partial| {
            (partial.kind, partial.message_len) != (fragment.kind, fragment.message_len)
        };
        if self.partial.get(&key).is_some_and(is_other) {
            self.forget(key);
        }
        self.make_room(key, fragment.bytes.len());
        let partial = self.partial.entry(key).or_insert_with(|| Partial {
            kind: fragment.kind,
            message_len: fragment.message_len,
            parts: BTreeMap::new(),
        });
        self.held -= partial.held();
        partial.add(fragment.offset, fragment.bytes);
        self.held += partial.held();
        let too_many = partial.parts.len() > MAX_HANDSHAKE_PARTS;
        if !partial.is_whole() && !too_many {
            return None;
        }
        let (_, message) = self.forget(key)?.parts.pop_first()?;
        (!too_many).then_some(message)
    }

    /// The lowest message number is evicted first: it is left over from a resent flight.
    fn make_room(&mut self, key: u16, len: usize) {
        while self.held + len > MAX_PARTIAL_BYTES
            || (self.partial.len() >= MAX_PARTIAL_MESSAGES && !self.partial.contains_key(&key))
        {
            let Some(lowest) = self.partial.keys().next().copied() else { return };
            self.forget(lowest);
        }
    }

    fn forget(&mut self, key: u16) -> Option<Partial> {
        let partial = self.partial.remove(&key)?;
        self.held -= partial.held();
        Some(partial)
    }

    fn on_message(&mut self, kind: u8, message: &[u8]) {
        if kind == CERTIFICATE {
            self.chain = certificates(message).unwrap_or_default();
        }
    }
}

impl Partial {
    fn held(&self) -> usize {
        self.parts.values().map(Vec::len).sum()
    }

    /// Joins a fragment with those that it touches.
    fn add(&mut self, offset: usize, bytes: &[u8]) {
        let (mut start, mut joined) = (offset, bytes.to_vec());
        while let Some((&at, part)) = self.parts.range_mut(..=start + joined.len()).next_back()
            && at + part.len() >= start
        {
            let part = std::mem::take(part);
            self.parts.remove(&at);
            let (low, mut first, second) =
                if at <= start { (at, part, joined) } else { (start, joined, part) };
            let gap = at.max(start) - low;
            first.extend_from_slice(second.get(first.len() - gap..).unwrap_or_default());
            (start, joined) = (low, first);
        }
        self.parts.insert(start, joined);
    }

    fn is_whole(&self) -> bool {
        self.parts.first_key_value().is_some_and(|(_, first)| first.len() >= self.message_len)
    }
}

fn put_message(record: &mut Vec<u8>, fragment: &Fragment<'_>, message: &[u8]) {
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    record.reserve(FRAGMENT_HEADER_LEN + message.len());
    record.push(fragment.kind);
    record.extend_from_slice(&len[1..]);
    record.extend_from_slice(&fragment.number.to_be_bytes());
    record.extend_from_slice(&[0; 3]);
    record.extend_from_slice(&len[1..]);
    record.extend_from_slice(message);
}

/// RFC 5246 section 7.4.2: a list of certificates, each preceded by its length. Returns only the
/// first ones if there are more than a chain needs.
fn certificates(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = message.get(3..)?;
    let mut certificates = Vec::new();
    while !rest.is_empty() && certificates.len() <= MAX_INTERMEDIATES {
        let end = 3 + record::u24_at(rest, 0)?;
        certificates.push(rest.get(3..end)?.to_vec());
        rest = &rest[end..];
    }
    Some(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with one fragment.
    fn fragment(number: u16, message: &[u8], from: usize, to: usize) -> Vec<u8> {
        fragment_of(CERTIFICATE, number, message, from, to)
    }

    fn fragment_of(kind: u8, number: u16, message: &[u8], from: usize, to: usize) -> Vec<u8> {
        let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
        let body = [
            vec![kind],
            u24(message.len()),
            number.to_be_bytes().to_vec(),
            u24(from),
            u24(to - from),
            message[from..to].to_vec(),
        ]
        .concat();
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9], len.as_slice(), &body].concat()
    }

    fn message(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn a_message_that_was_fragmented_differently_when_resent_is_reassembled() {
        // Certificate 0+94, 94+203, 297+122, of which the middle is lost; then 0+203, 203+203,
        // 406+13, of which the end is lost: as OpenSSL fragmented it before a lossy relay.
        let message = message(419);
        let mut sieve = Sieve::default();
        for (from, to) in [(0, 94), (297, 419), (0, 203)] {
            assert!(sieve.pass(&fragment(2, &message, from, to)).is_empty());
        }
        let whole = sieve.pass(&fragment(2, &message, 203, 406)).into_owned();
        assert_eq!(whole, fragment(2, &message, 0, 419), "as if it had arrived in one piece");
        assert_eq!((sieve.held, sieve.partial.len()), (0, 0));
    }

    #[test]
    fn fragments_in_any_order_and_of_any_size_are_reassembled() {
        let message = message(300);
        for seed in 0..500_usize {
            let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
            let mut next = |n: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % n
            };
            let mut sieve = Sieve::default();
            let mut seen = [false; 300];
            loop {
                let from = next(300);
                let to = (from + 1 + next(90)).min(300);
                seen[from..to].fill(true);
                let passed = sieve.pass(&fragment(0, &message, from, to)).into_owned();
                let complete = seen.iter().all(|seen| *seen);
                assert_eq!(!passed.is_empty(), complete, "seed {seed}");
                if complete {
                    assert_eq!(passed, fragment(0, &message, 0, 300), "seed {seed}");
                    break;
                }
            }
        }
    }

    #[test]
    fn a_datagram_without_fragments_passes_unchanged_and_uncopied() {
        let whole = fragment(1, &message(50), 0, 50);
        let sealed = [23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        let datagram = [whole.as_slice(), &sealed].concat();
        assert!(matches!(Sieve::default().pass(&datagram), Cow::Borrowed(d) if d == datagram));
    }

    #[test]
    fn records_beside_a_fragment_keep_their_position() {
        let message = message(50);
        let (part, end) = (fragment(1, &message, 0, 20), fragment(1, &message, 20, 50));
        let sealed = [23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        let mut sieve = Sieve::default();
        assert_eq!(*sieve.pass(&[part.as_slice(), &sealed].concat()), sealed);
        let whole = fragment(1, &message, 0, 50);
        let passed = sieve.pass(&[end.as_slice(), &sealed].concat()).into_owned();
        assert_eq!(passed, [whole.as_slice(), &sealed].concat());
    }

    #[test]
    fn a_final_message_that_arrives_too_early_is_kept_until_it_can_be_read() {
        let change = [20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1];
        let finished = [22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 8, 9];
        let mut sieve = Sieve::default();
        assert_eq!(*sieve.pass(&change), change);
        assert_eq!(*sieve.pass(&finished), finished);
        let both = [change.as_slice(), &finished].concat();
        assert_eq!(*sieve.pass(&change), both);
        assert_eq!(*sieve.pass(&both), both, "not twice");
    }

    #[test]
    fn unauthenticated_peers_cannot_exceed_the_memory_limits() {
        let message = message(MAX_HANDSHAKE_MESSAGE);
        let mut sieve = Sieve::default();
        for number in 0..100 {
            for at in (0..MAX_HANDSHAKE_MESSAGE - 1_000).step_by(1_000) {
                let _ = sieve.pass(&fragment(number, &message, at, at + 999));
                let held: usize =
                    sieve.partial.values().flat_map(|p| p.parts.values()).map(Vec::len).sum();
                assert_eq!(held, sieve.held);
                assert!(held <= MAX_PARTIAL_BYTES && sieve.partial.len() <= MAX_PARTIAL_MESSAGES);
            }
        }
        let mut sieve = Sieve::default();
        for at in 0..2 * MAX_HANDSHAKE_PARTS {
            let _ = sieve.pass(&fragment(0, &message, 2 * at, 2 * at + 1));
            let parts = sieve.partial.values().map(|p| p.parts.len()).sum::<usize>();
            assert!(parts <= MAX_HANDSHAKE_PARTS, "{parts} parts");
        }
    }

    #[test]
    fn a_forged_fragment_of_another_length_does_not_prevent_reassembly() {
        let (message, forged) = (message(40), vec![0; 41]);
        let mut sieve = Sieve::default();
        assert!(sieve.pass(&fragment(0, &forged, 0, 40)).is_empty());
        assert!(sieve.pass(&fragment(0, &message, 0, 20)).is_empty());
        assert!(!sieve.pass(&fragment(0, &message, 20, 40)).is_empty());
    }

    #[test]
    fn nothing_is_kept_after_the_handshake() {
        let message = message(50);
        let mut sieve = Sieve::default();
        assert!(sieve.pass(&fragment(2, &message, 0, 20)).is_empty());
        sieve.finish();
        let rest = fragment(2, &message, 20, 50);
        assert_eq!(*sieve.pass(&rest), rest);
        let list = fragment(0, &[0, 0, 3, 0, 0, 0], 0, 6);
        let finished = [22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 8, 9];
        for datagram in [list.as_slice(), &finished] {
            assert_eq!(*sieve.pass(datagram), *datagram);
        }
        assert_eq!((sieve.held, sieve.partial.len(), sieve.chain.len()), (0, 0, 0));
        assert!(sieve.finished.is_empty());
    }

    #[test]
    fn a_long_list_of_certificates_is_truncated_to_the_length_of_a_chain() {
        // Empty ones take three bytes on the wire and 24 here; those that could each have issued
        // all the others take a verifier a long time.
        for certificate in [&[0, 0, 0][..], &[0, 0, 1, 7]] {
            let own = [0, 0, 2, 1, 2];
            let list = [&[0, 0, 0], &own[..], &certificate.repeat(3_000)].concat();
            let mut sieve = Sieve::default();
            let _ = sieve.pass(&fragment(0, &list, 0, list.len()));
            assert_eq!(sieve.intermediates(&[1, 2]).len(), MAX_INTERMEDIATES);
            assert!(sieve.chain.capacity() <= 2 * (1 + MAX_INTERMEDIATES));
        }
    }

    #[test]
    fn issuer_certificates_are_kept_for_the_certificate_they_came_with() {
        let list = [&[0, 0, 11, 0, 0, 2, 1, 2][..], &[0, 0, 3, 3, 4, 5]].concat();
        let mut sieve = Sieve::default();
        assert!(sieve.pass(&fragment(0, &list, 0, 9)).is_empty());
        assert!(!sieve.pass(&fragment(0, &list, 9, 14)).is_empty());
        assert_eq!(sieve.intermediates(&[1, 2]), [vec![3, 4, 5]]);
        assert!(sieve.intermediates(&[9, 9]).is_empty());
    }
}
