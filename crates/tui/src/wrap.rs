//! Text width, and where lines break.

use std::ops::Range;

use unicode_linebreak::linebreaks;
use unicode_segmentation::UnicodeSegmentation as _;

/// Returns the width of a text on a terminal that draws one character after the other: an emoji
/// sequence is one character.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true).map(hikyaku_text::columns).sum()
}

/// Returns the longest prefix of a text that fits in this many columns.
pub(crate) fn cut(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, character) in text.grapheme_indices(true) {
        used += hikyaku_text::columns(character);
        if used > columns {
            return &text[..at];
        }
    }
    text
}

/// Breaks a text without line feeds into rows: the first has `first` columns, the others `rest`.
/// Lines break where UAX #14 allows it, so that no row begins with 。 or ends with 「; a word that is
/// longer than a row breaks between characters.
pub(crate) fn wrap(text: &str, first: usize, rest: usize) -> Vec<Range<usize>> {
    let mut rows =
        Rows { rows: Vec::new(), start: 0, used: 0, room: first.max(2), rest: rest.max(2) };
    let mut end = 0;
    for (at, _) in linebreaks(text) {
        // `/help` keeps its slash.
        let is_in_command = at < text.len() && is_in_command(&text[..at]);
        let at = if is_in_command { at - 1 } else { at };
        let piece = &text[end..at];
        // Blanks at the end of a row need no space.
        let needed = width(piece.trim_end());
        if rows.used + needed > rows.room {
            rows.break_at(end);
        }
        if needed > rows.room {
            rows.split(piece, end);
        } else {
            rows.used += width(piece);
        }
        end = at;
    }
    rows.rows.push(rows.start..text.len());
    rows.rows
}

struct Rows {
    rows: Vec<Range<usize>>,
    start: usize,
    used: usize,
    room: usize,
    rest: usize,
}

impl Rows {
    fn break_at(&mut self, at: usize) {
        if at > self.start {
            self.rows.push(self.start..at);
            (self.start, self.used, self.room) = (at, 0, self.rest);
        }
    }

    fn split(&mut self, piece: &str, begin: usize) {
        let visible = piece.trim_end();
        for (at, character) in visible.grapheme_indices(true) {
            let columns = hikyaku_text::columns(character);
            if self.used + columns > self.room {
                self.break_at(begin + at);
            }
            self.used += columns;
        }
        self.used += width(&piece[visible.len()..]);
    }
}

/// Returns `true` if a text ends with a slash that begins a word.
fn is_in_command(before: &str) -> bool {
    let word = before.strip_suffix('/');
    word.is_some_and(|before| before.chars().next_back().is_none_or(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str, columns: usize) -> Vec<&str> {
        wrap(text, columns, columns).into_iter().map(|row| text[row].trim_end()).collect()
    }

    #[test]
    fn words_stay_whole_and_long_ones_break() {
        assert_eq!(rows("tea is ready", 7), ["tea is", "ready"]);
        assert_eq!(rows("a teapotteapot b", 6), ["a", "teapot", "teapot", "b"]);
        assert_eq!(rows("", 6), [""]);
        assert_eq!(rows("try /help or a/b", 7), ["try", "/help", "or a/b"]);
    }

    #[test]
    fn no_row_begins_with_a_full_stop_or_ends_with_an_opening_bracket() {
        assert_eq!(rows("お茶です。はい", 8), ["お茶で", "す。はい"]);
        assert_eq!(rows("これは「茶」です", 8), ["これは", "「茶」で", "す"]);
        assert_eq!(rows("やった、よし", 6), ["やっ", "た、よ", "し"]);
    }

    #[test]
    fn an_emoji_sequence_is_one_wide_character() {
        let family = "👩\u{200d}👩\u{200d}👧\u{200d}👦";
        assert_eq!(width(family), 2);
        assert_eq!(rows(&family.repeat(3), 4), [family.repeat(2), family.to_owned()]);
        assert_eq!(cut(&family.repeat(3), 5), family.repeat(2));
        assert_eq!(width("か\u{3099}"), 2);
    }

    proptest! {
        #[test]
        fn every_text_is_in_its_rows_and_no_row_is_too_wide(
            text in "[a-c/ 日。「」ー👩\u{200d}\u{fe0f}か\u{3099}\u{0301}-]{0,40}",
            first in 0_usize..20,
            rest in 0_usize..20,
        ) {
            let rows = wrap(&text, first, rest);
            let all: String = rows.iter().map(|row| &text[row.clone()]).collect();
            prop_assert_eq!(&all, &text);
            for (at, row) in rows.iter().enumerate() {
                let room = if at == 0 { first.max(2) } else { rest.max(2) };
                let row = text[row.clone()].trim_end();
                let is_one_character = row.graphemes(true).count() == 1;
                prop_assert!(width(row) <= room || is_one_character, "{rows:?}");
            }
        }
    }
}
