//! Peers' text made safe for a terminal.
//!
//! In: text or bytes from anywhere. Out: the same, with all that is unseen or that commands a
//! terminal written out as visible escapes. Never: drops a character, fails.

use std::{borrow::Cow, fmt::Write as _};

/// Writes out what could deceive: control characters (`\n`, `\x1b`), and bidirectional controls,
/// line separators and invisible characters (`\u{202e}`).
///
/// Joiners and variation selectors stay, for emoji and Persian need them. A backslash stays as
/// it is, so that the result of a second pass is that of the first: an escape that someone typed
/// cannot be told from one that was made here. Clean text is returned as it came.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let Some(start) = first_unsafe(text) else {
        return Cow::Borrowed(text);
    };
    let (clean, rest) = text.split_at(start);
    let mut safe = String::with_capacity(text.len() + 16);
    safe.push_str(clean);
    push_safe(&mut safe, rest);
    Cow::Owned(safe)
}

/// [`sanitize`] for bytes that may not be UTF-8: each byte that is not part of a character is
/// written out as `\xNN`.
#[must_use]
pub fn sanitize_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return sanitize(text);
    }
    let mut safe = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        push_safe(&mut safe, chunk.valid());
        for byte in chunk.invalid() {
            push_byte(&mut safe, *byte);
        }
    }
    Cow::Owned(safe)
}

/// Whether [`sanitize`] leaves `character` as it is.
#[must_use]
pub fn is_safe(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    !matches!(character,
        '\u{80}'..='\u{9f}'             // C1 controls: some terminals obey them
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{206f}'       // bidirectional controls, and deprecated ones
        | '\u{2028}' | '\u{2029}'       // line and paragraph separator
        | '\u{ad}' | '\u{200b}' | '\u{feff}' | '\u{2060}'..='\u{2065}' // no width
        | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{3164}' | '\u{ffa0}'       // joiners and fillers that show nothing
        | '\u{fff9}'..='\u{fffb}'       // interlinear annotation
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' // shorthand, music
        | '\u{e0000}'..='\u{e00ff}'     // tag characters
    )
}

fn first_unsafe(text: &str) -> Option<usize> {
    // Most of what people say is printable ASCII: one look at each byte settles it.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    text.find(|character| !is_safe(character))
}

fn push_safe(safe: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if is_safe(character) => safe.push(character),
            '\0'..='\x7f' => push_byte(safe, character as u8),
            _ => {
                write!(safe, "\\u{{{:x}}}", u32::from(character)).expect("a String takes all");
            }
        }
    }
}

fn push_byte(safe: &mut String, byte: u8) {
    write!(safe, "\\x{byte:02x}").expect("a String takes all");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::MAX_ESCAPE_GROWTH;

    #[test]
    fn clean_text_is_not_copied() {
        assert!(matches!(sanitize("plain, and für alle: 飛脚"), Cow::Borrowed(_)));
    }

    #[test]
    fn terminal_escapes_are_shown_not_obeyed() {
        assert_eq!(sanitize("\x1b[2J\x07\x7f\u{9b}31m"), "\\x1b[2J\\x07\\x7f\\u{9b}31m");
    }

    #[test]
    fn no_line_is_forged_by_a_line_end() {
        assert_eq!(sanitize("a\r\nb\u{2028}c\td"), "a\\r\\nb\\u{2028}c\\td");
    }

    #[test]
    fn direction_is_not_turned_round() {
        assert_eq!(sanitize("a\u{202e}b\u{2066}\u{61c}"), "a\\u{202e}b\\u{2066}\\u{61c}");
    }

    #[test]
    fn the_invisible_is_seen() {
        let seen = "\\u{200b}\\u{ad}\\u{feff}\\u{fff9}\\u{e0041}\\u{2060}";
        assert_eq!(sanitize("\u{200b}\u{ad}\u{feff}\u{fff9}\u{e0041}\u{2060}"), seen);
    }

    #[test]
    fn emoji_and_persian_keep_their_joiners() {
        for text in ["👩\u{200d}🚀", "می\u{200c}خواهم", "❤\u{fe0f}", "葛\u{e0100}"] {
            assert_eq!(sanitize(text), text);
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_written_out() {
        assert_eq!(sanitize_bytes(b"caf\xe9 \xff\x1b!"), "caf\\xe9 \\xff\\x1b!");
    }

    #[test]
    fn bytes_that_are_text_are_not_copied() {
        assert!(matches!(sanitize_bytes("grün".as_bytes()), Cow::Borrowed("grün")));
    }

    proptest! {
        #[test]
        fn nothing_unsafe_remains(bytes: Vec<u8>) {
            prop_assert!(sanitize_bytes(&bytes).chars().all(is_safe));
        }

        #[test]
        fn a_second_pass_changes_nothing(text: String) {
            let once = sanitize(&text).into_owned();
            prop_assert_eq!(sanitize(&once), once.as_str());
        }

        #[test]
        fn safe_characters_survive_in_order(text: String) {
            let kept: String = text.chars().filter(|c| is_safe(*c)).collect();
            let safe = sanitize(&text).into_owned();
            let mut left = safe.chars();
            prop_assert!(kept.chars().all(|wanted| left.any(|c| c == wanted)));
        }

        #[test]
        fn growth_is_bounded(bytes: Vec<u8>) {
            prop_assert!(sanitize_bytes(&bytes).len() <= bytes.len() * MAX_ESCAPE_GROWTH);
        }
    }

    #[test]
    fn growth_is_bounded_for_each_character_there_is() {
        for character in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let text = &*character.encode_utf8(&mut buffer);
            assert!(sanitize(text).len() <= text.len() * MAX_ESCAPE_GROWTH, "{character:?}");
        }
    }
}
