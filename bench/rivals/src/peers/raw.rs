//! Datagrams of the kernel without any protocol above them: the upper bound for every peer. Nothing
//! is encrypted or repeated. The receiver confirms each quarter of `CREDIT`, so that its buffer
//! does not overflow.
//!
//! With GSO and GRO, the system calls are those of quinn-udp, which are quinn's, too.

use std::{
    io::{ErrorKind, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

use super::{readable, udp_socket};
use crate::{
    limits::{CREDIT, LONGEST_RUN, SILENCE},
    peer::{End, Packets, Peer, Settings},
};

/// The UDP payload of an Ethernet frame over IPv4.
const ETHERNET: usize = 1_472;

/// The largest datagram: half of a message of the long transfer.
const LARGEST: usize = 32 << 10;

/// What the kernel charges a receive buffer for a small datagram.
const OVERHEAD: usize = 768;

/// Bytes per call with GSO: 44 packets for Ethernet.
const TRAIN: usize = 44 * ETHERNET;

/// Datagrams per call with GSO; the kernel allows 64 everywhere.
const SEGMENTS: usize = 64;

/// The length of a confirmation; no message is that short.
const CONFIRMATION: usize = 1;
const HELLO: &[u8] = &[0, 0];

/// Raw datagrams, one per call or as trains.
pub(crate) struct Raw<const GSO: bool>;

pub(crate) struct RawEnd<const GSO: bool> {
    socket: UdpSocket,
    state: UdpSocketState,
    peer: SocketAddr,
    /// The largest datagram.
    size: usize,
    /// Messages of one length that wait for a train, and that length.
    train: Vec<u8>,
    segment: usize,
    buffers: Vec<Vec<u8>>,
    unconfirmed: usize,
    received: usize,
}

impl<const GSO: bool> RawEnd<GSO> {
    fn new(socket: UdpSocket, peer: SocketAddr, settings: &Settings) -> Result<Self> {
        socket.connect(peer)?;
        // With GSO, everything is nonblocking and waits in `poll`.
        let state = UdpSocketState::new((&socket).into())?;
        socket.set_nonblocking(GSO)?;
        let large = settings.packets == Packets::AsItComes && !GSO;
        let buffers = if GSO { quinn_udp::BATCH_SIZE } else { 1 };
        Ok(Self {
            socket,
            state,
            peer,
            size: if large { LARGEST } else { ETHERNET },
            train: Vec::with_capacity(TRAIN),
            segment: 0,
            buffers: vec![vec![0; 1 << 16]; buffers],
            unconfirmed: 0,
            received: 0,
        })
    }

    /// Sends one datagram, or queues it for a train.
    fn datagram(&mut self, datagram: &[u8]) -> Result<()> {
        while self.unconfirmed >= CREDIT {
            self.take(&mut |_| bail!("a message during sending"))?;
        }
        if datagram.len() > CONFIRMATION {
            self.unconfirmed += datagram.len() + OVERHEAD;
        }
        if !GSO {
            self.socket.send(datagram)?;
            return Ok(());
        }
        if datagram.len() != self.segment || self.train.len() + datagram.len() > TRAIN {
            self.send_train()?;
        }
        self.segment = datagram.len();
        self.train.extend_from_slice(datagram);
        if self.train.len() >= self.segment * SEGMENTS {
            self.send_train()?;
        }
        Ok(())
    }

    fn send_train(&mut self) -> Result<()> {
        if self.train.is_empty() {
            return Ok(());
        }
        let transmit = Transmit {
            destination: self.peer,
            ecn: None,
            contents: &self.train,
            segment_size: Some(self.segment),
            src_ip: None,
        };
        while let Err(error) = self.state.try_send((&self.socket).into(), &transmit) {
            if error.kind() != ErrorKind::WouldBlock {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        self.train.clear();
        Ok(())
    }

    /// Waits for datagrams, for the time of `SILENCE` at most.
    fn take(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.send_train()?;
        if GSO {
            return self.take_trains(take);
        }
        self.socket.set_read_timeout(Some(SILENCE))?;
        let mut buffer = std::mem::take(&mut self.buffers[0]);
        let came = self.socket.recv(&mut buffer);
        let result = match came {
            Ok(len) => self.came(&buffer[..len], take),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        };
        self.buffers[0] = buffer;
        result
    }

    fn take_trains(&mut self, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut metas = [RecvMeta::default(); quinn_udp::BATCH_SIZE];
        let mut buffers = std::mem::take(&mut self.buffers);
        let mut slices: Vec<IoSliceMut<'_>> =
            buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let count = match self.state.recv((&self.socket).into(), &mut slices, &mut metas) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                readable(&self.socket, SILENCE)?;
                0
            }
            Err(error) => return Err(error.into()),
        };
        for (buffer, meta) in buffers.iter().zip(&metas).take(count) {
            for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                self.came(datagram, take)?;
            }
        }
        self.buffers = buffers;
        Ok(())
    }

    fn came(&mut self, datagram: &[u8], take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if datagram.len() == CONFIRMATION {
            self.unconfirmed = self.unconfirmed.saturating_sub(CREDIT / 4);
            return Ok(());
        }
        self.received += datagram.len() + OVERHEAD;
        if self.received >= CREDIT / 4 {
            self.received -= CREDIT / 4;
            self.socket.send(&[1; CONFIRMATION])?;
        }
        take(datagram)
    }
}

impl<const GSO: bool> Peer for Raw<GSO> {
    type Listener = Option<(UdpSocket, Settings)>;
    type Dialler = Settings;
    type End = RawEnd<GSO>;

    async fn listen(settings: &Settings) -> Result<(Self::Listener, SocketAddr, String)> {
        let socket = udp_socket()?;
        let address = socket.local_addr()?;
        Ok((Some((socket, *settings)), address, String::new()))
    }

    async fn accept(listener: &mut Self::Listener) -> Result<RawEnd<GSO>> {
        let (socket, settings) = listener.take().context("one connection per socket")?;
        socket.set_read_timeout(Some(LONGEST_RUN))?;
        let (len, peer) = socket.recv_from(&mut [0; 16])?;
        anyhow::ensure!(len == HELLO.len(), "a datagram of {len} bytes");
        socket.send_to(HELLO, peer)?;
        RawEnd::new(socket, peer, &settings)
    }

    async fn dialler(settings: &Settings, _: &str) -> Result<Settings> {
        Ok(*settings)
    }

    /// The greeting is repeated: nothing else is lost on loopback, but the lossy link loses it.
    async fn connect(settings: &Settings, server: SocketAddr) -> Result<RawEnd<GSO>> {
        let socket = udp_socket()?;
        socket.set_read_timeout(Some(SILENCE))?;
        let mut answer = [0; 16];
        for _ in 0..10 {
            socket.send_to(HELLO, server)?;
            if socket.recv_from(&mut answer).is_ok() {
                return RawEnd::new(socket, server, settings);
            }
        }
        bail!("no answer")
    }
}

impl<const GSO: bool> End for RawEnd<GSO> {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.datagram(message)
    }

    async fn send_bulk(&mut self, bytes: &[u8]) -> Result<()> {
        let size = self.size;
        bytes.chunks(size).try_for_each(|datagram| self.datagram(datagram))
    }

    async fn flush(&mut self) -> Result<()> {
        self.send_train()
    }

    async fn recv(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.take(&mut take)
    }

    async fn wait_until(&mut self, at: Instant) -> Result<()> {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        Ok(())
    }
}
