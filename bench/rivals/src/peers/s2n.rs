//! s2n-quic: one bidirectional stream, with rustls as its TLS, so that the cipher, key exchange
//! and library are hikyaku's (AES-128-GCM and X25519MLKEM768 of aws-lc-rs). GSO and GRO are on,
//! which is its default; the receive buffer is hikyaku's.
//!
//! Windows stay at their defaults on loopback, and are 4 MiB over a long path.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use s2n_quic::{
    Client, Connection, Server,
    client::Connect,
    provider::{
        congestion_controller::{Bbr, Cubic},
        io::tokio as io,
        limits::Limits,
        tls::rustls as tls,
    },
    stream::BidirectionalStream,
};

use super::certificates::{self, NAME, Pair};
use crate::{
    framing::{Deframer, pack},
    limits::{KERNEL_BUFFER, LONG_PATH_WINDOW, LONGEST_RUN},
    peer::{End, Peer, Settings},
};

/// Its default, which includes IP and UDP headers. Its datagrams then fit an Ethernet frame.
const ETHERNET: u16 = 1_500;

/// The largest size that its documentation mentions: Ethernet's jumbo frames.
const JUMBO: u16 = 9_001;

/// Chunks taken at once.
const CHUNKS: usize = 64;

/// The time in which its search for the packet size ends; it cannot be observed.
const SEARCH: Duration = Duration::from_millis(300);

/// Which of its settings differ from the defaults.
pub(crate) const DEFAULT: u8 = 0;
pub(crate) const BBR: u8 = 1;
pub(crate) const JUMBO_FRAMES: u8 = 2;

/// s2n-quic, with one of the settings above.
pub(crate) struct S2n<const VARIANT: u8>;

pub(crate) struct Dialler {
    client: Client,
    opens_stream: bool,
}

pub(crate) struct S2nEnd {
    connection: Connection,
    stream: Option<BidirectionalStream>,
    chunks: Vec<Bytes>,
    deframer: Deframer,
    packed: Vec<u8>,
}

fn limits(settings: &Settings) -> Result<Limits> {
    let limits = Limits::new().with_max_idle_timeout(LONGEST_RUN * 2)?;
    if !settings.long_path {
        return Ok(limits);
    }
    let window = u64::from(LONG_PATH_WINDOW);
    Ok(limits
        .with_data_window(window)?
        .with_bidirectional_local_data_window(window)?
        .with_bidirectional_remote_data_window(window)?
        .with_max_send_buffer_size(LONG_PATH_WINDOW)?)
}

fn io<const VARIANT: u8>() -> Result<io::Provider> {
    let mtu = if VARIANT == JUMBO_FRAMES { JUMBO } else { ETHERNET };
    Ok(io::Provider::builder()
        .with_receive_address(SocketAddr::from(([127, 0, 0, 1], 0)))?
        .with_recv_buffer_size(KERNEL_BUFFER)?
        .with_max_mtu(mtu)?
        .build()?)
}

/// Starts a server or a client: the two builders have no trait in common.
macro_rules! start {
    ($builder:expr, $settings:expr, $variant:expr) => {{
        let builder = $builder.with_limits(limits($settings)?)?;
        match $variant {
            BBR => builder.with_congestion_controller(Bbr::default())?.start()?,
            _ => builder.with_congestion_controller(Cubic::default())?.start()?,
        }
    }};
}

impl<const VARIANT: u8> Peer for S2n<VARIANT> {
    type Listener = Server;
    type Dialler = Dialler;
    type End = S2nEnd;

    async fn listen(settings: &Settings) -> Result<(Server, SocketAddr, String)> {
        let pair = Pair::generate()?;
        let tls = tls::Server::from(pair.server()?);
        let builder = Server::builder().with_tls(tls)?.with_io(io::<VARIANT>()?)?;
        let server = start!(builder, settings, VARIANT);
        let address = server.local_addr()?;
        Ok((server, address, pair.identity()))
    }

    async fn accept(server: &mut Server) -> Result<S2nEnd> {
        Ok(S2nEnd::new(server.accept().await.context("the server is closed")?, None))
    }

    async fn dialler(settings: &Settings, identity: &str) -> Result<Dialler> {
        let tls = tls::Client::from(certificates::client(identity)?);
        let builder = Client::builder().with_tls(tls)?.with_io(io::<VARIANT>()?)?;
        let client = start!(builder, settings, VARIANT);
        Ok(Dialler { client, opens_stream: settings.connections == 1 })
    }

    async fn connect(dialler: &Dialler, server: SocketAddr) -> Result<S2nEnd> {
        let connect = Connect::new(server).with_server_name(NAME);
        let mut connection = dialler.client.connect(connect).await?;
        if !dialler.opens_stream {
            return Ok(S2nEnd::new(connection, None));
        }
        connection.keep_alive(true)?;
        let stream = connection.open_bidirectional_stream().await?;
        tokio::time::sleep(SEARCH).await;
        Ok(S2nEnd::new(connection, Some(stream)))
    }
}

impl S2nEnd {
    fn new(connection: Connection, stream: Option<BidirectionalStream>) -> Self {
        let chunks = vec![Bytes::new(); CHUNKS];
        Self { connection, stream, chunks, deframer: Deframer::default(), packed: Vec::new() }
    }

    async fn stream(&mut self) -> Result<&mut BidirectionalStream> {
        if self.stream.is_none() {
            self.stream = self.connection.accept_bidirectional_stream().await?;
        }
        self.stream.as_mut().context("the connection is closed")
    }

    async fn write_packed(&mut self) -> Result<()> {
        let packed = Bytes::copy_from_slice(&self.packed);
        self.packed.clear();
        Ok(self.stream().await?.send(packed).await?)
    }

    async fn read(&mut self) -> Result<usize> {
        self.stream().await?;
        let stream = self.stream.as_mut().context("just opened")?;
        let (came, open) = stream.receive_vectored(&mut self.chunks).await?;
        anyhow::ensure!(open || came > 0, "the stream has ended");
        Ok(came)
    }
}

impl End for S2nEnd {
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
        Ok(self.stream().await?.send(bytes).await?)
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
