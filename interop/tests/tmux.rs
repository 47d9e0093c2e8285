//! The chat's full screen in tmux: what people see and type, sizes, stopping, leaving.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use hikyaku_interop::hikyaku;
use tempfile::TempDir;

/// Far more than any step takes, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at a screen.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A tmux of the test's own, with a home for each of its people.
struct Tmux {
    folder: TempDir,
}

impl Tmux {
    fn start() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder can be made") }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S"]).arg(self.folder.path().join("tmux"));
        command.args(args).env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        command.output().expect("tmux starts")
    }

    /// Opens a shell in a window of its own.
    fn shell<'a>(&'a self, name: &'a str, columns: u16, rows: u16) -> Pane<'a> {
        let home = self.folder.path().join(name);
        fs::create_dir(&home).expect("a home can be made");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let home = format!("HOME={}", home.display());
        let program = [
            "env",
            "-u",
            "XDG_STATE_HOME",
            "-u",
            "XDG_CONFIG_HOME",
            &home,
            "PS1=ready> ",
            "bash",
            "--norc",
            "--noprofile",
        ];
        let size = ["-x", &columns, "-y", &rows];
        let opened = self.run(&[&["new-session", "-d", "-s", name][..], &size, &program].concat());
        assert!(opened.status.success(), "{opened:?}");
        let pane = Pane { tmux: self, name };
        pane.shows("ready>");
        pane
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// A window.
struct Pane<'a> {
    tmux: &'a Tmux,
    name: &'a str,
}

impl Pane<'_> {
    /// Types a line, and presses Enter.
    fn types(&self, line: &str) {
        self.tmux.run(&["send-keys", "-t", self.name, "-l", line]);
        self.presses("Enter");
    }

    fn presses(&self, key: &str) {
        self.tmux.run(&["send-keys", "-t", self.name, key]);
    }

    fn screen(&self) -> String {
        let shown = self.tmux.run(&["capture-pane", "-p", "-t", self.name]);
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    #[track_caller]
    fn waits(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !wanted(&self.screen()) {
            assert!(begun.elapsed() < DEADLINE, "{}: no {what}:\n{}", self.name, self.screen());
            thread::sleep(LOOK_AGAIN);
        }
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        self.waits(text, |screen| screen.contains(text));
    }

    /// Returns the modes of the terminal, which a shell at its prompt prints into a file.
    #[track_caller]
    fn modes(&self) -> String {
        let file = self.tmux.folder.path().join(format!("modes of {}", self.name));
        let _ = fs::remove_file(&file);
        self.types(&format!("stty -g > '{0}.new'; mv '{0}.new' '{0}'", file.display()));
        let begun = Instant::now();
        while !file.exists() {
            assert!(begun.elapsed() < DEADLINE, "{}: no shell:\n{}", self.name, self.screen());
            thread::sleep(LOOK_AGAIN);
        }
        fs::read_to_string(file).expect("it is there")
    }

    /// Returns the number of the process that the shell has started.
    fn child(&self) -> String {
        let shell = self.tmux.run(&["display", "-p", "-t", self.name, "#{pane_pid}"]);
        let shell = String::from_utf8_lossy(&shell.stdout).trim().to_owned();
        let children = Path::new("/proc").join(&shell).join("task").join(&shell).join("children");
        let children = fs::read_to_string(children).expect("the shell runs");
        children.split_whitespace().next().expect("it has a child").to_owned()
    }

    fn resize(&self, columns: &str, rows: &str) {
        self.tmux.run(&["resize-window", "-t", self.name, "-x", columns, "-y", rows]);
    }
}

/// Returns the command in words for a shell.
fn chat(args: &str) -> String {
    format!("'{}' chat {args}", hikyaku(&[]).get_program().display())
}

fn kill(signal: &str, process: &str) {
    let done = Command::new("kill").args([signal, process]).status().expect("kill starts");
    assert!(done.success());
}

/// Returns the address at which a host says that it listens.
fn address(host: &Pane<'_>) -> String {
    host.shows("listening on 127.0.0.1:");
    let screen = host.screen();
    let (_, rest) = screen.split_once("listening on ").expect("it was there");
    rest.split_whitespace().next().expect("an address follows").to_owned()
}

#[test]
fn people_talk_on_screens_of_any_size_and_get_their_terminals_back() {
    let tmux = Tmux::start();
    let host = tmux.shell("host", 80, 24);
    let (ana, ben) = (tmux.shell("ana", 80, 24), tmux.shell("ben", 40, 16));
    let before = [&host, &ana, &ben].map(Pane::modes);
    host.types(&chat("host --no-discovery --name hana 127.0.0.1:0"));
    let to = address(&host);
    ana.types(&chat(&format!("join --name ana {to}")));
    ben.types(&chat(&format!("join --name ben {to}")));
    ana.shows("you are ana");
    // In so few columns, the greeting breaks before the name.
    ben.shows("commands");

    // Japanese, a family of emoji, and marks that join: the caret stands behind them.
    ana.types("お茶です。@ben さん、「緑茶」ですか。👩\u{200d}👩\u{200d}👧\u{200d}👦 か\u{309a}");
    ben.shows("お茶です");
    host.shows("お茶です");
    ana.shows("✓ 1/1");
    ben.types("green please");
    ana.shows("ben: green please");

    // A search leads to its line.
    ana.types("/search 緑茶");
    ana.shows("1 found: 緑茶");
    ana.presses("Enter");
    ana.shows("the past;");
    ana.presses("Escape");
    ana.shows("PgUp older");

    // The lines survive a small screen.
    ana.resize("10", "3");
    ana.resize("40", "12");
    ana.shows("ben: green please");

    // Stopped and continued by the shell.
    ana.presses("C-z");
    ana.shows("Stopped");
    assert_eq!(ana.modes(), before[1]);
    ben.types("while you are away");
    host.shows("while you are away");
    ana.types("fg");
    ana.shows("ben: while you are away");

    ana.presses("C-l");
    ana.shows("ben: while you are away");

    // However it ends.
    kill("-TERM", &ana.child());
    ana.shows("ready>");
    ben.types("q");
    ben.shows("ready>");
    host.presses("C-c");
    host.shows("ready>");
    assert_eq!([&host, &ana, &ben].map(Pane::modes), before);
}

#[test]
fn what_is_typed_while_the_host_is_dead_waits_in_sight() {
    let tmux = Tmux::start();
    let (host, ana) = (tmux.shell("host", 80, 24), tmux.shell("ana", 80, 24));
    let before = ana.modes();
    host.types(&chat("host --no-discovery --name hana 127.0.0.1:0"));
    let to = address(&host);
    ana.types(&chat(&format!("join --name ana {to}")));
    ana.shows("you are ana");
    kill("-KILL", &host.child());
    ana.shows("the host cannot be reached");
    ana.types("are you there?");
    ana.shows("1 line waiting");
    host.types("reset");
    host.types(&chat(&format!("host --no-discovery --name hana {to}")));
    host.shows("ana: are you there?");
    ana.waits("a tick", |screen| screen.contains("are you there? ✓"));
    ana.presses("C-d");
    ana.shows("ready>");
    assert_eq!(ana.modes(), before);
}

#[test]
fn a_pasted_text_is_one_message() {
    let tmux = Tmux::start();
    let (host, ana) = (tmux.shell("host", 80, 24), tmux.shell("ana", 80, 24));
    host.types(&chat("host --no-discovery --name hana 127.0.0.1:0"));
    let to = address(&host);
    ana.types(&chat(&format!("join --name ana {to}")));
    ana.shows("you are ana");
    let paste = |text: &str| {
        let file = tmux.folder.path().join("pasted");
        fs::write(&file, text).expect("it can be written");
        tmux.run(&["load-buffer", &file.display().to_string()]);
        tmux.run(&["paste-buffer", "-p", "-t", "ana"]);
    };
    paste("one\n  /quit\nq\n");
    ana.shows("send 3 lines");
    ana.presses("Enter");
    host.shows("ana: one");
    host.waits("its lines", |screen| screen.contains("  /quit\n") && screen.contains("  q\n"));
    let line = "forty bytes of a text that is pasted, 40\n";
    paste(&line.repeat(8_000 / line.len()));
    ana.shows("bytes) as one message?");
    ana.presses("Escape");
    ana.shows("ana: one");
    paste(&line.repeat(20_000 / line.len()));
    ana.shows("as 2 messages?");
    ana.presses("Escape");
    ana.shows("ana: one");
}
