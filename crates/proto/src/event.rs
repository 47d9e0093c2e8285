//! What an endpoint tells its driver.
//!
//! In: nothing. Out: values. Never: logic.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub use crate::{
    connection::timeout::Reason,
    message::receipt::{Outcome, Receipt, SendError},
    recovery::ecn::EcnMark as Ecn,
};
use crate::{error::Close, time::Time};

/// Names a connection of an endpoint. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionHandle(pub(crate) u64);

impl ConnectionHandle {
    /// Its number in the endpoint.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The next thing to do.
#[derive(Debug)]
pub enum Output {
    /// The buffer holds datagrams: send them.
    Transmit(Transmit),
    /// An application should hear this.
    Event(ConnectionHandle, Event),
    /// Nothing more to do before then, or before something comes.
    Timeout(Option<(Time, Reason)>),
}

/// A train of datagrams in the buffer that `poll_output` was given: each as long as a segment, but
/// the last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The own address to send from, where `handle_datagram_at` told one: an answer has to come
    /// from where the question went.
    pub local: Option<IpAddr>,
    /// How to mark the IP headers.
    pub ecn: Option<Ecn>,
    /// Of each datagram but the last, in bytes of UDP payload.
    pub segment_size: usize,
    /// Of all of them together, at the front of the buffer. What is behind them means nothing: a
    /// buffer that keeps its length is not filled with zeros for each train.
    pub len: usize,
}

/// Something happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer came in, and has proved who it is; or (`Connected` follows then) one that did so
    /// formerly sent 0-RTT.
    Incoming,
    /// A newcomer was turned away before it was in, by its key or otherwise: for a log alone. Only
    /// of those whose address is shown to be their own: nobody else writes lines there. The handle
    /// is of a connection that is over.
    Refused {
        /// Where it is.
        from: SocketAddr,
        /// The Ed25519 public key that it has proved to have, if it came so far.
        key: Option<[u8; 32]>,
        /// Why.
        reason: ClosedReason,
    },
    /// The handshake is complete: the peer has opened and sealed data. `early_accepted`: what was
    /// sent as 0-RTT arrived as that.
    Connected {
        /// Was 0-RTT offered and accepted?
        early_accepted: bool,
    },
    /// There are messages to receive, until `recv` has no more.
    Readable,
    /// A message of the size that was refused as `Full` would be taken now.
    Writable,
    /// What became of a PING that `timed_ping` asked for. A lost one may be told of twice: lost,
    /// and then after all how long it took.
    Pong {
        /// What `timed_ping` returned.
        asked: Time,
        /// How long it took; none when it, or the answer, was lost.
        took: Option<Duration>,
    },
    /// What became of a message.
    Receipt(Receipt, Outcome),
    /// It is over. Receive what came before it now: it is forgotten soon.
    Closed(ClosedReason),
    /// After `Closed` with `Local` or `Error`: the peer has heard that, or does not answer.
    Drained,
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClosedReason {
    /// This side closed it.
    Local,
    /// The peer closed it.
    Peer(Close),
    /// The peer broke the protocol, or this side failed; the peer was told so.
    Error(Close),
    /// Nothing came for the idle timeout.
    Idle,
    /// The peer has forgotten it (M-60): it heard nothing for the idle timeout, or was restarted.
    Reset,
    /// The handshake took longer than 10 s (M-44).
    HandshakeTimeout,
    /// In that time TLS completed, but nothing that the peer sealed with the data keys opened: the
    /// shared keys differ, or one side has none (M-10).
    SharedKey,
    /// The server does not speak this version (M-30).
    VersionMismatch,
}

/// Why there is no connection to dial with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// As many connections as the configuration allows.
    #[error("the endpoint has as many connections as it may")]
    TooMany,
    /// TLS could not begin.
    #[error("TLS could not begin")]
    Tls,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// The smoothed round-trip time; of the default before the first sample.
    pub rtt: Duration,
    /// The largest datagram that is known to pass, in bytes of UDP payload.
    pub mtu: usize,
    /// The congestion window, in bytes.
    pub window: u64,
    /// Bytes sent and not heard of.
    pub in_flight: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Bytes of UDP payload sent.
    pub sent_bytes: u64,
    /// Packets received and opened.
    pub received_packets: u64,
    /// Bytes of UDP payload of these.
    pub received_bytes: u64,
    /// Packets that were found lost, probes of the path's MTU among them.
    pub lost_packets: u64,
    /// Bytes of messages that were sent again, since packets that carried them were taken for
    /// lost. Of some the first copy arrived after all.
    pub resent_bytes: u64,
    /// How fast packets may leave at present, in bytes a second of UDP payload: what the
    /// congestion controller allows.
    pub pacing_rate: u64,
    /// How fast packets arrived at the peer when that could be told last, in bytes a second of UDP
    /// payload (draft-ietf-ccwg-bbr, "Delivery Rate Samples"); 0 before. What was sent while there
    /// was little to send counts only where it shows more.
    pub delivery_rate: u64,
    /// Bytes in the queue of messages to send, 64 for each message with them.
    pub queued_bytes: usize,
    /// Silence after which it is over: what both ends agreed on (M-61). None: never.
    pub idle_timeout: Option<Duration>,
    /// Key updates of the own direction that were asked for and begun.
    pub key_updates: u64,
}

/// What is known of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Connections, those that are being closed among them.
    pub connections: usize,
    /// Of these, those that came in and have not finished their handshake.
    pub half_open: usize,
    /// Of [`EndpointConfig::held_together`](crate::EndpointConfig::held_together) in use.
    pub held_together: u64,
    /// Packets discarded, by reason.
    pub discards: std::collections::BTreeMap<crate::error::Discard, u64>,
}
