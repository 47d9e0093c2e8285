//! Sends standard input as one stream of bytes.
//!
//! An empty message marks the end of the stream: without it the stream was cut short, however the
//! connection ended.

use std::io;

use hikyaku::{Delivery, Receipt};

use super::{read_ahead::read_ahead, session::Session};
use crate::{
    exit::Failure,
    limits::STREAM_CHUNK,
    written::{WRITTEN_CHANNEL, announce_stream},
};

/// Queues all of standard input.
pub(super) async fn send(session: &Session<'_>) -> Result<(), Failure> {
    let announced = announce(session).await;
    let mut chunks = read_ahead(io::stdin(), STREAM_CHUNK, 0);
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk.map_err(|e| {
            Failure::failed(say!(
                "cannot read standard input: {e}",
                "標準入力を読み取れません: {e}"
            ))
        })?;
        if session.queue(chunk).await.is_err() {
            return Ok(());
        }
    }
    // The announcement must precede the end of the stream.
    if let Some(receipt) = announced {
        let _ = receipt.acknowledged().await;
    }
    // If the connection has ended, that is reported elsewhere.
    let _ = session.queue(Vec::new()).await;
    Ok(())
}

/// Announces the stream to a hikyaku listener, so that it does not print the empty message at the
/// end.
async fn announce(session: &Session<'_>) -> Option<Receipt> {
    if !session.connection.shares_application() {
        return None;
    }
    let channel = session.args.native.channel.unwrap_or(0);
    let words = session.connection.channel(WRITTEN_CHANNEL);
    words.send(Delivery::Ordered, announce_stream(channel)).await.ok()
}
