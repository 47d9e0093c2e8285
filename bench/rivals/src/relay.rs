//! The lossy link: a relay between real sockets that treats packets as the simulator's link does.
//!
//! One client, one server, one seed per round: the n-th packet of a direction is treated alike,
//! whichever peer sent it. It runs in the parent's process, whose time is not counted.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use hikyaku_proto::time::Time;
use hikyaku_sim::{
    link::{Fate, Link, LinkConfig, Loss},
    rng::Rng,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    limits::{LONGEST_RUN, READY, RELAY_PACKETS},
    peers::udp_socket,
    work::Conditions,
};

/// 1 Gbit/s: so that loss and latency are what limits a peer, not the machine.
pub(crate) const RATE: u64 = 125_000_000;

/// The queue of the link, in bytes: less than a bandwidth-delay product.
pub(crate) const QUEUE: usize = 1 << 20;

/// What passes: a full Ethernet frame.
const MTU: usize = 1_472;

/// The seed of the first round; every peer has the same one in the same round.
const SEED: u64 = 2_026;

/// Added to the nice value of the relay's thread, which uses little of a processor.
const PRIORITY: i32 = -10;

/// Datagrams read from a socket before others have their turn.
const BATCH: usize = 64;

/// The longest time between checks for the end.
const LOOK: Duration = Duration::from_millis(20);

/// A relay in operation.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Relay {
    pub(crate) fn start(server: SocketAddr, conditions: Conditions, round: usize) -> Result<Self> {
        let (front, back) = (udp_socket()?, udp_socket()?);
        front.set_nonblocking(true)?;
        back.set_nonblocking(true)?;
        back.connect(server)?;
        let address = front.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let mut running = Running {
            front,
            back,
            client: None,
            began: Instant::now(),
            links: [0, 1].map(|way| direction(conditions, SEED + 2 * round as u64 + way)),
            on_the_way: BinaryHeap::new(),
            number: 0,
        };
        let thread = std::thread::spawn(move || {
            // A real network is not slower when the machine is busy. Without the right to raise the
            // priority, the figures include the relay's wait.
            let _ = rustix::process::nice(PRIORITY);
            running.run(&until)
        });
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Ends it. Returns the error that ended it before.
    pub(crate) fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(result) => result.map_err(|_| anyhow!("the relay panicked"))?,
            None => Ok(()),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn direction(conditions: Conditions, seed: u64) -> (Link, Rng) {
    let config = LinkConfig {
        latency: conditions.one_way,
        loss: Loss::Random(conditions.loss),
        mtu: MTU,
        rate: Some(RATE),
        queue: QUEUE,
        ..LinkConfig::default()
    };
    (Link::new(config), Rng::new(seed))
}

/// A packet on its way: when it arrives, its number to keep the order, its direction.
type Packet = Reverse<(Time, u64, usize, Box<[u8]>)>;

struct Running {
    /// The socket that the client sends to, and the one that the server sees.
    front: UdpSocket,
    back: UdpSocket,
    client: Option<SocketAddr>,
    began: Instant,
    links: [(Link, Rng); 2],
    on_the_way: BinaryHeap<Packet>,
    number: u64,
}

impl Running {
    fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) && self.began.elapsed() < LONGEST_RUN + READY {
            self.deliver();
            self.wait()?;
            self.read(0);
            self.read(1);
        }
        Ok(())
    }

    fn now(&self) -> Time {
        Time::from_micros(self.began.elapsed().as_micros() as u64)
    }

    /// Waits for a packet from either side, or until the next one is due.
    fn wait(&self) -> Result<()> {
        let due = self.on_the_way.peek().map_or(LOOK, |Reverse((at, ..))| {
            Duration::from_micros(at.as_micros().saturating_sub(self.now().as_micros()))
        });
        let limit = Timespec { tv_sec: 0, tv_nsec: due.min(LOOK).subsec_nanos().into() };
        let mut fds =
            [PollFd::new(&self.front, PollFlags::IN), PollFd::new(&self.back, PollFlags::IN)];
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes packets of one direction: 0 from the client, 1 from the server.
    fn read(&mut self, direction: usize) {
        let mut buffer = [0; 1 << 16];
        for _ in 0..BATCH {
            let came = match direction {
                0 => self.front.recv_from(&mut buffer).map(|(len, from)| {
                    self.client = Some(from);
                    len
                }),
                _ => self.back.recv(&mut buffer),
            };
            // Errors about refused datagrams appear here too; the peers notice such losses
            // themselves.
            let Ok(len) = came else { return };
            let now = self.now();
            let (link, rng) = &mut self.links[direction];
            let Fate::Carried(first, _) = link.carry(now, len, rng) else { continue };
            if self.on_the_way.len() < RELAY_PACKETS {
                self.number += 1;
                let packet = (first.at, self.number, direction, Box::from(&buffer[..len]));
                self.on_the_way.push(Reverse(packet));
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(Reverse((at, ..))) = self.on_the_way.peek()
            && *at <= self.now()
        {
            let Some(Reverse((_, _, direction, packet))) = self.on_the_way.pop() else { return };
            let sent = match (direction, self.client) {
                (0, _) => self.back.send(&packet),
                (_, Some(client)) => self.front.send_to(&packet, client),
                (_, None) => continue,
            };
            // A full buffer loses a packet, as a router's would.
            if sent.is_err_and(|error| error.kind() == ErrorKind::NotConnected) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the numbers that arrive of this many packets, and the time of the first.
    fn carried(conditions: Conditions, round: usize, count: u16) -> (Vec<u16>, Duration) {
        let (client, server) = (udp_socket().unwrap(), udp_socket().unwrap());
        server.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let relay = Relay::start(server.local_addr().unwrap(), conditions, round).unwrap();
        let began = Instant::now();
        for number in 0..count {
            client.send_to(&number.to_be_bytes(), relay.address).unwrap();
        }
        let (mut came, mut first, mut buffer) = (Vec::new(), None, [0; 2]);
        while server.recv(&mut buffer).is_ok() {
            first.get_or_insert_with(|| began.elapsed());
            came.push(u16::from_be_bytes(buffer));
        }
        relay.end().unwrap();
        (came, first.unwrap_or_default())
    }

    #[test]
    fn every_peer_meets_the_same_losses_in_a_round() {
        let conditions = Conditions { loss: 0.2, one_way: Duration::from_millis(30) };
        let (came, first) = carried(conditions, 0, 300);
        assert!(first >= conditions.one_way, "{first:?}");
        assert!((200..280).contains(&came.len()), "{}", came.len());
        assert!(came.is_sorted());
        assert_eq!(carried(conditions, 0, 300).0, came);
        assert_ne!(carried(conditions, 1, 300).0, came);
    }
}
