//! The command's texts for people, in their language.
//!
//! Each language is a module that matches every text, so that the compiler finds missing
//! translations. Option names, commands and error texts of libraries are not translated.

use std::fmt::{self, Display};

use hikyaku_chat::words::Language;

use crate::language::language;

/// Gives sentences their text in each language: a function of that name in its module.
macro_rules! said {
    ($sentence:ty, $function:ident) => {
        impl $sentence {
            /// Returns the sentence. It is not escaped.
            pub(crate) fn text(self) -> String {
                self.text_in(language())
            }

            pub(in crate::words) fn text_in(self, language: Language) -> String {
                match language {
                    Language::English => english::$function(self),
                    Language::Japanese => japanese::$function(self),
                }
            }
        }
    };
}

mod english;
mod errors;
pub(crate) mod help;
mod hosting;
mod japanese;
mod refused;
mod transfer;

pub(crate) use errors::{InWords, reason, refusal_reason, refused_line};
pub(crate) use hosting::{Page, Storage, Undelivered};
pub(crate) use refused::{Dropped, Mismatch, of_dialect};
pub(crate) use transfer::{
    Datagram, KeyNews, Listener, Much, Outcome, Pinged, Sender, Shortfall, Verb,
};

#[cfg(test)]
mod tests;

type Shown<'a> = &'a dyn Display;

/// A fixed text in each language, where it is said: why options do not fit, what to try instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Both(pub(crate) &'static str, pub(crate) &'static str);

impl Both {
    pub(crate) fn text(self) -> &'static str {
        match language() {
            Language::English => self.0,
            Language::Japanese => self.1,
        }
    }
}

impl Display for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Formats a text that is said in one place: first in English, then in Japanese, then the arguments
/// of both.
macro_rules! say {
    ($english:literal, $japanese:literal $(, $argument:expr)* $(,)?) => {
        match $crate::language::language() {
            hikyaku_chat::words::Language::English => format!($english $(, $argument)*),
            hikyaku_chat::words::Language::Japanese => format!($japanese $(, $argument)*),
        }
    };
}

/// Texts about rooms: where they are, and how others join.
#[derive(Clone, Copy)]
pub(crate) enum Rooms<'a> {
    // Where a host is, and how others join.
    HostKey(Shown<'a>),
    Listening(Shown<'a>),
    ListeningFor(Shown<'a>, &'a str),
    JoinWith(Shown<'a>),
    InviteForOne(Shown<'a>),
    InviteWithSharedKey(Shown<'a>),
    InviteWithHostKey(Shown<'a>),
    PlainDoorIsOpen,
    OtherDoorsNeedNoInvite,
    PlainChat,
    PortTaken(u16),
    OtherPort(Shown<'a>),

    // Rooms on the local network.
    Looking,
    Joining(Shown<'a>),
    JoiningInstead(Shown<'a>),
    IsJoined(Shown<'a>),
    Announced(Shown<'a>),
    NotAnnounced(Shown<'a>),
    CannotSearch(Shown<'a>),
    NothingFound,
    RoomHasNoSharedKey(Shown<'a>),
    RoomNeedsSharedKey(Shown<'a>),
    SeveralFound(usize, Shown<'a>),
    WhichOne,
    WhichOneOrNone,
    NoneOfThem(&'a str),
    SeveralOfThem(&'a str),
    NotFoundYet(&'a str, &'a str),
    NotFound(&'a str),
    NotFoundNorAddress(&'a str, Shown<'a>),
}

/// Texts about a member: its name and key, and what happens to typed lines.
#[derive(Clone, Copy)]
pub(crate) enum Member<'a> {
    // Who is who.
    NoLoginName(Shown<'a>),
    MadeKey(Shown<'a>, Shown<'a>),
    FirstContact { who: Shown<'a>, key: Shown<'a>, file: Shown<'a> },
    FirstContactFound { who: Shown<'a>, key: Shown<'a>, file: Shown<'a>, name: &'a str },

    // What happens to typed lines.
    NotAnsweringYet(Shown<'a>),
    NotThereYet(Shown<'a>, &'a str),
    Interrupted,
    LateLines(usize),
    RejectedLines(usize),
    Unanswered(usize),
    NotPrinted(u64),
    UnsentKept(usize),
    Unsent(usize),
    NotConfirmed(Shown<'a>),
    ChatGone(Shown<'a>),
    NotJoined(Shown<'a>),
}

/// Texts about a peer without a connection.
#[derive(Clone, Copy)]
pub(crate) enum Peer<'a> {
    NoAnswer(Shown<'a>, &'a str),
    KeyNotAccepted(Shown<'a>, &'a str),
    OtherSharedKey(Shown<'a>),
    Refused(Shown<'a>, Shown<'a>),
    NothingListens(Shown<'a>, Shown<'a>, &'a str),
    Unreachable(Shown<'a>, Shown<'a>),
    KeyChanged {
        who: Shown<'a>,
        old: Shown<'a>,
        new: Shown<'a>,
        line: Shown<'a>,
        remedy: Shown<'a>,
    },
    KeyNotPinned(Shown<'a>, Shown<'a>),
    KeyNotAnnounced {
        who: Shown<'a>,
        offered: Shown<'a>,
        announced: Shown<'a>,
    },
    KeyNotInvited {
        offered: Shown<'a>,
        invited: Shown<'a>,
    },
    KeyRevoked(Shown<'a>, Shown<'a>),
    Silent(Shown<'a>, Shown<'a>),
    Forgotten(Shown<'a>),
    Closed(Shown<'a>),
    ClosedBecause(Shown<'a>, Shown<'a>),
}

said!(Rooms<'_>, rooms);
said!(Member<'_>, member);
said!(Peer<'_>, peer);

/// Returns two sentences as one text.
pub(crate) fn joined(first: &str, second: &str) -> String {
    match language() {
        Language::English => format!("{first}; {second}"),
        Language::Japanese => format!("{first}。{second}"),
    }
}
