//! DTLS 1.2 and 1.3 beneath the plain dialect: one datagram is one message, in an association.
//!
//! In: certificates, keys, datagrams. Out: what was in them; datagrams for peers. Never: a socket.
//!
//! ```text
//! way in:   socket ─▶ Hub: whose is it? ─▶ Association: Sieve ─ dimpl ─▶ payload ─▶ Gate
//! way out:  payload ─▶ Association: dimpl ─▶ socket
//! ```
//!
//! The state machine is `dimpl`'s. This module implements what it leaves to its user: which peer a
//! datagram is from (`hub`), handshake messages fragmented differently when resent (`sieve`), sizes
//! (`record`), trusted certificates (`trust`), and the end of an association (`association`).
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use hikyaku::{
//!     clock,
//!     filter::Filter,
//!     socket::SocketOptions,
//! };
//! use hikyaku_plain::{
//!     Armour, PeerOptions, PlainListener, PlainPeer,
//!     dtls::{Anchors, Certified, ClientConfig, MinVersion, ServerConfig},
//! };
//!
//! let own = Certified::generate(&["localhost".to_owned()], clock::wall())?;
//! let any_port = ["127.0.0.1:0".parse()?];
//! let options = SocketOptions::default();
//! let mut listener = PlainListener::bind(&any_port, &options, Armour::new(), Filter::new())?
//!     .speak_dtls(ServerConfig::new(&own, None, MinVersion::V1_2)?);
//!
//! let pinned = Anchors::pinned(vec![own.pin()]);
//! let config = ClientConfig::new("localhost", pinned, None, MinVersion::V1_2, clock::wall())?;
//! let to = vec![listener.local_addr()];
//! let mut peer = PlainPeer::new(to, PeerOptions::default(), Armour::new(), Filter::new())?
//!     .speak_dtls(config);
//!
//! let hearing = async {
//!     loop {
//!         // A batch may be empty: the listener then has something to tell of a peer.
//!         if let Some(first) = listener.recv().await?.next() {
//!             break std::io::Result::Ok(first.unwrap().payload.into_owned());
//!         }
//!     }
//! };
//! let (sent, heard) = tokio::join!(peer.send(b"hello"), hearing);
//! sent?;
//! assert_eq!(heard?, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod association;
mod attempts;
mod credentials;
mod ended;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hub;
mod pin;
mod record;
mod sieve;
#[cfg(test)]
mod tests;
mod trust;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use dimpl::{Config, Dtls, DtlsCertificate, PskResolver};
use rustls_pki_types::ServerName;
use zeroize::{Zeroize, Zeroizing};

pub(super) use self::{
    association::{Association, Event, NotSent},
    attempts::Attempts,
    hub::{Arrived, Hub},
};
pub use self::{
    credentials::{Certified, CredentialError, PreShared},
    ended::Ended,
    hub::Notice,
    pin::{Pin, PinError},
    trust::{Anchors, Problem, Refusal},
};
use crate::limits::{DTLS_HANDSHAKE_MTU, DTLS_HANDSHAKE_TIMEOUT};

/// The oldest version that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// DTLS 1.2 (RFC 6347), and 1.3 with peers that support it.
    #[default]
    V1_2,
    /// Only DTLS 1.3 (RFC 9147).
    V1_3,
}

/// The handshake configuration of a client.
#[derive(Clone, Debug)]
pub struct ClientConfig(Setup);

impl ClientConfig {
    /// Calls the server `name`, a host name or IP address that its certificate must be for, and
    /// trusts certificates as `anchors` says. `own` is presented to servers that ask for a
    /// certificate; without it they are presented an unknown one, which they will refuse.
    ///
    /// # Errors
    /// [`CredentialError::BadName`].
    pub fn new(
        name: &str,
        anchors: Anchors,
        own: Option<&Certified>,
        min: MinVersion,
        now: SystemTime,
    ) -> Result<Self, CredentialError> {
        let bad_name = |_| CredentialError::BadName(name.to_owned());
        let server = ServerName::try_from(name.to_owned()).map_err(bad_name)?;
        let certificate = match own {
            Some(own) => own.for_handshakes(),
            None => Certified::generate(&[], now)?.for_handshakes(),
        };
        let auth = Auth::Certificates { min, certificate, believed: Some(anchors) };
        Setup::new(auth, Some(server), Config::builder()).map(Self)
    }

    /// Uses a key that both sides know (DTLS 1.2, `PSK-AES128-CCM8`).
    ///
    /// # Errors
    /// When the state machine refuses it.
    pub fn with_shared_key(key: PreShared) -> Result<Self, CredentialError> {
        let identity = key.identity.clone();
        let config = Config::builder().with_psk_client(identity, Arc::new(OneKey(key)));
        Setup::new(Auth::SharedKey, None, config).map(Self)
    }

    /// Gives up a handshake after this time; the default and the maximum is 40 seconds.
    #[must_use]
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.0.patience = time.min(DTLS_HANDSHAKE_TIMEOUT);
        self
    }
}

/// The handshake configuration of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig(Setup);

impl ServerConfig {
    /// Presents `own`. With `clients`, accepts only clients whose certificates they trust.
    ///
    /// # Errors
    /// When the state machine refuses it.
    pub fn new(
        own: &Certified,
        clients: Option<Anchors>,
        min: MinVersion,
    ) -> Result<Self, CredentialError> {
        let config = Config::builder().require_client_certificate(clients.is_some());
        let certificate = own.for_handshakes();
        Setup::new(Auth::Certificates { min, certificate, believed: clients }, None, config)
            .map(Self)
    }

    /// Returns the SHA-256 of the certificate that it presents, if any.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        match &*self.0.auth {
            Auth::Certificates { certificate, .. } => Some(Pin::of(&certificate.certificate)),
            Auth::SharedKey => None,
        }
    }

    /// Uses a key that both sides know (DTLS 1.2, `PSK-AES128-CCM8`).
    ///
    /// # Errors
    /// When the state machine refuses it.
    pub fn with_shared_key(key: PreShared) -> Result<Self, CredentialError> {
        let config = Config::builder().with_psk_server(None, Arc::new(OneKey(key)));
        Setup::new(Auth::SharedKey, None, config).map(Self)
    }
}

/// The shared configuration of all associations of one side.
#[derive(Clone)]
struct Setup {
    config: Arc<Config>,
    auth: Arc<Auth>,
    /// The name that a client calls.
    server: Option<ServerName<'static>>,
    /// How long a client's handshake may take.
    patience: Duration,
}

enum Auth {
    Certificates { min: MinVersion, certificate: DtlsCertificate, believed: Option<Anchors> },
    SharedKey,
}

impl Drop for Auth {
    fn drop(&mut self) {
        if let Self::Certificates { certificate, .. } = self {
            certificate.private_key.zeroize();
        }
    }
}

impl Setup {
    fn new(
        auth: Auth,
        server: Option<ServerName<'static>>,
        config: dimpl::ConfigBuilder,
    ) -> Result<Self, CredentialError> {
        let config = config
            .mtu(DTLS_HANDSHAKE_MTU)
            .handshake_timeout(DTLS_HANDSHAKE_TIMEOUT)
            .flight_start_rto(FIRST_WAIT)
            .flight_retries(HANDSHAKE_RETRIES)
            .build()
            .map_err(|e| CredentialError::Generate(e.to_string()))?;
        let patience = DTLS_HANDSHAKE_TIMEOUT;
        Ok(Self { config: Arc::new(config), auth: Arc::new(auth), server, patience })
    }

    fn has_shared_key(&self) -> bool {
        matches!(*self.auth, Auth::SharedKey)
    }

    fn state_machine(&self, now: Instant) -> Dtls {
        let config = Arc::clone(&self.config);
        match &*self.auth {
            Auth::Certificates { min: MinVersion::V1_2, certificate, .. } => {
                Dtls::new_auto(config, certificate.clone(), now)
            }
            Auth::Certificates { min: MinVersion::V1_3, certificate, .. } => {
                Dtls::new_13(config, certificate.clone(), now)
            }
            Auth::SharedKey => Dtls::new_12_psk(config, now),
        }
    }

    /// Which certificates are trusted, if one is required.
    fn believed(&self) -> Option<&Anchors> {
        match &*self.auth {
            Auth::Certificates { believed, .. } => believed.as_ref(),
            Auth::SharedKey => None,
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("server", &self.server).finish_non_exhaustive()
    }
}

/// The first wait of a flight, doubled with each try. RFC 9147 section 5.8.2 recommends 1 s and
/// permits 400 ms for applications that cannot wait. A person does not want to, and under heavy
/// loss there is time for one more try.
const FIRST_WAIT: Duration = Duration::from_millis(400);

/// After 0.4, 0.8 … 12.8 seconds a flight has been sent seven times; the whole handshake may take
/// 40.
const HANDSHAKE_RETRIES: usize = 6;

struct OneKey(PreShared);

impl PskResolver for OneKey {
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        let key: &Zeroizing<Vec<u8>> = &self.0.key;
        (identity == self.0.identity).then(|| key.to_vec())
    }
}
