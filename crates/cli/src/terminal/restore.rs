//! Restores the terminal.

use std::{
    fs::File,
    io::{self, IsTerminal, Write as _},
    sync::mpsc::Receiver,
};

use crate::limits::LAST_WRITE;

/// Restores the terminal when dropped: ending while a line is edited would leave it in raw mode,
/// and lines may still be waiting to be shown.
pub(crate) struct Restore {
    terminal: Option<Saved>,
    shown: Option<Receiver<()>>,
    /// A line is edited: the prompt is on the screen.
    is_edited: bool,
    /// Dropped before the terminal is restored.
    #[cfg(unix)]
    resume: Option<super::resume::Resume>,
}

#[cfg(unix)]
struct Saved {
    /// The terminal under another number than that of standard input.
    terminal: std::os::fd::OwnedFd,
    modes: rustix::termios::Termios,
}
#[cfg(not(unix))]
type Saved = ();

impl Restore {
    /// Restores the terminal as it is now.
    #[cfg(unix)]
    pub(crate) fn remember() -> Self {
        let terminal = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3).ok();
        let mut restore = Self::nothing(None);
        restore.terminal = terminal.and_then(saved);
        restore
    }

    #[cfg(not(unix))]
    pub(crate) const fn remember() -> Self {
        Self::nothing(None)
    }

    /// Restores the terminal, which is about to ask `question` and hide the answer. Until then, it
    /// asks and hides again when the process is continued.
    #[cfg(unix)]
    pub(super) fn of_secret(question: &str) -> Self {
        use super::resume::{Resume, controlling};
        let mut restore = Self::nothing(None);
        restore.terminal = controlling().ok().and_then(|terminal| saved(terminal.into()));
        restore.resume = Resume::hide(question.to_owned()).ok();
        restore
    }

    #[cfg(not(unix))]
    pub(super) const fn of_secret(_: &str) -> Self {
        Self::nothing(None)
    }

    /// Waits for `shown` to be disconnected, and restores nothing.
    pub(super) const fn nothing(shown: Option<Receiver<()>>) -> Self {
        Self {
            terminal: None,
            shown,
            is_edited: false,
            #[cfg(unix)]
            resume: None,
        }
    }

    /// Waits for `shown`, too: a full screen is left until then.
    #[cfg(feature = "tui")]
    pub(crate) fn of_screen(mut self, shown: Receiver<()>) -> Self {
        (self.shown, self.is_edited) = (Some(shown), true);
        self
    }

    /// Waits for `shown`, too, and removes the prompt. Until then, `redraw` is called when the
    /// process is continued.
    #[cfg_attr(not(unix), expect(unused_variables, reason = "processes are not stopped there"))]
    pub(super) fn of_editor(
        mut self,
        shown: Receiver<()>,
        redraw: impl FnMut() + Send + 'static,
    ) -> Self {
        (self.shown, self.is_edited) = (Some(shown), true);
        #[cfg(unix)]
        {
            // Without it, the next key redraws the line.
            self.resume = super::resume::Resume::edit(redraw).ok();
        }
        self
    }
}

#[cfg(unix)]
fn saved(terminal: std::os::fd::OwnedFd) -> Option<Saved> {
    let modes = rustix::termios::tcgetattr(&terminal).ok()?;
    Some(Saved { terminal, modes })
}

impl Drop for Restore {
    fn drop(&mut self) {
        #[cfg(unix)]
        drop(self.resume.take());
        #[cfg(unix)]
        if let Some(Saved { terminal, modes }) = &self.terminal {
            // A thread may still edit a line, and would change the modes again. It is left with
            // nothing to read and nothing to change.
            if self.is_edited
                && let Ok(nothing) = File::open("/dev/null")
            {
                let _ = rustix::stdio::dup2_stdin(&nothing);
            }
            let now = rustix::termios::OptionalActions::Now;
            let _ = rustix::termios::tcsetattr(terminal, now, modes);
        }
        if let Some(shown) = &self.shown {
            let _ = shown.recv_timeout(LAST_WRITE);
        }
        if self.is_edited && io::stdout().is_terminal() {
            // The prompt, and the mode in which pasted text is marked.
            let mut out = io::stdout().lock();
            let _ = out.write_all(b"\r\x1b[K\x1b[?2004l").and_then(|()| out.flush());
        }
    }
}
