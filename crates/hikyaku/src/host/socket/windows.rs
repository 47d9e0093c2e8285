//! The Windows counterpart of what only Unix provides: nothing.
//!
//! In: a socket. Out: a replacement. Never: a datagram.

use std::io;

use quinn_udp::UdpSocketState;
use socket2::Domain;
use tokio::net::UdpSocket;

use super::Unreachable;

/// There are no such reports: a dial takes its full time to fail.
pub(super) fn report_errors(_: &UdpSocketState, _: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) const fn next_report(_: &UdpSocketState, _: &UdpSocket) -> Option<Unreachable> {
    None
}

pub(super) const fn kernel_drops(_: &UdpSocket) -> Option<u64> {
    None
}

/// IP may fragment datagrams unless the option forbids it.
pub(super) const fn allow_fragmentation(_: &UdpSocket, _: Domain) {}
