//! Notices of a client to its user.

use std::{sync::Arc, time::Duration};

use super::TypedError;
use crate::room_name::RoomName;

/// Something that a member's client reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The host cannot be reached; typed messages are stored.
    Lost,
    /// The host is reachable again.
    Back,
    /// The host has another log than before, so earlier events, or events in between, are missing
    /// from it.
    OtherLog,
    /// The user's key is already in the chat, under another name than the one they asked for.
    OtherName {
        /// The name.
        name: Arc<str>,
        /// The name that they asked for.
        wish: Arc<str>,
    },
    /// The user leaves, and the client waits for the host, which is not connected.
    Waiting {
        /// Messages that the host may not have stored.
        lines: usize,
        /// The longest time to wait.
        most: Duration,
        /// `true` if they are sent the next time that the member connects.
        is_kept: bool,
    },
    /// A name appears with another key than before, or without one.
    OtherKey {
        /// The name.
        name: Arc<str>,
        /// The fingerprint of the key, if there is one.
        key: Option<Arc<str>>,
    },
    /// A typed line was not understood.
    NotTaken(TypedError),
    /// The maximum number of messages is waiting.
    Full,
    /// A message could not be stored, and is not sent.
    NotKept {
        /// Why, in words.
        why: String,
    },
    /// Typed messages go to this room from now on.
    Room(RoomName),
    /// The only room cannot be left.
    OnlyRoom,
    /// The user is not in this room.
    NotThere(RoomName),
    /// The commands.
    Help,
}
