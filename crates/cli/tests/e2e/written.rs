//! Exit code 0 of a native `send`: the listener has written all of it.

use std::{
    fs::{self, File, OpenOptions},
    io::Read as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use hikyaku::Endpoint;

use crate::support::{
    DEADLINE, Listener, json,
    native::Home,
    process::{Ended, Process, ending_signals},
};

/// Starts a listener with this standard output.
fn listen_into(home: &Home, options: &[&str], output: impl Into<Stdio>) -> Listener {
    let mut command = home.command(&[&["listen"], options, &["127.0.0.1:0"]].concat());
    command.stdout(output);
    Listener::new(Process::start_with_output_elsewhere(command))
}

/// Starts a listener that may write no file longer than 8 of the shell's blocks.
fn listen_limited(home: &Home, options: &[&str], output: impl Into<Stdio>) -> Listener {
    let command = home.command(&[&["listen"], options, &["127.0.0.1:0"]].concat());
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(home.path());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.stdout(output);
    Listener::new(Process::start_with_output_elsewhere(limited))
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("the system has a full device")
}

fn ends_with(ended: &Ended, code: i32, words: &str) {
    let said = ended.err.trim_end();
    assert!(ended.code == Some(code) && said.ends_with(words), "{words}: {ended:?}");
}

const FULL: &str =
    "could not write: No space left on device (os error 28), after 0 bytes; written: ";

#[test]
fn a_full_disk_is_a_failure_on_both_sides() {
    let (alice, bob) = (Home::new(), Home::new());
    let cases: [(&[&str], &[u8], &str); 6] = [
        (&["a", "b"], b"", "0 of 2 messages; not written: \"a\", \"b\""),
        (&["--class", "reliable", "a"], b"", "0 of 1 message"),
        (&["--class", "latest", "a"], b"", "0 of 1 message"),
        (&["--class", "deadline=50s", "a"], b"", "0 of 1 message"),
        (&["--raw"], b"some", "0 bytes of the stream"),
        (&["--raw"], &[b'x'; 3_000_000], "0 bytes of the stream"),
    ];
    for (what, input, written) in cases {
        let listener = listen_into(&bob, &["--format", "raw"], full());
        let _ = fs::remove_file(alice.known_hosts());
        let sent = alice.run(&[&["send", &*listener.to()], what].concat(), input);
        ends_with(&sent, 1, &format!("{FULL}{written}"));
        let words = "cannot write to standard output: No space left on device (os error 28), \
                     after 0 bytes";
        ends_with(&listener.process.end(), 1, words);
    }
    // This class promises nothing, so there is nothing to wait for.
    let listener = listen_into(&bob, &[], full());
    let sent = alice.send(&["--class", "unreliable", &listener.to(), "a"]);
    assert!(sent.code == Some(0) && !sent.err.contains("written"), "{sent:?}");
}

#[test]
fn a_file_larger_than_the_system_allows_is_an_error_in_words_and_the_listener_lives() {
    let (alice, bob) = (Home::new(), Home::new());
    let output = File::create(bob.file("out")).expect("the folder is ours");
    let listener = listen_limited(&bob, &["--format", "raw"], output);
    let sent = alice.run(&["send", "--raw", &listener.to()], &[b'x'; 100_000]);
    let ended = listener.process.end();
    assert!(sent.code == Some(1) && ended.code == Some(1), "{sent:?} {ended:?}");
    let took = fs::metadata(bob.file("out")).expect("it is there").len();
    let words = format!("File too large (os error 27), after {took} bytes");
    assert!(sent.err.contains(&words) && ended.err.contains(&words), "{sent:?} {ended:?}");

    fs::create_dir(bob.file("inbox")).expect("the folder is ours");
    let listener = listen_limited(&bob, &["--save", "inbox"], Stdio::null());
    fs::write(alice.file("big"), [b'x'; 100_000]).expect("the folder is ours");
    let _ = fs::remove_file(alice.known_hosts());
    let sent = alice.send(&[&listener.to(), "--file", "big"]);
    ends_with(&sent, 1, "big: refused: File too large (os error 27); saved: 0 of 1 file");
    assert_eq!(fs::read_dir(bob.file("inbox")).expect("it is there").count(), 0, "no half file");
    fs::write(alice.file("small"), "x").expect("the folder is ours");
    assert_eq!(alice.send(&[&listener.to(), "--file", "small"]).code, Some(0), "it lives");
}

#[test]
fn messages_beyond_the_last_one_wanted_are_not_written_and_their_sender_knows() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--count", "2", "--format", "raw"]);
    let sent = alice.send(&[&listener.to(), "a", "b", "c", "d"]);
    let words = "the listener has received everything that it wanted; written: 2 of 4 messages; \
                 not written: \"c\", \"d\"";
    ends_with(&sent, 1, words);
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "ab"));
}

#[test]
fn json_reports_what_is_written() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    let sent = alice.send(&["--json", &listener.to(), "one", "two", "three"]);
    let reported = json(sent.text().trim_end());
    assert_eq!(
        (&reported["written"], &reported["written_bytes"]),
        (&3.into(), &11.into()),
        "{reported}"
    );
}

#[test]
fn a_listener_without_reports_has_only_acknowledged() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives a poller");
    let alice = Home::new();
    for class in ["ordered", "reliable", "latest", "deadline=50s"] {
        let program = runtime.block_on(async { Endpoint::bind("127.0.0.1:0").await });
        let program = program.expect("a port is free");
        let to = program.local_addr().to_string();
        let _ = fs::remove_file(alice.known_hosts());
        let args = ["send", "--class", class, &to, "hello"];
        let sending = Process::start(alice.command(&args));
        let serving = async {
            let connection = program.accept().await.expect("somebody comes");
            let mut messages = vec![];
            while let Ok(message) = connection.recv().await {
                messages.push(message.payload);
            }
            program.close(Duration::from_secs(1)).await;
            messages
        };
        let messages = runtime.block_on(async { tokio::time::timeout(DEADLINE, serving).await });
        assert_eq!(
            messages.expect("in time"),
            [&b"hello"[..]],
            "nothing that `listen` alone knows"
        );
        let sent = sending.end();
        let reported = format!("1 message acknowledged by {to}, ");
        assert!(sent.code == Some(0) && sent.err.contains(&reported), "{sent:?}");
    }
}

/// Whenever a listener is stopped, everything that it confirmed is written.
#[test]
fn a_listener_stopped_at_any_moment_has_written_what_its_senders_report() {
    for (round, signal) in ending_signals().into_iter().enumerate() {
        let bob = Home::new();
        let listener = bob.listen(&["--format", "raw"]);
        let to = listener.to();
        let senders: Vec<(String, Home, Process)> = (0..6)
            .map(|number| {
                let alice = Home::new();
                let message = format!("<{round}.{number}>");
                let mut process = Process::start(alice.command(&["send", &to, "--whole"]));
                process.type_all(message.as_bytes());
                (message, alice, process)
            })
            .collect();
        if round > 0 {
            // At some point in the middle.
            listener.process.out.says_within(&format!("<{round}."), DEADLINE);
        }
        listener.process.signal(signal);
        let ended = listener.process.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for (message, _home, process) in senders {
            let sent = process.end();
            let written = ended.text().contains(&message);
            assert!(sent.code == Some(1) || written, "{message}: {sent:?} {ended:?}");
        }
    }
}

#[test]
fn a_second_signal_ends_a_listener_at_once_and_its_sender_is_not_deceived() {
    let (alice, bob) = (Home::new(), Home::new());
    let (mut reader, writer) = std::io::pipe().expect("the system gives a pipe");
    let listener = listen_into(&bob, &["--format", "raw"], writer);
    let mut sender = Process::start(alice.command(&["send", "--raw", &listener.to()]));
    let feeding = thread::spawn(move || {
        sender.type_all(&[b'x'; 3_000_000]);
        sender
    });
    // The rest does not fit into the pipe: the writer waits for a reader.
    reader.read_exact(&mut [0; 1]).expect("the listener writes");
    listener.process.interrupt();
    // Until the first signal is handled, a second would merge with it.
    thread::sleep(Duration::from_millis(300));
    listener.process.interrupt();
    assert!(listener.process.ends_within(Duration::from_millis(1_500)), "it is not at once");
    assert_eq!(listener.process.end().code, Some(1));
    let sent = feeding.join().expect("it only types").end();
    assert_eq!(sent.code, Some(1), "{sent:?}");
}
