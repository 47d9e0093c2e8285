//! Events of a room, as data: every dialect and every screen shows them in its own form.

// Longer than 400 lines: the kinds of events are the chat's vocabulary and belong together.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    limits::MAX_SEQ, message_id::MessageId, name::NameError, room_name::RoomName, sealed::Sealed,
    store::LogId, time::Stamp,
};

/// The position of an event in a room's log. Numbers grow along the log and need not be
/// consecutive.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u64", into = "u64")]
pub struct Seq(pub u64);

/// The number is larger than any of a log.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an event's number is at most {MAX_SEQ}")]
pub struct SeqTooLarge;

impl TryFrom<u64> for Seq {
    type Error = SeqTooLarge;

    fn try_from(number: u64) -> Result<Self, SeqTooLarge> {
        if number <= MAX_SEQ { Ok(Self(number)) } else { Err(SeqTooLarge) }
    }
}

impl From<Seq> for u64 {
    fn from(seq: Seq) -> Self {
        seq.0
    }
}

impl Seq {
    /// The beginning of every log, before its first event.
    pub const START: Self = Self(0);

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
    fn is_start(&self) -> bool {
        *self == Self::START
    }
}

/// A membership: a member that leaves and returns has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

/// A number that a client gives to a request, to recognize the event that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// A member as events name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Author {
    /// The membership.
    pub member: MemberId,
    /// The name at that time, or the address of a member without one.
    pub name: Arc<str>,
    /// The fingerprint of the key that the member has proved to hold, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// `true` in a room with verified keys for a member without one: anyone may have written in
    /// their name.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unauthenticated: bool,
    /// `true` for a member whose key the host holds, such as one who uses a web page: readers have
    /// only the host's word that this member wrote what the key signed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub through_host: bool,
}

impl Author {
    /// Creates an author.
    #[must_use]
    pub fn new(member: MemberId, name: impl Into<Arc<str>>) -> Self {
        Self { member, name: name.into(), key: None, unauthenticated: false, through_host: false }
    }
}

/// An event of a room. Its texts are unchanged from their authors, and must be escaped when shown,
/// as [`crate::words`] does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The number in the room's log. `None` until the log has numbered it, and for an event for one
    /// member, which is not in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// The room.
    #[serde(default, skip_serializing_if = "RoomName::is_general")]
    pub room: RoomName,
    /// The number of the preceding event of the room, 0 before the first: a reader who has that
    /// event has missed nothing.
    #[serde(default, skip_serializing_if = "Seq::is_start")]
    pub prev: Seq,
    /// When it happened.
    pub at: Stamp,
    /// The member who caused it. `None` for an event of the room itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// The request that this answers: the author's, or the receiver's for an event of the room
    /// itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The author's id of a message. A log stores each id of a key once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// The signed form of a message. When it is sent, only this contains the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Event {
    /// Creates an event that is not in a log yet.
    #[must_use]
    pub fn new(at: Stamp, author: Option<Author>, request: Option<RequestId>, kind: Kind) -> Self {
        Self {
            seq: None,
            room: RoomName::general(),
            prev: Seq::START,
            at,
            author,
            request,
            id: None,
            sealed: None,
            kind,
        }
    }

    /// Returns `true` if the author is `member`.
    #[must_use]
    pub fn is_by(&self, member: MemberId) -> bool {
        self.author.as_ref().is_some_and(|author| author.member == member)
    }

    /// Returns `true` if the refusal of a message is final, so that it must not be sent again.
    #[must_use]
    pub fn refuses_message(&self) -> bool {
        // These are temporary: the message is sent again.
        let passes = |refusal: &Refusal| {
            matches!(refusal, Refusal::TooFast { .. } | Refusal::Busy | Refusal::NotStored { .. })
        };
        self.id.is_some() && matches!(&self.kind, Kind::Refused(refusal) if !passes(refusal))
    }

    /// Returns the event as it is published: only the envelope of a signed message contains its
    /// text.
    #[must_use]
    pub fn published(&self) -> Cow<'_, Self> {
        if self.sealed.is_none() {
            return Cow::Borrowed(self);
        }
        let kind = match &self.kind {
            Kind::Said { emote, .. } => Kind::Said { text: String::new(), emote: *emote },
            Kind::Whispered { to, to_key, .. } => {
                let (to, to_key) = (Arc::clone(to), to_key.clone());
                Kind::Whispered { to, to_key, text: String::new() }
            }
            _ => return Cow::Borrowed(self),
        };
        Cow::Owned(Self {
            seq: self.seq,
            room: self.room.clone(),
            prev: self.prev,
            at: self.at,
            author: self.author.clone(),
            request: self.request,
            id: self.id,
            sealed: self.sealed.clone(),
            kind,
        })
    }

    /// Returns the bytes of text and names, without what a form adds.
    pub(crate) fn weight(&self) -> usize {
        let text = |author: &Author| author.name.len() + author.key.as_ref().map_or(0, |k| k.len());
        let sealed = self.sealed.as_ref().map_or(0, Sealed::weight);
        self.author.as_ref().map_or(0, text) + sealed + self.kind.weight()
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
    /// The author has a new name.
    Renamed {
        /// The new name.
        name: Arc<str>,
    },
    /// The author sent a line to all.
    Said {
        /// The author's text.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// `true` if the text describes what the author does: `/me waves`.
        #[serde(default, skip_serializing_if = "is_false")]
        emote: bool,
    },
    /// The author whispered to one member. Only the two receive this event.
    Whispered {
        /// The name of the addressee.
        to: Arc<str>,
        /// The fingerprint of the addressee's key, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to_key: Option<Arc<str>>,
        /// The author's text.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// The author set the topic; an empty one removes it. Without an author: the current topic, as
    /// an answer.
    Topic {
        /// The topic.
        text: Arc<str>,
    },
    /// The delivery of one of the receiver's messages has progressed.
    Delivered {
        /// The number of the message. The event itself has none.
        #[serde(rename = "message")]
        seq: Seq,
        /// How many members have it.
        to: u32,
        /// How many members with connections were in the room when it was stored, without the
        /// author.
        of: u32,
    },
    /// Members who came to and left a large room since the last such event; they are not announced
    /// one by one.
    Presence {
        /// How many members there are.
        members: usize,
        /// Those who came.
        joined: Roll,
        /// Those who left.
        left: Roll,
    },
    /// The list of rooms, as an answer.
    Rooms {
        /// All rooms, as many as fit.
        rooms: Vec<RoomInfo>,
    },
    /// The list of bans, as an answer to an owner.
    Bans {
        /// Fingerprints of keys, and networks.
        bans: Vec<Arc<str>>,
    },
    /// A member was removed and may not return for a minute, as an answer to an owner.
    Kicked {
        /// The member's name.
        who: Arc<str>,
    },
    /// A ban was lifted, as an answer to an owner.
    Unbanned {
        /// The name, key or network that the owner wrote.
        who: Arc<str>,
    },
    /// Stored events follow, as an answer: the next `count` lines of the connection.
    Page {
        /// What they are.
        of: PageOf,
        /// How many lines follow.
        count: usize,
        /// `true` if there are older ones.
        more: bool,
    },
    /// The room closes.
    Closing,
    /// The receiver is a member.
    Greeted {
        /// The receiver, as the room names it.
        you: Author,
        /// The other members.
        others: Roll,
        /// The newest number of the log; the receiver gets all later events.
        head: Seq,
        /// The id of the log, for a receiver that may come back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<LogId>,
        /// `true` if events are stored on disk once the log has numbered them.
        #[serde(default, skip_serializing_if = "is_false")]
        durable: bool,
        /// The receiver's rooms.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rooms: Vec<RoomName>,
    },
    /// The members, as an answer.
    Members {
        /// All members, including the receiver.
        roll: Roll,
    },
    /// A member and their key, as an answer.
    Identified {
        /// The member.
        who: Author,
    },
    /// The commands, as an answer.
    Help,
    /// Earlier events that the receiver asked for are no longer stored.
    Missed,
    /// The request that this answers was handled before, and was not repeated.
    Repeated,
    /// The room refused the receiver's request.
    Refused(Refusal),
    /// An event unknown to this version.
    #[serde(other)]
    Unknown,
}

impl Kind {
    /// Creates a greeting of a room that keeps nothing.
    #[must_use]
    pub fn greeted(you: Author, others: Roll, head: Seq) -> Self {
        Self::Greeted { you, others, head, log: None, durable: false, rooms: Vec::new() }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Said { text, .. } => text.len(),
            Self::Whispered { to, text, .. } => to.len() + text.len(),
            Self::Topic { text } | Self::Renamed { name: text } => text.len(),
            Self::Identified { who } => who.name.len() + who.key.as_ref().map_or(0, |k| k.len()),
            Self::Greeted { you, others, .. } => you.name.len() + others.weight(),
            Self::Members { roll } => roll.weight(),
            Self::Presence { joined, left, .. } => joined.weight() + left.weight(),
            Self::Rooms { rooms } => {
                rooms.iter().map(|info| info.room.as_str().len() + info.topic.len() + 2).sum()
            }
            Self::Kicked { who } | Self::Unbanned { who } => who.len(),
            Self::Bans { bans } => bans.iter().map(|ban| ban.len() + 2).sum(),
            Self::Refused(refusal) => refusal.weight(),
            Self::Joined
            | Self::Left(_)
            | Self::Delivered { .. }
            | Self::Page { .. }
            | Self::Closing
            | Self::Help
            | Self::Missed
            | Self::Repeated
            | Self::Unknown => 0,
        }
    }
}

/// A room in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// Its name.
    pub room: RoomName,
    /// How many members it has now.
    pub members: usize,
    /// Its topic, if it has one.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub topic: Arc<str>,
}

/// What the events of a page are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PageOf {
    /// Earlier messages of the room.
    History,
    /// Search results.
    Found,
}

/// Why a member left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Departure {
    /// The member sent a farewell, or ended the association.
    Quit,
    /// Nothing was received for too long.
    Silent {
        /// How long, in milliseconds.
        millis: u64,
    },
    /// An owner removed the member.
    Kicked,
    /// An owner banned the member.
    Banned,
    /// A reason unknown to this version.
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
    /// Returns the number of members, named or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names.len().saturating_add(self.more)
    }

    fn weight(&self) -> usize {
        self.names.iter().map(|name| name.len() + 2).sum()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why the room refused a member's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The text is not a valid name.
    BadName {
        /// What is wrong with it.
        error: NameError,
    },
    /// Another member has the name.
    NameTaken {
        /// The name.
        name: Arc<str>,
        /// A similar name that is free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        free: Option<Arc<str>>,
    },
    /// Another member has the name that a newcomer asked for.
    NameReplaced {
        /// The name.
        name: Arc<str>,
        /// The newcomer's name instead.
        given: Arc<str>,
    },
    /// The name looks like another member's.
    NameConfusable {
        /// The name.
        name: Arc<str>,
        /// The name that it looks like.
        like: Arc<str>,
    },
    /// The room is full.
    Full,
    /// The member sends too fast; this request and further ones are dropped.
    TooFast {
        /// The permitted lines per second.
        rate: u32,
    },
    /// The room's own allowance is used up.
    Busy,
    /// The line is too long.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The longest line that is passed on.
        most: usize,
    },
    /// No member has this name.
    Nobody {
        /// The beginning of the name.
        name: String,
    },
    /// A whisper without text.
    NothingSaid,
    /// The message could not be stored, and nobody received it.
    NotStored {
        /// Why.
        because: String,
    },
    /// The signature does not match the message, or the message is for another chat.
    Forged,
    /// The text is not the name of a room.
    BadRoomName,
    /// The member is not in this room.
    NotInRoom,
    /// There are too many rooms, or the member is in too many.
    TooManyRooms,
    /// This chat stores nothing that could be searched.
    NoHistory,
    /// The command is for owners of the chat.
    NotAnOwner,
    /// The key or the address is banned.
    Banned,
    /// An owner has removed the member within the last minute.
    Kicked,
    /// The invite is not valid, or has been used.
    BadInvite,
    /// There is no such command.
    NoCommand {
        /// The beginning of the command.
        command: String,
    },
    /// A reason unknown to this version.
    #[serde(other)]
    Unknown,
}

impl Refusal {
    fn weight(&self) -> usize {
        match self {
            Self::NameTaken { name, free } => name.len() + free.as_ref().map_or(0, |f| f.len()),
            Self::NameConfusable { name, like: other }
            | Self::NameReplaced { name, given: other } => name.len() + other.len(),
            Self::Nobody { name: quoted }
            | Self::NoCommand { command: quoted }
            | Self::NotStored { because: quoted } => quoted.len(),
            Self::BadName { .. }
            | Self::Full
            | Self::TooFast { .. }
            | Self::Busy
            | Self::TooLong { .. }
            | Self::NothingSaid
            | Self::Forged
            | Self::BadRoomName
            | Self::NotInRoom
            | Self::TooManyRooms
            | Self::NoHistory
            | Self::NotAnOwner
            | Self::Banned
            | Self::Kicked
            | Self::BadInvite
            | Self::Unknown => 0,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
