//! Carries data over UDP so that it arrives once, in order, unread by others, unaltered.
//!
//! Today the library speaks the *plain* dialect: one datagram is one message, as every UDP
//! program speaks it, with armour around each datagram where it is asked for. The native
//! protocol (connections, delivery classes, always encrypted) comes next.
//!
//! Send a message until it is acknowledged, encrypted with a key both sides hold:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use hikyaku::{
//!     filter::Filter,
//!     identity::SharedKey,
//!     plain::{Armour, PeerOptions, PlainListener, PlainPeer, RetryPolicy},
//!     socket::SocketOptions,
//! };
//!
//! let key = SharedKey::generate();
//! let any_port = ["127.0.0.1:0".parse()?];
//! let armour = Armour::new().shared_key(&key, None);
//! let mut listener =
//!     PlainListener::bind(&any_port, &SocketOptions::default(), armour, Filter::new())?;
//!
//! let target = vec![listener.local_addr()];
//! let armour = Armour::new().shared_key(&key, None);
//! let mut peer = PlainPeer::new(target, PeerOptions::default(), armour, Filter::new())?;
//! let sending = peer.send_acknowledged(b"hello", b"ACK", RetryPolicy::default(), |_, _| {});
//!
//! let answering = async {
//!     let hello = listener.recv().await?.next().unwrap().unwrap();
//!     assert_eq!(&*hello.payload, b"hello");
//!     let from = hello.from;
//!     listener.sender().send(b"ACK", from).await
//! };
//! let (acknowledged, answered) = tokio::join!(sending, answering);
//! assert_eq!(acknowledged?.tries, 1);
//! answered?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The rooms: [`address`] what people type · [`socket`] the operating system · [`plain`] the
//! dialect · [`identity`] keys · [`signers`] whom we accept · [`known_hosts`] whose key is whose ·
//! [`filter`] networks · [`files`] small files · [`interface`] the machine's networks · [`clock`]
//! the only clock · [`limits`] every bound.

pub mod address;
pub mod batch;
mod builder;
pub mod clock;
mod closed;
mod connection;
mod driver;
mod endpoint;
pub mod files;
pub mod filter;
pub mod identity;
pub mod interface;
mod key_error;
mod key_log;
pub mod known_hosts;
pub mod limits;
mod mailbox;
mod outcomes;
pub mod plain;
mod receipt;
mod shared;
pub mod signers;
pub mod socket;
mod stats;
mod trust;

pub use builder::{EndpointBuilder, StartError};
pub use closed::{Closed, NotDelivered, SendError, Unfinished};
pub use connection::{Channel, Connection};
pub use endpoint::{ConnectError, Endpoint};
pub use hikyaku_proto::{
    ChannelId, Class, Congestion, ConnectionStats, Delivery, Message, Outcome, Retry,
    TransportConfig,
    error::{Close, Discard},
};
pub use receipt::Receipt;
pub use stats::EndpointStats;
pub use trust::{Trust, TrustError, Trusted};
