//! The native protocol of hikyaku as a value: no sockets, no clock, no threads. PROTOCOL.md is its
//! law; this is its map.
//!
//! ```text
//! the way in                                          the way out
//!
//! driver ─▶ Endpoint::handle_datagram   endpoint      Connection::send ─▶ outbox.push
//!             │ wire: header → connection             driver ─▶ Endpoint::poll_output   endpoint
//!             ▼                                                   ▼
//!           Connection::receive         receive       Connection::transmit              transmit
//!             1 open    crypto, replay                  1 may we?  window, pacer, limits
//!             2 read    wire: whole or not at all       2 owe      ack
//!             3 apply   recovery, handshake, inbox      3 tell     frames, TLS's bytes
//!             4 owe     ack                             4 carry    outbox
//!             5 settle  losses, window, rate            5 seal     crypto
//!             6 tell    events                          6 remember in_flight
//! driver ◀── poll_output ── Event ─▶ Connection::recv driver ◀── Transmit { to, segment_size }
//! ```
//!
//! Four kinds of methods: `handle_*` the world pushes in, `poll_*` the world pulls out, `on_*` one
//! room tells another, and plain verbs (`send`, `close`) for the application.
//!
//! Rooms: `wire` bytes and values · `crypto` keys and sealed boxes · `recovery` what was lost, how
//! fast may we go · `message` what the application sees · `connection` all of them in one order.

pub mod config;
pub mod error;
pub mod event;
pub mod limits;
pub mod rng;
pub mod time;

mod connection;
mod crypto;
mod endpoint;
mod message;
mod recovery;
mod wire;

/// Doors for the fuzzers of `fuzz/`, in their builds alone.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::wire::fuzzing::{header, parameters, payload};
}

pub use config::{ConfigError, Congestion, EndpointConfig, Retry, TransportConfig};
pub use connection::Connection;
pub use crypto::{Crypto, KeyLog, Trust};
pub use endpoint::Endpoint;
pub use event::{
    ClosedReason, ConnectError, ConnectionHandle, ConnectionStats, Ecn, EndpointStats, Event,
    Outcome, Output, Reason, Receipt, SendError, Transmit,
};
pub use message::{
    Message,
    delivery::{ChannelId, Class, Delivery},
    inbox::Charge,
};
pub use wire::header::opens_connection;
