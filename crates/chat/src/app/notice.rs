//! Notices of a client to its user.

use crate::{
    limits::{MAX_LINE_LEN, MAX_WAITING_LINES},
    name::NameError,
};

/// Something that a client reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The association with the server is not made yet.
    Connecting,
    /// Nothing has answered; what is typed waits.
    Silent,
    /// The network says that nothing listens there; the client tries again for a while.
    NotListening,
    /// The server is a program that forwards lines.
    Foreign {
        /// The name that each line carries.
        name: String,
    },
    /// The server has gone; what is typed waits.
    Gone,
    /// Lines were sent that the room has not confirmed, and the server has gone.
    Unconfirmed {
        /// How many.
        lines: usize,
    },
    /// The server is back.
    Back,
    /// The room has forgotten the association; the client joins again.
    Renewed,
    /// The association with the server has ended.
    Parted {
        /// Why, in words.
        why: String,
    },
    /// Events of the room did not arrive.
    Lost {
        /// How many, at least.
        lines: u64,
    },
    /// A typed line has the form of a room's own lines.
    RoomsOwn,
    /// A command that only a room understands, and there is no room.
    NoRoom {
        /// The command.
        command: &'static str,
    },
    /// The text is not a valid name.
    BadName {
        /// What is wrong with it.
        error: NameError,
    },
    /// The user has a new name.
    Renamed {
        /// The old name.
        old: String,
        /// The new one.
        new: String,
    },
    /// A typed line was rejected.
    NotTaken {
        /// Why.
        error: LineError,
    },
    /// What is said in the chat of this host cannot be stored.
    NotStored {
        /// Why, for the host.
        why: String,
    },
    /// It is stored again.
    StoredAgain {
        /// How many events were not.
        failed: u64,
    },
    /// The history cannot be changed: a ban, or what is too old, stays as it was.
    NotKept {
        /// Why, for the host.
        why: String,
    },
    /// A datagram was not sent.
    NotSent {
        /// Why, in words.
        why: String,
    },
}

/// Why a typed line was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Too many lines are waiting.
    #[error("not sent: {MAX_WAITING_LINES} lines are waiting already; try again in a moment")]
    Full,
    /// It is longer than a room accepts.
    #[error("not sent: the line has {0} bytes, and a line may have {MAX_LINE_LEN}")]
    TooLong(usize),
}
