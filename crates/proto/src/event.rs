//! The output of an endpoint: transmits, events, statistics.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{error::Close, time::Time};
pub use crate::{
    message::receipt::{Outcome, QueueError, ReceiptId},
    recovery::ecn::EcnMark as Ecn,
};

/// A handle of a connection within its endpoint. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionHandle(pub(crate) u64);

impl ConnectionHandle {
    /// Returns its number in the endpoint.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The next output of an endpoint.
#[derive(Debug)]
pub enum Output {
    /// The buffer contains datagrams to send.
    Transmit(Transmit),
    /// An event for the application.
    Event(ConnectionHandle, Event),
    /// Nothing more to do until this deadline or the next input.
    Timeout(Option<(Time, Reason)>),
}

/// The reason for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The handshake takes too long (M-44).
    Handshake,
    /// Nothing was received for too long (M-61).
    Idle,
    /// A PING keeps the connection, and the NATs on its path, alive.
    KeepAlive,
    /// A packet becomes old enough to be declared lost.
    Loss,
    /// No acknowledgement arrived: an ack-eliciting packet is sent.
    Probe,
    /// An ACK has been delayed long enough.
    Ack,
    /// The pacer allows the next packet.
    Pacing,
    /// The keys before the last update are discarded (M-21).
    OldKeys,
    /// A new address of the peer has not answered (P-1).
    Path,
    /// A message has expired.
    Message,
    /// A graceful close has waited long enough (M-63).
    Close,
    /// A closed connection is forgotten (M-62).
    Forget,
    /// Memory that only a busy connection needs is released.
    ReleaseMemory,
}

/// A batch of datagrams in the buffer given to `poll_output`, each as long as a segment except the
/// last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The destination.
    pub to: SocketAddr,
    /// The local address to send from, if [`Datagram::local`](crate::Datagram::local) named one: an
    /// answer must come from the address that the request went to.
    pub local: Option<IpAddr>,
    /// The ECN codepoint for the IP headers.
    pub ecn: Option<Ecn>,
    /// The length of each datagram except the last, in bytes of UDP payload.
    pub segment_size: usize,
    /// The total length, at the front of the buffer. The bytes after it are unspecified, so that a
    /// reused buffer need not be cleared for each batch.
    pub len: usize,
}

/// An event of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer has connected and proved its identity, or sent 0-RTT after proving it in an earlier
    /// connection (`Connected` follows then).
    Incoming,
    /// A client was refused before it was connected, because of its key or otherwise; meant for a
    /// log. Reported only for validated addresses, so that nobody can fill the log with forged
    /// ones. The connection of the handle is closed.
    Refused {
        /// The address of the client.
        from: SocketAddr,
        /// The Ed25519 public key whose possession it has proved, if it got that far.
        key: Option<[u8; 32]>,
        /// The reason.
        reason: ClosedReason,
    },
    /// The handshake is complete: the peer has opened and sealed data.
    Connected {
        /// `true` if 0-RTT was offered and accepted.
        early_accepted: bool,
    },
    /// There are messages to receive, until `recv` returns `None`; or the peer waits for the room
    /// of messages that were taken from a [`ReceiveQueue`](crate::ReceiveQueue).
    Readable,
    /// A message of the size that was refused as `Full` would be accepted now.
    Writable,
    /// The outcome of a PING requested with `timed_ping`. A lost one may be reported twice: as
    /// lost, and later with the time it took.
    Pong {
        /// The value that `timed_ping` returned.
        asked: Time,
        /// The time it took; `None` if the PING or its answer was lost.
        took: Option<Duration>,
    },
    /// The outcome of a message.
    Receipt(ReceiptId, Outcome),
    /// The connection is closed. Receive any remaining messages now: it is forgotten soon.
    Closed(ClosedReason),
    /// After `Closed` with `Local` or `Error`: the peer has acknowledged the close, or does not
    /// answer.
    Drained,
}

/// The reason why a connection closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClosedReason {
    /// This side closed it.
    Local,
    /// The peer closed it.
    Peer(Close),
    /// The peer broke the protocol, or this side failed; the peer was notified.
    Error(Close),
    /// Nothing was received during the idle timeout.
    Idle,
    /// The peer has lost the connection's state (M-60): its idle timeout expired, or it restarted.
    Reset,
    /// The handshake took longer than 10 s (M-44).
    HandshakeTimeout,
    /// TLS completed in time, but no packet that the peer sealed with the data keys opened: the
    /// shared keys differ, or one side has none (M-10).
    SharedKey,
    /// The server does not support this version (M-30).
    VersionMismatch,
    /// Handling the connection panicked here, which is a fault of this crate or of a library below
    /// it. The connection is gone already, with the messages that were not received and the
    /// receipts that were not reported; the peer is not notified until it sends something, and gets
    /// a stateless reset then (M-60).
    Fault,
}

/// The reason why no connection could be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The endpoint has the maximum number of connections.
    #[error("the endpoint has reached its maximum number of connections")]
    TooMany,
    /// TLS could not begin.
    #[error("TLS could not begin")]
    Tls,
}

/// Statistics of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// The smoothed round-trip time; a default before the first sample.
    pub rtt: Duration,
    /// The largest datagram known to pass, in bytes of UDP payload.
    pub mtu: usize,
    /// The congestion window, in bytes.
    pub window: u64,
    /// Bytes sent and neither acknowledged nor lost.
    pub in_flight: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Bytes of UDP payload sent.
    pub sent_bytes: u64,
    /// Packets received and opened.
    pub received_packets: u64,
    /// Bytes of UDP payload in these packets.
    pub received_bytes: u64,
    /// Packets declared lost, including MTU probes.
    pub lost_packets: u64,
    /// Bytes of messages that were retransmitted: after their packets were declared lost, or
    /// earlier, in a probe or in the next packet. Some of the first copies may have
    /// arrived.
    pub resent_bytes: u64,
    /// The current rate limit of the congestion controller, in bytes of UDP payload per second.
    pub pacing_rate: u64,
    /// The rate at which packets arrived at the peer when last measured, in bytes of UDP payload
    /// per second (draft-ietf-ccwg-bbr, "Delivery Rate Samples"); 0 before. App-limited samples
    /// count only if they are higher.
    pub delivery_rate: u64,
    /// Bytes in the send queue, including 64 per message.
    pub queued_bytes: usize,
    /// The idle timeout that both ends agreed on (M-61). `None` means never.
    pub idle_timeout: Option<Duration>,
    /// Key updates begun on request in the sending direction.
    pub key_updates: u64,
}

/// Statistics of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtocolStats {
    /// All connections, including those being closed.
    pub connections: usize,
    /// Those among them that are incoming and whose handshake is incomplete.
    pub half_open: usize,
    /// The part of [`EndpointConfig::held_together`](crate::EndpointConfig::held_together) in use.
    pub held_together: u64,
    /// The modelled cost of all packets of connections, on which shares are based (M-67).
    pub work: Duration,
    /// Connections dropped because handling them panicked ([`ClosedReason::Fault`]).
    pub faults: u64,
    /// Packets discarded, by reason.
    pub discards: std::collections::BTreeMap<crate::error::Discard, u64>,
}
