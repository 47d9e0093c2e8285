//! What only sockets on Unix provide.
//!
//! In: a socket. Out: what the system reports about it. Never: a datagram.

use std::{
    future::Future,
    io,
    net::UdpSocket,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use quinn_udp::UdpSocketState;
use socket2::Domain;
use tokio::{
    io::{Interest, Ready, unix::AsyncFd},
    runtime::Handle,
};

use super::Unreachable;
use crate::host::address::canonical;

/// A socket that the runtime watches only for received datagrams: otherwise each datagram that
/// leaves the send queue would wake the task, although it does not wait for room (epoll(7),
/// EPOLLOUT).
pub(super) struct Io {
    io: AsyncFd<UdpSocket>,
    runtime: Handle,
    room: Mutex<Room>,
}

/// Whether there is room in the send queue.
enum Room {
    /// There is room, as far as is known.
    Some,
    /// The system was asked to report room.
    Awaited(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>),
    /// The system has reported room.
    Reported,
}

impl Io {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let io = watch(socket, Interest::READABLE)?;
        Ok(Self { io, runtime, room: Mutex::new(Room::Some) })
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        self.io.get_ref()
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_read_ready(cx).map_ok(drop)
    }

    /// Calls `recv` when there is something to receive, until it finds something. It returns
    /// `false` if it has emptied the queue; datagrams that arrive later wake the task
    /// (edge-triggered).
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        mut recv: impl FnMut(&UdpSocket) -> io::Result<bool>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut readable = ready!(self.io.poll_read_ready(cx))?;
            match readable.try_io(|io| recv(io.get_ref())) {
                Ok(Ok(more)) => {
                    if !more {
                        readable.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// Calls `send` when there is room in the queue. Returns `WouldBlock` if the system reports
    /// room where there is none, as it does after an error report: trying again would spin.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&UdpSocket) -> io::Result<()>,
    ) -> Poll<io::Result<()>> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Room::Awaited(report) = &mut *room {
                // Without a report (no descriptor is free, for example) the next attempt decides:
                // its `WouldBlock` makes the caller wait for a timer. A finished future must not
                // be polled again.
                let _ = ready!(report.as_mut().poll(cx));
                *room = Room::Reported;
            }
            match (send(self.socket()), &*room) {
                (Err(e), Room::Some) if e.kind() == io::ErrorKind::WouldBlock => {
                    *room = Room::Awaited(Box::pin(self.room()));
                }
                (sent, _) => {
                    *room = Room::Some;
                    return Poll::Ready(sent);
                }
            }
        }
    }

    /// Waits until the system reports room in the send queue.
    pub(super) fn room(&self) -> impl Future<Output = io::Result<()>> + Send + use<> {
        let (socket, runtime) = (self.socket().try_clone(), self.runtime.clone());
        async move {
            let watched = {
                let _context = runtime.enter();
                watch(socket?, Interest::WRITABLE)?
            };
            watched.writable().await.map(drop)
        }
    }

    /// Waits until the system reports an error that `next` finds.
    pub(super) async fn next_error<T>(&self, next: impl Fn() -> Option<T>) -> io::Result<T> {
        loop {
            let mut ready = self.io.ready(Interest::ERROR).await?;
            if let Some(error) = next() {
                return Ok(error);
            }
            ready.clear_ready_matching(Ready::ERROR);
        }
    }
}

/// Registers a socket with the runtime of this thread.
#[expect(deprecated, reason = "its successor is unsafe, for types that may close their descriptor")]
fn watch(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    AsyncFd::with_interest(socket, interest)
}

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
