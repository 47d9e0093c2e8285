//! Untrusted text as a type.
//!
//! In: file names, reasons given by peers, errors of the system. Out: the same, escaped. Never: raw
//! text by accident.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    fmt::{self, Display},
    path::{Path, PathBuf},
};

use crate::escape::{sanitize, sanitize_bytes};

/// Text from elsewhere: it was typed, received, or read from a file, and may contain anything.
///
/// `Display` and `Debug` show it escaped, as [`sanitize_bytes`] does. Code that needs the raw text,
/// to open a file or to answer, calls [`Foreign::as_bytes`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foreign<'a>(Cow<'a, [u8]>);

impl Foreign<'_> {
    /// Returns the output of `value`'s `Display` as untrusted text: an error may quote anything.
    #[must_use]
    pub fn shown(value: &(impl Display + ?Sized)) -> Foreign<'static> {
        Foreign(value.to_string().into_bytes().into())
    }

    /// Returns the raw text. Not to be printed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the escaped text.
    #[must_use]
    pub fn escaped(&self) -> Cow<'_, str> {
        sanitize_bytes(&self.0)
    }

    /// Returns the same text without borrowing.
    #[must_use]
    pub fn into_owned(self) -> Foreign<'static> {
        Foreign(self.0.into_owned().into())
    }
}

impl Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.escaped())
    }
}

impl fmt::Debug for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", sanitize(&self.escaped().replace('"', "\\\"")))
    }
}

impl<'a> From<&'a [u8]> for Foreign<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes.into())
    }
}

impl<'a> From<&'a str> for Foreign<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl<'a> From<&'a String> for Foreign<'a> {
    fn from(text: &'a String) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Foreign<'static> {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl<'a> From<&'a OsStr> for Foreign<'a> {
    fn from(text: &'a OsStr) -> Self {
        Self(text.as_encoded_bytes().into())
    }
}

impl From<OsString> for Foreign<'static> {
    fn from(text: OsString) -> Self {
        Self(text.into_encoded_bytes().into())
    }
}

impl<'a> From<&'a Path> for Foreign<'a> {
    fn from(path: &'a Path) -> Self {
        path.as_os_str().into()
    }
}

impl<'a> From<&'a PathBuf> for Foreign<'a> {
    fn from(path: &'a PathBuf) -> Self {
        path.as_os_str().into()
    }
}

impl From<PathBuf> for Foreign<'static> {
    fn from(path: PathBuf) -> Self {
        path.into_os_string().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::is_safe;

    #[test]
    fn foreign_text_is_shown_escaped_whatever_its_type() {
        let forged = "a\x1b[2J\nsaved: 9 of 9 files";
        let seen = "a\\x1b[2J\\nsaved: 9 of 9 files";
        assert_eq!(Foreign::from(forged).to_string(), seen);
        assert_eq!(Foreign::from(Path::new(forged)).to_string(), seen);
        assert_eq!(Foreign::from(forged.to_owned()).to_string(), seen);
        assert_eq!(Foreign::shown(&Foreign::from(forged)).to_string(), seen);
        assert_eq!(Foreign::from(&b"caf\xe9"[..]).to_string(), "caf\\xe9");
        assert_eq!(format!("{:?}", Foreign::from("a\"\n")), "\"a\\\"\\n\"");
        assert_eq!(format!("{:>4}", Foreign::from("ab")), "  ab");
    }

    #[test]
    fn the_raw_text_is_accessible() {
        let bytes = b"a\x1b\xff";
        assert_eq!(Foreign::from(&bytes[..]).into_owned().as_bytes(), bytes);
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_shown(bytes: Vec<u8>) {
            let foreign = Foreign::from(&*bytes);
            prop_assert!(foreign.to_string().chars().all(is_safe));
            let debug = format!("{foreign:?}");
            prop_assert!(debug.chars().all(is_safe));
        }
    }
}
