//! The native protocol over real sockets, as a program uses it.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::time::Duration;

use hikyaku::{
    Class, Close, Closed, ConnectError, Connection, Delivery, Endpoint, NotDelivered, SendError,
    Trust, TrustError, Trusted,
    identity::{Identity, SharedKey},
    known_hosts::KnownHosts,
    signers::AuthorizedKeys,
};

const SOON: Duration = Duration::from_secs(20);

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

fn to(server: &Endpoint) -> String {
    format!("127.0.0.1:{}", server.local_addr().port())
}

async fn pair() -> (Endpoint, Connection, Endpoint, Connection) {
    let server = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let client = Endpoint::client().unwrap();
    let address = to(&server);
    let (ours, theirs) =
        in_time(async { tokio::join!(client.connect(&*address, Trust::AnyKey), server.accept()) })
            .await;
    (client, ours.unwrap(), server, theirs.unwrap())
}

#[tokio::test]
async fn a_message_arrives_and_is_acknowledged() {
    let (_client, ours, server, theirs) = pair().await;
    assert_eq!(ours.peer().fingerprint(), server.fingerprint());
    let receipt = ours.send(Delivery::Ordered, "hello").await.unwrap();
    let message = in_time(theirs.recv()).await.unwrap();
    assert_eq!((&*message.payload, message.class), (&b"hello"[..], Class::Ordered));
    in_time(receipt.acknowledged()).await.unwrap();
    let stats = in_time(ours.stats()).await.unwrap();
    assert!(stats.sent_packets > 0 && stats.rtt > Duration::ZERO, "{stats:?}");
}

#[tokio::test]
async fn what_is_there_can_be_taken_without_waiting() {
    let (_client, ours, _server, theirs) = pair().await;
    assert_eq!(theirs.try_recv(), Ok(None));
    let first = ours.channel(7).send(Delivery::Ordered, "hello").await.unwrap();
    in_time(first.acknowledged()).await.unwrap();
    let message = in_time(theirs.recv()).await.unwrap();
    assert_eq!(theirs.try_recv(), Ok(None));
    // An answer on the channel that the question came on.
    let answer = theirs.channel(message.channel).send(Delivery::Reliable, "there").await.unwrap();
    in_time(answer.acknowledged()).await.unwrap();
    let answer = in_time(async {
        loop {
            match ours.try_recv().unwrap() {
                Some(answer) => return answer,
                None => tokio::task::yield_now().await,
            }
        }
    });
    let answer = answer.await;
    assert_eq!((answer.channel.0, answer.text()), (7, Ok("there")));
    theirs.close(Close::NO_ERROR, "");
    in_time(ours.closed()).await;
    assert!(ours.try_recv().is_err());
}

/// What programs put into their own errors, tasks and channels.
#[test]
fn errors_and_handles_can_be_sent_to_other_tasks() {
    fn is_error<E: std::error::Error + Send + Sync + 'static>() {}
    fn is_told_to_many<E: Clone + PartialEq>() {}
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    is_error::<hikyaku::StartError>();
    is_error::<ConnectError>();
    is_error::<TrustError>();
    is_error::<SendError>();
    is_error::<Closed>();
    is_error::<NotDelivered>();
    is_error::<hikyaku::Unfinished>();
    is_told_to_many::<SendError>();
    is_told_to_many::<Closed>();
    is_told_to_many::<NotDelivered>();
    is_told_to_many::<hikyaku::Unfinished>();
    is_shared::<Endpoint>();
    is_shared::<Connection>();
    is_shared::<hikyaku::Channel>();
    fn can_be_spawned<F: Future + Send + 'static>(_: F) {}
    fn all(connection: Connection) {
        let ours = connection.clone();
        can_be_spawned(async move { ours.recv().await });
        can_be_spawned(connection.send(Delivery::Ordered, "hello"));
        can_be_spawned(connection.channel(3).send(Delivery::Ordered, "hello"));
        can_be_spawned(async move { connection.finish(SOON).await });
    }
    let _ = all;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_of_all_sizes_arrive_once_and_in_order() {
    let (_client, ours, _server, theirs) = pair().await;
    const COUNT: usize = 20_000;
    let sender = tokio::spawn(async move {
        for index in 0..COUNT {
            let mut payload = index.to_be_bytes().to_vec();
            payload.resize(8 + index * 7 % 3_000, index as u8);
            let _ = ours.send(Delivery::Ordered, payload).await.unwrap();
        }
        ours.finish(SOON).await
    });
    let mut next = 0_usize;
    let mut batch = Vec::new();
    let closed = loop {
        match in_time(theirs.recv_many(&mut batch, 100)).await {
            Ok(_) => {}
            Err(closed) => break closed,
        }
        for message in batch.drain(..) {
            assert_eq!(message.payload[..8], next.to_be_bytes());
            assert_eq!(message.payload.len(), 8 + next * 7 % 3_000);
            next += 1;
        }
    };
    assert_eq!(next, COUNT);
    assert!(closed.is_graceful(), "{closed}");
    sender.await.unwrap().unwrap();
}

#[tokio::test]
async fn each_class_and_channel_is_told() {
    let (_client, ours, _server, theirs) = pair().await;
    let all = [
        (Delivery::Ordered, Class::Ordered),
        (Delivery::Reliable, Class::Reliable),
        (Delivery::Latest, Class::Latest),
        (Delivery::Unreliable, Class::Unreliable),
        (Delivery::Deadline(SOON), Class::Deadline),
    ];
    for (number, (delivery, class)) in all.into_iter().enumerate() {
        let channel = ours.channel(number as u16);
        let receipt = channel.send(delivery, class.to_string_for_test()).await.unwrap();
        let message = in_time(theirs.recv()).await.unwrap();
        assert_eq!((message.class, message.channel.0), (class, number as u16));
        let outcome = in_time(receipt.acknowledged()).await;
        let expected = match class {
            Class::Unreliable => Err(NotDelivered::Unacknowledged),
            _ => Ok(()),
        };
        assert_eq!(outcome, expected, "{class:?}");
    }
}

trait Name {
    fn to_string_for_test(&self) -> String;
}

impl Name for Class {
    fn to_string_for_test(&self) -> String {
        format!("{self:?}")
    }
}

#[tokio::test]
async fn the_end_is_told_with_its_code_after_the_last_message() {
    let (_client, ours, _server, theirs) = pair().await;
    let receipt = ours.send(Delivery::Ordered, "last").await.unwrap();
    in_time(receipt.acknowledged()).await.unwrap();
    ours.close(Close::APPLICATION + 7, "enough");
    let closed = in_time(theirs.closed()).await;
    let expected = Closed::ByPeer { code: Close::APPLICATION + 7, reason: "enough".into() };
    assert_eq!(closed, expected);
    assert_eq!(in_time(theirs.recv()).await.unwrap().payload, b"last");
    assert_eq!(in_time(theirs.recv()).await, Err(expected.clone()));
    let refused = theirs.send(Delivery::Ordered, "too late").await.unwrap_err();
    assert_eq!(refused, SendError::Closed(expected));
}

#[tokio::test]
async fn dropping_a_connection_delivers_what_was_sent() {
    let (_client, ours, _server, theirs) = pair().await;
    let receipt = ours.send(Delivery::Reliable, vec![7; 1 << 20]).await.unwrap();
    drop(ours);
    assert_eq!(in_time(theirs.recv()).await.unwrap().payload.len(), 1 << 20);
    in_time(receipt.acknowledged()).await.unwrap();
    assert!(in_time(theirs.closed()).await.is_graceful());
}

#[tokio::test]
async fn a_slow_reader_holds_up_its_sender_and_nobody_else() {
    let (client, ours, server, theirs) = pair().await;
    let address = to(&server);
    let (other, others) = tokio::join!(client.connect(&*address, Trust::AnyKey), server.accept());
    let (other, others) = (other.unwrap(), others.unwrap());
    let flood = tokio::spawn(async move {
        let mut sent = 0_u64;
        loop {
            let one = ours.send(Delivery::Ordered, vec![0; 1 << 16]);
            match tokio::time::timeout(Duration::from_secs(1), one).await {
                Ok(queued) => queued.map(drop).unwrap(),
                Err(_) => return sent,
            }
            sent += 1 << 16;
        }
    });
    let sent = in_time(flood).await.unwrap();
    assert!(sent < 160 << 20, "{sent} bytes went into the queues");
    let _ = other.send(Delivery::Ordered, "through").await.unwrap();
    assert_eq!(in_time(others.recv()).await.unwrap().payload, b"through");
    let mut received = 0;
    while let Ok(message) = in_time(theirs.recv()).await {
        received += message.payload.len() as u64;
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn trust_is_judged_before_anything_is_sent() {
    let server = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let client = Endpoint::client().unwrap();
    let address = to(&server);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    let known = || Trust::KnownHosts(KnownHosts::open(&file).unwrap());

    let first = in_time(client.connect(&*address, known())).await.unwrap();
    assert_eq!(first.trusted(), Trusted::FirstContact);
    let second = in_time(client.connect(&*address, known())).await.unwrap();
    assert_eq!(second.trusted(), Trusted::Known);
    let pinned = in_time(client.connect(&*address, Trust::pinned(server.fingerprint()))).await;
    assert_eq!(pinned.unwrap().trusted(), Trusted::Pinned);
    let wrong = in_time(client.connect(&*address, Trust::pinned(client.fingerprint()))).await;
    let error = wrong.unwrap_err();
    let ConnectError::Untrusted(TrustError::NotPinned { offered }) = error else {
        panic!("{error}");
    };
    assert_eq!(offered, server.fingerprint());

    let port = server.local_addr();
    in_time(server.close(SOON)).await;
    let other = Endpoint::bind(&port.to_string()).start().await.unwrap();
    let error = in_time(client.connect(&*address, known())).await.unwrap_err();
    let ConnectError::Untrusted(TrustError::KeyChanged { offered, remembered, line, .. }) = error
    else {
        panic!("{error}");
    };
    assert_eq!((offered, remembered, line), (other.fingerprint(), server.fingerprint(), 1));
}

#[tokio::test]
async fn only_keys_that_are_allowed_come_in() {
    let ours = Identity::generate("ours").unwrap();
    let mut allowed = AuthorizedKeys::default();
    allowed.insert(ours.public());
    let server = Endpoint::bind("127.0.0.1:0").allow_keys(allowed).start().await.unwrap();
    let address = to(&server);
    let stranger = Endpoint::client().unwrap();
    let error = in_time(stranger.connect(&*address, Trust::AnyKey)).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotAllowed { .. }), "{error}");
    let friend = Endpoint::builder().identity(&ours).start().await.unwrap();
    let connection = in_time(friend.connect(&*address, Trust::AnyKey)).await.unwrap();
    let came = in_time(server.accept()).await.unwrap();
    assert_eq!(came.peer().fingerprint(), ours.fingerprint());
    drop(connection);
}

#[tokio::test]
async fn without_the_shared_key_nobody_comes_in() {
    let key = SharedKey::generate();
    let server = Endpoint::bind("127.0.0.1:0").shared_key(key.clone()).start().await.unwrap();
    let address = to(&server);
    let stranger = Endpoint::client().unwrap();
    let friend = Endpoint::builder().shared_key(key).start().await.unwrap();
    let (refused, let_in) = in_time(async {
        tokio::join!(
            stranger.connect(&*address, Trust::AnyKey),
            friend.connect(&*address, Trust::AnyKey)
        )
    })
    .await;
    let error = refused.unwrap_err();
    assert!(matches!(error, ConnectError::SharedKey { .. }), "{error}");
    let_in.unwrap();
}

#[tokio::test]
async fn nobody_there_is_told_soon() {
    let gone = Endpoint::bind("127.0.0.1:0").start().await.unwrap();
    let address = to(&gone);
    gone.close(SOON).await;
    let client = Endpoint::client().unwrap();
    let error = in_time(client.connect(&*address, Trust::AnyKey)).await.unwrap_err();
    let ok = matches!(error, ConnectError::Unreachable { .. } | ConnectError::NoAnswer { .. });
    assert!(ok, "{error}");
}

#[tokio::test]
async fn a_closed_endpoint_delivers_first_and_accepts_nobody_more() {
    let (client, ours, server, theirs) = pair().await;
    let _ = theirs.send(Delivery::Ordered, vec![1; 500_000]).await.unwrap();
    let closing = tokio::spawn(async move { server.close(SOON).await });
    assert_eq!(in_time(ours.recv()).await.unwrap().payload.len(), 500_000);
    assert!(in_time(ours.closed()).await.is_graceful());
    in_time(closing).await.unwrap();
    drop(client);
}

#[tokio::test]
async fn a_ping_is_timed() {
    let (_client, ours, _server, theirs) = pair().await;
    for connection in [&ours, &theirs] {
        let took = in_time(connection.ping()).await.unwrap();
        assert!(took.is_some_and(|took| took < SOON), "{took:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_key_log_is_written_when_asked_for_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys");
    let server = Endpoint::bind("127.0.0.1:0").key_log(&file).start().await.unwrap();
    let client = Endpoint::client().unwrap();
    in_time(client.connect(&*to(&server), Trust::AnyKey)).await.unwrap();
    in_time(server.accept()).await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.lines().any(|line| line.starts_with("EXPORTER_SECRET ")), "{text}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = Endpoint::bind("127.0.0.1:0").key_log(&file).start().await;
    assert!(refused.is_err(), "others could read it");
}

#[tokio::test]
async fn answers_come_from_the_address_that_was_asked() {
    let server = Endpoint::bind("0.0.0.0:0").start().await.unwrap();
    let client = Endpoint::client().unwrap();
    let address = format!("127.0.0.2:{}", server.local_addr().port());
    let (ours, theirs) =
        in_time(async { tokio::join!(client.connect(&*address, Trust::AnyKey), server.accept()) })
            .await;
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let _ = theirs.send(Delivery::Ordered, "hello").await.unwrap();
    in_time(ours.recv()).await.unwrap();
    assert_eq!(ours.remote_addr().to_string(), address);
}

#[tokio::test]
async fn an_answer_takes_the_acknowledgement_along() {
    let (_client, ours, _server, theirs) = pair().await;
    tokio::spawn(async move {
        while let Ok(question) = theirs.recv().await {
            theirs.send(Delivery::Ordered, question.payload).await.unwrap();
        }
    });
    let before = in_time(ours.stats()).await.unwrap().sent_packets;
    for _ in 0..1_000 {
        ours.send(Delivery::Ordered, "question").await.unwrap();
        in_time(ours.recv()).await.unwrap();
    }
    let sent = in_time(ours.stats()).await.unwrap().sent_packets - before;
    // Path-MTU probes are among them, and ACKs where something held this thread up.
    assert!(sent < 1_500, "{sent} packets for 1,000 questions");
}
