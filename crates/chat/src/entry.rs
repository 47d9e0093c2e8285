//! Input from a person at a keyboard.

use std::borrow::Cow;

use crate::{event::Seq, room_name::RoomName};

/// Something that a person has entered, or requested with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A line as typed: a message or a command.
    Line(String),
    /// A message of one or several lines, such as pasted text. It is never parsed as a command.
    Text(String),
    /// A request for the messages of a room before an event, or for the most recent ones.
    Older {
        /// The room.
        room: RoomName,
        /// The event.
        before: Option<Seq>,
    },
    /// A question for the topic of a room.
    Topic(RoomName),
}

impl Entry {
    /// Returns `true` if it is a line or a text that is not blank.
    #[must_use]
    pub fn has_text(&self) -> bool {
        match self {
            Self::Line(text) | Self::Text(text) => !text.trim().is_empty(),
            Self::Older { .. } | Self::Topic(_) => false,
        }
    }
}

/// Returns a typed line with its slash, the word after it and the space behind that as ASCII, as
/// commands are written: an active input method produces full-width characters instead. The text of
/// a line stays unchanged.
#[must_use]
pub fn narrowed(line: &str) -> Cow<'_, str> {
    let ideographic_space = '\u{3000}';
    let is_slash = |c: Option<char>| matches!(c, Some('/' | '／'));
    let mut chars = line.chars();
    let first = chars.next();
    let text = chars.as_str();
    let second = chars.next();
    // The first character only says that text follows.
    let is_escape = is_slash(first) || first == Some(' ') || first == Some(ideographic_space);
    if is_escape && is_slash(second) {
        let escape = if is_slash(first) { "//" } else { " /" };
        return match line.starts_with(escape) {
            true => line.into(),
            false => (escape.to_owned() + chars.as_str()).into(),
        };
    }
    if !is_slash(first) {
        return line.into();
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if first == Some('/') && word.is_ascii() && !rest.starts_with(ideographic_space) {
        return line.into();
    }
    let space = if rest.is_empty() { "" } else { " " };
    let word = word.chars().map(half_width).collect::<String>();
    ["/", &word, space, rest.trim_start()].concat().into()
}

/// The ASCII character of which this is the full-width form (U+FF01 to U+FF5E), or itself.
fn half_width(c: char) -> char {
    let code = u32::from(c);
    let ascii = ('！'..='～').contains(&c).then(|| code - u32::from('！') + u32::from('!'));
    ascii.and_then(char::from_u32).unwrap_or(c)
}

impl From<String> for Entry {
    fn from(line: String) -> Self {
        Self::Line(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_width_command_is_recognised_and_text_stays_unchanged() {
        for (typed, is) in [
            ("／ｍｓｇ　花子　ひみつ", "/msg 花子　ひみつ"),
            ("/msg　花子 ／Ａ", "/msg 花子 ／Ａ"),
            ("／ＷＨＯ", "/WHO"),
            ("／／ｅｔｃ", "//ｅｔｃ"),
            ("//ｅｔｃ", "//ｅｔｃ"),
            ("　／ｅｔｃ", " /ｅｔｃ"),
            ("/me  waves", "/me  waves"),
            ("ａ／ｂ　ｃ", "ａ／ｂ　ｃ"),
            ("", ""),
        ] {
            assert_eq!(narrowed(typed), is, "{typed}");
        }
    }
}
