//! A program that must stay connected.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

mod common;

use std::time::Duration;

use hikyaku::{Backoff, ConnectError, Delivery, Endpoint, Trust, identity::Identity};

use self::common::{SOON, in_time};

on_both_runtimes!(
    a_client_reconnects_when_the_server_is_back,
    an_error_that_no_attempt_fixes_ends_reconnecting
);

fn quick() -> Backoff {
    Backoff::new(Duration::from_millis(20), Duration::from_millis(100))
}

async fn a_client_reconnects_when_the_server_is_back() {
    let identity = Identity::generate("server").unwrap();
    let start = |address| Endpoint::builder().identity(&identity).bind(address);
    let server = start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr();
    let client = Endpoint::client().unwrap();
    let trust = Trust::pinned(identity.fingerprint());
    let mut link = client.reconnecting(address, trust, quick()).unwrap();
    let first = in_time(link.connect()).await.unwrap();

    in_time(server.close(SOON)).await;
    drop(server);
    let closed = in_time(first.closed()).await;
    assert!(closed.is_retryable(), "{closed}");
    // No server is running: the client keeps trying, and the call can be repeated after a
    // cancellation.
    let absent = tokio::time::timeout(Duration::from_millis(300), link.connect()).await;
    assert!(absent.is_err(), "{absent:?}");

    let server = in_time(async {
        loop {
            // The port is free once the old socket is closed.
            if let Ok(server) = start(address).await {
                return server;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let again = in_time(link.connect()).await.unwrap();
    again.send(Delivery::Ordered, "back").await.unwrap();
    let theirs = in_time(server.accept()).await.unwrap();
    assert_eq!(in_time(theirs.recv()).await.unwrap().text(), Ok("back"));
}

async fn an_error_that_no_attempt_fixes_ends_reconnecting() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let stranger = Trust::pinned(client.fingerprint());
    let mut link = client.reconnecting(server.local_addr(), stranger, quick()).unwrap();
    let error = in_time(link.connect()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Untrusted(_)), "{error}");

    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut link = client.reconnecting(dead, Trust::AnyKey, quick().attempts(2)).unwrap();
    let error = in_time(link.connect()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(client.reconnecting("a:b:c", Trust::AnyKey, quick()).is_err());
}
