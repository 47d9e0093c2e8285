//! A line editor, with lines of others shown above the one being typed.

use std::{
    io::{self, Write as _},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use hikyaku_text::columns;
use rustyline::{
    Config, Editor, ExternalPrinter as _, Helper, Result as EditorResult,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::MemHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};
use tokio::sync::mpsc;

use super::{CTRL_C_TYPED, Lines, Pasted, Restore, Show, Typed, show_in_background};
use crate::{exit::Failure, limits::MAX_LINES_AHEAD};

/// What happens to a typed line on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    /// It stays.
    Keep,
    /// It is removed: messages are shown like those of others, and commands are not shown.
    Erase,
}

/// Reads lines at the terminal. A pasted block is one line for the editor, and several for us.
pub(super) fn read_terminal(prompt: &'static str, echo: Echo) -> Result<(Lines, Show), Failure> {
    let restore = Restore::remember();
    let config = Config::builder().bracketed_paste(true).build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history).map_err(Failure::failed)?;
    let gate = Arc::<Gate>::default();
    editor.set_helper(Some(Accepting(Arc::clone(&gate))));
    let mut printer = editor.create_external_printer().map_err(Failure::failed)?;
    let mut redrawing = editor.create_external_printer().map_err(Failure::failed)?;
    let (sender, queue) = mpsc::channel(MAX_LINES_AHEAD);
    let opened = Arc::clone(&gate);
    thread::spawn(move || {
        loop {
            let line = editor.readline(prompt);
            if let (Ok(line), Echo::Erase) = (&line, echo) {
                erase(prompt, line);
            }
            opened.open();
            let line = match line {
                Ok(line) => line,
                Err(ReadlineError::Eof) => return,
                // While a line is edited, Ctrl-C is a key and raises no signal.
                Err(ReadlineError::Interrupted) => return CTRL_C_TYPED.notify_one(),
                Err(e) => {
                    let _ = sender.blocking_send(Err(io::Error::other(e)));
                    return;
                }
            };
            // The history serves the arrow keys and stays in memory.
            let _ = editor.add_history_entry(&line);
            if !hand_over(&line, &sender) {
                return;
            }
        }
    });
    let still = Arc::clone(&gate);
    // The editor redraws its line below the output: the row above it, and the line itself.
    let redraw = move || {
        still.pass(|| redrawing.print("\x1b[A\n".to_owned())).unwrap_or_default();
    };
    let (show, shown) = show_in_background(move |line| {
        gate.pass(|| printer.print(format!("{line}\n"))).unwrap_or_default();
    });
    Ok((Lines { queue, restore: restore.of_editor(shown, redraw) }, show))
}

/// Returns `false` when no more should be read: nobody receives it, or the user leaves and should
/// see no further prompt.
fn hand_over(entered: &str, sender: &mpsc::Sender<io::Result<Typed>>) -> bool {
    let mut lines = entered.split('\n').peekable();
    let is_block = entered.contains('\n');
    while let Some(line) = lines.next() {
        let pasted = match (is_block, lines.peek()) {
            (false, _) => Pasted::No,
            (true, Some(_)) => Pasted::More,
            (true, None) => Pasted::Last,
        };
        let typed = Typed { text: line.as_bytes().to_vec(), pasted };
        let leaves = typed.leaves();
        if sender.blocking_send(Ok(typed)).is_err() || leaves {
            return false;
        }
    }
    true
}

/// Removes what was entered from the screen.
fn erase(prompt: &str, entered: &str) {
    let rows = rows(prompt, entered, width());
    let mut out = io::stdout().lock();
    let _ = write!(out, "\x1b[{rows}A\r\x1b[J").and_then(|()| out.flush());
}

/// Returns how many rows of the screen a prompt and what was entered fill. After a full row the
/// cursor is on the next one.
fn rows(prompt: &str, entered: &str, width: usize) -> usize {
    let wide = |line: &str| columns(&line.replace('\t', "        "));
    let mut first = columns(prompt);
    let each = entered.split('\n').map(|line| {
        let columns = std::mem::take(&mut first) + wide(line);
        columns / width.max(1) + 1
    });
    each.sum()
}

#[cfg(unix)]
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    // A terminal that does not know its size has 0 columns; the editor takes it for 80.
    size.ok().map(|size| size.ws_col.into()).filter(|width| *width > 0).unwrap_or(80)
}

#[cfg(not(unix))]
const fn width() -> usize {
    80
}

/// Closed from the moment a line is accepted until it is removed from the screen: a line of others
/// that is shown in between would be removed instead.
#[derive(Debug, Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn close(&self) {
        *self.is_closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn open(&self) {
        *self.is_closed.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.opened.notify_all();
    }

    /// Does `work` while the gate is open.
    fn pass<T>(&self, work: impl FnOnce() -> T) -> T {
        let closed = self.is_closed.lock().unwrap_or_else(PoisonError::into_inner);
        let _open = self
            .opened
            .wait_while(closed, |closed| *closed)
            .unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

/// Closes the gate when a line is accepted.
struct Accepting(Arc<Gate>);

impl Validator for Accepting {
    fn validate(&self, _: &mut ValidationContext<'_>) -> EditorResult<ValidationResult> {
        self.0.close();
        Ok(ValidationResult::Valid(None))
    }
}

impl Completer for Accepting {
    type Candidate = String;
}

impl Hinter for Accepting {
    type Hint = String;
}

impl Highlighter for Accepting {}

impl Helper for Accepting {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_a_pasted_block_is_text() {
        let (sender, mut queue) = mpsc::channel(8);
        assert!(hand_over("one\nq\ntwo", &sender));
        let typed = |text: &str, pasted| Typed { text: text.as_bytes().to_vec(), pasted };
        for (line, pasted) in [("one", Pasted::More), ("q", Pasted::More), ("two", Pasted::Last)] {
            let taken = queue.try_recv().unwrap().unwrap();
            assert!(!taken.leaves());
            assert_eq!(taken, typed(line, pasted));
        }
        for leaving in ["q", "ｑ"] {
            assert!(!hand_over(leaving, &sender), "no other prompt is shown");
            assert!(queue.try_recv().unwrap().unwrap().leaves());
        }
    }

    #[test]
    fn the_rows_of_a_line_are_counted_as_the_screen_has_them() {
        assert_eq!(rows("> ", "hi", 80), 1);
        assert_eq!(rows("> ", &"x".repeat(77), 80), 1);
        assert_eq!(rows("> ", &"x".repeat(78), 80), 2);
        assert_eq!(rows("> ", &"飛".repeat(39), 80), 2);
        assert_eq!(rows("> ", "one\ntwo", 80), 2);
    }
}
