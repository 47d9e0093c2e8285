//! Raw mode after a stop: the shell has its own modes when it continues the command.

use std::{
    io::{self, Write as _},
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

/// Puts raw mode back and redraws the line whenever the process is continued, until this is
/// dropped.
pub(super) struct Resume(AbortHandle);

impl Resume {
    /// `redraw` may wait for the editor, so it has a thread of its own.
    pub(super) fn watch(mut redraw: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        let (sender, due) = std::sync::mpsc::sync_channel(1);
        thread::spawn(move || due.into_iter().for_each(|()| redraw()));
        let watching = tokio::spawn(async move {
            while continued.recv().await.is_some() {
                if is_in_background() {
                    continue;
                }
                // A terminal that fails has hung up, and the reader finds that out. A redraw that
                // is due already is enough.
                let _ = edit_again();
                let _ = sender.try_send(());
            }
        });
        Ok(Self(watching.abort_handle()))
    }
}

impl Drop for Resume {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns `true` if changing the terminal would stop the process once more. A terminal that does
/// not control the process has no background.
fn is_in_background() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group != getpgrp())
}

fn edit_again() -> io::Result<()> {
    let input = io::stdin();
    tcsetattr(&input, OptionalActions::Drain, &raw(tcgetattr(&input)?))?;
    // Pasted text is marked.
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
