//! Text for a terminal: it cannot control the terminal or deceive anyone, and its growth is
//! bounded.

use hikyaku_chat::{
    Name, Stamp,
    event::{Author, Event, Kind, MemberId},
    limits::{MAX_NAME_COLUMNS, MAX_NAME_LEN},
    plain::{render, strip_stamp},
};
use hikyaku_text::{is_safe, sanitize, sanitize_bytes};
use unicode_width::UnicodeWidthStr as _;

/// An escape is at most four times as long as the original: `\x1b`, `\xNN`.
const GROWTH: usize = 4;

/// Runs one input.
pub fn run(input: &[u8]) {
    let bytes = sanitize_bytes(input);
    check_shown(&bytes);
    assert!(bytes.len() <= GROWTH * input.len(), "{} of {}", bytes.len(), input.len());
    assert_eq!(sanitize(&bytes), bytes, "a second pass changes the text");
    let Ok(text) = str::from_utf8(input) else { return };
    assert_eq!(sanitize(text), bytes, "sanitize and sanitize_bytes differ");
    if text.chars().all(is_safe) {
        assert_eq!(bytes, text, "safe text was changed");
    }
    name(text);
    let author = Some(Author::new(MemberId(1), "alice"));
    let kind = Kind::Said { text: text.to_owned(), emote: false };
    let event = Event::new(Stamp::from_millis(0), author, None, kind);
    let shown = render("12:34:56", &event, None).expect("others read it");
    check_shown(&shown);
    assert!(strip_stamp(&shown).is_some(), "the time stamp is hidden");
    // One of the line's own, and the text's after collapsing.
    assert!(!shown.contains("   "), "the row is filled with blanks");
}

fn name(text: &str) {
    let Ok(name) = Name::parse(text) else { return };
    let shown = name.as_str();
    check_shown(shown);
    assert!(shown.len() <= MAX_NAME_LEN && shown.width() <= MAX_NAME_COLUMNS);
    assert_eq!(Name::parse(shown).as_ref(), Ok(&name), "a parsed name does not parse again");
    assert!(!shown.contains([':', ',', ';', '[', ']']) && !shown.starts_with(['/', '*', ' ']));
}

/// Checks text as a terminal sees it, independently of the sanitiser.
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
