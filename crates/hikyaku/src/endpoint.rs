//! An endpoint, as an application holds it: connects to others and accepts connections.

// Longer than 400 lines: the rustdoc of the public methods and errors is more than half of it.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use hikyaku_proto::{DialError, error::Close};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    closed::{Closed, Refusal},
    connection::Connection,
    dialect::Dialect,
    host::{
        address::{Address, AddressError, Family},
        socket::Unreachable,
    },
    incoming::Incoming,
    keys::{host_name::host_name, signers::Fingerprint},
    limits::{LAST_PACKETS, NEXT_ADDRESS},
    shared::{Dial, Established, Shared, Unanswered},
    stats::EndpointStats,
    stray::Astray,
    trust::{Trust, TrustError, Trusted},
};

/// One socket with many connections, opened and accepted. Clones are handles to the same endpoint.
///
/// An endpoint works in a task of its own on the runtime it was opened on. Once no handle is left,
/// that task ends with the last connection. If the runtime ends first, nothing more is sent and no
/// peer is notified: call [`Endpoint::close`] before.
///
/// ```
/// # use hikyaku::{Endpoint, Trust, identity::Identity};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// // A server that keeps its key in a file, so that clients know it after a restart.
/// let identity = Identity::read_or_generate(&folder.join("server_key"), "my server")?;
/// let server = Endpoint::builder().identity(&identity).bind("127.0.0.1:0").await?;
/// println!("{} at {}", server.fingerprint(), server.local_addr());
///
/// // One client for any number of servers.
/// let client = Endpoint::client()?;
/// let ours = client.connect(server.local_addr(), Trust::pinned(identity.fingerprint())).await?;
/// let theirs = server.accept().await.ok_or("the server was closed")?;
/// assert_eq!(theirs.peer().fingerprint(), client.fingerprint());
///
/// // What was sent is delivered first, for a second at most.
/// server.close(Duration::from_secs(1)).await;
/// assert!(ours.closed().await.is_graceful());
/// assert!(server.accept().await.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint(Arc<Handle>);

pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) local: SocketAddr,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) family: Option<Family>,
    pub(crate) receive_buffer: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address could not be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The peer's key is not trusted.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// The peer does not accept our key.
    #[error("{to} does not accept our key ({ours})")]
    NotAllowed {
        /// The peer's address.
        to: SocketAddr,
        /// Our key.
        ours: Fingerprint,
    },
    /// The peer refused the connection.
    #[error("{to} refused the connection: {reason}")]
    Refused {
        /// The peer's address.
        to: SocketAddr,
        /// The peer's reason: not safe to print on a terminal.
        reason: String,
    },
    /// The peer proved its identity, but its shared key is not ours, or one side has none.
    #[error("{to} has another shared key, or one side has none")]
    SharedKey {
        /// The peer's address.
        to: SocketAddr,
    },
    /// The network reported that nothing listens there, or this system has no route to it.
    #[error("{to}: {source}")]
    Unreachable {
        /// The peer's address.
        to: SocketAddr,
        /// What was reported.
        source: Unreachable,
    },
    /// The peer answered that it speaks another dialect. That is unauthenticated: anyone can send
    /// it.
    #[error("{to} says that it speaks another dialect: {dialect}")]
    OtherDialect {
        /// The peer's address.
        to: SocketAddr,
        /// The dialect that it named.
        dialect: Dialect,
    },
    /// No answer arrived in time.
    #[error("no answer from {to}")]
    NoAnswer {
        /// The peer's address.
        to: SocketAddr,
    },
    /// The connection failed for another reason.
    #[error("{to}: {closed}")]
    Failed {
        /// The peer's address.
        to: SocketAddr,
        /// How it ended.
        closed: Closed,
    },
    /// The endpoint has reached its limit of connections.
    #[error("this endpoint has reached its maximum number of connections")]
    TooMany,
    /// The endpoint has ended.
    #[error("the endpoint has ended")]
    EndpointGone,
}

impl ConnectError {
    /// Returns `true` if another attempt may succeed: there was no answer, the peer refused for
    /// now, the name could not be looked up. Returns `false` for errors that a person must fix
    /// first, such as a key that is not accepted.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NoAnswer { .. }
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::TooMany
            // Anyone could have sent those answers.
            | Self::OtherDialect { .. } => true,
            Self::Address(error) => matches!(error, AddressError::Resolve { .. }),
            Self::Failed { closed, .. } => closed.is_retryable(),
            Self::Untrusted(_)
            | Self::NotAllowed { .. }
            | Self::SharedKey { .. }
            | Self::EndpointGone => false,
        }
    }
}

impl Endpoint {
    pub(crate) fn new(handle: Handle) -> Self {
        Self(Arc::new(handle))
    }

    /// Connects to `to` (text such as `host`, `host:port` or `:port` for this machine, or a
    /// [`SocketAddr`]), and waits until the peer has proved who it is and `trust` accepts its key.
    /// If a host has several addresses, each is tried 250 ms after the one before (RFC 8305), and
    /// the first that answers is used.
    ///
    /// If no peer answers, this fails after 10 s. For a shorter time, use a [`timeout`]: dropping
    /// the future cancels the attempt.
    ///
    /// # Errors
    /// [`ConnectError`]. No data of the application was sent in that case.
    pub async fn connect<A>(&self, to: A, trust: Trust) -> Result<Connection, ConnectError>
    where
        A: TryInto<Address>,
        AddressError: From<A::Error>,
    {
        let address = to.try_into().map_err(AddressError::from)?;
        let addresses = address.resolve(self.0.family).await?;
        let name = host_name(&address.host(), address.port());
        self.connect_to(&name, &addresses, trust).await
    }

    /// Connects as [`Endpoint::connect`] does, to addresses that were already looked up. `host` is
    /// the name under which known hosts remember the peer, as `host_name` writes it.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_to(
        &self,
        host: &str,
        addresses: &[SocketAddr],
        mut trust: Trust,
    ) -> Result<Connection, ConnectError> {
        let established = self.race(addresses).await?;
        let mailbox = Arc::clone(&established.mailbox);
        let connection = Connection::new(established, Trusted::Unchecked);
        match trust.judge(host, connection.peer()) {
            Ok(trusted) => Ok(connection.with(trusted)),
            Err(error) => {
                connection.abort(Close::REFUSED, "the key is not trusted");
                // The peer is notified even if the program then ends.
                let _ = timeout(NEXT_ADDRESS, mailbox.closed()).await;
                Err(error.into())
            }
        }
    }

    /// Returns the connection to the first of these addresses that answers.
    async fn race(&self, addresses: &[SocketAddr]) -> Result<Established, ConnectError> {
        let mut addresses = addresses.iter().copied();
        let mut dials = JoinSet::new();
        let mut first_error = None;
        loop {
            let next = addresses.next();
            if let Some(to) = next {
                let (shared, ours) = (Arc::clone(&self.0.shared), self.0.fingerprint);
                dials.spawn(async move { dial(&shared, to, ours).await });
            }
            tokio::select! {
                biased;
                done = dials.join_next() => match done {
                    Some(Ok(Ok(established))) => return Ok(established),
                    Some(Ok(Err(error))) => {
                        // A missing route for one address family does not matter if the other
                        // family has one.
                        if !matches!(&first_error, Some(first) if !is_local(first)) {
                            first_error = Some(error);
                        }
                    }
                    Some(Err(_)) => return Err(ConnectError::EndpointGone),
                    None => return Err(first_error.unwrap_or(ConnectError::EndpointGone)),
                },
                () = sleep(NEXT_ADDRESS), if next.is_some() => {}
            }
        }
    }

    /// Waits for the next incoming connection, whose peer has proved its identity, and accepts it.
    /// Returns `None` once the endpoint is closed. Cancel-safe.
    ///
    /// While 1,024 connections wait to be accepted, new clients get no answer and try again. Handle
    /// each connection in its own task, so that this loop stays fast.
    pub async fn accept(&self) -> Option<Connection> {
        Some(self.incoming().await?.accept())
    }

    /// Waits for the next incoming connection, as [`Endpoint::accept`] does, and lets the server
    /// accept or refuse it. Cancel-safe.
    pub async fn incoming(&self) -> Option<Incoming> {
        self.0.shared.accept().await.map(Incoming::new)
    }

    /// Waits for the next client that was refused during its handshake: because of its key, because
    /// the shared keys differ, or because the handshake failed. Returns `None` once the endpoint
    /// has ended. Cancel-safe.
    ///
    /// This is for a log. Only clients that have validated their address are reported, and only the
    /// newest 64 are kept; anyone with an address can make that log grow.
    pub async fn refused(&self) -> Option<Refusal> {
        self.0.shared.next_refusal().await
    }

    /// Waits for the next datagram that arrived in another dialect, such as a plain one, for a log.
    /// Returns `None` once the endpoint has ended. The oldest 64 are kept. Cancel-safe.
    pub async fn astray(&self) -> Option<Astray> {
        self.0.shared.next_astray().await
    }

    /// Returns the bound address, with the port that the system chose for 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    /// Returns the fingerprint of the endpoint's own key, as peers see it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// Returns the bytes of receive buffer that the kernel granted.
    #[must_use]
    pub fn receive_buffer(&self) -> usize {
        self.0.receive_buffer
    }

    /// Returns statistics from the last turn of the endpoint's task. After the end, the final
    /// values are returned.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        self.0.shared.stats()
    }

    /// Stops accepting connections, delivers what was sent on all of them, closes them with code 0,
    /// and ends. Returns when every peer has confirmed the end, or when the time is up, after a
    /// CLOSE was sent to every peer. If called more than once, the earliest deadline counts.
    /// Dropping the future changes nothing while the runtime lives.
    pub async fn close(&self, within: Duration) {
        let requests = &self.0.shared.requests;
        requests.close(within);
        if timeout(within, requests.ended()).await.is_err() {
            // The driver's own timer fires at the same time: let its packets be sent first.
            let _ = timeout(LAST_PACKETS, requests.closes_sent()).await;
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({} at {})", self.0.fingerprint, self.0.local)
    }
}

async fn dial(
    shared: &Shared,
    to: SocketAddr,
    ours: Fingerprint,
) -> Result<Established, ConnectError> {
    let (reply, answer) = oneshot::channel();
    shared.dial(Dial { to, reply });
    match answer.await {
        Err(_) => Err(ConnectError::EndpointGone),
        Ok(Ok(established)) => Ok(established),
        Ok(Err(Unanswered::Unreachable(source))) => Err(ConnectError::Unreachable { to, source }),
        Ok(Err(Unanswered::OtherDialect(dialect))) => {
            Err(ConnectError::OtherDialect { to, dialect })
        }
        Ok(Err(Unanswered::Dial(DialError::TooMany))) => Err(ConnectError::TooMany),
        Ok(Err(Unanswered::Dial(_))) => Err(ConnectError::EndpointGone),
        Ok(Err(Unanswered::Closed(closed))) => Err(explained(to, ours, closed)),
    }
}

/// Returns `true` if this system reported it, for an address it has no route to.
const fn is_local(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Unreachable { source, .. } if source.reporter.is_none())
}

fn explained(to: SocketAddr, ours: Fingerprint, closed: Closed) -> ConnectError {
    match closed {
        Closed::NoAnswer => ConnectError::NoAnswer { to },
        Closed::SharedKey => ConnectError::SharedKey { to },
        Closed::EndpointGone => ConnectError::EndpointGone,
        Closed::ByPeer { code: Close::ACCESS_DENIED, .. } => ConnectError::NotAllowed { to, ours },
        Closed::ByPeer { code: Close::REFUSED, reason } => ConnectError::Refused { to, reason },
        closed => ConnectError::Failed { to, closed },
    }
}
