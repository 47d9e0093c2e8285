//! The terminal while the screen is open.

use std::io::{self, BufWriter, Stdout, Write as _};

use crossterm::{
    cursor::Show,
    event::{DisableBracketedPaste, EnableBracketedPaste},
    execute, queue,
    terminal::{
        BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
        disable_raw_mode, enable_raw_mode, size,
    },
};
use hikyaku_tui::{State, draw, has_agreed_widths};
use ratatui_core::{
    layout::{Position, Rect},
    terminal::Terminal,
};
use ratatui_crossterm::CrosstermBackend;

type Cells = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// A terminal in raw mode, with a screen of its own until this is dropped.
pub(super) struct Display {
    terminal: Cells,
    /// The shell has the terminal.
    is_away: bool,
    /// The terminal may have put characters in other cells than we think.
    is_uncertain: bool,
}

impl Display {
    pub(super) fn open() -> io::Result<Self> {
        enter()?;
        let backend = CrosstermBackend::new(BufWriter::new(io::stdout()));
        match Terminal::new(backend) {
            Ok(mut terminal) => {
                // Another program may have left something there.
                clear(&mut terminal)?;
                Ok(Self { terminal, is_away: false, is_uncertain: false })
            }
            Err(error) => {
                leave();
                Err(error)
            }
        }
    }

    pub(super) fn size() -> (u16, u16) {
        size().unwrap_or((80, 24))
    }

    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        if self.is_away {
            return Ok(());
        }
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        if self.is_uncertain {
            // Unchanged cells would not be drawn, and foreign output would stay on the screen.
            clear(&mut self.terminal)?;
        }
        let drawn = self.terminal.draw(|frame| draw(state, frame))?;
        self.is_uncertain = !has_agreed_widths(drawn.buffer);
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// Draws everything again the next time.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.is_away { Ok(()) } else { clear(&mut self.terminal) }
    }

    /// Writes what is no part of the screen.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_away {
            return Ok(());
        }
        let backend = self.terminal.backend_mut();
        backend.write_all(bytes)?;
        io::Write::flush(backend)
    }

    #[cfg(unix)]
    pub(super) fn give_away(&mut self) {
        if !self.is_away {
            self.is_away = true;
            leave();
        }
    }

    /// Takes the terminal back, in whatever modes it is.
    #[cfg(unix)]
    pub(super) fn take_back(&mut self) -> io::Result<()> {
        if !self.is_away {
            // The process was stopped without notice.
            let _ = disable_raw_mode();
        }
        enter()?;
        self.is_away = false;
        clear(&mut self.terminal)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if !self.is_away {
            let _ = self.terminal.show_cursor();
            leave();
        }
    }
}

/// Forgets the contents of the screen. [`Terminal::clear`] asks the terminal where its cursor is,
/// and the thread that reads keys would take the answer.
fn clear(terminal: &mut Cells) -> io::Result<()> {
    let area = Rect::from((Position::ORIGIN, terminal.size()?));
    terminal.resize(area)
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Restores as much as possible: the terminal may be gone.
fn leave() {
    let mut out = io::stdout();
    let _ = queue!(out, Show, DisableBracketedPaste, LeaveAlternateScreen);
    let _ = out.flush();
    let _ = disable_raw_mode();
}
