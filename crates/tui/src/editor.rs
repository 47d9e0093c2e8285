//! The input line, edited by whole characters as readers see them.
//!
//! Written here because existing text areas move by code points: the arrow keys would stop seven
//! times inside a family emoji.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::limits::{MAX_ENTERED, MAX_INPUT};

#[derive(Clone, Debug, Default)]
pub(crate) struct Editor {
    text: String,
    /// The insertion point, between two characters.
    caret: usize,
    /// What was deleted last, for Ctrl-Y.
    killed: String,
    entered: VecDeque<String>,
    /// Which of the entered lines is shown, counted from the newest.
    shown: Option<usize>,
    /// The draft that was being typed before an entered line was shown.
    draft: String,
    completing: Option<Completing>,
}

/// Completions of one word; each Tab shows the next.
#[derive(Clone, Debug)]
struct Completing {
    start: usize,
    words: Vec<String>,
    next: usize,
}

impl Editor {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) const fn caret(&self) -> usize {
        self.caret
    }

    pub(crate) fn before_caret(&self) -> &str {
        &self.text[..self.caret]
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn has_place_for(&self, text: &str) -> bool {
        self.text.len() + text.len() <= MAX_INPUT
    }

    pub(crate) fn insert(&mut self, text: &str) {
        if !self.has_place_for(text) {
            return;
        }
        self.completing = None;
        self.text.insert_str(self.caret, text);
        // A mark joins the character before it.
        self.caret = self.next_edge(self.caret + text.len());
    }

    pub(crate) fn set(&mut self, text: String) {
        self.caret = text.len();
        self.text = text;
        self.completing = None;
    }

    /// Takes the line, which is remembered.
    pub(crate) fn take(&mut self) -> String {
        (self.caret, self.shown, self.completing) = (0, None, None);
        let text = std::mem::take(&mut self.text);
        if !text.trim().is_empty() && self.entered.front() != Some(&text) {
            self.entered.push_front(text.clone());
            self.entered.truncate(MAX_ENTERED);
        }
        text
    }

    pub(crate) fn left(&mut self) {
        self.move_to(self.last_edge(self.caret));
    }

    pub(crate) fn right(&mut self) {
        self.move_to(self.next_edge(self.caret + 1));
    }

    pub(crate) fn home(&mut self) {
        self.move_to(0);
    }

    pub(crate) fn end(&mut self) {
        self.move_to(self.text.len());
    }

    pub(crate) fn word_left(&mut self) {
        self.move_to(self.last_word());
    }

    pub(crate) fn word_right(&mut self) {
        let words = self.text[self.caret..].unicode_word_indices();
        let end = words.map(|(at, word)| at + word.len()).next();
        self.move_to(end.map_or(self.text.len(), |end| self.caret + end));
    }

    pub(crate) fn backspace(&mut self) {
        let start = self.last_edge(self.caret);
        self.remove(start, self.caret);
    }

    pub(crate) fn delete(&mut self) {
        let end = self.next_edge(self.caret + 1);
        self.remove(self.caret, end);
    }

    pub(crate) fn kill_to_end(&mut self) {
        self.kill(self.caret, self.text.len());
    }

    pub(crate) fn kill_to_start(&mut self) {
        self.kill(0, self.caret);
    }

    pub(crate) fn kill_word(&mut self) {
        self.kill(self.last_word(), self.caret);
    }

    pub(crate) fn yank(&mut self) {
        let killed = self.killed.clone();
        self.insert(&killed);
    }

    /// Shows the previous entered line.
    pub(crate) fn older(&mut self) {
        let next = self.shown.map_or(0, |shown| shown + 1);
        let Some(line) = self.entered.get(next).cloned() else { return };
        if self.shown.is_none() {
            self.draft = self.text.clone();
        }
        self.set(line);
        self.shown = Some(next);
    }

    /// Shows the next entered line; after the last one, the draft.
    pub(crate) fn newer(&mut self) {
        let Some(shown) = self.shown else { return };
        let next = shown.checked_sub(1);
        let line = match next {
            Some(next) => self.entered[next].clone(),
            None => std::mem::take(&mut self.draft),
        };
        self.set(line);
        self.shown = next;
    }

    /// Continues with the completions of the last Tab. Returns `false` if there are none.
    pub(crate) fn complete_next(&mut self, back: bool) -> bool {
        let Some(mut completing) = self.completing.take() else { return false };
        let count = completing.words.len();
        let step = if back { count - 1 } else { 1 };
        completing.next = (completing.next + step) % count;
        self.put(completing);
        true
    }

    /// Replaces the text between `start` and the caret with the first of `words`.
    pub(crate) fn complete(&mut self, start: usize, words: Vec<String>) {
        if !words.is_empty() {
            self.put(Completing { start, words, next: 0 });
        }
    }

    fn put(&mut self, completing: Completing) {
        let word = &completing.words[completing.next];
        self.text.replace_range(completing.start..self.caret, word);
        self.caret = completing.start + word.len();
        self.completing = Some(completing);
    }

    fn move_to(&mut self, caret: usize) {
        self.caret = caret;
        self.completing = None;
    }

    fn kill(&mut self, start: usize, end: usize) {
        if start < end {
            self.text[start..end].clone_into(&mut self.killed);
            self.remove(start, end);
        }
    }

    fn remove(&mut self, start: usize, end: usize) {
        self.text.replace_range(start..end, "");
        // The characters around it may have joined.
        self.move_to(self.next_edge(start));
    }

    /// Returns the nearest boundary between two characters that is not before `at`.
    fn next_edge(&self, at: usize) -> usize {
        let mut edges = self.text.grapheme_indices(true).map(|(edge, _)| edge);
        edges.find(|edge| *edge >= at).unwrap_or(self.text.len())
    }

    fn last_edge(&self, at: usize) -> usize {
        let edges = self.text.grapheme_indices(true).map(|(edge, _)| edge);
        edges.take_while(|edge| *edge < at).last().unwrap_or(0)
    }

    fn last_word(&self) -> usize {
        let mut words = self.before_caret().unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAMILY: &str = "👩\u{200d}👩\u{200d}👧\u{200d}👦";

    fn typed(text: &str) -> Editor {
        let mut editor = Editor::default();
        text.chars().for_each(|c| editor.insert(c.encode_utf8(&mut [0; 4])));
        editor
    }

    #[test]
    fn a_character_of_several_code_points_is_one() {
        let mut editor = typed(&format!("a{FAMILY}が"));
        editor.left();
        editor.left();
        assert_eq!(editor.before_caret(), "a");
        editor.delete();
        assert_eq!(editor.text(), "aが");
        editor.end();
        editor.backspace();
        assert_eq!(editor.text(), "a");
    }

    #[test]
    fn keys_of_other_line_editors_work_alike() {
        let mut editor = typed("tea is ready");
        editor.kill_word();
        assert_eq!(editor.text(), "tea is ");
        editor.home();
        editor.word_right();
        editor.kill_to_end();
        assert_eq!(editor.text(), "tea");
        editor.yank();
        editor.kill_to_start();
        editor.yank();
        assert_eq!((editor.text(), editor.caret()), ("tea is ", 7));
        editor.word_left();
        assert_eq!(editor.before_caret(), "tea ");
    }

    #[test]
    fn entered_lines_are_recalled_and_the_draft_after_them() {
        let mut editor = typed("one");
        editor.take();
        editor.set("two".to_owned());
        editor.take();
        editor.insert("draft");
        editor.older();
        editor.older();
        editor.older();
        assert_eq!(editor.text(), "one");
        editor.newer();
        assert_eq!(editor.text(), "two");
        editor.newer();
        assert_eq!(editor.text(), "draft");
        for n in 0..MAX_ENTERED + 5 {
            editor.set(n.to_string());
            editor.take();
        }
        assert_eq!(editor.entered.len(), MAX_ENTERED);
    }

    #[test]
    fn no_line_is_longer_than_a_message() {
        let mut editor = Editor::default();
        editor.insert(&"x".repeat(MAX_INPUT));
        editor.insert("y");
        assert_eq!(editor.text().len(), MAX_INPUT);
    }

    proptest! {
        #[test]
        fn the_caret_is_always_between_two_characters(
            keys in prop::collection::vec(
                (0_usize..13, "[a 日👩\u{200d}\u{fe0f}か\u{3099}\u{0301}]"),
                0..40,
            ),
        ) {
            let mut editor = Editor::default();
            for (key, text) in keys {
                match key {
                    0 => editor.left(),
                    1 => editor.right(),
                    2 => editor.backspace(),
                    3 => editor.delete(),
                    4 => editor.word_left(),
                    5 => editor.word_right(),
                    6 => editor.kill_word(),
                    7 => editor.yank(),
                    8 => editor.home(),
                    _ => editor.insert(&text),
                }
                let edges: Vec<_> = editor.text.grapheme_indices(true).map(|(at, _)| at).collect();
                prop_assert!(editor.caret == editor.text.len() || edges.contains(&editor.caret));
            }
        }
    }
}
