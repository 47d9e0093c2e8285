//! Reads a few chunks ahead, on a thread of its own.

use std::{
    io::{self, Read},
    mem, thread,
};

use tokio::sync::mpsc;

use crate::limits::CHUNKS_AHEAD;

/// Reads on a thread of its own, a few chunks ahead. Each chunk has at most `size` bytes after
/// `head` free bytes, and becomes the message.
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
                // A short read must not hold a large buffer while it waits.
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
