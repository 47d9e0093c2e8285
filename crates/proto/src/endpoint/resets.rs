//! Whose end a stateless reset means: found by the token, without asking every connection.
//!
//! In: the tokens that peers gave, and where those peers are. Out: the one connection that a packet
//! may be the reset of. Never: the answer; the connection compares (M-60).

use std::{collections::BTreeSet, net::SocketAddr};

use crate::{crypto::cookie::MarkKey, event::ConnectionHandle, limits::TAG_LEN, rng::Random};

/// Tokens by their marks: 8 bytes of a keyed hash of address and token. How long a search takes
/// tells something of the marks it passed, and who guesses tokens does not know those of any (RFC
/// 9000 section 10.3.1). The key is this endpoint's alone, and drawn at its start.
///
/// As large as the connections: each has as many tokens as ids of its peer, which are bounded
/// (M-54).
pub(super) struct ResetIndex {
    key: MarkKey,
    entries: BTreeSet<(u64, ConnectionHandle)>,
}

/// What stands in the index for one connection.
#[derive(Debug, Default)]
pub(super) struct Marks(Box<[u64]>);

impl ResetIndex {
    pub(super) fn new(random: &mut dyn Random) -> Self {
        Self { key: MarkKey::generate(random), entries: BTreeSet::new() }
    }

    /// The connection that the peer at `from` gave the token at the end of this packet. A peer
    /// that gave several the same gets one of them.
    pub(super) fn find(&self, from: SocketAddr, datagram: &[u8]) -> Option<ConnectionHandle> {
        if self.entries.is_empty() {
            return None;
        }
        let mark = self.key.mark(from, datagram.last_chunk::<TAG_LEN>()?);
        let all = (mark, ConnectionHandle(0))..=(mark, ConnectionHandle(u64::MAX));
        self.entries.range(all).next().map(|(_, handle)| *handle)
    }

    /// The peer of `handle` is at `from`, and these are its tokens now.
    pub(super) fn replace(
        &mut self,
        handle: ConnectionHandle,
        marks: &mut Marks,
        from: SocketAddr,
        tokens: impl Iterator<Item = [u8; TAG_LEN]>,
    ) {
        self.remove(handle, marks);
        marks.0 = tokens.map(|token| self.key.mark(from, &token)).collect();
        self.entries.extend(marks.0.iter().map(|mark| (*mark, handle)));
    }

    /// The connection is forgotten.
    pub(super) fn remove(&mut self, handle: ConnectionHandle, marks: &mut Marks) {
        for mark in std::mem::take(&mut marks.0) {
            self.entries.remove(&(mark, handle));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Random for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    // M-60
    #[test]
    fn a_token_is_found_at_its_address_until_it_is_replaced() {
        let mut index = ResetIndex::new(&mut Fixed);
        let (here, there) = (address(1), address(2));
        let (one, mut marks) = (ConnectionHandle(1), Marks::default());
        index.replace(one, &mut marks, here, [[1; 16], [2; 16]].into_iter());
        assert_eq!(index.find(here, &[2; 40]), Some(one));
        assert_eq!(index.find(there, &[2; 40]), None);
        assert_eq!(index.find(here, &[2; 15]), None);
        index.replace(one, &mut marks, there, [[2; 16]].into_iter());
        assert_eq!((index.find(here, &[2; 40]), index.find(there, &[1; 40])), (None, None));
        assert_eq!(index.find(there, &[2; 40]), Some(one));
        index.remove(one, &mut marks);
        assert!(index.entries.is_empty());
    }

    // M-60
    #[test]
    fn one_connection_of_several_with_a_token_is_found_and_then_the_next() {
        let mut index = ResetIndex::new(&mut Fixed);
        let mut all = [1, 2].map(|n| (ConnectionHandle(n), Marks::default()));
        for (handle, marks) in &mut all {
            index.replace(*handle, marks, address(1), [[9; 16]].into_iter());
        }
        for (handle, marks) in &mut all {
            assert_eq!(index.find(address(1), &[9; 40]), Some(*handle));
            index.remove(*handle, marks);
        }
        assert_eq!(index.find(address(1), &[9; 40]), None);
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5))
    }
}
