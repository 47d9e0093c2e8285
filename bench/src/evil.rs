//! `hikyaku listen` under authenticated peers that send arbitrary frames: its cost, and whether an
//! honest client is still served.
//!
//! The traffic never leaves this machine.

use std::{
    fmt,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use hikyaku_proto::time::Time;
use hikyaku_sim::evil::{
    Dialler, Evil,
    frames::{Stream, all},
};

use crate::{cost, flood::Host};

/// The number of attacking connections at a time.
const PEERS: usize = 16;

/// Datagrams per second in total: 19 Mbit/s if they are full.
const RATE: u64 = 2_000;

/// Bytes of frames per datagram.
const ROOM: usize = 1_170;

/// The interval between the starts of honest clients.
const PAUSE: Duration = Duration::from_secs(1);

/// The maximum duration of a stream.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);

/// What a listener may hold of messages (SECURITY.md, Bounds), in MiB: its memory grows by no more.
const MOST: f64 = 512.0;

/// The longest that an honest client may take, from its start to its end.
const SOON: Duration = Duration::from_secs(1);

/// The head of the table, which is Markdown.
const HEAD: &str = "\
| frames | datagrams/s | connections | honest sends | median | slowest | MiB before | peak | CPU |
|---|---|---|---|---|---|---|---|---|";

/// The requested measurements.
pub(crate) struct Plan {
    /// The duration of each stream.
    pub(crate) span: Duration,
    /// The number of listeners that are attacked at a time, each by another stream.
    pub(crate) at_once: usize,
    /// Part of a stream's name.
    pub(crate) name: String,
}

/// What a stream cost a listener and its honest clients.
struct Row {
    title: String,
    /// Datagrams per second.
    sent: f64,
    /// How often an evil peer connected.
    dialled: u64,
    /// Processors used.
    busy: f64,
    /// The resident memory before the attack, and at its peak, in MiB.
    memory: (f64, f64),
    /// The times of honest clients that were served, in order.
    took: Vec<Duration>,
    tried: usize,
}

pub(crate) fn run(plan: &Plan) -> Result<()> {
    println!("{HEAD}");
    let mut streams = all();
    streams.retain(|stream| stream.title().contains(&plan.name));
    ensure!(!streams.is_empty(), "no stream has that name");
    let mut failed = Vec::new();
    for group in streams.chunks(plan.at_once) {
        let rows: Vec<Result<Row>> = thread::scope(|scope| {
            let begin = |stream| scope.spawn(move || measure(stream, plan.span));
            let running: Vec<_> = group.iter().map(begin).collect();
            let end = |thread: thread::ScopedJoinHandle<'_, _>| thread.join();
            running
                .into_iter()
                .map(|thread| end(thread).unwrap_or_else(|_| Err(anyhow!("a thread panicked"))))
                .collect()
        });
        for (stream, row) in group.iter().zip(rows) {
            let row = row.with_context(|| stream.title())?;
            println!("{row}");
            if !row.is_within_bounds() {
                failed.push(row.title);
            }
        }
    }
    ensure!(failed.is_empty(), "beyond {MOST} MiB or {SOON:?}: {failed:?}");
    println!("all {} streams: within {MOST} MiB, every honest send within {SOON:?}", streams.len());
    Ok(())
}

fn measure(stream: &Stream, span: Duration) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let host = Host::start(folder.path(), false)?;
    // Memory that every listener takes for its first client is not due to the attack.
    host.send().context("a client fails without an attack")?;
    let (memory, busy) = (cost::resident(host.pid())?, cost::processor(host.pid())?);
    let attack = Attack::start(*stream, host.address());
    let began = Instant::now();
    let (mut took, mut tried) = (Vec::new(), 0);
    while began.elapsed() < span.min(LONGEST) {
        let next = Instant::now() + PAUSE;
        tried += 1;
        took.extend(host.send().ok());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let span = began.elapsed().as_secs_f64();
    let busy = cost::processor(host.pid())?.saturating_sub(busy).as_secs_f64() / span;
    let memory = (memory / 1_024.0, cost::peak(host.pid())? / 1_024.0);
    let (sent, dialled) = attack.end()?;
    took.sort();
    let sent = sent as f64 / span;
    Ok(Row { title: stream.title(), sent, dialled, busy, memory, took, tried })
}

impl Row {
    fn is_within_bounds(&self) -> bool {
        let served = self.took.len() == self.tried;
        let (before, peak) = self.memory;
        served && peak - before <= MOST && self.took.last().is_some_and(|longest| *longest <= SOON)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |at: usize| self.took.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3);
        let (before, peak) = self.memory;
        write!(
            f,
            "| {} | {:.0} | {} | {} of {} | {:.0} ms | {:.0} ms | {before:.1} | {peak:.1} \
             | {:.0}% |",
            self.title,
            self.sent,
            self.dialled,
            self.took.len(),
            self.tried,
            ms(self.took.len() / 2),
            ms(self.took.len().saturating_sub(1)),
            self.busy * 100.0,
        )
    }
}

/// An attack in progress.
struct Attack {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: thread::JoinHandle<Result<u64>>,
}

impl Attack {
    fn start(stream: Stream, to: SocketAddr) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || shoot(&stream, to, &until, &count));
        Self { stop, sent, thread }
    }

    /// Ends the attack. Returns the datagrams sent, and how often a peer connected.
    fn end(self) -> Result<(u64, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        let dialled = self.thread.join().map_err(|_| anyhow!("the attacker panicked"))??;
        Ok((self.sent.load(Ordering::Relaxed), dialled))
    }
}

/// One of the attacking peers.
struct Peer {
    socket: UdpSocket,
    evil: Evil,
    frames: u64,
}

fn shoot(stream: &Stream, to: SocketAddr, stop: &AtomicBool, sent: &AtomicU64) -> Result<u64> {
    let began = Instant::now();
    let mut dialled = 0;
    let mut peers: Vec<Option<Peer>> = (0..PEERS).map(|_| None).collect();
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) && began.elapsed() < LONGEST + LONGEST {
        let due = (began.elapsed().as_secs_f64() * RATE as f64) as u64;
        if sent.load(Ordering::Relaxed) >= due {
            thread::sleep(Duration::from_micros(500));
            continue;
        }
        turn = (turn + 1) % PEERS;
        let Some(peer) = &mut peers[turn] else {
            dialled += 1;
            // A peer that was refused tries again on its next turn.
            peers[turn] = dial(to, dialled)?;
            continue;
        };
        let frames = stream.fill(&mut peer.frames, ROOM, &peer.evil);
        let packet = peer.evil.seal(&frames);
        peer.socket.send(&packet)?;
        sent.fetch_add(1, Ordering::Relaxed);
        if !peer.listen() {
            peers[turn] = None;
        }
    }
    Ok(dialled)
}

/// Completes a handshake like an honest peer. `seed` determines its identity.
fn dial(to: SocketAddr, seed: u64) -> Result<Option<Peer>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let began = Instant::now();
    let now = || Time::from_micros(1_000_000 + began.elapsed().as_micros() as u64);
    let mut dialler = Dialler::new(now(), to, seed).map_err(anyhow::Error::msg)?;
    let mut buffer = vec![0; 1 << 16];
    while began.elapsed() < Duration::from_secs(2) {
        for datagram in dialler.poll(now()) {
            socket.send(&datagram)?;
        }
        let Ok(len) = socket.recv(&mut buffer) else { continue };
        let evil = dialler.handle_datagram(now(), &buffer[..len]).map_err(anyhow::Error::msg)?;
        if let Some(evil) = evil {
            socket.set_nonblocking(true)?;
            return Ok(Some(Peer { socket, evil, frames: 0 }));
        }
    }
    Ok(None)
}

impl Peer {
    /// Processes received datagrams. Returns `false` once the other end has closed and repeats its
    /// CLOSE.
    fn listen(&mut self) -> bool {
        let mut buffer = [0; 1 << 11];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            self.evil.handle_datagram(&buffer[..len]);
            if self.evil.is_closed(&buffer[..len]) {
                return false;
            }
        }
        true
    }
}
