//! The promises of the documentation, each on both kinds of runtime, and repeatable.
//!
//! `HIKYAKU_RUNS=100 cargo test -p hikyaku --test promises` checks each a hundred times.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]
#![expect(clippy::disallowed_methods, reason = "a test of time limits measures time")]
#![expect(clippy::print_stdout, reason = "how often a promise was kept is for people")]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hikyaku::{
    Close, Connection, Delivery, Endpoint, NotDelivered, StartError, TransportConfig, Trust,
};
use tokio::{net::UdpSocket, runtime::Builder, task::JoinSet, time::Instant};

const SOON: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Flavour {
    CurrentThread,
    MultiThread,
}

impl Flavour {
    fn build(self) -> tokio::runtime::Runtime {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        builder.worker_threads(2).enable_all().build().unwrap()
    }
}

fn asked_runs() -> Option<u64> {
    std::env::var("HIKYAKU_RUNS").ok()?.parse().ok()
}

/// Checks a promise on both kinds of runtime, each time on a new one.
fn keeps<F: Future<Output = ()>>(name: &str, promise: impl Fn(u64) -> F) {
    for flavour in [Flavour::CurrentThread, Flavour::MultiThread] {
        let runs = asked_runs().unwrap_or(2);
        for run in 0..runs {
            let running = async { tokio::time::timeout(SOON, promise(run)).await };
            let kept = flavour.build().block_on(running);
            assert!(kept.is_ok(), "{name}: run {run} under {flavour:?} is stuck");
        }
        println!("{name}, {flavour:?}: kept in {runs} of {runs} runs");
    }
}

fn address(server: &Endpoint) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.local_addr().port()))
}

struct Pair {
    client: Endpoint,
    server: Endpoint,
    ours: Connection,
    theirs: Connection,
}

async fn pair_over(server: Endpoint, transport: TransportConfig, to: SocketAddr) -> Pair {
    let client = Endpoint::builder().transport(transport).client().unwrap();
    let (ours, theirs) = tokio::join!(client.connect(to, Trust::AnyKey), server.accept());
    Pair { ours: ours.unwrap(), theirs: theirs.unwrap(), client, server }
}

async fn pair(transport: TransportConfig) -> Pair {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let to = address(&server);
    pair_over(server, transport, to).await
}

/// What a relay does to datagrams.
#[derive(Clone, Copy)]
struct Path {
    delay: Duration,
    /// The percentage of datagrams that are lost.
    lost: u64,
    seed: u64,
}

/// Returns the address of a relay to `behind`.
async fn relay(behind: SocketAddr, path: Path) -> SocketAddr {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    let dice = AtomicU64::new(path.seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    tokio::spawn(async move {
        let (mut buffer, mut client) = (vec![0; 65_536], None);
        loop {
            let Ok((len, from)) = socket.recv_from(&mut buffer).await else { continue };
            if from != behind {
                client = Some(from);
            }
            let to = if from == behind { client.unwrap() } else { behind };
            let state = dice.load(Ordering::Relaxed);
            let next = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            dice.store(next, Ordering::Relaxed);
            if (next >> 33) % 100 < path.lost {
                continue;
            }
            let (socket, datagram) = (socket.clone(), buffer[..len].to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(path.delay).await;
                let _ = socket.send_to(&datagram, to).await;
            });
        }
    });
    address
}

fn number(n: u32) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

async fn read_all(connection: Connection) -> BTreeSet<(u16, u32)> {
    let mut all = BTreeSet::new();
    while let Ok(message) = connection.recv().await {
        let n = u32::from_be_bytes(message.payload[..4].try_into().unwrap());
        assert!(all.insert((message.channel.0, n)), "delivered twice");
    }
    all
}

/// However the connection ends: both sides close it, or one aborts it.
async fn acknowledged_messages_are_delivered(run: u64) {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let path = Path { delay: Duration::from_millis(1), lost: 30, seed: run };
    let to = relay(address(&server), path).await;
    let Pair { ours, theirs, .. } = pair_over(server, TransportConfig::default(), to).await;
    let reading = tokio::spawn(read_all(theirs.clone()));
    let mut receipts = JoinSet::new();
    for n in 0..60 {
        let channel = ours.channel((n % 2) as u16);
        let receipt = channel.send(Delivery::Ordered, number(n)).await.unwrap();
        receipts.spawn(async move { (n, receipt.acknowledged().await.is_ok()) });
    }
    if run.is_multiple_of(2) {
        let within = Duration::from_secs(5);
        let _ = tokio::join!(ours.close(within), theirs.close(within));
    } else {
        tokio::time::sleep(Duration::from_millis(run % 50)).await;
        ours.abort(0, "enough");
    }
    let received = reading.await.unwrap();
    for (n, acknowledged) in receipts.join_all().await {
        let there = received.contains(&((n % 2) as u16, n));
        assert!(there || !acknowledged, "run {run}: {n} was acknowledged, and is not there");
    }
}

#[test]
fn acknowledged_is_delivered() {
    keeps("acknowledged is given out", acknowledged_messages_are_delivered);
}

async fn many_clients(clients: u32) {
    const MESSAGES: u32 = 5;
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let to = address(&server);
    let mut senders = JoinSet::new();
    for _ in 0..clients {
        senders.spawn(async move {
            let client = Endpoint::client().unwrap();
            let connection = client.connect(to, Trust::AnyKey).await.unwrap();
            for n in 0..MESSAGES {
                connection.send(Delivery::Ordered, number(n)).await.unwrap();
            }
            connection.close(SOON).await.unwrap();
        });
    }
    let accepting = server.clone();
    let received = tokio::spawn(async move {
        let mut readers = JoinSet::new();
        while let Some(connection) = accepting.accept().await {
            readers.spawn(read_all(connection));
        }
        readers.join_all().await.iter().map(BTreeSet::len).sum::<usize>()
    });
    senders.join_all().await;
    server.close(SOON).await;
    assert_eq!(received.await.unwrap(), (clients * MESSAGES) as usize);
}

#[test]
fn messages_of_many_short_connections_arrive() {
    let clients = if asked_runs().is_some() { 100 } else { 20 };
    keeps("many senders of five messages", |_| many_clients(clients));
}

async fn an_unread_channel(_: u64) {
    let Pair { ours, theirs, client: _client, server: _server } =
        pair(TransportConfig::default().send_queue(1 << 20)).await;
    assert_eq!(theirs.channel(1).try_recv().unwrap(), None);
    let (stuck, unread) = (ours.channel(1), vec![0; 100_000]);
    let filling = tokio::spawn(async move {
        while stuck.send(Delivery::Ordered, unread.clone()).await.is_ok() {}
    });
    // The channel has no room left when a message is refused.
    let probe = ours.channel(1);
    while probe.try_send(Delivery::Ordered, vec![0; 100_000]).is_ok() {
        tokio::task::yield_now().await;
    }
    for delivery in [
        Delivery::Ordered,
        Delivery::Reliable,
        Delivery::Latest,
        Delivery::Unreliable,
        Delivery::Deadline(SOON),
    ] {
        ours.channel(2).send(delivery, number(1)).await.unwrap();
        assert_eq!(theirs.recv().await.unwrap().payload.len(), 4, "{delivery:?}");
    }
    ours.abort(Close::NO_ERROR, "");
    filling.await.unwrap();
}

#[test]
fn an_unread_channel_stalls_no_other() {
    keeps("an unread channel holds up no other", an_unread_channel);
}

async fn eight_senders(_: u64) {
    let Pair { ours, theirs, client: _client, server: _server } =
        pair(TransportConfig::default().send_queue(64 << 10)).await;
    let mut senders = JoinSet::new();
    for name in 0..8_u8 {
        let ours = ours.clone();
        senders.spawn(async move {
            while ours.send(Delivery::Ordered, vec![name; 1_000]).await.is_ok() {}
        });
    }
    // No connection is left out: each one makes progress again and again.
    for _ in 0..3 {
        let mut heard = BTreeSet::new();
        while heard.len() < 8 {
            heard.insert(theirs.recv().await.unwrap().payload[0]);
        }
    }
    ours.abort(Close::NO_ERROR, "");
    senders.join_all().await;
}

#[test]
fn senders_are_served_in_turn() {
    keeps("eight senders are served in turn", eight_senders);
}

async fn a_silent_peer(run: u64) {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let path = Path { delay: Duration::from_millis(40), lost: 0, seed: run };
    let to = relay(address(&server), path).await;
    let Pair { client, ours, server: silent, theirs } =
        pair_over(server, TransportConfig::default(), to).await;
    // This side reads nothing.
    let _unread = (silent, theirs);
    for _ in 0..3 {
        ours.try_send(Delivery::Ordered, vec![0; 8 << 20]).ok();
    }
    let began = Instant::now();
    let within = Duration::from_millis(200);
    match run % 2 {
        0 => _ = ours.close(within).await,
        _ => _ = tokio::join!(client.close(SOON), client.close(within)),
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn closing_ends_within_its_time() {
    keeps("closing ends in its time", a_silent_peer);
}

/// A path that is too long for some deadlines, and just short enough for others.
async fn deadlines(run: u64) {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let path = Path { delay: Duration::from_millis(60), lost: 10, seed: run };
    let to = relay(address(&server), path).await;
    let Pair { ours, theirs, client: _client, server: _server } =
        pair_over(server, TransportConfig::default(), to).await;
    let reading = tokio::spawn(read_all(theirs));
    // Before the round trip is measured, the delay of the path is not subtracted (D-7).
    let measured = ours.send(Delivery::Reliable, number(1_000)).await.unwrap();
    measured.acknowledged().await.unwrap();
    let mut receipts = JoinSet::new();
    for n in 0..20 {
        let left = Duration::from_millis(u64::from(20 + 10 * n));
        let receipt = ours.send(Delivery::Deadline(left), number(n)).await.unwrap();
        receipts.spawn(async move { (n, receipt.acknowledged().await) });
    }
    let outcomes = receipts.join_all().await;
    let _ = ours.close(Duration::from_secs(5)).await;
    let received = reading.await.unwrap();
    for (n, outcome) in outcomes {
        let there = received.contains(&(0, n));
        let expired = matches!(outcome, Err(NotDelivered::Expired));
        assert!(!(expired && there), "run {run}: {n} is said to have expired, and came");
        assert!(n > 3 || !there, "run {run}: {n} came, 60 ms after it had {} left", 20 + 10 * n);
    }
}

#[test]
fn a_deadline_includes_the_transit_time_and_expired_is_true() {
    keeps("deadlines count the way", deadlines);
}

async fn configurations(_: u64) {
    for wrong in
        [TransportConfig::default().max_ack_delay(SOON), TransportConfig::default().pool(0)]
    {
        let started = Endpoint::builder().transport(wrong).client();
        assert!(matches!(started, Err(StartError::Config(_))), "{started:?}");
    }
}

#[test]
fn a_configuration_out_of_range_is_an_error_at_the_start() {
    keeps("a configuration out of range is an error", configurations);
}

/// Only a runtime with one thread can pause its clock.
#[test]
fn timers_fire_under_a_paused_clock() {
    for _ in 0..asked_runs().unwrap_or(2) {
        let began = std::time::Instant::now();
        let mut runtime = Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(async {
            let Pair { ours, theirs, client: _client, server: _server } =
                pair(TransportConfig::default()).await;
            ours.send(Delivery::Ordered, number(1)).await.unwrap();
            assert_eq!(theirs.recv().await.unwrap().payload.len(), 4);
            assert_eq!(theirs.closed().await, hikyaku::Closed::Silent);
        });
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
