//! When `listen` ends, and what it prints then.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{
    DEADLINE, Listener, address_of, dropped, hear, heard_by_now, listen,
    native::Home,
    process::{Process, ending_signals, hikyaku},
    run, send, stranger,
};

/// Returns standard error without the warning of a small receive buffer, which depends on the
/// machine.
fn complaints(err: &str) -> Vec<&str> {
    err.lines().filter(|line| !line.starts_with("warning: the kernel grants")).collect()
}

#[test]
fn the_bound_address_is_printed() {
    let listener = listen(&[]);
    assert_ne!(listener.address.port(), 0);
    assert_eq!(listener.address.ip().to_string(), "127.0.0.1");
}

#[test]
fn once_ends_after_one_datagram() {
    let listener = listen(&["--once", "--format", "raw"]);
    let client = stranger();
    for text in ["one", "two", "three"] {
        // The listener may be gone, and the system may report it.
        let _ = client.send_to(text.as_bytes(), listener.address);
    }
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "one"));
}

#[test]
fn count_ends_after_that_many_datagrams() {
    let listener = listen(&["--count", "3", "--format", "raw"]);
    assert_eq!(send(&["--count", "3", &listener.to(), "x"]).code, Some(0));
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "xxx"));
}

#[test]
fn dropped_datagrams_do_not_count() {
    let listener = listen(&["--count", "1", "--format", "raw", "--deny", "127.0.0.2"]);
    let denied = std::net::UdpSocket::bind("127.0.0.2:0").expect("all of 127/8 is loopback");
    denied.send_to(b"denied", listener.address).expect("loopback takes it");
    stranger().send_to(b"heard", listener.address).expect("loopback takes it");
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "heard"));
}

#[test]
fn datagrams_in_the_kernels_buffer_at_the_end_are_printed_and_counted() {
    for signal in ending_signals() {
        let listener = listen(&["--format", "raw", "--ack"]);
        listener.process.signal("STOP");
        let client = stranger();
        for number in 0..50 {
            let sent = client.send_to(format!("<{number}>").as_bytes(), listener.address);
            sent.expect("loopback takes it");
        }
        listener.process.signal(signal);
        listener.process.signal("CONT");
        let ended = listener.process.end();
        let all: String = (0..50).map(|number| format!("<{number}>")).collect();
        assert_eq!((ended.code, ended.text()), (Some(0), &*all), "{signal}");
        for _ in 0..50 {
            assert_eq!(hear(&client).0.trim_ascii(), b"ACK", "each is acknowledged");
        }
    }
}

#[test]
fn too_few_descriptors_are_an_error_message() {
    for few in 3..16 {
        let mut command = Command::new("sh");
        let listen = ["listen", "--plain", "--for", "10ms", "127.0.0.1:0"];
        let limit = format!("ulimit -n {few}; exec \"$0\" \"$@\"");
        command
            .env("LC_ALL", "C")
            .args(["-c", &limit])
            .arg(hikyaku(&[]).get_program())
            .args(listen);
        let ended = Process::start(command).end();
        let loads = !ended.err.contains("error while loading");
        let reported = ended.code == Some(0) || ended.err.contains("Too many open files");
        assert!(reported || few < 6 && !loads, "{few}: {ended:?}");
        assert!(!ended.err.contains("panicked"), "{few}: {ended:?}");
    }
}

#[test]
fn for_ends_when_its_time_is_up() {
    let listener = listen(&["--for", "100ms"]);
    assert_eq!(listener.process.end().code, Some(0));
}

#[test]
fn for_fails_if_the_count_is_not_reached() {
    let ended = listen(&["--for", "100ms", "--count", "2"]).process.end();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.err.lines().last(), Some("hikyaku: 0 of 2 datagrams came in time"));
}

#[test]
fn until_ends_at_exactly_that_text() {
    let listener = listen(&["--until", "end", "--format", "raw"]);
    assert_eq!(send(&[&listener.to(), "ending", "END", "end"]).code, Some(0));
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "endingENDend"));
}

#[test]
fn no_datagram_ends_a_listener_by_default() {
    let listener = listen(&["--format", "raw"]);
    assert_eq!(send(&[&listener.to(), "q", "quit", "exit", "\u{4}", "", "x\n"]).code, Some(0));
    listener.process.out.line(|line| line.ends_with('x'));
    assert!(!listener.process.ends_within(Duration::ZERO));
}

#[test]
fn echo_answers_each_datagram_with_itself() {
    let listener = listen(&["--echo"]);
    let client = stranger();
    for payload in [b"one".as_slice(), b"", b"\xff\x00"] {
        client.send_to(payload, listener.address).expect("loopback takes it");
        assert_eq!(hear(&client), (payload.to_vec(), listener.address));
    }
}

#[test]
fn without_ack_or_echo_nothing_is_answered() {
    let listener = listen(&["--format", "raw"]);
    let client = stranger();
    client.send_to(b"x\n", listener.address).expect("loopback takes it");
    listener.process.out.line(|line| line == "x");
    assert!(heard_by_now(&client).is_empty());
}

#[test]
fn ctrl_c_ends_it_cleanly_with_counts() {
    let listener = listen(&["--format", "raw", "--deny", "127.0.0.2"]);
    let denied = std::net::UdpSocket::bind("127.0.0.2:0").expect("all of 127/8 is loopback");
    denied.send_to(b"a", listener.address).expect("loopback takes it");
    denied.send_to(b"b", listener.address).expect("loopback takes it");
    stranger().send_to(b"heard\n", listener.address).expect("loopback takes it");
    listener.process.out.line(|line| line == "heard");
    let ended = listener.interrupt();
    assert_eq!((ended.code, ended.text()), (Some(0), "heard\n"));
    assert_eq!(dropped(&ended.err, "filtered"), 2, "{}", ended.err);
}

#[test]
fn ctrl_c_right_after_the_address_is_printed_ends_it_cleanly() {
    // If there were a race, half of the tries would lose it.
    for _ in 0..20 {
        let ended = listen(&[]).interrupt();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn ctrl_c_prints_no_counts_if_nothing_was_dropped() {
    let listener = listen(&["--format", "raw"]);
    stranger().send_to(b"heard\n", listener.address).expect("loopback takes it");
    listener.process.out.line(|line| line == "heard");
    let ended = listener.interrupt();
    assert_eq!(ended.code, Some(0));
    assert_eq!(complaints(&ended.err).len(), 2, "two lines of its start: {}", ended.err);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut head = Command::new("head");
    let mut head = head.arg("-1").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let reader = head.as_mut().expect("every system has head");
    let pipe = reader.stdin.take().expect("it is piped");
    let mut command = hikyaku(&["listen", "--plain", "127.0.0.1:0"]);
    command.stdout(pipe);
    let listener = Listener::new(Process::start_with_output_elsewhere(command));
    // It notices by a write to a pipe without a reader.
    let client = stranger();
    let mut reported = 0;
    while !listener.process.ends_within(Duration::from_millis(20)) {
        let _ = client.send_to(b"is anyone there?", listener.address);
        reported += 1;
        assert!(reported < 50 * DEADLINE.as_secs(), "{:?}", listener.process);
    }
    let ended = listener.process.end();
    reader.wait().expect("a child of ours can be waited for");
    assert_eq!(ended.code, Some(0));
    assert_eq!(complaints(&ended.err).len(), 2, "two lines of its start: {}", ended.err);
}

#[test]
#[cfg(target_os = "linux")]
fn a_hangup_ends_a_listener_unless_it_is_ignored() {
    if ending_signals().contains(&"HUP") {
        let listener = listen(&[]);
        listener.process.signal("HUP");
        assert_eq!(listener.process.end().code, Some(0));
    }
    // As nohup does.
    let mut shell = Command::new("sh");
    let program = hikyaku(&[]).get_program().to_owned();
    let script = "trap '' HUP; exec \"$0\" listen --plain --format raw 127.0.0.1:0";
    let listener = Listener::new(Process::start({
        shell.env("LC_ALL", "C").arg("-c").arg(script).arg(program);
        shell
    }));
    listener.process.signal("HUP");
    stranger().send_to(b"heard\n", listener.address).expect("loopback takes it");
    listener.process.out.line(|line| line == "heard");
    assert_eq!(listener.interrupt().code, Some(0));
}

#[test]
fn two_listeners_cannot_have_one_port() {
    let listener = listen(&[]);
    let second = run(&["listen", "--plain", &listener.to()], b"");
    assert_eq!(second.code, Some(1));
    let named = second.err.contains(&listener.to());
    assert!(named && second.err.contains("used by another program"), "{}", second.err);
}

/// Returns the command, run by a shell that redirects its standard streams first.
fn redirected(streams: &str, args: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    let program = hikyaku(&[]);
    shell.args(["-c", &format!("exec \"$0\" \"$@\" {streams}")]).arg(program.get_program());
    shell.args(args).env("LC_ALL", "C").env("HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/home"));
    shell
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_may_be_closed_causes_one_warning_and_no_error() {
    const WARNING: &str = "warning: standard output is closed or /dev/null";
    let native = ["listen", "--for", "100ms", "127.0.0.1:0"];
    let plain = ["listen", "--plain", "--for", "100ms", "127.0.0.1:0"];
    // The last one is what Python's `subprocess.DEVNULL` and Node's `ignore` pass.
    for discarded in [">&-", "</dev/null >&-", "1<>/dev/null"] {
        for args in [&native[..], &plain] {
            let ended = Process::start(redirected(discarded, args)).end();
            assert_eq!(ended.code, Some(0), "{discarded}: {ended:?}");
            assert_eq!(ended.err.matches(WARNING).count(), 1, "{discarded}: {ended:?}");
        }
    }
    let quiet = ["listen", "-q", "--for", "100ms", "127.0.0.1:0"];
    let ended = Process::start(redirected("1<>/dev/null", &quiet)).end();
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    for open in [">/dev/null", "<>/dev/null >&0", "<>/dev/null >&0 2>&0"] {
        let ended = Process::start(redirected(open, &native)).end();
        assert_eq!(ended.code, Some(0), "{open}: {ended:?}");
        assert!(!ended.err.contains(WARNING), "{open}: {ended:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_message_for_a_discarded_output_is_acknowledged() {
    let mut command = hikyaku(&["listen", "--once", "127.0.0.1:0"]);
    let null = std::fs::File::options().read(true).write(true).open("/dev/null");
    command.stdout(null.expect("/dev/null can be opened"));
    let listener = Listener::new(Process::start_with_output_elsewhere(command));
    let sent = run(&["send", &listener.to(), "hello"], b"");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_second_signal_is_not_blamed_on_the_reader() {
    let mut command = hikyaku(&["listen", "--plain", "127.0.0.1:0"]);
    let (unread, output) = std::io::pipe().expect("a pipe can be made");
    command.stdout(output);
    let listener = Listener::new(Process::start_with_output_elsewhere(command));
    let client = stranger();
    // More than a pipe holds, so that the writer waits for a reader.
    for _ in 0..100 {
        client.send_to(&[b'x'; 4_000], listener.address).expect("loopback takes it");
    }
    listener.process.interrupt();
    while !listener.process.ends_within(Duration::from_millis(200)) {
        listener.process.interrupt();
    }
    let ended = listener.process.end();
    drop(unread);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("stopped at once"), "{}", ended.err);
}

#[test]
fn ctrl_c_with_nothing_left_to_send_is_no_failure() {
    let home = Home::new();
    let listener = home.listen(&["--format", "lines"]);
    let (to, program) = (listener.to(), stranger());
    for args in [&["send", &to][..], &["send", "--plain", &address_of(&program)]] {
        let mut sender = Process::start(home.command(args));
        sender.type_line("a line");
        if args.len() == 2 {
            listener.process.out.line(|line| line == "a line");
        } else {
            assert_eq!(hear(&program).0, b"a line");
        }
        sender.interrupt();
        let ended = sender.end();
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    }
}

#[test]
fn ctrl_c_with_something_left_to_send_is_a_failure() {
    let home = Home::new();
    let listener = home.listen(&["--format", "lines"]);
    let (to, program) = (listener.to(), stranger());
    let plain = address_of(&program);
    for args in [
        &["send", "--interval", "1h", &to, "one", "two"][..],
        &["send", "--plain", "--interval", "1h", &plain, "one", "two"],
        &["send", "--raw", "--channel", "7", &to],
        &["send", "--plain", "--reply=1", &plain, "one"],
    ] {
        let mut sender = Process::start(home.command(args));
        if let [_, "--raw", ..] = args {
            sender.type_part(b"a stream\n");
        }
        if args.contains(&"--plain") {
            assert_eq!(hear(&program).0, b"one");
        } else {
            listener.process.out.line(|line| args.contains(&"--raw") == (line == "a stream"));
        }
        sender.interrupt();
        let ended = sender.end();
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        assert!(ended.err.contains("interrupted"), "{args:?}: {ended:?}");
    }
}

#[test]
fn the_end_of_a_stream_is_not_a_message() {
    let home = Home::new();
    for (format, printed) in [("lines", "all of it\n"), ("raw", "all of it")] {
        let listener = home.listen(&["--format", format]);
        let sent = home.run(&["send", "--raw", &listener.to()], b"all of it");
        assert_eq!(sent.code, Some(0), "{sent:?}");
        assert!(sent.err.contains("9 bytes written"), "{}", sent.err);
        assert_eq!(listener.interrupt().text(), printed);
    }
    let listener = home.listen(&["--format", "lines"]);
    assert_eq!(home.send(&[&listener.to(), "one", "", "two"]).code, Some(0));
    assert_eq!(listener.interrupt().text(), "one\n\ntwo\n", "an empty message is one");
}
