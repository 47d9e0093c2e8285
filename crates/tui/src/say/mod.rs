//! The screen's own texts, in addition to the chat's sentences.

use hikyaku_chat::words::Language;
use hikyaku_text::columns as columns_of;
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
    /// The view is above the newest line, and so many lines have come meanwhile.
    Above { new: usize },
    /// The view shows the past, and so many lines have come meanwhile.
    Past { new: usize },
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
    /// Returns the sentence, or a brief one if it would be cut at so many columns.
    pub(crate) fn fitting(self, language: Language, columns: u16) -> String {
        let text = self.write(language);
        if columns_of(&text) <= usize::from(columns) {
            return text;
        }
        let brief = match language {
            Language::English => english::brief(self),
            Language::Japanese => japanese::brief(self),
        };
        brief.unwrap_or(text)
    }

    pub(crate) fn write(self, language: Language) -> String {
        match language {
            Language::English => english::write(self),
            Language::Japanese => japanese::write(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_one_row_is_whole_on_40_columns() {
        let (waiting, words, lines, bytes) =
            (1_000, "a search for many words, or 飛脚", 8_192, 65_536);
        let all = [
            Say::Joining,
            Say::Reconnecting { waiting: 0 },
            Say::Reconnecting { waiting },
            Say::Leaving { waiting: 0 },
            Say::Leaving { waiting },
            Say::Waiting { waiting },
            Say::Keys,
            Say::Above { new: 0 },
            Say::Above { new: 1_000 },
            Say::Past { new: 0 },
            Say::Past { new: 1_000 },
            Say::Searching { words },
            Say::Found { words, count: 0 },
            Say::Found { words, count: 200 },
            Say::Paste { lines, bytes, messages: 1 },
            Say::Paste { lines, bytes, messages: 5 },
        ];
        for language in [Language::English, Language::Japanese] {
            for say in all {
                let text = say.fitting(language, 40);
                assert!(columns_of(&text) <= 40, "{text}");
                assert_eq!(say.fitting(language, u16::MAX), say.write(language));
            }
        }
    }
}
