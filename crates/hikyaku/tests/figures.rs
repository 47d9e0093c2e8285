//! Statistics of connections and endpoints, without waiting.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

mod common;

use std::time::Duration;

use hikyaku::{Close, Closed, Delivery, Endpoint, Trust};

use self::common::{SOON, in_time, pair};

on_both_runtimes!(
    statistics_include_every_reported_outcome,
    queued_bytes_are_counted_by_channel_until_acknowledged,
    statistics_are_available_after_the_end,
);

async fn statistics_include_every_reported_outcome() {
    let (client, ours, server, theirs) = pair().await;
    assert_eq!((client.stats().connections, server.stats().connections), (1, 1));
    assert!(ours.stats().rtt > Duration::ZERO && ours.stats().mtu >= 1_200, "{:?}", ours.stats());
    for n in 1..=50 {
        let before = ours.stats().sent_bytes;
        let receipt = ours.send(Delivery::Ordered, vec![0; 3_000]).await.unwrap();
        in_time(receipt.acknowledged()).await.unwrap();
        // When the outcome is known, the packets that led to it are counted.
        let (sent, received) = (ours.stats(), server.stats().received);
        assert!(sent.sent_bytes >= before + 3_000, "{n}: {sent:?} after {before}");
        assert!(sent.received_packets > 0 && sent.queued_bytes == 0, "{n}: {sent:?}");
        assert!(received > n, "{n}: {received}");
        assert_eq!(in_time(theirs.recv()).await.unwrap().payload.len(), 3_000);
    }
    let strange = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    strange.send_to(b"\xff", server.local_addr()).await.unwrap();
    let discarded = async {
        while server.stats().discards.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    in_time(discarded).await;
}

async fn queued_bytes_are_counted_by_channel_until_acknowledged() {
    const COST: usize = 100_000 + 64;
    let (_client, ours, _server, theirs) = pair().await;
    let (stuck, free) = (ours.channel(1), ours.channel(2));
    // The peer reads only channel 2; on channel 1 it receives as much as it gave credit for.
    let reader = theirs.channel(1);
    assert_eq!(reader.try_recv(), Ok(None));
    let mut receipts = Vec::new();
    let mut unsure = 0;
    for n in 0..250 {
        let before = stuck.queued_bytes();
        receipts.push(in_time(stuck.send(Delivery::Ordered, vec![1; 100_000])).await.unwrap());
        let after = stuck.queued_bytes();
        // A message counts at once, and all the way from the mailbox to the protocol, unless others
        // are acknowledged in the meantime.
        unsure += usize::from(after < before + COST);
        let known = receipts.iter().filter(|receipt| receipt.try_outcome().is_ok()).count();
        assert!(after <= (n + 1) * COST, "{after} of {}", n + 1);
        assert!(after + (known + 64) * COST >= (n + 1) * COST, "{after}, {known} of {}", n + 1);
    }
    assert!(unsure < 250, "nothing was ever counted");
    let receipt = free.send(Delivery::Ordered, "x").await.unwrap();
    in_time(receipt.acknowledged()).await.unwrap();
    assert_eq!(free.queued_bytes(), 0);
    // What exceeds the peer's credit of 16 MiB stays queued.
    let settled = async {
        let sum = || [stuck.queued_bytes(), ours.queued_bytes(), ours.stats().queued_bytes];
        while sum() != [sum()[0]; 3] {
            tokio::task::yield_now().await;
        }
    };
    in_time(settled).await;
    assert!(stuck.queued_bytes() > 5 << 20, "{}", stuck.queued_bytes());
    let reading = async {
        for _ in 0..250 {
            reader.recv().await.unwrap();
        }
    };
    in_time(reading).await;
    for receipt in receipts {
        in_time(receipt.acknowledged()).await.unwrap();
    }
    assert_eq!((stuck.queued_bytes(), ours.queued_bytes()), (0, 0));
}

async fn statistics_are_available_after_the_end() {
    let (client, ours, server, theirs) = pair().await;
    ours.send(Delivery::Ordered, "hello").await.unwrap();
    assert_eq!((ours.close_reason(), in_time(ours.synchronize()).await), (None, Ok(())));
    in_time(ours.close(SOON)).await.unwrap();
    assert_eq!((ours.close_reason(), ours.queued_bytes()), (Some(Closed::Here), 0));
    assert!(ours.stats().sent_packets > 0);
    assert_eq!(in_time(ours.synchronize()).await, Err(Closed::Here));
    let closed = in_time(theirs.closed()).await;
    assert_eq!((closed.code(), theirs.close_reason()), (Some(Close::NO_ERROR), Some(closed)));

    in_time(client.close(SOON)).await;
    assert!(client.stats().sent > 0);
    let late = in_time(client.connect(server.local_addr(), Trust::AnyKey)).await;
    assert!(late.is_err());
    let unused = Endpoint::client().unwrap();
    assert_eq!(unused.stats().received, 0);
}
