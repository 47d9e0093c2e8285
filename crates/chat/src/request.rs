//! Requests of members to a room, as data. Any dialect translates into them.

use serde::{Deserialize, Serialize};

use crate::event::{RequestId, Seq};

/// A request of a member, with the number by which its answer is recognized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The member's own number, if the answer is to carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The action.
    #[serde(flatten)]
    pub action: Action,
}

/// Creates a request without a number.
impl From<Action> for Request {
    fn from(action: Action) -> Self {
        Self { request: None, action }
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
    /// A new topic; an empty one removes it.
    Topic(String),
    /// A request to repeat the events after this one.
    Resumed(Seq),
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
}
