//! The thread of the screen: it waits, changes the state, draws.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hikyaku_chat::{entry::Entry, screen::now};
use hikyaku_tui::{Effect, Input, State};
use tokio::sync::mpsc;

use super::{Message, display::Display, ring};
use crate::{limits::MAX_LINES_TO_SHOW, terminal};

pub(super) struct Screen {
    pub(super) state: State,
    pub(super) display: Display,
    pub(super) entries: mpsc::Sender<Entry>,
    pub(super) is_closed: Arc<AtomicBool>,
}

/// Ends the chat when the thread ends, even by a panic.
struct Interrupts;

impl Drop for Interrupts {
    fn drop(&mut self) {
        terminal::interrupt();
    }
}

impl Screen {
    /// Shows the chat until it ends or the terminal fails.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let interrupts = Interrupts;
        // An error means that the terminal is gone, and nobody can read the message.
        let _ = self.show(&mut queue);
        if self.is_closed.load(Ordering::Acquire) {
            std::mem::forget(interrupts);
        }
    }

    fn show(&mut self, queue: &mut mpsc::Receiver<Message>) -> io::Result<()> {
        let (columns, rows) = Display::size();
        self.change(Input::Size { columns, rows })?;
        self.display.draw(&self.state)?;
        while let Some(message) = queue.blocking_recv() {
            let mut next = Some(message);
            // Items that arrived together are drawn together.
            for _ in 0..MAX_LINES_TO_SHOW {
                let Some(message) = next else { break };
                if matches!(message, Message::Close) || self.is_closed.load(Ordering::Acquire) {
                    return Ok(());
                }
                self.handle(message)?;
                next = queue.try_recv().ok();
            }
            self.display.draw(&self.state)?;
        }
        Ok(())
    }

    fn handle(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Input(input) => self.change(input)?,
            #[cfg(unix)]
            Message::Suspend => {
                self.display.give_away();
                super::suspend::stop();
            }
            #[cfg(unix)]
            Message::Continued => {
                if !super::suspend::is_in_background() {
                    self.display.take_back()?;
                    let (columns, rows) = Display::size();
                    self.change(Input::Size { columns, rows })?;
                }
            }
            Message::Close => {}
        }
        Ok(())
    }

    fn change(&mut self, input: Input) -> io::Result<()> {
        for effect in self.state.on(input, now()) {
            match effect {
                Effect::Enter(entry) => self.enter(entry)?,
                Effect::Ring(text) => self.display.write(&ring::sequences(&text))?,
                Effect::Interrupt => terminal::interrupt(),
                #[cfg(unix)]
                Effect::Suspend => super::suspend::ask(),
                Effect::Redraw => self.display.clear()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Passes an entry to the chat, which may be busy.
    fn enter(&mut self, entry: Entry) -> io::Result<()> {
        match self.entries.try_send(entry) {
            Err(mpsc::error::TrySendError::Full(entry)) => self.change(Input::NotTaken(entry)),
            _ => Ok(()),
        }
    }
}
