//! Small messages, one way: as many as take a while, until the client knows how many arrived.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hikyaku::Delivery;
use quinn::Connection;
use std::time::Duration;

use crate::payload::{AnyOrder, InOrder, Payloads};

/// The length of a message, in bytes.
const LEN: usize = 64;

/// Bytes that the application packs into one write.
const WRITE: usize = 64 << 10;

/// The size of the length prefix of a message.
const PREFIX: usize = 4;

/// The silence after which the remaining datagrams are considered lost.
const SILENCE: Duration = Duration::from_millis(500);

/// Opens, writes and finishes a stream for each message.
pub(super) async fn stream_each_client(connection: &Connection, count: u64) -> Result<u64> {
    let payloads = Payloads::new(LEN);
    for number in 0..count {
        let mut stream = connection.open_uni().await?;
        stream.write_chunk(Bytes::from(payloads.message(number))).await?;
        stream.finish()?;
    }
    let came = answer(connection).await?;
    ensure!(came == count, "{came} of {count} messages came");
    Ok(came)
}

pub(super) async fn stream_each_server(connection: &Connection, count: u64) -> Result<()> {
    let mut check = AnyOrder::new(LEN, count);
    for _ in 0..count {
        let mut stream = connection.accept_uni().await?;
        check.message(&stream.read_to_end(LEN).await?)?;
    }
    say(connection, check.count).await
}

/// Waits if there is no room, so that nothing is dropped before it is sent.
pub(super) async fn datagram_client(connection: &Connection, count: u64) -> Result<u64> {
    let payloads = Payloads::new(LEN);
    for number in 0..count {
        connection.send_datagram_wait(Bytes::from(payloads.message(number))).await?;
    }
    let came = answer(connection).await?;
    ensure!(came * 2 > count, "only {came} of {count} datagrams came");
    Ok(came)
}

pub(super) async fn datagram_server(connection: &Connection, count: u64) -> Result<()> {
    let mut check = AnyOrder::new(LEN, count);
    check.message(&connection.read_datagram().await?)?;
    while check.count < count {
        match tokio::time::timeout(SILENCE, connection.read_datagram()).await {
            Ok(datagram) => check.message(&datagram?)?,
            Err(_) => break,
        }
    }
    say(connection, check.count).await
}

/// Packs messages as an application must for speed: lengths, a buffer, one write for many.
pub(super) async fn packed_client(connection: &Connection, count: u64) -> Result<u64> {
    let payloads = Payloads::new(LEN);
    let mut stream = connection.open_uni().await?;
    let mut packed = Vec::with_capacity(WRITE);
    for number in 0..count {
        if packed.len() + PREFIX + LEN > WRITE {
            let full = std::mem::replace(&mut packed, Vec::with_capacity(WRITE));
            stream.write_chunk(Bytes::from(full)).await?;
        }
        packed.extend_from_slice(&(LEN as u32).to_le_bytes());
        payloads.write(number, &mut packed);
    }
    stream.write_chunk(Bytes::from(packed)).await?;
    stream.finish()?;
    let came = answer(connection).await?;
    ensure!(came == count, "{came} of {count} messages came");
    Ok(came)
}

pub(super) async fn packed_server(connection: &Connection) -> Result<()> {
    let mut check = InOrder::new(LEN);
    let mut stream = connection.accept_uni().await?;
    let mut chunks = vec![Bytes::new(); 64];
    // The received part of a message, if a chunk ends within it.
    let mut part = Vec::with_capacity(PREFIX + LEN);
    while let Some(came) = stream.read_chunks(&mut chunks).await? {
        for chunk in &mut chunks[..came] {
            unpack(&std::mem::take(chunk), &mut part, &mut check)?;
        }
    }
    ensure!(part.is_empty(), "the stream ends within a message");
    say(connection, check.count).await
}

fn unpack(mut chunk: &[u8], part: &mut Vec<u8>, check: &mut InOrder) -> Result<()> {
    if !part.is_empty() {
        let missing = (PREFIX + LEN - part.len()).min(chunk.len());
        part.extend_from_slice(&chunk[..missing]);
        chunk = &chunk[missing..];
        let Some(message) = whole(part)? else { return Ok(()) };
        check.message(message)?;
        part.clear();
    }
    while let Some(message) = whole(chunk)? {
        check.message(message)?;
        chunk = &chunk[PREFIX + message.len()..];
    }
    part.extend_from_slice(chunk);
    Ok(())
}

/// Returns the first message, if all of it has arrived.
fn whole(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let Some((prefix, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let len = u32::from_le_bytes(*prefix) as usize;
    ensure!(len == LEN, "a length of {len}");
    Ok(rest.get(..len))
}

pub(super) async fn hikyaku_client(connection: &hikyaku::Connection, count: u64) -> Result<u64> {
    let payloads = Payloads::new(LEN);
    for number in 0..count {
        connection.send(Delivery::Ordered, payloads.message(number)).await?;
    }
    super::counted(connection, count).await
}

/// Creates the messages while they are queued, as the others do.
pub(super) async fn hikyaku_many_client(
    connection: &hikyaku::Connection,
    count: u64,
) -> Result<u64> {
    let payloads = Payloads::new(LEN);
    let messages = (0..count).map(|number| payloads.message(number));
    connection.send_many(Delivery::Ordered, messages).await?;
    super::counted(connection, count).await
}

pub(super) async fn hikyaku_server(connection: &hikyaku::Connection, count: u64) -> Result<()> {
    super::receive(connection, InOrder::new(LEN), count).await
}

/// The same packing as for quinn, into messages of the same length as its writes.
pub(super) async fn hikyaku_packed_client(
    connection: &hikyaku::Connection,
    count: u64,
) -> Result<u64> {
    let payloads = Payloads::new(LEN);
    let mut packed = Vec::with_capacity(WRITE);
    for number in 0..count {
        if packed.len() + PREFIX + LEN > WRITE {
            let full = std::mem::replace(&mut packed, Vec::with_capacity(WRITE));
            connection.send(Delivery::Ordered, full).await?;
        }
        packed.extend_from_slice(&(LEN as u32).to_le_bytes());
        payloads.write(number, &mut packed);
    }
    connection.send(Delivery::Ordered, packed).await?;
    super::counted(connection, count).await
}

pub(super) async fn hikyaku_packed_server(
    connection: &hikyaku::Connection,
    count: u64,
) -> Result<()> {
    let mut check = InOrder::new(LEN);
    while check.count < count {
        let message = connection.recv().await?;
        let mut rest = &message.payload[..];
        while let Some(message) = whole(rest)? {
            check.message(message)?;
            rest = &rest[PREFIX + message.len()..];
        }
        ensure!(rest.is_empty(), "a message ends within a message");
    }
    super::say_count(connection, check.count).await
}

async fn say(connection: &Connection, count: u64) -> Result<()> {
    let mut stream = connection.open_uni().await?;
    stream.write_all(&count.to_le_bytes()).await?;
    Ok(stream.finish()?)
}

async fn answer(connection: &Connection) -> Result<u64> {
    let answer = connection.accept_uni().await?.read_to_end(8).await?;
    let answer: [u8; 8] = answer.try_into().ok().context("an answer of 8 bytes")?;
    Ok(u64::from_le_bytes(answer))
}
