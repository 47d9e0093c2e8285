//! Many short connections at once: every acknowledged message is received.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{collections::BTreeMap, time::Duration};

use hikyaku::{Delivery, Endpoint, TransportConfig, Trust};
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(60);
const CLIENTS: u32 = 100;
const MESSAGES: u32 = 5;

/// Dials, sends, waits for each receipt, and closes. Returns the messages that were acknowledged.
async fn send_five(address: String, name: u32) -> Vec<(u32, u32)> {
    let client = Endpoint::client().unwrap();
    let connection = client.connect(&*address, Trust::AnyKey).await.unwrap();
    let mut receipts = Vec::new();
    for n in 0..MESSAGES {
        let payload = [name.to_be_bytes(), n.to_be_bytes()].concat();
        receipts.push((n, connection.send(Delivery::Ordered, payload).await.unwrap()));
    }
    let mut acknowledged = Vec::new();
    for (n, receipt) in receipts {
        if receipt.acknowledged().await.is_ok() {
            acknowledged.push((name, n));
        }
    }
    connection.close(Duration::from_secs(5)).await.unwrap();
    acknowledged
}

async fn acknowledged_messages_are_received() {
    let server = Endpoint::bind("127.0.0.1:0").await.unwrap();
    let address = format!("127.0.0.1:{}", server.local_addr().port());
    let mut senders = JoinSet::new();
    for name in 0..CLIENTS {
        senders.spawn(send_five(address.clone(), name));
    }
    let accepting = server.clone();
    let mut received = tokio::spawn(async move {
        let mut readers = JoinSet::new();
        while let Some(connection) = accepting.accept().await {
            readers.spawn(async move {
                let mut messages = Vec::new();
                while let Ok(message) = connection.recv().await {
                    let (name, n) = message.payload.split_first_chunk::<4>().unwrap();
                    let n = u32::from_be_bytes(n.try_into().unwrap());
                    messages.push((u32::from_be_bytes(*name), n));
                }
                messages
            });
        }
        readers.join_all().await.concat()
    });
    let acknowledged = tokio::time::timeout(SOON, senders.join_all()).await.unwrap().concat();
    server.close(Duration::from_secs(5)).await;
    let received = tokio::time::timeout(SOON, &mut received).await.unwrap().unwrap();
    let mut counts = BTreeMap::new();
    for message in &received {
        *counts.entry(*message).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "delivered twice");
    let missing: Vec<_> = acknowledged.iter().filter(|sent| !counts.contains_key(sent)).collect();
    assert!(missing.is_empty(), "{} of {} missing", missing.len(), acknowledged.len());
    assert_eq!(acknowledged.len(), (CLIENTS * MESSAGES) as usize);
}

#[tokio::test]
async fn acknowledged_messages_of_a_hundred_clients_are_received() {
    acknowledged_messages_are_received().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_messages_are_received_with_several_threads() {
    acknowledged_messages_are_received().await;
}

/// Messages of a peer that has left count until they are read: short connections cannot make a
/// server that does not read hold more and more.
#[tokio::test]
async fn unread_messages_of_closed_connections_are_bounded() {
    let transport = TransportConfig::default().max_message(1 << 18);
    let builder = Endpoint::builder().transport(transport).hold_together(1 << 20);
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let address = format!("127.0.0.1:{}", server.local_addr().port());
    let mut unread = Vec::new();
    let full = loop {
        assert!(unread.len() < 20, "it holds {} times 200 kB", unread.len());
        let client = Endpoint::client().unwrap();
        let dial = client.connect(&*address, Trust::AnyKey);
        let dialled = tokio::time::timeout(Duration::from_millis(1_500), dial).await;
        let Ok(Ok(connection)) = dialled else { break client };
        connection.send(Delivery::Reliable, vec![0; 200_000]).await.unwrap();
        connection.close(SOON).await.unwrap();
        unread.push(server.accept().await.unwrap());
    };
    assert!(unread.len() >= 5, "{}", unread.len());
    for connection in unread.drain(..3) {
        assert_eq!(connection.recv().await.unwrap().payload.len(), 200_000);
    }
    // One is dropped unread.
    drop(unread.pop());
    let again = tokio::time::timeout(SOON, full.connect(&*address, Trust::AnyKey)).await;
    again.expect("in time").unwrap();
}
