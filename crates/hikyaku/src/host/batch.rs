//! Received datagrams, in batches.
//!
//! In: buffers that the kernel has filled. Out: datagrams with their sender, receiver and time.
//! Never: a system call.

use std::{
    fmt,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use hikyaku_proto::Ecn;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta};

use crate::{clock, host::address::canonical, limits::RECEIVE_BUFFER_LEN};

/// Room for one batch of received datagrams: 32 reusable buffers of 64 KiB.
pub struct RecvBatch {
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    filled: usize,
    received_at: SystemTime,
}

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Its payload.
    pub bytes: &'a [u8],
    /// The sender, without IPv4-in-IPv6 mapping.
    pub from: SocketAddr,
    /// The local address it was sent to, if the system reports it.
    pub to: Option<IpAddr>,
    /// When it arrived: the kernel's time stamp, if there is one.
    pub at: SystemTime,
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl RecvBatch {
    /// Creates an empty batch, and allocates its 2 MiB once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; RECEIVE_BUFFER_LEN * BATCH_SIZE],
            metas: [RecvMeta::default(); BATCH_SIZE],
            filled: 0,
            received_at: SystemTime::UNIX_EPOCH,
        }
    }

    pub(crate) fn fill(
        &mut self,
        recv: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<()> {
        self.filled = 0;
        let mut buffers = self.bytes.chunks_exact_mut(RECEIVE_BUFFER_LEN);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        self.filled = recv(&mut slices, &mut self.metas)?;
        self.received_at = clock::wall();
        Ok(())
    }

    /// Returns `true` if the system filled every buffer, so that there may be more.
    pub(crate) const fn is_full(&self) -> bool {
        self.filled == BATCH_SIZE
    }

    /// Returns how many buffers the system filled; a train that it joined is one.
    pub(crate) const fn len(&self) -> usize {
        self.filled
    }

    /// Returns how long the first datagram waited, if the system adds time stamps to received
    /// datagrams.
    pub(crate) fn waited(&self) -> Option<Duration> {
        let came = self.metas.first().filter(|_| self.filled > 0)?.timestamp?;
        // The clock may have been set back since.
        Some(self.received_at.duration_since(clock::from_unix(came)).unwrap_or_default())
    }

    /// Calls a function with each datagram, in order: its sender, the local address it was sent to,
    /// its mark, and its bytes, to be decrypted in place.
    pub(crate) fn for_each_mut(
        &mut self,
        mut handle: impl FnMut((SocketAddr, Option<IpAddr>), Option<EcnCodepoint>, &mut [u8]),
    ) {
        let buffers = self.bytes.chunks_exact_mut(RECEIVE_BUFFER_LEN);
        for (meta, buffer) in self.metas.iter().zip(buffers).take(self.filled) {
            let from = (canonical(meta.addr), meta.dst_ip.map(|ip| ip.to_canonical()));
            for bytes in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                handle(from, meta.ecn, bytes);
            }
        }
    }

    /// Returns the received datagrams, in order.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> + '_ {
        let buffers = self.bytes.chunks_exact(RECEIVE_BUFFER_LEN);
        self.metas.iter().zip(buffers).take(self.filled).flat_map(|(meta, buffer)| {
            let at = meta.timestamp.map_or(self.received_at, clock::from_unix);
            split(&buffer[..meta.len], meta.stride).map(move |bytes| Datagram {
                bytes,
                from: canonical(meta.addr),
                to: meta.dst_ip.map(|ip| ip.to_canonical()),
                at,
            })
        })
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvBatch({} buffers filled)", self.filled)
    }
}

/// Splits a buffer into the datagrams that GRO joined in it; an empty datagram counts as one too.
fn split(joined: &[u8], stride: usize) -> impl Iterator<Item = &[u8]> {
    let empty = joined.is_empty().then_some(joined);
    empty.into_iter().chain(joined.chunks(stride.max(1)))
}

/// Converts the mark of a received datagram.
pub(crate) const fn from_codepoint(mark: EcnCodepoint) -> Ecn {
    match mark {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}

/// Converts the mark of a datagram to send.
pub(crate) const fn to_codepoint(mark: Ecn) -> EcnCodepoint {
    match mark {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_datagrams_are_split_and_an_empty_one_is_one() {
        let parts = |joined, stride| split(joined, stride).collect::<Vec<_>>();
        assert_eq!(parts(b"aabbc", 2), [b"aa".as_slice(), b"bb", b"c"]);
        assert_eq!(parts(b"", 0), [b"".as_slice()]);
        assert_eq!(parts(b"abc", 3), [b"abc".as_slice()]);
    }
}
