//! Sentences about events, in the reader's language. They are formed only here.
//!
//! This module decides what is said. Each language is a module that matches everything that can
//! happen, so that the compiler finds missing translations. All text from others is escaped here.

use hikyaku_text::{collapse_blanks, sanitize};

use crate::{
    app,
    event::{Author, Departure, Event, Kind, MemberId},
    member,
    name::NameError,
};

mod english;
mod japanese;
mod locale;

#[cfg(test)]
mod tests;

/// A language for sentences. It is exhaustive, so that the compiler also finds what a translation
/// of another crate lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Japanese.
    Japanese,
}

/// The text of an event. It is one line, escaped, and without runs of blanks, so that no text can
/// fill a row of the screen and forge the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sentence {
    /// A member's message.
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

    /// Names the room, where that is not the usual one. No name of a member begins with `#`.
    fn in_room(self, event: &Event) -> Self {
        let is_of_chat = matches!(
            event.kind,
            Kind::Rooms { .. } | Kind::Greeted { .. } | Kind::Renamed { .. } | Kind::Closing
        );
        if event.room.is_general() || is_of_chat {
            return self;
        }
        let room = &event.room;
        match self {
            Self::Speech { speaker, text } => {
                Self::Speech { speaker: format!("{room} {speaker}"), text }
            }
            Self::Notice(text) => Self::Notice(format!("{room} {text}")),
            other @ Self::Line(_) => other,
        }
    }
}

fn one_line(text: &str) -> String {
    collapse_blanks(sanitize(text)).into_owned()
}

impl Language {
    /// Returns what `reader` reads of an event, or `None` for nothing, as for their own messages.
    #[must_use]
    pub fn event(self, event: &Event, reader: Option<MemberId>) -> Option<Sentence> {
        let is_mine = reader.is_some_and(|reader| event.is_by(reader));
        if is_mine && matches!(event.kind, Kind::Said { .. } | Kind::Joined) {
            return None;
        }
        Some(self.sentence(event, is_mine)?.in_room(event))
    }

    /// Returns what a member of a native chat reads of an item, or `None` for nothing.
    #[must_use]
    pub fn shown(self, shown: &member::Shown) -> Option<Sentence> {
        match shown {
            member::Shown::Event(line) => self.line(line),
            member::Shown::Notice(notice) => Some(Sentence::notice(&match self {
                Self::English => english::members_notice(notice),
                Self::Japanese => japanese::members_notice(notice),
            })),
            member::Shown::State(_) | member::Shown::Rooms { .. } => None,
        }
    }

    /// Returns the text of a client's notice.
    #[must_use]
    pub fn notice(self, notice: &app::Notice) -> Sentence {
        Sentence::notice(&match self {
            Self::English => english::notice(notice),
            Self::Japanese => japanese::notice(notice),
        })
    }

    /// Returns why a text is not a valid name.
    #[must_use]
    pub fn name_error(self, error: NameError) -> String {
        match self {
            Self::English => error.to_string(),
            Self::Japanese => japanese::name_error(error),
        }
    }

    /// Returns the text that so many of the members have a message.
    #[must_use]
    pub fn delivered(self, to: u32, of: u32) -> String {
        match self {
            Self::English => english::delivered(to, of),
            Self::Japanese => japanese::delivered(to, of),
        }
    }

    /// Returns the text that everything that waited for the host is sent.
    #[must_use]
    pub const fn all_sent(self) -> &'static str {
        match self {
            Self::English => english::ALL_SENT,
            Self::Japanese => japanese::ALL_SENT,
        }
    }

    fn line(self, line: &member::Line) -> Option<Sentence> {
        Some(self.in_its_room(line)?.in_room(&line.event))
    }

    /// Returns what a member of a native chat reads of a line, also of their own, on a screen that
    /// shows which room it is in. `None` for nothing.
    #[must_use]
    pub fn in_its_room(self, line: &member::Line) -> Option<Sentence> {
        let event = &line.event;
        let is_mine = line.reader.is_some_and(|reader| event.is_by(reader));
        Some(match &event.kind {
            Kind::Said { text, .. } | Kind::Whispered { text, .. } if line.context.forged => {
                self.forged(event, text)
            }
            Kind::Said { .. } => self.sentence(event, false)?,
            // Also those of the last time, and of another device.
            Kind::Joined | Kind::Left(Departure::Quit | Departure::Silent { .. })
                if line.is_mine =>
            {
                return None;
            }
            Kind::Joined if is_mine => return None,
            _ => self.sentence(event, is_mine)?,
        })
    }

    /// Members who have proved no key among those who have, and those whose key the host holds, are
    /// marked at each mention.
    fn author(self, author: &Author) -> String {
        match (self, author.unauthenticated, author.through_host) {
            (Self::English, true, _) => english::unauthenticated(&author.name),
            (Self::English, false, true) => english::through_host(&author.name),
            (Self::Japanese, true, _) => japanese::unauthenticated(&author.name),
            (Self::Japanese, false, true) => japanese::through_host(&author.name),
            (_, false, false) => author.name.to_string(),
        }
    }

    fn sentence(self, event: &Event, is_mine: bool) -> Option<Sentence> {
        let name = event.author.as_ref().map(|author| self.author(author));
        let name = name.as_deref();
        let room = match self {
            Self::English => english::THE_ROOM,
            Self::Japanese => japanese::THE_ROOM,
        };
        let speaker = name.unwrap_or(room);
        let you = match self {
            Self::English => english::YOU,
            Self::Japanese => japanese::YOU,
        };
        Some(match &event.kind {
            // No notice reads so: a name has no colon, and nobody can forge one by a deed.
            Kind::Said { text, emote: true } => Sentence::speech(&format!("* {speaker}"), text),
            Kind::Said { text, emote: false } => Sentence::speech(speaker, text),
            Kind::Whispered { to, text, .. } if is_mine => {
                Sentence::speech(&format!("{you} -> {to}"), text)
            }
            Kind::Whispered { text, .. } => Sentence::speech(&format!("{speaker} -> {you}"), text),
            kind => Sentence::notice(&match self {
                Self::English => english::event(kind, name)?,
                Self::Japanese => japanese::event(kind, name)?,
            }),
        })
    }

    fn forged(self, event: &Event, text: &str) -> Sentence {
        let name = event.author.as_ref().map(|author| &*author.name);
        Sentence::notice(&match self {
            Self::English => english::forged(name.unwrap_or(english::THE_ROOM), text),
            Self::Japanese => japanese::forged(name.unwrap_or(japanese::THE_ROOM), text),
        })
    }
}
