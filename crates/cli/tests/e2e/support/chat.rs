//! Rooms, our clients, and clients that do not know hikyaku.

use std::net::{SocketAddr, UdpSocket};

use super::{
    Listener, hear,
    process::{Ended, Process, hikyaku},
    stranger,
};

/// Starts a room of plain datagrams, without a host.
#[track_caller]
pub(crate) fn room(options: &[&str]) -> Listener {
    room_of("--plain-only", options)
}

/// Starts a room of this kind, without a host.
#[track_caller]
pub(crate) fn room_of(kind: &str, options: &[&str]) -> Listener {
    let args = [&["chat", "host", kind, "--headless"], options, &["127.0.0.1:0"]].concat();
    Listener::new(Process::start(hikyaku(&args)))
}

#[track_caller]
pub(crate) fn join(address: SocketAddr, name: &str, options: &[&str]) -> Process {
    let to = address.to_string();
    let args = [&["chat", "join", "--plain", "--name", name], options, &[&to]].concat();
    Process::start(hikyaku(&args))
}

/// Joins and waits for the greeting.
#[track_caller]
pub(crate) fn join_room(room: &Listener, name: &str, options: &[&str]) -> Process {
    let client = join(room.address, name, options);
    client.out.line(|line| line.contains(&format!("* this is a hikyaku chat; you are {name};")));
    client
}

/// A client that does not know hikyaku, a member by its first datagram.
pub(crate) struct Plain(pub(crate) UdpSocket, pub(crate) SocketAddr);

impl Plain {
    #[track_caller]
    pub(crate) fn join(room: &Listener, name: &str) -> Self {
        let client = Self(stranger(), room.address);
        client.say(&format!("/name {name}"));
        client.hears(|line| line.contains(&format!("you are {name};")));
        client
    }

    pub(crate) fn say(&self, text: &str) {
        self.0.send_to(text.as_bytes(), self.1).expect("loopback takes it");
    }

    /// Waits for a line that satisfies `wanted`.
    #[track_caller]
    pub(crate) fn hears(&self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = String::from_utf8(hear(&self.0).0).expect("a room sends text");
            if wanted(&line) {
                return line;
            }
        }
    }
}

/// Returns `true` if a line is `[HH:MM:SS] rest`.
pub(crate) fn is_stamped(line: &str, rest: &str) -> bool {
    let Some((stamp, said)) = line.split_once(' ') else { return false };
    let form: String = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form == "[00:00:00]" && said == rest
}

#[track_caller]
pub(crate) fn leaves_well(mut client: Process) -> Ended {
    client.type_line("/quit");
    let ended = client.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

/// Starts a room whose host is a pipe.
#[track_caller]
pub(crate) fn hosted(options: &[&str]) -> Listener {
    let host = ["chat", "host", "--plain-only", "--name", "hana"];
    Listener::new(Process::start(hikyaku(&[&host[..], options, &["127.0.0.1:0"]].concat())))
}
