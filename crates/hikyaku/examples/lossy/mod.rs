//! A bad network in one process: a relay that loses, delays and reorders what a client and a server
//! send each other. Programs have no use for it; their tests may.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use hikyaku::clock;
use tokio::{
    net::UdpSocket,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::sleep,
};

/// Datagrams in transit per direction; a full queue drops what arrives, as a router's does.
const MAX_UNDER_WAY: usize = 512;

/// What it does to datagrams. The same seed gives the same random numbers.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    /// The percentage of datagrams that are lost in each direction while the network is bad.
    pub(crate) lost: u64,
    /// How long the network is bad, from [`Lossy::begin`] on.
    pub(crate) lasts: Duration,
    /// The delay in each direction.
    pub(crate) delay: Duration,
    /// The largest random addition to the delay, so that datagrams overtake each other.
    pub(crate) jitter: Duration,
    pub(crate) seed: u64,
}

/// The network. It ends when this is dropped.
pub(crate) struct Lossy {
    address: SocketAddr,
    ends: Arc<OnceLock<Instant>>,
    lasts: Duration,
    _both_ways: JoinSet<()>,
}

impl Lossy {
    /// Starts a network that leads to `server`. It is good until [`Lossy::begin`] is called.
    pub(crate) async fn before(server: SocketAddr, weather: Weather) -> io::Result<Self> {
        let to_client = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let to_server = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = to_client.local_addr()?;
        let ends = Arc::new(OnceLock::new());
        let (found, client) = watch::channel(address);
        let mut both_ways = JoinSet::new();

        let (from, to, bad) = (to_client.clone(), to_server.clone(), ends.clone());
        both_ways.spawn(async move {
            let mut way = Way::new(to, weather, bad);
            let mut buffer = vec![0; 1 << 16];
            while let Ok((len, client)) = from.recv_from(&mut buffer).await {
                found.send_replace(client);
                way.carry(&buffer[..len], server);
            }
        });
        let (from, to, bad) = (to_server, to_client, ends.clone());
        both_ways.spawn(async move {
            let mut way = Way::new(to, Weather { seed: !weather.seed, ..weather }, bad);
            let mut buffer = vec![0; 1 << 16];
            while let Ok((len, _)) = from.recv_from(&mut buffer).await {
                way.carry(&buffer[..len], *client.borrow());
            }
        });
        Ok(Self { address, ends, lasts: weather.lasts, _both_ways: both_ways })
    }

    /// Returns the address that the client dials.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the network bad from now on.
    pub(crate) fn begin(&self) {
        self.ends.get_or_init(|| clock::monotonic() + self.lasts);
    }
}

/// Carries one direction.
struct Way {
    to: Arc<UdpSocket>,
    weather: Weather,
    ends: Arc<OnceLock<Instant>>,
    room: Arc<Semaphore>,
    dice: u64,
}

impl Way {
    fn new(to: Arc<UdpSocket>, weather: Weather, ends: Arc<OnceLock<Instant>>) -> Self {
        let room = Arc::new(Semaphore::new(MAX_UNDER_WAY));
        Self { to, weather, ends, room, dice: weather.seed }
    }

    fn carry(&mut self, datagram: &[u8], address: SocketAddr) {
        let is_bad = self.ends.get().is_some_and(|end| clock::monotonic() < *end);
        let lost = self.throw() % 100 < self.weather.lost;
        let jitter = self.weather.jitter.mul_f64(self.throw() as f64 / u64::MAX as f64);
        if lost && is_bad {
            return;
        }
        let Ok(place) = self.room.clone().try_acquire_owned() else { return };
        let (to, wait, datagram) =
            (self.to.clone(), self.weather.delay + jitter, datagram.to_vec());
        tokio::spawn(async move {
            sleep(wait).await;
            // As on any bad network, a datagram that cannot be sent is lost.
            let _ = to.send_to(&datagram, address).await;
            drop(place);
        });
    }

    /// Returns the next number of splitmix64.
    fn throw(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
