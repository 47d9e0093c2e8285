//! The name under which a stranger's file may be saved.
//!
//! In: a name as its sender gave it. Out: a name that is one harmless entry of a folder. Never: a
//! path.

use super::cut;
use crate::limits::MAX_NAME;

/// The last component of a name, without what could lead out of its folder, hide the file or upset
/// a terminal; nothing where nothing is left.
///
/// Both kinds of separators count, wherever we are: the sender may be elsewhere.
pub(crate) fn safe_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut safe: String = last.chars().map(|c| if is_harmless(c) { c } else { '_' }).collect();
    // Dots at the front hide a file or mean a folder; blanks and dots at the end are dropped by
    // some systems, and are seen by nobody on the others.
    safe.truncate(safe.trim_end_matches([' ', '.']).len());
    let dots = safe.len() - safe.trim_start_matches(['.', ' ', '-']).len();
    safe.replace_range(..dots, &"_".repeat(dots));
    let mut safe = bounded(&safe);
    safe.truncate(safe.trim_end_matches([' ', '.']).len());
    (!safe.is_empty()).then_some(safe)
}

/// Neither invisible nor of a meaning to some system.
fn is_harmless(c: char) -> bool {
    hikyaku_text::is_safe(c) && !matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// Cut in the middle, so that its extension stays.
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
    fn names_that_are_good_stay() {
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
    fn nothing_is_hidden_and_nothing_is_an_option() {
        assert_eq!(safe(".bashrc").as_deref(), Some("_bashrc"));
        assert_eq!(safe("..a").as_deref(), Some("__a"));
        assert_eq!(safe("-rf").as_deref(), Some("_rf"));
    }

    #[test]
    fn nothing_upsets_a_terminal_or_another_system() {
        assert_eq!(safe("a\x1b[2Jb\u{202e}c\nd\0").as_deref(), Some("a_[2Jb_c_d_"));
        assert_eq!(safe("C:x").as_deref(), Some("C_x"));
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let long = safe(&format!("{}.tar", "é".repeat(300))).unwrap();
        assert!(long.len() <= MAX_NAME && long.len() > MAX_NAME - 3, "{}", long.len());
        assert!(long.ends_with("é.tar"), "{long}");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_one_entry_of_a_folder(name in any::<String>()) {
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
