//! TLS 1.3 over TCP: tokio-rustls with `TCP_NODELAY`. The cipher, key exchange and library are
//! hikyaku's. The kernel sizes the socket buffers itself.
//!
//! One call per message is one TLS record per message; messages handed over together are packed
//! into writes of 64 KiB, which rustls cuts into records of 16 KiB.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Result, ensure};
use bytes::BytesMut;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::certificates::{self, NAME, Pair};
use crate::{
    framing::{Deframer, pack},
    peer::{End, Held, Peer, Settings},
};

/// Bytes read at once.
const READ: usize = 64 << 10;

/// TLS over TCP.
pub(crate) struct Tls;

pub(crate) struct Listener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

pub(crate) struct TlsEnd {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
    deframer: Deframer,
    packed: Vec<u8>,
}

impl TlsEnd {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        // Its buffers are allocated when they are used.
        let (buffer, packed) = (BytesMut::new(), Vec::new());
        Self { stream, buffer, deframer: Deframer::default(), packed }
    }

    async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the stream has ended");
        Ok(())
    }
}

impl Peer for Tls {
    type Listener = Listener;
    type Dialler = TlsConnector;
    type End = TlsEnd;

    async fn listen(_: &Settings) -> Result<(Listener, SocketAddr, String)> {
        let pair = Pair::generate()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(pair.server()?));
        Ok((Listener { listener, acceptor }, address, pair.identity()))
    }

    async fn accept(listener: &mut Listener) -> Result<TlsEnd> {
        let (stream, _) = listener.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(TlsEnd::new(listener.acceptor.accept(stream).await?.into()))
    }

    /// Handshakes run side by side.
    async fn hold(listener: Listener, count: usize) -> Result<Held> {
        let (mut ends, mut accepted) = (Vec::with_capacity(count), 0);
        let mut shaking = FuturesUnordered::new();
        while ends.len() < count {
            tokio::select! {
                came = listener.listener.accept(), if accepted < count => {
                    accepted += 1;
                    shaking.push(listener.acceptor.accept(came?.0));
                }
                Some(stream) = shaking.next() => ends.push(TlsEnd::new(stream?.into())),
            }
        }
        Ok(Held::keep((listener.listener, ends)))
    }

    async fn dialler(_: &Settings, identity: &str) -> Result<TlsConnector> {
        Ok(TlsConnector::from(Arc::new(certificates::client(identity)?)))
    }

    async fn connect(connector: &TlsConnector, server: SocketAddr) -> Result<TlsEnd> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(NAME)?;
        Ok(TlsEnd::new(connector.connect(name, stream).await?.into()))
    }
}

impl End for TlsEnd {
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

    async fn flush(&mut self) -> Result<()> {
        Ok(self.stream.flush().await?)
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
