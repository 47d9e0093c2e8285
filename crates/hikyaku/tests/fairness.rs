//! Senders, channels and classes that share a connection: none starves another.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::time::Duration;

use hikyaku::{
    Close, Congestion, Connection, Delivery, Endpoint, SendError, TransportConfig, Trust,
};
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(30);

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

struct Pair {
    _endpoints: [Endpoint; 2],
    ours: Connection,
    theirs: Connection,
}

async fn pair(transport: TransportConfig) -> Pair {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::builder().transport(transport).client().unwrap();
    let address = format!("127.0.0.1:{}", server.local_addr().port());
    let (ours, theirs) =
        in_time(async { tokio::join!(client.connect(&*address, Trust::AnyKey), server.accept()) })
            .await;
    Pair { _endpoints: [client, server], ours: ours.unwrap(), theirs: theirs.unwrap() }
}

/// Sends on a channel until there is no room, and nothing has been taken for some time.
async fn fill(connection: &Connection, channel: u16) {
    let channel = connection.channel(channel);
    let pause = Duration::from_millis(300);
    while let Ok(sent) =
        tokio::time::timeout(pause, channel.send(Delivery::Ordered, vec![0; 10_000])).await
    {
        sent.unwrap();
    }
}

/// Each sender gets at least this fraction of an equal share.
async fn check_shares(part: f64) {
    const SENDERS: u8 = 8;
    const MESSAGES: usize = 20_000;
    let small = TransportConfig::default().send_queue(64 << 10);
    let Pair { ours, theirs, _endpoints } = pair(small).await;
    let mut senders = JoinSet::new();
    for name in 0..SENDERS {
        let ours = ours.clone();
        senders.spawn(async move {
            while ours.send(Delivery::Ordered, vec![name; 1_000]).await.is_ok() {}
        });
    }
    let mut counts = [0_u32; SENDERS as usize];
    for n in 0..2 * MESSAGES {
        let message = in_time(theirs.recv()).await.unwrap();
        // The first sender that runs finds an empty queue and fills it.
        if n >= MESSAGES {
            counts[usize::from(message.payload[0])] += 1;
        }
    }
    ours.abort(Close::NO_ERROR, "");
    in_time(senders.join_all()).await;
    let least = part * MESSAGES as f64 / f64::from(SENDERS);
    assert!(counts.iter().all(|count| f64::from(*count) >= least), "{counts:?}");
}

#[tokio::test]
async fn eight_senders_get_their_shares() {
    check_shares(0.5).await;
}

/// The scheduler decides which of two threads runs, so the shares differ more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_senders_get_their_shares_with_several_threads() {
    check_shares(0.02).await;
}

async fn an_unread_channel_is_alone_with_it() {
    let Pair { ours, theirs, _endpoints } = pair(TransportConfig::default()).await;
    // The first call makes this channel dedicated, and nothing is read from it afterwards.
    assert_eq!(theirs.channel(1).try_recv().unwrap(), None);
    fill(&ours, 1).await;
    let full = ours.channel(1).try_send(Delivery::Ordered, vec![0; 10_000]).unwrap_err();
    assert_eq!(full.reason, SendError::Full);
    for delivery in [
        Delivery::Ordered,
        Delivery::Reliable,
        Delivery::Latest,
        Delivery::Unreliable,
        Delivery::Deadline(SOON),
    ] {
        ours.channel(2).try_send(delivery, "past it").unwrap();
        assert_eq!(in_time(theirs.recv()).await.unwrap().text(), Ok("past it"), "{delivery:?}");
    }
    let largest = vec![7; 16 << 20];
    let sent = in_time(ours.channel(3).send(Delivery::Ordered, largest)).await.unwrap();
    assert_eq!(in_time(theirs.recv()).await.unwrap().payload.len(), 16 << 20);
    in_time(sent.acknowledged()).await.unwrap();
    // The waiting messages are still queued.
    assert_eq!(in_time(theirs.channel(1).recv()).await.unwrap().payload.len(), 10_000);
}

#[tokio::test]
async fn an_unread_channel_delays_no_other() {
    an_unread_channel_is_alone_with_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_channel_delays_no_other_with_several_threads() {
    an_unread_channel_is_alone_with_it().await;
}

#[tokio::test]
async fn bulk_data_of_low_priority_does_not_delay_a_high_priority() {
    let slow = TransportConfig::default().congestion(Congestion::Fixed { rate: 1_000_000 });
    let Pair { ours, theirs, _endpoints } = pair(slow).await;
    let (bulk, urgent) = (ours.channel(1), ours.channel(2));
    bulk.set_priority(0);
    urgent.set_priority(7);
    let sender = tokio::spawn(async move {
        while bulk.send(Delivery::Ordered, vec![0; 10_000]).await.is_ok() {}
    });
    let reader = tokio::spawn(async move { while theirs.recv().await.is_ok() {} });
    // The bulk data fills its share, which takes 16 s at this rate.
    in_time(async {
        while ours.queued_bytes() < 16 << 20 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..10 {
        let sent = in_time(urgent.send(Delivery::Ordered, "at once")).await.unwrap();
        let acknowledged = tokio::time::timeout(Duration::from_secs(5), sent.acknowledged());
        acknowledged.await.expect("ahead of the bulk").unwrap();
    }
    ours.abort(Close::NO_ERROR, "");
    let _ = in_time(async { tokio::join!(sender, reader) }).await;
}

/// As in a `select!` whose other branch continues: the future is kept, and not polled.
#[tokio::test]
async fn a_send_that_is_no_longer_polled_delays_nobody() {
    let small = TransportConfig::default().send_queue(4 << 20);
    let Pair { ours, theirs, _endpoints } = pair(small).await;
    fill(&ours, 0).await;
    let parked = ours.send(Delivery::Ordered, vec![0; 1_900_000]);
    let mut parked = std::pin::pin!(parked);
    let once =
        std::future::poll_fn(|cx| std::task::Poll::Ready(parked.as_mut().poll(cx).is_pending()));
    assert!(once.await, "there is no room for it");
    let reader = tokio::spawn(async move { while theirs.recv().await.is_ok() {} });
    for channel in [0, 9] {
        let channel = ours.channel(channel);
        in_time(channel.send(Delivery::Ordered, "past it")).await.unwrap();
        let sent = in_time(channel.send(Delivery::Reliable, "past it")).await.unwrap();
        in_time(sent.acknowledged()).await.unwrap();
        channel.try_send(Delivery::Ordered, "past it").unwrap();
    }
    in_time(parked).await.unwrap();
    ours.abort(Close::NO_ERROR, "");
    in_time(reader).await.unwrap();
}

/// The first message fills the share of each channel, and leaves the second one waiting.
#[tokio::test]
async fn memory_for_a_peer_that_reads_nothing_is_bounded() {
    let Pair { ours, theirs: _theirs, _endpoints } = pair(TransportConfig::default()).await;
    let mut taken = 0;
    for channel in 0..1_000 {
        let channel = ours.channel(channel);
        let pause = Duration::from_millis(200);
        match tokio::time::timeout(pause, channel.send(Delivery::Ordered, vec![0; 900_000])).await {
            Ok(sent) => drop(sent.unwrap()),
            Err(_) => break,
        }
        taken += 1;
    }
    // The peer's credit of 64 MiB, the send queue of 32, what is parked and what is staged.
    assert!(taken < 160, "{taken} messages of 900 kB");
}

#[tokio::test]
async fn unread_messages_are_bounded_by_credit() {
    const FIT: usize = 19;
    let transport = TransportConfig::default().credit(200_000).channel_credit(200_000);
    let server = Endpoint::builder().transport(transport).bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::builder().client().unwrap();
    let address = format!("127.0.0.1:{}", server.local_addr().port());
    let (ours, theirs) =
        in_time(async { tokio::join!(client.connect(&*address, Trust::AnyKey), server.accept()) })
            .await;
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let mut receipts = Vec::new();
    for _ in 0..50 {
        receipts.push(in_time(ours.send(Delivery::Ordered, vec![7; 10_000])).await.unwrap());
    }
    in_time(receipts[FIT - 1].acknowledged()).await.unwrap();
    for _ in 0..3 {
        in_time(ours.ping()).await.unwrap();
    }
    assert_eq!(receipts[FIT].try_acknowledged(), None, "nobody has read the first");
    for _ in 0..50 {
        assert_eq!(in_time(theirs.recv()).await.unwrap().payload.len(), 10_000);
    }
    in_time(receipts[49].acknowledged()).await.unwrap();
}
