//! A connection, as an application holds it.
//!
//! In: messages to send. Out: messages received, receipts, what is known of it. Never: the
//! protocol, which is the driver's.

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
    mailbox::{Request, Staged},
    receipt::Receipt,
    shared::Established,
    signers::Signer,
    trust::Trusted,
    weak::WeakConnection,
};

/// A connection to a peer that has proved who it is. Clones are the same connection, and equal; any
/// number of tasks may send and receive on them.
///
/// When the last clone is dropped, what was sent is still delivered (within 30 s, if the runtime
/// lives for that long), and then it is closed. [`Connection::finish`] waits for that. A peer that
/// is silent for the idle timeout ([`TransportConfig`](crate::TransportConfig), 30 s) ends it too.
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Established>,
    trusted: Trusted,
}

impl Connection {
    pub(crate) fn new(established: Established, trusted: Trusted) -> Self {
        Self { handle: Arc::new(established), trusted }
    }

    pub(crate) const fn of(handle: Arc<Established>, trusted: Trusted) -> Self {
        Self { handle, trusted }
    }

    pub(crate) fn with(self, trusted: Trusted) -> Self {
        Self { trusted, ..self }
    }

    /// Returns a handle that does not keep the connection open, as for a task that only reads.
    #[must_use]
    pub fn downgrade(&self) -> WeakConnection {
        let mailbox = Arc::clone(&self.handle.mailbox);
        WeakConnection::new(mailbox, Arc::downgrade(&self.handle), self.trusted)
    }

    /// Queues a message on channel 0, waiting while the queue is full, and returns as soon as it
    /// is there: the receipt tells when it has arrived. Cancel-safe: a message is queued whole or
    /// not at all.
    ///
    /// The queue holds 1 MiB on its way to the endpoint's task, and there what
    /// [`TransportConfig::send_queue`](crate::TransportConfig::send_queue) says, of all messages
    /// that have no outcome yet. Each class on each channel has a share of it, so that one that the
    /// peer does not read holds up no other; senders that wait are served by priority, and in turn.
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
    /// // Where the mouse is: an older place does not matter any more.
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
    /// # Errors
    /// [`SendError::Closed`] when the connection is over, or was asked to end;
    /// [`SendError::TooLarge`] at once when no message of this size is ever delivered.
    pub fn send<P: Into<Bytes>>(
        &self,
        delivery: Delivery,
        payload: P,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send + use<P> {
        self.channel(0).into_send(staged(0, delivery, payload.into(), false))
    }

    /// Queues a message on channel 0, if there is room: for who must not wait, as a server that
    /// tells many the same.
    ///
    /// # Errors
    /// [`SendError::Full`] when there is none; as [`Connection::send`]. The payload comes back.
    pub fn try_send(
        &self,
        delivery: Delivery,
        payload: impl Into<Bytes>,
    ) -> Result<Receipt, TrySendError> {
        self.stage(staged(0, delivery, payload.into(), false))
    }

    fn stage(&self, message: Staged) -> Result<Receipt, TrySendError> {
        match self.handle.mailbox.try_send(message) {
            Ok(number) => Ok(Receipt::new(Arc::clone(&self.handle.mailbox), number)),
            Err((payload, reason)) => Err(TrySendError { payload, reason }),
        }
    }

    /// One of the 65,536 channels, by its number or by that of a message that came
    /// ([`Message::channel`]). Nothing has to be opened: the peer's [`Connection::recv`] gives out
    /// what comes on all of them, but for those it reads with [`Channel::recv`].
    #[must_use]
    pub fn channel(&self, id: impl Into<ChannelId>) -> Channel {
        Channel { connection: self.clone(), id: id.into() }
    }

    /// The next message, of whichever channel, but for those that are read with
    /// [`Channel::recv`]. Messages that came before the end are given out first. Cancel-safe. Of
    /// several tasks that wait each message goes to one. Who does not call it slows the peer down,
    /// and nobody else.
    ///
    /// A slow reader sees no older `Latest` where a newer one of its channel has come, and no
    /// `Deadline` whose time is up. (Behind 1 MiB of other messages it may see one older `Latest`
    /// before the newest.)
    ///
    /// # Errors
    /// [`Closed`] when the connection is over, and there is no message left.
    pub async fn recv(&self) -> Result<Message, Closed> {
        self.handle.mailbox.recv(None).await
    }

    /// Waits for a message, and appends up to `limit` of those that are there: one lock for all.
    /// Cancel-safe. Returns how many: 0 only if `limit` is.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub async fn recv_many(&self, into: &mut Vec<Message>, limit: usize) -> Result<usize, Closed> {
        self.handle.mailbox.recv_with(None, limit, |message| into.push(message)).await
    }

    /// The next message, if one is there: for a loop that has its own pace, as a game's, and takes
    /// all there is each time.
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv(&self) -> Result<Option<Message>, Closed> {
        self.handle.mailbox.try_recv(None)
    }

    /// A round trip of its own: how long a PING took there and its ACK, which leaves at once, back;
    /// none when either was lost.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn ping(&self) -> Result<Option<Duration>, Closed> {
        self.ask(Request::Ping).await
    }

    /// What is known of it now: round-trip time, window, packets and bytes, losses.
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

    /// Its number in this endpoint, never used again for another: for who keeps connections in a
    /// map, or names them in a log.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.handle.mailbox.handle.number()
    }

    /// The peer's public key, which it has proved to hold.
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

    /// Why the peer was let pass.
    #[must_use]
    pub fn trusted(&self) -> Trusted {
        self.trusted
    }

    /// Where the peer was heard from last: it may move, as a telephone between networks does.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        self.handle.mailbox.remote()
    }

    /// Ends it at once, with a code ([`Close::NO_ERROR`](crate::Close), or one's own from
    /// [`Close::APPLICATION`](crate::Close) on) and a reason that the peer is told, of which 256
    /// bytes are sent. What was not acknowledged may be lost, [`Connection::finish`] is the way not
    /// to. What came before can still be received. After the end it does nothing.
    ///
    /// # Panics
    /// If the code is 2^62 or more, which no CLOSE can say.
    pub fn close(&self, code: u64, reason: &str) {
        assert!(code < 1 << 62, "the code of a close is below 2^62, and {code} is not");
        let _ = self.handle.mailbox.request(Request::Close { code, reason: reason.to_owned() });
    }

    /// Delivers what was sent, and what the peer has queued, and then ends it with code 0; nothing
    /// more can be sent meanwhile, on either side. Returns when the peer has confirmed the end, or
    /// at the end of that time; the peer was sent the CLOSE then. Dropping the future changes
    /// nothing.
    ///
    /// # Errors
    /// [`Unfinished`] when not everything had a good end by then: a message that its class allowed
    /// to be dropped, and was, had one.
    pub async fn finish(&self, within: Duration) -> Result<(), Unfinished> {
        let _ = self.handle.mailbox.request(Request::Leave { within });
        // A confirmation that is not there when the time is up is not waited for. At the end the
        // CLOSE has left: the driver sends it before it reports the end.
        let confirmed = async {
            let closed = self.closed().await;
            self.handle.mailbox.released().await;
            closed
        };
        let closed = match tokio::time::timeout(within, confirmed).await {
            Ok(closed) => closed,
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

    /// Waits until it is over, and says why. Cancel-safe.
    pub async fn closed(&self) -> Closed {
        self.handle.mailbox.closed().await
    }
}

/// Is it the same connection?
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

/// A channel of a connection: an order of its own, and a priority. What waits on one for a lost
/// packet does not hold up another.
///
/// ```
/// # use hikyaku::{Delivery, Endpoint, Trust};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Endpoint::bind("127.0.0.1:0").await?;
/// # let client = Endpoint::client()?;
/// # let here = client.connect(server.local_addr(), Trust::AnyKey).await?;
/// # let there = server.accept().await.ok_or("closed")?;
/// const FILES: u16 = 1;
/// const CHAT: u16 = 2;
///
/// let files = here.channel(FILES);
/// files.set_priority(0); // only what the others leave room for
/// files.send(Delivery::Reliable, vec![0; 100_000]).await?;
/// here.channel(CHAT).send(Delivery::Ordered, "it is on its way").await?;
///
/// for _ in 0..2 {
///     let message = there.recv().await?;
///     match message.channel.0 {
///         FILES => assert_eq!(message.payload.len(), 100_000),
///         _ => {
///             assert_eq!(message.text()?, "it is on its way");
///             // An answer on the same channel.
///             there.channel(message.channel).send(Delivery::Ordered, "good").await?;
///         }
///     }
/// }
/// assert_eq!(here.recv().await?.channel.0, CHAT);
/// # Ok(())
/// # }
/// ```
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
    pub fn send<P: Into<Bytes>>(
        &self,
        delivery: Delivery,
        payload: P,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send + use<P> {
        self.clone().into_send(staged(self.id.0, delivery, payload.into(), false))
    }

    /// As [`Connection::try_send`], on this channel.
    ///
    /// # Errors
    /// As there.
    pub fn try_send(
        &self,
        delivery: Delivery,
        payload: impl Into<Bytes>,
    ) -> Result<Receipt, TrySendError> {
        self.connection.stage(staged(self.id.0, delivery, payload.into(), false))
    }

    /// The next message of this channel: for who has a task for each. From the first call on, until
    /// the end of the connection, [`Connection::recv`] gives out no message of this channel, those
    /// that wait included. Cancel-safe.
    ///
    /// Its messages wait for themselves, 256 KiB of them here and beyond that what
    /// [`TransportConfig::channel_credit`](crate::TransportConfig::channel_credit) allows: then the
    /// peer's `Ordered` and `Reliable` messages on this channel wait, and those on other channels
    /// do not, as long as [`TransportConfig::credit`](crate::TransportConfig::credit) is enough for
    /// all channels that nobody reads (four of them, if nothing was changed). The other classes
    /// share [`TransportConfig::pool`](crate::TransportConfig::pool), which a flood of `Unreliable`
    /// messages on a channel that nobody reads can fill.
    ///
    /// ```
    /// # use hikyaku::{Delivery, Endpoint, Trust};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Endpoint::bind("127.0.0.1:0").await?;
    /// # let client = Endpoint::client()?;
    /// # let here = client.connect(server.local_addr(), Trust::AnyKey).await?;
    /// # let there = server.accept().await.ok_or("closed")?;
    /// let sound = there.channel(2);
    /// let playing = tokio::spawn(async move { sound.recv().await });
    /// here.channel(1).send(Delivery::Ordered, "do you hear this?").await?;
    /// here.channel(2).send(Delivery::Unreliable, vec![0; 160]).await?;
    /// assert_eq!(playing.await??.payload, vec![0; 160]);
    /// assert_eq!(there.recv().await?.text()?, "do you hear this?");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub async fn recv(&self) -> Result<Message, Closed> {
        self.connection.handle.mailbox.recv(Some(self.id)).await
    }

    /// As [`Connection::recv_many`], of this channel alone: see [`Channel::recv`].
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub async fn recv_many(&self, into: &mut Vec<Message>, limit: usize) -> Result<usize, Closed> {
        let mailbox = &self.connection.handle.mailbox;
        mailbox.recv_with(Some(self.id), limit, |message| into.push(message)).await
    }

    /// As [`Connection::try_recv`], of this channel alone: see [`Channel::recv`].
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv(&self) -> Result<Option<Message>, Closed> {
        self.connection.handle.mailbox.try_recv(Some(self.id))
    }

    /// 0 to 7 (more counts as 7); messages of channels with a higher priority leave first. It is 3
    /// at first, and this side's own: the peer's messages have theirs.
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

const fn staged(channel: u16, delivery: Delivery, payload: Bytes, repeatable: bool) -> Staged {
    Staged { number: 0, channel: ChannelId(channel), delivery, payload, repeatable }
}
