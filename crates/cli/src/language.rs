//! The language of texts for people: notices, hints and errors. Texts for programs stay English.

use std::{env, ffi::OsString, sync::OnceLock};

use hikyaku_chat::words::Language;

/// Returns the language that the environment asks for: `LC_ALL`, `LC_MESSAGES` or `LANG`. With
/// `--json` or `--format json` a program reads the output, so all of it is English.
pub(crate) fn language() -> Language {
    static LANGUAGE: OnceLock<Language> = OnceLock::new();
    let variable = |name: &str| env::var_os(name)?.into_string().ok();
    // Tests of sentences expect English, wherever they run.
    *LANGUAGE.get_or_init(|| match cfg!(test) || is_for_programs(env::args_os().skip(1)) {
        true => Language::English,
        false => Language::of_environment(variable),
    })
}

fn is_for_programs(words: impl Iterator<Item = OsString>) -> bool {
    let mut before = OsString::new();
    words.take_while(|word| word != "--").any(|word| {
        let is_json = word == "--json" || word == "--format=json";
        is_json || std::mem::replace(&mut before, word.clone()) == "--format" && word == "json"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_output_is_for_programs() {
        let ask = |line: &str| is_for_programs(line.split(' ').map(OsString::from));
        for line in ["send --json :9 x", "listen --format json", "listen --format=json :9"] {
            assert!(ask(line), "{line}");
        }
        for line in ["listen --format text :9", "send :9 -- --json", "send :9 json", "listen"] {
            assert!(!ask(line), "{line}");
        }
    }
}
