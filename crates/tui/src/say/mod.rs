//! The screen's own texts, in addition to the chat's sentences.

use hikyaku_chat::words::Language;
use jiff::civil::Date;

mod english;
mod japanese;

/// A text of the screen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Say<'a> {
    /// There has been no connection yet.
    Joining,
    /// The connection is lost, and this many messages wait.
    Reconnecting { waiting: usize },
    /// The user is leaving the chat, and this many messages wait.
    Leaving { waiting: usize },
    /// This many messages wait.
    Waiting { waiting: usize },
    /// A reminder of useful keys.
    Keys,
    /// The view is above the newest line.
    Above,
    /// The view shows the past.
    Past,
    /// A search is not answered yet.
    Searching { words: &'a str },
    /// The results of a search.
    Found { words: &'a str, count: usize },
    /// The question whether to send a pasted text.
    Paste { lines: usize, bytes: usize, messages: usize },
    /// A pasted text was cut.
    PasteCut { bytes: usize },
    /// An entry was not accepted.
    Full,
    /// The commands of the screen.
    Help,
    /// A day begins.
    Day(Date),
    /// How far a message has got.
    Refused,
}

impl Say<'_> {
    pub(crate) fn write(self, language: Language) -> String {
        match language {
            Language::English => english::write(self),
            Language::Japanese => japanese::write(self),
        }
    }
}
