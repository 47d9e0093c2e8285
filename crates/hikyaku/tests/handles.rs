//! The handles of applications: connections, weak handles, receipts, incoming connections.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

mod common;

use hikyaku::{
    Channel, Close, Closed, Connection, Delivery, Endpoint, EndpointBuilder, Incoming, Message,
    NoOutcome, NotDelivered, Outcome, Receipt, Receipts, Reconnecting, Trust, WeakConnection,
    identity::Identity, signers::AuthorizedKeys,
};

use self::common::{SOON, in_time, pair};

on_both_runtimes!(
    a_weak_handle_does_not_keep_a_connection_open,
    a_receipt_can_be_polled_and_awaited_by_several_tasks,
    receipts_are_awaited_together,
    many_messages_are_queued_at_once_and_arrive_in_order,
    a_server_accepts_or_refuses_each_connection,
    the_list_of_refused_clients_ends_with_the_endpoint,
);

async fn a_weak_handle_does_not_keep_a_connection_open() {
    let (_client, ours, _server, theirs) = pair().await;
    let reader = ours.downgrade();
    assert_eq!((reader.upgrade().as_ref(), reader.id()), (Some(&ours), ours.id()));
    let (sender, mut received) = tokio::sync::mpsc::channel(1);
    let reading = tokio::spawn(async move {
        loop {
            match reader.recv().await {
                Ok(message) => sender.send(message).await.unwrap(),
                Err(closed) => return (closed, reader),
            }
        }
    });
    theirs.send(Delivery::Ordered, "first").await.unwrap();
    assert_eq!(in_time(received.recv()).await.unwrap().text(), Ok("first"));
    // The reader waits in `recv` again, or soon will, and no other handle is left.
    ours.channel(1).send(Delivery::Ordered, "last words").await.unwrap();
    drop(ours);
    assert_eq!(in_time(theirs.recv()).await.unwrap().text(), Ok("last words"));
    let closed = in_time(theirs.closed()).await;
    assert!(closed.is_graceful() && closed.is_retryable(), "{closed:?}");
    let (closed, reader) = in_time(reading).await.unwrap();
    assert_eq!(closed, Closed::Here);
    assert!(reader.upgrade().is_none() && !closed.is_retryable());
}

async fn many_messages_are_queued_at_once_and_arrive_in_order() {
    // More than the queue to the endpoint's task holds.
    const COUNT: u32 = 20_000;
    let (_client, ours, _server, theirs) = pair().await;
    assert!(ours.send_many(Delivery::Ordered, Vec::<Vec<u8>>::new()).await.unwrap().is_empty());
    let sending = tokio::spawn(async move {
        let numbers = (0..COUNT).map(|number| number.to_be_bytes().to_vec());
        let mut receipts = ours.send_many(Delivery::Ordered, numbers).await.unwrap();
        assert_eq!((receipts.len(), receipts.iter().count()), (COUNT as usize, COUNT as usize));
        receipts.acknowledged_all().await.unwrap();
        // The first message that is too long ends the call; those before it are sent.
        let lengths = [4, 4, 1 << 30].map(|length| vec![0; length]);
        let error = ours.channel(1).send_many(Delivery::Latest, lengths).await.unwrap_err();
        assert!(matches!(error, hikyaku::SendError::TooLarge { .. }), "{error}");
        ours
    });
    let mut received = Vec::new();
    while received.len() < COUNT as usize {
        in_time(theirs.recv_many(&mut received, 1_024)).await.unwrap();
    }
    for (number, message) in (0..COUNT).zip(&received) {
        assert_eq!(message.payload[..], number.to_be_bytes());
    }
    assert_eq!(in_time(theirs.recv()).await.unwrap().channel.0, 1);
    drop(in_time(sending).await.unwrap());
}

async fn a_receipt_can_be_polled_and_awaited_by_several_tasks() {
    let (_client, ours, _server, theirs) = pair().await;
    // More than the peer's credit: the last one has no outcome while nobody reads.
    for _ in 0..2 {
        ours.send(Delivery::Ordered, vec![0; 16 << 20]).await.unwrap();
    }
    let receipt = ours.send(Delivery::Ordered, vec![1; 1 << 20]).await.unwrap();
    assert_eq!(receipt.try_outcome(), Err(NoOutcome::Pending));
    assert_eq!(receipt.try_acknowledged(), None);
    // A future that was dropped while it waited takes nothing from the others.
    let given_up = tokio::time::timeout(std::time::Duration::ZERO, receipt.acknowledged()).await;
    assert!(given_up.is_err());
    let reading = async {
        for _ in 0..3 {
            theirs.recv().await.unwrap();
        }
    };
    let all = async { tokio::join!(receipt.acknowledged(), receipt.outcome(), reading) };
    let (acknowledged, outcome, ()) = in_time(all).await;
    assert_eq!((acknowledged, outcome), (Ok(()), Some(Outcome::Acknowledged)));
    assert_eq!(receipt.try_outcome(), Ok(Outcome::Acknowledged));
    assert_eq!(receipt.try_acknowledged(), Some(Ok(())));
}

async fn receipts_are_awaited_together() {
    let (_client, ours, _server, theirs) = pair().await;
    let mut receipts = Receipts::new();
    for n in 0..100_u8 {
        receipts
            .push(ours.channel(u16::from(n % 3)).send(Delivery::Reliable, vec![n]).await.unwrap());
    }
    assert_eq!(receipts.len(), 100);
    in_time(receipts.acknowledged_all()).await.unwrap();
    assert!(receipts.is_empty());

    let unreliable = ours.send(Delivery::Unreliable, "x").await.unwrap();
    receipts.extend([unreliable, ours.send(Delivery::Ordered, "y").await.unwrap()]);
    assert_eq!(in_time(receipts.acknowledged_all()).await, Err(NotDelivered::Unacknowledged));
    assert_eq!(in_time(receipts.acknowledged_all()).await, Ok(()), "it is returned once");

    let first = ours.send(Delivery::Ordered, "z").await.unwrap();
    in_time(first.acknowledged()).await.unwrap();
    for _ in 0..2 {
        ours.channel(9).send(Delivery::Ordered, vec![0; 16 << 20]).await.unwrap();
    }
    let blocked = ours.channel(9).send(Delivery::Ordered, vec![1; 1 << 20]).await.unwrap();
    let mut receipts = Receipts::from_iter([blocked, first]);
    let known: Vec<_> = receipts.take_known().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!((known, receipts.len()), (vec![Ok(())], 1));
    theirs.abort(0, "");
    assert_eq!(in_time(receipts.acknowledged_all()).await, Err(NotDelivered::Unsent));
}

async fn a_server_accepts_or_refuses_each_connection() {
    const BANNED: u64 = Close::APPLICATION + 7;
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let dial = || client.connect(server.local_addr(), Trust::AnyKey);
    let (ours, incoming) = in_time(async { tokio::join!(dial(), server.incoming()) }).await;
    let (ours, incoming) = (ours.unwrap(), incoming.unwrap());
    assert_eq!(incoming.fingerprint(), client.fingerprint());
    assert_eq!(incoming.remote_addr().port(), client.local_addr().port());
    incoming.refuse(BANNED, "you are banned");
    let closed = in_time(ours.closed()).await;
    assert_eq!(closed, Closed::ByPeer { code: BANNED, reason: "you are banned".to_owned() });
    assert!(!closed.is_retryable(), "the code is the application's");

    let (ours, incoming) = in_time(async { tokio::join!(dial(), server.incoming()) }).await;
    drop(incoming);
    let closed = in_time(ours.unwrap().closed()).await;
    assert_eq!((closed.code(), closed.is_retryable()), (Some(Close::REFUSED), true));

    let (ours, incoming) = in_time(async { tokio::join!(dial(), server.incoming()) }).await;
    let receipt = ours.unwrap().send(Delivery::Ordered, "let me in").await.unwrap();
    let theirs = incoming.unwrap().accept();
    assert_eq!(in_time(theirs.recv()).await.unwrap().text(), Ok("let me in"));
    in_time(receipt.acknowledged()).await.unwrap();
}

async fn the_list_of_refused_clients_ends_with_the_endpoint() {
    let server = Endpoint::builder().allow_keys(AuthorizedKeys::default());
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let refused = in_time(client.connect(server.local_addr(), Trust::AnyKey)).await.unwrap_err();
    assert!(!refused.is_retryable(), "{refused}");
    let waiting = server.clone();
    let all = tokio::spawn(async move {
        let mut refused = Vec::new();
        while let Some(refusal) = waiting.refused().await {
            refused.push(refusal.key);
        }
        (refused, waiting.astray().await)
    });
    in_time(server.close(SOON)).await;
    assert_eq!(in_time(all).await.unwrap(), (vec![Some(client.fingerprint())], None));
    // Both waiting tasks are woken.
    assert_eq!(
        in_time(async { tokio::join!(server.refused(), server.refused()) }).await,
        (None, None)
    );
}

#[test]
fn a_clone_of_an_identity_is_the_same_one() {
    let identity = Identity::generate("me").unwrap();
    let clone = identity.clone();
    assert_eq!(clone.fingerprint(), identity.fingerprint());
    let trust = Trust::pinned(clone.fingerprint());
    assert!(matches!(trust.clone(), Trust::Pinned(keys) if keys == [identity.fingerprint()]));
}

/// Every handle can be moved to another thread, shared, and kept in a struct that is itself a
/// future.
#[test]
fn handles_are_send_sync_and_unpin() {
    fn holds<T: Send + Sync + Unpin + 'static>() {}
    holds::<(Endpoint, EndpointBuilder, Connection, WeakConnection, Channel, Incoming)>();
    holds::<(Receipt, Receipts, Reconnecting, Message, Closed, Trust, Identity)>();
    holds::<(hikyaku::ByteStream, hikyaku::Messages, hikyaku::MessageSink)>();
    holds::<(hikyaku::ConnectError, hikyaku::StartError, hikyaku::SendError)>();
    holds::<(hikyaku::EndpointStats, hikyaku::ConnectionStats, hikyaku::TransportConfig)>();
}

/// Futures can be spawned.
#[test]
fn futures_are_send() {
    fn sends<T: Send>(_: T) {}
    fn of(endpoint: &Endpoint, connection: &Connection, channel: &Channel, receipt: &Receipt) {
        sends(endpoint.accept());
        sends(endpoint.close(SOON));
        sends(endpoint.connect("host:1", Trust::AnyKey));
        sends(connection.send(Delivery::Ordered, "x"));
        sends(connection.recv());
        sends(connection.close(SOON));
        sends(connection.downgrade().recv());
        sends(channel.recv());
        sends(receipt.acknowledged());
    }
    let _ = of;
}
