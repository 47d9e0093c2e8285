//! Invites: one line with everything that a guest needs to join.
//!
//! ```text
//! hikyaku://192.0.2.7:12345+2001-db8--7:12345/aea3gqtc…
//!           addresses, with + between them     code, in base32
//! ```
//!
//! None of its characters is special to a shell or a messenger, and all fit a QR code's
//! alphanumeric mode; therefore IPv6 addresses have dashes instead of colons. Case does not matter.
//! The code, as bytes:
//!
//! ```text
//! version (1) · length of the code · fingerprint, 32 · kind of secret · secret · room · check, 4
//! ```
//!
//! The check is the beginning of a SHA-256 hash, and detects a mistyped or shortened code. It does
//! not cover the addresses: they may be edited by hand, because the host must prove its key anyway.

mod error;
mod one_use;
mod text;

use std::fmt;

use hikyaku::{address::Address, identity::SharedKey, signers::Fingerprint};
use zeroize::Zeroizing;

pub use self::{
    error::{InviteError, NotInvitable},
    one_use::{Admission, InMemory, InviteId, Invites, OneUse, UsedInvites},
};
use crate::limits::{MAX_INVITE_ADDRESSES, MAX_INVITE_ROOM};

/// The beginning of an invite.
pub const SCHEME: &str = "hikyaku://";

/// An invite to a host: its addresses, its key, and the secret that admits a guest, if any.
#[derive(Clone)]
pub struct Invite {
    addresses: Vec<Address>,
    fingerprint: Fingerprint,
    room: String,
    secret: Secret,
}

/// The way in which a guest is admitted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Secret {
    /// Nothing: the host decides by other means.
    #[default]
    None,
    /// A key that all members share.
    Shared(SharedKey),
    /// A secret for one guest.
    OneUse(OneUse),
}

impl Invite {
    /// Creates an invite to the host with this key, at these addresses.
    ///
    /// # Errors [`NotInvitable`] if there is no address, or one that is valid only on this machine.
    pub fn new(addresses: &[Address], fingerprint: Fingerprint) -> Result<Self, NotInvitable> {
        if addresses.is_empty() || addresses.len() > MAX_INVITE_ADDRESSES {
            return Err(NotInvitable::Addresses);
        }
        let written = |address: &Address| {
            let text = text::write_address(address)?;
            text::read_address(&text).map_err(|_| NotInvitable::Address(address.clone()))
        };
        let addresses = addresses.iter().map(written).collect::<Result<_, _>>()?;
        Ok(Self { addresses, fingerprint, room: String::new(), secret: Secret::None })
    }

    /// Sets the room.
    ///
    /// # Errors [`NotInvitable::Room`] if its name is too long, or contains invisible characters.
    pub fn with_room(mut self, room: &str) -> Result<Self, NotInvitable> {
        if room.len() > MAX_INVITE_ROOM || !room.chars().all(hikyaku_text::is_safe) {
            return Err(NotInvitable::Room);
        }
        room.clone_into(&mut self.room);
        Ok(self)
    }

    /// Adds a secret. Everyone who has the invite has the secret, too.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = secret;
        self
    }

    /// Returns the addresses of the host, the best first.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Returns the fingerprint of the key that the host must prove.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the room, or an empty string if the invite names none.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.room
    }

    /// Returns what admits a guest.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns the line. It is wiped from memory when dropped.
    #[must_use]
    pub fn to_line(&self) -> Zeroizing<String> {
        text::write(self)
    }

    /// Parses an invite. White space around it is ignored.
    ///
    /// # Errors [`InviteError`] reports the problem and its position. It does not quote the code.
    pub fn parse(line: &str) -> Result<Self, InviteError> {
        text::read(line)
    }

    /// Returns `true` if a word begins as an invite does.
    #[must_use]
    pub fn is_meant(word: &str) -> bool {
        let start = word.trim_start().get(..SCHEME.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite")
            .field("addresses", &self.addresses)
            .field("fingerprint", &self.fingerprint)
            .field("room", &self.room)
            .field("secret", &self.secret)
            .finish()
    }
}
