//! A handle that does not keep its connection open.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use hikyaku_proto::Message;

use crate::{
    closed::Closed, connection::Connection, mailbox::Mailbox, shared::Established, trust::Trusted,
};

/// A handle to a [`Connection`] that does not keep it open, made by [`Connection::downgrade`]: for
/// a task that only reads, or a list of members.
///
/// When the last [`Connection`] and [`Channel`](crate::Channel) of it are dropped, the connection
/// is closed, and [`WeakConnection::recv`] ends with [`Closed`].
///
/// ```
/// # use hikyaku::{Delivery, Endpoint, Trust};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Endpoint::bind("127.0.0.1:0").await?;
/// # let client = Endpoint::client()?;
/// let connection = client.connect(server.local_addr(), Trust::AnyKey).await?;
/// let reader = connection.downgrade();
/// let reading = tokio::spawn(async move { while reader.recv().await.is_ok() {} });
/// connection.send(Delivery::Ordered, "hello").await?;
/// drop(connection); // the last handle: "hello" is delivered, and the connection closed
/// reading.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WeakConnection {
    mailbox: Arc<Mailbox>,
    handle: Weak<Established>,
    trusted: Trusted,
}

impl Connection {
    /// Returns a handle that does not keep the connection open, for example for a task that only
    /// reads.
    #[must_use]
    pub fn downgrade(&self) -> WeakConnection {
        let mailbox = Arc::clone(&self.handle.mailbox);
        let handle = Arc::downgrade(&self.handle);
        WeakConnection { mailbox, handle, trusted: self.trusted }
    }
}

impl WeakConnection {
    /// Returns the connection, or `None` if all other handles to it are gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Connection> {
        Some(Connection { handle: self.handle.upgrade()?, trusted: self.trusted })
    }

    /// Returns the number of the connection, as [`Connection::id`] does.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.mailbox.handle.number()
    }

    /// Receives the next message, as [`Connection::recv`] does. Cancel-safe. While this waits, the
    /// connection can be closed by dropping its last handle.
    ///
    /// # Errors
    /// [`Closed`] when the connection has ended. Messages that arrived before are received
    /// first, unless the connection ended because its last handle was dropped.
    pub async fn recv(&self) -> Result<Message, Closed> {
        self.mailbox.recv(None).await
    }

    /// Waits for a message, and receives up to `limit` that have arrived, as
    /// [`Connection::recv_many`] does. Cancel-safe.
    ///
    /// # Errors
    /// As [`WeakConnection::recv`].
    pub async fn recv_many(&self, into: &mut Vec<Message>, limit: usize) -> Result<usize, Closed> {
        self.mailbox.recv_with(None, limit, |message| into.push(message)).await
    }

    /// Waits until the connection has ended, and returns why. Cancel-safe.
    pub async fn closed(&self) -> Closed {
        self.mailbox.closed().await
    }
}

impl fmt::Debug for WeakConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeakConnection({} at {})", self.id(), self.mailbox.remote())
    }
}
