//! A channel of a connection.

use std::future::Future;

use bytes::Bytes;
use hikyaku_proto::{ChannelId, Delivery, Message};

use crate::{
    closed::{Closed, SendError, TrySendError},
    connection::Connection,
    mailbox::{Request, Staged},
    receipt::Receipt,
    receipts::Receipts,
};

/// A channel of a [`Connection`]: an order of its own, and a priority. A message that waits for a
/// lost packet on one channel does not delay other channels.
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

impl Connection {
    /// Returns one of the 65,536 channels, by its number or that of a received message
    /// ([`Message::channel`]). Channels need no opening: the peer's [`Connection::recv`] receives
    /// the messages of all of them, except those that it reads with [`Channel::recv`].
    #[must_use]
    pub fn channel(&self, id: impl Into<ChannelId>) -> Channel {
        Channel { connection: self.clone(), id: id.into() }
    }
}

impl Channel {
    /// Queues a message on this channel, as [`Connection::send`] does on channel 0.
    ///
    /// # Errors
    /// As there.
    pub fn send<P: Into<Bytes>>(
        &self,
        delivery: Delivery,
        payload: P,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send + use<P> {
        self.connection.clone().into_send(Staged::new(self.id, delivery, payload.into()))
    }

    /// Queues messages on this channel, in order, as [`Connection::send_many`] does on channel 0.
    ///
    /// # Errors
    /// As there.
    pub async fn send_many<P: Into<Bytes>>(
        &self,
        delivery: Delivery,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<Receipts, SendError> {
        self.connection.send_many_on(self.id, delivery, payloads).await
    }

    /// Queues a message on this channel if there is room, as [`Connection::try_send`] does.
    ///
    /// # Errors
    /// As there.
    pub fn try_send(
        &self,
        delivery: Delivery,
        payload: impl Into<Bytes>,
    ) -> Result<Receipt, TrySendError> {
        self.connection.stage(Staged::new(self.id, delivery, payload.into()))
    }

    /// Receives the next message of this channel, for a program with one task per channel. The
    /// first call makes the channel *dedicated*: from then on [`Connection::recv`] receives none of
    /// its messages, not even those that are already waiting. Cancel-safe.
    ///
    /// A dedicated channel has a queue of its own: 256 KiB of messages here, and beyond that what
    /// [`TransportConfig::channel_credit`](crate::TransportConfig::channel_credit) allows. When
    /// both are full, the peer's `Ordered` and `Reliable` messages on this channel wait. Those on
    /// other channels do not, as long as
    /// [`TransportConfig::credit`](crate::TransportConfig::credit) is enough for all channels that
    /// nobody reads: four of them by default. The other classes share
    /// [`TransportConfig::pool`](crate::TransportConfig::pool), which a flood of `Unreliable`
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
        self.connection.mailbox().recv(Some(self.id)).await
    }

    /// Waits for a message of this channel, and receives up to `limit` that have arrived, as
    /// [`Connection::recv_many`] does. See [`Channel::recv`].
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub async fn recv_many(&self, into: &mut Vec<Message>, limit: usize) -> Result<usize, Closed> {
        let mailbox = &self.connection.mailbox();
        mailbox.recv_with(Some(self.id), limit, |message| into.push(message)).await
    }

    /// Receives the next message of this channel if one has arrived, without waiting. See
    /// [`Channel::recv`].
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub fn try_recv(&self) -> Result<Option<Message>, Closed> {
        self.connection.mailbox().try_recv(Some(self.id))
    }

    /// Receives the next message of this channel as [`Channel::recv`] does, and `Deadline` messages
    /// in the order in which they were sent: for sound, video and anything else that is played as
    /// it arrives. Cancel-safe.
    ///
    /// A message that overtook another waits for it, until shortly before its own deadline or that
    /// of one after it. Then it is returned, and a message that arrives after it is dropped:
    /// nothing is received out of order, and nothing waits longer than its sender allows. Messages
    /// that were lost or given up by their sender are skipped. Messages of other classes do not
    /// wait.
    ///
    /// The first call has the effect of [`Channel::keep_order`], and makes the channel dedicated.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use hikyaku::{Delivery, Endpoint, Trust};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Endpoint::bind("127.0.0.1:0").await?;
    /// # let client = Endpoint::client()?;
    /// # let here = client.connect(server.local_addr(), Trust::AnyKey).await?;
    /// # let there = server.accept().await.ok_or("closed")?;
    /// const SOUND: u16 = 2;
    /// let in_time = Delivery::Deadline(Duration::from_secs(5));
    /// for frame in 0..3_u8 {
    ///     here.channel(SOUND).send(in_time, vec![frame; 160]).await?;
    /// }
    /// let sound = there.channel(SOUND);
    /// for frame in 0..3_u8 {
    ///     assert_eq!(sound.recv_in_order().await?.payload, vec![frame; 160]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Connection::recv`].
    pub async fn recv_in_order(&self) -> Result<Message, Closed> {
        self.keep_order();
        self.recv().await
    }

    /// Keeps the `Deadline` messages of this channel in order from now on, for every call that
    /// receives them: see [`Channel::recv_in_order`]. Call it before the first of them is received;
    /// later, one of them may wait for others that were already received. A call that waits in
    /// order needs a Tokio runtime with timers.
    pub fn keep_order(&self) {
        self.connection.mailbox().keep_order(Some(self.id));
    }

    /// Sets the priority of what this side sends on the channel, from 0 to 7 (higher values count
    /// as 7). Messages of channels with a higher priority are sent first. The default is 3.
    pub fn set_priority(&self, priority: u8) {
        let request = Request::Priority(self.id, priority.min(7));
        let _ = self.connection.mailbox().request(request);
    }

    /// Returns the bytes of messages that are queued on this channel and have no outcome yet, as
    /// [`Connection::queued_bytes`] does for all channels.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.connection.mailbox().queued_bytes(Some(self.id))
    }

    /// Returns the number of the channel.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.id.0
    }
}
