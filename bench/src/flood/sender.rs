//! The attacker: a thread that sends first packets with forged source addresses.
//!
//! On Linux all of 127.0.0.0/8 belongs to this machine, so that any of 16 million addresses can be
//! the source without privileges.

use std::{
    io::IoSliceMut,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use hikyaku_proto::{Datagram, Endpoint, KeyPolicy, Output, rng::Random, time::Time};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

use super::packets::{DTLS_RANDOM, another, dialler, first_flight, source_of, with_token};
use crate::dice::Dice;

/// The maximum duration of a flood.
pub(super) const LONGEST: Duration = Duration::from_secs(120);

/// The number of first flights prepared in advance, which are then repeated from other addresses.
/// Half a percent of them can be half-open at a time.
const CLIENTS: usize = 16_384;

/// The interval between bursts.
const PAUSE: Duration = Duration::from_micros(500);

/// What the attacker sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Quiet,
    /// Whole first flights of real clients, each from any address.
    Forged,
    /// The same, all from one network (/24).
    OneNetwork,
    /// Copies of one client's flight, from any address.
    Replayed,
    /// Hellos with random tokens.
    BadTokens,
    /// Packets that do not open.
    Garbage,
    /// Clients in any network that answer a Retry and never continue, like a large site or a
    /// botnet.
    HalfOpen,
    /// DTLS: a client's first packet, each with other random bytes.
    Dtls,
}

/// A flood in progress.
pub(super) struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
    began: Instant,
}

impl Flood {
    /// Starts a flood. `rate`: datagrams per second, or new clients per second if they answer.
    /// `dtls`: a DTLS client's first packet.
    pub(super) fn start(kind: Kind, rate: u64, to: SocketAddr, dtls: &[u8]) -> Result<Self> {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let gun = Gun::new(to, Arc::clone(&sent))?;
        let pace = Pace { rate, stop: Arc::clone(&stop) };
        let pool = match kind {
            Kind::Dtls => vec![dtls.to_vec()],
            _ => pool(kind, to)?,
        };
        let thread = (kind != Kind::Quiet).then(|| {
            thread::spawn(move || match kind {
                Kind::HalfOpen => stay_half_open(gun, &pace),
                _ => shoot(gun, &pace, kind, pool),
            })
        });
        Ok(Self { stop, sent, thread, began: Instant::now() })
    }

    /// Returns how many datagrams were sent, and in how long.
    pub(super) fn sent(&self) -> (u64, Duration) {
        (self.sent.load(Ordering::Relaxed), self.began.elapsed())
    }

    pub(super) fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => anyhow::bail!("the flood has failed"),
            None => Ok(()),
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Returns the datagrams to send repeatedly.
fn pool(kind: Kind, to: SocketAddr) -> Result<Vec<Vec<u8>>> {
    let (mut dice, flight) = (Dice(3), first_flight(to)?);
    let mut pool = Vec::new();
    for _ in 0..CLIENTS {
        match kind {
            Kind::Forged | Kind::OneNetwork => pool.extend(another(&flight, &mut dice)?),
            Kind::BadTokens => {
                let another = another(&flight, &mut dice)?;
                pool.extend(another.iter().map(|datagram| with_token(datagram, &mut dice)));
            }
            Kind::Garbage => {
                let mut garbage = flight[0].clone();
                dice.fill(&mut garbage[5..]);
                garbage[21] = 0; // no token: the most expensive to reject
                pool.push(garbage);
            }
            Kind::Replayed => return Ok(flight),
            Kind::Quiet | Kind::HalfOpen | Kind::Dtls => return Ok(pool),
        }
    }
    Ok(pool)
}

fn shoot(gun: Gun, pace: &Pace, kind: Kind, mut pool: Vec<Vec<u8>>) -> Result<()> {
    let (mut dice, mut at) = (Dice(4), 0);
    // Both datagrams of a flight come from one address.
    let pair = matches!(kind, Kind::Forged | Kind::OneNetwork);
    let mut from = Ipv4Addr::LOCALHOST;
    pace.run(|| {
        if !pair || at % 2 == 0 {
            from = match (kind, dice.next().to_le_bytes()) {
                (Kind::OneNetwork, [d, ..]) => Ipv4Addr::new(127, 66, 6, d.max(1)),
                (_, [b, c, d, ..]) => Ipv4Addr::new(127, b.max(1), c, d.max(1)),
            };
        }
        if kind == Kind::Dtls {
            dice.fill(&mut pool[0][DTLS_RANDOM]);
        }
        gun.send(&pool[at], from);
        at = (at + 1) % pool.len();
        Ok(())
    })
}

fn stay_half_open(gun: Gun, pace: &Pace) -> Result<()> {
    let (mut clients, clock) = (dialler(5), Instant::now());
    let mut out = Vec::new();
    let now = || Time::from_micros(clock.elapsed().as_micros() as u64 + 1);
    pace.run(|| {
        clients.connect(now(), gun.to, KeyPolicy::AnyKey)?;
        send_all(&gun, &mut clients, now(), &mut out);
        gun.receive(|answer| {
            // They answer a Retry and ignore everything else.
            if answer.first() == Some(&0xc3) {
                clients.handle_datagram(now(), Datagram::new(gun.to, answer));
            }
        });
        clients.handle_timeout(now());
        send_all(&gun, &mut clients, now(), &mut out);
        Ok(())
    })
}

/// Each client keeps the address that belongs to its id.
fn send_all(gun: &Gun, clients: &mut Endpoint, now: Time, out: &mut Vec<u8>) {
    loop {
        match clients.poll_output(now, out) {
            Output::Transmit(train) => {
                for datagram in out[..train.len].chunks(train.segment_size) {
                    let [b, c, d, ..] = source_of(datagram).unwrap_or_default();
                    gun.send(datagram, Ipv4Addr::new(127, b.max(1), c, d.max(1)));
                }
            }
            Output::Event(..) => {}
            Output::Timeout(_) => return,
        }
    }
}

/// A rate and a duration.
struct Pace {
    rate: u64,
    stop: Arc<AtomicBool>,
}

impl Pace {
    fn run(&self, mut once: impl FnMut() -> Result<()>) -> Result<()> {
        let (began, mut done) = (Instant::now(), 0);
        while !self.stop.load(Ordering::Relaxed) && began.elapsed() < LONGEST {
            let due = began.elapsed().as_micros() as u64 * self.rate / 1_000_000;
            // Missed sends are not made up for.
            done = done.max(due.saturating_sub(self.rate / 100));
            while done < due {
                once()?;
                done += 1;
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// A socket that sends from any address of this machine.
struct Gun {
    socket: UdpSocket,
    state: UdpSocketState,
    to: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl Gun {
    fn new(to: SocketAddr, sent: Arc<AtomicU64>) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state, to, sent })
    }

    fn send(&self, contents: &[u8], from: Ipv4Addr) {
        let transmit = Transmit {
            destination: self.to,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: Some(IpAddr::V4(from)),
        };
        if self.state.try_send((&self.socket).into(), &transmit).is_ok() {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn receive(&self, mut each: impl FnMut(&mut [u8])) {
        let (mut buffer, mut meta) = (vec![0; 1 << 16], [RecvMeta::default()]);
        let recv = |buffer: &mut Vec<u8>, meta: &mut [RecvMeta; 1]| {
            self.state.recv((&self.socket).into(), &mut [IoSliceMut::new(buffer)], meta)
        };
        while recv(&mut buffer, &mut meta).is_ok() {
            let [RecvMeta { len, stride, .. }] = meta;
            buffer[..len].chunks_mut(stride.max(1)).for_each(&mut each);
        }
    }
}
