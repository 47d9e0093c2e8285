//! What a room says, before any dialect gives it a form.
//!
//! In: words and names. Out: lines. Never: formats, sanitises.

use std::sync::Arc;

/// One line for one or more members. Its texts are as their authors sent them: whoever shows
/// them sanitises them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Someone said something to all.
    Said {
        /// The author as shown: a name or an address.
        name: Arc<str>,
        /// The author's words.
        text: String,
    },
    /// Someone said something to the receiver of this line alone.
    Whisper {
        /// The author as shown.
        name: Arc<str>,
        /// The author's words.
        text: String,
    },
    /// What the receiver of this line whispered has been passed on.
    Whispered {
        /// Who it went to, as shown.
        to: Arc<str>,
        /// The receiver's own words.
        text: String,
    },
    /// The room itself speaks.
    Notice(String),
}

impl Line {
    /// Bytes of words and name; what a form adds to them is not counted.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Said { name, text }
            | Self::Whisper { name, text }
            | Self::Whispered { to: name, text } => name.len() + text.len(),
            Self::Notice(text) => text.len(),
        }
    }
}

/// `text`, cut to about `limit` bytes with a visible mark, for a notice that quotes it.
pub(crate) fn quote(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut quoted = text[..text.floor_char_boundary(limit)].to_owned();
    quoted.push('…');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_cut_between_characters() {
        assert_eq!(quote("飛脚飛脚", 7), "飛脚…");
    }

    #[test]
    fn a_short_quote_is_whole() {
        assert_eq!(quote("飛脚", 6), "飛脚");
    }
}
