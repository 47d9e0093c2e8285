//! Connections as streams and sinks of messages, channels as streams of bytes.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

mod common;

use std::{
    future::poll_fn,
    io::ErrorKind,
    pin::{Pin, pin},
};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use hikyaku::{Closed, Delivery, Endpoint, SendError, TransportConfig, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::common::{SOON, in_time, pair};

on_both_runtimes!(
    a_stream_yields_every_message_and_ends_with_the_connection,
    a_sink_waits_for_room,
    bytes_arrive_in_order_both_ways_and_end,
    a_truncated_stream_is_an_error,
    messages_are_no_longer_than_the_peer_accepts,
    anything_else_on_the_channel_is_an_error,
);

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    in_time(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx))).await
}

async fn a_stream_yields_every_message_and_ends_with_the_connection() {
    let (_client, ours, _server, theirs) = pair().await;
    let mut messages = theirs.messages();
    ours.send(Delivery::Ordered, "one").await.unwrap();
    assert_eq!(next(&mut messages).await.unwrap().unwrap().text(), Ok("one"));
    let sending = tokio::spawn(async move {
        ours.send(Delivery::Ordered, "two").await.unwrap();
        ours.close(SOON).await
    });
    assert_eq!(next(&mut messages).await.unwrap().unwrap().text(), Ok("two"));
    assert!(next(&mut messages).await.is_none());
    assert!(next(&mut messages).await.is_none());
    in_time(sending).await.unwrap().unwrap();

    let (_client, ours, _server, theirs) = pair().await;
    let mut messages = theirs.messages();
    ours.abort(0x1234, "enough");
    let error = next(&mut messages).await.unwrap().unwrap_err();
    assert_eq!(error, Closed::ByPeer { code: 0x1234, reason: "enough".to_owned() });
    assert!(next(&mut messages).await.is_none());
}

async fn a_sink_waits_for_room() {
    let (_client, ours, _server, theirs) = pair().await;
    let mut sink = pin!(ours.channel(3).sink(Delivery::Ordered));
    let big = Bytes::from(vec![7; 1 << 20]);
    let mut queued = 0;
    // Until the queue is full, because nobody reads.
    loop {
        let ready = poll_fn(|cx| Sink::<Bytes>::poll_ready(sink.as_mut(), cx));
        if tokio::time::timeout(SOON / 40, ready).await.is_err() {
            break;
        }
        sink.as_mut().start_send(big.clone()).unwrap();
        queued += 1;
        assert!(queued < 100, "it is never full");
    }
    let reading = async {
        for _ in 0..queued {
            assert_eq!(theirs.recv().await.unwrap().payload, big);
        }
    };
    let closing = poll_fn(|cx| Sink::<Bytes>::poll_close(sink.as_mut(), cx));
    in_time(async { tokio::join!(reading, closing) }).await.1.unwrap();
    ours.abort(0, "");
    let refused = sink.as_mut().start_send("late");
    assert_eq!(refused, Err(SendError::Closed(Closed::Here)));
}

/// Returns bytes that identify their position.
fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n ^ (n >> 8)) as u8).collect()
}

async fn bytes_arrive_in_order_both_ways_and_end() {
    let (_client, ours, _server, theirs) = pair().await;
    let all = numbered(3_000_000);
    let echo = tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(theirs.channel(5).into_byte_stream());
        let copied = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
        // The connection outlives the answer: the peer has acknowledged all of it.
        copied
    });
    let (mut reader, mut writer) = tokio::io::split(ours.channel(5).into_byte_stream());
    let sent = all.clone();
    let writing = tokio::spawn(async move {
        for piece in sent.chunks(100_001) {
            writer.write_all(piece).await.unwrap();
        }
        writer.flush().await.unwrap();
        writer.shutdown().await.unwrap();
        writer.shutdown().await.unwrap();
        writer.write_all(b"more").await.unwrap_err().kind()
    });
    let mut back = Vec::new();
    in_time(reader.read_to_end(&mut back)).await.unwrap();
    assert!(back == all, "{} bytes came back", back.len());
    assert_eq!(in_time(writing).await.unwrap(), ErrorKind::BrokenPipe);
    assert_eq!(in_time(echo).await.unwrap(), 3_000_000);
}

async fn a_truncated_stream_is_an_error() {
    for (code, kind) in [(0, ErrorKind::UnexpectedEof), (9, ErrorKind::ConnectionReset)] {
        let (_client, ours, _server, theirs) = pair().await;
        let mut reader = theirs.channel(1).into_byte_stream();
        let mut writer = ours.channel(1).into_byte_stream();
        writer.write_all(b"half of").await.unwrap();
        assert_eq!(in_time(reader.read_u8()).await.unwrap(), b'h');
        drop(writer);
        ours.abort(code, "");
        let error = in_time(reader.read_to_end(&mut Vec::new())).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

async fn messages_are_no_longer_than_the_peer_accepts() {
    let small = TransportConfig::default().max_message(1_000);
    let server = Endpoint::builder().transport(small).bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client().unwrap();
    let dial = client.connect(server.local_addr(), Trust::AnyKey);
    let (ours, theirs) = in_time(async { tokio::join!(dial, server.accept()) }).await;
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let all = numbered(50_000);
    let mut writer = ours.channel(1).into_byte_stream();
    let writing = async {
        writer.write_all(&all).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut reader = theirs.channel(1).into_byte_stream();
    let mut read = Vec::new();
    let (_, count) = in_time(async { tokio::join!(writing, reader.read_to_end(&mut read)) }).await;
    assert_eq!((count.unwrap(), read == all), (50_000, true));
}

async fn anything_else_on_the_channel_is_an_error() {
    let (_client, ours, _server, theirs) = pair().await;
    ours.channel(1).send(Delivery::Reliable, "x").await.unwrap();
    let mut reader = theirs.channel(1).into_byte_stream();
    assert_eq!(in_time(reader.read_u8()).await.unwrap_err().kind(), ErrorKind::InvalidData);
}
