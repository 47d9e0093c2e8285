//! Runs the command: its input, its output, its end.

pub(crate) mod chat;
pub(crate) mod keys;
pub(crate) mod native;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod terminal;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use serde_json::Value;

use self::process::{Ended, Process, hikyaku};

/// Far longer than any step takes, even on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

/// Runs the command to its end with this standard input.
#[track_caller]
pub(crate) fn run(args: &[&str], input: &[u8]) -> Ended {
    let mut process = Process::start(hikyaku(args));
    process.type_all(input);
    process.end()
}

/// Runs `hikyaku send --plain` to its end, with empty input.
#[track_caller]
pub(crate) fn send(args: &[&str]) -> Ended {
    run(&[&["send", "--plain"], args].concat(), b"")
}

/// A command line, and words of its error message.
pub(crate) type Case<'a> = (&'a [&'a str], &'a [&'a str]);

/// Checks that every command line exits with this code, one line on standard error, and nothing on
/// standard output. Reports all that do not.
#[track_caller]
pub(crate) fn refused(code: i32, cases: &[Case<'_>]) {
    let mut wrong = Vec::new();
    for (args, words) in cases {
        let ended = run(args, b"");
        let lines: Vec<&str> = ended.err.lines().collect();
        let clear = lines.len() == 1
            && lines[0].starts_with("hikyaku: ")
            && words.iter().all(|word| lines[0].contains(word));
        if ended.code != Some(code) || !clear || !ended.out.is_empty() {
            wrong.push(format!("{args:?}: wants {code} and {words:?}: {ended:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A listening process, and its address.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Listener {
    /// Waits until it listens.
    #[track_caller]
    pub(crate) fn new(process: Process) -> Self {
        let line = process.err.line(|line| line.starts_with("listening on "));
        let address = line["listening on ".len()..].parse();
        Self { process, address: address.expect("an address follows") }
    }

    /// Returns its address as an argument.
    pub(crate) fn to(&self) -> String {
        self.address.to_string()
    }

    /// Sends Ctrl-C, and returns the output.
    #[track_caller]
    pub(crate) fn interrupt(self) -> Ended {
        self.process.interrupt();
        self.process.end()
    }
}

/// Starts `hikyaku listen --plain` on a free port of 127.0.0.1.
#[track_caller]
pub(crate) fn listen(options: &[&str]) -> Listener {
    let args = [&["listen", "--plain"], options, &["127.0.0.1:0"]].concat();
    Listener::new(Process::start(hikyaku(&args)))
}

/// A UDP program that does not know hikyaku: a socket on a free port of 127.0.0.1.
pub(crate) fn stranger() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.set_read_timeout(Some(DEADLINE)).expect("it is a time");
    socket
}

/// Returns the address of a socket, as an argument.
pub(crate) fn address_of(socket: &UdpSocket) -> String {
    socket.local_addr().expect("it is bound").to_string()
}

/// Returns the next datagram and its sender.
#[track_caller]
pub(crate) fn hear(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (len, from) = socket.recv_from(&mut buffer).expect("a datagram comes in time");
    buffer.truncate(len);
    (buffer, from)
}

/// Returns everything that has arrived, without waiting: on loopback, a sent datagram is there.
pub(crate) fn heard_by_now(socket: &UdpSocket) -> Vec<Vec<u8>> {
    socket.set_nonblocking(true).expect("a socket can be");
    let mut buffer = vec![0; 65_536];
    let mut all = Vec::new();
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, _)) => all.push(buffer[..len].to_vec()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return all,
            Err(e) => panic!("cannot receive: {e}"),
        }
    }
}

/// Parses an object of `--format json`.
#[track_caller]
pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON: {line:?}: {e}"))
}

/// Returns the texts in the output of `--format json`.
#[track_caller]
pub(crate) fn texts(output: &str) -> Vec<String> {
    let text = |line| json(line)["text"].as_str().expect("a text").to_owned();
    output.lines().map(text).collect()
}

/// Returns how many datagrams were dropped for `reason`, from the line `dropped: 3 stale, 1 …`.
pub(crate) fn dropped(err: &str, reason: &str) -> u64 {
    let line = err.lines().rev().find_map(|line| line.strip_prefix("dropped: "));
    let counts = line.into_iter().flat_map(|line| line.split(", "));
    let mut fitting = counts.filter_map(|count| {
        let (number, rest) = count.split_once(' ')?;
        rest.starts_with(reason).then(|| number.parse().expect("a number of datagrams"))
    });
    fitting.next().unwrap_or(0)
}

/// Returns a file's path as an argument.
pub(crate) fn file_in(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("a temporary path is UTF-8").to_owned()
}

/// A temporary folder, gone with the value.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// Returns `true` if this machine has IPv6; otherwise prints that a test is skipped.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn has_ipv6() -> bool {
    let bound = UdpSocket::bind("[::1]:0");
    if let Err(e) = &bound {
        println!("skipped: no IPv6 here: {e}");
    }
    bound.is_ok()
}
