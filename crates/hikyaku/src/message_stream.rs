//! Messages as the stream and the sink of the `futures` crates.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use hikyaku_proto::{Delivery, Message};
use tokio::task::coop::poll_proceed;

use crate::{
    channel::Channel,
    closed::{Closed, SendError},
    connection::Connection,
    receipt::Receipt,
};

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// The messages of a connection as a [`Stream`], made by [`Connection::messages`].
///
/// It ends after the last message, and yields an error before that if the connection was not closed
/// with code 0 ([`Closed::is_graceful`]).
#[must_use = "streams do nothing unless polled"]
pub struct Messages {
    connection: Connection,
    receiving: Option<Pending<Result<Message, Closed>>>,
    ended: bool,
}

impl Connection {
    /// Returns the messages as a stream; each is received once, by the stream or by
    /// [`Connection::recv`].
    pub fn messages(&self) -> Messages {
        Messages::new(self.clone())
    }

    /// Returns a sink of messages on channel 0, all with this delivery.
    pub fn sink(&self, delivery: Delivery) -> MessageSink {
        self.channel(0).sink(delivery)
    }
}

impl Channel {
    /// Returns a sink of messages on this channel, all with this delivery.
    pub const fn sink(self, delivery: Delivery) -> MessageSink {
        MessageSink::new(self, delivery)
    }
}

impl Messages {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection, receiving: None, ended: false }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Closed>> {
        if self.receiving.is_none() {
            match self.connection.try_recv() {
                Ok(Some(message)) => return Poll::Ready(Ok(message)),
                Ok(None) => {}
                Err(closed) => return Poll::Ready(Err(closed)),
            }
        }
        let connection = &self.connection;
        let receiving = self.receiving.get_or_insert_with(|| {
            let connection = connection.clone();
            Box::pin(async move { connection.recv().await })
        });
        let received = ready!(receiving.as_mut().poll(cx));
        self.receiving = None;
        Poll::Ready(received)
    }
}

impl Stream for Messages {
    type Item = Result<Message, Closed>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let turn = ready!(poll_proceed(cx));
        let received = ready!(self.poll_message(cx));
        turn.made_progress();
        self.ended = received.is_err();
        Poll::Ready(match received {
            Err(closed) if closed.is_graceful() => None,
            received => Some(received),
        })
    }
}

impl FusedStream for Messages {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Messages").field(&self.connection).finish()
    }
}

/// Messages of one delivery class to a channel as a [`Sink`], made by [`Channel::sink`].
///
/// It is ready while there is room in the queue, and flushed when everything that it was given is
/// queued. Closing it flushes it and leaves the connection open.
#[must_use = "sinks do nothing unless polled"]
pub struct MessageSink {
    channel: Channel,
    delivery: Delivery,
    /// A message that waits for room in the queue.
    sending: Option<Pending<Result<Receipt, SendError>>>,
}

impl MessageSink {
    pub(crate) const fn new(channel: Channel, delivery: Delivery) -> Self {
        Self { channel, delivery, sending: None }
    }

    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Ok(())) };
        let sent = ready!(sending.as_mut().poll(cx));
        self.sending = None;
        Poll::Ready(sent.map(drop))
    }
}

impl<P: Into<Bytes>> Sink<P> for MessageSink {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_queued(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, payload: P) -> Result<(), SendError> {
        match self.channel.try_send(self.delivery, payload) {
            Ok(_receipt) => Ok(()),
            Err(full) if full.reason == SendError::Full => {
                let (channel, delivery) = (self.channel.clone(), self.delivery);
                let send = async move { channel.send(delivery, full.payload).await };
                self.sending = Some(Box::pin(send));
                Ok(())
            }
            Err(error) => Err(error.reason),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_queued(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_queued(cx)
    }
}

impl fmt::Debug for MessageSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, delivery, .. } = self;
        write!(f, "MessageSink({delivery} to {channel:?})")
    }
}
