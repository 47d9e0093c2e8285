//! A channel as one ordered stream of bytes.

use std::{
    fmt,
    future::Future,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use hikyaku_proto::{Class, Delivery, Message};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop::poll_proceed,
};

use crate::{
    channel::Channel,
    closed::{Closed, NotDelivered, SendError},
    limits::STREAM_CHUNK,
    receipt::Receipt,
};

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// A [`Channel`] as one ordered stream of bytes in each direction, for code written for TCP:
/// [`AsyncRead`] and [`AsyncWrite`], made by [`Channel::into_byte_stream`].
///
/// The bytes travel as `Ordered` messages of up to 64 KiB; an empty one is the end of the stream.
/// Both sides must use the channel as a byte stream, and for nothing else.
///
/// - A **write** is done when its bytes are queued; a full queue makes it wait. **Flush** waits
///   until all of them are queued.
/// - **Shutdown** sends the end, and waits until the peer has acknowledged it and with it all bytes
///   before. The other direction stays open.
/// - A **read** returns 0 only at the peer's end of the stream. If the connection is closed before
///   that, it fails ([`ErrorKind::UnexpectedEof`] if the code was 0), so that a truncated stream
///   never looks complete. Dropping a stream does not end it.
///
/// ```
/// # use hikyaku::{Endpoint, Trust};
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Endpoint::bind("127.0.0.1:0").await?;
/// # let client = Endpoint::client()?;
/// # let here = client.connect(server.local_addr(), Trust::AnyKey).await?;
/// # let there = server.accept().await.ok_or("closed")?;
/// let mut reader = there.channel(1).into_byte_stream();
/// let reading = tokio::spawn(async move {
///     let mut text = String::new();
///     reader.read_to_string(&mut text).await.map(|_| text)
/// });
/// let mut writer = here.channel(1).into_byte_stream();
/// writer.write_all(b"one ").await?;
/// writer.write_all(b"two").await?;
/// writer.shutdown().await?;
/// assert_eq!(reading.await??, "one two");
/// # Ok(())
/// # }
/// ```
pub struct ByteStream {
    channel: Channel,
    /// The rest of the last message.
    unread: Bytes,
    receiving: Option<Pending<Result<Message, Closed>>>,
    /// The peer's end of the stream was received.
    ended: bool,
    /// A message that waits for room in the queue.
    sending: Option<Pending<Result<Receipt, SendError>>>,
    /// The longest message that the peer accepts and that we send.
    chunk: usize,
    writing: Writing,
}

enum Writing {
    Open,
    /// The end of the stream is queued next.
    Ending,
    /// It is queued, and not acknowledged yet.
    Ended(Pending<Result<(), NotDelivered>>),
    Shut,
}

impl Channel {
    /// Returns the channel as a stream of bytes, for code written for TCP. See [`ByteStream`].
    #[must_use]
    pub fn into_byte_stream(self) -> ByteStream {
        ByteStream::new(self)
    }
}

impl ByteStream {
    const fn new(channel: Channel) -> Self {
        Self {
            channel,
            unread: Bytes::new(),
            receiving: None,
            ended: false,
            sending: None,
            chunk: STREAM_CHUNK,
            writing: Writing::Open,
        }
    }

    /// Returns the channel.
    #[must_use]
    pub const fn channel(&self) -> &Channel {
        &self.channel
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Closed>> {
        if self.receiving.is_none() {
            match self.channel.try_recv() {
                Ok(Some(message)) => return Poll::Ready(Ok(message)),
                Ok(None) => {}
                Err(closed) => return Poll::Ready(Err(closed)),
            }
        }
        let channel = &self.channel;
        let receiving = self.receiving.get_or_insert_with(|| {
            let channel = channel.clone();
            Box::pin(async move { channel.recv().await })
        });
        let received = ready!(receiving.as_mut().poll(cx));
        self.receiving = None;
        Poll::Ready(received)
    }

    /// Waits until the parked message was queued.
    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Receipt>>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Ok(None)) };
        let sent = ready!(sending.as_mut().poll(cx));
        self.sending = None;
        Poll::Ready(sent.map(Some).map_err(send_error))
    }

    /// Queues one message, or keeps it until there is room.
    fn queue(&mut self, payload: Bytes) -> Result<Option<Receipt>, SendError> {
        match self.channel.try_send(Delivery::Ordered, payload) {
            Ok(receipt) => Ok(Some(receipt)),
            Err(full) if full.reason == SendError::Full => {
                let channel = self.channel.clone();
                let send = async move { channel.send(Delivery::Ordered, full.payload).await };
                self.sending = Some(Box::pin(send));
                Ok(None)
            }
            Err(error) => Err(error.reason),
        }
    }

    fn await_end(&mut self, receipt: Receipt) {
        self.writing = Writing::Ended(Box::pin(async move { receipt.acknowledged().await }));
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let turn = ready!(poll_proceed(cx));
        loop {
            if !self.unread.is_empty() {
                let len = self.unread.len().min(buf.remaining());
                buf.put_slice(&self.unread[..len]);
                self.unread.advance(len);
                break;
            }
            if self.ended || buf.remaining() == 0 {
                break;
            }
            let message = ready!(self.poll_message(cx)).map_err(receive_error)?;
            if message.class != Class::Ordered {
                let what = format!("a message of class {} in a byte stream", message.class);
                return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, what)));
            }
            self.ended = message.payload.is_empty();
            self.unread = message.payload;
        }
        turn.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let turn = ready!(poll_proceed(cx));
        if !matches!(self.writing, Writing::Open) {
            return Poll::Ready(Err(io::Error::new(ErrorKind::BrokenPipe, "it was shut down")));
        }
        ready!(self.poll_queued(cx))?;
        let written = loop {
            let len = bytes.len().min(self.chunk);
            if len == 0 {
                break 0;
            }
            match self.queue(Bytes::copy_from_slice(&bytes[..len])) {
                Ok(_receipt) => break len,
                Err(SendError::TooLarge { limit, .. }) if (1..len).contains(&limit) => {
                    self.chunk = limit;
                }
                Err(error) => return Poll::Ready(Err(send_error(error))),
            }
        };
        turn.made_progress();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_queued(cx).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.writing {
                Writing::Open => {
                    ready!(self.poll_queued(cx))?;
                    self.writing = Writing::Ending;
                    if let Some(receipt) = self.queue(Bytes::new()).map_err(send_error)? {
                        self.await_end(receipt);
                    }
                }
                Writing::Ending => match ready!(self.poll_queued(cx))? {
                    Some(receipt) => self.await_end(receipt),
                    None => self.writing = Writing::Shut,
                },
                Writing::Ended(acknowledged) => {
                    ready!(acknowledged.as_mut().poll(cx)).map_err(io::Error::other)?;
                    self.writing = Writing::Shut;
                }
                Writing::Shut => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("channel", &self.channel).finish_non_exhaustive()
    }
}

fn receive_error(closed: Closed) -> io::Error {
    let kind = match &closed {
        Closed::Here => ErrorKind::NotConnected,
        Closed::Silent => ErrorKind::TimedOut,
        closed if closed.is_graceful() => ErrorKind::UnexpectedEof,
        _ => ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, closed)
}

fn send_error(error: SendError) -> io::Error {
    let kind = match &error {
        SendError::Closed(Closed::Silent) => ErrorKind::TimedOut,
        SendError::Closed(_) => ErrorKind::BrokenPipe,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
