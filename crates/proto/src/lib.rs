//! The native protocol of hikyaku as a value: no sockets, no clock, no threads. PROTOCOL.md
//! specifies it; this is the map.
//!
//! ```text
//! the way in                                          the way out
//!
//! driver ─▶ Endpoint::handle_datagram   endpoint      Connection::send ─▶ outbox.push
//!             │ wire: header → connection             driver ─▶ Endpoint::poll_output   endpoint
//!             ▼                                                   ▼
//!           Connection::receive         receive       Connection::transmit              transmit
//!             1 open    crypto, replay                  1 allow    window, pacer, limits
//!             2 parse   wire: whole or not at all       2 ack      ack
//!             3 apply   recovery, handshake, inbox      3 control  frames, TLS's bytes
//!             4 ack     ack                             4 messages outbox
//!             5 process losses, window, rate            5 seal     crypto
//!             6 events                                  6 record   in_flight
//! driver ◀── poll_output ── Event ─▶ Connection::recv driver ◀── Transmit { to, segment_size }
//! ```
//!
//! Four kinds of methods: `handle_*` take input from the driver, `poll_*` return output to it,
//! `on_*` notify one module of another's event, and plain verbs (`send`, `close`) serve the
//! application.
//!
//! Modules: `wire` the wire format · `crypto` keys and sealing · `recovery` loss detection and
//! congestion control · `message` the application's messages · `connection` all of them in order.

pub mod config;
pub mod error;
pub mod event;
pub mod limits;
pub mod rng;
pub mod time;

mod connection;
mod crypto;
mod delivery;
mod endpoint;
mod message;
mod recovery;
mod wire;

/// Entry points for the fuzzers of `fuzz/`, only in their builds.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::wire::fuzzing::{header, parameters, payload};
}

/// What messages carry.
pub use bytes::Bytes;
pub use config::{ConfigError, Congestion, EndpointConfig, Retry, TransportConfig};
pub use connection::Connection;
pub use crypto::{Crypto, KeyLog, KeyPolicy};
pub use delivery::{ChannelId, Class, Delivery};
pub use endpoint::{Datagram, Endpoint};
pub use event::{
    ClosedReason, ConnectionHandle, ConnectionStats, DialError, Ecn, Event, Outcome, Output,
    ProtocolStats, QueueError, Reason, ReceiptId, Transmit,
};
pub use message::{
    Message,
    compactor::Compactor,
    inbox::Charge,
    outgoing::{Outgoing, Refused},
    queue::ReceiveQueue,
};
pub use wire::header::opens_connection;
