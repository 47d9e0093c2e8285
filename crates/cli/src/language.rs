//! The language of what people read: notices, hints and errors. What programs read stays English.

use std::{env, sync::OnceLock};

use hikyaku_chat::words::Language;

/// Returns the language that the environment asks for: `LC_ALL`, `LC_MESSAGES` or `LANG`. With
/// `--json` a program reads what is said, in objects and beside them.
pub(crate) fn language() -> Language {
    static LANGUAGE: OnceLock<Language> = OnceLock::new();
    let variable = |name: &str| env::var_os(name)?.into_string().ok();
    let is_for_programs =
        || env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    *LANGUAGE.get_or_init(|| match is_for_programs() {
        true => Language::English,
        false => Language::of_environment(variable),
    })
}
