//! The configuration of an endpoint.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use hikyaku_proto::{ConfigError, Crypto, EndpointConfig, Retry, TransportConfig, rng::Random};
use tracing::{Instrument, info_span};
use zeroize::Zeroizing;

use crate::{
    driver::{Driver, DriverTask},
    endpoint::{Endpoint, Handle},
    host::{
        address::{Address, AddressError, Family},
        filter::Filter,
        socket::{BindError, Socket, SocketOptions},
    },
    keys::{
        files::FileError,
        identity::{Identity, KeyError, SharedKey},
        installation,
        key_log::KeyLogFile,
        signers::AuthorizedKeys,
    },
    port::Port,
    shared::Shared,
};

/// Configures an [`Endpoint`]. Created by [`Endpoint::builder`].
///
/// [`EndpointBuilder::bind`] opens a server, [`EndpointBuilder::client`] an endpoint that only
/// connects.
///
/// ```
/// # use hikyaku::{Endpoint, TransportConfig, identity::Identity, signers::AuthorizedKeys};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let friend = Identity::generate("friend")?.public();
/// let mut friends = AuthorizedKeys::default(); // or AuthorizedKeys::read(path)?
/// friends.insert(friend);
/// let server = Endpoint::builder()
///     .allow_keys(friends)
///     .transport(TransportConfig::default().keep_alive(Some(Duration::from_secs(10))))
///     .max_connections(1_000)
///     .bind("127.0.0.1:0")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is opened before `bind` or `client`"]
pub struct EndpointBuilder {
    seed: Option<Zeroizing<[u8; 32]>>,
    shared_key: Option<SharedKey>,
    allowed: Option<AuthorizedKeys>,
    filter: Filter,
    socket: SocketOptions,
    family: Option<Family>,
    transport: TransportConfig,
    retry: Retry,
    max_connections: Option<usize>,
    hold_together: Option<u64>,
    key_log: Option<PathBuf>,
    application: Option<String>,
}

/// Why an endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A field of the configuration is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The key could not be generated.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key log could not be opened.
    #[error(transparent)]
    KeyLog(#[from] FileError),
    /// There is no tokio runtime for its task.
    #[error(
        "there is no tokio runtime here: an endpoint works in a task of its own, so open it \
         within `Runtime::block_on`, `#[tokio::main]` or after `Runtime::enter`"
    )]
    NoRuntime,
}

impl Endpoint {
    /// Opens a server at an address as people write it: `192.0.2.2:5000`, `[::]:5000`, `:5000` for
    /// every address of this machine, port 0 for any free one ([`Endpoint::local_addr`]). A server
    /// can connect to others as well.
    ///
    /// Each call creates a new key, so clients that remember keys see a different server each time:
    /// [`EndpointBuilder::identity`] gives it a lasting one.
    ///
    /// # Errors
    /// [`StartError`]; [`StartError::NoRuntime`] outside a tokio runtime.
    pub async fn bind<A>(address: A) -> Result<Self, StartError>
    where
        A: TryInto<Address>,
        AddressError: From<A::Error>,
    {
        EndpointBuilder::new().bind(address).await
    }

    /// Opens an endpoint that only connects to others, from a port that the system chooses and with
    /// a new key. That is enough where the server accepts anyone. One endpoint serves many
    /// connections.
    ///
    /// # Errors
    /// [`StartError`]; [`StartError::NoRuntime`] outside a tokio runtime.
    pub fn client() -> Result<Self, StartError> {
        EndpointBuilder::new().client()
    }

    /// Returns a builder, to configure the key, limits or timeouts of an endpoint.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder::new()
    }
}

impl EndpointBuilder {
    fn new() -> Self {
        Self {
            seed: None,
            shared_key: None,
            allowed: None,
            filter: Filter::new(),
            socket: SocketOptions::default(),
            family: None,
            transport: TransportConfig::default(),
            retry: Retry::default(),
            max_connections: None,
            hold_together: None,
            key_log: None,
            application: None,
        }
    }

    /// Sets the key pair of the endpoint. By default the endpoint generates a new one.
    pub fn identity(mut self, identity: &Identity) -> Self {
        self.seed = Some(Zeroizing::new(*identity.seed()));
        self
    }

    /// Requires that peers have this key too, in addition to their own key pair.
    pub fn shared_key(mut self, key: SharedKey) -> Self {
        self.shared_key = Some(key);
        self
    }

    /// Accepts only connections from peers with one of these keys. For connections that this
    /// endpoint opens, [`Trust`](crate::Trust) decides.
    pub fn allow_keys(mut self, keys: AuthorizedKeys) -> Self {
        self.allowed = Some(keys);
        self
    }

    /// Drops datagrams from addresses that the filter does not allow, unread.
    #[cfg(feature = "filter")]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets how the socket is opened.
    pub fn socket(mut self, options: SocketOptions) -> Self {
        self.socket = options;
        self
    }

    /// Restricts the endpoint to IPv4 or IPv6, where a name or an address leaves that open.
    pub fn family(mut self, family: Option<Family>) -> Self {
        self.family = family;
        self
    }

    /// Sets timeouts, queues, credit and congestion control of its connections. By default a
    /// connection ends after 30 s of silence, even if neither side had anything to say.
    pub fn transport(mut self, config: TransportConfig) -> Self {
        self.transport = config;
        self
    }

    /// Sets when new clients must first prove that they receive at their address.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Limits the number of connections; the default is 100,000.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = Some(count);
        self
    }

    /// Limits the bytes of received messages that all connections together hold until the
    /// application takes them, beyond 256 KiB of each; the default is 1 GiB. A message that arrives
    /// when there is no room is not acknowledged and is retransmitted later, so the limit must be
    /// at least twice the largest message. Memory use is up to twice the limit.
    pub fn hold_together(mut self, bytes: u64) -> Self {
        self.hold_together = Some(bytes);
        self
    }

    /// Names the application protocol and its version, such as `"board/2"`; only the first 64 bytes
    /// count. Ends that give the same name know so from the start
    /// ([`Connection::shares_application`](crate::Connection::shares_application)). A different
    /// name does not prevent a connection.
    pub fn application(mut self, name: &str) -> Self {
        self.application = Some(name.to_owned());
        self
    }

    /// Appends the secrets of all its connections to this file, in the NSS key log format; the file
    /// is created with mode 0600. Anyone who has it can decrypt all that is sent, unless a shared
    /// key protects it too.
    pub fn key_log(mut self, path: &Path) -> Self {
        self.key_log = Some(path.to_owned());
        self
    }

    /// Opens a server at `address` with this configuration, as [`Endpoint::bind`] does. It can
    /// connect to others as well. Of a name with several addresses, the first one that this machine
    /// can bind is used.
    ///
    /// # Errors
    /// [`StartError`]; [`StartError::NoRuntime`] outside a tokio runtime.
    pub async fn bind<A>(self, address: A) -> Result<Endpoint, StartError>
    where
        A: TryInto<Address>,
        AddressError: From<A::Error>,
    {
        let address = address.try_into().map_err(AddressError::from)?;
        require_runtime()?;
        let addresses = address.resolve_local(self.family).await?;
        self.open(&addresses, true)
    }

    /// Opens a server over a UDP socket that is already bound, such as one that a service manager
    /// passes at a restart. It also connects to others.
    ///
    /// # Errors
    /// [`StartError`]; [`StartError::NoRuntime`] outside a tokio runtime.
    pub fn serve_over(self, socket: std::net::UdpSocket) -> Result<Endpoint, StartError> {
        require_runtime()?;
        let options = SocketOptions { unfragmented: true, ..self.socket.clone() };
        let socket = Socket::adopt(socket, &options)?;
        self.start_over(Port::Udp(socket), true, Box::new(System))
    }

    /// Opens an endpoint with this configuration that only connects to others, from a port that the
    /// system chooses, as [`Endpoint::client`] does.
    ///
    /// # Errors
    /// [`StartError`]; [`StartError::NoRuntime`] outside a tokio runtime.
    pub fn client(self) -> Result<Endpoint, StartError> {
        require_runtime()?;
        let addresses = any_port(self.family);
        self.open(&addresses, false)
    }

    fn open(self, addresses: &[SocketAddr], server: bool) -> Result<Endpoint, StartError> {
        let options = SocketOptions { unfragmented: true, ..self.socket.clone() };
        let socket = Socket::bind(addresses, &options)?;
        if !server {
            // If the system has no such reports, a failing dial takes its full time.
            let _ = socket.report_transport_errors();
        }
        self.start_over(Port::Udp(socket), server, Box::new(System))
    }

    /// Starts the endpoint over an open port.
    pub(crate) fn start_over(
        self,
        port: Port,
        server: bool,
        random: Box<dyn Random>,
    ) -> Result<Endpoint, StartError> {
        // No peer can have known an endpoint with a new key before a restart.
        let lasts = self.seed.is_some();
        let seed = match self.seed {
            Some(seed) => seed,
            None => Zeroizing::new(*Identity::generate("")?.seed()),
        };
        let mut crypto = Crypto::new(&seed);
        let public = crypto.public_key();
        if let Some(key) = &self.shared_key {
            crypto = crypto.with_shared_key(key.as_bytes());
        }
        if let Some(allowed) = &self.allowed {
            let keys = allowed.iter().map(|signer| signer.key()).collect();
            crypto = crypto.accepting(hikyaku_proto::KeyPolicy::Pinned(keys));
        }
        if let Some(name) = &self.application {
            crypto = crypto.with_application(name);
        }
        if let Some(path) = &self.key_log {
            crypto = crypto.with_key_log(Arc::new(KeyLogFile::open(path)?));
        }
        let local = port.local_addr();
        let mut config = if server {
            let host = if lasts { reset_scope() } else { String::new() };
            EndpointConfig { host, ..EndpointConfig::server(crypto, local) }
        } else {
            EndpointConfig::client(crypto)
        };
        config.retry = self.retry;
        config.transport = self.transport;
        if let Some(count) = self.max_connections {
            config.max_connections = count;
        }
        if let Some(bytes) = self.hold_together {
            config.held_together = bytes;
        }
        config.validate()?;
        let handle = Handle {
            shared: Arc::new(Shared::new()),
            local,
            fingerprint: crate::keys::signers::Signer::from_key(&public)
                .expect("our own key is valid")
                .fingerprint(),
            family: self.family,
            receive_buffer: port.receive_buffer(),
        };
        let endpoint = hikyaku_proto::Endpoint::new(config, random);
        let span = info_span!("endpoint", %local);
        let shared = Arc::clone(&handle.shared);
        let driver = Driver::new(port, self.filter, endpoint, shared, span.clone());
        let task = DriverTask::new(driver, Arc::clone(&handle.shared.requests));
        tokio::spawn(task.instrument(span));
        Ok(Endpoint::new(handle))
    }
}

impl fmt::Debug for EndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder").finish_non_exhaustive()
    }
}

/// Fails outside a runtime, where sockets, timers and tasks would panic.
fn require_runtime() -> Result<(), StartError> {
    tokio::runtime::Handle::try_current().map(drop).map_err(|_| StartError::NoRuntime)
}

/// Returns the addresses for any port; an IPv6 socket includes IPv4.
fn any_port(family: Option<Family>) -> Vec<SocketAddr> {
    let v6 = SocketAddr::from(([0_u16; 8], 0));
    let v4 = SocketAddr::from(([0_u8; 4], 0));
    match family {
        Some(Family::V4) => vec![v4],
        Some(Family::V6) => vec![v6],
        None => vec![v6, v4],
    }
}

/// Returns what distinguishes our reset tokens from those of another endpoint with our identity at
/// the same address: the name of the machine, and a digest of the installation's secret, since a
/// configuration may be printed.
fn reset_scope() -> String {
    let secret = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        installation::reset_secret().as_bytes(),
    );
    format!("{} {}", host_name(), data_encoding::HEXLOWER.encode(secret.as_ref()))
}

/// Returns the name of this machine. Several machines may share an identity, and listen on every
/// address.
#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// The operating system's randomness.
struct System;

impl Random for System {
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system gave randomness for the endpoint's key before");
    }
}
