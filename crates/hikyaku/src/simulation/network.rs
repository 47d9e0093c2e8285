//! A network in memory: datagrams are delayed, lost, duplicated, or find no room.
//!
//! In: trains of datagrams, the runtime's clock, seeded randomness. Out: batches of datagrams.
//! Never: the contents of datagrams.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use hikyaku_proto::time::Time;
use quinn_udp::{BATCH_SIZE, RecvMeta};
use tokio::time::{Sleep, sleep_until};

use super::dice::Dice;
use crate::{
    clock::Stopwatch,
    host::{batch::RecvBatch, socket::Way},
};

/// What every path of the network does to datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// Probabilities in 1,000.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// The sender's own queue is full, and nothing reports when it has room again.
    pub(crate) full: u64,
    pub(crate) delay: Duration,
    /// The largest random addition to the delay, so that datagrams overtake each other.
    pub(crate) jitter: Duration,
    /// The number of datagrams that a receiver's buffer holds.
    pub(crate) buffer: usize,
}

/// A network, to which each host is connected by a card.
#[derive(Clone)]
pub(crate) struct Network {
    clock: Stopwatch,
    path: Path,
    state: Arc<Mutex<State>>,
}

struct State {
    dice: Dice,
    hosts: BTreeMap<SocketAddr, Arrivals>,
    /// The number of datagrams sent, which orders those that arrive at the same time.
    sent: u64,
}

#[derive(Default)]
struct Arrivals {
    queue: BTreeMap<(Time, u64), (SocketAddr, Vec<u8>)>,
    waker: Option<Waker>,
}

/// One host's network card.
pub(crate) struct Nic {
    network: Network,
    local: SocketAddr,
    timer: Mutex<Pin<Box<Sleep>>>,
}

impl Network {
    pub(crate) fn new(path: Path, dice: Dice) -> Self {
        let state = State { dice, hosts: BTreeMap::new(), sent: 0 };
        Self { clock: Stopwatch::start(), path, state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn connect(&self, local: SocketAddr) -> Nic {
        self.lock().hosts.insert(local, Arrivals::default());
        let timer = Mutex::new(Box::pin(sleep_until(self.clock.instant(Time::ZERO))));
        Nic { network: self.clone(), local, timer }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let mut state = self.lock();
        let State { dice, hosts, sent } = &mut *state;
        if dice.happens(self.path.lost) {
            return;
        }
        let Some(arrivals) = hosts.get_mut(&to) else { return };
        let copies = 1 + u64::from(dice.happens(self.path.doubled));
        for _ in 0..copies {
            if arrivals.queue.len() >= self.path.buffer {
                return;
            }
            let late = dice.below(self.path.jitter.as_micros() as u64 + 1);
            let at = self.clock.now() + self.path.delay + Duration::from_micros(late);
            *sent += 1;
            arrivals.queue.insert((at, *sent), (from, bytes.to_vec()));
        }
        if let Some(waker) = arrivals.waker.take() {
            waker.wake();
        }
    }
}

impl Nic {
    pub(crate) const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn poll_recv_all(
        &self,
        cx: &mut Context<'_>,
        batch: &mut RecvBatch,
    ) -> Poll<io::Result<()>> {
        if self.poll_readable(cx).is_pending() {
            return Poll::Pending;
        }
        let now = self.network.clock.now();
        let mut state = self.network.lock();
        let Some(arrivals) = state.hosts.get_mut(&self.local) else { return Poll::Pending };
        let due: Vec<_> = std::iter::from_fn(|| {
            let first = arrivals.queue.first_entry()?;
            (first.key().0 <= now).then(|| first.remove())
        })
        .take(BATCH_SIZE)
        .collect();
        Poll::Ready(batch.fill(|buffers, metas| {
            let slots = buffers.iter_mut().zip(metas.iter_mut());
            for ((buffer, meta), (from, bytes)) in slots.zip(&due) {
                buffer[..bytes.len()].copy_from_slice(bytes);
                *meta = RecvMeta::default();
                (meta.addr, meta.len, meta.stride) = (*from, bytes.len(), bytes.len());
            }
            Ok(due.len())
        }))
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let next = {
            let mut state = self.network.lock();
            let Some(arrivals) = state.hosts.get_mut(&self.local) else { return Poll::Pending };
            arrivals.waker = Some(cx.waker().clone());
            arrivals.queue.keys().next().map(|(at, _)| *at)
        };
        let Some(next) = next else { return Poll::Pending };
        if next <= self.network.clock.now() {
            return Poll::Ready(Ok(()));
        }
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        timer.as_mut().reset(self.network.clock.instant(next));
        timer.as_mut().poll(cx).map(Ok)
    }

    pub(crate) fn send_train(&self, bytes: &[u8], way: &Way) -> Poll<io::Result<()>> {
        if self.network.lock().dice.happens(self.network.path.full) {
            return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
        }
        for datagram in bytes.chunks(way.segment.max(1)) {
            self.network.send(self.local, way.to, datagram);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        self.network.lock().hosts.remove(&self.local);
    }
}
