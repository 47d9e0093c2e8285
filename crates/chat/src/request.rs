//! Requests of members to a room, as data. Any dialect translates into them.

use std::sync::Arc;

use hikyaku_text::is_safe;
use serde::{Deserialize, Serialize};

use crate::{
    event::{RequestId, Seq},
    limits::LINE_UNIT,
    message_id::MessageId,
    room_name::RoomName,
    sealed::Sealed,
};

/// A member's request, with the number by which its answer is recognized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The member's own number, if the answer should repeat it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The room that it is about.
    #[serde(default, skip_serializing_if = "RoomName::is_general")]
    pub room: RoomName,
    /// The id of a message, and the message as its author signed it, once verified.
    #[serde(skip)]
    pub signed: Option<(MessageId, Sealed)>,
    /// The action.
    #[serde(flatten)]
    pub action: Action,
}

/// Creates a request without a number.
impl From<Action> for Request {
    fn from(action: Action) -> Self {
        Self { request: None, room: RoomName::general(), signed: None, action }
    }
}

/// An action of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", content = "with", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// A sign of life: a hello or a keep-alive.
    Heard,
    /// A line for all.
    Said(String),
    /// A hello with a name, the first or a repeated one.
    Hello(String),
    /// A change of name.
    Named(String),
    /// A farewell.
    Left,
    /// A question to the room.
    Asked(Question),
    /// A whisper: the addressee's name, a space, and the text. One string, because only the room
    /// knows where the name ends.
    Whispered(String),
    /// A line that describes what the author does: `/me waves`.
    Emote(String),
    /// A line, an emote or a whisper, signed.
    Sealed(Sealed),
    /// A whisper to the key with this fingerprint, made from a sealed one.
    WhisperedTo(Arc<str>, String),
    /// Ask for the key of the member with this name.
    Identify(String),
    /// Join the room, which is created if it is empty.
    Joined,
    /// Leave the room, and stay in the others.
    LeftRoom,
    /// Read messages of the room before an event, or the most recent ones.
    History(Option<Seq>),
    /// Find lines with these words before an event, in all of the member's rooms.
    Search(String, Option<Seq>),
    /// The member has all events up to this one.
    Read(Seq),
    /// Remove a member.
    Kick(String),
    /// Remove and ban: a member's name, a key's fingerprint, or a network.
    Ban(String),
    /// Lift a ban, as it is listed.
    Unban(String),
    /// Set the topic; an empty one removes it.
    Topic(String),
    /// Repeat the events after this one.
    Resumed(Seq),
    /// A message that its author has not signed, in a chat where all are signed.
    Unsigned,
    /// A command about a room whose name is not valid.
    BadRoomName,
    /// An unknown command.
    Unknown(String),
    /// A line of this many bytes, more than the limit. It is not relayed in part.
    TooLong(usize),
}

/// A question to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Question {
    /// The members.
    Who,
    /// The commands.
    Help,
    /// The topic.
    Topic,
    /// The rooms.
    Rooms,
    /// The bans.
    Bans,
}

/// Returns the length of a text, as limits count it: its bytes, or half of those that it has in
/// JSON, whichever is more. So no form of a text is much longer than another.
pub(crate) fn text_len(text: &str) -> usize {
    let in_json = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => 2,
        c if is_safe(c) => c.len_utf8(),
        c => "\\u0000".len() * c.len_utf16(),
    };
    text.len().max(text.chars().map(in_json).sum::<usize>().div_ceil(2))
}

/// Returns how many lines a text counts for in an allowance.
pub(crate) fn lines_of(text: &str) -> u32 {
    u32::try_from(text.len().div_ceil(LINE_UNIT)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use hikyaku_text::escape_json;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_is_more_than_twice_its_length_in_json(
            text in "(\\PC|[\x00-\x1f\x7f-\u{9f}\"\\\\\u{200b}\u{e0041}]){0,40}",
        ) {
            let json = serde_json::to_string(&text).unwrap();
            let json = escape_json(&json).len() - 2;
            prop_assert_eq!(text_len(&text), text.len().max(json.div_ceil(2)));
        }
    }
}
