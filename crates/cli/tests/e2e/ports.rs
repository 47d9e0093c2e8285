//! Ports for programs that must be given one. Also compiled into the tests of `interop`.

use std::{
    net::UdpSocket,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// Returns a socket at a port that the system never assigns by itself, so that no other test takes
/// it once the socket is closed.
pub(crate) fn unclaimed() -> UdpSocket {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = process::id() as u16 % 100 * 100;
    // Below the range that Linux, Windows and macOS choose from.
    let mut ports = (0..10_000).map(|_| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        20_000 + (start + next % 10_000) % 10_000
    });
    ports.find_map(|port| UdpSocket::bind(("0.0.0.0", port)).ok()).expect("a free port")
}
