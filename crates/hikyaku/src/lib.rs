//! Messages over UDP: each arrives once, in order, unread by others, unaltered, or as its delivery
//! class says. Connections are encrypted, and both sides prove their identity with keys like ssh's;
//! there are no certificates.
//!
//! ```
//! use std::time::Duration;
//! use hikyaku::{Delivery, Endpoint, Trust};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server that sends each message back.
//! let server = Endpoint::bind("127.0.0.1:0").await?;
//! let accepting = server.clone();
//! tokio::spawn(async move {
//!     while let Some(connection) = accepting.accept().await {
//!         tokio::spawn(async move {
//!             while let Ok(message) = connection.recv().await {
//!                 let queued = connection.send(Delivery::Ordered, message.payload).await;
//!                 if queued.is_err() {
//!                     break;
//!                 }
//!             }
//!         });
//!     }
//! });
//!
//! // A client, which was told the server's key.
//! let client = Endpoint::client()?;
//! let trust = Trust::pinned(server.fingerprint());
//! let connection = client.connect(server.local_addr(), trust).await?;
//!
//! let receipt = connection.send(Delivery::Ordered, "hello").await?; // it is queued
//! receipt.acknowledged().await?; // the server has it
//! let reply = connection.recv().await?;
//! assert_eq!(reply.text()?, "hello");
//!
//! // What was sent is delivered first. A program that ends without this may be too fast for it.
//! connection.close(Duration::from_secs(5)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Delivery classes
//!
//! Each message has one; one connection carries all of them:
//!
//! | [`Delivery`] | each message arrives | for | up to |
//! |---|---|---|---|
//! | `Ordered` | once, in the order sent on its channel | chat, commands, files | 16 MiB |
//! | `Reliable` | once, as soon as it is complete | events, questions, parts of an upload | 16 MiB
//! |
//! | `Latest` | or a newer one does, and never after a newer one | game state, sensors | 4 MiB |
//! | `Unreliable` | at most once, never sent again, and never waits long | telemetry | 4 MiB |
//! | `Deadline(time)` | once if it can in that time, otherwise not at all | sound, video | 4 MiB |
//!
//! Each [`Channel`] has an order and a priority of its own: a message that waits on one does not
//! delay the others. [`TransportConfig::max_message`] is 16 MiB by default; "4 MiB" is 64 bytes
//! less. A message that is larger than the peer accepts is refused by `send`
//! ([`SendError::TooLarge`]).
//!
//! The folder `examples` has a program for each class, over a network that loses packets, a sensor
//! that reconnects, and remote calls.
//!
//! # What to know
//!
//! - **Sending** returns when the message is queued. While the queue is full, because the network
//!   is slow or the peer does not read, [`Connection::send`] waits and [`Connection::try_send`]
//!   fails; [`Connection::queued_bytes`] returns how much is queued. Drop the [`Receipt`] if the
//!   outcome does not matter; [`Receipts`] awaits many.
//! - **Receiving** is [`Connection::recv`], for all channels. It returns [`Closed`] after the last
//!   message. A task that serves one channel calls [`Channel::recv`].
//! - **Silence** of 30 s ends a connection ([`Closed::Silent`]), even if neither side had anything
//!   to say. [`TransportConfig::keep_alive`] prevents that.
//! - **Closing** is up to the side that is done: [`Connection::close`], or [`Endpoint::close`] for
//!   all connections. The endpoint's task ends with its runtime, at once and without notice to the
//!   peer, so close first.
//! - **A connection stays open** while there is a handle to it; a task that only reads holds a
//!   [`WeakConnection`]. [`Endpoint::reconnecting`] connects again after one has ended.
//! - **Trust** has two sides: [`Trust`] selects the keys that a client accepts, and
//!   [`EndpointBuilder::allow_keys`] those that a server accepts. Without the latter anyone may
//!   connect; [`Endpoint::incoming`] decides for each connection, and [`Connection::peer`] returns
//!   the peer's key.
//! - **Every future is cancel-safe** unless its documentation says otherwise: `select!` loses
//!   nothing in the branches that were not first.
//!
//! # Modules
//!
//! [`address`] addresses as people write them · [`identity`] our keys · [`signers`] keys of others
//! · [`known_hosts`] keys of hosts · [`filter`] allow and deny rules · [`dialect`] recognises other
//! dialects · [`socket`] the operating system · [`interface`] network interfaces · [`batch`]
//! batches of datagrams · [`files`] small private files · [`clock`] the only clock · [`limits`]
//! every bound, with its reason.
//!
//! # Features
//!
//! The first two are on unless `default-features = false` is given.
//!
//! - `openssh`: key files, authorized-keys files and known hosts in OpenSSH's formats.
//! - `filter`: address filters ([`EndpointBuilder::filter`]).
//! - `futures`: a connection as a `Stream` and a `Sink` of messages (`Connection::messages`,
//!   `Connection::sink`).
//!
//! The other dialect, plain UDP, is the crate `hikyaku-plain`.

mod backoff;
mod builder;
mod byte_stream;
mod channel;
pub mod clock;
mod closed;
mod connection;
pub mod contain;
pub mod dialect;
mod driver;
mod endpoint;
mod host;
mod incoming;
mod keys;
pub mod limits;
mod mailbox;
#[cfg(feature = "futures")]
mod message_stream;
mod outcomes;
mod peer;
mod port;
mod queued;
mod receipt;
mod receipts;
mod received;
mod reconnect;
mod requests;
mod shared;
#[cfg(test)]
mod simulation;
mod stats;
mod stray;
mod trust;
mod turns;
mod wakes;
mod weak;

pub use backoff::Backoff;
pub use builder::{EndpointBuilder, StartError};
pub use byte_stream::ByteStream;
pub use bytes::Bytes;
pub use channel::Channel;
pub use closed::{Closed, NotDelivered, Refusal, SendError, TrySendError, Unfinished};
pub use connection::Connection;
pub use endpoint::{ConnectError, Endpoint};
pub use hikyaku_proto::{
    ChannelId, Class, ConfigError, Congestion, ConnectionStats, Delivery, Message, Outcome, Retry,
    TransportConfig,
    error::{Close, Discard},
};
#[cfg(feature = "filter")]
pub use host::filter;
pub use host::{address, batch, interface, socket};
pub use incoming::Incoming;
#[cfg(feature = "openssh")]
pub use keys::known_hosts;
pub use keys::{files, identity, signers};
#[cfg(feature = "futures")]
pub use message_stream::{MessageSink, Messages};
pub use receipt::{NoOutcome, Receipt};
pub use receipts::Receipts;
pub use reconnect::Reconnecting;
pub use stats::EndpointStats;
pub use stray::Astray;
pub use trust::{Trust, TrustError, Trusted};
pub use weak::WeakConnection;

/// Compiles the README's program.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
