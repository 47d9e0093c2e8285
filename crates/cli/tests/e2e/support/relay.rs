//! A hostile network in a thread: it loses, repeats, delays and alters datagrams.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{net::UdpSocket, sync::oneshot, task, time};

/// Longest delay of a datagram in ms: several of the tests' timeouts.
const MAX_HOLD: u64 = 30;

/// Most consecutive losses in one direction of one route. A sender doubles its wait after each, so
/// without this bound a run could take minutes.
const MAX_LOST_IN_A_ROW: u32 = 3;

/// Clients served at once; the oldest is forgotten.
const MAX_ROUTES: usize = 32;

/// The rate of each fault in per cent, or how often it occurred.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Harm {
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) held: u64,
    pub(crate) altered: u64,
}

/// Carries datagrams between many clients and one server, with a separate address for each client,
/// as a home router does.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    fate: Arc<Mutex<Fate>>,
    /// How often the addresses towards the server have changed.
    moves: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts the relay. The seed decides what happens to each datagram, in order of arrival.
    pub(crate) fn start(server: SocketAddr, harm: Harm, seed: u64) -> Self {
        let fate = Arc::new(Mutex::new(Fate { random: seed, harm, done: Harm::default() }));
        let (stop, stopped) = oneshot::channel();
        let front = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        front.set_nonblocking(true).expect("a socket can be");
        let address = front.local_addr().expect("it is bound");
        let shared = Arc::clone(&fate);
        let moves = Arc::<AtomicU64>::default();
        let moved = Arc::clone(&moves);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("the system gives a poller").block_on(async {
                let front = UdpSocket::from_std(front).expect("it does not block");
                tokio::select! {
                    () = carry(Arc::new(front), server, shared, &moved) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, fate, moves, stop: Some(stop), thread: Some(thread) }
    }

    /// Forgets every client, like a home router that restarts: the server sees each client at
    /// another port from the next datagram on, and what it sends to the old one is lost.
    pub(crate) fn restart(&self) {
        self.moves.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns what the relay has done so far.
    pub(crate) fn done(&self) -> Harm {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner).done
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Dropping the sender stops the thread; its panic would have been printed.
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Route {
    client: SocketAddr,
    back: Arc<UdpSocket>,
    lost_in_a_row: u32,
    answers: task::JoinHandle<()>,
}

async fn carry(
    front: Arc<UdpSocket>,
    server: SocketAddr,
    fate: Arc<Mutex<Fate>>,
    moves: &AtomicU64,
) {
    let mut routes: VecDeque<Route> = VecDeque::new();
    let mut moved = 0;
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, client) = front.recv_from(&mut buffer).await.expect("it is not connected");
        if moves.load(Ordering::SeqCst) != moved {
            moved += 1;
            routes.drain(..).for_each(|route| route.answers.abort());
        }
        if !routes.iter().any(|route| route.client == client) {
            routes.push_back(open(&front, client, server, &fate).await);
        }
        if routes.len() > MAX_ROUTES {
            routes.pop_front().expect("there are many").answers.abort();
        }
        let route = routes.iter_mut().find(|route| route.client == client);
        let Route { back, lost_in_a_row, .. } = route.expect("it is the newest or was there");
        for (wait, copy) in decide(&fate, &buffer[..len], lost_in_a_row) {
            let back = Arc::clone(back);
            tokio::spawn(async move {
                time::sleep(wait).await;
                // A port that is not open yet is no fault of the network.
                let _ = back.send(&copy).await;
            });
        }
    }
}

async fn open(
    front: &Arc<UdpSocket>,
    client: SocketAddr,
    server: SocketAddr,
    fate: &Arc<Mutex<Fate>>,
) -> Route {
    let back = UdpSocket::bind("127.0.0.1:0").await.expect("a port is free");
    back.connect(server).await.expect("loopback is there");
    let back = Arc::new(back);
    let answers = tokio::spawn(answer(Arc::clone(front), Arc::clone(&back), client, fate.clone()));
    Route { client, back, lost_in_a_row: 0, answers }
}

async fn answer(
    front: Arc<UdpSocket>,
    back: Arc<UdpSocket>,
    client: SocketAddr,
    fate: Arc<Mutex<Fate>>,
) {
    let mut buffer = vec![0; 65_536];
    let mut lost_in_a_row = 0;
    loop {
        let Ok(len) = back.recv(&mut buffer).await else { continue };
        for (wait, copy) in decide(&fate, &buffer[..len], &mut lost_in_a_row) {
            let front = Arc::clone(&front);
            tokio::spawn(async move {
                time::sleep(wait).await;
                let _ = front.send_to(&copy, client).await;
            });
        }
    }
}

fn decide(fate: &Mutex<Fate>, datagram: &[u8], lost: &mut u32) -> Vec<(Duration, Vec<u8>)> {
    fate.lock().unwrap_or_else(PoisonError::into_inner).decide(datagram, lost)
}

#[derive(Debug)]
struct Fate {
    random: u64,
    harm: Harm,
    done: Harm,
}

impl Fate {
    /// Returns the copies of a datagram that pass, and when.
    fn decide(&mut self, datagram: &[u8], lost_in_a_row: &mut u32) -> Vec<(Duration, Vec<u8>)> {
        let may_lose = *lost_in_a_row < MAX_LOST_IN_A_ROW;
        let repeated = self.happens(self.harm.repeated);
        self.done.repeated += u64::from(repeated);
        let mut copies = Vec::new();
        let mut whole = false;
        for _ in 0..1 + u32::from(repeated) {
            if may_lose && self.happens(self.harm.lost) {
                self.done.lost += 1;
                continue;
            }
            let mut copy = datagram.to_vec();
            if may_lose && !copy.is_empty() && self.happens(self.harm.altered) {
                self.done.altered += 1;
                let bit = usize::try_from(self.next()).expect("64 bits") % (8 * copy.len());
                copy[bit / 8] ^= 1 << (bit % 8);
            } else {
                whole = true;
            }
            let held = self.happens(self.harm.held);
            self.done.held += u64::from(held);
            let wait = if held { 1 + self.next() % MAX_HOLD } else { 0 };
            copies.push((Duration::from_millis(wait), copy));
        }
        *lost_in_a_row = if whole { 0 } else { *lost_in_a_row + 1 };
        copies
    }

    fn happens(&mut self, per_cent: u64) -> bool {
        self.next() % 100 < per_cent
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
