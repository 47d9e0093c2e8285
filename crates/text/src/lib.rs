//! Makes untrusted text safe for a terminal, and measures its width there.
//!
//! In: text or bytes from anywhere. Out: text that commands no terminal and forges no line. Never:
//! reads, writes.
//!
//! - [`Foreign`]: untrusted text, which can only be shown escaped.
//! - [`sanitize`]: the escaping, which all other functions use.
//! - [`columns`]: the width of a text on a terminal.

mod escape;
mod foreign;

use unicode_width::UnicodeWidthStr as _;

pub use self::{
    escape::{collapse_blanks, is_blank, is_safe, is_shapeless, sanitize, sanitize_bytes},
    foreign::Foreign,
};

/// Returns the columns that `text` takes on a terminal.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}
