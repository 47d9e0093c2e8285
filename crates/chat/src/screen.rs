//! What a person sees: a time of day here, and a sentence.

use crate::{
    app::Shown,
    clock::{time_of_day, time_of_day_now},
    plain::strip_stamp,
    words::{Language, Sentence},
};

/// A row of the screen. It is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The time of day, `HH:MM:SS`.
    pub time: String,
    /// What is to be read.
    pub sentence: Sentence,
}

impl Row {
    /// Returns the row for something that is to be shown; `None` where there is nothing to read.
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
                // Its program's time stands between the brackets.
                Some(text) => Self {
                    time: line.get(1..9).unwrap_or_default().to_owned(),
                    sentence: Sentence::Line(text.to_owned()),
                },
                None => Self { time: time_of_day_now(), sentence: Sentence::Line(line.clone()) },
            },
        })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::plain::write(&self.time, &self.sentence))
    }
}
