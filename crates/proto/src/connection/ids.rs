//! The names of a connection: those the peer uses for us, and those we use for it (P-6).
//!
//! In: ids given, given back. Out: which to use, what to tell. Never: packets, routes.

use crate::{
    error::Close,
    wire::{
        frame::{Frame, ResetToken},
        header::ConnectionId,
    },
};

/// Ids each side keeps the other supplied with: the one in use and 2 spare (P-6).
const SUPPLY: usize = 3;

/// Ids of the peer that are kept, at most: its supply, and the same again while it replaces them.
const MAX_REMOTE: usize = 2 * SUPPLY;

/// Ids given back of which the peer has not heard, at most. A peer that makes us give back more
/// without listening breaks the protocol.
const MAX_RETIRING: usize = 16;

/// The ids of this side.
#[derive(Debug)]
pub(super) struct LocalIds {
    active: Vec<Given>,
    next: u64,
    /// Given back: packets to them are not for us any more.
    gone: Vec<ConnectionId>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    sequence: u64,
    id: ConnectionId,
    token: ResetToken,
    /// A NEW_ID has to leave.
    owed: bool,
}

impl LocalIds {
    /// With the id of the handshake, of sequence 0.
    pub(super) fn new(id: ConnectionId) -> Self {
        let first = Given { sequence: 0, id, token: ResetToken([0; 16]), owed: false };
        Self { active: vec![first], next: 1, gone: Vec::new() }
    }

    /// Gives back room that nothing is in.
    pub(super) fn release_memory(&mut self) {
        self.active.shrink_to_fit();
        self.gone.shrink_to_fit();
    }

    /// Should the peer be given another one?
    pub(super) const fn wants_more(&self) -> bool {
        self.active.len() < SUPPLY
    }

    /// Another id for the peer to use.
    pub(super) fn give(&mut self, id: ConnectionId, token: ResetToken) {
        self.active.push(Given { sequence: self.next, id, token, owed: true });
        self.next += 1;
    }

    /// RETIRE_ID came.
    pub(super) fn on_retired(&mut self, sequence: u64) -> Result<(), Close> {
        if sequence >= self.next {
            return Err(Close::violation("an id was given back that was never given"));
        }
        if let Some(at) = self.active.iter().position(|given| given.sequence == sequence) {
            self.gone.push(self.active.remove(at).id);
        }
        Ok(())
    }

    /// An id that packets are not for us under any more.
    pub(super) fn poll_gone(&mut self) -> Option<ConnectionId> {
        self.gone.pop()
    }

    /// All that the peer may use.
    pub(super) fn all(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.active.iter().map(|given| given.id)
    }

    /// Is a NEW_ID to be sent?
    pub(super) fn owes(&self) -> bool {
        self.active.iter().any(|given| given.owed)
    }

    /// The next NEW_ID to send, with its sequence. It counts as sent.
    pub(super) fn poll_new(&mut self) -> Option<(u64, Frame<'static>)> {
        let given = self.active.iter_mut().find(|given| given.owed)?;
        given.owed = false;
        let (sequence, id, token) = (given.sequence, given.id, given.token);
        Some((sequence, Frame::NewId { sequence, retire_below: 0, id, token }))
    }

    /// The packet with this NEW_ID was lost.
    pub(super) fn on_new_lost(&mut self, sequence: u64) {
        if let Some(given) = self.active.iter_mut().find(|given| given.sequence == sequence) {
            given.owed = true;
        }
    }
}

/// The ids of the peer.
#[derive(Debug)]
pub(super) struct RemoteIds {
    current: Known,
    spare: Vec<Known>,
    /// All below were given back.
    floor: u64,
    /// Given back, and whether the RETIRE_ID has to leave.
    retiring: Vec<(u64, bool)>,
    /// The tokens, or where they hold, are others than when it was last asked.
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

    /// Gives back room that nothing is in.
    pub(super) fn release_memory(&mut self) {
        self.spare.shrink_to_fit();
        self.retiring.shrink_to_fit();
    }

    /// The one to use.
    pub(super) const fn current(&self) -> ConnectionId {
        self.current.id
    }

    /// During the handshake: the peer chose another.
    pub(super) const fn replace_first(&mut self, id: ConnectionId) {
        self.current.id = id;
    }

    /// The reset token of the handshake's id (parameter 8).
    pub(super) const fn set_first_token(&mut self, token: Option<ResetToken>) {
        self.current.token = token;
        self.news = true;
    }

    /// NEW_ID came.
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
            return if repeats { Ok(()) } else { Err(Close::violation("an id was given twice")) };
        }
        // Ids are used in the order of their sequence: one from before the present one was given
        // back,
        // and this is its NEW_ID again, or it came too late.
        if sequence < self.floor.max(self.current.sequence) {
            return self.retire(sequence);
        }
        if self.spare.len() + 1 >= MAX_REMOTE {
            return Err(Close::violation("more connection ids than are of use"));
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
            return Err(Close::violation("all connection ids were taken back"));
        }
        Ok(())
    }

    /// Uses another id from now on, if there is one (P-6). Says whether.
    pub(super) fn take_another(&mut self) -> Result<bool, Close> {
        let lowest = self.spare.iter().enumerate().min_by_key(|(_, known)| known.sequence);
        let Some((at, _)) = lowest else { return Ok(false) };
        let old = std::mem::replace(&mut self.current, self.spare.remove(at));
        self.news = true;
        self.retire(old.sequence)?;
        Ok(true)
    }

    /// Uses an id whose reset token is known rather than one without: a client's first has none,
    /// for a Hello hides nothing.
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
            return Err(Close::violation("too many connection ids taken back at once"));
        }
        self.retiring.push((sequence, true));
        Ok(())
    }

    /// Is a RETIRE_ID to be sent?
    pub(super) fn owes(&self) -> bool {
        self.retiring.iter().any(|(_, owed)| *owed)
    }

    /// The next RETIRE_ID to send. It counts as sent.
    pub(super) fn poll_retire(&mut self) -> Option<u64> {
        let (sequence, owed) = self.retiring.iter_mut().find(|(_, owed)| *owed)?;
        *owed = false;
        Some(*sequence)
    }

    /// The packet with this RETIRE_ID was lost.
    pub(super) fn on_retire_lost(&mut self, sequence: u64) {
        if let Some((_, owed)) = self.retiring.iter_mut().find(|(other, _)| *other == sequence) {
            *owed = true;
        }
    }

    /// The packet with this RETIRE_ID was acknowledged.
    pub(super) fn on_retire_acked(&mut self, sequence: u64) {
        self.retiring.retain(|(other, _)| *other != sequence);
    }

    /// The peer is at another address: its tokens hold there.
    pub(super) const fn on_moved(&mut self) {
        self.news = true;
    }

    /// Have [`Self::tokens`], or where they hold, changed since this was asked?
    pub(super) const fn poll_news(&mut self) -> bool {
        std::mem::replace(&mut self.news, false)
    }

    /// The tokens by which the peer can say that it forgot us (M-60).
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
    fn p_6_an_id_that_was_given_back_is_not_taken_up_again() {
        let mut remote = remote_with(2);
        assert!(remote.take_another().unwrap() && remote.take_another().unwrap());
        remote.on_retire_acked(1);
        // The packet that gave it was thought lost.
        remote.on_new(1, 0, id(1), ResetToken([1; 16])).unwrap();
        assert_eq!(remote.take_another(), Ok(false), "the peer does not know it any more");
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
        assert!(!local.owes());
        local.on_retired(0).unwrap();
        assert_eq!(local.poll_gone(), Some(id(0)));
        assert!(local.wants_more());
    }

    // M-54
    #[test]
    fn an_id_never_given_cannot_be_given_back() {
        let mut local = LocalIds::new(id(0));
        assert!(local.on_retired(1).is_err());
        local.on_retired(0).unwrap();
        assert_eq!(local.on_retired(0), Ok(()), "again is no harm");
    }

    #[test]
    fn a_lost_new_id_is_told_again_unless_given_back() {
        let mut local = LocalIds::new(id(0));
        local.give(id(1), ResetToken([1; 16]));
        assert!(local.poll_new().is_some());
        local.on_new_lost(1);
        assert_eq!(local.poll_new().map(|(sequence, _)| sequence), Some(1));
        local.on_retired(1).unwrap();
        local.on_new_lost(1);
        assert!(!local.owes());
    }

    // M-54
    #[test]
    fn a_repeated_new_id_is_no_harm_and_a_contradiction_is() {
        let mut remote = remote_with(1);
        assert_eq!(remote.on_new(1, 0, id(1), ResetToken([1; 16])), Ok(()));
        assert!(remote.on_new(2, 0, id(1), ResetToken([1; 16])).is_err());
        assert!(remote.on_new(1, 0, id(2), ResetToken([1; 16])).is_err());
    }

    #[test]
    fn ids_below_the_mark_are_given_back_and_another_is_used() {
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
        assert!(!remote.owes());
    }

    // M-54
    #[test]
    fn a_peer_cannot_make_us_keep_ids_without_end() {
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
    fn taking_another_gives_the_old_one_back() {
        let mut remote = remote_with(1);
        assert_eq!(remote.take_another(), Ok(true));
        assert_eq!(remote.current(), id(1));
        assert_eq!(remote.poll_retire(), Some(0));
        assert_eq!(remote.take_another(), Ok(false));
    }
}
