//! The guests of a room with one-use invites.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use hikyaku::{
    Endpoint,
    signers::{AuthorizedKeys, Fingerprint},
};
use hikyaku_chat::{server, store::StoreError};
use hikyaku_history::SqliteInvites;
use hikyaku_services::{
    invite::{Admission, InMemory, Invite, InviteId, Invites, OneUse, Secret, UsedInvites},
    limits::MAX_ISSUED,
};

use super::invite::invite;
use crate::{exit::Failure, output::warn, words::Storage};

/// Which guest used which invite: in memory, or across restarts if the host keeps a history.
enum Used {
    Forgotten(InMemory),
    Kept(SqliteInvites),
}

/// Decides who may join: allowed keys, and one guest per invite.
struct Guests {
    allowed: Option<AuthorizedKeys>,
    invites: Invites<Used>,
    /// The guests whom an invite has admitted: they may come back without it.
    admitted: BTreeSet<Fingerprint>,
}

/// Creates this many one-use invites to a room; returns them, and the check that admits their
/// guests. Stored invites of earlier runs are valid, too.
pub(super) fn invited(
    endpoint: &Endpoint,
    count: usize,
    allowed: Option<AuthorizedKeys>,
    kept: Option<SqliteInvites>,
) -> Result<(Vec<Invite>, server::Admission), Failure> {
    let to_room = invite(endpoint, None)?;
    let mut guests = Guests::new(allowed, kept).map_err(not_kept)?;
    let mut made = Vec::new();
    for _ in 0..count {
        let secret = OneUse::generate();
        if !guests.invites.issue(&secret) {
            return Err(Failure::failed(Storage::TooManyInvites(MAX_ISSUED).text()));
        }
        guests.invites.used_mut().issue(secret.id()).map_err(not_kept)?;
        made.push(to_room.clone().with_secret(Secret::OneUse(secret)));
    }
    // A connection to the history may be used by only one thread at a time.
    let mut guests = Mutex::new(guests);
    let admission = server::Admission::new(move |guest, secret| {
        guests.get_mut().unwrap_or_else(PoisonError::into_inner).admits(guest, secret)
    });
    Ok((made, admission))
}

#[expect(clippy::needless_pass_by_value, reason = "the error is consumed")]
fn not_kept(error: StoreError) -> Failure {
    Failure::failed(Storage::InvitesFail(&error).text())
}

impl Used {
    fn issue(&mut self, invite: InviteId) -> Result<(), StoreError> {
        match self {
            Self::Forgotten(_) => Ok(()),
            Self::Kept(invites) => invites.issue(&invite.0),
        }
    }
}

impl UsedInvites for Used {
    fn guest(&self, invite: &InviteId) -> Option<Fingerprint> {
        match self {
            Self::Forgotten(used) => used.guest(invite),
            // If this fails, `remember` still admits nobody else.
            Self::Kept(invites) => invites.guest(&invite.0).ok()??.parse().ok(),
        }
    }

    fn remember(&mut self, invite: InviteId, guest: Fingerprint) -> bool {
        match self {
            Self::Forgotten(used) => used.remember(invite, guest),
            Self::Kept(invites) => {
                let stored = invites.remember(&invite.0, &guest.to_string());
                stored.unwrap_or_else(|error| {
                    warn(&Storage::GuestNotAdmitted(&error).text());
                    false
                })
            }
        }
    }
}

impl Guests {
    fn new(
        allowed: Option<AuthorizedKeys>,
        kept: Option<SqliteInvites>,
    ) -> Result<Self, StoreError> {
        let earlier = kept.as_ref().map_or_else(|| Ok(Vec::new()), SqliteInvites::all)?;
        let used = kept.map_or_else(|| Used::Forgotten(InMemory::default()), Used::Kept);
        let (mut invites, mut admitted) = (Invites::new(used), BTreeSet::new());
        for (invite, guest) in earlier {
            match guest {
                Some(guest) => admitted.extend(guest.parse::<Fingerprint>()),
                None => {
                    invites.issue_again(InviteId(invite));
                }
            }
        }
        Ok(Self { allowed, invites, admitted })
    }

    fn admits(&mut self, guest: Fingerprint, secret: Option<&str>) -> bool {
        let is_allowed = self.allowed.as_ref().is_some_and(|keys| keys.get(&guest).is_some());
        if is_allowed || self.admitted.contains(&guest) {
            return true;
        }
        let admits = |secret| self.invites.admit(secret, guest) == Admission::Admitted;
        let is_invited = secret.is_some_and(admits);
        if is_invited {
            self.admitted.insert(guest);
        }
        is_invited
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_history::SqliteStore;

    use super::*;

    #[test]
    fn an_invite_admits_one_guest_who_may_come_back_without_it() {
        let [ana, ben] = [1, 2].map(|byte| Fingerprint::from_bytes(&[byte; 32]).unwrap());
        let secret = OneUse::generate();
        let mut guests = Guests::new(None, None).unwrap();
        guests.invites.issue(&secret);
        let text = secret.to_text();
        assert!(!guests.admits(ana, None) && !guests.admits(ana, Some("x")));
        assert!(guests.admits(ana, Some(&text)) && guests.admits(ana, None));
        assert!(!guests.admits(ben, Some(&text)) && !guests.admits(ben, None));
    }

    #[test]
    fn after_a_restart_a_used_invite_stays_used_and_another_is_valid() {
        let [ana, ben] = [1, 2].map(|byte| Fingerprint::from_bytes(&[byte; 32]).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.sqlite");
        let [first, second] = [OneUse::generate(), OneUse::generate()];
        let run = |check: &dyn Fn(&mut Guests)| {
            let history = SqliteStore::open(&path, 1).unwrap();
            check(&mut Guests::new(None, Some(history.invites().unwrap())).unwrap());
        };
        run(&|guests| {
            for secret in [&first, &second] {
                assert!(guests.invites.issue(secret));
                guests.invites.used_mut().issue(secret.id()).unwrap();
            }
            assert!(guests.admits(ana, Some(&first.to_text())));
        });
        run(&|guests| {
            assert!(guests.admits(ana, None), "a guest who was admitted comes back");
            assert!(!guests.admits(ben, Some(&first.to_text())));
            assert!(guests.admits(ben, Some(&second.to_text())));
        });
        run(&|guests| assert!(guests.admits(ben, None) && guests.admits(ana, None)));
    }
}
