//! A chat whose host and members are killed at random moments, while they write.
//!
//! Everything is read from outside, as JSON: an author's line is *pending* when it is on their
//! disk, and *stored* when it is on the host's. From then on everybody has it once, in one order,
//! whichever process is killed.
//!
//! `cargo xtask kill --times N` kills as often as asked.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    Listener,
    native::{Home, fingerprint},
    process::Process,
};

/// Kills in the suite.
const KILLS: u64 = 20;

const WRITERS: usize = 3;

/// Pause between the lines of an author: below the rate that a host allows.
const PACE: Duration = Duration::from_millis(25);

/// Time in which everything must have arrived at the end.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Repeatable randomness.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % count
    }
}

/// A host that is restarted at the same address, with the same key and history.
struct Host {
    home: Home,
    listener: Option<Listener>,
}

impl Host {
    fn start() -> Self {
        let mut host = Self { home: Home::new(), listener: None };
        host.start_at("127.0.0.1:0");
        host
    }

    fn start_at(&mut self, address: &str) {
        let history = self.home.file("chat.sqlite");
        let args = ["chat", "host", "--headless", "--json", "--history", &history, address];
        self.listener = Some(Listener::new(Process::start(self.home.command(&args))));
    }

    fn listener(&self) -> &Listener {
        self.listener.as_ref().unwrap()
    }

    /// Kills it, and restarts it after the other processes have done something.
    fn kill(&mut self, meanwhile: impl FnOnce()) {
        let address = self.listener().to();
        kill(self.listener.take().unwrap().process);
        meanwhile();
        self.start_at(&address);
    }
}

/// Kills a process at once and returns the whole lines that it had written, as objects.
fn kill(process: Process) -> Vec<Value> {
    process.signal("KILL");
    objects(&process.end().out)
}

fn objects(out: &[u8]) -> Vec<Value> {
    let end = out.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = std::str::from_utf8(&out[..end]).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

struct Member {
    name: String,
    home: Home,
    /// The arguments with which it joins.
    args: Vec<String>,
    process: Option<Process>,
    typed: u64,
    /// The output of each of its processes.
    runs: Vec<Vec<Value>>,
}

impl Member {
    fn join(name: &str, host: &Host) -> Self {
        let (to, key) = (host.listener().to(), fingerprint(host.listener()));
        let args = ["chat", "join", "--json", "--name", name, "--trust", &key, &to];
        let args = args.map(str::to_owned).to_vec();
        let (name, home) = (name.to_owned(), Home::new());
        let mut member = Self { name, home, args, process: None, typed: 0, runs: Vec::new() };
        member.start();
        member.process().out.line(|line| line.contains("\"connected\""));
        member
    }

    fn start(&mut self) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.process = Some(Process::start(self.home.command(&args)));
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    fn write(&mut self) {
        let line = format!("{} {}", self.name, self.typed);
        self.typed += 1;
        self.process().type_line(&line);
    }

    /// Kills and restarts it.
    fn kill(&mut self) {
        let process = self.process.take().unwrap();
        self.runs.push(kill(process));
        self.start();
    }

    fn end(&mut self) {
        let process = self.process.take().unwrap();
        self.runs.push(kill(process));
    }

    /// Returns the objects of messages, of all runs.
    fn said(&self) -> impl Iterator<Item = &Value> {
        self.runs.iter().flatten().filter(|object| object["kind"] == "said")
    }

    /// Returns the texts of own messages that were shown in a state.
    fn own(&self, state: &str) -> BTreeSet<String> {
        let is_such = |object: &&Value| object["own"] == true && object["state"] == state;
        self.said().filter(is_such).map(|object| text(object).to_owned()).collect()
    }
}

fn text(object: &Value) -> &str {
    object["text"].as_str().unwrap()
}

/// Returns the messages of others that a process received live.
fn live(run: &[Value]) -> impl Iterator<Item = (u64, &str)> {
    let is_live = |object: &&Value| {
        object["kind"] == "said" && object["history"] != true && object["own"] != true
    };
    run.iter().filter(is_live).map(|object| (object["seq"].as_u64().unwrap(), text(object)))
}

/// Kills a random process, this many times, while all of them write.
fn write_and_kill(host: &mut Host, writers: &mut [Member], kills: u64, dice: &mut Dice) {
    for _ in 0..kills {
        for _ in 0..1 + dice.below(16) {
            writers.iter_mut().for_each(Member::write);
            thread::sleep(PACE);
        }
        let someone = &mut writers[dice.below(WRITERS as u64) as usize];
        match dice.below(5) {
            0 | 1 => someone.kill(),
            2 | 3 => host.kill(|| {}),
            // A client that starts while the host is away waits for it.
            _ => host.kill(|| someone.kill()),
        }
    }
}

/// Waits until everybody has seen everything that was pending anywhere.
fn settle(observer: &mut Member, writers: &mut [Member]) {
    let until = Instant::now() + SETTLED_WITHIN;
    // Each author writes a last line: earlier lines are pending when it is stored.
    let last: Vec<String> =
        writers.iter().map(|one| format!("{} {}", one.name, one.typed)).collect();
    writers.iter_mut().for_each(Member::write);
    for member in writers.iter_mut().chain([observer]) {
        for text in &last {
            let wanted = format!("\"text\":\"{text}\"");
            let left = until.saturating_duration_since(Instant::now());
            let has_come = member.process().out.says_within(&wanted, left);
            assert!(has_come, "{text} has not come to {}", member.name);
        }
    }
}

/// Everybody saw one order; each pending or stored line is in it once.
fn check(observer: &Member, writers: &[Member]) {
    let mut order = BTreeMap::new();
    let mut newest = 0;
    let mut latest = BTreeMap::new();
    for (seq, text) in live(&observer.runs[0]) {
        assert!(seq > newest, "{text}: {seq} after {newest}");
        newest = seq;
        let (author, number) = text.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        let before = latest.insert(author.to_owned(), number);
        assert!(before < Some(number), "{text} after {before:?}: twice, or not in its order");
        order.insert(seq, text.to_owned());
    }
    let stored: BTreeSet<&String> = order.values().collect();
    for writer in writers {
        for state in ["pending", "stored"] {
            let own = writer.own(state);
            assert!(!own.is_empty(), "{} has no {state} message", writer.name);
            let lost: Vec<_> = own.iter().filter(|text| !stored.contains(text)).collect();
            assert!(lost.is_empty(), "{state}, and lost: {lost:?}");
        }
        let mut seen = BTreeSet::new();
        for run in &writer.runs {
            let mut newest = 0;
            for (seq, text) in live(run) {
                assert!(seq > newest, "{}: {text}: {seq} after {newest}", writer.name);
                assert_eq!(order.get(&seq).map(String::as_str), Some(text), "{}", writer.name);
                newest = seq;
                seen.insert(text);
            }
        }
        let own = format!("{} ", writer.name);
        let of_others = stored.iter().filter(|text| !text.starts_with(&own));
        let missed: Vec<_> = of_others.filter(|text| !seen.contains(text.as_str())).collect();
        assert!(missed.is_empty(), "{} has never seen {missed:?}", writer.name);
    }
}

#[test]
fn stored_lines_survive_kills_once_and_in_order() {
    let mut dice = Dice(setting("HIKYAKU_SEED", 7).max(1));
    let mut host = Host::start();
    let mut observer = Member::join("observer", &host);
    let mut writers: Vec<_> =
        (1..=WRITERS).map(|number| Member::join(&format!("writer{number}"), &host)).collect();
    write_and_kill(&mut host, &mut writers, setting("HIKYAKU_KILLS", KILLS), &mut dice);
    settle(&mut observer, &mut writers);
    observer.end();
    writers.iter_mut().for_each(Member::end);
    check(&observer, &writers);
}

#[test]
fn a_client_started_while_its_host_is_away_sends_its_lines_later() {
    let mut host = Host::start();
    let mut ana = Member::join("ana", &host);
    host.kill(|| {
        ana.kill();
        ana.write();
        ana.process().out.line(|line| line.contains("\"ana 0\"") && line.contains("\"pending\""));
        ana.process().err.line(|line| line.contains("what you type waits for it"));
    });
    ana.process().out.line(|line| line.contains("\"ana 0\"") && line.contains("\"stored\""));
}
