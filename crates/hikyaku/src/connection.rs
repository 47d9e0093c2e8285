//! A connection, as an application holds it.
//!
//! In: messages to send. Out: messages received, receipts, what is known of it. Never: the
//! protocol, which is the driver's.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use hikyaku_proto::{ChannelId, ConnectionStats, Delivery, Message};
use tokio::sync::oneshot;

use crate::{
    closed::{Closed, SendError, Unfinished},
    limits::LINGER,
    mailbox::{Mailbox, Refused, Request, Staged},
    receipt::Receipt,
    shared::Established,
    signers::Signer,
    trust::Trusted,
};

/// A connection to a peer that has proved who it is. Clones are the same connection.
///
/// When the last clone is dropped, what was sent is still delivered (within 30 s, if the runtime
/// lives for that long), and then it is closed. [`Connection::finish`] waits for that.
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
    trusted: Trusted,
}

struct Handle {
    mailbox: Arc<Mailbox>,
    peer: Signer,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.mailbox.request(Request::Leave { within: LINGER });
    }
}

impl Connection {
    pub(crate) fn new(established: Established, trusted: Trusted) -> Self {
        let Established { mailbox, peer } = established;
        Self { handle: Arc::new(Handle { mailbox, peer }), trusted }
    }

    pub(crate) fn with(self, trusted: Trusted) -> Self {
        Self { trusted, ..self }
    }

    /// Queues a message on channel 0, waiting while the queue is full, and returns as soon as it
    /// is there: the receipt tells when it has arrived. Cancel-safe: a message is queued whole or
    /// not at all.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn send(
        &self,
        delivery: Delivery,
        payload: impl Into<Vec<u8>>,
    ) -> impl Future<Output = Result<Receipt, SendError>> {
        self.channel(0).into_send(staged(0, delivery, payload.into(), false))
    }

    /// Queues a message on channel 0, if there is room.
    ///
    /// # Errors
    /// [`SendError::Full`] when there is none; when the connection is over.
    pub fn try_send(
        &self,
        delivery: Delivery,
        payload: impl Into<Vec<u8>>,
    ) -> Result<Receipt, SendError> {
        self.stage(staged(0, delivery, payload.into(), false))
    }

    fn stage(&self, message: Staged) -> Result<Receipt, SendError> {
        match self.handle.mailbox.try_send(message) {
            Ok(number) => Ok(Receipt::new(Arc::clone(&self.handle.mailbox), number)),
            Err((Refused::Full, _)) => Err(SendError::Full),
            Err((Refused::Closed(closed), _)) => Err(SendError::Closed(closed)),
        }
    }

    /// One of the 65,536 channels. Each has an order of its own, so that what waits on one does not
    /// hold up another.
    #[must_use]
    pub fn channel(&self, number: u16) -> Channel {
        Channel { connection: self.clone(), id: ChannelId(number) }
    }

    /// The next message, of whichever channel. Messages that came before the end are given out
    /// first. Cancel-safe. Who does not call it slows the peer down, and nobody else.
    ///
    /// # Errors
    /// When the connection is over, and there is no message left.
    pub async fn recv(&self) -> Result<Message, Closed> {
        self.handle.mailbox.recv().await
    }

    /// Waits for a message, and appends up to `limit` of those that are there: one lock for all.
    /// Cancel-safe. Returns how many.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub async fn recv_many(&self, into: &mut Vec<Message>, limit: usize) -> Result<usize, Closed> {
        self.handle.mailbox.recv_with(limit, |message| into.push(message)).await
    }

    /// The next message, if one is there: for a loop that has its own pace, as a game's, and takes
    /// all there is each time.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv(&self) -> Result<Option<Message>, Closed> {
        // What is there is there at the first look.
        match pin!(self.recv()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => message.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// A round trip of its own: how long a PING took there and its ACK back, with what the peer
    /// waited before it acknowledged (a quarter of the round trip, 25 ms at most); none when
    /// either was lost.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn ping(&self) -> Result<Option<Duration>, Closed> {
        self.ask(Request::Ping).await
    }

    /// What is known of it now.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn stats(&self) -> Result<ConnectionStats, Closed> {
        self.ask(Request::Stats).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.handle.mailbox.request(request(reply))?;
        match answer.await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.closed().await),
        }
    }

    /// The peer's public key.
    #[must_use]
    pub fn peer(&self) -> &Signer {
        &self.handle.peer
    }

    /// Why the peer was let pass.
    #[must_use]
    pub fn trusted(&self) -> Trusted {
        self.trusted
    }

    /// Where the peer was heard from last.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        self.handle.mailbox.remote()
    }

    /// Ends it at once, with a code ([`Close::NO_ERROR`](crate::Close), or one's own from
    /// [`Close::APPLICATION`](crate::Close) on) and a reason that the peer is told, of which 256
    /// bytes are sent. What was not acknowledged may be lost.
    pub fn close(&self, code: u64, reason: &str) {
        let _ = self.handle.mailbox.request(Request::Close { code, reason: reason.to_owned() });
    }

    /// Delivers what was sent, and then ends it; nothing more can be sent meanwhile.
    ///
    /// # Errors
    /// When not everything had a good end `within` that time.
    pub async fn finish(&self, within: Duration) -> Result<(), Unfinished> {
        let _ = self.handle.mailbox.request(Request::Leave { within });
        let closed = match tokio::time::timeout(within, self.closed()).await {
            Ok(closed) => closed,
            // What the protocol has no room for yet keeps it open.
            Err(_) => {
                self.close(0, "");
                self.closed().await
            }
        };
        match self.handle.mailbox.undelivered() {
            0 => Ok(()),
            undelivered => Err(Unfinished { undelivered, closed }),
        }
    }

    /// Waits until it is over, and says why.
    pub async fn closed(&self) -> Closed {
        self.handle.mailbox.closed().await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} at {})", self.handle.peer.fingerprint(), self.remote_addr())
    }
}

/// A channel of a connection, to send on.
#[derive(Clone, Debug)]
pub struct Channel {
    connection: Connection,
    id: ChannelId,
}

impl Channel {
    /// As [`Connection::send`], on this channel.
    ///
    /// # Errors
    /// As there.
    pub fn send(
        &self,
        delivery: Delivery,
        payload: impl Into<Vec<u8>>,
    ) -> impl Future<Output = Result<Receipt, SendError>> {
        self.clone().into_send(staged(self.id.0, delivery, payload.into(), false))
    }

    /// As [`Connection::try_send`], on this channel.
    ///
    /// # Errors
    /// As there.
    pub fn try_send(
        &self,
        delivery: Delivery,
        payload: impl Into<Vec<u8>>,
    ) -> Result<Receipt, SendError> {
        self.connection.stage(staged(self.id.0, delivery, payload.into(), false))
    }

    /// 0 to 7; messages of channels with a higher priority leave first. 3 at first.
    pub fn set_priority(&self, priority: u8) {
        let request = Request::Priority(self.id, priority.min(7));
        let _ = self.connection.handle.mailbox.request(request);
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.id.0
    }

    async fn into_send(self, message: Staged) -> Result<Receipt, SendError> {
        let mailbox = &self.connection.handle.mailbox;
        let number = mailbox.send(message).await?;
        Ok(Receipt::new(Arc::clone(mailbox), number))
    }
}

const fn staged(channel: u16, delivery: Delivery, payload: Vec<u8>, repeatable: bool) -> Staged {
    Staged { channel: ChannelId(channel), delivery, payload, repeatable }
}
