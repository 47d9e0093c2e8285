//! The words that are indexed and searched, which are formed alike for lines and queries.
//!
//! A line in a script without spaces cannot be split into words without a dictionary. So each of
//! its characters is a word, and 飛脚 is searched as a sequence of two: any part of a line is found,
//! even one character.
//!
//! ```text
//! "Das ｶﾞラス、飛脚!"   compatibility forms (NFKC), lower case, no accents
//! das ガ ラ ス 飛 脚     words, with a space between them
//! ```
//!
//! Words are split here and not by SQLite's tokenizer, whose tables end at Unicode 6.1, so that the
//! words of a query are known. No character of a query is syntax.

use std::fmt::Write as _;

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use crate::limits::{MAX_SEARCH_LEN, MAX_SEARCH_TOKENS, MAX_SEARCH_WORDS};

/// Returns the words of a text, with a space between them.
#[must_use]
pub fn words(text: &str) -> String {
    let folded = text
        .nfkd()
        .flat_map(char::to_lowercase)
        .filter(|c| !is_accent(*c))
        // A letter and a half-width kana sound mark become one character.
        .nfc();
    let mut words = String::with_capacity(text.len() * 2);
    for c in folded {
        if stands_alone(c) {
            words.extend([' ', c, ' ']);
        } else if c.is_alphanumeric() || is_combining_mark(c) {
            words.push(c);
        } else {
            words.push(' ');
        }
    }
    words
}

/// Converts a query to an FTS5 expression for the lines that contain all its words, in one of the
/// rooms with these numbers. Returns `None` if it has no word or no room.
pub(crate) fn expression(question: &str, rooms: &[i64]) -> Option<String> {
    let end = question.floor_char_boundary(MAX_SEARCH_LEN);
    let mut text = String::new();
    let mut tokens_left = MAX_SEARCH_TOKENS;
    let phrases = question[..end].split_whitespace().map(words);
    let phrases = phrases.filter(|phrase| !phrase.trim_ascii().is_empty());
    for phrase in phrases.take(MAX_SEARCH_WORDS) {
        let tokens: Vec<&str> = phrase.split_whitespace().take(tokens_left).collect();
        if tokens.is_empty() {
            break;
        }
        tokens_left -= tokens.len();
        let and = if text.is_empty() { "" } else { " AND " };
        write!(text, "{and}\"{}\"", tokens.join(" ")).expect("writing to a string cannot fail");
    }
    let rooms: Vec<_> = rooms.iter().map(|room| room_word(*room)).collect();
    let nothing = text.is_empty() || rooms.is_empty();
    (!nothing).then(|| format!("text : ({text}) AND room : ({})", rooms.join(" OR ")))
}

/// Returns the word by which a line of a room is indexed.
pub(crate) fn room_word(room: i64) -> String {
    format!("r{room}")
}

/// Accents of alphabets: `cafe` finds `café`. In other scripts, marks are part of the letter.
const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Characters that are words by themselves: Chinese, Japanese and Korean ones, and symbols, as
/// people search for them.
const fn stands_alone(c: char) -> bool {
    matches!(
        c,
        '\u{1100}'..='\u{11ff}'     // Hangul letters
        | '\u{2600}'..='\u{27bf}'   // symbols and dingbats
        | '\u{2e80}'..='\u{2fdf}'   // radicals
        | '\u{3005}'..='\u{3007}'   // 々〆〇
        | '\u{3021}'..='\u{3029}'   // numerals
        | '\u{3031}'..='\u{303c}'   // repetition marks
        | '\u{3041}'..='\u{3096}'   // Hiragana
        | '\u{309d}'..='\u{309f}'
        | '\u{30a1}'..='\u{30fa}'   // Katakana
        | '\u{30fc}'..='\u{30ff}'
        | '\u{3105}'..='\u{312f}'   // Bopomofo
        | '\u{3131}'..='\u{318e}'   // Hangul letters
        | '\u{31a0}'..='\u{31bf}'   // Bopomofo
        | '\u{31f0}'..='\u{31ff}'   // Katakana
        | '\u{3400}'..='\u{4dbf}'   // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'   // Hangul
        | '\u{f900}'..='\u{faff}'   // Han
        | '\u{1f000}'..='\u{1faff}' // pictures
        | '\u{1b000}'..='\u{1b16f}' // Kana
        | '\u{20000}'..='\u{3ffff}' // Han
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        words(text).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn words_are_folded_and_split_at_spaces() {
        assert_eq!(list("Das Café, ＡＢＣ-1!"), ["das", "cafe", "abc", "1"]);
        assert_eq!(list("İstanbul ﬁn"), ["istanbul", "fin"]);
        assert_eq!(list("हिन्दी में"), ["हिन्दी", "में"]);
    }

    #[test]
    fn characters_of_scripts_without_spaces_are_words() {
        assert_eq!(list("飛脚がtea茶"), ["飛", "脚", "が", "tea", "茶"]);
        assert_eq!(list("ｶﾞﾗｽ"), ["ガ", "ラ", "ス"]);
        assert_eq!(list("が"), ["が"]);
        assert_eq!(list("佐々木ー🍵"), ["佐", "々", "木", "ー", "🍵"]);
        assert_eq!(list("한국"), ["한", "국"]);
    }

    #[test]
    fn a_query_has_no_syntax() {
        let text = |question| expression(question, &[1]);
        let expected = "text : (\"a\" AND \"茶 室\") AND room : (r1)";
        assert_eq!(text("A\u{3000}茶室").as_deref(), Some(expected));
        assert_eq!(text("\"x\" OR*").as_deref(), text("x or").as_deref());
        for none in ["", "  ", "!?", "\"\"", "* ( )"] {
            assert_eq!(text(none), None, "{none}");
        }
        assert_eq!(expression("a", &[]), None);
        assert_eq!(
            expression("a", &[3, 4]).as_deref(),
            Some("text : (\"a\") AND room : (r3 OR r4)")
        );
    }

    #[test]
    fn a_query_is_bounded() {
        let long = expression(&"茶 ".repeat(10_000), &[1]).unwrap();
        assert_eq!(long.matches('茶').count(), MAX_SEARCH_WORDS);
        let long = expression(&"茶".repeat(10_000), &[1]).unwrap();
        assert_eq!(long.matches('茶').count(), MAX_SEARCH_TOKENS);
        let long = expression(&"茶茶茶茶茶茶茶茶茶 ".repeat(10_000), &[1]).unwrap();
        assert_eq!(long.matches('茶').count(), MAX_SEARCH_TOKENS);
    }
}
