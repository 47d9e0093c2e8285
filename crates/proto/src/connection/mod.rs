//! One connection: its state and its public methods.
//!
//! In: calls of the application, datagrams, time (through `Endpoint`). Out: messages, events,
//! datagrams. Never: another connection, a socket, a clock.
//!
//! | file | what it holds |
//! |---|---|
//! | [`receive`] | the receive path, from a datagram to what it changes |
//! | [`transmit`] | the send path, from pending frames and messages to a train of datagrams |
//! | [`handshake`] | from the first packet to data keys, in the order of the protocol |
//! | [`path`] | the peer's address, its change, its validation |
//! | [`timeout`] | the timers, and what each does |
//! | [`closing`] | the end, in all its forms |
//!
//! Helpers that call none of these: [`ids`], [`mtu`], [`skipped_pn`], [`stream`].

// Longer than 400 lines: the state of a connection and the rustdoc of its public methods.

use std::{collections::VecDeque, fmt, net::SocketAddr, sync::Arc, time::Duration};

use self::{
    closing::{GracefulClose, State},
    handshake::Handshake,
    ids::{LocalIds, RemoteIds},
    path::{Path, Paths},
    skipped_pn::SkippedPn,
};
use crate::{
    config::EndpointConfig,
    crypto::{Side, phases::DataKeys, replay::ReplayWindow},
    delivery::{ChannelId, Class, Delivery},
    error::Close,
    event::{ClosedReason, ConnectionStats, Event, Outcome, QueueError, ReceiptId},
    limits::{MAX_UNRELIABLE_WAIT, MIN_UNRELIABLE_WAIT},
    message::{
        Message,
        inbox::{Charge, Inbox, InboxConfig, Rules},
        outbox::Outbox,
        outgoing::{Outgoing, Refused},
        queue::ReceiveQueue,
    },
    recovery::{
        ack::PendingAcks,
        in_flight::InFlight,
        report::{AckSample, Report},
    },
    time::Time,
    wire::header::ConnectionId,
};

pub(crate) mod closing;
#[cfg(fuzzing)]
mod fuzzing;
pub(crate) mod handshake;
mod ids;
mod mtu;
mod path;
pub(crate) mod receive;
mod skipped_pn;
mod stream;
pub(crate) mod timeout;
mod transmit;

/// A connection, borrowed from its endpoint. After any call that may give it something to send,
/// call the endpoint's `poll_output` again.
pub struct Connection {
    config: Arc<EndpointConfig>,
    side: Side,
    state: State,
    created_at: Time,

    local: LocalIds,
    remote: RemoteIds,
    paths: Paths,

    /// `None` once TLS has nothing more to send or receive.
    handshake: Option<Box<Handshake>>,
    keys: Option<DataKeys>,
    /// The peer's Finished was verified (server), or DONE came (client): both ends have data keys.
    confirmed: bool,
    peer_key: Option<[u8; 32]>,
    shares_application: bool,
    replay: ReplayWindow,

    /// The number of the next packet (M-2).
    next_number: u64,
    skipped_pn: SkippedPn,
    in_flight: InFlight,
    ack: PendingAcks,
    /// `None` while idle.
    report: Option<Box<Report>>,

    pending: Pending,
    graceful: GracefulClose,
    outbox: Outbox,
    inbox: Inbox,

    clocks: Clocks,
    notices: Notices,
    stats: Counters,
}

/// Frames to send with the next packet, except those that other modules track.
#[derive(Debug, Default)]
struct Pending {
    ping: bool,
    /// When the application asked for it.
    timed_ping: Option<Time>,
    done: bool,
    /// Ack-eliciting packets to send regardless of the congestion window.
    probes: usize,
}

/// Points in time, see `timeout`.
#[derive(Debug, Default)]
struct Clocks {
    /// When a packet was last received and decrypted.
    last_received: Time,
    /// When the first ack-eliciting packet after that was sent (M-61).
    first_unanswered: Option<Time>,
    /// The idle timeout: the local one until the peer's parameters are known.
    idle: Option<Duration>,
    /// When the pacer allows the next packet.
    paced_until: Option<Time>,
    /// The memory that only a busy connection needs was released.
    trimmed: bool,
}

/// Counters for [`ConnectionStats`].
#[derive(Debug, Default)]
struct Counters {
    sent_packets: u64,
    sent_bytes: u64,
    received_packets: u64,
    received_bytes: u64,
    lost_packets: u64,
    /// Bytes per second.
    delivery_rate: u64,
    key_updates: u64,
}

impl Counters {
    fn on_sample(&mut self, sample: &AckSample) {
        // An application-limited sample is only a lower bound of the path's rate.
        let counts = |rate: &u64| !sample.app_limited || *rate > self.delivery_rate;
        if let Some(rate) = sample.delivery_rate.filter(counts) {
            self.delivery_rate = rate;
        }
    }
}

/// Events for the application that are not yet polled.
#[derive(Debug, Default)]
struct Notices {
    events: VecDeque<Event>,
    readable: bool,
    /// Server: the connection was reported to the application.
    incoming: bool,
}

impl Connection {
    /// Returns the initial state of both sides. `id` is the local connection id, `peer` the id that
    /// the first packets are addressed to.
    fn new(
        config: Arc<EndpointConfig>,
        rules: &Arc<Rules>,
        (side, now, seed): (Side, Time, u64),
        (id, peer): (ConnectionId, ConnectionId),
        remote: SocketAddr,
    ) -> Self {
        let transport = &config.transport;
        let path = Path::new(now, remote, transport, seed);
        Self {
            side,
            state: State::Handshaking,
            created_at: now,
            local: LocalIds::new(id),
            remote: RemoteIds::new(peer),
            paths: Paths::new(path, seed),
            handshake: None,
            keys: None,
            confirmed: false,
            peer_key: None,
            shares_application: false,
            replay: ReplayWindow::new(),
            next_number: 0,
            skipped_pn: SkippedPn::default(),
            in_flight: InFlight::new(),
            ack: PendingAcks::new(transport.max_ack_delay),
            report: None,
            pending: Pending::default(),
            graceful: GracefulClose::default(),
            outbox: Outbox::new(transport.send_queue),
            inbox: Inbox::new(rules),
            clocks: Clocks {
                last_received: now,
                idle: transport.idle_timeout,
                ..Clocks::default()
            },
            notices: Notices::default(),
            stats: Counters::default(),
            config,
        }
    }

    /// Returns the receive limits that all connections of an endpoint share.
    pub(crate) fn rules(config: &EndpointConfig) -> Arc<Rules> {
        let transport = &config.transport;
        let limit = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        let inbox = InboxConfig {
            credit: limit(transport.credit),
            channel_credit: limit(transport.channel_credit),
            max_message: limit(transport.max_message as u64),
            pool: limit(transport.pool as u64),
        };
        Rules::new(inbox, (config.held_each, config.held_together))
    }

    /// Queues a message. Its outcome comes as an event with the receipt that this returns.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`]: an event `Writable` comes when there is room. [`QueueError::TooLarge`]
    /// and [`QueueError::Closed`]: the message is never taken. The payload comes back.
    pub fn send(&mut self, now: Time, message: Outgoing) -> Result<ReceiptId, Refused> {
        if self.state.is_over() || self.graceful.refuses() {
            return Err(Refused { payload: message.payload, reason: QueueError::Closed });
        }
        if self.is_established() && message.delivery == Delivery::Unreliable {
            let rtt = self.paths.current.rtt.smoothed();
            self.outbox.set_patience(rtt.clamp(MIN_UNRELIABLE_WAIT, MAX_UNRELIABLE_WAIT));
        }
        let delivery = self.less_path_delay(message.delivery);
        let receipt = self.outbox.push(now, Outgoing { delivery, ..message })?;
        self.clocks.trimmed = false;
        Ok(receipt)
    }

    /// D-7: subtracts the one-way delay from the time that a Deadline message has. When none is
    /// left, the message is given up, and a PING measures whether the path is still as slow.
    fn less_path_delay(&mut self, delivery: Delivery) -> Delivery {
        let Delivery::Deadline(span) = delivery else { return delivery };
        let left = span.saturating_sub(self.paths.current.rtt.one_way());
        self.pending.ping |= left.is_zero() && !self.in_flight.is_waiting();
        Delivery::Deadline(left)
    }

    /// Returns the message that has waited longest: on `channel`, which becomes dedicated to its
    /// readers, or on all channels that are not dedicated. Drops messages whose deadline is before
    /// `now`.
    pub fn recv(&mut self, now: Time, channel: Option<ChannelId>) -> Option<Message> {
        self.inbox.take(now, channel)
    }

    /// Accounts for the messages taken from `queue`, and moves all that can be taken to it: for a
    /// driver whose applications run elsewhere. Calls `arrived` with each channel that is dedicated
    /// and on which messages arrived, and with `None` if some arrived on others.
    ///
    /// Messages in the queue count as if they waited here (D-4, D-6) until they are taken and this
    /// is called again: call it at [`Event::Readable`], and when
    /// [`ReceiveQueue::is_report_due`] returns `true`.
    pub fn exchange(
        &mut self,
        now: Time,
        queue: &mut ReceiveQueue,
        arrived: impl FnMut(Option<ChannelId>),
    ) {
        self.inbox.exchange(now, queue, arrived);
    }

    /// Charges the endpoint for all messages that were received and not taken, as long as the
    /// charge lives (D-13): for a driver that keeps them beyond the end of the connection.
    #[must_use]
    pub fn charge_unread(&self) -> Charge {
        self.inbox.charge_unread()
    }

    /// Returns the length in bytes of the longest message of a class that the peer accepts and the
    /// local queue holds. The peer's limit is known once the connection is established.
    #[must_use]
    pub fn max_message(&self, class: Class) -> usize {
        self.outbox.max_message(class)
    }

    /// Returns the next outcome of a message that was sent. Each outcome is returned here or as an
    /// event, never both: a driver that received one as an event takes the rest here, which costs
    /// less.
    pub fn poll_receipt(&mut self) -> Option<(ReceiptId, Outcome)> {
        self.outbox.poll_receipt()
    }

    /// Sets the priority of a channel: 0 to 7, where 7 is sent first (D-8). The default is 3.
    pub fn set_priority(&mut self, channel: ChannelId, priority: u8) {
        self.outbox.set_priority(channel, priority);
    }

    /// Sends a PING with the next packet.
    pub fn ping(&mut self) {
        self.pending.ping = true;
    }

    /// Measures the round trip of a PING and its ACK. The result is an [`Event::Pong`] that carries
    /// the point in time returned here. Calls before the PING is sent share one measurement.
    pub fn timed_ping(&mut self, now: Time) -> Time {
        *self.pending.timed_ping.get_or_insert(now)
    }

    /// Closes the connection immediately. Messages that were not acknowledged are `Unsent`.
    pub fn close(&mut self, now: Time, code: u64, reason: &str) {
        let close = Close { code, reason: reason.to_owned().into() };
        self.end(now, close, ClosedReason::Local);
    }

    /// Closes the connection once every queued message has an outcome, on both sides if the peer
    /// responds, or after `within` (M-63). Nothing more can be sent.
    pub fn close_gracefully(&mut self, now: Time, within: Duration) {
        if !self.state.is_over() {
            self.graceful.close_by(now + within);
            self.close_if_done(now);
        }
    }

    /// Starts a key update of the sending direction (M-20). Returns `false` if none is allowed now.
    pub fn update_keys(&mut self) -> bool {
        let began = self.confirmed && self.keys.as_mut().is_some_and(DataKeys::start_update);
        self.stats.key_updates += u64::from(began);
        began
    }

    /// Switches to another connection id of the peer. Call it when the local address changes on
    /// purpose (P-6). Returns `false` if the peer has provided no other id.
    pub fn take_new_id(&mut self) -> bool {
        self.confirmed && self.remote.take_another().unwrap_or(false)
    }

    /// Returns the Ed25519 public key of the peer, once the peer has proved that it holds the key.
    #[must_use]
    pub fn peer_key(&self) -> Option<[u8; 32]> {
        self.peer_key
    }

    /// Returns `true` if both ends named the same application protocol
    /// ([`Crypto::with_application`](crate::Crypto::with_application)). Known once the handshake is
    /// complete.
    #[must_use]
    pub const fn shares_application(&self) -> bool {
        self.shares_application
    }

    /// Returns the peer's address.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.paths.current.remote
    }

    /// Returns `true` if the handshake is complete and the connection is not closed.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// Returns `true` if this incoming connection was reported to the application, or is about to
    /// be.
    pub(crate) const fn is_known(&self) -> bool {
        self.notices.incoming
    }

    /// Returns `true` if this side opened the connection.
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.side == Side::Client
    }

    /// Returns the statistics of the connection.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        let (path, counted) = (&self.paths.current, &self.stats);
        ConnectionStats {
            rtt: path.rtt.smoothed(),
            mtu: path.mtu.current(),
            window: path.controller.window(),
            in_flight: self.in_flight.bytes_in_flight(),
            sent_packets: counted.sent_packets,
            sent_bytes: counted.sent_bytes,
            received_packets: counted.received_packets,
            received_bytes: counted.received_bytes,
            lost_packets: counted.lost_packets,
            resent_bytes: self.outbox.resent(),
            pacing_rate: path.pacer.rate(),
            delivery_rate: counted.delivery_rate,
            queued_bytes: self.outbox.queued(),
            idle_timeout: self.clocks.idle,
            key_updates: counted.key_updates,
        }
    }

    /// Returns the bytes queued to be sent per channel and delivery class, plus 64 for each
    /// message. Channels without queued messages are omitted.
    pub fn queued_by_channel(&self) -> impl Iterator<Item = (ChannelId, usize)> + '_ {
        self.outbox.queued_by_channel()
    }

    /// Returns the next event for the application.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        if let Some((receipt, outcome)) = self.outbox.poll_receipt() {
            return Some(Event::Receipt(receipt, outcome));
        }
        if !self.state.is_over() && self.outbox.poll_writable() {
            return Some(Event::Writable);
        }
        if let Some(Event::Incoming | Event::Connected { .. }) = self.notices.events.front() {
            return self.notices.events.pop_front();
        }
        if std::mem::take(&mut self.notices.readable) {
            return Some(Event::Readable);
        }
        self.notices.events.pop_front()
    }

    /// Returns `true` if the endpoint may drop the connection.
    pub(crate) fn is_forgotten(&self) -> bool {
        let over = matches!(self.state, State::Over { .. });
        over && self.notices.events.is_empty() && !self.inbox.has_ready()
    }

    /// Returns `true` if the peer should be given another connection id (P-6).
    pub(crate) fn wants_id(&self) -> bool {
        matches!(self.state, State::Established) && self.local.wants_more()
    }

    /// Returns the next id that the peer has retired.
    pub(crate) fn poll_gone_id(&mut self) -> Option<ConnectionId> {
        self.local.poll_gone()
    }

    /// Provides another connection id for the peer to use, with its reset token.
    pub(crate) fn give_id(&mut self, id: ConnectionId, token: [u8; 16]) {
        self.local.give(id, crate::wire::frame::ResetToken(token));
    }

    /// Returns `true` if the peer's reset tokens or its address changed since the last call.
    pub(crate) const fn poll_reset_news(&mut self) -> bool {
        self.remote.poll_news()
    }

    /// Returns the tokens that signal that the peer lost the connection (M-60).
    pub(crate) fn reset_tokens(&self) -> impl Iterator<Item = [u8; 16]> + '_ {
        self.remote.tokens().map(|token| token.0)
    }

    /// Returns all local ids under which packets may arrive.
    pub(crate) fn own_ids(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.local.all()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("side", &self.side)
            .field("state", &self.state)
            .field("remote", &self.remote())
            .finish_non_exhaustive()
    }
}
