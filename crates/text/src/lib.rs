//! Makes untrusted text safe for a terminal, and measures its width there.
//!
//! - [`sanitize`]: the escaping, which all other functions use.
//! - [`columns`]: the width of a text on a terminal.

mod escape;

use unicode_width::UnicodeWidthStr as _;

pub use self::escape::{
    collapse_blanks, escape_json, is_blank, is_safe, is_shapeless, sanitize, sanitize_bytes,
    sanitize_lines,
};

/// Returns the columns that `text` takes on a terminal.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}
