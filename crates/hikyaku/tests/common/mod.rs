//! Helpers that the tests of connections share.

#![allow(clippy::allow_attributes, reason = "not every file leaves the same unused")]
#![allow(dead_code, reason = "each test file uses some of it")]
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::time::Duration;

use hikyaku::{Connection, Endpoint, Trust};

pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

/// A client with its connection, and a server with its end of that connection.
pub(crate) async fn pair() -> (Endpoint, Connection, Endpoint, Connection) {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let dial = client.connect(server.local_addr(), Trust::AnyKey);
    let (ours, theirs) = in_time(async { tokio::join!(dial, server.accept()) }).await;
    (client, ours.unwrap(), server, theirs.unwrap())
}

/// Runs a test twice: with all tasks on one thread, and with several threads.
#[macro_export]
macro_rules! on_both_runtimes {
    ($($test:ident),+ $(,)?) => {
        mod on_one_thread {
            $(#[tokio::test]
            async fn $test() {
                super::$test().await;
            })+
        }
        mod on_several_threads {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test().await;
            })+
        }
    };
}
