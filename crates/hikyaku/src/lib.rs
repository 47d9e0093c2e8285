//! Messages over UDP: each arrives once, in order, unread by others, unaltered, or as its delivery
//! class says. Connections are encrypted and both sides prove who they are, with keys like ssh's;
//! there are no certificates.
//!
//! ```
//! use std::time::Duration;
//! use hikyaku::{Delivery, Endpoint, Trust};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server, which says the same back to whoever comes in.
//! let server = Endpoint::bind("127.0.0.1:0").await?;
//! let door = server.clone();
//! tokio::spawn(async move {
//!     while let Some(connection) = door.accept().await {
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
//! One is chosen for each message, and a connection takes them all at once:
//!
//! | [`Delivery`] | each message arrives | for | up to |
//! |---|---|---|---|
//! | `Ordered` | once, in the order sent on its channel | chat, commands, files | 16 MiB |
//! | `Reliable` | once, as soon as it is whole | events, parts of an upload | 16 MiB |
//! | `Latest` | or a newer one does, and never an old one after it | game state, sensors | 4 MiB |
//! | `Unreliable` | at most once, and is never sent again | questions, telemetry | 4 MiB |
//! | `Deadline(time)` | once if it can in that time, else not at all | sound, video | 4 MiB |
//!
//! A [`Channel`] is an order of its own, and a priority: what waits on one holds up no other.
//! 16 MiB is the default of [`TransportConfig::max_message`]; 4 MiB are less 64 bytes. A message
//! that is larger than the peer takes is refused by `send` ([`SendError::TooLarge`]).
//!
//! The folder `examples` has a program for each class, over a network that loses packets.
//!
//! # What to know
//!
//! - **Sending** returns when the message is queued. A full queue makes [`Connection::send`] wait
//!   and [`Connection::try_send`] fail; a peer that does not read fills it. Who does not care drops
//!   the [`Receipt`].
//! - **Receiving** is [`Connection::recv`], of all channels; it ends with [`Closed`], after the
//!   last message. A channel with a task of its own is read with [`Channel::recv`].
//! - **Silence** of 30 s ends a connection ([`Closed::Silent`]), also one where both sides have
//!   nothing to say. [`TransportConfig::keep_alive`] keeps it.
//! - **The end** is [`Connection::close`] or [`Endpoint::close`]. The endpoint works in a task of
//!   its own: with the runtime it ends at once, and the peer is told nothing.
//! - **Trust** is the dialler's question ([`Trust`]), and [`EndpointBuilder::allow_keys`] the
//!   server's. Without the latter anybody may come in: [`Connection::peer`] says who it is.
//! - **Every future is cancel-safe** unless its page says otherwise: in a `select!` nothing is lost
//!   with the branch that was not first.
//!
//! # Rooms
//!
//! Native: [`Endpoint`] dials and lets in, as [`EndpointBuilder`] says · [`Connection`] and
//! [`Channel`] send and receive · [`Receipt`] what became of a message · [`Trust`] whom to believe.
//!
//! Beneath: [`address`] what people type · [`identity`] our keys · [`signers`] keys of others ·
//! [`dialect`] who speaks the wrong one · [`known_hosts`] whose key is whose ·
//! [`filter`] networks · [`socket`] the operating system ·
//! [`interface`] the machine's networks · [`files`] small files · [`clock`] the only clock ·
//! [`limits`] every bound · [`batch`] received datagrams.
//!
//! # Features
//!
//! Both are on unless `default-features = false` is given.
//!
//! - `openssh`: key files, authorized-keys files and known hosts in OpenSSH's formats.
//! - `filter`: address filters ([`EndpointBuilder::filter`]).
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
mod shared;
#[cfg(test)]
mod simulation;
mod stats;
mod stray;
mod trust;
mod turns;
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
#[cfg(not(feature = "filter"))]
use host::filter;
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
