//! The driver's transport: a UDP socket, or a simulated network in tests.
//!
//! In: trains of datagrams. Out: batches of datagrams. Never: their contents.
//!
//! The library above is the same in both cases, so that a simulation runs the code that programs
//! run: batches, turn limits, mailboxes, handles.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use crate::host::{
    batch::RecvBatch,
    socket::{Socket, Unreachable, Way},
};
#[cfg(test)]
use crate::simulation::network::Nic;

/// A transport for datagrams.
pub(crate) enum Port {
    Udp(Socket),
    #[cfg(test)]
    Simulated(Nic),
}

impl Port {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            #[cfg(test)]
            Self::Simulated(nic) => nic.local_addr(),
        }
    }

    pub(crate) fn receive_buffer(&self) -> usize {
        match self {
            Self::Udp(socket) => socket.receive_buffer(),
            #[cfg(test)]
            Self::Simulated(_) => 0,
        }
    }

    /// Returns how many datagrams the system dropped because the receive buffer was full, if it
    /// counts them. Reads a file, so do not call it on every turn.
    pub(crate) fn kernel_drops(&self) -> Option<u64> {
        match self {
            Self::Udp(socket) => socket.kernel_drops(),
            #[cfg(test)]
            Self::Simulated(_) => None,
        }
    }

    pub(crate) fn has_gso(&self) -> bool {
        match self {
            Self::Udp(socket) => socket.has_gso(),
            #[cfg(test)]
            Self::Simulated(_) => true,
        }
    }

    /// Receives what has arrived, up to a batch, for a caller that returns when it is woken.
    pub(crate) fn poll_recv_all(
        &self,
        cx: &mut Context<'_>,
        batch: &mut RecvBatch,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Udp(socket) => socket.poll_recv_all(cx, batch),
            #[cfg(test)]
            Self::Simulated(nic) => nic.poll_recv_all(cx, batch),
        }
    }

    /// Waits until there is something to receive.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Udp(socket) => socket.poll_readable(cx),
            #[cfg(test)]
            Self::Simulated(nic) => nic.poll_readable(cx),
        }
    }

    /// Sends a train of datagrams.
    pub(crate) fn poll_send_train(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        way: &Way,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Udp(socket) => socket.poll_send_train(cx, bytes, way),
            #[cfg(test)]
            Self::Simulated(nic) => nic.send_train(bytes, way),
        }
    }

    /// Discards the reports that have come by now.
    pub(crate) fn discard_transport_errors(&self) {
        match self {
            Self::Udp(socket) => socket.discard_transport_errors(),
            #[cfg(test)]
            Self::Simulated(_) => {}
        }
    }

    /// Waits for the next report of the network about a datagram that was sent.
    pub(crate) async fn next_transport_error(&self) -> io::Result<Unreachable> {
        match self {
            Self::Udp(socket) => socket.next_transport_error().await,
            #[cfg(test)]
            Self::Simulated(_) => std::future::pending().await,
        }
    }
}
