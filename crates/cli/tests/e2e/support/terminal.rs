//! The command at a terminal: keys and screen.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};

use super::{
    DEADLINE,
    process::{Ended, Stream},
};

/// Returns a command in a session of its own, which the terminal at its standard input controls.
/// The command itself reads `input`.
pub(crate) fn controlled(command: &Command, input: &str) -> Command {
    let mut controlled = Command::new("setsid");
    controlled.args(["--ctty", "sh", "-c", &format!("exec \"$@\" <{input}"), "sh"]);
    controlled.arg(command.get_program()).args(command.get_args());
    controlled.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    controlled
}

/// A command whose three standard streams are one terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    keyboard: File,
    child: Child,
    /// The modes of the terminal before the command began.
    shells: Termios,
    pub(crate) screen: Stream,
}

impl Terminal {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal is free");
        grantpt(&master).expect("the terminal is ours");
        unlockpt(&master).expect("the terminal is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name").into_string();
        let name = name.expect("its name is text");
        let side = || -> Stdio {
            let opened = OpenOptions::new().read(true).write(true).open(&name);
            opened.expect("the other side can be opened").into()
        };
        let shells = tcgetattr(&master).expect("it is a terminal");
        command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "xterm");
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let keyboard = File::from(master);
        let screen = Stream::of(keyboard.try_clone().ok());
        // The command holds the last copies of the other side: the screen ends with it.
        drop(command);
        Self { keyboard, child, shells, screen }
    }

    /// Presses these keys.
    #[track_caller]
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until a text is on the screen this many times.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str, times: usize) {
        assert!(self.screen.says_times(text, times, DEADLINE), "{text:?}: {:?}", self.screen);
    }

    /// Returns `true` if the terminal edits lines itself, as it does for a shell.
    #[track_caller]
    pub(crate) fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).expect("it is a terminal");
        modes.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits until the terminal stops showing keys, which happens just after the question is
    /// printed.
    #[track_caller]
    pub(crate) fn hides_keys(&self) {
        let end = Instant::now() + DEADLINE;
        while self.is_cooked() {
            assert!(Instant::now() < end, "keys are shown: {:?}", self.screen);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends SIGTERM.
    #[track_caller]
    pub(crate) fn terminate(&self) {
        kill_process(self.id(), Signal::TERM).expect("it runs");
    }

    /// Stops the command and continues it, as a shell does: in between, the terminal has the modes
    /// of the shell.
    #[track_caller]
    pub(crate) fn stop_and_continue(&self) {
        // Not TSTP, which the kernel drops where nobody could continue the process: in an orphaned
        // process group (POSIX.1-2024, "Signal Actions"), as of a job whose shell has ended.
        kill_process(self.id(), Signal::STOP).expect("it runs");
        let stopped = waitid(WaitId::Pid(self.id()), WaitIdOptions::STOPPED);
        assert!(stopped.is_ok_and(|status| status.is_some()), "it does not stop");
        let now = OptionalActions::Now;
        tcsetattr(&self.keyboard, now, &self.shells).expect("it is a terminal");
        kill_process(self.id(), Signal::CONT).expect("it is stopped");
    }

    #[track_caller]
    fn id(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("it runs")
    }

    /// Returns `true` if it ends within `time`.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        self.screen.ends_within(time)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        assert!(self.ends_within(DEADLINE), "it does not end: {:?}", self.screen);
        let status = self.child.wait().expect("a child of ours can be waited for");
        Ended { code: status.code(), out: self.screen.text().into_bytes(), err: String::new() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only if it has ended already, as intended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
