//! An incoming connection that is not accepted yet.

use std::{fmt, net::SocketAddr};

use hikyaku_proto::error::Close;

use crate::{
    connection::Connection,
    keys::signers::{Fingerprint, Signer},
    mailbox::Request,
    shared::Established,
    trust::Trusted,
};

/// An incoming connection, which the server accepts or refuses: see [`Endpoint::incoming`]. Its
/// peer has proved its address and its key.
///
/// Dropping it refuses the connection with [`Close::REFUSED`].
///
/// To the peer the connection is already established: what it sends meanwhile is acknowledged, and
/// lost if the server refuses. To accept only known keys, use [`EndpointBuilder::allow_keys`],
/// which refuses others during their handshake; [`EndpointBuilder::filter`] drops datagrams by
/// address.
///
/// ```
/// # use hikyaku::{Close, Endpoint, Trust};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Endpoint::bind("127.0.0.1:0").await?;
/// # let client = Endpoint::client()?;
/// # let connection = client.connect(server.local_addr(), Trust::AnyKey).await?;
/// let banned = [client.fingerprint()];
/// if let Some(incoming) = server.incoming().await {
///     if banned.contains(&incoming.fingerprint()) {
///         incoming.refuse(Close::APPLICATION + 403, "you are banned");
///     } else {
///         let _connection = incoming.accept();
///     }
/// }
/// # let closed = connection.closed().await;
/// # assert_eq!(closed.code(), Some(Close::APPLICATION + 403));
/// # Ok(())
/// # }
/// ```
///
/// [`Endpoint::incoming`]: crate::Endpoint::incoming
/// [`EndpointBuilder::allow_keys`]: crate::EndpointBuilder::allow_keys
/// [`EndpointBuilder::filter`]: crate::EndpointBuilder::filter
#[must_use = "dropping it refuses the connection"]
pub struct Incoming {
    /// Until it is accepted or refused.
    established: Option<Established>,
}

impl Incoming {
    pub(crate) const fn new(established: Established) -> Self {
        Self { established: Some(established) }
    }

    fn established(&self) -> &Established {
        self.established.as_ref().expect("only consuming methods take it")
    }

    /// Returns the address of the peer.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        self.established().mailbox.remote()
    }

    /// Returns the peer's public key, which it has proved to hold.
    #[must_use]
    pub fn peer(&self) -> &Signer {
        &self.established().peer
    }

    /// Returns the fingerprint of the peer's key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.peer().fingerprint()
    }

    /// Returns `true` if both ends named the same application
    /// ([`EndpointBuilder::application`](crate::EndpointBuilder::application)).
    #[must_use]
    pub fn shares_application(&self) -> bool {
        self.established().shares_application
    }

    /// Accepts the connection.
    #[must_use]
    pub fn accept(mut self) -> Connection {
        let established = self.established.take().expect("it is taken once");
        Connection::new(established, Trusted::CameIn)
    }

    /// Refuses the connection. The peer receives the code ([`Close::REFUSED`], or one of the
    /// application's from [`Close::APPLICATION`] on) and the reason, of which at most 256 bytes are
    /// sent, as [`Closed::ByPeer`](crate::Closed::ByPeer).
    ///
    /// # Panics
    /// If the code is 2^62 or more, which no CLOSE frame can hold.
    pub fn refuse(mut self, code: u64, reason: &str) {
        self.close(code, reason);
    }

    fn close(&mut self, code: u64, reason: &str) {
        assert!(code < 1 << 62, "the code of a close is below 2^62, and {code} is not");
        if let Some(established) = self.established.take() {
            let reason = reason.to_owned();
            let _ = established.mailbox.request(Request::Close { code, reason });
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.close(Close::REFUSED, "not accepted");
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.established {
            Some(one) => write!(f, "Incoming({} at {})", self.fingerprint(), one.mailbox.remote()),
            None => f.write_str("Incoming"),
        }
    }
}
