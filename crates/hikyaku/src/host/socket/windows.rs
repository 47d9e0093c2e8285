//! The Windows counterpart of what only Unix provides.
//!
//! In: a socket. Out: a replacement. Never: a datagram.

use std::{
    io,
    task::{Context, Poll, ready},
};

use quinn_udp::UdpSocketState;
use socket2::Domain;
use tokio::{io::Interest, net::UdpSocket};

use super::Unreachable;

/// A socket that the runtime watches.
pub(super) struct Io(UdpSocket);

impl Io {
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        UdpSocket::from_std(socket).map(Self)
    }

    pub(super) const fn socket(&self) -> &UdpSocket {
        &self.0
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_recv_ready(cx)
    }

    /// Calls `recv` when there is something to receive, until it finds something. It returns
    /// `false` if it has emptied the queue.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        mut recv: impl FnMut(&UdpSocket) -> io::Result<bool>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_recv_ready(cx))?;
            match self.0.try_io(Interest::READABLE, || recv(&self.0)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done.map(drop)),
            }
        }
    }

    /// Calls `send` when there is room in the queue. Returns `WouldBlock` if the system reports
    /// room where there is none.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&UdpSocket) -> io::Result<()>,
    ) -> Poll<io::Result<()>> {
        let mut full = false;
        loop {
            ready!(self.0.poll_send_ready(cx))?;
            match self.0.try_io(Interest::WRITABLE, || send(&self.0)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && !full => full = true,
                done => return Poll::Ready(done),
            }
        }
    }

    /// Waits until the system reports room in the send queue.
    pub(super) async fn room(&self) -> io::Result<()> {
        // What it reported before was wrong.
        let _ = self.0.try_io(Interest::WRITABLE, || {
            Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock))
        });
        self.0.writable().await
    }

    /// Waits until the system reports an error that `next` finds: never.
    pub(super) async fn next_error<T>(&self, _: impl Fn() -> Option<T>) -> io::Result<T> {
        std::future::pending().await
    }
}

/// Windows has no such reports: a failing dial takes its full time.
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
