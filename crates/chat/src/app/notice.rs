//! What a client has to say to its user.

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
    /// The server is a program that passes lines on.
    Foreign {
        /// The name that each line carries.
        name: String,
    },
    /// The server has gone; what is typed waits.
    Gone,
    /// The server is there again.
    Back,
    /// The room has forgotten the association; the client joins anew.
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
    /// A typed line begins as a room's own lines do.
    RoomsOwn,
    /// A command that only a room knows, and there is none.
    NoRoom {
        /// The command.
        command: &'static str,
    },
    /// A name cannot be one.
    BadName {
        /// What is wrong with it.
        error: NameError,
    },
    /// The user has another name from now on.
    Renamed {
        /// The name until now.
        old: String,
        /// The new one.
        new: String,
    },
    /// A typed line was not taken.
    NotTaken {
        /// Why.
        error: LineError,
    },
    /// A datagram was not sent.
    NotSent {
        /// Why, in words.
        why: String,
    },
}

/// Why a typed line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Too many lines wait to be sent.
    #[error("not sent: {MAX_WAITING_LINES} lines are waiting already; try again in a moment")]
    Full,
    /// It is longer than a room accepts.
    #[error("not sent: {0} bytes in a line, at most {MAX_LINE_LEN}")]
    TooLong(usize),
}
