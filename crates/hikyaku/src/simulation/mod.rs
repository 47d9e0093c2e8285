//! The whole library on a simulated network, in virtual time: every acknowledged message arrives.
//!
//! In: a seed. Out: a verdict. Never: a socket, the system's time.
//!
//! The protocol's own simulator (`crates/sim`) polls each event at once. Here the driver polls
//! them, in batches and with turn limits, after packets that were sent already, and applications
//! use the public API: endpoints, connections, receipts. A seed determines a world; the seed of one
//! that breaks a promise is printed, and `HIKYAKU_SEED=7 cargo test -p hikyaku --lib a_world` runs
//! it again.

use std::{net::SocketAddr, time::Duration};

use hikyaku_proto::{Delivery, TransportConfig};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use self::{
    dice::Dice,
    network::{Network, Path},
    oracle::{Message, Oracle},
};
use crate::{connection::Connection, endpoint::Endpoint, port::Port, trust::Trust};

mod answers;
mod dice;
mod faults;
mod lone;
pub(crate) mod network;
mod oracle;
mod order;

/// The virtual time after which a world that has not ended is stuck.
const LIFETIME: Duration = Duration::from_secs(600);

const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 12_345);

/// How a client ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// `Connection::close`.
    Finish,
    /// `Endpoint::close`.
    Close,
    /// Dropping its handles; the runtime lives on.
    Drop,
    /// `Connection::abort`, with messages in flight.
    Abort,
}

/// How a server reads a connection.
#[derive(Clone, Copy, Debug)]
struct Reader {
    first_pause: Duration,
    pause: Duration,
    at_once: usize,
}

async fn world(seed: u64) -> Result<Oracle, String> {
    let mut dice = Dice::new(seed);
    let path = Path {
        lost: dice.pick(&[0, 0, 0, 20, 100]),
        doubled: dice.pick(&[0, 0, 50]),
        full: dice.pick(&[0, 0, 50]),
        delay: Duration::from_millis(dice.pick(&[0, 0, 1, 20])),
        jitter: Duration::from_millis(dice.pick(&[0, 0, 3])),
        buffer: dice.pick(&[100_000, 100_000, 300]),
    };
    let network = Network::new(path, dice.fork());
    let oracle = Oracle::default();
    let server = endpoint(&network, SERVER, true, &mut dice);
    let accepting = tokio::spawn(serve(server.clone(), oracle.clone(), dice.fork()));
    let clients = dice.pick(&[5, 50, 150]);
    let spread = dice.pick(&[1, 1, 200]);
    let mut running = JoinSet::new();
    for name in 0..clients {
        let local = SocketAddr::from(([10, 1, (name >> 8) as u8, name as u8], 1_000));
        let client = endpoint(&network, local, false, &mut dice);
        let starts = Duration::from_millis(dice.below(spread));
        running.spawn(run_client(client, name, starts, oracle.clone(), dice.fork()));
    }
    if dice.happens(200) {
        // While messages are being sent.
        sleep(Duration::from_millis(dice.below(100))).await;
        server.close(Duration::from_secs(20)).await;
    }
    timeout(LIFETIME, running.join_all()).await.map_err(|_| "a client is stuck")?;
    server.close(Duration::from_secs(40)).await;
    timeout(LIFETIME, accepting)
        .await
        .map_err(|_| "the server is stuck")?
        .map_err(|e| e.to_string())?;
    oracle.verdict()?;
    Ok(oracle)
}

fn endpoint(network: &Network, local: SocketAddr, listens: bool, dice: &mut Dice) -> Endpoint {
    let transport = TransportConfig::default().send_queue(dice.pick(&[64 << 10, 1 << 20]));
    let port = Port::Simulated(network.connect(local));
    let builder = Endpoint::builder().transport(transport);
    builder.start_over(port, listens, Box::new(dice.fork())).expect("it starts")
}

async fn serve(server: Endpoint, oracle: Oracle, mut dice: Dice) {
    let mut readers = JoinSet::new();
    while let Some(connection) = server.accept().await {
        if dice.happens(100) {
            // A server that is busy with other work.
            sleep(Duration::from_millis(dice.below(5))).await;
        }
        let reader = Reader {
            first_pause: Duration::from_millis(dice.pick(&[0, 0, 0, 300])),
            pause: Duration::from_millis(dice.pick(&[0, 0, 0, 5])),
            at_once: dice.pick(&[1, 32]),
        };
        readers.spawn(read(connection, reader, oracle.clone()));
    }
    readers.join_all().await;
}

async fn read(connection: Connection, reader: Reader, oracle: Oracle) {
    sleep(reader.first_pause).await;
    let mut messages = Vec::new();
    while connection.recv_many(&mut messages, reader.at_once).await.is_ok() {
        for message in messages.drain(..) {
            oracle.received(connection.id(), &message);
        }
        if !reader.pause.is_zero() {
            sleep(reader.pause).await;
        }
    }
}

async fn run_client(client: Endpoint, name: u64, starts: Duration, oracle: Oracle, mut dice: Dice) {
    sleep(starts).await;
    let dialled = client.connect_to("server", &[SERVER], Trust::AnyKey).await;
    let Ok(connection) = dialled else { return };
    let exit = dice.pick(&[
        Exit::Finish,
        Exit::Finish,
        Exit::Finish,
        Exit::Close,
        Exit::Drop,
        Exit::Abort,
    ]);
    let mut receipts = JoinSet::new();
    for number in 0..1 + dice.below(8) {
        let message = Message { client: name, number, channel: dice.pick(&[0, 0, 1, 7]) };
        let delivery = dice.pick(&[
            Delivery::Ordered,
            Delivery::Ordered,
            Delivery::Reliable,
            Delivery::Latest,
            Delivery::Unreliable,
            Delivery::Deadline(Duration::from_millis(200)),
        ]);
        let padding = dice.pick(&[0, 0, 100, 5_000, 40_000]);
        let sent = connection.channel(message.channel).send(delivery, message.encode(padding));
        let Ok(receipt) = sent.await else { break };
        let oracle = oracle.clone();
        receipts.spawn(async move {
            if receipt.acknowledged().await.is_ok() {
                oracle.acknowledged(message, delivery.class());
            }
        });
    }
    let within = Duration::from_secs(30);
    match exit {
        Exit::Finish => {
            let _ = connection.close(within).await;
        }
        Exit::Close => client.close(within).await,
        Exit::Drop => drop((connection, client)),
        Exit::Abort => connection.abort(0, "enough"),
    }
    receipts.join_all().await;
}

fn run(seed: u64) -> Result<Oracle, String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    runtime.build().expect("a runtime").block_on(world(seed))
}

/// Returns how many worlds to run, from `HIKYAKU_WORLDS`, or which one, from `HIKYAKU_SEED`.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    match (number("HIKYAKU_SEED"), number("HIKYAKU_WORLDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(12),
    }
}

#[test]
fn a_world_receives_what_was_acknowledged() {
    let (mut acknowledged, mut received) = (0, 0);
    for seed in seeds() {
        match run(seed) {
            Ok(oracle) => {
                acknowledged += oracle.counts().0;
                received += oracle.counts().1;
            }
            Err(broken) => panic!("HIKYAKU_SEED={seed}: {broken}"),
        }
    }
    assert!(received >= acknowledged, "{received} of {acknowledged}");
}
