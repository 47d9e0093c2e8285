//! hikyaku: all defaults except the idle timeout, the packet size where a workload fixes it, and
//! the congestion control of the second row. Messages are `Delivery::Ordered`.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hikyaku::{Congestion, Connection, Delivery, Endpoint, Message, TransportConfig, Trust};

use crate::{
    limits::{LONGEST_RUN, READY},
    peer::{End, Packets, Peer, Settings},
};

/// The UDP payload of an Ethernet frame over IPv4.
const ETHERNET: usize = 1_472;

/// Messages taken at once.
const MANY: usize = 1_024;

/// hikyaku with its default congestion control, or with `Congestion::Bbr`.
pub(crate) struct Hikyaku<const BBR: bool>;

pub(crate) struct Dialler {
    endpoint: Endpoint,
    fingerprint: String,
    /// The packet size to wait for.
    wanted: usize,
}

pub(crate) struct HikyakuEnd {
    connection: Connection,
    messages: Vec<Message>,
}

fn transport(settings: &Settings, bbr: bool) -> TransportConfig {
    let mut config = TransportConfig::default().idle_timeout(Some(LONGEST_RUN * 2));
    if settings.packets == Packets::Ethernet {
        config.max_mtu = ETHERNET;
    }
    if bbr {
        config = config.congestion(Congestion::Bbr);
    }
    config
}

impl<const BBR: bool> Peer for Hikyaku<BBR> {
    type Listener = Endpoint;
    type Dialler = Dialler;
    type End = HikyakuEnd;

    async fn listen(settings: &Settings) -> Result<(Endpoint, SocketAddr, String)> {
        let endpoint =
            Endpoint::builder().transport(transport(settings, BBR)).bind("127.0.0.1:0").await?;
        let (address, fingerprint) = (endpoint.local_addr(), endpoint.fingerprint().to_string());
        Ok((endpoint, address, fingerprint))
    }

    async fn accept(endpoint: &mut Endpoint) -> Result<HikyakuEnd> {
        let connection = endpoint.accept().await.context("the endpoint is closed")?;
        Ok(HikyakuEnd { connection, messages: Vec::new() })
    }

    async fn dialler(settings: &Settings, fingerprint: &str) -> Result<Dialler> {
        let endpoint = Endpoint::builder().transport(transport(settings, BBR)).client()?;
        let wanted = match (settings.connections, settings.packets) {
            (1, Packets::AsItComes) => hikyaku::limits::MAX_PAYLOAD_V4,
            (1, Packets::Ethernet) => ETHERNET,
            // Nothing is carried except the handshake.
            _ => 0,
        };
        Ok(Dialler { endpoint, fingerprint: fingerprint.to_owned(), wanted })
    }

    async fn connect(dialler: &Dialler, server: SocketAddr) -> Result<HikyakuEnd> {
        let trust = Trust::pinned(dialler.fingerprint.parse()?);
        let connection = dialler.endpoint.connect(server, trust).await?;
        let began = Instant::now();
        // The search ends close to the limit.
        while connection.stats().mtu + 32 < dialler.wanted {
            let mtu = connection.stats().mtu;
            ensure!(began.elapsed() < READY, "an MTU of {mtu}, not {}", dialler.wanted);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(HikyakuEnd { connection, messages: Vec::new() })
    }
}

impl End for HikyakuEnd {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.connection.send(Delivery::Ordered, Bytes::copy_from_slice(message)).await?;
        Ok(())
    }

    /// One allocation for all messages; each is a slice of it.
    async fn send_many(&mut self, messages: &[u8], len: usize) -> Result<()> {
        let all = Bytes::copy_from_slice(messages);
        let each = (0..all.len()).step_by(len).map(|at| all.slice(at..at + len));
        self.connection.send_many(Delivery::Ordered, each).await?;
        Ok(())
    }

    async fn recv(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.connection.recv_many(&mut self.messages, MANY).await?;
        self.messages.drain(..).try_for_each(|message| take(&message.payload))
    }
}
