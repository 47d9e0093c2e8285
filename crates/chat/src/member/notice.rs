//! Notices of a client to its user.

use std::sync::Arc;

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
