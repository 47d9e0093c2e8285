//! Limits how fast the bytes of a connection are read.
//!
//! A message may arrive in any number of frames, each of them empty: only their bytes can be
//! counted before the message is complete.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    limits::{BYTES_AT_ONCE, BYTES_PER_SECOND},
    pace::Pace,
};

/// A connection that is read no faster than [`BYTES_PER_SECOND`] in the long run.
#[derive(Debug)]
pub(crate) struct Throttled<S> {
    stream: S,
    pace: Pace,
    /// Reading continues when it is over.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Throttled<S> {
    pub(crate) fn new(stream: S) -> Self {
        let pace = Pace::new(Instant::now(), BYTES_PER_SECOND, BYTES_AT_ONCE);
        Self { stream, pace, pause: None }
    }

    fn count(&mut self, bytes: usize) {
        let now = Instant::now();
        self.pace.count(now, u32::try_from(bytes).unwrap_or(u32::MAX));
        let ready_at = self.pace.ready_at();
        self.pause = (ready_at > now).then(|| Box::pin(sleep_until(ready_at)));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.count(buf.filled().len().saturating_sub(before));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, repeat};

    use super::*;

    #[tokio::test]
    async fn a_burst_is_read_at_once_and_the_rest_at_the_rate() {
        let began = Instant::now();
        let mut stream = Throttled::new(repeat(0));
        let mut buffer = vec![0; BYTES_AT_ONCE as usize];
        stream.read_exact(&mut buffer).await.unwrap();
        stream.read_exact(&mut buffer[..BYTES_PER_SECOND as usize / 4]).await.unwrap();
        stream.read_exact(&mut buffer[..1]).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(249), "{:?}", began.elapsed());
    }
}
