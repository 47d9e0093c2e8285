//! Lines from a person or a pipe, and lines shown above the one being typed.
//!
//! In: standard input. Out: lines, one at a time. Never: what a line means.
//!
//! Reading blocks, so it has a thread of its own; a bounded queue makes a pipe wait for us.

use std::{
    env,
    io::{self, BufRead, IsTerminal, Read},
    thread,
};

use hikyaku::limits::MAX_PAYLOAD_V6;
use rustyline::{DefaultEditor, ExternalPrinter as _, error::ReadlineError};
use tokio::sync::{Notify, mpsc};
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Lines read ahead of their use.
const MAX_LINES_AHEAD: usize = 64;

/// A line longer than this fits in no datagram, even as hexadecimal digits between spaces.
const MAX_LINE_LEN: usize = 4 * MAX_PAYLOAD_V6;

/// Ctrl-C came as a key press.
static CTRL_C_TYPED: Notify = Notify::const_new();

/// Is a person typing?
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Lines of standard input, without their ends. A failed read ends them with its error.
pub(crate) struct Lines {
    pub(crate) queue: mpsc::Receiver<io::Result<Vec<u8>>>,
    restore: Restore,
}

impl Lines {
    /// The queue alone, to be moved away; what remains restores the terminal when dropped.
    pub(crate) fn split(self) -> (Restore, mpsc::Receiver<io::Result<Vec<u8>>>) {
        (self.restore, self.queue)
    }
}

/// Shows lines above the one being typed.
pub(crate) type Show = Box<dyn FnMut(&str) + Send>;

/// Reads standard input: with a prompt and line editing where a person types, as it comes
/// otherwise.
pub(crate) fn read_lines(prompt: &'static str) -> Result<(Lines, Show), Failure> {
    if is_interactive() {
        return read_terminal(prompt);
    }
    let (sender, queue) = mpsc::channel(MAX_LINES_AHEAD);
    thread::spawn(move || read_pipe(io::stdin().lock(), &sender));
    let show: Show = Box::new(|line| {
        // Whoever reads our output may be gone; the chat goes on for the others.
        let _ = crate::output::print_line(line);
    });
    Ok((Lines { queue, restore: Restore::nothing() }, show))
}

fn read_pipe(mut input: impl BufRead, sender: &mpsc::Sender<io::Result<Vec<u8>>>) {
    loop {
        let line = next_line(&mut input);
        let failed = line.is_err();
        let Some(line) = line.transpose() else { return };
        if sender.blocking_send(line).is_err() || failed {
            return;
        }
    }
}

fn next_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = MAX_LINE_LEN as u64 + 2;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() > MAX_LINE_LEN {
        let message = format!("a line longer than {MAX_LINE_LEN} bytes fits in no datagram");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(line))
}

fn read_terminal(prompt: &'static str) -> Result<(Lines, Show), Failure> {
    let restore = Restore::remember();
    let mut editor = DefaultEditor::new().map_err(Failure::failed)?;
    let mut printer = editor.create_external_printer().map_err(Failure::failed)?;
    let (sender, queue) = mpsc::channel(MAX_LINES_AHEAD);
    thread::spawn(move || {
        loop {
            let line = match editor.readline(prompt) {
                Ok(line) => line,
                Err(ReadlineError::Eof) => return,
                // While a line is edited, Ctrl-C is a key and raises no signal.
                Err(ReadlineError::Interrupted) => return CTRL_C_TYPED.notify_one(),
                Err(e) => {
                    let _ = sender.blocking_send(Err(io::Error::other(e)));
                    return;
                }
            };
            // The history is for the arrow keys; it is in memory only.
            let _ = editor.add_history_entry(&line);
            if sender.blocking_send(Ok(line.into_bytes())).is_err() {
                return;
            }
        }
    });
    let show: Show = Box::new(move |line| {
        let _ = printer.print(format!("{line}\n"));
    });
    Ok((Lines { queue, restore }, show))
}

/// Puts the terminal back as it was: ending while a line is being edited would leave it raw.
pub(crate) struct Restore(#[cfg(unix)] Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Restore {
    const fn nothing() -> Self {
        Self(None)
    }

    fn remember() -> Self {
        Self(rustix::termios::tcgetattr(io::stdin()).ok())
    }
}

#[cfg(unix)]
impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let now = rustix::termios::OptionalActions::Now;
            let _ = rustix::termios::tcsetattr(io::stdin(), now, before);
        }
    }
}

#[cfg(not(unix))]
impl Restore {
    const fn nothing() -> Self {
        Self()
    }

    const fn remember() -> Self {
        Self()
    }
}

/// Asks for a secret at the terminal, without showing it.
pub(crate) fn ask_secret(question: &str) -> io::Result<Zeroizing<String>> {
    rpassword::prompt_password(question).map(Zeroizing::new)
}

/// The name of the user, as the system's environment tells it.
pub(crate) fn user_name() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| env::var(name).ok())
}

/// `user@host`, for the comment of a key.
pub(crate) fn user_at_host() -> String {
    let user = user_name().unwrap_or_else(|| "someone".to_owned());
    #[cfg(unix)]
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let host = env::var("COMPUTERNAME").unwrap_or_else(|_| "here".to_owned());
    format!("{user}@{host}")
}

/// The wish of the user or the system that we end: Ctrl-C, or a termination signal.
pub(crate) struct Ending {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Ending {
    /// From here on a signal no longer kills us: it is waited for.
    pub(crate) fn watch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    /// Resolves when the end is wanted. Cancel-safe.
    pub(crate) async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = CTRL_C_TYPED.notified() => {}
        }
    }
}

#[cfg(not(unix))]
impl Ending {
    pub(crate) fn watch() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn wanted(&mut self) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = CTRL_C_TYPED.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<Vec<u8>> {
        let mut input = input;
        std::iter::from_fn(|| next_line(&mut input).unwrap()).collect()
    }

    #[test]
    fn line_ends_are_cut_and_a_last_line_without_one_counts() {
        assert_eq!(lines(b"a\n\r\nb\r\nc"), [b"a".to_vec(), vec![], b"b".to_vec(), b"c".to_vec()]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn an_endless_line_is_an_error_not_a_full_memory() {
        let mut input = io::repeat(b'x').take(1 << 30);
        let mut input = io::BufReader::new(&mut input);
        assert!(next_line(&mut input).is_err());
    }
}
