//! Makes untrusted text safe for a terminal, measures its width there, and compares it.
//!
//! - [`sanitize`]: the escaping, which all other functions use.
//! - [`columns`]: the width of a text on a terminal.
//! - [`folded`]: the form that two texts share which a person takes for the same.

mod escape;
mod fold;

use unicode_width::UnicodeWidthStr as _;

pub use self::escape::{
    collapse_blanks, escape_json, is_blank, is_safe, is_shapeless, sanitize, sanitize_bytes,
    sanitize_lines,
};
pub use self::fold::{fold, folded, is_mark};

/// Returns the columns that `text` takes on a terminal.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}
