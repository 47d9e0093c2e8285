//! quinn: one bidirectional stream. The cipher, key exchange and library are hikyaku's (AES-128-GCM
//! and X25519MLKEM768 of aws-lc-rs), GSO and GRO are on, the receive buffer is hikyaku's.
//!
//! Windows stay at their defaults on loopback (16 MiB made it a fifth slower there: they exceed the
//! caches), and are 4 MiB over a long path, which the defaults would limit. `write_chunk` and
//! `read_chunks` do not copy. The server presents a certificate, the client none.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, MtuDiscoveryConfig, RecvStream, SendStream,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
    congestion::BbrConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};

use super::{
    certificates::{self, NAME, Pair},
    udp_socket,
};
use crate::{
    framing::{Deframer, pack},
    limits::{LONG_PATH_WINDOW, LONGEST_RUN, READY},
    peer::{End, Held, Packets, Peer, Settings},
};

/// The upper bound of quinn's own search for the packet size.
const DEFAULT_MTU: u16 = 1_452;
const ETHERNET: u16 = 1_472;

/// Chunks taken at once.
const CHUNKS: usize = 64;

/// quinn with its default congestion control, CUBIC, or with its BBR.
pub(crate) struct Quinn<const BBR: bool>;

pub(crate) struct Dialler {
    endpoint: Endpoint,
    /// The packet size to wait for.
    wanted: u16,
    opens_stream: bool,
}

pub(crate) struct QuinnEnd {
    /// Held, as dropping it closes the connection.
    connection: Connection,
    streams: Option<(SendStream, RecvStream)>,
    chunks: Vec<Bytes>,
    deframer: Deframer,
    packed: Vec<u8>,
}

fn transport(settings: &Settings, bbr: bool) -> Result<Arc<TransportConfig>> {
    let mut config = TransportConfig::default();
    config.max_idle_timeout(Some((LONGEST_RUN * 2).try_into()?));
    if settings.packets == Packets::Ethernet {
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(ETHERNET);
        config.mtu_discovery_config(Some(discovery));
    }
    if settings.long_path {
        let window = VarInt::from_u32(LONG_PATH_WINDOW);
        config.stream_receive_window(window).receive_window(window);
        config.send_window(LONG_PATH_WINDOW.into());
    }
    if bbr {
        config.congestion_controller_factory(Arc::new(BbrConfig::default()));
    }
    Ok(Arc::new(config))
}

fn endpoint(server: Option<ServerConfig>) -> Result<Endpoint> {
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(ETHERNET)?;
    Endpoint::new(config, server, udp_socket()?, Arc::new(TokioRuntime)).context("the endpoint")
}

impl<const BBR: bool> Peer for Quinn<BBR> {
    type Listener = Endpoint;
    type Dialler = Dialler;
    type End = QuinnEnd;

    async fn listen(settings: &Settings) -> Result<(Endpoint, SocketAddr, String)> {
        let pair = Pair::generate()?;
        let tls = QuicServerConfig::try_from(pair.server()?)?;
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(transport(settings, BBR)?);
        let endpoint = endpoint(Some(config))?;
        let address = endpoint.local_addr()?;
        Ok((endpoint, address, pair.identity()))
    }

    async fn accept(endpoint: &mut Endpoint) -> Result<QuinnEnd> {
        let connection = endpoint.accept().await.context("the endpoint is closed")?.await?;
        Ok(QuinnEnd::new(connection, None))
    }

    /// Handshakes run side by side.
    async fn hold(endpoint: Endpoint, count: usize) -> Result<Held> {
        let (mut ends, mut accepted) = (Vec::with_capacity(count), 0);
        let mut shaking = FuturesUnordered::new();
        while ends.len() < count {
            tokio::select! {
                incoming = endpoint.accept(), if accepted < count => {
                    accepted += 1;
                    shaking.push(incoming.context("the endpoint is closed")?.into_future());
                }
                Some(connection) = shaking.next() => ends.push(connection?),
            }
        }
        Ok(Held::keep((endpoint, ends)))
    }

    async fn dialler(settings: &Settings, identity: &str) -> Result<Dialler> {
        let tls = QuicClientConfig::try_from(certificates::client(identity)?)?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(transport(settings, BBR)?);
        let mut endpoint = endpoint(None)?;
        endpoint.set_default_client_config(config);
        let wanted = match (settings.connections, settings.packets) {
            (1, Packets::AsItComes) => DEFAULT_MTU,
            (1, Packets::Ethernet) => ETHERNET,
            _ => 0,
        };
        Ok(Dialler { endpoint, wanted, opens_stream: settings.connections == 1 })
    }

    async fn connect(dialler: &Dialler, server: SocketAddr) -> Result<QuinnEnd> {
        let connection = dialler.endpoint.connect(server, NAME)?.await?;
        let began = Instant::now();
        // The search ends within 20 bytes of the limit.
        while connection.stats().path.current_mtu + 32 < dialler.wanted {
            let mtu = connection.stats().path.current_mtu;
            ensure!(began.elapsed() < READY, "an MTU of {mtu}, not {}", dialler.wanted);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let streams = match dialler.opens_stream {
            true => Some(connection.open_bi().await?),
            false => None,
        };
        Ok(QuinnEnd::new(connection, streams))
    }
}

impl QuinnEnd {
    fn new(connection: Connection, streams: Option<(SendStream, RecvStream)>) -> Self {
        let chunks = vec![Bytes::new(); CHUNKS];
        Self { connection, streams, chunks, deframer: Deframer::default(), packed: Vec::new() }
    }

    /// Returns the streams. The server's come with the client's first bytes.
    async fn streams(&mut self) -> Result<&mut (SendStream, RecvStream)> {
        if self.streams.is_none() {
            self.streams = Some(self.connection.accept_bi().await?);
        }
        self.streams.as_mut().context("just opened")
    }

    async fn write_packed(&mut self) -> Result<()> {
        let packed = Bytes::copy_from_slice(&self.packed);
        self.packed.clear();
        Ok(self.streams().await?.0.write_chunk(packed).await?)
    }

    async fn read(&mut self) -> Result<usize> {
        self.streams().await?;
        let (_, recv) = self.streams.as_mut().context("just opened")?;
        recv.read_chunks(&mut self.chunks).await?.context("the stream has ended")
    }
}

impl End for QuinnEnd {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        pack(message, &mut self.packed);
        self.write_packed().await
    }

    async fn send_many(&mut self, messages: &[u8], len: usize) -> Result<()> {
        messages.chunks(len).for_each(|message| pack(message, &mut self.packed));
        self.write_packed().await
    }

    async fn send_bulk(&mut self, bytes: &[u8]) -> Result<()> {
        let bytes = Bytes::copy_from_slice(bytes);
        Ok(self.streams().await?.0.write_chunk(bytes).await?)
    }

    async fn recv(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut count = 0;
        while count == 0 {
            let came = self.read().await?;
            for chunk in &mut self.chunks[..came] {
                count += self.deframer.chunk(std::mem::take(chunk), &mut take)?;
            }
        }
        Ok(())
    }

    async fn recv_bulk(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let came = self.read().await?;
        self.chunks[..came].iter_mut().try_for_each(|chunk| take(&std::mem::take(chunk)))
    }
}
