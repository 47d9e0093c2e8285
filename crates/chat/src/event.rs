//! What happens in a room, as data: every dialect and every screen makes its own form of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{name::NameError, time::Stamp};

/// The place of an event in a room's log. Numbers grow along the log and need not be consecutive.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The beginning of every log, before its first event.
    pub const START: Self = Self(0);

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_start(&self) -> bool {
        *self == Self::START
    }
}

/// A stay in a room: a member who leaves and comes back has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

/// A number that a client gives to a request, to recognise the event that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// A member as an event names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Author {
    /// The stay in the room.
    pub member: MemberId,
    /// The name at that time, or the address of a member who has given none.
    pub name: Arc<str>,
}

impl Author {
    /// Creates an author.
    #[must_use]
    pub fn new(member: MemberId, name: impl Into<Arc<str>>) -> Self {
        Self { member, name: name.into() }
    }
}

/// Something that happened in a room. Its texts are as their authors sent them; whoever shows them
/// escapes them, as [`crate::words`] does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The place in the room's log. `None` before the log has numbered it, and for what is meant
    /// for one member and stands in no log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// The number of the event before it in the room's log, 0 before the first: whoever has seen
    /// that one has missed nothing.
    #[serde(default, skip_serializing_if = "Seq::is_start")]
    pub prev: Seq,
    /// When it happened.
    pub at: Stamp,
    /// The member who did it. `None` when the room speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// The request that this answers: the author's, or the receiver's where the room speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Event {
    /// Creates an event that no log has numbered.
    #[must_use]
    pub fn new(at: Stamp, author: Option<Author>, request: Option<RequestId>, kind: Kind) -> Self {
        Self { seq: None, prev: Seq::START, at, author, request, kind }
    }

    /// Returns `true` if the author is `member`.
    #[must_use]
    pub fn is_by(&self, member: MemberId) -> bool {
        self.author.as_ref().is_some_and(|author| author.member == member)
    }

    /// Bytes of words and names; what a form adds to them is not counted.
    pub(crate) fn weight(&self) -> usize {
        let name = self.author.as_ref().map_or(0, |author| author.name.len());
        name + self.kind.weight()
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// The author joined.
    Joined,
    /// The author left.
    Left(Departure),
    /// The author has another name from now on.
    Renamed {
        /// The new name.
        name: Arc<str>,
    },
    /// The author said something to all.
    Said {
        /// The author's words.
        text: String,
    },
    /// The author whispered something to one member. Both receive this event, nobody else does.
    Whispered {
        /// The name of the addressee.
        to: Arc<str>,
        /// The author's words.
        text: String,
    },
    /// The author set what the room is about; an empty topic is none. Without an author: what the
    /// topic is, in answer to a question.
    Topic {
        /// The topic.
        text: Arc<str>,
    },
    /// The room closes.
    Closing,
    /// The receiver is a member.
    Greeted {
        /// The receiver, as the room calls them.
        you: Author,
        /// The other members.
        others: Roll,
        /// The newest number of the log; what comes later is the receiver's to hear.
        head: Seq,
    },
    /// The members, in answer to a question.
    Members {
        /// All members, the receiver among them.
        roll: Roll,
    },
    /// What a member can do, in answer to a question.
    Help,
    /// Earlier events that the receiver asked for are not remembered any more.
    Missed,
    /// The room did not do what the receiver asked for.
    Refused(Refusal),
    /// Something that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Kind {
    fn weight(&self) -> usize {
        match self {
            Self::Said { text } => text.len(),
            Self::Whispered { to, text } => to.len() + text.len(),
            Self::Topic { text } | Self::Renamed { name: text } => text.len(),
            Self::Greeted { you, others, .. } => you.name.len() + others.weight(),
            Self::Members { roll } => roll.weight(),
            Self::Refused(refusal) => refusal.weight(),
            Self::Joined
            | Self::Left(_)
            | Self::Closing
            | Self::Help
            | Self::Missed
            | Self::Unknown => 0,
        }
    }
}

/// Why a member left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Departure {
    /// The member said so, or ended the association.
    Quit,
    /// Nothing was heard for too long.
    Silent {
        /// How long, in milliseconds.
        millis: u64,
    },
    /// A reason that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Names of members, as many as fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Roll {
    /// Names, in the order of the members' keys.
    pub names: Vec<Arc<str>>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

impl Roll {
    /// Returns how many members there are, named or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names.len().saturating_add(self.more)
    }

    fn weight(&self) -> usize {
        self.names.iter().map(|name| name.len() + 2).sum()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why the room did not do what a member asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The name cannot be one.
    BadName {
        /// What is wrong with it.
        error: NameError,
    },
    /// Another member has the name.
    NameTaken {
        /// The name.
        name: Arc<str>,
        /// A name that is like it and free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        free: Option<Arc<str>>,
    },
    /// Another member has the name that a newcomer wished for.
    NameReplaced {
        /// The name.
        name: Arc<str>,
        /// What the newcomer is called instead.
        given: Arc<str>,
    },
    /// The room is full.
    Full,
    /// The member sends too fast; this and what comes next is dropped.
    TooFast {
        /// Lines a second that are not too fast.
        rate: u32,
    },
    /// The room has as much to send as it may.
    Busy,
    /// The line is too long.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The longest that is passed on.
        most: usize,
    },
    /// Nobody is called so.
    Nobody {
        /// The beginning of the name.
        name: String,
    },
    /// A whisper without words.
    NothingSaid,
    /// There is no such command.
    NoCommand {
        /// The beginning of the command.
        command: String,
    },
    /// A reason that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Refusal {
    fn weight(&self) -> usize {
        match self {
            Self::NameTaken { name, free } => name.len() + free.as_ref().map_or(0, |f| f.len()),
            Self::NameReplaced { name, given } => name.len() + given.len(),
            Self::Nobody { name: quoted } | Self::NoCommand { command: quoted } => quoted.len(),
            Self::BadName { .. }
            | Self::Full
            | Self::TooFast { .. }
            | Self::Busy
            | Self::TooLong { .. }
            | Self::NothingSaid
            | Self::Unknown => 0,
        }
    }
}
