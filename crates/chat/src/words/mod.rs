//! Sentences about events, in the reader's language. They are made only here.
//!
//! A language is a module with a match over everything that can happen, so that the compiler finds
//! what a translation lacks. All text of others is escaped here.

use hikyaku_text::{collapse_blanks, sanitize};

use crate::{
    app::Notice,
    event::{Event, MemberId},
    member,
};

mod english;

#[cfg(test)]
mod tests;

/// A language for sentences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Language {
    /// English.
    #[default]
    English,
}

/// The text of an event. It is one line, escaped, and without runs of blanks, so that no text can
/// fill a row of the screen to forge another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sentence {
    /// A member's words.
    Speech {
        /// The speaker, and the addressee of a whisper.
        speaker: String,
        /// The words.
        text: String,
    },
    /// A notice of the room or the client.
    Notice(String),
    /// A line of a program that is not a room, unchanged.
    Line(String),
}

impl Sentence {
    fn speech(speaker: &str, text: &str) -> Self {
        Self::Speech { speaker: sanitize(speaker).into_owned(), text: one_line(text) }
    }

    /// Returns the words, without their speaker.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Speech { text, .. } | Self::Notice(text) | Self::Line(text) => text,
        }
    }

    fn notice(text: &str) -> Self {
        Self::Notice(one_line(text))
    }
}

fn one_line(text: &str) -> String {
    collapse_blanks(sanitize(text)).into_owned()
}

impl Language {
    /// Returns what `reader` reads of an event, or `None` for nothing, as for their own words.
    /// they said themselves.
    #[must_use]
    pub fn event(self, event: &Event, reader: Option<MemberId>) -> Option<Sentence> {
        match self {
            Self::English => english::event(event, reader),
        }
    }

    /// Returns what a member of a native chat reads of an item, or `None` for nothing.
    #[must_use]
    pub fn shown(self, shown: &member::Shown) -> Option<Sentence> {
        match (self, shown) {
            (Self::English, member::Shown::Event(line)) => english::line(line),
            (Self::English, member::Shown::Notice(notice)) => {
                Some(Sentence::notice(&english::members_notice(notice)))
            }
            (_, member::Shown::State(_)) => None,
        }
    }

    /// Returns the text of a client's notice.
    #[must_use]
    pub fn notice(self, notice: &Notice) -> Sentence {
        match self {
            Self::English => Sentence::notice(&english::notice(notice)),
        }
    }
}
