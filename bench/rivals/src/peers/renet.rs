//! renet over netcode, with connect tokens: every packet is encrypted (ChaCha20-Poly1305).
//! The channels are its defaults (5 MiB each, repeated after 300 ms); so are its packets of 1,200
//! bytes. A receiver may hold three times as much as a sender; otherwise it ends the connection if
//! packets are lost while the sender's memory is full.
//!
//! It is designed to be called 60 times per second, and sends up to 60,000 bytes per call. Here it
//! is called as soon as that much is queued or a datagram has arrived, which is far more often.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use renet::{
    ChannelConfig, ConnectionConfig, DefaultChannel, RenetClient, RenetServer, ServerEvent,
};
use renet_netcode::{
    ClientAuthentication, ConnectToken, NetcodeClientTransport, NetcodeServerTransport,
    ServerAuthentication, ServerConfig,
};

use super::{readable, udp_socket};
use crate::{
    limits::{CONNECTING_AT_ONCE, LONGEST_RUN, READY},
    peer::{End, Held, Peer, Settings},
};

const CHANNEL: DefaultChannel = DefaultChannel::ReliableOrdered;

/// Bytes queued before it is called: its budget per call.
const PACKED: usize = 60_000;

/// What it does without a datagram, it does at most so much later.
const TICK: Duration = Duration::from_millis(1);

/// Both ends name the same protocol, and the server's key makes the tokens.
const PROTOCOL: u64 = 7;
const KEY: [u8; 32] = [7; 32];

/// renet.
pub(crate) struct Renet;

pub(crate) enum Side {
    Client(Box<(RenetClient, NetcodeClientTransport)>),
    Server(Box<(RenetServer, NetcodeServerTransport)>, u64),
}

pub(crate) struct RenetEnd {
    side: Side,
    /// The transport's socket, to wait on.
    socket: UdpSocket,
    last: Instant,
    queued: usize,
}

pub(crate) struct Listener {
    server: Box<(RenetServer, NetcodeServerTransport)>,
    socket: UdpSocket,
    last: Instant,
}

fn config(receives: fn(&mut ConnectionConfig) -> &mut Vec<ChannelConfig>) -> ConnectionConfig {
    let mut config = ConnectionConfig::default();
    for channel in receives(&mut config) {
        channel.max_memory_usage_bytes *= 3;
    }
    config
}

fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?)
}

impl Listener {
    /// Calls the server. Returns a client that has just connected.
    fn turn(&mut self) -> Result<Option<u64>> {
        let (server, transport) = &mut *self.server;
        let span = std::mem::replace(&mut self.last, Instant::now()).elapsed();
        server.update(span);
        transport.update(span, server)?;
        transport.send_packets(server);
        Ok(server.get_event().and_then(|event| match event {
            ServerEvent::ClientConnected { client_id } => Some(client_id),
            ServerEvent::ClientDisconnected { .. } => None,
        }))
    }

    fn connected(&mut self) -> Result<u64> {
        let began = Instant::now();
        while began.elapsed() < LONGEST_RUN {
            match self.turn()? {
                Some(id) => return Ok(id),
                None => _ = readable(&self.socket, TICK)?,
            }
        }
        bail!("no connection")
    }
}

impl Peer for Renet {
    type Listener = Option<Listener>;
    /// The server's own address, which tokens must name; packets may go by way of the lossy link.
    type Dialler = SocketAddr;
    type End = RenetEnd;

    async fn listen(settings: &Settings) -> Result<(Self::Listener, SocketAddr, String)> {
        let socket = udp_socket()?;
        let (wait, address) = (socket.try_clone()?, socket.local_addr()?);
        let config = ServerConfig {
            current_time: now()?,
            max_clients: settings.connections,
            protocol_id: PROTOCOL,
            public_addresses: vec![address],
            authentication: ServerAuthentication::Secure { private_key: KEY },
        };
        let transport = NetcodeServerTransport::new(config, socket)?;
        let config = self::config(|config| &mut config.client_channels_config);
        let server = Box::new((RenetServer::new(config), transport));
        let identity = address.to_string();
        Ok((Some(Listener { server, socket: wait, last: Instant::now() }), address, identity))
    }

    async fn accept(listener: &mut Self::Listener) -> Result<RenetEnd> {
        let mut listener = listener.take().context("one connection per server")?;
        let id = listener.connected()?;
        let Listener { server, socket, last } = listener;
        Ok(RenetEnd { side: Side::Server(server, id), socket, last, queued: 0 })
    }

    async fn dialler(_: &Settings, identity: &str) -> Result<SocketAddr> {
        Ok(identity.parse()?)
    }

    async fn connect(own: &SocketAddr, server: SocketAddr) -> Result<RenetEnd> {
        let mut end = dial(1, server, *own)?;
        let began = Instant::now();
        while !end.is_connected() {
            end.turn()?;
            readable(&end.socket, TICK)?;
            ensure!(began.elapsed() < READY, "no connection after {READY:?}");
        }
        Ok(end)
    }

    async fn open(own: SocketAddr, server: SocketAddr, count: usize) -> Result<Held> {
        let (mut ends, mut pending): (Vec<RenetEnd>, Vec<RenetEnd>) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while ends.len() < count {
            while pending.len() < CONNECTING_AT_ONCE.min(count - ends.len()) {
                pending.push(dial((ends.len() + pending.len()) as u64 + 1, server, own)?);
            }
            for end in &mut pending {
                end.turn()?;
            }
            ends.extend(pending.extract_if(.., |end| end.is_connected()));
            std::thread::sleep(TICK);
            ensure!(began.elapsed() < READY, "{} connections after {READY:?}", ends.len());
        }
        Ok(Held::drive(move || {
            for end in &mut ends {
                // An error is that of an end that has gone, which the server reports.
                let _ = end.turn();
            }
        }))
    }

    async fn hold(listener: Self::Listener, count: usize) -> Result<Held> {
        let mut listener = listener.context("one server")?;
        for _ in 0..count {
            listener.connected()?;
        }
        Ok(Held::drive(move || _ = listener.turn()))
    }
}

fn dial(id: u64, server: SocketAddr, own: SocketAddr) -> Result<RenetEnd> {
    let socket = udp_socket()?;
    let wait = socket.try_clone()?;
    let limit = LONGEST_RUN.as_secs();
    let addresses = vec![server, own];
    let token =
        ConnectToken::generate(now()?, PROTOCOL, limit, id, limit as i32, addresses, None, &KEY)?;
    let authentication = ClientAuthentication::Secure { connect_token: token };
    let transport = NetcodeClientTransport::new(now()?, authentication, socket)?;
    let client = RenetClient::new(config(|config| &mut config.server_channels_config));
    let side = Side::Client(Box::new((client, transport)));
    Ok(RenetEnd { side, socket: wait, last: Instant::now(), queued: 0 })
}

impl RenetEnd {
    fn turn(&mut self) -> Result<()> {
        let span = std::mem::replace(&mut self.last, Instant::now()).elapsed();
        self.queued = 0;
        match &mut self.side {
            Side::Client(both) => {
                let (client, transport) = &mut **both;
                client.update(span);
                transport.update(span, client)?;
                // Until it is connected, it answers in `update` and refuses payloads.
                if client.is_connected() {
                    transport.send_packets(client)?;
                }
            }
            Side::Server(both, _) => {
                let (server, transport) = &mut **both;
                server.update(span);
                transport.update(span, server)?;
                transport.send_packets(server);
            }
        }
        Ok(())
    }

    fn is_connected(&self) -> bool {
        match &self.side {
            Side::Client(both) => both.0.is_connected(),
            Side::Server(both, id) => both.0.is_connected(*id),
        }
    }

    fn has_room(&self, len: usize) -> bool {
        match &self.side {
            Side::Client(both) => both.0.can_send_message(CHANNEL, len),
            Side::Server(both, id) => both.0.can_send_message(*id, CHANNEL, len),
        }
    }

    fn receive(&mut self) -> Option<Bytes> {
        match &mut self.side {
            Side::Client(both) => both.0.receive_message(CHANNEL),
            Side::Server(both, id) => both.0.receive_message(*id, CHANNEL),
        }
    }
}

impl End for RenetEnd {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        while !self.has_room(message.len()) {
            ensure!(self.is_connected(), "the connection is closed");
            self.turn()?;
            readable(&self.socket, TICK)?;
        }
        let bytes = Bytes::copy_from_slice(message);
        match &mut self.side {
            Side::Client(both) => both.0.send_message(CHANNEL, bytes),
            Side::Server(both, id) => both.0.send_message(*id, CHANNEL, bytes),
        }
        self.queued += message.len();
        if self.queued >= PACKED {
            self.turn()?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.turn()
    }

    async fn recv(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            let mut came = false;
            while let Some(message) = self.receive() {
                came = true;
                take(&message)?;
            }
            if came {
                return Ok(());
            }
            readable(&self.socket, TICK)?;
            self.turn()?;
            ensure!(self.is_connected(), "the connection is closed");
        }
    }

    async fn wait_until(&mut self, at: Instant) -> Result<()> {
        while Instant::now() < at {
            self.turn()?;
            readable(&self.socket, at.saturating_duration_since(Instant::now()).min(TICK))?;
        }
        Ok(())
    }
}
