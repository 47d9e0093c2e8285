//! Finds the connection that a stateless reset belongs to by its token.
//!
//! In: the tokens that peers issued, and their addresses. Out: the one connection that a packet may
//! reset. Never: the decision; the connection compares the token (M-60).

use std::{collections::BTreeSet, net::SocketAddr};

use crate::{crypto::cookie::MarkKey, event::ConnectionHandle, limits::TAG_LEN, rng::Random};

/// Connections by the marks of their tokens: 8 bytes of a keyed hash of address and token. The
/// duration of a lookup reveals something about the marks it passed, but an attacker who guesses
/// tokens knows no marks (RFC 9000 section 10.3.1). The key belongs to this endpoint and is random.
///
/// Each connection has as many entries as its peer has issued ids, which are bounded (M-54).
pub(super) struct ResetIndex {
    key: MarkKey,
    entries: BTreeSet<(u64, ConnectionHandle)>,
}

/// The index entries of one connection.
#[derive(Debug, Default)]
pub(super) struct Marks(Box<[u64]>);

impl ResetIndex {
    pub(super) fn new(random: &mut dyn Random) -> Self {
        Self { key: MarkKey::generate(random), entries: BTreeSet::new() }
    }

    /// Returns the connection whose peer, at `from`, issued the token at the end of this packet. If
    /// several share a token, returns one of them.
    pub(super) fn find(&self, from: SocketAddr, datagram: &[u8]) -> Option<ConnectionHandle> {
        if self.entries.is_empty() {
            return None;
        }
        let mark = self.key.mark(from, datagram.last_chunk::<TAG_LEN>()?);
        let all = (mark, ConnectionHandle(0))..=(mark, ConnectionHandle(u64::MAX));
        self.entries.range(all).next().map(|(_, handle)| *handle)
    }

    /// Sets the peer's address and current tokens of a connection.
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

    /// Removes a connection.
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
    fn connections_that_share_a_token_are_found_one_after_the_other() {
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
