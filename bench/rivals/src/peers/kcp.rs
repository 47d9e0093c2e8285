//! KCP by tokio_kcp: the *fastest* setting of its documentation (no delay, 10 ms ticks, resend
//! after two skips, no congestion window), every write and every ACK flushed at once, stream mode,
//! packets for Ethernet. It has neither encryption nor a handshake.
//!
//! Its window counts packets: 1,024 of 1,472 bytes, and 4,096 over a long path.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_kcp::{KcpConfig, KcpListener, KcpNoDelayConfig, KcpStream};

use super::udp_socket;
use crate::{
    framing::{Deframer, pack},
    limits::LONGEST_RUN,
    peer::{End, Peer, Settings},
};

const MTU: usize = 1_472;
const READ: usize = 64 << 10;

/// The server learns of a connection with its first message.
const HELLO: &[u8] = b"hello";

/// KCP.
pub(crate) struct Kcp;

pub(crate) struct KcpEnd {
    stream: KcpStream,
    buffer: BytesMut,
    deframer: Deframer,
    packed: Vec<u8>,
}

fn config(settings: &Settings) -> KcpConfig {
    let window = if settings.long_path { 4_096 } else { 1_024 };
    KcpConfig {
        mtu: MTU,
        nodelay: KcpNoDelayConfig::fastest(),
        wnd_size: (window, window),
        session_expire: LONGEST_RUN * 2,
        flush_write: true,
        flush_acks_input: true,
        stream: true,
        allow_recv_empty_packet: false,
    }
}

impl Peer for Kcp {
    type Listener = KcpListener;
    type Dialler = KcpConfig;
    type End = KcpEnd;

    async fn listen(settings: &Settings) -> Result<(KcpListener, SocketAddr, String)> {
        let listener = KcpListener::from_socket(config(settings), socket()?).await?;
        let address = listener.local_addr()?;
        Ok((listener, address, String::new()))
    }

    async fn accept(listener: &mut KcpListener) -> Result<KcpEnd> {
        let (stream, _) = listener.accept().await?;
        let mut end = KcpEnd::new(stream);
        let mut hello = false;
        while !hello {
            end.recv(|message| {
                hello = message == HELLO;
                Ok(())
            })
            .await?;
        }
        Ok(end)
    }

    async fn dialler(settings: &Settings, _: &str) -> Result<KcpConfig> {
        Ok(config(settings))
    }

    async fn connect(config: &KcpConfig, server: SocketAddr) -> Result<KcpEnd> {
        let stream = KcpStream::connect_with_socket(config, socket()?, server).await?;
        let mut end = KcpEnd::new(stream);
        end.send(HELLO).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(end)
    }
}

fn socket() -> Result<tokio::net::UdpSocket> {
    let socket = udp_socket()?;
    socket.set_nonblocking(true)?;
    Ok(tokio::net::UdpSocket::from_std(socket)?)
}

impl KcpEnd {
    fn new(stream: KcpStream) -> Self {
        let buffer = BytesMut::new();
        Self { stream, buffer, deframer: Deframer::default(), packed: Vec::new() }
    }

    async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the stream has ended");
        Ok(())
    }
}

impl End for KcpEnd {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.packed.clear();
        pack(message, &mut self.packed);
        Ok(self.stream.write_all(&self.packed).await?)
    }

    async fn send_many(&mut self, messages: &[u8], len: usize) -> Result<()> {
        self.packed.clear();
        messages.chunks(len).for_each(|message| pack(message, &mut self.packed));
        Ok(self.stream.write_all(&self.packed).await?)
    }

    async fn send_bulk(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    async fn recv(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut count = 0;
        while count == 0 {
            self.read().await?;
            count = self.deframer.chunk(self.buffer.split().freeze(), &mut take)?;
        }
        Ok(())
    }

    async fn recv_bulk(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.read().await?;
        take(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}
