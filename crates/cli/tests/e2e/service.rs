//! A host as a service: its notifications to the service manager, and its metrics.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::Command,
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

/// Starts a command as a service manager does that passes sockets: this one, `count` times.
fn with_socket(command: &Command, socket: UdpSocket, count: u8) -> Command {
    let pass = (0..count).map(|n| format!("{}<&0", 3 + n)).collect::<Vec<_>>().join(" ");
    let script = format!("LISTEN_FDS={count} LISTEN_PID=$$ exec \"$0\" \"$@\" {pass} </dev/null");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(OwnedFd::from(socket));
    shell
}

#[test]
fn a_host_serves_on_the_socket_that_it_is_passed() {
    let (home, bens) = (Home::new(), Home::new());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap().to_string();
    let kept = socket.try_clone().unwrap();
    let host = home.command(&["chat", "host", "--headless"]);
    for (socket, said) in [(socket, "one"), (kept, "two")] {
        let room =
            Listener::new(Process::start_with_input_elsewhere(with_socket(&host, socket, 1)));
        assert_eq!(room.to(), to);
        let ended = bens.run(&["chat", "join", "--name", "ben", &to], said.as_bytes());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let heard = room.interrupt();
        assert!(heard.text().contains(&format!("ben: {said}")), "{heard:?}");
    }
}

#[test]
fn sockets_that_do_not_fit_are_refused() {
    let home = Home::new();
    let refused = |args: &[&str], count| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let command = home.command(&[&["chat", "host", "--headless"], args].concat());
        Process::start_with_input_elsewhere(with_socket(&command, socket, count)).end()
    };
    let ended = refused(&[":0"], 1);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("leave this out"), "{}", ended.err);
    let ended = refused(&["--plain-only"], 1);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("disable the socket unit"), "{}", ended.err);
    let ended = refused(&[], 2);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("it passed 2, not one"), "{}", ended.err);
}

/// Sends an HTTP request as a collector does, and returns the response.
fn ask(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: chat\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_report_members_and_lines_only_on_this_machine() {
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
