//! A host as a service: what it says to the manager that started it, and to a collector of metrics.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use crate::support::{Listener, native::Home, process::Process};

/// Returns the next message to the manager.
#[track_caller]
fn next(manager: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let len = manager.recv(&mut message).unwrap();
    String::from_utf8_lossy(&message[..len]).trim_end().to_owned()
}

#[test]
fn a_host_reports_that_it_is_ready_not_stuck_and_stopping() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = home.command(&["chat", "host", "--headless", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let room = Listener::new(Process::start(command));
    assert_eq!(next(&manager), "READY=1");
    assert_eq!(next(&manager), "WATCHDOG=1");
    assert_eq!(next(&manager), "WATCHDOG=1");
    room.interrupt();
    let last = std::iter::repeat_with(|| next(&manager)).find(|message| message != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}

/// Asks over HTTP as a collector does, and returns the answer.
fn ask(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: chat\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_tell_of_members_and_lines_on_this_machine_alone() {
    let home = Home::new();
    let options = ["chat", "host", "--headless", "--metrics", ":0", "127.0.0.1:0"];
    let room = Listener::new(Process::start(home.command(&options)));
    let line = room.process.err.line(|line| line.contains("metrics on http://"));
    let address = line.split(['/', ' ']).find(|word| word.starts_with("127.0.0.1:")).unwrap();
    let answer = ask(address);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{answer}"
    );
    assert!(answer.ends_with("# EOF\n"), "{answer}");

    let bens = Home::new();
    let to = room.to();
    let args = ["chat", "join", "--name", "ben", &to];
    let mut ben = Process::start(bens.command(&args));
    ben.type_line("hello");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask(address);
        let has = |figure: &str| answer.lines().any(|line| line == figure);
        if has("hikyaku_chat_members 1") && has("hikyaku_chat_relayed_total 1") {
            assert!(has("hikyaku_chat_devices 1"), "{answer}");
            break;
        }
        assert!(Instant::now() < deadline, "{answer}");
    }
}
