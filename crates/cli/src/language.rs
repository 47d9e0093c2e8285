//! The language of what people read: notices, hints and errors. What programs read stays English.

use std::sync::OnceLock;

use hikyaku_chat::words::Language;

/// Returns the language that the environment asks for: `LC_ALL`, `LC_MESSAGES` or `LANG`.
pub(crate) fn language() -> Language {
    static LANGUAGE: OnceLock<Language> = OnceLock::new();
    let variable = |name: &str| std::env::var_os(name)?.into_string().ok();
    *LANGUAGE.get_or_init(|| Language::of_environment(variable))
}
