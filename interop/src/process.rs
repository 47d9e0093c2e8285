//! A program under test: its input, its output so far, its end.
//!
//! A wait that exceeds its deadline panics and shows all output so far. Nothing sleeps, and no
//! program survives its test.

use std::fmt;
use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Far more than any step takes, so that exceeding it means "never", even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// An output stream of a program.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// The exit of a program, with all of its output.
#[derive(Debug)]
pub struct Exit {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub out: String,
    /// Everything on standard error.
    pub err: String,
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    now: Mutex<Spoken>,
    more: Condvar,
}

#[derive(Default)]
struct Spoken {
    out: Vec<u8>,
    err: Vec<u8>,
    open_streams: usize,
}

impl Process {
    /// Starts the program with all three standard streams connected.
    #[track_caller]
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        Self::start_with_output_elsewhere(command)
    }

    /// Starts it with standard output as already configured, for example to a file.
    #[track_caller]
    pub fn start_with_output_elsewhere(mut command: Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let said = Arc::new(Said::default());
        if let Some(out) = child.stdout.take() {
            said.collect(out, Stream::Out);
        }
        if let Some(err) = child.stderr.take() {
            said.collect(err, Stream::Err);
        }
        let stdin = child.stdin.take();
        Self { name, child, stdin, said }
    }

    /// Returns its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types a line.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is still open");
        let typed = stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdin.flush());
        if let Err(error) = typed {
            panic!("{}: cannot type {line:?}: {error}\n{}", self.name, self.said);
        }
    }

    /// Types all of `text`, then closes its standard input.
    #[track_caller]
    pub fn type_all(&mut self, text: &str) {
        let mut stdin = self.stdin.take().expect("standard input is still open");
        if let Err(error) = stdin.write_all(text.as_bytes()) {
            panic!("{}: cannot type: {error}\n{}", self.name, self.said);
        }
    }

    /// Waits for a whole line that satisfies `wanted`, in past or future output.
    #[track_caller]
    pub fn wait_for_line(&self, stream: Stream, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.said.wait(DEADLINE, |spoken| {
            let said = spoken.stream(stream);
            let whole =
                &said[..said.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)];
            String::from_utf8_lossy(whole).lines().find(|line| wanted(line)).map(str::to_owned)
        });
        found.unwrap_or_else(|| panic!("{}: no such line\n{}", self.name, self.said))
    }

    /// Returns its output so far.
    #[must_use]
    pub fn said(&self, stream: Stream) -> String {
        String::from_utf8_lossy(self.said.lock().stream(stream)).into_owned()
    }

    /// Waits for a text, which may be at the end of an unfinished line.
    #[track_caller]
    pub fn wait_for_text(&self, stream: Stream, text: &str) {
        let found = self.said.wait(DEADLINE, |spoken| {
            String::from_utf8_lossy(spoken.stream(stream)).contains(text).then_some(())
        });
        found.unwrap_or_else(|| panic!("{}: never printed {text:?}\n{}", self.name, self.said));
    }

    /// Returns `true` if it prints a text on standard output within `time`.
    pub fn prints_within(&self, text: &str, time: Duration) -> bool {
        let said = |spoken: &Spoken| String::from_utf8_lossy(&spoken.out).contains(text);
        self.said.wait(time, |spoken| said(spoken).then_some(())).is_some()
    }

    /// Waits for an address that follows `prefix` in a line.
    #[track_caller]
    pub fn wait_for_address(&self, stream: Stream, prefix: &str) -> SocketAddr {
        let line = self.wait_for_line(stream, |line| line.contains(prefix));
        let rest = line.split(prefix).nth(1).unwrap_or_default();
        let word = rest.split_whitespace().next().unwrap_or_default();
        word.parse().unwrap_or_else(|_| panic!("{}: no address in {line:?}", self.name))
    }

    /// Returns `true` if it ends within `time`.
    pub fn ends_within(&self, time: Duration) -> bool {
        self.said.wait(time, |spoken| (spoken.open_streams == 0).then_some(())).is_some()
    }

    /// Waits for its end, which is when both of its output streams are closed.
    #[track_caller]
    pub fn wait_for_end(mut self) -> Exit {
        if !self.ends_within(DEADLINE) {
            panic!("{}: does not end\n{}", self.name, self.said);
        }
        let status = self.child.wait().expect("a child of ours can be waited for");
        let spoken = self.said.lock();
        Exit {
            code: status.code(),
            out: String::from_utf8_lossy(&spoken.out).into_owned(),
            err: String::from_utf8_lossy(&spoken.err).into_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    /// Reads a stream to its end, on its own thread.
    fn collect(self: &Arc<Self>, mut from: impl Read + Send + 'static, stream: Stream) {
        let said = Arc::clone(self);
        said.lock().open_streams += 1;
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A stream that cannot be read has ended, as far as a test can tell.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                said.lock().stream_mut(stream).extend_from_slice(&buffer[..count]);
                said.more.notify_all();
            }
            said.lock().open_streams -= 1;
            said.more.notify_all();
        });
    }

    fn wait<T>(&self, time: Duration, mut answer: impl FnMut(&Spoken) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + time;
        let mut spoken = self.lock();
        loop {
            if let Some(answer) = answer(&spoken) {
                return Some(answer);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.more.wait_timeout(spoken, left);
            spoken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Spoken> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spoken {
    fn stream(&self, stream: Stream) -> &Vec<u8> {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    fn stream_mut(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spoken = self.lock();
        writeln!(f, "--- standard output:\n{}", String::from_utf8_lossy(&spoken.out))?;
        writeln!(f, "--- standard error:\n{}", String::from_utf8_lossy(&spoken.err))
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(command)
    }

    #[test]
    fn a_line_is_found_when_it_is_whole() {
        let mut cat = shell("printf 'port 12'; read x; echo 34");
        cat.wait_for_text(Stream::Out, "port 12");
        cat.type_line("go on");
        assert_eq!(cat.wait_for_line(Stream::Out, |line| line.starts_with("port")), "port 1234");
    }

    #[test]
    fn the_exit_has_the_code_and_both_streams() {
        let exit = shell("echo out; echo err >&2; exit 3").wait_for_end();
        assert_eq!((exit.code, exit.out.as_str(), exit.err.as_str()), (Some(3), "out\n", "err\n"));
    }

    #[test]
    fn a_running_program_has_not_ended() {
        assert!(!shell("read x").ends_within(Duration::from_millis(50)));
    }

    #[test]
    #[should_panic(expected = "cannot type")]
    fn typing_to_an_ended_program_panics() {
        let mut gone = shell("exit");
        assert!(gone.ends_within(DEADLINE));
        gone.child.wait().unwrap();
        gone.type_line("anyone?");
    }
}
