//! Names of members, which cannot be mistaken for a line, an address or another member's name.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use hikyaku_text::{columns, folded, is_blank, is_safe, is_shapeless};
use serde::{Deserialize, Serialize};
use unicode_security::skeleton;

use crate::limits::{MAX_NAME_COLUMNS, MAX_NAME_LEN};

/// A name that may be shown before a line: 1 to 32 columns, without control or bidirectional
/// characters, and without anything that looks like an address, a time stamp, a notice, a private
/// message or the end of a name in a list.
///
/// Similar letters of different scripts (a Cyrillic `а` and a Latin `a`) are allowed in a name, but
/// not in two names that look alike: see `likeness`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Arc<str>);

/// Why a text is not a valid name. The messages follow "name refused: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NameError {
    /// It has no visible character.
    #[error("it is empty")]
    Empty,
    /// It is too wide, or has too many bytes.
    #[error("it is wider than {MAX_NAME_COLUMNS} columns")]
    TooLong,
    /// It contains a control, bidirectional or invisible character, or invalid UTF-8.
    #[error("it has an invisible character, or is not UTF-8")]
    Unseen,
    /// It contains a mark of an address, a time stamp, a private message or a list.
    #[error("it must not have `:`, `,`, `;`, `[`, `]`, `->` or anything that looks like them")]
    Mark,
    /// It begins like a command or a notice.
    #[error("it must not begin with `/`, `*`, `#` or anything that looks like them")]
    Start,
    /// It is a reserved word of the room.
    #[error("it looks like a message of the room itself")]
    Reserved,
    /// A reason that this version does not know.
    #[error("the room does not allow it")]
    #[serde(other)]
    Unknown,
}

impl Name {
    /// Parses `text` as a name. Runs of white space become one space; none stays at either end.
    ///
    /// # Errors
    /// When the text is misleading, too long or too short: see [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if !text.chars().all(|c| is_safe(c) && c != char::REPLACEMENT_CHARACTER) {
            return Err(NameError::Unseen);
        }
        // Avoid work on a text that is far too long.
        if text.len() > 2 * MAX_NAME_LEN {
            return Err(NameError::TooLong);
        }
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.chars().all(|c| is_blank(c) || is_shapeless(c)) {
            return Err(NameError::Empty);
        }
        if columns(&name) > MAX_NAME_COLUMNS || name.len() > MAX_NAME_LEN {
            return Err(NameError::TooLong);
        }
        if name.contains(is_mark) || name.contains("->") {
            return Err(NameError::Mark);
        }
        if name.starts_with(is_start) {
            return Err(NameError::Start);
        }
        if RESERVED_LIKENESSES.contains(&likeness(&name)) {
            return Err(NameError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a name like this one with `number` at its end, shortened if necessary.
    pub(crate) fn numbered(&self, number: u32) -> Option<Self> {
        let mut stem = &*self.0;
        while let Some((last, _)) = stem.char_indices().next_back() {
            match Self::parse(&format!("{}-{number}", stem.trim_end())) {
                Err(NameError::TooLong) => stem = &stem[..last],
                numbered => return numbered.ok(),
            }
        }
        None
    }

    /// Returns the name as shared text, without a copy.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reserved words: names of the room or of programs on the path, and addressees of private
/// messages, in each language of the [`crate::words`].
const RESERVED: [&str; 12] = [
    "server",
    "system",
    "notice",
    "room",
    "you",
    "everyone",
    "サーバー",
    "システム",
    "お知らせ",
    "ルーム",
    "あなた",
    "全員",
];

/// The [`likeness`] of each. A search for a free name looks at a hundred names.
static RESERVED_LIKENESSES: LazyLock<[String; RESERVED.len()]> =
    LazyLock::new(|| RESERVED.map(likeness));

/// Returns `true` for punctuation of a line's form, or a character that resembles it.
fn is_mark(c: char) -> bool {
    matches!(c, ':' | ',' | ';' | '[' | ']')
        || matches!(
            c,
            '\u{ff1a}' | '\u{2236}' | '\u{a789}' | '\u{fe55}' | '\u{fe13}' | '\u{2f8}' // colons
            | '\u{ff0c}' | '\u{fe50}' | '\u{201a}' | '\u{ff1b}' | '\u{37e}' | '\u{fe54}' // commas
            | '\u{ff3b}' | '\u{ff3d}' | '\u{2192}' | '\u{27f6}' // brackets, arrows
        )
}

/// Returns `true` for the first characters of commands, notices and rooms, or ones that resemble
/// them.
fn is_start(c: char) -> bool {
    matches!(c, '#' | '\u{ff03}' | '\u{fe5f}' | '\u{266f}') // number signs
        || matches!(c, '/' | '\u{ff0f}' | '\u{2215}' | '\u{2044}' | '\u{29f8}') // slashes
        || matches!(
            c,
            '*' | '\u{2217}' | '\u{ff0a}' | '\u{204e}' | '\u{fe61}' | '\u{66d}' | '\u{2731}'
                | '\u{2732}' | '\u{273b}' | '\u{2a2f}' | '\u{22c6}' | '\u{a673}' // asterisks
        )
}

/// Returns a form that two names share if people could confuse them: the skeleton of UTS #39
/// without case, widths and characters that have no shape of their own.
///
/// The likeness of a likeness is itself.
pub(crate) fn likeness(name: &str) -> String {
    let shapes: String = name.chars().filter(|c| !is_shapeless(*c)).collect();
    let folded = folded(&shapes);
    // A capital `I` looks like `l` and is an `i` in the other case, so that all three are alike.
    let alike = |c| if c == 'i' { 'l' } else { c };
    skeleton(&folded).flat_map(char::to_lowercase).map(alike).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> NameError {
        Name::parse(text).unwrap_err()
    }

    #[test]
    fn inner_spaces_collapse() {
        assert_eq!(Name::parse("  alice \u{3000} b. ").unwrap().as_str(), "alice b.");
    }

    #[test]
    fn invisible_text_is_not_a_name() {
        for text in ["", "   ", "\u{200d}\u{fe0f}", "\u{2800}"] {
            assert_eq!(refusal(text), NameError::Empty, "{text:?}");
        }
    }

    #[test]
    fn a_number_is_added_and_the_name_stays_within_its_bound() {
        let numbered = |text: &str, n| Name::parse(text).unwrap().numbered(n).unwrap().to_string();
        assert_eq!(numbered("alice", 2), "alice-2");
        assert_eq!(numbered(&"a".repeat(32), 10), format!("{}-10", "a".repeat(29)));
        assert_eq!(numbered(&"飛".repeat(16), 2), format!("{}-2", "飛".repeat(15)));
    }

    #[test]
    fn width_counts_columns_not_characters() {
        assert!(Name::parse(&"a".repeat(32)).is_ok());
        assert_eq!(refusal(&"a".repeat(33)), NameError::TooLong);
        assert!(Name::parse(&"飛".repeat(16)).is_ok());
        assert_eq!(refusal(&"飛".repeat(17)), NameError::TooLong);
    }

    #[test]
    fn marks_without_width_are_bounded_too() {
        assert_eq!(refusal(&format!("a{}", "\u{301}".repeat(100))), NameError::TooLong);
    }

    #[test]
    fn the_unseen_is_refused() {
        for text in ["a\nb", "a\u{202e}b", "a\x1b", "a\u{200b}", "a\u{fffd}", "a\tb"] {
            assert_eq!(refusal(text), NameError::Unseen, "{text:?}");
        }
    }

    #[test]
    fn no_name_looks_like_an_address_a_stamp_or_a_private_message() {
        for text in ["1.2.3.4:5", "[::1", "1]", "bob -> you"] {
            assert_eq!(refusal(text), NameError::Mark, "{text:?}");
        }
    }

    #[test]
    fn no_name_looks_like_several() {
        for text in ["alice, bob", "alice; here: bob"] {
            assert_eq!(refusal(text), NameError::Mark, "{text:?}");
        }
    }

    #[test]
    fn no_name_begins_as_a_command_or_a_notice() {
        assert_eq!(refusal("/who"), NameError::Start);
        assert_eq!(refusal(" * bob joined"), NameError::Start);
    }

    #[test]
    fn no_name_reads_as_a_notice_by_characters_that_look_alike() {
        for text in ["∗ bob joined", "＊ bob left", "⁎ bob", "\u{fe61} bob", "／who", "⁄nick"]
        {
            assert_eq!(refusal(text), NameError::Start, "{text:?}");
        }
        for text in ["alice： hi", "bob → you", "［12:00］", "alice，bob", "a∶b"] {
            assert_eq!(refusal(text), NameError::Mark, "{text:?}");
        }
        for text in ["server", "SERVER", "se\u{200d}rver", "You", "Room"] {
            assert_eq!(refusal(text), NameError::Reserved, "{text:?}");
        }
        for text in ["あなた", "システム"] {
            assert_eq!(refusal(text), NameError::Reserved, "{text:?}");
        }
        for text in ["servers", "observer", "飛脚", "mushroom", "bob*"] {
            assert!(Name::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn likeness_sees_through_case_and_joiners() {
        assert_eq!(likeness("ÄLICE"), likeness("äli\u{200d}ce\u{fe0f}"));
        assert_ne!(likeness("alice"), likeness("alicia"));
    }

    #[test]
    fn likeness_sees_through_letters_of_other_scripts() {
        for (one, other) in [
            ("paypal", "раураl"),
            ("scope", "ѕсоре"),
            ("alice", "aIice"),
            ("Ilona", "llona"),
            ("ILL", "lll"),
            ("Will", "WiII"),
            ("bob", "b0b"),
            ("modem", "modern"),
            ("飛脚", "⾶脚"),
            ("hana", "ＨＡＮＡ"),
            ("バナナ", "ﾊﾞﾅﾅ"),
        ] {
            assert_eq!(likeness(one), likeness(other), "{one} {other}");
        }
        for (one, other) in [("n1", "n2"), ("иван", "иванка"), ("tea", "茶"), ("シ", "ツ")]
        {
            assert_ne!(likeness(one), likeness(other), "{one} {other}");
        }
    }
}
