//! The operations that a peer must support. Every workload is written once, against these traits.

use std::{net::SocketAddr, time::Instant};

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::limits::CONNECTING_AT_ONCE;

/// The largest packets that a peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packets {
    /// The peer's own choice.
    AsItComes,
    /// What fits an Ethernet frame: 1,472 bytes of UDP payload over IPv4.
    Ethernet,
}

/// The settings of a run that both ends have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) packets: Packets,
    /// The bandwidth-delay product of the path needs windows larger than the defaults.
    pub(crate) long_path: bool,
    /// The connections that will be opened.
    pub(crate) connections: usize,
}

/// A library, as a program would use it for speed.
pub(crate) trait Peer {
    /// What a server listens with.
    type Listener: 'static;
    /// What a client connects with.
    type Dialler: 'static;
    /// One end of a connection.
    type End: End + 'static;

    /// Listens on a free port of loopback. Returns the address, and what a client needs to trust
    /// the server.
    async fn listen(settings: &Settings) -> Result<(Self::Listener, SocketAddr, String)>;

    async fn accept(listener: &mut Self::Listener) -> Result<Self::End>;

    async fn dialler(settings: &Settings, identity: &str) -> Result<Self::Dialler>;

    /// Connects, and waits until the path's packet size is found.
    async fn connect(dialler: &Self::Dialler, server: SocketAddr) -> Result<Self::End>;

    /// Opens connections and keeps them.
    async fn open(dialler: Self::Dialler, server: SocketAddr, count: usize) -> Result<Held> {
        let ends: Vec<Self::End> = stream::iter(0..count)
            .map(|_| Self::connect(&dialler, server))
            .buffer_unordered(CONNECTING_AT_ONCE)
            .try_collect()
            .await?;
        Ok(Held::keep((dialler, ends)))
    }

    /// Accepts connections and keeps them.
    async fn hold(mut listener: Self::Listener, count: usize) -> Result<Held> {
        let mut ends = Vec::with_capacity(count);
        while ends.len() < count {
            ends.push(Self::accept(&mut listener).await?);
        }
        Ok(Held::keep((listener, ends)))
    }
}

/// Connections that stay open, for peers that run by themselves and for those that must be driven.
pub(crate) struct Held(Box<dyn FnMut()>);

impl Held {
    /// Keeps connections that tasks of the runtime drive.
    pub(crate) fn keep<T: 'static>(connections: T) -> Self {
        let kept = connections;
        Self(Box::new(move || {
            let _ = &kept;
        }))
    }

    /// Keeps connections that advance only when they are called.
    #[cfg(any(feature = "enet", feature = "renet"))]
    pub(crate) fn drive(turn: impl FnMut() + 'static) -> Self {
        Self(Box::new(turn))
    }

    /// Lets the connections advance.
    pub(crate) fn turn(&mut self) {
        (self.0)();
    }
}

/// One end of a connection. Messages are reliable and ordered, except with raw datagrams.
///
/// A message is passed as a slice of the application; each peer copies it once into whatever it
/// needs.
pub(crate) trait End {
    /// Sends one message; waits if there is no room.
    async fn send(&mut self, message: &[u8]) -> Result<()>;

    /// Sends messages of `len` bytes that lie one after the other, in the way that is fastest.
    async fn send_many(&mut self, messages: &[u8], len: usize) -> Result<()> {
        for message in messages.chunks(len) {
            self.send(message).await?;
        }
        Ok(())
    }

    /// Sends a part of a long transfer. Streams need no length prefix here.
    async fn send_bulk(&mut self, bytes: &[u8]) -> Result<()> {
        self.send(bytes).await
    }

    /// Sends what is still held back for packing.
    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Waits for messages, and passes on at least one. With raw datagrams, it may return without
    /// one if nothing has arrived for some time.
    async fn recv(&mut self, take: impl FnMut(&[u8]) -> Result<()>) -> Result<()>;

    /// Waits for bytes of a long transfer, in pieces of any size.
    async fn recv_bulk(&mut self, take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.recv(take).await
    }

    /// Waits, and drives the connection meanwhile if nothing else does.
    async fn wait_until(&mut self, at: Instant) -> Result<()> {
        tokio::time::sleep_until(at.into()).await;
        Ok(())
    }
}
