//! Reads lines from a person or a pipe, and shows lines above the one being typed.
//!
//! Reading blocks, so it has a thread of its own; a bounded queue makes a pipe wait.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write as _},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
};

use hikyaku_text::sanitize;
use tokio::sync::{Notify, mpsc};
use zeroize::Zeroizing;

use crate::{
    exit::Failure,
    limits::{MAX_LINE_LEN, MAX_LINES_AHEAD, MAX_LINES_TO_SHOW},
    line::Line,
    words::{Both, Member, Sender},
};

mod editor;
mod restore;
#[cfg(unix)]
mod resume;

pub(crate) use self::{editor::Echo, restore::Restore};

/// Notified when Ctrl-C arrives as a key press.
static CTRL_C_TYPED: Notify = Notify::const_new();

/// Does what Ctrl-C does.
#[cfg(feature = "tui")]
pub(crate) fn interrupt() {
    CTRL_C_TYPED.notify_one();
}

/// The first error of showing a line; a reader that has gone is not an error.
static SHOW_ERROR: OnceLock<io::Error> = OnceLock::new();

/// Returns why lines could not be shown, if some could not.
pub(crate) fn show_error() -> Option<&'static io::Error> {
    SHOW_ERROR.get()
}

/// Returns `true` if a person is typing.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// A line of standard input, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) text: Vec<u8>,
    pub(crate) pasted: Pasted,
}

/// Whether a line is one of several that were pasted together: then it is text, and no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pasted {
    /// It was typed alone.
    No,
    /// More lines of the block follow.
    More,
    /// It is the last one of the block.
    Last,
}

impl Typed {
    /// Returns `true` for `q`, typed alone. An input method may make it a full-width one.
    pub(crate) fn leaves(&self) -> bool {
        matches!(std::str::from_utf8(&self.text), Ok("q" | "ｑ")) && self.pasted == Pasted::No
    }
}

type Queue = mpsc::Receiver<io::Result<Typed>>;

/// Lines of standard input. A read error is the last item.
pub(crate) struct Lines {
    pub(crate) queue: Queue,
    restore: Restore,
}

impl Lines {
    /// Separates the queue from the guard that restores the terminal when dropped.
    pub(crate) fn split(self) -> (Restore, Queue) {
        (self.restore, self.queue)
    }
}

/// Shows lines above the one being typed.
pub(crate) type Show = Box<dyn FnMut(Line) + Send>;

/// The same, shared by several tasks.
pub(crate) struct SharedShow(Mutex<Show>);

impl SharedShow {
    pub(crate) fn new(show: Show) -> Arc<Self> {
        Arc::new(Self(Mutex::new(show)))
    }

    pub(crate) fn put(&self, line: impl Into<Line>) {
        // A line is either shown or not, so a poisoned lock leaves no partial state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)(line.into());
    }
}

/// Reads standard input: with a prompt and line editing at a terminal, otherwise unchanged.
pub(crate) fn read_lines(prompt: &'static str) -> Result<(Lines, Show), Failure> {
    read_lines_of(prompt, LineLimit::default())
}

/// The longest line allowed, and the error for a longer one.
#[derive(Clone, Copy)]
pub(crate) struct LineLimit {
    pub(crate) len: usize,
    pub(crate) why: Both,
    /// A longer line is cut one byte above the limit and is not an error: the receiver refuses only
    /// that line.
    pub(crate) is_cut: bool,
}

impl Default for LineLimit {
    fn default() -> Self {
        Self {
            len: MAX_LINE_LEN,
            why: Both("fits in no datagram", "データグラムに収まりません"),
            is_cut: false,
        }
    }
}

/// Like [`read_lines`], with this limit for a line.
pub(crate) fn read_lines_of(
    prompt: &'static str,
    limit: LineLimit,
) -> Result<(Lines, Show), Failure> {
    // A terminal too simple for line editing is read like a pipe.
    if is_interactive()
        && let Ok(edited) = editor::read_terminal(prompt, Echo::Keep)
    {
        return Ok(edited);
    }
    let queue = read_input(limit);
    let (show, shown) = show_in_background(|line| {
        // The reader of our output may be gone; the chat continues.
        if let Err(e) = writeln!(io::stdout().lock(), "{line}")
            && e.kind() != io::ErrorKind::BrokenPipe
        {
            let _ = SHOW_ERROR.set(e);
        }
    });
    Ok((Lines { queue, restore: Restore::nothing(Some(shown)) }, show))
}

/// Like [`read_lines`], for a conversation in which the caller also shows what is typed.
pub(crate) fn read_conversation(prompt: &'static str) -> Result<(Lines, Show), Failure> {
    converse(prompt).map_or_else(|| read_lines(prompt), Ok)
}

/// Reads the lines of a conversation at a terminal, or returns `None` if there is no suitable
/// terminal. The caller shows what is typed.
pub(crate) fn converse(prompt: &'static str) -> Option<(Lines, Show)> {
    if !is_interactive() {
        return None;
    }
    editor::read_terminal(prompt, Echo::Erase).ok()
}

/// Reads lines of standard input, whatever it is.
pub(crate) fn read_input(limit: LineLimit) -> Queue {
    let (sender, queue) = mpsc::channel(MAX_LINES_AHEAD);
    thread::spawn(move || read_pipe(io::stdin().lock(), limit, &sender));
    queue
}

/// Writes lines to standard output, and returns when they are written. The reader may be gone; that
/// is not an error, and the command continues.
pub(crate) async fn write_lines(lines: String) {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(lines.as_bytes()).and_then(|()| out.flush())
    });
    match written.await {
        Ok(Err(e)) if e.kind() != io::ErrorKind::BrokenPipe => _ = SHOW_ERROR.set(e),
        Ok(_) | Err(_) => {}
    }
}

/// Shows lines on a thread of its own, so that a stopped terminal or a line editor busy with pasted
/// lines does not block the caller. The second value is disconnected when all lines are shown.
fn show_in_background(
    mut show: impl FnMut(Line) + Send + 'static,
) -> (Show, std::sync::mpsc::Receiver<()>) {
    let (sender, queue) = std::sync::mpsc::sync_channel::<Line>(MAX_LINES_TO_SHOW);
    let (showing, shown) = std::sync::mpsc::channel::<()>();
    thread::spawn(move || {
        let _showing = showing;
        for line in queue {
            show(line);
        }
    });
    let mut missed = 0_u64;
    let show: Show = Box::new(move |line| {
        if missed > 0
            && sender
                .try_send(
                    say!("({missed} lines not shown)", "（{missed} 行を表示できませんでした）")
                        .into(),
                )
                .is_ok()
        {
            missed = 0;
        }
        if sender.try_send(line).is_err() {
            missed += 1;
        }
    });
    (show, shown)
}

fn read_pipe(mut input: impl BufRead, limit: LineLimit, sender: &mpsc::Sender<io::Result<Typed>>) {
    loop {
        let line = next_line(&mut input, limit);
        let failed = line.is_err();
        let Some(line) = line.transpose() else { return };
        let line = line.map(|text| Typed { text, pasted: Pasted::No });
        if sender.blocking_send(line).is_err() || failed {
            return;
        }
    }
}

fn next_line(input: &mut impl BufRead, limit: LineLimit) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let most = limit.len as u64 + 2;
    if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() > limit.len && limit.is_cut {
        line.truncate(limit.len + 1);
        input.skip_until(b'\n')?;
    } else if line.len() > limit.len {
        let message =
            say!("a line longer than {} bytes {}", "{} バイトより長い行は{}", limit.len, limit.why);
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(line))
}

/// Asks for a secret at the terminal, without echo. The inner error means that there is no
/// terminal; the outer one that the user interrupted the question, with the terminal restored.
pub(crate) async fn ask_secret(
    question: String,
    ending: &mut Ending,
) -> Result<io::Result<Zeroizing<String>>, Failure> {
    let question = sanitize(&question).into_owned();
    let _restore = Restore::of_secret(&question);
    let asked = tokio::task::spawn_blocking(|| rpassword::prompt_password(question));
    tokio::select! {
        answer = asked => match answer.map_err(io::Error::other).flatten() {
            // The signal that ends the command may interrupt the question first.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                Err(Failure::failed(Sender::Interrupted.text()))
            }
            answer => Ok(answer.map(Zeroizing::new)),
        },
        () = ending.wanted() => Err(Failure::failed(Sender::Interrupted.text())),
    }
}

/// Asks a question at the terminal, and returns the line that answers it.
pub(crate) async fn ask(question: &str, ending: &mut Ending) -> Result<String, Failure> {
    let mut out = io::stderr().lock();
    write!(out, "{}", sanitize(question)).and_then(|()| out.flush())?;
    drop(out);
    let asked = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().take(MAX_LINE_LEN as u64).read_line(&mut line).map(|_| line)
    });
    let interrupted = || Failure::failed(Member::Interrupted.text());
    tokio::select! {
        answer = asked => match answer.map_err(io::Error::other).flatten() {
            // The end of the input.
            Ok(line) if line.is_empty() => Err(interrupted()),
            Ok(line) => Ok(line),
            Err(e) => Err(e.into()),
        },
        () = ending.wanted() => Err(interrupted()),
    }
}

/// Returns how many columns standard output has, if it is a terminal that reports it.
pub(crate) fn columns() -> Option<usize> {
    #[cfg(unix)]
    let columns = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col);
    #[cfg(not(unix))]
    let columns: Option<u16> = None;
    columns.filter(|columns| *columns > 0).map(usize::from)
}

/// Requests to end the command: Ctrl-C, SIGTERM, and a hang-up.
pub(crate) struct Ending {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// SIGHUP; not watched if the parent process ignores it (nohup).
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
    /// Never read. While it is watched, exceeding the file size limit (`ulimit -f`) is an error of
    /// the write and does not kill the process.
    #[cfg(unix)]
    _file_too_large: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Ending {
    /// Starts to watch the signals, which no longer kill the process.
    pub(crate) fn watch() -> io::Result<Self> {
        use rustix::process::Signal;
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: hang_up_counts().then(|| signal(SignalKind::hangup())).transpose()?,
            _file_too_large: signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?,
        })
    }

    /// Resolves when the command should end. Cancel-safe.
    pub(crate) async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(_) = async { self.hang_up.as_mut()?.recv().await } => {}
            () = CTRL_C_TYPED.notified() => {}
        }
    }
}

/// Returns the output of a future if it is ready now.
pub(crate) async fn by_now<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = std::future::ready(()) => None,
    }
}

/// Returns `true` if SIGHUP is not ignored, or `false` if this is unknown.
#[cfg(unix)]
fn hang_up_counts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Signal 1 is the lowest bit (proc(5)).
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|m| m & 1 == 0)
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

    const LIMIT: LineLimit =
        LineLimit { len: 1_000, why: Both("is too long", "長すぎます"), is_cut: false };

    fn lines(input: &[u8]) -> Vec<Vec<u8>> {
        let mut input = input;
        std::iter::from_fn(|| next_line(&mut input, LIMIT).unwrap()).collect()
    }

    #[test]
    fn line_ends_are_cut_and_a_last_line_without_one_counts() {
        assert_eq!(lines(b"a\n\r\nb\r\nc"), [b"a".to_vec(), vec![], b"b".to_vec(), b"c".to_vec()]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_truncated_line_does_not_affect_the_next_one() {
        let mut input = &[b"x".repeat(5_000).as_slice(), b"\nnext\n"].concat()[..];
        let limit = LineLimit { is_cut: true, ..LIMIT };
        assert_eq!(next_line(&mut input, limit).unwrap().map(|line| line.len()), Some(1_001));
        assert_eq!(next_line(&mut input, limit).unwrap(), Some(b"next".to_vec()));
    }

    #[test]
    fn an_endless_line_is_an_error_not_a_full_memory() {
        let mut input = io::repeat(b'x').take(1 << 30);
        let mut input = io::BufReader::new(&mut input);
        assert!(next_line(&mut input, LIMIT).is_err());
    }
}
