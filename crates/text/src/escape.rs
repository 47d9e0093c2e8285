//! Escaping of untrusted text.
//!
//! In: text or bytes from anywhere. Out: the same, with everything that is invisible or could
//! control a terminal written as visible escapes, and runs of blanks collapsed. Never: drops
//! visible text, fails.

use std::{borrow::Cow, fmt::Write as _};

/// Escapes what could deceive: control characters (`\n`, `\x1b`), bidirectional controls, line
/// separators and invisible characters (`\u{202e}`).
///
/// Joiners and variation selectors are kept, because emoji and Persian need them. A backslash is
/// kept as it is, so that a second pass changes nothing: an escape that someone typed cannot be
/// distinguished from one made here. Clean text is returned without a copy.
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

/// Escapes bytes that may not be UTF-8 like [`sanitize`]: each byte that is not part of a character
/// becomes `\xNN`.
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

/// Escapes in a JSON text, on one line, what [`sanitize`] would escape, using JSON escapes: a
/// reader gets the same strings, and they cannot control a terminal.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    if first_unsafe(json).is_none() {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_safe(character) {
            safe.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    Cow::Owned(safe)
}

/// Escapes like [`sanitize`], and keeps line feeds: the text may have several lines.
#[must_use]
pub fn sanitize_lines(text: &str) -> Cow<'_, str> {
    let is_clean = text.chars().all(|character| character == '\n' || is_safe(character));
    if is_clean {
        return Cow::Borrowed(text);
    }
    let lines: Vec<_> = text.split('\n').map(sanitize).collect();
    Cow::Owned(lines.join("\n"))
}

/// Returns `true` if [`sanitize`] leaves `character` as it is.
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

/// Collapses each run of two or more blanks to one space: blanks up to the edge of a screen would
/// make the text after them look like its own line. Other text is returned without a copy.
#[must_use]
pub fn collapse_blanks(text: Cow<'_, str>) -> Cow<'_, str> {
    let Some((start, end)) = first_run(&text) else {
        return text;
    };
    let mut collapsed = String::with_capacity(text.len());
    let mut rest = &*text;
    let mut next = Some((start, end));
    while let Some((start, end)) = next {
        collapsed.push_str(&rest[..start]);
        collapsed.push(' ');
        rest = &rest[end..];
        next = first_run(rest);
    }
    collapsed.push_str(rest);
    Cow::Owned(collapsed)
}

/// Returns the range of the first run of two or more blanks, including characters without a shape
/// between or after them.
fn first_run(text: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    let mut blanks = 0;
    for (at, character) in text.char_indices() {
        match character {
            _ if is_blank(character) => {
                if blanks == 0 {
                    start = at;
                }
                blanks += 1;
            }
            _ if is_shapeless(character) => {}
            _ if blanks > 1 => return Some((start, at)),
            _ => blanks = 0,
        }
    }
    (blanks > 1).then_some((start, text.len()))
}

/// Returns `true` if `character` takes up space but shows nothing: white space of any kind, a
/// Braille cell without dots, a note without a head, blank hieroglyphs, and fillers.
#[must_use]
pub fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '\u{2800}'
                | '\u{1d159}'
                | '\u{13441}'
                | '\u{13442}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{3164}'
                | '\u{ffa0}'
        )
}

/// Returns `true` for joiners and variation selectors: safe within a text, invisible on their own.
#[must_use]
pub fn is_shapeless(character: char) -> bool {
    matches!(character,
        '\u{200c}' | '\u{200d}' | '\u{180b}'..='\u{180d}' | '\u{180f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn first_unsafe(text: &str) -> Option<usize> {
    // Most text is printable ASCII: one look at each byte is enough.
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
                write!(safe, "\\u{{{:x}}}", u32::from(character))
                    .expect("writing to a String cannot fail");
            }
        }
    }
}

fn push_byte(safe: &mut String, byte: u8) {
    write!(safe, "\\x{byte:02x}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The longest escape of one byte, in bytes (`\xff`).
    const MAX_ESCAPE_GROWTH: usize = 4;

    fn collapsed(text: &str) -> Cow<'_, str> {
        collapse_blanks(Cow::Borrowed(text))
    }

    #[test]
    fn clean_text_is_not_copied() {
        assert!(matches!(sanitize("plain, and für alle: 飛脚"), Cow::Borrowed(_)));
    }

    #[test]
    fn terminal_escapes_are_shown_not_obeyed() {
        assert_eq!(sanitize("\x1b[2J\x07\x7f\u{9b}31m"), "\\x1b[2J\\x07\\x7f\\u{9b}31m");
    }

    #[test]
    fn line_ends_are_escaped() {
        assert_eq!(sanitize("a\r\nb\u{2028}c\td"), "a\\r\\nb\\u{2028}c\\td");
    }

    #[test]
    fn line_feeds_are_kept_where_a_text_may_have_lines() {
        assert!(matches!(sanitize_lines("飛脚\nb"), Cow::Borrowed(_)));
        assert_eq!(sanitize_lines("a\r\n\x1b[2J\nb"), "a\\r\n\\x1b[2J\nb");
    }

    #[test]
    fn bidirectional_controls_are_escaped() {
        assert_eq!(sanitize("a\u{202e}b\u{2066}\u{61c}"), "a\\u{202e}b\\u{2066}\\u{61c}");
    }

    #[test]
    fn invisible_characters_are_escaped() {
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
    fn invalid_utf_8_is_escaped() {
        assert_eq!(sanitize_bytes(b"caf\xe9 \xff\x1b!"), "caf\\xe9 \\xff\\x1b!");
    }

    #[test]
    fn valid_utf_8_is_not_copied() {
        assert!(matches!(sanitize_bytes("grün".as_bytes()), Cow::Borrowed("grün")));
    }

    #[test]
    fn runs_of_any_blanks_are_collapsed() {
        for blank in [
            "  ",
            "\u{a0} ",
            "\u{2003}\u{2003}",
            "\u{3000} ",
            "\u{2800}\u{2800}",
            "\u{3164} ",
            " \u{200d} ",
            " \u{fe0f}\u{2800}\u{200d}",
        ] {
            let text = format!("hi{}[12:00:00] bob: {blank}x{blank}", blank.repeat(40));
            assert_eq!(collapsed(&text), "hi [12:00:00] bob: x ", "{blank:?}");
        }
    }

    #[test]
    fn single_blanks_are_not_copied() {
        for text in ["a b\u{3000}c", "می\u{200c}خواهم \u{200d}ه", "👩\u{200d}🚀 ❤\u{fe0f} "]
        {
            assert!(matches!(collapsed(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn visible_characters_survive_collapsing(text in "[ab \u{2800}\u{200d}\u{3000}]{0,40}") {
            let seen = |text: &str| text.replace(|c| is_blank(c) || is_shapeless(c), "");
            let once = collapsed(&text);
            prop_assert_eq!(seen(&once), seen(&text));
            prop_assert_eq!(collapsed(&once), &*once);
        }

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
    fn growth_is_bounded_for_every_character() {
        for character in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let text = &*character.encode_utf8(&mut buffer);
            assert!(sanitize(text).len() <= text.len() * MAX_ESCAPE_GROWTH, "{character:?}");
        }
    }
}
