//! Text of others made safe for a terminal, and its width there.
//!
//! In: text or bytes from anywhere. Out: text that commands no terminal and forges no line.
//! Never: reads, writes, knows who is shown it.
//!
//! - [`Foreign`]: a text of someone else, which can only be shown escaped.
//! - [`sanitize`]: the escaping itself. Every other way to it ends there.
//! - [`columns`]: the place that a text takes on a screen.

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
