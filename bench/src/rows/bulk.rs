//! Large messages, one way: 1 GiB of them, until the client knows that the server has all.

use anyhow::{Result, ensure};
use bytes::Bytes;
use hikyaku::Delivery;
use quinn::Connection;

use crate::payload::{InOrder, Payloads};

/// The length of a message, in bytes.
pub(crate) const LEN: usize = 64 << 10;

/// Chunks taken at once.
const CHUNKS: usize = 64;

pub(super) async fn quinn_client(connection: &Connection, count: u64) -> Result<u64> {
    let payloads = Payloads::new(LEN);
    // The answer arrives on the stream's other half.
    let (mut send, mut recv) = connection.open_bi().await?;
    for number in 0..count {
        send.write_chunk(Bytes::from(payloads.message(number))).await?;
    }
    send.finish()?;
    let mut answer = [0; 8];
    recv.read_exact(&mut answer).await?;
    let came = u64::from_le_bytes(answer);
    ensure!(came == count, "{came} of {count} messages came");
    Ok(came)
}

pub(super) async fn quinn_server(connection: &Connection) -> Result<()> {
    let mut check = InOrder::new(LEN);
    let (mut send, mut recv) = connection.accept_bi().await?;
    let mut chunks = vec![Bytes::new(); CHUNKS];
    while let Some(came) = recv.read_chunks(&mut chunks).await? {
        for chunk in &mut chunks[..came] {
            check.piece(&std::mem::take(chunk))?;
        }
    }
    send.write_all(&check.count.to_le_bytes()).await?;
    Ok(send.finish()?)
}

pub(super) async fn hikyaku_client(connection: &hikyaku::Connection, count: u64) -> Result<u64> {
    let payloads = Payloads::new(LEN);
    for number in 0..count {
        connection.send(Delivery::Ordered, payloads.message(number)).await?;
    }
    super::counted(connection, count).await
}

pub(super) async fn hikyaku_server(connection: &hikyaku::Connection, count: u64) -> Result<()> {
    super::receive(connection, InOrder::new(LEN), count).await
}
