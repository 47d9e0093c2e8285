//! The name under which a file from a peer may be saved.
//!
//! In: a name as its sender gave it. Out: a name that is one harmless entry of a folder. Never: a
//! path.

use hikyaku_text::{columns, is_blank, is_safe, is_shapeless};

use super::cut;
use crate::limits::MAX_NAME;

/// Returns the last component of a name, without anything that could lead out of its folder, hide
/// the file or control a terminal; `None` if nothing is left.
///
/// Both kinds of separators count on every system: the sender may run another one.
pub fn safe_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut safe: String = last.chars().map(|c| if is_harmless(c) { c } else { '_' }).collect();
    // Some systems drop trailing dots and spaces; other trailing characters are invisible.
    safe.truncate(safe.trim_end_matches(is_no_end).len());
    // A leading dot hides a file or means a folder, a leading dash looks like an option, and a mark
    // without a letter before it is invisible.
    let odd: String = safe.chars().take_while(|c| is_no_start(*c)).collect();
    safe.replace_range(..odd.len(), &"_".repeat(odd.chars().count()));
    let mut safe = bounded(&safe);
    safe.truncate(safe.trim_end_matches(is_no_end).len());
    if is_device(&safe) {
        safe.insert(0, '_');
    }
    // Underscores inserted above do not count as visible.
    last.chars().any(is_seen).then_some(safe).filter(|safe| !safe.is_empty())
}

/// Returns `true` if a character is visible and has no special meaning to any system.
fn is_harmless(c: char) -> bool {
    let blank = is_blank(c) && !matches!(c, ' ' | '\u{3000}');
    is_safe(c) && !blank && !matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

fn is_no_end(c: char) -> bool {
    c == '.' || is_blank(c) || is_shapeless(c)
}

fn is_no_start(c: char) -> bool {
    matches!(c, '.' | '-') || is_blank(c) || has_no_width(c)
}

/// Returns `true` if a character is visible on its own.
fn is_seen(c: char) -> bool {
    c != '.' && is_safe(c) && !is_blank(c) && !has_no_width(c)
}

/// A joiner, a variation selector, or a mark that combines with the letter before it.
fn has_no_width(c: char) -> bool {
    is_shapeless(c) || columns(c.encode_utf8(&mut [0; 4])) == 0
}

/// Returns `true` if Windows treats the name as a device, whatever its case and extension
/// (learn.microsoft.com, "Naming Files, Paths, and Namespaces").
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    if matches!(&*stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$") {
        return true;
    }
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt")).unwrap_or_default();
    let mut number = port.chars();
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³');
    number.next().is_some_and(is_number) && number.next().is_none()
}

/// Shortens a long name in the middle, to keep its extension.
fn bounded(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let extension = match name.rsplit_once('.') {
        Some((_, extension)) if extension.len() <= 16 => format!(".{extension}"),
        _ => String::new(),
    };
    format!("{}{extension}", cut(name, MAX_NAME - extension.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn safe(name: &str) -> Option<String> {
        safe_name(name)
    }

    #[test]
    fn valid_names_are_kept() {
        for name in ["a.txt", "日本 2026.tar.gz", "Makefile", "a-b_c~", "naïve (1).pdf"] {
            assert_eq!(safe(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        assert_eq!(safe("../x").as_deref(), Some("x"));
        assert_eq!(safe("/etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(safe("..\\..\\boot.ini").as_deref(), Some("boot.ini"));
        for name in ["", ".", "..", "...", "/", "a/", "a/..", " ", ". ."] {
            assert_eq!(safe(name), None, "{name:?}");
        }
    }

    #[test]
    fn no_name_is_hidden_or_an_option() {
        assert_eq!(safe(".bashrc").as_deref(), Some("_bashrc"));
        assert_eq!(safe("..a").as_deref(), Some("__a"));
        assert_eq!(safe("-rf").as_deref(), Some("_rf"));
    }

    #[test]
    fn no_name_harms_a_terminal_or_another_system() {
        assert_eq!(safe("a\x1b[2Jb\u{202e}c\nd\0").as_deref(), Some("a_[2Jb_c_d_"));
        assert_eq!(safe("C:x").as_deref(), Some("C_x"));
    }

    #[test]
    fn an_invisible_name_is_rejected() {
        for name in [
            "\u{200d}",
            "\u{200d}.\u{200d}",
            "\u{301}\u{302}",
            "\u{3000}",
            "\u{2800}\u{2800}",
            "\u{a0}",
            "\u{fe0f}",
            "\u{3164}",
            "\u{202e}",
            "\x1b",
        ] {
            assert_eq!(safe(name), None, "{name:?}");
        }
    }

    #[test]
    fn invisible_characters_neither_begin_nor_end_a_name() {
        assert_eq!(safe("\u{200d}a\u{200d}").as_deref(), Some("_a"));
        assert_eq!(safe("\u{301}a.txt\u{3000}. ").as_deref(), Some("_a.txt"));
        assert_eq!(safe("a\u{2800}b\u{a0}c").as_deref(), Some("a_b_c"));
        assert_eq!(safe("می\u{200c}خواهم.txt").as_deref(), Some("می\u{200c}خواهم.txt"));
        assert_eq!(safe("e\u{301}\u{3000}飛脚").as_deref(), Some("e\u{301}\u{3000}飛脚"));
    }

    #[test]
    fn no_name_is_a_device_elsewhere() {
        for name in ["con", "NUL", "aux.txt", "Com1", "lpt9.tar.gz", "prn ", "com¹", "nul .txt"] {
            let safe = safe(name).unwrap();
            assert!(safe.starts_with('_'), "{name:?} is {safe:?}");
        }
        for name in ["cone", "com", "com10", "console.txt", "a.con", "lpt"] {
            assert_eq!(safe(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let long = safe(&format!("{}.tar", "é".repeat(300))).unwrap();
        assert!(long.len() <= MAX_NAME && long.len() > MAX_NAME - 3, "{}", long.len());
        assert!(long.ends_with("é.tar"), "{long}");
    }

    proptest! {
        #[test]
        fn every_safe_name_is_one_entry_of_a_folder(name in any::<String>()) {
            if let Some(safe) = safe(&name) {
                let path = std::path::Path::new(&safe);
                prop_assert_eq!(path.components().count(), 1);
                prop_assert_eq!(path.file_name(), Some(safe.as_ref()));
                prop_assert!(safe.len() <= MAX_NAME && !safe.starts_with('.'));
                prop_assert_eq!(safe_name(&safe), Some(safe.clone()), "twice is once");
            }
        }
    }
}
