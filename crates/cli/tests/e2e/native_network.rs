//! The native protocol through a hostile network, and with peers that are killed or stopped.
//!
//! Large transfers are skipped in an unoptimised build, unless requested: `cargo test -p
//! hikyaku-cli --test e2e 64_mib -- --include-ignored`.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::support::{
    Listener, json,
    native::Home,
    process::{Ended, Process},
    relay::{Harm, Relay},
    texts,
};

const HOSTILE: Harm = Harm { lost: 20, repeated: 10, held: 20, altered: 5 };
const HARMLESS: Harm = Harm { lost: 0, repeated: 0, held: 0, altered: 0 };

/// Time limit for 64 MiB.
const LONG: Duration = Duration::from_secs(1_200);

/// Returns bytes that cannot be compressed (xorshift64, Marsaglia 2003).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

#[test]
fn ten_thousand_messages_arrive_once_in_order_unaltered_on_a_hostile_network() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "json"]);
    let relay = Relay::start(listener.address, HOSTILE, 20_260_101);
    let lines: Vec<String> = (0..10_000).map(|n| format!("message {n}, 飛脚")).collect();
    let to = relay.address.to_string();
    let sent = alice.run(&["send", "--json", &to], lines.join("\n").as_bytes());
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(json(sent.text().trim_end())["acknowledged"], 10_000);
    let ended = listener.interrupt();
    assert!(texts(ended.text()) == lines, "{} lines", ended.text().lines().count());
    let Harm { lost, repeated, held, altered } = relay.done();
    assert!(lost > 10 && repeated > 5 && held > 10 && altered > 0, "{:?}", relay.done());
}

#[test]
fn deadline_messages_are_printed_in_order_on_a_hostile_network() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "json"]);
    let relay = Relay::start(listener.address, HOSTILE, 21);
    let lines: Vec<String> = (0..3_000).map(|n| format!("{n:020}")).collect();
    let to = relay.address.to_string();
    let class = ["--class", "deadline=10s"];
    let sent = alice.run(&[&["send", &to], &class[..]].concat(), lines.join("\n").as_bytes());
    let printed = texts(listener.interrupt().text());
    assert!(printed.is_sorted_by(|a, b| a < b), "out of order");
    assert!(printed.len() > 2_000, "{} of 3,000 lines: {sent:?}", printed.len());
    assert!(relay.done().held > 5, "{:?}", relay.done());
}

/// Sends a stream through the hostile relay, and checks that it arrives unaltered.
fn stream_through_a_hostile_network(len: usize, options: &[&str]) {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw", "--once"]);
    let relay = Relay::start(listener.address, HOSTILE, 7);
    let bytes = noise(len);
    let to = relay.address.to_string();
    let sent = alice.run(&[&["send", "--raw", &to], options].concat(), &bytes);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!((ended.out.len(), sha256(&ended.out)), (len, sha256(&bytes)));
}

/// Sends a file through the hostile relay, and checks that it is saved unaltered.
fn file_through_a_hostile_network(len: usize, options: &[&str]) {
    let (alice, bob) = (Home::new(), Home::new());
    fs::create_dir(bob.file("inbox")).expect("the home is ours");
    let listener = bob.listen(&["--save", "inbox", "--once"]);
    let relay = Relay::start(listener.address, HOSTILE, 8);
    let bytes = noise(len);
    fs::write(alice.file("large"), &bytes).expect("the home is ours");
    let to = relay.address.to_string();
    let args = [&["send", "--file", "large", &to], options].concat();
    let sender = Process::start(alice.command(&args));
    assert!(sender.ends_within(LONG), "{sender:?}");
    let sent = sender.end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let saved = fs::read(bob.path().join("inbox/large")).expect("it is saved");
    assert_eq!((saved.len(), sha256(&saved)), (len, sha256(&bytes)));
}

#[test]
fn a_stream_arrives_unaltered_through_a_hostile_network() {
    stream_through_a_hostile_network(1 << 20, &[]);
}

#[test]
fn a_stream_by_cubic_arrives_unaltered_through_a_hostile_network() {
    stream_through_a_hostile_network(1 << 18, &["--congestion", "cubic"]);
}

#[test]
fn a_file_arrives_unaltered_through_a_hostile_network() {
    file_through_a_hostile_network(1 << 20, &[]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "too much for an unoptimised build")]
fn a_stream_of_64_mib_arrives_unaltered_through_a_hostile_network() {
    stream_through_a_hostile_network(64 << 20, &[]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "too much for an unoptimised build")]
fn a_file_of_64_mib_arrives_unaltered_through_a_hostile_network() {
    file_through_a_hostile_network(64 << 20, &[]);
}

#[test]
fn a_change_of_the_clients_address_loses_nothing() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw"]);
    let relay = Relay::start(listener.address, HARMLESS, 1);
    let mut sender = Process::start(alice.command(&["send", &relay.address.to_string()]));
    let mut expected = String::new();
    for round in 0..5 {
        let line = format!("round {round} ");
        sender.type_line(&line);
        expected += &line;
        // The previous one has arrived: the router forgets an idle connection.
        listener.process.out.line_so_far(&expected);
        relay.restart();
    }
    sender.type_all(b"end");
    let sent = sender.end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(listener.interrupt().text(), expected + "end");
}

#[test]
fn a_stream_survives_a_change_of_the_clients_address() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw", "--once"]);
    let relay = Relay::start(listener.address, Harm { held: 20, ..HARMLESS }, 2);
    let bytes = noise(4 << 20);
    let to = relay.address.to_string();
    let mut sender = Process::start(alice.command(&["send", "--raw", &to]));
    let mut parts = bytes.chunks(1 << 20);
    let last = parts.next_back().expect("there are four");
    for part in parts {
        sender.type_part(part);
        relay.restart();
    }
    sender.type_all(last);
    let sent = sender.end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(sha256(&listener.process.end().out), sha256(&bytes));
}

/// A transfer in progress: the sender, of which the listener has two lines. The listener may have
/// been killed before it confirmed them.
fn under_way(alice: &Home, bob: &Home, options: &[&str]) -> (Process, Listener) {
    let listener = bob.listen(&["--format", "raw"]);
    let to = listener.to();
    let mut sender = Process::start(alice.command(&[&["send", &to], options].concat()));
    sender.type_line("some ");
    listener.process.out.line_so_far("some ");
    sender.type_line("thing");
    listener.process.out.line_so_far("some thing");
    (sender, listener)
}

#[test]
fn a_killed_listener_is_reported_within_the_timeout_with_what_was_acknowledged() {
    let (alice, bob) = (Home::new(), Home::new());
    let (mut sender, listener) = under_way(&alice, &bob, &["--timeout", "1s"]);
    drop(listener); // SIGKILL
    let killed = Instant::now();
    sender.type_line("more");
    let sent = sender.end();
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let last = sent.err.lines().last().unwrap_or_default();
    let reported = [
        "written: 0 of 3 messages; not written: line 1, line 2, line 3",
        "written: 1 of 3 messages; not written: line 2, line 3",
        "written: 2 of 3 messages; not written: line 3",
    ];
    assert!(last.contains("nothing received from"), "{last}");
    assert!(reported.iter().any(|reported| last.ends_with(reported)), "{last}");
}

#[test]
fn a_listener_killed_while_its_sender_is_idle_is_noticed_too() {
    let (alice, bob) = (Home::new(), Home::new());
    let (sender, listener) = under_way(&alice, &bob, &["--timeout", "1s"]);
    drop(listener);
    let sent = sender.end();
    assert_eq!(sent.code, Some(1), "{sent:?}");
    // What it did not confirm is unknown.
    let reported = (0..=2).map(|written| format!("written: {written} of 2 messages"));
    assert!(reported.into_iter().any(|reported| sent.err.contains(&reported)), "{sent:?}");
}

#[test]
fn a_listener_killed_during_a_file_is_reported() {
    let (alice, bob) = (Home::new(), Home::new());
    fs::create_dir(bob.file("inbox")).expect("the home is ours");
    let listener = bob.listen(&["--save", "inbox"]);
    // A network slow enough for the transfer to last.
    let relay = Relay::start(listener.address, Harm { lost: 10, held: 50, ..HARMLESS }, 3);
    fs::write(alice.file("large"), noise(32 << 20)).expect("the home is ours");
    let to = relay.address.to_string();
    let options = ["send", "--timeout", "2s", "--file", "large", &to];
    let sender = Process::start(alice.command(&options));
    wait_for(|| fs::read_dir(bob.path().join("inbox")).is_ok_and(|mut dir| dir.next().is_some()));
    drop(listener);
    let sent = sender.end();
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let last = sent.err.lines().last().unwrap_or_default();
    assert!(last.contains("saved: 0 of 1 file; acknowledged: "), "{last}");
    assert!(!bob.path().join("inbox/large").exists(), "complete or not at all");
}

#[test]
fn a_restarted_listener_is_reported_at_once() {
    let (alice, bob) = (Home::new(), Home::new());
    let (mut sender, listener) = under_way(&alice, &bob, &[]);
    let to = listener.to();
    drop(listener);
    let _again = bob.listen_at(&to, &[]);
    let restarted = Instant::now();
    // It may know already: the killed listener owed it an answer.
    sender.type_all(b"more\n");
    let sent = sender.end();
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("restarted"), "{sent:?}");
    assert!(restarted.elapsed() < Duration::from_secs(5), "{:?}", restarted.elapsed());
}

#[test]
fn messages_acknowledged_before_an_interrupt_are_printed() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "json"]);
    let to = listener.to();
    let lines: Vec<String> = (0..300_000).map(|n| n.to_string()).collect();
    let (sent, ended) = thread::scope(|scope| {
        let sending =
            scope.spawn(|| alice.run(&["send", "--json", &to], lines.join("\n").as_bytes()));
        listener.process.out.line(|line| line.contains("\"1000\""));
        let ended = listener.interrupt();
        (sending.join().expect("it is reported"), ended)
    });
    assert_eq!((sent.code, ended.code), (Some(1), Some(0)), "{}", sent.err);
    let acknowledged = json(sent.text().trim_end())["acknowledged"].as_u64();
    let acknowledged = acknowledged.and_then(|n| usize::try_from(n).ok()).expect("a number");
    let printed = texts(ended.text());
    assert!((1_000..lines.len()).contains(&acknowledged), "{acknowledged}");
    assert!(printed.len() >= acknowledged, "{} of {acknowledged}", printed.len());
    assert!(printed == lines[..printed.len()], "in order");
}

#[test]
fn a_sender_that_is_killed_cuts_its_stream_short() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw", "--once"]);
    let mut sender =
        Process::start(alice.command(&["send", "--raw", "--timeout", "1s", &listener.to()]));
    sender.type_part(b"some");
    listener.process.out.line_so_far("some");
    drop(sender);
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(1), "some"), "{ended:?}");
    assert!(ended.err.contains("cut short"), "{ended:?}");
}

/// Returns the resident memory of a process, in KiB.
fn resident_kib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

#[track_caller]
fn wait_for(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < crate::support::DEADLINE, "it does not come to pass");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A reader that takes a little and stops: its sender waits, others are served, memory stays flat.
#[test]
#[cfg(target_os = "linux")]
fn a_slow_reader_delays_only_its_sender() {
    const FLAT_KIB: u64 = 160 * 1_024;
    let (alice, bob) = (Home::new(), Home::new());
    let mut command = bob.command(&["listen", "--format", "raw", "127.0.0.1:0"]);
    let (mut reader, writer) = std::io::pipe().expect("the system gives a pipe");
    command.stdout(writer);
    let listener = Listener::new(Process::start_with_output_elsewhere(command));
    let to = listener.to();

    // An endless source.
    let mut source = alice.command(&["send", "--raw", &to]);
    let mut zeros = Command::new("cat");
    let mut zeros = zeros.arg("/dev/zero").stdout(Stdio::piped()).spawn().expect("there is a cat");
    source.stdin(zeros.stdout.take().expect("it is piped"));
    let mut source = source.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");

    let mut taken = 0;
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..20 {
        taken += reader.read(&mut buffer).expect("the listener writes");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(taken > 0);
    let (theirs, ours) = (resident_kib(listener.process.id()), resident_kib(source.id()));
    assert!(0 < theirs && theirs < FLAT_KIB, "the listener holds {theirs} KiB");
    assert!(0 < ours && ours < FLAT_KIB, "the sender holds {ours} KiB");

    // Another sender is served meanwhile, and its message is written once the reader reads again.
    let eve = Home::new();
    let ping = eve.run(&["ping", "--count", "3", &to], b"");
    assert_eq!(ping.code, Some(0), "{ping:?}");
    let hello = Process::start(eve.command(&["send", &to, "hello"]));
    thread::spawn(move || while reader.read(&mut buffer).is_ok_and(|len| len > 0) {});
    let sent: Ended = hello.end();
    assert_eq!(sent.code, Some(0), "{sent:?}");

    let _ = (source.kill(), source.wait(), zeros.kill(), zeros.wait());
}
