//! Pasted text: a single line goes into the input, longer text needs a confirmation.

use std::collections::VecDeque;

use hikyaku_chat::{Stamp, entry::Entry, limits::MAX_LINE_LEN};
use hikyaku_text::sanitize_lines;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{Effect, State};
use crate::{limits::MAX_PASTE, say::Say};

/// A pasted text that waits for confirmation.
#[derive(Clone, Debug)]
pub(crate) struct Paste {
    pub(crate) text: String,
    messages: VecDeque<String>,
}

impl Paste {
    fn new(text: String) -> Self {
        Self { messages: split(&text), text }
    }

    pub(super) fn question(&self) -> Say<'_> {
        Say::Paste {
            lines: self.text.split('\n').count(),
            bytes: self.text.len(),
            messages: self.messages.len(),
        }
    }

    pub(super) fn send(self) -> Vec<Effect> {
        self.messages.into_iter().map(|text| Effect::Enter(Entry::Text(text))).collect()
    }
}

impl State {
    pub(super) fn on_paste(&mut self, text: &str, now: Stamp) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
        let mut text = text.trim_end().to_owned();
        if text.len() > MAX_PASTE {
            text.truncate(text.floor_char_boundary(MAX_PASTE));
            self.say(Say::PasteCut { bytes: text.len() }, now);
        }
        let text = sanitize_lines(&text).into_owned();
        if text.contains('\n') || !self.editor.has_place_for(&text) {
            self.paste = Some(Paste::new(text));
        } else {
            self.editor.insert(&text);
        }
    }
}

/// Splits a text into messages, between lines if possible.
fn split(text: &str) -> VecDeque<String> {
    let mut messages = VecDeque::new();
    let mut message = String::new();
    for line in text.split_inclusive('\n') {
        if message.len() + line.trim_end().len() > MAX_LINE_LEN && !message.is_empty() {
            messages.push_back(std::mem::take(&mut message));
        }
        for character in line.graphemes(true) {
            if message.len() + character.trim_end().len() > MAX_LINE_LEN {
                messages.push_back(std::mem::take(&mut message));
            }
            message += character;
        }
    }
    messages.push_back(message);
    for message in &mut messages {
        message.truncate(message.trim_end().len());
    }
    messages.retain(|message| !message.trim().is_empty());
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_message_if_it_fits_and_breaks_between_lines() {
        assert_eq!(split("a\n  b\nc"), ["a\n  b\nc"]);
        let line = "x".repeat(MAX_LINE_LEN * 3 / 4);
        assert_eq!(split(&format!("{line}\n{line}")), [line.clone(), line]);
        let long = "飛".repeat(MAX_LINE_LEN / 2);
        let messages = split(&long);
        assert_eq!(messages.iter().map(String::as_str).collect::<String>(), long);
        assert!(messages.iter().all(|message| message.len() <= MAX_LINE_LEN));
        assert_eq!(split(&"y\n".repeat(MAX_LINE_LEN)).len(), 2);
    }

    #[test]
    fn eight_thousand_characters_of_any_script_are_one_message() {
        for line in [
            "a page of a log\n",
            "飛脚が手紙を運びます。\n",
            "👩\u{200d}👩\u{200d}👧 が e\u{301}\n",
        ] {
            let text = line.repeat(8_192 / line.len() + 1);
            assert_eq!(split(&text), [text.trim_end()]);
        }
    }
}
