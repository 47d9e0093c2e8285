//! What members ask of a room, as data. Any dialect translates into it.

use serde::{Deserialize, Serialize};

use crate::event::{RequestId, Seq};

/// Something that a member asks for, with the number by which its answer is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The member's own number for it, if the member wants to recognise the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// What is asked for.
    #[serde(flatten)]
    pub action: Action,
}

/// Without a number.
impl From<Action> for Request {
    fn from(action: Action) -> Self {
        Self { request: None, action }
    }
}

/// What someone did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", content = "with", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Gave a sign of life: a hello or a keep-alive.
    Heard,
    /// Said something to all.
    Said(String),
    /// Asked to be let in under this name, or to be greeted once more.
    Hello(String),
    /// Asked to be called so.
    Named(String),
    /// Left.
    Left,
    /// Asked the room something.
    Asked(Question),
    /// Whispered: the addressee's name, a space, and the text. One string, because only the room
    /// knows which of the words are the name.
    Whispered(String),
    /// Set the topic; an empty one removes it.
    Topic(String),
    /// Asked for the events after this one once more.
    Resumed(Seq),
    /// Gave a command that does not exist.
    Unknown(String),
    /// Sent a line of so many bytes, more than the limit. It is not relayed in part.
    TooLong(usize),
}

/// What someone may ask a room.
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
