//! A connection, as an application holds it.

use std::{
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use hikyaku_proto::{ChannelId, ConnectionStats, Delivery, Message};
use tokio::sync::oneshot;

use crate::{
    closed::{Closed, SendError, TrySendError, Unfinished},
    keys::signers::Signer,
    mailbox::{Mailbox, Request, Staged},
    receipt::Receipt,
    receipts::Receipts,
    shared::Established,
    trust::Trusted,
};

/// A connection to a peer that has proved its identity.
///
/// Clones are handles to the same connection, and equal; any number of tasks may send and receive
/// on them. [`Connection::downgrade`] returns a handle that does not keep the connection open.
///
/// # Who closes it
///
/// Either side may close it. The side that is done calls [`Connection::close`], which delivers what
/// was sent and returns when the peer has confirmed; the other side receives all messages, and then
/// [`Closed`] from [`Connection::recv`]. It need not call `close` itself, but may, even at the same
/// time. [`Connection::abort`] ends a connection at once, with a code that says why.
///
/// When the last handle is dropped, the connection is closed as if by `close` within 30 s, as long
/// as the runtime lives. A peer that is silent for the idle timeout of 30 s
/// ([`TransportConfig::idle_timeout`](crate::TransportConfig::idle_timeout)) ends it too.
///
/// # Echo loops
///
/// Two sides that both answer each message before they receive the next can fill both queues and
/// deadlock: each side's `send` waits for room that only the other's `recv` makes. Receive in one
/// task and send in another, or send answers with [`Connection::try_send`].
#[derive(Clone)]
pub struct Connection {
    pub(crate) handle: Arc<Established>,
    pub(crate) trusted: Trusted,
}

impl Connection {
    pub(crate) fn new(established: Established, trusted: Trusted) -> Self {
        Self { handle: Arc::new(established), trusted }
    }

    pub(crate) fn with(self, trusted: Trusted) -> Self {
        Self { trusted, ..self }
    }

    /// Queues a message on channel 0, and returns its receipt as soon as it is queued. Waits while
    /// the queue is full. Cancel-safe: the whole message is queued, or none of it.
    ///
    /// The queue holds up to 1 MiB on the way to the endpoint's task, and there as much as
    /// [`TransportConfig::send_queue`](crate::TransportConfig::send_queue) allows, of all messages
    /// that have no outcome yet. Each class on each channel has a share of it, so that a channel
    /// that the peer does not read delays no other. Waiting senders are served in turn, by
    /// priority.
    ///
    /// ```
    /// # use hikyaku::{Delivery, Endpoint, NotDelivered, Trust};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Endpoint::bind("127.0.0.1:0").await?;
    /// # let client = Endpoint::client()?;
    /// # let connection = client.connect(server.local_addr(), Trust::AnyKey).await?;
    /// // Chat: once, in order, however long it takes.
    /// connection.send(Delivery::Ordered, "good evening").await?;
    /// // Where the mouse is: an older position does not matter any longer.
    /// connection.send(Delivery::Latest, vec![12, 7]).await?;
    /// // 20 ms of sound, to be heard within 100 ms or not at all.
    /// let frame = vec![0; 160];
    /// let receipt = connection.send(Delivery::Deadline(Duration::from_millis(100)), frame).await?;
    /// match receipt.acknowledged().await {
    ///     Ok(()) | Err(NotDelivered::Expired | NotDelivered::Unconfirmed) => {}
    ///     Err(other) => return Err(other.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The payload is not copied, and its buffer lives until the message is acknowledged, except
    /// where it is a small part of a large one: a payload of up to 16 KiB is copied if nobody else
    /// holds its buffer, or if 1,024 messages wait before it. The queue counts the payload's
    /// length.
    ///
    /// # Errors
    /// [`SendError::Closed`] when the connection has ended or is closing; [`SendError::TooLarge`]
    /// at once when no message of this size can ever be delivered.
    pub fn send<P: Into<Bytes>>(
        &self,
        delivery: Delivery,
        payload: P,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send + use<P> {
        self.clone().into_send(Staged::new(0, delivery, payload.into()))
    }

    /// Queues messages on channel 0, in order, as [`Connection::send`] does with each, and returns
    /// their receipts. Faster for many small messages: the queue is locked once for as many as fit.
    /// If the future is dropped, messages that were already queued stay queued.
    ///
    /// ```
    /// # use hikyaku::{Delivery, Endpoint, Trust};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Endpoint::bind("127.0.0.1:0").await?;
    /// # let client = Endpoint::client()?;
    /// # let connection = client.connect(server.local_addr(), Trust::AnyKey).await?;
    /// let lines = ["one", "two", "three"];
    /// let mut receipts = connection.send_many(Delivery::Ordered, lines).await?;
    /// assert_eq!(receipts.len(), 3);
    /// receipts.acknowledged_all().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Connection::send`], for the first message that could not be queued. The
    /// messages before it are queued.
    pub async fn send_many<P: Into<Bytes>>(
        &self,
        delivery: Delivery,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<Receipts, SendError> {
        self.send_many_on(ChannelId(0), delivery, payloads).await
    }

    pub(crate) async fn send_many_on<P: Into<Bytes>>(
        &self,
        channel: ChannelId,
        delivery: Delivery,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<Receipts, SendError> {
        let staged = |payload: P| Staged::new(channel, delivery, payload.into());
        self.handle.mailbox.send_many(payloads.into_iter().map(staged)).await
    }

    /// Queues a message on channel 0 if there is room, without waiting: for a server that sends to
    /// many peers and must not wait for one of them.
    ///
    /// # Errors
    /// [`TrySendError`], with the payload: [`SendError::Full`] when there is no room, and
    /// the errors of [`Connection::send`].
    pub fn try_send(
        &self,
        delivery: Delivery,
        payload: impl Into<Bytes>,
    ) -> Result<Receipt, TrySendError> {
        self.stage(Staged::new(0, delivery, payload.into()))
    }

    pub(crate) async fn into_send(self, message: Staged) -> Result<Receipt, SendError> {
        let mailbox = &self.handle.mailbox;
        let number = mailbox.send(message).await?;
        Ok(Receipt::new(Arc::clone(mailbox), number))
    }

    pub(crate) fn stage(&self, message: Staged) -> Result<Receipt, TrySendError> {
        match self.handle.mailbox.try_send(message) {
            Ok(number) => Ok(Receipt::new(Arc::clone(&self.handle.mailbox), number)),
            Err((payload, reason)) => Err(TrySendError { payload, reason }),
        }
    }

    /// Receives the next message of any channel, except dedicated ones
    /// ([`Channel::recv`](crate::Channel::recv)). Messages that arrived before the end are received
    /// first. Cancel-safe.
    ///
    /// Each message goes to one of the waiting tasks. A side that does not receive slows down its
    /// peer's sending, and nothing else.
    ///
    /// A slow reader receives no older `Latest` message once a newer one of its channel has
    /// arrived, and no `Deadline` message that has expired.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over, and there is no message left.
    pub async fn recv(&self) -> Result<Message, Closed> {
        self.handle.mailbox.recv(None).await
    }

    /// Waits for a message, appends up to `limit` that have arrived to the list, and returns how
    /// many: 0 only if `limit` is 0. Takes one lock for all of them. Cancel-safe.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub async fn recv_many(&self, into: &mut Vec<Message>, limit: usize) -> Result<usize, Closed> {
        self.handle.mailbox.recv_with(None, limit, |message| into.push(message)).await
    }

    /// Keeps the `Deadline` messages of each channel in order from now on, for every call that
    /// receives them. See [`Channel::keep_order`](crate::Channel::keep_order).
    pub fn keep_order(&self) {
        self.handle.mailbox.keep_order(None);
    }

    /// Receives the next message if one has arrived, without waiting: for a loop with its own pace,
    /// such as a game's.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv(&self) -> Result<Option<Message>, Closed> {
        self.handle.mailbox.try_recv(None)
    }

    /// Measures a round trip: sends a PING, which the peer acknowledges at once. Returns `None` if
    /// either was lost.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn ping(&self) -> Result<Option<Duration>, Closed> {
        self.ask(Request::Ping).await
    }

    /// Returns statistics: round-trip time, window, packets and bytes, losses. They are from the
    /// last turn of the endpoint's task, except for
    /// [`queued_bytes`](ConnectionStats::queued_bytes). After the end, the final values are
    /// returned.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        self.handle.mailbox.stats()
    }

    /// Returns the bytes of messages that are queued and have no outcome yet, on all channels; each
    /// message counts 64 more. A server that sends to many peers can use this to skip those that
    /// are behind.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.handle.mailbox.queued_bytes(None)
    }

    /// Returns why the connection is over, or `None` while it is not.
    #[must_use]
    pub fn close_reason(&self) -> Option<Closed> {
        self.handle.mailbox.close_reason()
    }

    /// Waits until the endpoint's task has processed all earlier requests of this connection:
    /// queued messages are in the protocol's queue, and messages that were acknowledged to the peer
    /// can be received without waiting, as far as there is room for them.
    ///
    /// # Errors
    /// [`Closed`] when the connection is over.
    pub async fn synchronize(&self) -> Result<(), Closed> {
        self.ask(Request::Synchronize).await
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

    /// Returns the number of the connection in its endpoint, which is never reused: a key for maps,
    /// a name in logs.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.handle.mailbox.handle.number()
    }

    /// Returns the peer's public key, which it has proved to hold.
    #[must_use]
    pub fn peer(&self) -> &Signer {
        &self.handle.peer
    }

    /// Returns `true` if both ends named the same application
    /// ([`EndpointBuilder::application`](crate::EndpointBuilder::application)).
    #[must_use]
    pub fn shares_application(&self) -> bool {
        self.handle.shares_application
    }

    /// Returns why the peer was trusted.
    #[must_use]
    pub fn trusted(&self) -> Trusted {
        self.trusted
    }

    /// Returns the address that the peer last used. It may change, for example when a phone moves
    /// between networks.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        self.handle.mailbox.remote()
    }

    /// Ends the connection at once, with a code ([`Close::NO_ERROR`](crate::Close), or one of the
    /// application's from [`Close::APPLICATION`](crate::Close) on) and a reason, of which 256 bytes
    /// are sent. The peer receives both as [`Closed::ByPeer`]. Messages that were not acknowledged
    /// may be lost; [`Connection::close`] delivers them first. Messages that have arrived can still
    /// be received. Does nothing once the connection has ended.
    ///
    /// # Panics
    /// If the code is 2^62 or more, which no CLOSE frame can hold.
    pub fn abort(&self, code: u64, reason: &str) {
        assert!(code < 1 << 62, "the code of a close is below 2^62, and {code} is not");
        let _ = self.handle.mailbox.request(Request::Close { code, reason: reason.to_owned() });
    }

    /// Delivers what was sent, and what the peer has queued, and then closes the connection with
    /// code 0. Meanwhile neither side can send anything more. Returns when the peer has confirmed
    /// the end, or when the time is up, after the CLOSE was sent. Dropping the future changes
    /// nothing.
    ///
    /// # Errors
    /// [`Unfinished`] if some messages had not been delivered by then, not counting those whose
    /// class allows dropping them.
    pub async fn close(&self, within: Duration) -> Result<(), Unfinished> {
        let _ = self.handle.mailbox.request(Request::CloseGracefully { within });
        // Does not wait for a confirmation that has not arrived when the time is up. By then the
        // CLOSE was sent: the driver sends it before it reports the end.
        let confirmed = async {
            let closed = self.closed().await;
            self.handle.mailbox.released().await;
            closed
        };
        let closed = match tokio::time::timeout(within, confirmed).await {
            Ok(closed) => closed,
            Err(_) => {
                self.abort(0, "");
                self.closed().await
            }
        };
        match self.handle.mailbox.undelivered() {
            0 => Ok(()),
            undelivered => Err(Unfinished { undelivered, closed }),
        }
    }

    /// Waits until the connection is over, and returns why. Cancel-safe.
    pub async fn closed(&self) -> Closed {
        self.handle.mailbox.closed().await
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.handle.mailbox
    }
}

/// Handles are equal if they are handles to the same connection.
impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }
}

impl Eq for Connection {}

impl Hash for Connection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} at {})", self.handle.peer.fingerprint(), self.remote_addr())
    }
}
