//! Every name of `hikyaku_proto` that the simulator uses.

use std::net::SocketAddr;

pub use hikyaku_proto::{
    ChannelId, Class, ClosedReason, Congestion, Connection, ConnectionHandle, Crypto, Datagram,
    Delivery, Ecn, Endpoint, EndpointConfig, Event, Message, Outcome, Outgoing, Output, QueueError,
    ReceiptId, Retry, Transmit, TransportConfig, error::Discard, time::Time,
};
use hikyaku_proto::{KeyPolicy, error::Close};

/// Connects to a server of any identity.
///
/// # Errors
/// A description of the failure.
pub fn dial(
    endpoint: &mut Endpoint,
    now: Time,
    to: SocketAddr,
) -> Result<ConnectionHandle, String> {
    endpoint
        .connect(now, to, KeyPolicy::AnyKey)
        .map_err(|error| format!("cannot connect: {error:?}"))
}

/// Returns an identity derived from `seed` that trusts anyone, with an optional shared key.
#[must_use]
pub fn crypto(seed: [u8; 32], shared: Option<[u8; 32]>) -> Crypto {
    let crypto = Crypto::new(&seed);
    match shared {
        Some(key) => crypto.with_shared_key(&key),
        None => crypto,
    }
}

/// The first application code, with which the simulator closes.
pub const APPLICATION_CLOSE: u64 = Close::APPLICATION;
