//! Rows for a person: a local time of day, and a sentence.

use std::sync::Arc;

use crate::{
    app::Shown,
    clock::{stamp, time_of_day, time_of_day_now},
    event::{Event, Kind, MemberId},
    member,
    plain::strip_stamp,
    time::Stamp,
    words::{Language, Sentence},
};

/// Returns the time of what a client says itself.
#[must_use]
pub fn now() -> Stamp {
    stamp()
}

/// A row of the screen, escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The time of day, `HH:MM:SS`.
    pub time: String,
    /// The sentence.
    pub sentence: Sentence,
}

impl Row {
    /// Returns the row for an item at the host, whose own messages appear among those of others.
    #[must_use]
    pub fn at_host(shown: &Shown, language: Language) -> Option<Self> {
        match shown {
            Shown::Event { event, .. } if matches!(event.kind, Kind::Said { .. }) => {
                let sentence = language.event(event, None)?;
                Some(Self { time: time_of_day(event.at), sentence })
            }
            _ => Self::of(shown, language),
        }
    }

    /// Returns the row for an item, or `None` if there is nothing to read.
    #[must_use]
    pub fn of(shown: &Shown, language: Language) -> Option<Self> {
        Some(match shown {
            Shown::Event { event, reader } => {
                let sentence = language.event(event, *reader)?;
                Self { time: time_of_day(event.at), sentence }
            }
            Shown::Notice(notice) => {
                Self { time: time_of_day_now(), sentence: language.notice(notice) }
            }
            Shown::Line(line) => match strip_stamp(line) {
                // The time in the brackets is the foreign program's.
                Some(text) => Self {
                    time: line.get(1..9).unwrap_or_default().to_owned(),
                    sentence: Sentence::Line(text.to_owned()),
                },
                None => Self { time: time_of_day_now(), sentence: Sentence::Line(line.clone()) },
            },
        })
    }
}

/// Recognises renames that a reader has already seen: a member in several rooms is renamed in each.
#[derive(Debug, Default)]
pub struct Renames {
    last: Option<(MemberId, Arc<str>, Arc<str>)>,
}

impl Renames {
    /// Returns `true` for a rename that repeats the last one in another room.
    pub fn is_repeated(&mut self, event: &Event) -> bool {
        let (Kind::Renamed { name }, Some(author)) = (&event.kind, &event.author) else {
            return false;
        };
        let this = Some((author.member, Arc::clone(&author.name), Arc::clone(name)));
        std::mem::replace(&mut self.last, this.clone()) == this
    }
}

impl Row {
    /// Returns the row for an item of a native chat, or `None` if there is nothing to read.
    #[must_use]
    pub fn of_member(shown: &member::Shown, language: Language) -> Option<Self> {
        let sentence = language.shown(shown)?;
        let time = match shown {
            member::Shown::Event(line) => time_of_day(line.event.at),
            member::Shown::State(_) | member::Shown::Rooms { .. } | member::Shown::Notice(_) => {
                time_of_day_now()
            }
        };
        Some(Self { time, sentence })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::plain::write(&self.time, &self.sentence))
    }
}
