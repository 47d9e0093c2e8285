//! How endpoints and connections end, whatever becomes of their handles and of their peers.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::time::Duration;

use hikyaku::{Closed, ConnectError, Delivery, Endpoint, TransportConfig, Trust};

const SOON: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::from_millis(300);

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

fn to(server: &Endpoint) -> String {
    format!("127.0.0.1:{}", server.local_addr().port())
}

/// Clients that would keep a connection for ever.
async fn lasting_client() -> Endpoint {
    let keep_alive = Some(Duration::from_millis(200));
    let transport = TransportConfig { keep_alive, ..TransportConfig::default() };
    Endpoint::builder().transport(transport).start().await.unwrap()
}

#[tokio::test]
async fn an_endpoint_that_has_ended_answers_all_who_ask() {
    let server = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let client = Endpoint::client().unwrap();
    let address = to(&server);
    client.close(AT_ONCE).await;
    assert!(in_time(client.stats()).await.is_none());
    let refused = in_time(client.connect(&*address, Trust::AnyKey)).await;
    assert!(matches!(refused, Err(ConnectError::EndpointGone)), "{refused:?}");
}

#[tokio::test]
async fn what_nobody_accepted_ends_with_the_endpoint() {
    let server = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let client = lasting_client().await;
    let connection = in_time(client.connect(&*to(&server), Trust::AnyKey)).await.unwrap();
    drop(server);
    in_time(connection.closed()).await;
}

#[tokio::test]
async fn nobody_comes_in_where_nobody_accepts_any_more() {
    let server = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let client = lasting_client().await;
    let address = to(&server);
    let (ours, theirs) =
        in_time(async { tokio::join!(client.connect(&*address, Trust::AnyKey), server.accept()) })
            .await;
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    drop(server);
    let another = lasting_client().await;
    let late = tokio::time::timeout(AT_ONCE, another.connect(&*address, Trust::AnyKey)).await;
    assert!(!matches!(late, Ok(Ok(_))), "{late:?}");
    // Who was in stays.
    let receipt = theirs.send(Delivery::Ordered, "still here").await.unwrap();
    in_time(receipt.acknowledged()).await.unwrap();
    assert_eq!(in_time(ours.recv()).await.unwrap().text(), Ok("still here"));
}

#[tokio::test]
async fn a_dial_given_up_leaves_no_connection() {
    let server = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let client = lasting_client().await;
    let address = to(&server);
    for _ in 0..50 {
        // The driver answers; who asked has gone before it looks.
        let mut dial = Box::pin(client.connect(&*address, Trust::AnyKey));
        let polled = tokio::time::timeout(Duration::ZERO, &mut dial).await;
        assert!(polled.is_err());
        let theirs = in_time(server.accept()).await.unwrap();
        drop(dial);
        let closed = in_time(theirs.closed()).await;
        assert!(matches!(closed, Closed::ByPeer { .. }), "{closed:?}");
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_holds_up_no_end() {
    let transport =
        TransportConfig { credit: 1 << 16, channel_credit: 1 << 16, ..Default::default() };
    let server = Endpoint::bind("127.0.0.1:0").transport(transport).start().await.unwrap();
    let small =
        TransportConfig { send_queue: 1 << 17, keep_alive: Some(AT_ONCE), ..Default::default() };
    let client = Endpoint::builder().transport(small).start().await.unwrap();
    let connection = in_time(client.connect(&*to(&server), Trust::AnyKey)).await.unwrap();
    let theirs = in_time(server.accept()).await.unwrap();
    while tokio::time::timeout(AT_ONCE, connection.send(Delivery::Ordered, vec![0; 10_000]))
        .await
        .is_ok()
    {}
    client.close(AT_ONCE).await;
    in_time(connection.closed()).await;
    in_time(theirs.closed()).await;
}

#[tokio::test]
async fn questions_put_off_no_end() {
    let server = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let client = Endpoint::client().unwrap();
    let connection = in_time(client.connect(&*to(&server), Trust::AnyKey)).await.unwrap();
    let _unread = in_time(server.accept()).await.unwrap();
    // The first waits for its reader, the second in the peer's credit, the third for it.
    for _ in 0..3 {
        in_time(connection.send(Delivery::Ordered, vec![0; 10 << 20])).await.unwrap();
    }
    let asking = async {
        while connection.stats().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time(async { tokio::join!(client.close(AT_ONCE), asking) }).await;
}

#[tokio::test]
async fn a_report_of_a_dead_port_ends_no_other_dial() {
    let server = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let relay = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let slow = relay.local_addr().unwrap();
    let behind = server.local_addr();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        let mut client = None;
        loop {
            let (len, from) = relay.recv_from(&mut buffer).await.unwrap();
            if from != behind {
                client = Some(from);
                tokio::time::sleep(AT_ONCE).await;
            }
            let to = if from == behind { client.unwrap() } else { behind };
            relay.send_to(&buffer[..len], to).await.unwrap();
        }
    });
    let client = Endpoint::client().unwrap();
    // Nobody listens there any more.
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (living, gone) =
        tokio::join!(client.connect(slow, Trust::AnyKey), client.connect(dead, Trust::AnyKey));
    assert!(gone.is_err(), "{gone:?}");
    assert!(living.is_ok(), "{living:?}");
}
