//! Sentences about events, in the reader's language: the one place where they are made.
//!
//! A language is a room of its own with a match over everything that can happen, so that the
//! compiler names what a translation lacks. Whatever comes from others is escaped here.

use hikyaku_text::{collapse_blanks, sanitize};

use crate::{
    app::Notice,
    event::{Event, MemberId},
};

mod english;

#[cfg(test)]
mod tests;

/// A language that sentences are made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Language {
    /// English.
    #[default]
    English,
}

/// What a person reads of an event. It is one line, escaped, and holds no runs of blanks, so that
/// no text fills a row of the screen to begin another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sentence {
    /// Somebody speaks.
    Speech {
        /// Who, and to whom where it is a whisper.
        speaker: String,
        /// The words.
        text: String,
    },
    /// The room or the client reports something.
    Notice(String),
    /// A line of a program that is no room, as it came.
    Line(String),
}

impl Sentence {
    fn speech(speaker: &str, text: &str) -> Self {
        Self::Speech { speaker: sanitize(speaker).into_owned(), text: one_line(text) }
    }

    fn notice(text: &str) -> Self {
        Self::Notice(one_line(text))
    }
}

fn one_line(text: &str) -> String {
    collapse_blanks(sanitize(text)).into_owned()
}

impl Language {
    /// Returns what `reader` reads of an event; `None` where there is nothing to read, as of what
    /// they said themselves.
    #[must_use]
    pub fn event(self, event: &Event, reader: Option<MemberId>) -> Option<Sentence> {
        match self {
            Self::English => english::event(event, reader),
        }
    }

    /// Returns what the user of a client reads of something that the client reports.
    #[must_use]
    pub fn notice(self, notice: &Notice) -> Sentence {
        match self {
            Self::English => Sentence::notice(&english::notice(notice)),
        }
    }
}
