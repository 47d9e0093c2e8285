//! Finds where a text mentions its reader.

use std::ops::Range;

use hikyaku_text::{fold, folded, is_mark};

/// Returns the ranges in which `text` has `name` as a word, in any case and width. A name in a
/// script without spaces is a word anywhere; a single letter is one only after an `@`.
pub(crate) fn mentions(text: &str, name: &str) -> Vec<Range<usize>> {
    let is_short = name.chars().count() < 2;
    let name = &*folded(name);
    let needs_edges = name.is_ascii();
    let mut found: Vec<Range<usize>> = Vec::new();
    if name.is_empty() {
        return found;
    }
    for (at, _) in text.char_indices() {
        if found.last().is_some_and(|last| at < last.end) {
            continue;
        }
        let Some(len) = matched(&text[at..], name) else { continue };
        let before = text[..at].chars().next_back();
        let after = text[at + len..].chars().next();
        let is_edge = |edge: Option<char>| {
            edge.is_none_or(|edge| fold(edge).all(|c| !c.is_ascii_alphanumeric()))
        };
        if needs_edges && !(is_edge(before) && is_edge(after)) {
            continue;
        }
        match before {
            Some('@') => found.push(at - 1..at + len),
            _ if is_short => {}
            _ => found.push(at..at + len),
        }
    }
    found
}

/// Returns the length of `name` at the beginning of `text`, in the spelling of the text.
fn matched(text: &str, name: &str) -> Option<usize> {
    let mut wanted = name.chars().flat_map(fold).peekable();
    for (at, letter) in text.char_indices() {
        if wanted.peek().is_none() {
            return (!is_mark(letter)).then_some(at);
        }
        if !fold(letter).all(|part| wanted.next() == Some(part)) {
            return None;
        }
    }
    wanted.peek().is_none().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
        mentions(text, name).into_iter().map(|at| &text[at]).collect()
    }

    #[test]
    fn a_name_is_found_as_a_word() {
        assert_eq!(found("Ana, is @ana there? banana anas ana", "ana"), ["Ana", "@ana", "ana"]);
        assert_eq!(found("花さん、お茶", "花"), Vec::<&str>::new(), "one letter");
        assert_eq!(found("@花 花子さん、お茶", "花子"), ["花子"]);
        assert_eq!(found("@花さん", "花"), ["@花"]);
        assert_eq!(found("a @a b", "a"), ["@a"]);
        assert_eq!(found("ana b. says", "ana b."), ["ana b."]);
        assert_eq!(found("x", ""), Vec::<&str>::new());
        assert_eq!(found("ＡＮＡ、ＡＮＡＳ", "ana"), ["ＡＮＡ"]);
        assert_eq!(found("ﾊﾅさん、バナナ", "ハナ"), ["ﾊﾅ"]);
        assert_eq!(found("ana", "ＡＮＡ"), ["ana"]);
    }
}
