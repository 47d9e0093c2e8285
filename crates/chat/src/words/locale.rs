//! The language that a locale selects.

use super::Language;

impl Language {
    /// Returns the language of a locale such as `ja_JP.UTF-8`: English if it is neither of ours.
    #[must_use]
    pub fn of_locale(locale: &str) -> Self {
        let language = locale.split(['_', '-', '.', '@']).next().unwrap_or_default();
        match language.to_ascii_lowercase().as_str() {
            "ja" | "japanese" => Self::Japanese,
            _ => Self::English,
        }
    }

    /// Returns the language of the environment: `LC_ALL` decides, then `LC_MESSAGES`, then `LANG`
    /// (POSIX.1-2024, XBD 8.2). An empty value counts as none.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
        locale.map_or(Self::English, |locale| Self::of_locale(&locale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_names_its_language() {
        for locale in ["ja", "ja_JP", "ja_JP.UTF-8", "ja-JP", "JA_JP.eucJP", "ja@x", "japanese"] {
            assert_eq!(Language::of_locale(locale), Language::Japanese, "{locale}");
        }
        for locale in ["", "C", "POSIX", "en_US.UTF-8", "jam_JM", "java", "fr_FR"] {
            assert_eq!(Language::of_locale(locale), Language::English, "{locale}");
        }
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let of = |set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|(set, _)| *set == name);
            Language::of_environment(|name| value(name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "ja_JP.UTF-8")]), Language::Japanese);
        assert_eq!(of(&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "C")]), Language::English);
        assert_eq!(of(&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "")]), Language::Japanese);
        assert_eq!(of(&[("LANG", "C"), ("LC_MESSAGES", "ja_JP")]), Language::Japanese);
    }
}
