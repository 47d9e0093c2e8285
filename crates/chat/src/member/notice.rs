//! Notices of a client to its user.

use std::{sync::Arc, time::Duration};

use super::TypedError;
use crate::room_name::RoomName;

/// Something that a member's client reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The host cannot be reached; what is typed is kept.
    Lost,
    /// The host is there again.
    Back,
    /// The host has another log than before: what was said meanwhile, or before, is not in it.
    OtherLog,
    /// The user's key is in the chat already, under another name than the one they wish for.
    OtherName {
        /// The name.
        name: Arc<str>,
        /// The one they wish for.
        wish: Arc<str>,
    },
    /// The user leaves, and the host, which is not there, is waited for.
    Waiting {
        /// Messages that the host is not known to have stored.
        lines: usize,
        /// The longest time to wait.
        most: Duration,
        /// `true` if they are sent the next time that the member comes.
        is_kept: bool,
    },
    /// A name comes with another key than before, or with none.
    OtherKey {
        /// The name.
        name: Arc<str>,
        /// The fingerprint of the key, if there is one.
        key: Option<Arc<str>>,
    },
    /// A typed line was not understood.
    NotTaken(TypedError),
    /// As many messages wait as may.
    Full,
    /// A message could not be kept, and is not sent.
    NotKept {
        /// Why, in words.
        why: String,
    },
    /// What is typed goes to this room from now on.
    Room(RoomName),
    /// The only room cannot be left.
    OnlyRoom,
    /// The user is not in this room.
    NotThere(RoomName),
    /// The commands.
    Help,
}
