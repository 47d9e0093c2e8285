//! A running command: killed when dropped, with its output read continuously.

use std::{
    fmt,
    io::{Read, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::DEADLINE;

/// Returns the command under test with these arguments, an empty home, and English messages.
pub(crate) fn hikyaku(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hikyaku"));
    command.args(args);
    command.env("HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/home"));
    command.env_remove("XDG_CONFIG_HOME").env("LC_ALL", "C");
    command
}

/// The exit code, and all output.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: Vec<u8>,
    /// Standard error.
    pub(crate) err: String,
}

impl Ended {
    /// Returns standard output as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("the output is text")
    }
}

/// A running command.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) out: Stream,
    pub(crate) err: Stream,
}

impl Process {
    /// Starts it with pipes as its three standard streams.
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        Self::start_with_output_elsewhere(command)
    }

    /// Starts it with standard output as the command sets it, such as a file.
    #[track_caller]
    pub(crate) fn start_with_output_elsewhere(mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        Self::spawn(command)
    }

    /// Starts it with standard input as the command sets it, such as a socket.
    #[track_caller]
    pub(crate) fn start_with_input_elsewhere(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        Self::spawn(command)
    }

    #[track_caller]
    fn spawn(mut command: Command) -> Self {
        command.stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let input = child.stdin.take();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        Self { child, input, out: Stream::of(out), err: Stream::of(err) }
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types a line.
    #[track_caller]
    pub(crate) fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is still open");
        let typed = input.write_all(format!("{line}\n").as_bytes());
        typed.unwrap_or_else(|e| panic!("cannot type {line:?}: {e}: {:?}", self.err));
    }

    /// Types `part` of a line.
    #[track_caller]
    pub(crate) fn type_part(&mut self, part: &[u8]) {
        let typed = self.input.as_mut().expect("its input is still open").write_all(part);
        typed.unwrap_or_else(|e| panic!("cannot type: {e}: {:?}", self.err));
    }

    /// Types `text` and ends the input. A program that has ended need not read it.
    pub(crate) fn type_all(&mut self, text: &[u8]) {
        let _ = self.input.take().expect("its input is still open").write_all(text);
    }

    /// Sends SIGINT, as Ctrl-C does.
    #[track_caller]
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends a signal, by its name.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        // The shell's built-in: some small systems have no program for it.
        let mut kill = Command::new("sh");
        let killed = kill.args(["-c", "kill -$1 $0", &self.id().to_string(), name]).status();
        assert!(killed.expect("there is a shell").success(), "it has ended: {:?}", self.err);
    }

    /// Returns `true` if it ends within `time`.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        self.out.ended_by(until) && self.err.ended_by(until)
    }

    /// Waits for its end. All output has been read by then.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        assert!(self.ends_within(DEADLINE), "it does not end: {self:?}");
        let status = self.child.wait().expect("a child of ours can be waited for");
        Ended { code: status.code(), out: self.out.bytes(), err: self.err.text() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already, as intended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a running command on one of its streams.
pub(crate) struct Stream(Arc<Heard>);

#[derive(Default)]
struct Heard {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    pub(super) fn of(source: Option<impl Read + Send + 'static>) -> Self {
        let heard = Arc::<Heard>::default();
        let teller = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = [0; 65_536];
            let mut source = source;
            while let Some(Ok(len @ 1..)) = source.as_mut().map(|s| s.read(&mut buffer)) {
                teller.lock().bytes.extend_from_slice(&buffer[..len]);
                teller.more.notify_all();
            }
            teller.lock().ended = true;
            teller.more.notify_all();
        });
        Self(heard)
    }

    /// Waits for a whole line that satisfies `wanted`, printed before or from now on.
    #[track_caller]
    pub(crate) fn line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.wait(|lines| lines.iter().find(|line| wanted(line)).cloned());
        found.unwrap_or_else(|| panic!("no such line: {self:?}"))
    }

    /// Returns `true` if it prints a text within `time`, or has printed it before.
    pub(crate) fn says_within(&self, text: &str, time: Duration) -> bool {
        let has = |said: &Said| String::from_utf8_lossy(&said.bytes).contains(text);
        self.0.wait(Instant::now() + time, |said| has(said).then_some(())).is_some()
    }

    /// Returns `true` if it prints a text this many times within `time`.
    pub(crate) fn says_times(&self, text: &str, times: usize, time: Duration) -> bool {
        let has = |said: &Said| String::from_utf8_lossy(&said.bytes).matches(text).count() >= times;
        self.0.wait(Instant::now() + time, |said| has(said).then_some(())).is_some()
    }

    /// Returns `true` if it ends within `time`.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        self.ended_by(Instant::now() + time)
    }

    /// Waits until all output so far is this.
    #[track_caller]
    pub(crate) fn line_so_far(&self, wanted: &str) {
        let said = self.0.wait(Instant::now() + DEADLINE, |said| {
            let all = said.bytes == wanted.as_bytes();
            if !all && said.ended { Some(false) } else { all.then_some(true) }
        });
        assert_eq!(said, Some(true), "{wanted:?}: {self:?}");
    }

    /// Returns all output so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().bytes).into_owned()
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().bytes.clone()
    }

    fn wait<T>(&self, mut answer: impl FnMut(&[String]) -> Option<T>) -> Option<T> {
        self.0.wait(Instant::now() + DEADLINE, |said| {
            let len = said.bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let text = String::from_utf8_lossy(&said.bytes[..len]);
            let found = answer(&text.lines().map(str::to_owned).collect::<Vec<_>>());
            if found.is_none() && said.ended { Some(None) } else { found.map(Some) }
        })?
    }

    fn ended_by(&self, until: Instant) -> bool {
        self.0.wait(until, |said| said.ended.then_some(())).is_some()
    }
}

impl Heard {
    fn wait<T>(&self, until: Instant, mut answer: impl FnMut(&Said) -> Option<T>) -> Option<T> {
        let mut said = self.lock();
        loop {
            if let Some(answer) = answer(&said) {
                return Some(answer);
            }
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.more.wait_timeout(said, left);
            said = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.text())
    }
}

/// Returns the names of the signals that end a listener. One that starts under `nohup`, as tests
/// may, ignores SIGHUP.
pub(crate) fn ending_signals() -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let hangup_counts = ignored.unwrap_or_default() & 1 == 0;
    ["INT", "TERM"].into_iter().chain(hangup_counts.then_some("HUP")).collect()
}
