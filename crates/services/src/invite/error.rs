//! What can be wrong with an invite. Nothing of its code is quoted: it may hold a secret.

use hikyaku::address::{Address, AddressError};

use crate::limits::{MAX_INVITE_ADDRESSES, MAX_INVITE_LEN, MAX_INVITE_ROOM};

/// Why an invite cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotInvitable {
    /// There is no address, or there are too many.
    #[error("an invite has 1 to {MAX_INVITE_ADDRESSES} addresses")]
    Addresses,
    /// An address means something on one machine alone, or has no plain letters.
    #[error("{0} cannot be in an invite: it needs a port, and a name or address of everyone's")]
    Address(Address),
    /// The name of the room cannot be read by everyone.
    #[error("the name of a room in an invite is at most {MAX_INVITE_ROOM} bytes that can be seen")]
    Room,
}

/// Why a line is no invite. Positions count characters from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// It begins otherwise.
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
    /// One of its addresses is none.
    #[error("the address {address:?} at character {at} of the invite: {source}")]
    Address {
        /// The address.
        address: String,
        /// Where it begins.
        at: usize,
        /// What is wrong with it.
        source: AddressError,
    },
    /// An address has no port, or is none for everyone.
    #[error("the address {address:?} at character {at} of the invite needs a host and a port")]
    Incomplete {
        /// The address.
        address: String,
        /// Where it begins.
        at: usize,
    },
    /// The code holds a character that no code has.
    #[error("character {at} of the invite is none of its code's (a to z, 2 to 7)")]
    Character {
        /// Where.
        at: usize,
    },
    /// The code is too short.
    #[error("the invite's code is cut short: it has {has} of {needs} characters")]
    Short {
        /// The characters that it has.
        has: usize,
        /// The characters that it says it has.
        needs: usize,
    },
    /// Something follows the code.
    #[error("the invite's code ends at character {0}, and something follows it")]
    Long(usize),
    /// A later version.
    #[error("the invite is of version {0}, and this hikyaku reads version 1")]
    Version(u8),
    /// The check does not match.
    #[error("a character of the invite's code was changed: copy all of it again")]
    Check,
    /// The check matches, and the content is none.
    #[error("the invite's code has a content that this hikyaku does not know")]
    Content,
}
