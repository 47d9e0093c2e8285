//! Standard input as one stream of bytes, on a connection.
//!
//! In: bytes as they come. Out: ordered messages, and an empty one at the end. Never: a line end.
//!
//! The empty message says that the stream is whole: a connection that ends without it has been cut
//! short, however it ended.

use std::{
    io::{self, Read},
    mem, thread,
};

use hikyaku::{Delivery, Receipt};
use tokio::sync::mpsc;

use super::native::Session;
use crate::{
    exit::Failure,
    limits::{CHUNKS_AHEAD, STREAM_CHUNK},
    written::{WRITTEN_CHANNEL, announce_stream},
};

/// Queues all of standard input.
pub(super) async fn send(session: &Session<'_>) -> Result<(), Failure> {
    let announced = announce(session).await;
    let mut chunks = read_ahead(io::stdin(), STREAM_CHUNK, 0);
    while let Some(chunk) = chunks.recv().await {
        let chunk =
            chunk.map_err(|e| Failure::failed(format!("cannot read standard input: {e}")))?;
        if session.queue(chunk).await.is_err() {
            return Ok(());
        }
    }
    // The end of the stream must not come before the word that there is one.
    if let Some(receipt) = announced {
        let _ = receipt.acknowledged().await;
    }
    // Where the connection is over, the end reports it.
    let _ = session.queue(Vec::new()).await;
    Ok(())
}

/// Tells a listener of ours that a stream comes, so that it does not print the empty message at
/// the end.
async fn announce(session: &Session<'_>) -> Option<Receipt> {
    if !session.connection.shares_application() {
        return None;
    }
    let channel = session.args.native.channel.unwrap_or(0);
    let words = session.connection.channel(WRITTEN_CHANNEL);
    words.send(Delivery::Ordered, announce_stream(channel)).await.ok()
}

/// Reads on a thread of its own, a few chunks ahead: each at most `size` bytes as they come, behind
/// `head` bytes left free. The chunk read into becomes the message sent.
pub(super) fn read_ahead(
    mut input: impl Read + Send + 'static,
    size: usize,
    head: usize,
) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    thread::spawn(move || {
        let mut buffer = vec![0; head + size];
        loop {
            buffer.resize(head + size, 0);
            let read = match input.read(&mut buffer[head..]) {
                Ok(0) => return,
                // A few bytes must not keep the room of many while they wait.
                Ok(len) if len < size / 2 => Ok(buffer[..head + len].to_vec()),
                Ok(len) => {
                    buffer.truncate(head + len);
                    Ok(mem::take(&mut buffer))
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_read_behind_their_head_until_the_end() {
        let mut chunks = read_ahead(&b"abcde"[..], 3, 1);
        let mut all = Vec::new();
        while let Some(chunk) = chunks.blocking_recv() {
            all.push(chunk.unwrap());
        }
        assert_eq!(all, [b"\0abc".to_vec(), b"\0de".to_vec()]);
    }
}
