//! The guests of a room with one-use invites.

use std::collections::BTreeSet;

use hikyaku::{
    Endpoint,
    signers::{AuthorizedKeys, Fingerprint},
};
use hikyaku_chat::server;
use hikyaku_services::invite::{Admission, InMemory, Invite, Invites, OneUse, Secret};

use super::invite::invite;
use crate::exit::Failure;

/// Who may join: whoever is allowed by key, and one guest per invite.
struct Guests {
    allowed: Option<AuthorizedKeys>,
    invites: Invites<InMemory>,
    /// Whom an invite has admitted: they may come back without it.
    admitted: BTreeSet<Fingerprint>,
}

/// Makes so many one-use invites to a room; returns them, and what admits their guests.
pub(super) fn invited(
    endpoint: &Endpoint,
    count: usize,
    allowed: Option<AuthorizedKeys>,
) -> Result<(Vec<Invite>, server::Admission), Failure> {
    let to_room = invite(endpoint, None)?;
    let mut invites = Invites::new(InMemory::default());
    let mut made = Vec::new();
    for _ in 0..count {
        let secret = OneUse::generate();
        invites.issue(&secret);
        made.push(to_room.clone().with_secret(Secret::OneUse(secret)));
    }
    let mut guests = Guests { allowed, invites, admitted: BTreeSet::new() };
    let admission = server::Admission::new(move |guest, secret| guests.admits(guest, secret));
    Ok((made, admission))
}

impl Guests {
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
    use super::*;

    #[test]
    fn an_invite_admits_one_guest_who_may_come_back_without_it() {
        let [ana, ben] = [1, 2].map(|byte| Fingerprint::from_bytes(&[byte; 32]).unwrap());
        let secret = OneUse::generate();
        let mut invites = Invites::new(InMemory::default());
        invites.issue(&secret);
        let mut guests = Guests { allowed: None, invites, admitted: BTreeSet::new() };
        let text = secret.to_text();
        assert!(!guests.admits(ana, None) && !guests.admits(ana, Some("x")));
        assert!(guests.admits(ana, Some(&text)) && guests.admits(ana, None));
        assert!(!guests.admits(ben, Some(&text)) && !guests.admits(ben, None));
    }
}
