//! What reaches a terminal: nothing commands it, nothing deceives, nothing grows without bound.
//!
//! In: any bytes. Out: a panic when a promise is broken. Never: a terminal.

use hikyaku_chat::{
    Line, Name,
    limits::{MAX_NAME_COLUMNS, MAX_NAME_LEN},
    plain::{render, strip_stamp},
};
use hikyaku_text::{is_safe, sanitize, sanitize_bytes};
use unicode_width::UnicodeWidthStr as _;

/// An escape is at most four times as long as what it stands for: `\x1b`, `\xNN`.
const GROWTH: usize = 4;

/// One input.
pub fn run(input: &[u8]) {
    let bytes = sanitize_bytes(input);
    check_shown(&bytes);
    assert!(bytes.len() <= GROWTH * input.len(), "{} of {}", bytes.len(), input.len());
    assert_eq!(sanitize(&bytes), bytes, "a second pass changes it");
    let Ok(text) = str::from_utf8(input) else { return };
    assert_eq!(sanitize(text), bytes, "the two ways differ");
    if text.chars().all(is_safe) {
        assert_eq!(bytes, text, "it changes what is safe");
    }
    name(text);
    let line = Line::Said { name: "alice".into(), text: text.to_owned() };
    let shown = render("12:34:56", &line);
    check_shown(&shown);
    assert!(strip_stamp(&shown).is_some(), "it hides its stamp");
    // One of its own, and what is left of the text's.
    assert!(!shown.contains("   "), "it fills its row with blanks");
}

fn name(text: &str) {
    let Ok(name) = Name::parse(text) else { return };
    let shown = name.as_str();
    check_shown(shown);
    assert!(shown.len() <= MAX_NAME_LEN && shown.width() <= MAX_NAME_COLUMNS);
    assert_eq!(Name::parse(shown).as_ref(), Ok(&name), "a name is no name");
    assert!(!shown.contains([':', ',', ';', '[', ']']) && !shown.starts_with(['/', '*', ' ']));
}

/// As a terminal sees it, whatever the sanitiser calls safe.
pub fn check_shown(text: &str) {
    for character in text.chars() {
        let commands = character.is_control();
        let turns = matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}');
        let ends = matches!(character, '\u{2028}' | '\u{2029}');
        assert!(!commands && !turns && !ends, "{character:?} in {text:?}");
    }
}
