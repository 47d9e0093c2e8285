//! A `hikyaku` chat room with one member, for another program's client to join.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::process::{Process, Stream};
use crate::programs::{bound_address, hikyaku};

/// `hikyaku chat host --headless`, and its port.
#[derive(Debug)]
pub struct Room {
    host: Process,
    /// A silent member from the start, who receives everything sent to members.
    witness: UdpSocket,
    /// Its port on 127.0.0.1.
    pub port: String,
}

impl Room {
    /// Opens a room on a free port.
    #[track_caller]
    #[must_use]
    pub fn open() -> Self {
        let host = Process::start(hikyaku(&["chat", "host", "--plain-only", "--headless", ":0"]));
        let port = bound_address(&host).port().to_string();
        let witness = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        witness.set_read_timeout(Some(Duration::from_secs(30))).expect("30 s is a time");
        witness.send_to(b"/name eve", format!("127.0.0.1:{port}")).expect("loopback takes it");
        Self { host, witness, port }
    }

    /// Waits until the room has announced `name`.
    #[track_caller]
    pub fn wait_until_announced(&self, name: &str) {
        let mut buffer = [0; 2048];
        loop {
            let told = self.witness.recv(&mut buffer);
            let count =
                told.unwrap_or_else(|_| panic!("{name} was not announced: {:?}", self.host));
            if String::from_utf8_lossy(&buffer[..count]).contains(name) {
                return;
            }
        }
    }

    /// Runs [`talk_with_ana`] in this room.
    #[track_caller]
    pub fn ana_talks_with(&self, ben: &mut Process) {
        talk_with_ana(&["--plain", &format!("127.0.0.1:{}", self.port)], ben);
    }
}

/// Lets Ana join with `hikyaku chat join` and talk with Ben, whose client is in the room already
/// and named `ben`. A client may show datagrams without ending its lines.
#[track_caller]
pub fn talk_with_ana(joins_with: &[&str], ben: &mut Process) {
    let mut ana =
        Process::start(hikyaku(&[&["chat", "join", "--name", "ana"], joins_with].concat()));
    ben.wait_for_text(Stream::Out, "ana");

    ben.type_line("hello from ben");
    ana.wait_for_line(Stream::Out, |line| {
        line.contains("ben") && line.contains("hello from ben") && shows_a_time(line)
    });
    ana.type_line("hello from ana");
    ben.wait_for_text(Stream::Out, "] ana: hello from ana");

    ana.type_line("q");
    let exit = ana.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    ben.wait_for_text(Stream::Out, "left");
}

/// Starts a room over DTLS without an interactive host. Returns its address.
#[track_caller]
#[must_use]
pub fn room_dtls(options: &[&str]) -> (Process, SocketAddr) {
    let words =
        [&["chat", "host", "--dtls-only", "--headless"], options, &["127.0.0.1:0"]].concat();
    let host = Process::start(hikyaku(&words));
    let address = bound_address(&host);
    (host, address)
}

/// Checks that Ben's client, of any program, is a member: known by its address until it gives a
/// name, heard by others, receiving their messages, and gone when it ends.
#[track_caller]
pub fn is_a_member(mut ben: Process, joins_with: &[&str]) {
    let watch = [&["chat", "join", "--name", "eve"], joins_with].concat();
    let eve = Process::start(hikyaku(&watch));
    eve.wait_for_text(Stream::Out, "you are eve");
    ben.type_line("who am I?");
    eve.wait_for_line(Stream::Out, |line| {
        line.contains("] 127.0.0.1:") && line.ends_with(": who am I?")
    });
    ben.type_line("/name ben");
    eve.wait_for_line(Stream::Out, |line| line.ends_with(" is now ben"));
    talk_with_ana(joins_with, &mut ben);
    ben.type_line("/quit");
    eve.wait_for_line(Stream::Out, |line| line.ends_with("* ben left"));
    // Its association was closed, so it has nothing more to wait for.
    let exit = ben.wait_for_end();
    assert!(exit.code.is_some(), "{exit:?}");
}

/// Returns `true` if a line is `[HH:MM:SS] name: text`.
#[must_use]
pub fn is_stamped(line: &str, name: &str, text: &str) -> bool {
    let Some((time, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) else {
        return false;
    };
    time.len() == 8 && shows_a_time(time) && rest == format!("{name}: {text}")
}

/// Returns `true` if a line contains `HH:MM:SS`.
#[must_use]
pub fn shows_a_time(line: &str) -> bool {
    line.as_bytes().windows(8).any(|window| {
        window.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_line_is_recognised() {
        assert!(is_stamped("[01:02:03] ana: hi", "ana", "hi"));
        assert!(!is_stamped("[01:02:03] ana: hi there", "ana", "hi"));
        assert!(!is_stamped("01:02:03 ana: hi", "ana", "hi"));
        assert!(!is_stamped("[1:02:03] ana: hi", "ana", "hi"));
    }
}
