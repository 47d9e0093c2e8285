//! Configuration of an endpoint and its connections.

use std::{
    net::{Ipv6Addr, SocketAddr},
    time::Duration,
};

mod check;

pub use self::check::ConfigError;
pub use crate::recovery::congestion::Congestion;
use crate::{
    crypto::Crypto,
    limits::{DEFAULT_IDLE_TIMEOUT, MAX_DATAGRAM},
};

/// The configuration of an endpoint.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Its identity, the keys it accepts, and the shared key.
    pub crypto: Crypto,
    /// A server's own address: part of the key of stateless resets, so that one identity on two
    /// addresses does not reveal the tokens of one at the other (M-60). No other endpoint with the
    /// same identity may have the same address and `host`. With port 0 (the system's choice is not
    /// known yet) its resets do not survive a restart. Not used for routing.
    pub local: SocketAddr,
    /// The name of the machine, the other part of that key: many machines can share a wildcard
    /// address.
    pub host: String,
    /// Whether it accepts clients.
    pub server: bool,
    /// When clients must validate their address (M-31).
    pub retry: Retry,
    /// The maximum number of connections with an incomplete handshake (M-35). Server only.
    pub max_half_open: usize,
    /// The same per network (IPv4 /24, IPv6 /56), for clients with and without a token separately.
    /// `None` means a quarter of the total, at least 8. Raise it where many clients share one
    /// address, as behind a proxy.
    pub half_open_per_network: Option<usize>,
    /// The maximum number of connections of any kind, outgoing ones included.
    pub max_connections: usize,
    /// Bytes of messages not yet taken by the application that each connection may hold regardless
    /// of the others (D-13); a message counts as its length plus 64.
    pub held_each: u64,
    /// The same beyond that for all connections together. Once it is used up, further messages are
    /// not acknowledged and are retransmitted later. At least twice the largest message, which
    /// might otherwise never arrive. Memory use is up to twice both values.
    pub held_together: u64,
    /// The configuration of every connection.
    pub transport: TransportConfig,
}

impl EndpointConfig {
    /// Returns a configuration that only connects.
    #[must_use]
    pub fn client(crypto: Crypto) -> Self {
        Self {
            crypto,
            local: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            host: String::new(),
            server: false,
            retry: Retry::UnderLoad,
            max_half_open: 1_000,
            half_open_per_network: None,
            max_connections: 100_000,
            held_each: 256 << 10,
            held_together: 1 << 30,
            transport: TransportConfig::default(),
        }
    }

    /// Returns a configuration that accepts clients at `local`, and can connect.
    #[must_use]
    pub fn server(crypto: Crypto, local: SocketAddr) -> Self {
        Self { server: true, local, ..Self::client(crypto) }
    }
}

/// When a server makes clients validate their address, at the cost of one more round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// Never: a flood of forged addresses occupies all half-open slots.
    Never,
    /// When half of the half-open slots are occupied, or those of the client's network.
    #[default]
    UnderLoad,
    /// Always.
    Always,
}

/// Timeouts, queues, credit and congestion control of a connection. Each field has a setter of the
/// same name:
///
/// ```
/// # use hikyaku_proto::TransportConfig;
/// # use std::time::Duration;
/// let config = TransportConfig::default().keep_alive(Some(Duration::from_secs(10)));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// Silence after which the connection ends (M-61); `None` for never. The shorter timeout of the
    /// two ends applies, except that the default of 30 s yields to a longer time requested by the
    /// peer, up to 10 minutes:
    /// [`ConnectionStats::idle_timeout`](crate::ConnectionStats::idle_timeout) is the result.
    pub idle_timeout: Option<Duration>,
    /// Silence after which a PING is sent; at least 100 ms.
    pub keep_alive: Option<Duration>,
    /// The congestion control algorithm.
    pub congestion: Congestion,
    /// The largest message accepted, in bytes.
    pub max_message: usize,
    /// Bytes that may wait to be sent and acknowledged; each message counts 64 more. The messages
    /// of one class on one channel may occupy at most as much as is still free, so a single flow
    /// gets half of the queue.
    pub send_queue: usize,
    /// Bytes of Ordered and Reliable messages that the peer may send before they are taken (D-4);
    /// at most 2^32 − 1.
    pub credit: u64,
    /// The same for each channel.
    pub channel_credit: u64,
    /// The bytes that may wait in the other classes (D-6).
    pub pool: usize,
    /// The largest UDP payload to send, in bytes.
    pub max_mtu: usize,
    /// How long an ACK may wait, at most 16 s.
    pub max_ack_delay: Duration,
}

impl TransportConfig {
    /// Sets [`Self::idle_timeout`](field@Self::idle_timeout).
    #[must_use]
    pub const fn idle_timeout(mut self, idle_timeout: Option<Duration>) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Sets [`Self::keep_alive`](field@Self::keep_alive).
    #[must_use]
    pub const fn keep_alive(mut self, keep_alive: Option<Duration>) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// Sets [`Self::congestion`](field@Self::congestion).
    #[must_use]
    pub const fn congestion(mut self, congestion: Congestion) -> Self {
        self.congestion = congestion;
        self
    }

    /// Sets [`Self::max_message`](field@Self::max_message).
    #[must_use]
    pub const fn max_message(mut self, max_message: usize) -> Self {
        self.max_message = max_message;
        self
    }

    /// Sets [`Self::send_queue`](field@Self::send_queue).
    #[must_use]
    pub const fn send_queue(mut self, send_queue: usize) -> Self {
        self.send_queue = send_queue;
        self
    }

    /// Sets [`Self::credit`](field@Self::credit).
    #[must_use]
    pub const fn credit(mut self, credit: u64) -> Self {
        self.credit = credit;
        self
    }

    /// Sets [`Self::channel_credit`](field@Self::channel_credit).
    #[must_use]
    pub const fn channel_credit(mut self, channel_credit: u64) -> Self {
        self.channel_credit = channel_credit;
        self
    }

    /// Sets [`Self::pool`](field@Self::pool).
    #[must_use]
    pub const fn pool(mut self, pool: usize) -> Self {
        self.pool = pool;
        self
    }

    /// Sets [`Self::max_mtu`](field@Self::max_mtu).
    #[must_use]
    pub const fn max_mtu(mut self, max_mtu: usize) -> Self {
        self.max_mtu = max_mtu;
        self
    }

    /// Sets [`Self::max_ack_delay`](field@Self::max_ack_delay).
    #[must_use]
    pub const fn max_ack_delay(mut self, max_ack_delay: Duration) -> Self {
        self.max_ack_delay = max_ack_delay;
        self
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Some(DEFAULT_IDLE_TIMEOUT),
            keep_alive: None,
            congestion: Congestion::default(),
            max_message: 16 << 20,
            // Leaves room for a message of the largest size beside a channel that nobody reads.
            send_queue: 2 * ((16 << 20) + (64 << 10)),
            // A message and its overhead have to fit (D-4), or the largest could never arrive. A
            // channel that nobody reads must not block the others.
            credit: 4 * ((16 << 20) + (64 << 10)),
            channel_credit: (16 << 20) + (64 << 10),
            pool: crate::limits::UNCREDITED_POOL,
            max_mtu: MAX_DATAGRAM,
            max_ack_delay: Duration::from_millis(25),
        }
    }
}
