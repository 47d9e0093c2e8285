//! An ACK waits only for an answer that may carry it.

use std::{net::SocketAddr, time::Duration};

use hikyaku_proto::Delivery;
use tokio::time::sleep;

use super::{
    SERVER,
    dice::Dice,
    network::{Network, Path},
};
use crate::{
    clock::runtime_now, connection::Connection, endpoint::Endpoint, port::Port, trust::Trust,
};

/// Two ends that are 1 ms apart; an ACK is due half a millisecond after its packet.
pub(super) async fn ends() -> (Endpoint, Connection, Endpoint, Connection) {
    let path = Path {
        lost: 0,
        doubled: 0,
        full: 0,
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
        buffer: 1_000,
    };
    let network = Network::new(path, Dice::new(1));
    let start = |local: SocketAddr, listens| {
        let dice = Dice::new(local.port().into());
        let port = Port::Simulated(network.connect(local));
        Endpoint::builder().start_over(port, listens, Box::new(dice)).expect("it starts")
    };
    let server = start(SERVER, true);
    let client = start(SocketAddr::from(([10, 1, 0, 1], 1_000)), false);
    let here = client.connect_to("server", &[SERVER], Trust::AnyKey).await.expect("it connects");
    let there = server.accept().await.expect("it is accepted");
    // Wait for the tickets and timers that follow a handshake.
    sleep(Duration::from_secs(3)).await;
    (client, here, server, there)
}

/// Returns how many datagrams the server sends for a message and an answer, and how long the
/// message's ACK takes. The reader is busy for a while before it answers.
async fn answered_after(pause: Duration) -> (u64, Duration) {
    let (_client, here, server, there) = ends().await;
    let reader = tokio::spawn(async move {
        let message = there.recv().await.expect("it arrives");
        sleep(pause).await;
        there.send(Delivery::Reliable, message.payload).await.expect("it is open");
        there
    });
    let before = server.stats().sent;
    let began = runtime_now();
    let receipt = here.send(Delivery::Reliable, "a question").await.expect("it is open");
    receipt.acknowledged().await.expect("it is received");
    let took = began.elapsed();
    here.recv().await.expect("it is answered");
    let _there = reader.await.expect("it ends");
    // A separate ACK would have arrived by now.
    sleep(Duration::from_millis(100)).await;
    (server.stats().sent - before, took)
}

#[tokio::test(start_paused = true)]
async fn an_answer_within_a_few_milliseconds_carries_the_ack() {
    let (sent, took) = answered_after(Duration::from_millis(4)).await;
    assert_eq!(sent, 1, "the answer alone");
    assert!(took <= Duration::from_millis(8), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_ack_does_not_wait_for_a_reader_that_is_busy_for_long() {
    let (sent, took) = answered_after(Duration::from_millis(500)).await;
    assert_eq!(sent, 2, "the ACK and the answer");
    assert!(took <= Duration::from_millis(15), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_ack_does_not_wait_for_a_reader_that_waits_for_the_next_message() {
    let (_client, here, _server, there) = ends().await;
    let reader = tokio::spawn(async move { while there.recv().await.is_ok() {} });
    for _ in 0..3 {
        let began = runtime_now();
        let receipt = here.send(Delivery::Reliable, "a report").await.expect("it is open");
        receipt.acknowledged().await.expect("it is received");
        assert!(began.elapsed() <= Duration::from_millis(4), "{:?}", began.elapsed());
    }
    drop((here, _client));
    reader.await.expect("it ends");
}
