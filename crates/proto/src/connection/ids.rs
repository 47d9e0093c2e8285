//! Connection ids: those the peer uses for us, and those we use for it (P-6).

use crate::{
    error::Close,
    wire::{
        frame::{Frame, ResetToken},
        header::ConnectionId,
    },
};

/// The number of ids each side keeps available to the other: one in use and 2 spare (P-6).
const SUPPLY: usize = 3;

/// The maximum number of the peer's ids: its supply, and as many again while it replaces them.
const MAX_REMOTE: usize = 2 * SUPPLY;

/// The maximum number of retired ids not yet acknowledged. A peer that makes us retire more breaks
/// the protocol.
const MAX_RETIRING: usize = 16;

/// The ids of this side.
#[derive(Debug)]
pub(super) struct LocalIds {
    active: Vec<Given>,
    next: u64,
    /// Retired ids: packets to them are no longer for us.
    gone: Vec<ConnectionId>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    sequence: u64,
    id: ConnectionId,
    token: ResetToken,
    /// A NEW_ID must be sent.
    pending: bool,
}

impl LocalIds {
    /// Creates the set with the id of the handshake, which has sequence number 0.
    pub(super) fn new(id: ConnectionId) -> Self {
        let first = Given { sequence: 0, id, token: ResetToken([0; 16]), pending: false };
        Self { active: vec![first], next: 1, gone: Vec::new() }
    }

    /// Releases unused capacity.
    pub(super) fn release_memory(&mut self) {
        self.active.shrink_to_fit();
        self.gone.shrink_to_fit();
    }

    /// Returns `true` if the peer should be issued another id.
    pub(super) const fn wants_more(&self) -> bool {
        self.active.len() < SUPPLY
    }

    /// Issues another id for the peer to use.
    pub(super) fn give(&mut self, id: ConnectionId, token: ResetToken) {
        self.active.push(Given { sequence: self.next, id, token, pending: true });
        self.next += 1;
    }

    /// Handles RETIRE_ID.
    pub(super) fn on_retired(&mut self, sequence: u64) -> Result<(), Close> {
        if sequence >= self.next {
            return Err(Close::violation("an id was retired that was never issued"));
        }
        if let Some(at) = self.active.iter().position(|given| given.sequence == sequence) {
            self.gone.push(self.active.remove(at).id);
        }
        Ok(())
    }

    /// Returns an id that no longer receives packets.
    pub(super) fn poll_gone(&mut self) -> Option<ConnectionId> {
        self.gone.pop()
    }

    /// Returns all ids that the peer may use.
    pub(super) fn all(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.active.iter().map(|given| given.id)
    }

    /// Returns `true` if a NEW_ID must be sent.
    pub(super) fn has_pending(&self) -> bool {
        self.active.iter().any(|given| given.pending)
    }

    /// Returns the next NEW_ID with its sequence number and marks it as sent.
    pub(super) fn poll_new(&mut self) -> Option<(u64, Frame<'static>)> {
        let given = self.active.iter_mut().find(|given| given.pending)?;
        given.pending = false;
        let (sequence, id, token) = (given.sequence, given.id, given.token);
        Some((sequence, Frame::NewId { sequence, retire_below: 0, id, token }))
    }

    /// Records that the packet with this NEW_ID was lost.
    pub(super) fn on_new_lost(&mut self, sequence: u64) {
        if let Some(given) = self.active.iter_mut().find(|given| given.sequence == sequence) {
            given.pending = true;
        }
    }
}

/// The ids of the peer.
#[derive(Debug)]
pub(super) struct RemoteIds {
    current: Known,
    spare: Vec<Known>,
    /// All sequence numbers below are retired.
    floor: u64,
    /// Retired sequence numbers, and whether the RETIRE_ID must be sent.
    retiring: Vec<(u64, bool)>,
    /// The tokens or their address have changed since the last call of `poll_news`.
    news: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    sequence: u64,
    id: ConnectionId,
    token: Option<ResetToken>,
}

impl RemoteIds {
    pub(super) fn new(id: ConnectionId) -> Self {
        let current = Known { sequence: 0, id, token: None };
        Self { current, spare: Vec::new(), floor: 0, retiring: Vec::new(), news: false }
    }

    /// Releases unused capacity.
    pub(super) fn release_memory(&mut self) {
        self.spare.shrink_to_fit();
        self.retiring.shrink_to_fit();
    }

    /// Returns the id to use.
    pub(super) const fn current(&self) -> ConnectionId {
        self.current.id
    }

    /// Replaces the id during the handshake, when the peer chooses another.
    pub(super) const fn replace_first(&mut self, id: ConnectionId) {
        self.current.id = id;
    }

    /// Sets the reset token of the handshake's id (parameter 8).
    pub(super) const fn set_first_token(&mut self, token: Option<ResetToken>) {
        self.current.token = token;
        self.news = true;
    }

    /// Handles NEW_ID.
    pub(super) fn on_new(
        &mut self,
        sequence: u64,
        retire_below: u64,
        id: ConnectionId,
        token: ResetToken,
    ) -> Result<(), Close> {
        let new = Known { sequence, id, token: Some(token) };
        let known = std::iter::once(&self.current).chain(&self.spare);
        let mut same = known.filter(|known| known.sequence == sequence || known.id == id);
        if let Some(old) = same.next() {
            let repeats = old.sequence == sequence && old.id == id;
            return if repeats {
                Ok(())
            } else {
                Err(Close::violation("a sequence number was issued with two ids"))
            };
        }
        // Ids are used in the order of their sequence numbers: one before the current one was
        // retired, and this is a duplicate of its NEW_ID, or a late one.
        if sequence < self.floor.max(self.current.sequence) {
            return self.retire(sequence);
        }
        if self.spare.len() + 1 >= MAX_REMOTE {
            return Err(Close::violation("too many connection ids"));
        }
        self.spare.push(new);
        self.news = true;
        self.floor = self.floor.max(retire_below);
        let floor = self.floor;
        while let Some(at) = self.spare.iter().position(|known| known.sequence < floor) {
            let sequence = self.spare.remove(at).sequence;
            self.retire(sequence)?;
        }
        if self.current.sequence < floor && !self.take_another()? {
            return Err(Close::violation("all connection ids were retired"));
        }
        Ok(())
    }

    /// Switches to another id if there is one (P-6). Returns `true` if it did.
    pub(super) fn take_another(&mut self) -> Result<bool, Close> {
        let lowest = self.spare.iter().enumerate().min_by_key(|(_, known)| known.sequence);
        let Some((at, _)) = lowest else { return Ok(false) };
        let old = std::mem::replace(&mut self.current, self.spare.remove(at));
        self.news = true;
        self.retire(old.sequence)?;
        Ok(true)
    }

    /// Switches to an id with a known reset token if the current one has none. A client's first id
    /// has none, because a Hello is not confidential.
    pub(super) fn prefer_token(&mut self) -> Result<(), Close> {
        if self.current.token.is_none() {
            self.take_another()?;
        }
        Ok(())
    }

    fn retire(&mut self, sequence: u64) -> Result<(), Close> {
        if self.retiring.iter().any(|(other, _)| *other == sequence) {
            return Ok(());
        }
        if self.retiring.len() >= MAX_RETIRING {
            return Err(Close::violation("too many connection ids retired at once"));
        }
        self.retiring.push((sequence, true));
        Ok(())
    }

    /// Returns `true` if a RETIRE_ID must be sent.
    pub(super) fn has_pending(&self) -> bool {
        self.retiring.iter().any(|(_, pending)| *pending)
    }

    /// Returns the next RETIRE_ID and marks it as sent.
    pub(super) fn poll_retire(&mut self) -> Option<u64> {
        let (sequence, pending) = self.retiring.iter_mut().find(|(_, pending)| *pending)?;
        *pending = false;
        Some(*sequence)
    }

    /// Records that the packet with this RETIRE_ID was lost.
    pub(super) fn on_retire_lost(&mut self, sequence: u64) {
        if let Some((_, pending)) = self.retiring.iter_mut().find(|(other, _)| *other == sequence) {
            *pending = true;
        }
    }

    /// Records that the packet with this RETIRE_ID was acknowledged.
    pub(super) fn on_retire_acked(&mut self, sequence: u64) {
        self.retiring.retain(|(other, _)| *other != sequence);
    }

    /// Records that the peer moved to another address, where its tokens are valid now.
    pub(super) const fn on_moved(&mut self) {
        self.news = true;
    }

    /// Returns `true` if [`Self::tokens`] or their address changed since the last call.
    pub(super) const fn poll_news(&mut self) -> bool {
        std::mem::replace(&mut self.news, false)
    }

    /// Returns the tokens with which the peer can reset the connection (M-60).
    pub(super) fn tokens(&self) -> impl Iterator<Item = ResetToken> + '_ {
        std::iter::once(&self.current).chain(&self.spare).filter_map(|known| known.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(n: u8) -> ConnectionId {
        ConnectionId([n; 8])
    }

    fn remote_with(count: u8) -> RemoteIds {
        let mut remote = RemoteIds::new(id(0));
        for n in 1..=count {
            remote.on_new(n.into(), 0, id(n), ResetToken([n; 16])).unwrap();
        }
        remote
    }

    // P-6
    #[test]
    fn p_6_a_retired_id_is_not_used_again() {
        let mut remote = remote_with(2);
        assert!(remote.take_another().unwrap() && remote.take_another().unwrap());
        remote.on_retire_acked(1);
        // The packet with its NEW_ID was declared lost.
        remote.on_new(1, 0, id(1), ResetToken([1; 16])).unwrap();
        assert_eq!(remote.take_another(), Ok(false), "the peer has retired it");
        assert_eq!(remote.current(), id(2));
    }

    #[test]
    fn the_peer_is_kept_supplied_with_two_spare_ids() {
        let mut local = LocalIds::new(id(0));
        let mut given = 0;
        while local.wants_more() {
            given += 1;
            local.give(id(given), ResetToken([given; 16]));
        }
        assert_eq!(given, 2);
        assert_eq!(std::iter::from_fn(|| local.poll_new()).count(), 2);
        assert!(!local.has_pending());
        local.on_retired(0).unwrap();
        assert_eq!(local.poll_gone(), Some(id(0)));
        assert!(local.wants_more());
    }

    // M-54
    #[test]
    fn an_id_never_issued_cannot_be_retired() {
        let mut local = LocalIds::new(id(0));
        assert!(local.on_retired(1).is_err());
        local.on_retired(0).unwrap();
        assert_eq!(local.on_retired(0), Ok(()), "a duplicate is harmless");
    }

    #[test]
    fn a_lost_new_id_is_sent_again_unless_retired() {
        let mut local = LocalIds::new(id(0));
        local.give(id(1), ResetToken([1; 16]));
        assert!(local.poll_new().is_some());
        local.on_new_lost(1);
        assert_eq!(local.poll_new().map(|(sequence, _)| sequence), Some(1));
        local.on_retired(1).unwrap();
        local.on_new_lost(1);
        assert!(!local.has_pending());
    }

    // M-54
    #[test]
    fn a_repeated_new_id_is_harmless_and_a_contradiction_is_not() {
        let mut remote = remote_with(1);
        assert_eq!(remote.on_new(1, 0, id(1), ResetToken([1; 16])), Ok(()));
        assert!(remote.on_new(2, 0, id(1), ResetToken([1; 16])).is_err());
        assert!(remote.on_new(1, 0, id(2), ResetToken([1; 16])).is_err());
    }

    #[test]
    fn ids_below_retire_below_are_retired_and_another_is_used() {
        let mut remote = remote_with(2);
        remote.on_new(3, 2, id(3), ResetToken([3; 16])).unwrap();
        assert_eq!(remote.current(), id(2));
        let mut retired: Vec<_> = std::iter::from_fn(|| remote.poll_retire()).collect();
        retired.sort_unstable();
        assert_eq!(retired, [0, 1]);
        remote.on_retire_lost(1);
        assert_eq!(remote.poll_retire(), Some(1));
        remote.on_retire_acked(1);
        remote.on_retire_lost(1);
        assert!(!remote.has_pending());
    }

    // M-54
    #[test]
    fn the_number_of_ids_kept_for_a_peer_is_bounded() {
        let mut remote = RemoteIds::new(id(0));
        let given = (1..=200)
            .take_while(|n| remote.on_new((*n).into(), 0, id(*n), ResetToken([*n; 16])).is_ok());
        assert_eq!(given.count(), MAX_REMOTE - 1);
        let mut remote = RemoteIds::new(id(0));
        let end = (1..=200_u8).find(|n| {
            let sequence = u64::from(*n);
            remote.on_new(sequence, sequence, id(*n), ResetToken([*n; 16])).is_err()
        });
        assert_eq!(end, Some(17));
    }

    // P-6
    #[test]
    fn switching_to_another_id_retires_the_old_one() {
        let mut remote = remote_with(1);
        assert_eq!(remote.take_another(), Ok(true));
        assert_eq!(remote.current(), id(1));
        assert_eq!(remote.poll_retire(), Some(0));
        assert_eq!(remote.take_another(), Ok(false));
    }
}
