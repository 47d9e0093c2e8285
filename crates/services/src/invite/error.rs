//! Errors of invites. They never quote the code, which may contain a secret.

use hikyaku::address::{Address, AddressError};

use crate::limits::{MAX_INVITE_ADDRESSES, MAX_INVITE_LEN, MAX_INVITE_ROOM};

/// Why an invite cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotInvitable {
    /// There is no address, or there are too many.
    #[error("an invite has 1 to {MAX_INVITE_ADDRESSES} addresses")]
    Addresses,
    /// An address is valid on only one machine, or is not ASCII.
    #[error(
        "{0} cannot be in an invite: it needs a port, and a name or address that others can reach"
    )]
    Address(Address),
    /// The name of the room is too long, or has invisible characters.
    #[error(
        "the name of a room in an invite is at most {MAX_INVITE_ROOM} bytes of visible characters"
    )]
    Room,
}

/// Why a line is not an invite. Positions count characters from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// It does not begin like an invite.
    #[error("an invite begins with hikyaku://")]
    Scheme,
    /// It is too long.
    #[error("an invite has at most {MAX_INVITE_LEN} characters, and this has {0}")]
    TooLong(usize),
    /// It ends before its code.
    #[error("the invite ends after its addresses; copy all of it, with the code after the /")]
    NoCode,
    /// It has no address, or too many.
    #[error("an invite has 1 to {MAX_INVITE_ADDRESSES} addresses, with + between them")]
    Addresses,
    /// One of its addresses is invalid.
    #[error("the address {address:?} at character {at} of the invite: {source}")]
    Address {
        /// The address.
        address: String,
        /// Where it begins.
        at: usize,
        /// What is wrong with it.
        source: AddressError,
    },
    /// An address has no port, or is not reachable from other machines.
    #[error("the address {address:?} at character {at} of the invite needs a host and a port")]
    Incomplete {
        /// The address.
        address: String,
        /// Where it begins.
        at: usize,
    },
    /// The code contains an invalid character.
    #[error("character {at} of the invite is not valid in a code (a to z, 2 to 7)")]
    Character {
        /// Where.
        at: usize,
    },
    /// The code is too short.
    #[error("the invite's code is cut short: it has {has} of {needs} characters")]
    Short {
        /// Its length, in characters.
        has: usize,
        /// The length that it states.
        needs: usize,
    },
    /// There is text after the code.
    #[error("the invite's code ends at character {0}, but there is more text")]
    Long(usize),
    /// It has a later version.
    #[error("the invite is of version {0}, and this hikyaku reads version 1")]
    Version(u8),
    /// The checksum does not match.
    #[error("a character of the invite's code was changed: copy all of it again")]
    Check,
    /// The checksum matches, but the content is unknown.
    #[error("this hikyaku does not know the content of the invite's code")]
    Content,
}
