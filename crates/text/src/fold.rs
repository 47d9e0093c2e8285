//! Text as people compare it: without case and widths.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// Returns a text in lower case and without compatibility forms (NFKC): an input method that is on
/// makes `ＨＡＮＡ` of `hana`, and a half-width `ﾊﾅ` is `ハナ`.
#[must_use]
pub fn folded(text: &str) -> String {
    text.chars().flat_map(fold).nfc().collect()
}

/// Returns a character of a text as [`folded`] has it, with its marks as characters of their own.
pub fn fold(c: char) -> impl Iterator<Item = char> {
    std::iter::once(c).nfkd().flat_map(char::to_lowercase)
}

/// Returns `true` for a character that is a part of the one before it, such as a sound mark.
#[must_use]
pub fn is_mark(c: char) -> bool {
    fold(c).next().is_some_and(is_combining_mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_width_do_not_matter() {
        for (one, other) in [("ＨＡＮＡ", "hana"), ("ﾊﾞﾅﾅ", "バナナ"), ("Äna", "a\u{308}NA")]
        {
            assert_eq!(folded(one), folded(other));
        }
        for (one, other) in [("ハナ", "バナ"), ("ハナ", "はな"), ("ana", "äna")] {
            assert_ne!(folded(one), folded(other));
        }
        assert!(is_mark('ﾞ') && !is_mark('ハ'));
    }

    proptest! {
        #[test]
        fn what_is_folded_stays_as_it_is(text: String) {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }
    }
}
