//! One small message in each direction at a time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hikyaku::Delivery;
use quinn::{Connection, RecvStream, SendStream};

use super::Outcome;
use crate::{cost::Cost, payload::Payloads};

/// The length of a message, in bytes.
const LEN: usize = 64;

/// Computes the median and the slowest hundredth of the round trips.
pub(super) fn outcome(mut trips: Vec<Duration>, cost: Cost) -> Result<Outcome> {
    trips.sort_unstable();
    let at = |part: usize| trips.get(trips.len() * part / 100).copied().context("no round trip");
    Ok(Outcome { done: trips.len() as u64, cost, p50: at(50)?, p99: at(99)?, memory: 0.0 })
}

/// One stream for all of them.
pub(super) async fn stream_client(connection: &Connection, count: u64) -> Result<Vec<Duration>> {
    let payloads = Payloads::new(LEN);
    let mut trips = Vec::with_capacity(count as usize);
    let (mut send, mut recv) = connection.open_bi().await?;
    let mut back = [0; LEN];
    for number in 0..count {
        let message = payloads.message(number);
        let began = Instant::now();
        send.write_all(&message).await?;
        recv.read_exact(&mut back).await?;
        trips.push(began.elapsed());
        ensure!(back[..] == message, "what came back is not what was sent");
    }
    send.finish()?;
    Ok(trips)
}

pub(super) async fn stream_server(connection: &Connection) -> Result<()> {
    let (mut send, mut recv): (SendStream, RecvStream) = connection.accept_bi().await?;
    let mut message = [0; LEN];
    while recv.read_exact(&mut message).await.is_ok() {
        send.write_all(&message).await?;
    }
    Ok(())
}

/// Unreliable: a lost one would end the round.
pub(super) async fn datagram_client(connection: &Connection, count: u64) -> Result<Vec<Duration>> {
    let payloads = Payloads::new(LEN);
    let mut trips = Vec::with_capacity(count as usize);
    for number in 0..count {
        let message = payloads.message(number);
        let began = Instant::now();
        connection.send_datagram(Bytes::copy_from_slice(&message))?;
        let back = connection.read_datagram().await?;
        trips.push(began.elapsed());
        ensure!(back[..] == message, "what came back is not what was sent");
    }
    Ok(trips)
}

pub(super) async fn datagram_server(connection: &Connection) -> Result<()> {
    while let Ok(message) = connection.read_datagram().await {
        connection.send_datagram(message)?;
    }
    Ok(())
}

pub(super) async fn hikyaku_client(
    connection: &hikyaku::Connection,
    count: u64,
) -> Result<Vec<Duration>> {
    let payloads = Payloads::new(LEN);
    let mut trips = Vec::with_capacity(count as usize);
    for number in 0..count {
        let message = payloads.message(number);
        let sent = message.clone();
        let began = Instant::now();
        connection.send(Delivery::Ordered, message).await?;
        let back = connection.recv().await?;
        trips.push(began.elapsed());
        ensure!(back.payload == sent, "what came back is not what was sent");
    }
    Ok(trips)
}

pub(super) async fn hikyaku_server(connection: &hikyaku::Connection) -> Result<()> {
    while let Ok(message) = connection.recv().await {
        connection.send(Delivery::Ordered, message.payload).await?;
    }
    Ok(())
}
