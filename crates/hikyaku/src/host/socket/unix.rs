//! What only sockets on Unix provide.
//!
//! In: a socket. Out: what the system reports about it. Never: a datagram.

use std::io;

use quinn_udp::UdpSocketState;
use socket2::Domain;
use tokio::net::UdpSocket;

use super::Unreachable;
use crate::host::address::canonical;

/// Requests the errors that routers and hosts report. Only Linux provides all of them.
pub(super) fn report_errors(state: &UdpSocketState, io: &UdpSocket) -> io::Result<()> {
    state.enable_transport_errors(io.into())
}

/// Returns the next of these errors.
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

/// Permits IP fragmentation, which quinn-udp forbids, as suits a protocol that finds the path's
/// MTU. The size of a plain datagram is its sender's choice, so the IP layer must be free to
/// fragment it.
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
