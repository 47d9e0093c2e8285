//! Returns the terminal to the shell and takes it back: Ctrl-Z, `fg`.

use std::io;

use rustix::{
    process::{Signal, getpgrp, getpid, getsid, kill_current_process_group, kill_process},
    termios::tcgetpgrp,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::Message;

/// Forwards the signals that stop and continue the process.
pub(super) fn watch(messages: &mpsc::Sender<Message>) {
    let stopping = signal(SignalKind::from_raw(Signal::TSTP.as_raw()));
    let continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()));
    // Without these signals, the next key redraws what has changed.
    let (Ok(mut stopping), Ok(mut continued)) = (stopping, continued) else { return };
    // Weak, so that this does not keep the screen open.
    let messages = messages.downgrade();
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                Some(()) = stopping.recv() => Message::Suspend,
                Some(()) = continued.recv() => Message::Continued,
                else => return,
            };
            let Some(messages) = messages.upgrade() else { return };
            if messages.send(message).await.is_err() {
                return;
            }
        }
    });
}

/// Asks everyone in the job to stop, this process included. A job that a shell did not start is
/// not stopped: nothing could continue it.
pub(super) fn ask() {
    let has_shell = getsid(None).is_ok_and(|session| session != getpgrp());
    if has_shell {
        let _ = kill_current_process_group(Signal::TSTP);
    }
}

/// Stops this process, until it is continued.
pub(super) fn stop() {
    let _ = kill_process(getpid(), Signal::STOP);
}

/// Returns `true` if changing the terminal would stop the process again.
pub(super) fn is_in_background() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group != getpgrp())
}
