//! What a person hands in at a keyboard.

use crate::{event::Seq, room_name::RoomName};

/// Something that a person has entered, or asks for by a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A line as typed: a message or a command.
    Line(String),
    /// A message of one or several lines, such as pasted text. It is never a command.
    Text(String),
    /// A question for what was said in a room before an event, or most recently.
    Older {
        /// The room.
        room: RoomName,
        /// The event.
        before: Option<Seq>,
    },
}

impl Entry {
    /// Returns `true` if it is a line or a text that is not blank.
    #[must_use]
    pub fn has_text(&self) -> bool {
        match self {
            Self::Line(text) | Self::Text(text) => !text.trim().is_empty(),
            Self::Older { .. } => false,
        }
    }
}

impl From<String> for Entry {
    fn from(line: String) -> Self {
        Self::Line(line)
    }
}
