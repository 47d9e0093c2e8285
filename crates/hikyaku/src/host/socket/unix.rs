//! What sockets have on Unix alone.
//!
//! In: a socket. Out: what the system tells of it. Never: a datagram.

use std::io;

use quinn_udp::UdpSocketState;
use socket2::Domain;
use tokio::net::UdpSocket;

use super::Unreachable;
use crate::host::address::canonical;

/// Asks for the errors that routers and hosts report. Only Linux tells them all.
pub(super) fn report_errors(state: &UdpSocketState, io: &UdpSocket) -> io::Result<()> {
    state.enable_transport_errors(io.into())
}

/// Returns the next error of those.
pub(super) fn next_report(state: &UdpSocketState, io: &UdpSocket) -> Option<Unreachable> {
    let error = state.recv_transport_error(io.into()).ok()??;
    let source = io::Error::from_raw_os_error(error.raw_errno);
    Some(Unreachable { reporter: error.addr.map(canonical), source })
}

/// Returns the last column of this socket's line in `/proc/net/udp` (proc(5)).
pub(super) fn kernel_drops(io: &UdpSocket) -> Option<u64> {
    let inode = rustix::fs::fstat(io).ok()?.st_ino.to_string();
    ["/proc/net/udp", "/proc/net/udp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        let row = table.lines().find(|row| row.split_whitespace().nth(9) == Some(&inode))?;
        row.split_whitespace().last()?.parse().ok()
    })
}

/// quinn-udp forbids IP fragmentation, which suits a protocol that finds the path's MTU. A plain
/// datagram has the size its sender chose, so the IP layer must be free to split it.
pub(super) fn allow_fragmentation(io: &UdpSocket, domain: Domain) {
    use rustix::net::sockopt;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let dont = sockopt::Ipv4PathMtuDiscovery::DONT;
        let _ = sockopt::set_ip_mtu_discover(io, dont);
        if domain == Domain::IPV6 {
            let dont = sockopt::Ipv6PathMtuDiscovery::DONT;
            let _ = sockopt::set_ipv6_mtu_discover(io, dont);
            #[cfg(target_os = "linux")]
            let _ =
                nix::sys::socket::setsockopt(io, nix::sys::socket::sockopt::Ipv6DontFrag, &false);
        }
    }
}
