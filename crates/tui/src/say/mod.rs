//! What the screen itself says, beside the chat's sentences.

use hikyaku_chat::words::Language;
use jiff::civil::Date;

mod english;
mod japanese;

/// Something that the screen says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Say<'a> {
    /// No connection has been there yet.
    Joining,
    /// The connection is lost, and so many messages wait.
    Reconnecting { waiting: usize },
    /// The chat is being left, and so many messages wait.
    Leaving { waiting: usize },
    /// So many messages wait.
    Waiting { waiting: usize },
    /// Keys that help.
    Keys,
    /// The view is above the newest line.
    Above,
    /// The view is of the past.
    Past,
    /// A search is not answered yet.
    Searching { words: &'a str },
    /// What a search has found.
    Found { words: &'a str, count: usize },
    /// The question whether a pasted text is sent.
    Paste { lines: usize, bytes: usize, messages: usize },
    /// A pasted text was cut.
    PasteCut { bytes: usize },
    /// An entry could not be handed in.
    Full,
    /// Commands of the screen.
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
