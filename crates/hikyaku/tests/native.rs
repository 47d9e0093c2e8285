//! The native protocol over real sockets, as programs use it.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{collections::HashSet, time::Duration};

use hikyaku::{
    Class, Close, Closed, ConnectError, Connection, Delivery, Endpoint, NotDelivered, SendError,
    StartError, TransportConfig, Trust, TrustError, Trusted,
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
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
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
    let stats = ours.stats();
    assert!(stats.sent_packets > 0 && stats.rtt > Duration::ZERO, "{stats:?}");
}

#[tokio::test]
async fn messages_that_arrived_can_be_taken_without_waiting() {
    let (_client, ours, _server, theirs) = pair().await;
    assert_eq!(theirs.try_recv(), Ok(None));
    let first = ours.channel(7).send(Delivery::Ordered, "hello").await.unwrap();
    in_time(first.acknowledged()).await.unwrap();
    let message = in_time(theirs.recv()).await.unwrap();
    assert_eq!(theirs.try_recv(), Ok(None));
    // The answer is sent on the channel of the question.
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
    theirs.abort(Close::NO_ERROR, "");
    in_time(ours.closed()).await;
    assert!(ours.try_recv().is_err());
}

/// A slow reader sees what it would have seen from the protocol itself: the newest message, and
/// nothing obsolete.
#[tokio::test]
async fn a_slow_reader_sees_the_newest() {
    let (_client, ours, _server, theirs) = pair().await;
    let other = ours.channel(2);
    for n in 0_u32..60 {
        for receipt in [
            ours.send(Delivery::Latest, n.to_be_bytes().to_vec()).await.unwrap(),
            other.send(Delivery::Latest, vec![n as u8]).await.unwrap(),
        ] {
            let _ = in_time(receipt.acknowledged()).await;
        }
    }
    let limit = Delivery::Deadline(Duration::from_millis(40));
    let old = ours.channel(1).send(limit, "old").await.unwrap();
    let _ = in_time(old.acknowledged()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(*in_time(theirs.recv()).await.unwrap().payload, 59_u32.to_be_bytes());
    assert_eq!(*in_time(theirs.recv()).await.unwrap().payload, [59]);
    assert_eq!(theirs.try_recv(), Ok(None), "its time is up");
    ours.send(Delivery::Latest, "newer").await.unwrap();
    assert_eq!(in_time(theirs.recv()).await.unwrap().text(), Ok("newer"));
}

/// One channel is not read: the others continue, dedicated or not.
#[tokio::test]
async fn a_dedicated_channel_neither_stalls_nor_is_stalled() {
    const SLOW: u16 = 1;
    const QUICK: u16 = 2;
    let (_client, ours, _server, theirs) = pair().await;
    let (slow, quick) = (theirs.channel(SLOW), theirs.channel(QUICK));
    assert_eq!((slow.try_recv(), quick.try_recv()), (Ok(None), Ok(None)));
    for unread in [0, SLOW] {
        for n in 0_u8..100 {
            ours.channel(unread).send(Delivery::Ordered, vec![n; 40_000]).await.unwrap();
        }
        for n in 0..1_000_u32 {
            ours.channel(QUICK).send(Delivery::Reliable, n.to_be_bytes().to_vec()).await.unwrap();
            assert_eq!(in_time(quick.recv()).await.unwrap().channel.0, QUICK);
        }
    }
    // Afterwards all of it can be received.
    let mut both = (Vec::new(), Vec::new());
    while both.0.len() < 50 || both.1.len() < 50 {
        let left = |got: &Vec<_>| 50 - got.len();
        let (slow_left, left) = (left(&both.1), left(&both.0));
        in_time(theirs.recv_many(&mut both.0, left)).await.unwrap();
        in_time(slow.recv_many(&mut both.1, slow_left)).await.unwrap();
    }
    // At the end, everything that was not taken can be received.
    ours.close(SOON).await.unwrap();
    while let Ok(message) = in_time(theirs.recv()).await {
        both.0.push(message);
    }
    while let Ok(message) = in_time(slow.recv()).await {
        both.1.push(message);
    }
    assert!(quick.try_recv().is_err());
    for (channel, got) in [(0, both.0), (SLOW, both.1)] {
        let says: Vec<u8> = got.iter().map(|message| message.payload[0]).collect();
        assert_eq!(says, (0..100).collect::<Vec<u8>>());
        assert!(got.iter().all(|message| message.channel.0 == channel));
    }
}

#[tokio::test]
async fn a_task_for_each_channel_gets_its_own() {
    let (_client, ours, _server, theirs) = pair().await;
    ours.channel(3).send(Delivery::Ordered, "early").await.unwrap();
    ours.send(Delivery::Ordered, "first").await.unwrap().acknowledged().await.unwrap();
    let readers: Vec<_> = [3, 4, 5]
        .map(|number| (number, theirs.channel(number)))
        .map(|(number, channel)| {
            tokio::spawn(async move {
                let mut got = Vec::new();
                while let Ok(message) = channel.recv().await {
                    assert_eq!(message.channel.0, number);
                    got.push(message.payload);
                }
                got.len()
            })
        })
        .into();
    for n in 0..300_u16 {
        ours.channel(3 + n % 3).send(Delivery::Ordered, vec![1; 5_000]).await.unwrap();
    }
    ours.close(SOON).await.unwrap();
    let mut counts = Vec::new();
    for reader in readers {
        counts.push(in_time(reader).await.unwrap());
    }
    assert_eq!(counts, [101, 100, 100]);
    assert_eq!(in_time(theirs.recv()).await.unwrap().text(), Ok("first"));
    assert!(in_time(theirs.recv()).await.is_err());
}

#[tokio::test]
async fn a_message_too_large_for_the_peer_is_refused_at_once() {
    let small = TransportConfig::default().max_message(1_000);
    let server = Endpoint::builder().transport(small).bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let ours = in_time(client.connect(&*to(&server), Trust::AnyKey)).await.unwrap();
    let too_large = SendError::TooLarge { len: 1_001, limit: 1_000 };
    for delivery in [Delivery::Ordered, Delivery::Latest] {
        assert_eq!(ours.send(delivery, vec![0; 1_001]).await.err(), Some(too_large.clone()));
        ours.send(delivery, vec![0; 1_000]).await.unwrap().acknowledged().await.unwrap();
    }
    let theirs = in_time(server.accept()).await.unwrap();
    let limit = (4 << 20) - 64;
    let refused = theirs.try_send(Delivery::Unreliable, vec![0; limit + 1]).unwrap_err();
    assert_eq!(refused.payload.len(), limit + 1);
    assert_eq!(refused.reason, SendError::TooLarge { len: limit + 1, limit });
}

/// Nothing is lost for lack of room.
#[tokio::test]
async fn a_full_queue_returns_the_message() {
    let (_client, ours, _server, theirs) = pair().await;
    // The driver does not run in the meantime.
    let mut taken = 0;
    let refused = loop {
        match ours.try_send(Delivery::Ordered, vec![taken; 100_000]) {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.reason, SendError::Full);
    assert_eq!((refused.payload[0], refused.payload.len()), (taken, 100_000));
    assert_eq!(refused.to_string(), SendError::Full.to_string());
    ours.send(Delivery::Ordered, refused.payload).await.unwrap();
    for n in 0..=taken {
        assert_eq!(in_time(theirs.recv()).await.unwrap().payload[0], n);
    }
}

#[tokio::test]
#[expect(clippy::mutable_key_type, reason = "what it is hashed by never changes")]
async fn a_connection_equals_only_itself() {
    let (client, ours, server, theirs) = pair().await;
    let address = to(&server);
    let (other, _others) = tokio::join!(client.connect(&*address, Trust::AnyKey), server.accept());
    let other = other.unwrap();
    assert_eq!((&ours, ours.id()), (&ours.clone(), ours.clone().id()));
    assert_ne!(ours.id(), other.id());
    assert!(ours != other && ours != theirs);
    let all: HashSet<Connection> = [ours.clone(), other, ours, theirs].into();
    assert_eq!(all.len(), 3);
}

/// What programs put in their own errors, tasks and channels.
#[test]
fn errors_and_handles_can_be_sent_to_other_tasks() {
    fn is_error<E: std::error::Error + Send + Sync + 'static>() {}
    fn is_told_to_many<E: Clone + PartialEq>() {}
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    is_error::<StartError>();
    is_error::<ConnectError>();
    is_error::<TrustError>();
    is_error::<SendError>();
    is_error::<hikyaku::TrySendError>();
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
        let channel = connection.channel(3);
        can_be_spawned(async move { channel.recv().await });
        can_be_spawned(connection.channel(3).send(Delivery::Ordered, "hello"));
        can_be_spawned(async move { connection.close(SOON).await });
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
        ours.close(SOON).await
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
async fn each_message_reports_its_class_and_channel() {
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
async fn the_end_is_reported_with_its_code_after_the_last_message() {
    let (_client, ours, _server, theirs) = pair().await;
    let receipt = ours.send(Delivery::Ordered, "last").await.unwrap();
    in_time(receipt.acknowledged()).await.unwrap();
    ours.abort(Close::APPLICATION + 7, "enough");
    let closed = in_time(theirs.closed()).await;
    let expected = Closed::ByPeer { code: Close::APPLICATION + 7, reason: "enough".into() };
    assert_eq!(closed, expected);
    assert_eq!(in_time(theirs.recv()).await.unwrap().payload, &b"last"[..]);
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
async fn a_slow_reader_delays_only_its_own_sender() {
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
    assert_eq!(in_time(others.recv()).await.unwrap().payload, &b"through"[..]);
    let mut received = 0;
    while let Ok(message) = in_time(theirs.recv()).await {
        received += message.payload.len() as u64;
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn trust_is_judged_before_anything_is_sent() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
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
    let other = Endpoint::bind(&port.to_string()).await.unwrap();
    let error = in_time(client.connect(&*address, known())).await.unwrap_err();
    let ConnectError::Untrusted(TrustError::KeyChanged { offered, remembered, line, .. }) = error
    else {
        panic!("{error}");
    };
    assert_eq!((offered, remembered, line), (other.fingerprint(), server.fingerprint(), 1));
}

#[tokio::test]
async fn only_allowed_keys_can_connect() {
    let ours = Identity::generate("ours").unwrap();
    let mut allowed = AuthorizedKeys::default();
    allowed.insert(ours.public());
    let server = Endpoint::builder().allow_keys(allowed).bind("127.0.0.1:0").await.unwrap();
    let address = to(&server);
    let stranger = Endpoint::client().unwrap();
    let error = in_time(stranger.connect(&*address, Trust::AnyKey)).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotAllowed { .. }), "{error}");
    let refusal = in_time(server.refused()).await.unwrap();
    assert_eq!(refusal.key, Some(stranger.fingerprint()));
    assert_eq!(refusal.from.port(), stranger.local_addr().port());
    assert!(refusal.to_string().ends_with("its key is not accepted"), "{refusal}");
    let friend = Endpoint::builder().identity(&ours).client().unwrap();
    let connection = in_time(friend.connect(&*address, Trust::AnyKey)).await.unwrap();
    let came = in_time(server.accept()).await.unwrap();
    assert_eq!(came.peer().fingerprint(), ours.fingerprint());
    let more = tokio::time::timeout(Duration::from_millis(100), server.refused()).await;
    assert!(more.is_err(), "{more:?}");
    drop(connection);
}

#[tokio::test]
async fn nobody_connects_without_the_shared_key() {
    let key = SharedKey::generate();
    let server = Endpoint::builder().shared_key(key.clone()).bind("127.0.0.1:0").await.unwrap();
    let address = to(&server);
    let stranger = Endpoint::client().unwrap();
    let friend = Endpoint::builder().shared_key(key).client().unwrap();
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
async fn a_closed_port_is_reported_soon() {
    let gone = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let address = to(&gone);
    gone.close(SOON).await;
    let client = Endpoint::client().unwrap();
    let error = in_time(client.connect(&*address, Trust::AnyKey)).await.unwrap_err();
    let ok = matches!(error, ConnectError::Unreachable { .. } | ConnectError::NoAnswer { .. });
    assert!(ok, "{error}");
}

/// As with a listener that is just starting: the port is closed when the first packets arrive.
#[tokio::test]
async fn a_listener_that_opens_a_moment_later_is_found() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    let client = Endpoint::client().unwrap();
    let opens = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Endpoint::bind(&address).await.unwrap()
    };
    let dial = client.connect(&*address, Trust::AnyKey);
    let (dialled, _server) = in_time(async { tokio::join!(dial, opens) }).await;
    dialled.unwrap();
}

#[tokio::test]
async fn a_closed_endpoint_delivers_first_and_accepts_no_more() {
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
async fn the_key_log_is_written_only_on_request_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys");
    let server = Endpoint::builder().key_log(&file).bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    in_time(client.connect(&*to(&server), Trust::AnyKey)).await.unwrap();
    in_time(server.accept()).await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.lines().any(|line| line.starts_with("EXPORTER_SECRET ")), "{text}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = Endpoint::builder().key_log(&file).bind("127.0.0.1:0").await;
    assert!(refused.is_err(), "others could read it");
}

#[tokio::test]
async fn answers_come_from_the_address_of_the_request() {
    let server = Endpoint::bind("0.0.0.0:0").await.unwrap();
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
async fn an_answer_carries_the_acknowledgement() {
    let (_client, ours, _server, theirs) = pair().await;
    tokio::spawn(async move {
        while let Ok(question) = theirs.recv().await {
            theirs.send(Delivery::Ordered, question.payload).await.unwrap();
        }
    });
    let before = ours.stats().sent_packets;
    for _ in 0..1_000 {
        ours.send(Delivery::Ordered, "question").await.unwrap();
        in_time(ours.recv()).await.unwrap();
    }
    let sent = ours.stats().sent_packets - before;
    // Path-MTU probes are among them, and ACKs if this thread was delayed.
    assert!(sent < 1_500, "{sent} packets for 1,000 questions");
}

#[tokio::test(flavor = "current_thread")]
async fn a_transport_setting_out_of_range_is_reported_at_the_start() {
    let slow = TransportConfig::default().max_ack_delay(Duration::from_secs(60));
    let small = TransportConfig::default().pool(0);
    for (transport, field) in [(slow, "max_ack_delay"), (small, "pool")] {
        let started = Endpoint::builder().transport(transport).bind("127.0.0.1:0").await;
        let Err(StartError::Config(error)) = started else { panic!("{started:?}") };
        assert_eq!(error.field, field);
        assert!(error.to_string().contains(" to "), "{error}");
    }
}
