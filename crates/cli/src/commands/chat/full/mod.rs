//! The chat on the full screen of a terminal.
//!
//! ```text
//! reader thread ─ keys ─▶ ┐                          ┌─▶ entries ─▶ chat
//! signals ──────────────▶ ├─ queue ─▶ screen thread ─┤
//! chat ─ what is shown ─▶ ┘            State, draw   └─▶ terminal
//! ```

use std::{
    env,
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use hikyaku_chat::{entry::Entry, member::Shown, words::Language};
use hikyaku_tui::{Input, Setup, State};
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use crate::{
    colour::{Stream, colourful},
    divert::{self, Diverted},
    limits::{MAX_LINES_AHEAD, MAX_LINES_TO_SHOW},
    terminal::{self, Restore},
};

mod display;
mod keys;
mod ring;
mod screen;
#[cfg(unix)]
mod suspend;

/// The events of the screen's thread.
enum Message {
    Input(Input),
    /// The shell takes the terminal.
    #[cfg(unix)]
    Suspend,
    /// The process continues.
    #[cfg(unix)]
    Continued,
    /// The chat has ended.
    Close,
}

/// An open screen. Dropping it restores the terminal.
pub(super) struct Full {
    messages: mpsc::Sender<Message>,
    is_closed: Arc<AtomicBool>,
    missed: u64,
    // In this order: the terminal is restored, then what it could not show is printed.
    _restore: Restore,
    _diverted: Diverted,
}

/// The reader of the screen.
pub(super) struct Reader<'a> {
    pub(super) name: &'a str,
    pub(super) language: Language,
    pub(super) is_host: bool,
}

/// Opens the screen if standard input and output are a terminal that can show it. Also returns what
/// the reader enters.
pub(super) fn open(reader: &Reader<'_>) -> Option<(mpsc::Receiver<Entry>, Full)> {
    if !is_able() {
        return None;
    }
    let restore = Restore::remember();
    let display = display::Display::open().ok()?;
    let (messages, queue) = mpsc::channel(MAX_LINES_TO_SHOW);
    let (entries, entered) = mpsc::channel(MAX_LINES_AHEAD);
    let is_closed = Arc::<AtomicBool>::default();
    let zone = TimeZone::system();
    let mut setup = Setup::new(reader.name, zone);
    setup.language = reader.language;
    setup.is_host = reader.is_host;
    setup.has_colour = colourful(Stream::Stdout);
    let (done, shown) = std::sync::mpsc::channel::<()>();
    let screen = screen::Screen {
        state: State::new(setup),
        display,
        entries,
        is_closed: Arc::clone(&is_closed),
    };
    thread::spawn(move || {
        let _done = done;
        screen.run(queue);
    });
    let keys = messages.clone();
    thread::spawn(move || keys::read(&keys));
    #[cfg(unix)]
    suspend::watch(&messages);
    let notes_before = divert::kept_notes();
    let notes = messages.clone();
    let diverted = divert::divert(move |text| {
        let _ = notes.try_send(Message::Input(Input::Notice(text)));
    });
    let restore = restore.of_screen(shown);
    for note in notes_before {
        let _ = messages.try_send(Message::Input(Input::Notice(note)));
    }
    let full = Full { messages, is_closed, missed: 0, _restore: restore, _diverted: diverted };
    Some((entered, full))
}

/// Returns `true` if there is a terminal that can show the screen.
pub(super) fn is_able() -> bool {
    let is_dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let has_size = terminal::columns().is_some();
    terminal::is_interactive() && std::io::stderr().is_terminal() && !is_dumb && has_size
}

impl Full {
    /// Shows items, and waits while the terminal is slow.
    pub(super) async fn show(&mut self, shown: Vec<Shown>) {
        for item in shown {
            // A screen that has failed ends the chat.
            let _ = self.messages.send(Message::Input(Input::Shown(item))).await;
        }
    }

    /// Shows an item, or drops it if the terminal is too slow, because a host does not wait.
    pub(super) fn show_now(&mut self, item: Shown) {
        if self.missed > 0 {
            let text = say!("({} lines not shown)", "（{} 行を表示できませんでした）", self.missed);
            if self.messages.try_send(Message::Input(Input::Notice(text))).is_ok() {
                self.missed = 0;
            }
        }
        if self.messages.try_send(Message::Input(Input::Shown(item))).is_err() {
            self.missed += 1;
        }
    }

    /// Returns what shows a line of the program itself.
    pub(super) fn notices(&self) -> terminal::Show {
        let messages = self.messages.clone();
        Box::new(move |line| {
            let text = divert::without_colour(&line.to_string());
            let _ = messages.try_send(Message::Input(Input::Notice(text)));
        })
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Release);
        // If the queue is full, the thread sees the flag.
        let _ = self.messages.try_send(Message::Close);
    }
}
