//! A line of text for a terminal, escaped.
//!
//! Never: a second line, or an escape sequence that is not our own.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Color, Style};
use hikyaku_text::sanitize;

use crate::colour::{Stream, colourful};

/// A line, without its end. All text is escaped as it is added; only the output of a format
/// ([`Line::formatted`]) is used unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line(String);

impl Line {
    /// Appends text, escaped.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0 += &sanitize(text);
        self
    }

    /// Wraps the output of [`crate::args::Format::write`], which does its own escaping; raw output
    /// is unescaped on request.
    pub(crate) fn formatted(message: &[u8]) -> Self {
        Self(String::from_utf8_lossy(message).trim_end_matches('\n').to_owned())
    }

    /// Appends text in a colour, or without if the stream has none.
    pub(crate) fn coloured(self, stream: Stream, colour: AnsiColor, text: &str) -> Self {
        if !colourful(stream) {
            return self.text(text);
        }
        let style = Style::new().fg_color(Some(Color::Ansi(colour)));
        let mut line = Self(self.0 + &style.render().to_string()).text(text);
        line.0 += &style.render_reset().to_string();
        line
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::default().text(text)
    }
}

impl From<&String> for Line {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_whatever_it_contains() {
        let forged = "b.txt\x1b[2J\nsaved: 9 of 9 files\r\u{202e}";
        let line = Line::from(forged).text(forged).coloured(Stream::Stdout, AnsiColor::Red, forged);
        let shown = line.to_string();
        assert!(shown.chars().all(hikyaku_text::is_safe), "{shown:?}");
        assert!(shown.starts_with("b.txt\\x1b[2J\\nsaved: 9 of 9 files\\r\\u{202e}b"), "{shown}");
    }
}
