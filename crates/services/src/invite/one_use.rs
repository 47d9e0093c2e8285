//! Secrets that admit one guest each.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use data_encoding::BASE32_NOPAD;
use hikyaku::signers::Fingerprint;
use zeroize::Zeroizing;

use crate::limits::{MAX_ISSUED, ONE_USE_LEN};

/// A secret that admits one guest. It is wiped from memory when dropped.
#[derive(Clone)]
pub struct OneUse(Zeroizing<[u8; ONE_USE_LEN]>);

impl OneUse {
    /// Generates a new secret.
    ///
    /// # Panics
    /// If the system provides no randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut secret = Zeroizing::new([0; ONE_USE_LEN]);
        aws_lc_rs::rand::fill(&mut *secret).expect("the system has randomness");
        Self(secret)
    }

    /// Returns the secret with these bytes, or `None` if they are not [`ONE_USE_LEN`] many.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Returns the bytes of the secret. The caller must wipe copies of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; ONE_USE_LEN] {
        &self.0
    }

    /// Returns the text that a guest presents.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&*self.0))
    }

    /// Parses the secret that a guest presents.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).ok().map(Zeroizing::new)?;
        Self::from_bytes(&bytes)
    }

    /// Returns the hash under which its use is recorded. It does not reveal the secret.
    #[must_use]
    pub fn id(&self) -> InviteId {
        let digest = digest(&SHA256, &*self.0);
        InviteId(std::array::from_fn(|index| digest.as_ref()[index]))
    }
}

impl fmt::Debug for OneUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneUse(secret)")
    }
}

/// The SHA-256 of a one-use secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteId(pub [u8; 32]);

/// Records who used which invite. A record on disk survives a restart of the host.
pub trait UsedInvites {
    /// Returns the guest who used this invite, if any.
    fn guest(&self, invite: &InviteId) -> Option<Fingerprint>;

    /// Records a guest. Returns `false` on failure; the guest is then not admitted.
    fn remember(&mut self, invite: InviteId, guest: Fingerprint) -> bool;
}

/// A record in memory.
#[derive(Clone, Debug, Default)]
pub struct InMemory(BTreeMap<InviteId, Fingerprint>);

impl UsedInvites for InMemory {
    fn guest(&self, invite: &InviteId) -> Option<Fingerprint> {
        self.0.get(invite).copied()
    }

    fn remember(&mut self, invite: InviteId, guest: Fingerprint) -> bool {
        self.0.insert(invite, guest);
        true
    }
}

/// Whether a guest is admitted by an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Admitted: nobody has used the invite, or this key has. A guest that lost its connection
    /// presents the same secret again.
    Admitted,
    /// Another key has used it.
    Used,
    /// This host has not issued it.
    Unknown,
}

/// The one-use invites of a host, and who has used them.
#[derive(Debug)]
pub struct Invites<U = InMemory> {
    issued: Vec<InviteId>,
    used: U,
}

impl<U: UsedInvites> Invites<U> {
    /// Creates an empty set.
    #[must_use]
    pub const fn new(used: U) -> Self {
        Self { issued: Vec::new(), used }
    }

    /// Returns what remembers who used which invite.
    pub const fn used_mut(&mut self) -> &mut U {
        &mut self.used
    }

    /// Issues an invite with this random secret. Returns `false` beyond [`MAX_ISSUED`].
    pub fn issue(&mut self, secret: &OneUse) -> bool {
        self.issue_again(secret.id())
    }

    /// Registers an invite that an earlier run of the host issued. Returns `false` beyond
    /// [`MAX_ISSUED`].
    pub fn issue_again(&mut self, invite: InviteId) -> bool {
        let has_room = self.issued.len() < MAX_ISSUED;
        if has_room {
            self.issued.push(invite);
        }
        has_room
    }

    /// Decides whether a guest is admitted. The connection has proved the guest's key. The time
    /// that this takes does not depend on the secret.
    pub fn admit(&mut self, presented: &str, guest: Fingerprint) -> Admission {
        let Some(id) = OneUse::parse(presented).map(|secret| secret.id()) else {
            return Admission::Unknown;
        };
        let is_issued = self
            .issued
            .iter()
            .fold(false, |found, issued| found | verify_slices_are_equal(&issued.0, &id.0).is_ok());
        if !is_issued {
            return Admission::Unknown;
        }
        match self.used.guest(&id) {
            Some(before) if before == guest => Admission::Admitted,
            Some(_) => Admission::Used,
            None if self.used.remember(id, guest) => Admission::Admitted,
            None => Admission::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(byte: u8) -> Fingerprint {
        Fingerprint::from_bytes(&[byte; 32]).unwrap()
    }

    fn secret(byte: u8) -> OneUse {
        OneUse::from_bytes(&[byte; ONE_USE_LEN]).unwrap()
    }

    #[test]
    fn an_invite_admits_one_key_repeatedly() {
        let mut invites = Invites::new(InMemory::default());
        assert!(invites.issue(&secret(1)) && invites.issue(&secret(2)));
        let (first, second) = (secret(1).to_text(), secret(2).to_text());
        assert_eq!(invites.admit(&first, guest(1)), Admission::Admitted);
        assert_eq!(invites.admit(&first, guest(1)), Admission::Admitted);
        assert_eq!(invites.admit(&first, guest(2)), Admission::Used);
        assert_eq!(invites.admit(&second, guest(2)), Admission::Admitted);
        for wrong in ["", "x", &*secret(3).to_text(), &first[1..]] {
            assert_eq!(invites.admit(wrong, guest(1)), Admission::Unknown, "{wrong}");
        }
    }

    #[test]
    fn an_invite_that_cannot_be_recorded_admits_nobody() {
        struct Broken;
        impl UsedInvites for Broken {
            fn guest(&self, _: &InviteId) -> Option<Fingerprint> {
                None
            }
            fn remember(&mut self, _: InviteId, _: Fingerprint) -> bool {
                false
            }
        }
        let mut invites = Invites::new(Broken);
        invites.issue(&secret(1));
        assert_eq!(invites.admit(&secret(1).to_text(), guest(1)), Admission::Unknown);
    }

    #[test]
    fn a_host_issues_a_bounded_number() {
        let mut invites = Invites::new(InMemory::default());
        let issued = (0..2 * MAX_ISSUED).filter(|_| invites.issue(&secret(1))).count();
        assert_eq!(issued, MAX_ISSUED);
    }
}
