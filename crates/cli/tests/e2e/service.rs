//! A host as a service: what it says to the manager that started it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{os::unix::net::UnixDatagram, time::Duration};

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
