//! Finds and starts the programs that talk to each other.
//!
//! No port is fixed, and no path depends on the machine.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Exit, Process, Stream};

/// Returns the `hikyaku` command with these arguments: `HIKYAKU_BIN`, or the one built beside this
/// test.
#[track_caller]
#[must_use]
pub fn hikyaku(args: &[&str]) -> Command {
    let mut command = Command::new(hikyaku_program());
    command.args(args).env("LC_ALL", "C");
    command
}

#[track_caller]
fn hikyaku_program() -> PathBuf {
    if let Some(program) = std::env::var_os("HIKYAKU_BIN") {
        return program.into();
    }
    let built = ["release/hikyaku", "debug/hikyaku"].map(|path| target_folder().join(path));
    let found = built.into_iter().find(|program| program.exists());
    found.expect("hikyaku is built: run `cargo xtask interop`, or set HIKYAKU_BIN")
}

/// Returns a command for one of the Python peers. Uses `HIKYAKU_PYTHON`, or the environment made by
/// `.ci/run`, or the system's Python.
#[must_use]
pub fn python(script: &str, args: &[&str]) -> Command {
    let made = target_folder().join("interop-venv/bin/python");
    let python = match std::env::var_os("HIKYAKU_PYTHON") {
        Some(python) => python.into(),
        None if made.exists() => made,
        None => "python3".into(),
    };
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut command = Command::new(python);
    // -B: no compiled files beside the sources; -u: unbuffered output.
    command.args(["-B", "-u"]).arg(peers.join(script)).args(args);
    command
}

/// Returns a command for our program on wolfSSL: `HIKYAKU_WOLFSSL`, or the one compiled by `cargo
/// xtask interop`.
#[must_use]
pub fn wolfssl(args: &[&str]) -> Command {
    let program = std::env::var_os("HIKYAKU_WOLFSSL").map(PathBuf::from);
    let program = program.unwrap_or_else(|| target_folder().join("interop-wolfssl/dtls"));
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Tests are built in `target/<profile>/deps`.
fn target_folder() -> PathBuf {
    let this = std::env::current_exe().expect("a test knows its own program");
    this.ancestors().nth(3).expect("a test is three folders deep in target").to_owned()
}

/// Runs a program to its end.
#[track_caller]
pub fn run(command: Command) -> Exit {
    let mut process = Process::start(command);
    process.type_all("");
    process.wait_for_end()
}

/// Starts `hikyaku listen --plain` on a free port of 127.0.0.1.
#[track_caller]
#[must_use]
pub fn listen(options: &[&str]) -> (Process, SocketAddr) {
    let mut command = hikyaku(&["listen", "--plain"]);
    command.args(options).arg("127.0.0.1:0");
    let process = Process::start(command);
    let address = bound_address(&process);
    (process, address)
}

/// Starts `hikyaku listen --dtls` on a free port of 127.0.0.1.
#[track_caller]
#[must_use]
pub fn listen_dtls(options: &[&str]) -> (Process, SocketAddr) {
    let mut command = hikyaku(&["listen", "--dtls", "--format", "raw"]);
    command.args(options).arg("127.0.0.1:0");
    let process = Process::start(command);
    let address = bound_address(&process);
    (process, address)
}

/// Waits for the bound address of `hikyaku listen` or `chat host`.
#[track_caller]
#[must_use]
pub fn bound_address(process: &Process) -> SocketAddr {
    process.wait_for_address(Stream::Err, "listening on ")
}

/// An identity made by `hikyaku keygen`, or read by `hikyaku key`.
#[derive(Debug)]
pub struct Key {
    /// The private key's file, as an argument.
    pub file: String,
    /// `ssh-ed25519 AAAA…`, without a comment.
    pub public: String,
    /// `SHA256:…`.
    pub fingerprint: String,
}

/// Makes an identity in `folder`.
#[track_caller]
#[must_use]
pub fn new_key(folder: &Path, name: &str) -> Key {
    let file = file_in(folder, name);
    let made = run(hikyaku(&["keygen", &file]));
    assert_eq!(made.code, Some(0), "{made:?}");
    key_of(&file)
}

/// Parses the output of `hikyaku key` for a key file.
#[track_caller]
#[must_use]
pub fn key_of(file: &str) -> Key {
    let shown = run(hikyaku(&["key", file]));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let line = shown.out.lines().find(|line| line.contains("ssh-ed25519 "));
    let line = line.unwrap_or_else(|| panic!("no public line in {shown:?}"));
    let words: Vec<&str> = line.split_whitespace().skip_while(|w| *w != "ssh-ed25519").collect();
    let fingerprint = shown.out.split_whitespace().find(|word| word.starts_with("SHA256:"));
    Key {
        file: file.to_owned(),
        public: words[..2].join(" "),
        fingerprint: fingerprint.unwrap_or_else(|| panic!("no SHA256: in {shown:?}")).to_owned(),
    }
}

/// Makes a shared key in `folder`. Returns its file as an argument.
#[track_caller]
#[must_use]
pub fn new_shared_key(folder: &Path, name: &str) -> String {
    let file = file_in(folder, name);
    let made = run(hikyaku(&["keygen", "--shared", &file]));
    assert_eq!(made.code, Some(0), "{made:?}");
    file
}

/// Returns a file's path as an argument.
#[track_caller]
#[must_use]
pub fn file_in(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("a temporary path is UTF-8").to_owned()
}

/// Waits until a program that prints nothing is bound, and returns its UDP port (Linux).
#[track_caller]
#[must_use]
pub fn udp_port(process: &Process) -> u16 {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let [port, ..] = bound_udp_ports(process.id())[..] {
            return port;
        }
        assert!(Instant::now() < deadline, "no UDP port: {process:?}");
        // Nothing reports another program's bind, so the kernel's table is polled.
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Combines the kernel's table of UDP sockets with the sockets that the process holds. Connected
/// sockets are left out: looking up an address opens some for a moment (RFC 6724).
fn bound_udp_ports(id: u32) -> Vec<u16> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{id}/fd")) else { return Vec::new() };
    let held: Vec<String> = descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.replace(']', "")))
        .collect();
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(fs::read_to_string);
    let rows = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.get(9).is_some_and(|inode| held.iter().any(|held| held == inode)))
        .filter(|row| row[2].ends_with(":0000"))
        .filter_map(|row| u16::from_str_radix(row[1].rsplit(':').next()?, 16).ok())
        .filter(|port| *port != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_port_of_our_own_is_found_while_it_is_bound() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(bound_udp_ports(std::process::id()).contains(&port));
        let connected = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(socket.local_addr().unwrap()).unwrap();
        let port_of_connected = connected.local_addr().unwrap().port();
        assert!(!bound_udp_ports(std::process::id()).contains(&port_of_connected));
        drop(socket);
        assert!(!bound_udp_ports(std::process::id()).contains(&port));
    }
}
