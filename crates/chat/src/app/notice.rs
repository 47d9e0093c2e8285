//! Notices of a client to its user.

use crate::{
    limits::{MAX_LINE_LEN, MAX_WAITING_LINES},
    name::NameError,
};

/// Something that a client reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The association with the server is not established yet.
    Connecting,
    /// There was no answer; typed lines wait.
    Silent,
    /// The network reports that nothing listens there; the client keeps trying for some time.
    NotListening,
    /// The server is a program that forwards lines.
    Foreign {
        /// The name that each line carries.
        name: String,
    },
    /// The server has gone; typed lines wait.
    Gone,
    /// Lines were sent that the room has not confirmed, and the server has gone.
    Unconfirmed {
        /// How many.
        lines: usize,
    },
    /// The server is back.
    Back,
    /// The room has lost the association; the client joins again.
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
    /// A command that only rooms understand, and the server is not a room.
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
    /// Messages in the chat of this host cannot be stored.
    NotStored {
        /// Why, for the host.
        why: String,
    },
    /// Messages are stored again.
    StoredAgain {
        /// How many events were not stored.
        failed: u64,
    },
    /// The history cannot be changed: a ban was not recorded, or old events were not deleted.
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
