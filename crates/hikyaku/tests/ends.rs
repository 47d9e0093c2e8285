//! How endpoints and connections end, whatever happens to their handles and peers.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]
#![expect(clippy::disallowed_methods, reason = "a test of time limits measures time")]

use std::time::Duration;

use hikyaku::{Closed, ConnectError, Delivery, Endpoint, StartError, TransportConfig, Trust};

const SOON: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::from_millis(300);

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

fn to(server: &Endpoint) -> String {
    format!("127.0.0.1:{}", server.local_addr().port())
}

/// Clients that would keep a connection open forever.
async fn lasting_client() -> Endpoint {
    let keep_alive = Some(Duration::from_millis(200));
    let transport = TransportConfig::default().keep_alive(keep_alive);
    Endpoint::builder().transport(transport).client().unwrap()
}

#[tokio::test]
async fn an_ended_endpoint_answers_every_call() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let address = to(&server);
    client.close(AT_ONCE).await;
    let refused = in_time(client.connect(&*address, Trust::AnyKey)).await;
    assert!(matches!(refused, Err(ConnectError::EndpointGone)), "{refused:?}");
}

#[test]
fn without_a_runtime_opening_an_endpoint_is_an_error_not_a_panic() {
    assert!(matches!(Endpoint::client(), Err(StartError::NoRuntime)));
    let mut binding = std::pin::pin!(Endpoint::bind("127.0.0.1:0"));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = binding.as_mut().poll(&mut cx);
    assert!(matches!(polled, std::task::Poll::Ready(Err(StartError::NoRuntime))), "{polled:?}");
}

#[tokio::test]
async fn unaccepted_connections_end_with_the_endpoint() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = lasting_client().await;
    let connection = in_time(client.connect(&*to(&server), Trust::AnyKey)).await.unwrap();
    drop(server);
    in_time(connection.closed()).await;
}

#[tokio::test]
async fn no_connection_is_established_after_the_endpoint_closes() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
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
    // Accepted connections stay open.
    let receipt = theirs.send(Delivery::Ordered, "still here").await.unwrap();
    in_time(receipt.acknowledged()).await.unwrap();
    assert_eq!(in_time(ours.recv()).await.unwrap().text(), Ok("still here"));
}

#[tokio::test]
async fn a_cancelled_dial_leaves_no_connection() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = lasting_client().await;
    let address = to(&server);
    for _ in 0..50 {
        // The driver replies, but the caller has already gone.
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
async fn a_peer_that_reads_nothing_does_not_delay_the_end() {
    let transport = TransportConfig::default().credit(1 << 16).channel_credit(1 << 16);
    let server = Endpoint::builder().transport(transport).bind("127.0.0.1:0").await.unwrap();
    let small = TransportConfig::default().send_queue(1 << 17).keep_alive(Some(AT_ONCE));
    let client = Endpoint::builder().transport(small).client().unwrap();
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
async fn requests_do_not_delay_the_end() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let connection = in_time(client.connect(&*to(&server), Trust::AnyKey)).await.unwrap();
    let _unread = in_time(server.accept()).await.unwrap();
    // The first waits for its reader, the second for credit from the peer, the third for the
    // second.
    for _ in 0..3 {
        in_time(connection.send(Delivery::Ordered, vec![0; 10 << 20])).await.unwrap();
    }
    let asking = async {
        while connection.synchronize().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time(async { tokio::join!(client.close(AT_ONCE), asking) }).await;
}

#[tokio::test]
async fn a_report_of_a_closed_port_ends_no_other_dial() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
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
    // Nothing listens there any more.
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (living, gone) =
        tokio::join!(client.connect(slow, Trust::AnyKey), client.connect(dead, Trust::AnyKey));
    assert!(gone.is_err(), "{gone:?}");
    assert!(living.is_ok(), "{living:?}");
}

/// A relay that delays each datagram by `one_way` until it is switched off, and then drops
/// everything.
async fn slow_relay(
    behind: std::net::SocketAddr,
    one_way: Duration,
) -> (std::net::SocketAddr, Switch) {
    let relay = std::sync::Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = relay.local_addr().unwrap();
    let switch = Switch::default();
    let on = switch.clone();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        let mut client = None;
        loop {
            let Ok((len, from)) = relay.recv_from(&mut buffer).await else { continue };
            if from != behind {
                client = Some(from);
            }
            let to = if from == behind { client.unwrap() } else { behind };
            let (relay, datagram, on) = (relay.clone(), buffer[..len].to_vec(), on.clone());
            tokio::spawn(async move {
                tokio::time::sleep(one_way).await;
                if !on.is_off() {
                    let _ = relay.send_to(&datagram, to).await;
                }
            });
        }
    });
    (address, switch)
}

#[derive(Clone, Default)]
struct Switch(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Switch {
    fn off(&self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn is_off(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[tokio::test]
async fn close_ends_within_its_time_when_the_peer_is_gone() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let (relay, switch) = slow_relay(server.local_addr(), Duration::from_millis(150)).await;
    let client = Endpoint::client().unwrap();
    let connection = in_time(client.connect(relay, Trust::AnyKey)).await.unwrap();
    switch.off();
    connection.send(Delivery::Ordered, "nobody hears this").await.unwrap();
    let began = tokio::time::Instant::now();
    let finished = connection.close(Duration::from_secs(1)).await;
    assert!(finished.is_err());
    // Without the limit the CLOSE is repeated for nine probe timeouts, 4.5 s here.
    assert!(began.elapsed() < Duration::from_millis(2_500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_earlier_deadline_of_two_closes_counts() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let (relay, switch) = slow_relay(server.local_addr(), Duration::ZERO).await;
    let client = Endpoint::client().unwrap();
    let connection = in_time(client.connect(relay, Trust::AnyKey)).await.unwrap();
    switch.off();
    connection.send(Delivery::Ordered, "nobody hears this").await.unwrap();
    let began = tokio::time::Instant::now();
    let short = async {
        client.close(AT_ONCE).await;
        connection.closed().await
    };
    let long = client.close(Duration::from_secs(60));
    in_time(async { tokio::join!(short, long) }).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_failed_dial_does_not_delay_the_end() {
    let client = Endpoint::client().unwrap();
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dial = client.connect(silent.local_addr().unwrap(), Trust::AnyKey);
    assert!(tokio::time::timeout(AT_ONCE, dial).await.is_err());
    let began = tokio::time::Instant::now();
    client.close(Duration::from_secs(10)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// The runtime is dropped as soon as `close` returns, as at the end of `main`.
#[test]
fn a_peer_that_reads_nothing_is_notified_when_a_program_ends() {
    let own = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let here = own();
    for _ in 0..10 {
        let (server, address) = here.block_on(async {
            let credit = 1 << 16;
            let transport = TransportConfig::default().credit(credit).channel_credit(credit);
            let server =
                Endpoint::builder().transport(transport).bind("127.0.0.1:0").await.unwrap();
            let address = to(&server);
            (server, address)
        });
        let program = std::thread::spawn(move || {
            own().block_on(async {
                let client = Endpoint::client().unwrap();
                let connection = client.connect(&*address, Trust::AnyKey).await.unwrap();
                connection.send(Delivery::Ordered, vec![0; 60_000]).await.unwrap();
                connection.send(Delivery::Ordered, vec![0; 60_000]).await.unwrap();
                client.close(AT_ONCE).await;
            });
        });
        let closed = here.block_on(async {
            let theirs = in_time(server.accept()).await.unwrap();
            in_time(theirs.closed()).await
        });
        program.join().unwrap();
        assert!(matches!(closed, Closed::ByPeer { .. }), "{closed:?}");
    }
}

/// With a paused clock, the runtime advances the time to the next timer whenever it is idle.
#[tokio::test(start_paused = true)]
async fn timers_fire_under_a_paused_clock() {
    let began = std::time::Instant::now();
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let address = to(&server);
    let (ours, theirs) = tokio::join!(client.connect(&*address, Trust::AnyKey), server.accept());
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let receipt = ours.send(Delivery::Ordered, "hello").await.unwrap();
    assert_eq!(theirs.recv().await.unwrap().text(), Ok("hello"));
    receipt.acknowledged().await.unwrap();
    // The idle timeout, by the same clock. A driver that used another clock would be woken again
    // and again, and this time would never pass.
    assert_eq!(theirs.closed().await, Closed::Silent);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_port_is_free_once_an_endpoint_is_closed() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let address = to(&server);
    server.close(SOON).await;
    for _ in 0..200 {
        let again = Endpoint::bind(&*address).await.unwrap();
        in_time(again.close(SOON)).await;
    }
}
