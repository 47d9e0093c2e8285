//! Terminal modes after a stop: the shell sets its own when it continues the command.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd,
    thread,
};

use rustix::{
    process::{Signal, getpgrp},
    termios::{
        ControlModes, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios,
        tcgetattr, tcgetpgrp, tcsetattr,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::AbortHandle,
};

/// Restores modes and redraws whenever the process is continued, until this is dropped.
pub(super) struct Resume(AbortHandle);

impl Resume {
    /// Watches a terminal whose modes are set by `modes`. `redraw` may block, so it has its own
    /// thread.
    pub(super) fn watch(
        terminal: impl AsFd + Send + 'static,
        modes: fn(Termios) -> Termios,
        mut redraw: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        let (sender, due) = std::sync::mpsc::sync_channel(1);
        thread::spawn(move || due.into_iter().for_each(|()| redraw()));
        let watching = tokio::spawn(async move {
            while continued.recv().await.is_some() {
                if is_in_background(&terminal) {
                    continue;
                }
                // A terminal that fails has hung up, which the reader will notice. One pending
                // redraw is enough.
                let _ = change(&terminal, modes);
                let _ = sender.try_send(());
            }
        });
        Ok(Self(watching.abort_handle()))
    }

    /// Watches over a line that is edited.
    pub(super) fn edit(mut redraw: impl FnMut() + Send + 'static) -> io::Result<Self> {
        Self::watch(io::stdin(), raw, move || {
            let _ = mark_pastes();
            redraw();
        })
    }

    /// Watches over a question whose answer is not shown.
    pub(super) fn hide(question: String) -> io::Result<Self> {
        let terminal = controlling()?;
        let mut out = terminal.try_clone()?;
        Self::watch(terminal, hidden, move || {
            let _ = out.write_all(question.as_bytes());
        })
    }
}

/// Opens the terminal that controls the process.
pub(super) fn controlling() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

impl Drop for Resume {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns `true` if changing the terminal would stop the process again. A terminal that does not
/// control the process has no background.
fn is_in_background(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group != getpgrp())
}

fn change(terminal: impl AsFd, modes: fn(Termios) -> Termios) -> io::Result<()> {
    Ok(tcsetattr(&terminal, OptionalActions::Drain, &modes(tcgetattr(&terminal)?))?)
}

fn mark_pastes() -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(b"\x1b[?2004h").and_then(|()| out.flush())
}

/// Returns the modes in which rustyline reads keys.
fn raw(mut modes: Termios) -> Termios {
    modes.input_modes -= InputModes::BRKINT
        | InputModes::ICRNL
        | InputModes::INPCK
        | InputModes::ISTRIP
        | InputModes::IXON;
    modes.control_modes |= ControlModes::CS8;
    modes.local_modes -=
        LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}

/// Returns the modes in which rpassword reads keys.
fn hidden(mut modes: Termios) -> Termios {
    modes.local_modes -=
        LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}
