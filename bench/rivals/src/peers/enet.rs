//! ENet by rusty_enet, the C library translated to Rust: no compression, no checksum, no bandwidth
//! limit, MTU of Ethernet. It has neither encryption nor authentication.
//!
//! Its host advances when it is called. Sent messages are packed into datagrams by the next call,
//! so a program calls once for many; this one does so every 64 messages, and waits in `poll` while
//! there is nothing to do. ENet queues without limit: the receiver confirms each quarter of
//! `CREDIT` on a channel of its own.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rusty_enet::{EventNoRef, Host, HostSettings, Packet, PeerID};

use super::{readable, udp_socket};
use crate::{
    limits::{CREDIT, LONGEST_RUN, READY},
    peer::{End, Held, Peer, Settings},
};

/// Its largest.
const MTU: u16 = 1_472;

/// The channels of messages and of confirmations.
const MESSAGES: u8 = 0;
const CONFIRMATIONS: u8 = 1;

/// Messages queued before the host is called.
const PACKED: usize = 64;

/// The bytes that a message counts besides its length.
const OVERHEAD: usize = 64;

/// Its clock has a resolution of a millisecond, so timers may be this late.
const TICK: Duration = Duration::from_millis(1);

/// ENet.
pub(crate) struct Enet;

pub(crate) struct EnetEnd {
    host: Host<UdpSocket>,
    /// The host's socket, to wait on.
    socket: UdpSocket,
    peer: PeerID,
    /// Messages sent since the host was called.
    waiting: usize,
    /// Bytes sent and not yet confirmed; bytes received since the last confirmation.
    unconfirmed: usize,
    received: usize,
}

fn host(peers: usize) -> Result<(Host<UdpSocket>, UdpSocket)> {
    let socket = udp_socket()?;
    let wait = socket.try_clone()?;
    let settings = HostSettings { peer_limit: peers, channel_limit: 2, ..HostSettings::default() };
    let mut host = Host::new(socket, settings).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    host.set_mtu(MTU).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok((host, wait))
}

/// Calls the host until a peer has connected.
fn connected(host: &mut Host<UdpSocket>, socket: &UdpSocket) -> Result<PeerID> {
    let began = Instant::now();
    while began.elapsed() < LONGEST_RUN {
        match host.service()?.map(|event| event.no_ref()) {
            Some(EventNoRef::Connect { peer, .. }) => return Ok(peer),
            Some(_) => {}
            None => _ = readable(socket, TICK)?,
        }
    }
    bail!("no connection")
}

impl Peer for Enet {
    type Listener = Option<(Host<UdpSocket>, UdpSocket)>;
    type Dialler = usize;
    type End = EnetEnd;

    async fn listen(settings: &Settings) -> Result<(Self::Listener, SocketAddr, String)> {
        let (host, socket) = host(settings.connections)?;
        let address = socket.local_addr()?;
        Ok((Some((host, socket)), address, String::new()))
    }

    async fn accept(listener: &mut Self::Listener) -> Result<EnetEnd> {
        let (mut host, socket) = listener.take().context("one connection per host")?;
        let peer = connected(&mut host, &socket)?;
        Ok(EnetEnd { host, socket, peer, waiting: 0, unconfirmed: 0, received: 0 })
    }

    async fn dialler(settings: &Settings, _: &str) -> Result<usize> {
        Ok(settings.connections)
    }

    async fn connect(_: &usize, server: SocketAddr) -> Result<EnetEnd> {
        let (mut host, socket) = host(1)?;
        host.connect(server, 2, 0).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let peer = connected(&mut host, &socket)?;
        Ok(EnetEnd { host, socket, peer, waiting: 0, unconfirmed: 0, received: 0 })
    }

    async fn open(connections: usize, server: SocketAddr, count: usize) -> Result<Held> {
        let (mut host, socket) = host(connections)?;
        let (mut started, mut open) = (0, 0);
        let began = Instant::now();
        while open < count {
            while started < count && started - open < crate::limits::CONNECTING_AT_ONCE {
                host.connect(server, 2, 0).map_err(|error| anyhow::anyhow!("{error:?}"))?;
                started += 1;
            }
            connected(&mut host, &socket)?;
            open += 1;
            ensure!(began.elapsed() < READY, "{open} connections after {READY:?}");
        }
        Ok(held(host))
    }

    async fn hold(listener: Self::Listener, count: usize) -> Result<Held> {
        let (mut host, socket) = listener.context("one host")?;
        for _ in 0..count {
            connected(&mut host, &socket)?;
        }
        Ok(held(host))
    }
}

fn held(mut host: Host<UdpSocket>) -> Held {
    // An error here means that the peer has gone, which the other end reports.
    Held::drive(move || while let Ok(Some(_)) = host.service() {})
}

impl EnetEnd {
    /// Calls the host once. Returns `false` if there was nothing to do.
    fn turn(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        self.waiting = 0;
        let Some(event) = self.host.service()?.map(|event| event.no_ref()) else {
            return Ok(false);
        };
        match event {
            EventNoRef::Receive { channel_id: CONFIRMATIONS, .. } => {
                self.unconfirmed = self.unconfirmed.saturating_sub(CREDIT / 4);
            }
            EventNoRef::Receive { packet, .. } => {
                self.received += packet.data().len() + OVERHEAD;
                if self.received >= CREDIT / 4 {
                    self.received -= CREDIT / 4;
                    self.queue(CONFIRMATIONS, &[1])?;
                }
                take(packet.data())?;
            }
            EventNoRef::Disconnect { .. } => bail!("the peer has disconnected"),
            EventNoRef::Connect { .. } => {}
        }
        Ok(true)
    }

    fn queue(&mut self, channel: u8, message: &[u8]) -> Result<()> {
        let packet = Packet::reliable(message);
        let peer = self.host.peer_mut(self.peer);
        peer.send(channel, &packet).map_err(|error| anyhow::anyhow!("{error:?}"))
    }
}

impl End for EnetEnd {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        let mut nothing = |_: &[u8]| bail!("a message during sending");
        while self.unconfirmed >= CREDIT {
            if !self.turn(&mut nothing)? {
                readable(&self.socket, TICK)?;
            }
        }
        self.queue(MESSAGES, message)?;
        self.unconfirmed += message.len() + OVERHEAD;
        self.waiting += 1;
        if self.waiting >= PACKED || message.len() > usize::from(MTU) {
            while self.turn(&mut nothing)? {}
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.waiting = 0;
        self.host.flush();
        Ok(())
    }

    async fn recv(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut came = false;
        loop {
            let busy = self.turn(&mut |message| {
                came = true;
                take(message)
            })?;
            if came {
                return Ok(());
            }
            if !busy {
                readable(&self.socket, TICK)?;
            }
        }
    }

    async fn wait_until(&mut self, at: Instant) -> Result<()> {
        while Instant::now() < at {
            if !self.turn(&mut |_| Ok(()))? {
                readable(&self.socket, at.saturating_duration_since(Instant::now()).min(TICK))?;
            }
        }
        Ok(())
    }
}
