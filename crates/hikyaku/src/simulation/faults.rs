//! A connection that panics in the protocol, and one beside it at the same endpoint.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hikyaku_proto::{Delivery, rng::Random};
use tokio::time::{sleep, timeout};

use super::{
    SERVER,
    dice::Dice,
    network::{Network, Path},
};
use crate::{closed::Closed, connection::Connection, endpoint::Endpoint, port::Port, trust::Trust};

/// Randomness that panics once it is armed, so that the connection being served panics.
struct Fuse {
    dice: Dice,
    armed: Arc<AtomicBool>,
}

impl Random for Fuse {
    fn fill(&mut self, bytes: &mut [u8]) {
        assert!(!self.armed.swap(false, Ordering::Relaxed), "a panic that the test requested");
        self.dice.fill(bytes);
    }
}

/// Connects another client, and returns both ends.
async fn connect(network: &Network, server: &Endpoint, last: u8) -> (Connection, Connection) {
    let port = Port::Simulated(network.connect(SocketAddr::from(([10, 1, 0, last], 1_000))));
    let dice = Dice::new(last.into());
    let client = Endpoint::builder().start_over(port, false, Box::new(dice)).expect("it starts");
    let dialled = client.connect_to("server", &[SERVER], Trust::AnyKey).await.expect("it connects");
    (dialled, server.accept().await.expect("it is accepted"))
}

async fn passes(from: &Connection, to: &Connection) -> bool {
    let text = b"still here".as_slice();
    from.send(Delivery::Ordered, text).await.is_ok()
        && to.recv().await.is_ok_and(|message| message.payload == text)
}

async fn scene() {
    let path = Path {
        lost: 0,
        doubled: 0,
        full: 0,
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
        buffer: 1_000,
    };
    let network = Network::new(path, Dice::new(1));
    let armed = Arc::new(AtomicBool::new(false));
    let fuse = Fuse { dice: Dice::new(2), armed: Arc::clone(&armed) };
    let port = Port::Simulated(network.connect(SERVER));
    let server = Endpoint::builder().start_over(port, true, Box::new(fuse)).expect("it starts");
    let (faulty, faulty_here) = connect(&network, &server, 1).await;
    let (other, other_here) = connect(&network, &server, 2).await;
    assert!(passes(&faulty, &faulty_here).await && passes(&other_here, &other).await);

    // After some hundred packets, the server's end draws the next packet number to skip.
    armed.store(true, Ordering::Relaxed);
    for _ in 0..2_000 {
        if faulty_here.send(Delivery::Ordered, b"next".as_slice()).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(faulty_here.close_reason(), Some(Closed::Fault));
    assert_eq!(server.stats().faults, 1);
    assert!(passes(&other, &other_here).await && passes(&other_here, &other).await);
    // The peer receives a reset.
    let _ = faulty.send(Delivery::Ordered, b"anybody there?".as_slice()).await;
    assert_eq!(faulty.closed().await, Closed::Reset);
    // The endpoint accepts new connections, and ends properly.
    let (newer, newer_here) = connect(&network, &server, 3).await;
    assert!(passes(&newer, &newer_here).await);
    server.close(Duration::from_secs(10)).await;
}

#[test]
fn a_panic_in_the_protocol_ends_only_one_connection() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    let done = async { timeout(Duration::from_secs(600), scene()).await };
    runtime.build().expect("a runtime").block_on(done).expect("nobody waits forever");
}
