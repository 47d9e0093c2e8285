//! Characters whose width differs between terminals, which may shift the rest of their row.

use ratatui_core::buffer::Buffer;

/// Returns `true` if every terminal puts each character of a text in the same column.
#[must_use]
pub fn has_agreed_widths(screen: &Buffer) -> bool {
    screen.content.iter().all(|cell| is_agreed(cell.symbol()))
}

/// A flag or an emoji sequence is one character here, and several on some terminals.
fn is_agreed(symbol: &str) -> bool {
    let mut characters = symbol.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => matches!(character,
            '\0'..='\u{2ff}' | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}' // European letters
            | '\u{2010}'..='\u{2027}' | '✓'
            | '\u{3000}'..='\u{3029}' | '\u{3030}'..='\u{3098}' | '\u{309b}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff01}'..='\u{ff60}'),
        (None, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_letters_have_the_same_width_everywhere() {
        let screen = |text: &str| Buffer::with_lines([format!("eva: {text} ok")]);
        for text in ["tea ✓ 3/4", "für Änne, что", "お茶です。飛脚「はい」", "차", "…"]
        {
            assert!(has_agreed_widths(&screen(text)), "{text}");
        }
        for text in ["🇯🇵", "1\u{fe0f}\u{20e3}", "👩\u{200d}🚀", "\u{e33}", "e\u{301}", "\u{fdfd}"]
        {
            assert!(!has_agreed_widths(&screen(text)), "{text}");
        }
    }
}
