//! One connection: what it is made of, and what its owner may ask of it.
//!
//! In: calls of the application, datagrams, time (through `Endpoint`). Out: messages, events,
//! datagrams. Never: another connection, a socket, a clock.
//!
//! | file | what it holds |
//! |---|---|
//! | [`receive`] | the way in, from a datagram to what it changes |
//! | [`transmit`] | the way out, from what is owed and queued to a train of datagrams |
//! | [`handshake`] | from the first packet to data keys, in the order of the protocol |
//! | [`path`] | the peer's address, its change, its validation |
//! | [`timeout`] | the alarms, and what each does |
//! | [`closing`] | the end, in all its forms |
//!
//! Leaves of this room: [`ids`], [`mtu`], [`skipped_pn`], [`stream`].

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

/// A connection, as its endpoint lends it out. After any call that may give it something to send,
/// ask the endpoint's `poll_output` again.
pub struct Connection {
    config: Arc<EndpointConfig>,
    side: Side,
    state: State,
    created_at: Time,

    local: LocalIds,
    remote: RemoteIds,
    paths: Paths,

    /// Gone when TLS has no more to say.
    handshake: Option<Box<Handshake>>,
    keys: Option<DataKeys>,
    /// The peer's Finished was verified (server), or DONE came (client): both ends have data keys.
    confirmed: bool,
    peer_key: Option<[u8; 32]>,
    shares_application: bool,
    replay: ReplayWindow,

    /// The next packet's (M-2).
    next_number: u64,
    skipped_pn: SkippedPn,
    in_flight: InFlight,
    ack: PendingAcks,
    /// Gone while idle.
    report: Option<Box<Report>>,

    owed: Owed,
    graceful: GracefulClose,
    outbox: Outbox,
    inbox: Inbox,

    clocks: Clocks,
    told: Told,
    stats: Counters,
}

/// Frames that are to leave with the next packet, but for those that other rooms count.
#[derive(Debug, Default)]
struct Owed {
    ping: bool,
    /// The application asked then.
    timed_ping: Option<Time>,
    done: bool,
    /// Ack-eliciting packets that leave whatever the window says.
    probes: usize,
}

/// Points in time, see `timeout`.
#[derive(Debug, Default)]
struct Clocks {
    /// When a packet was last opened.
    heard_at: Time,
    /// When the first ack-eliciting packet after that left (M-61).
    spoke_at: Option<Time>,
    /// Silence after which it is over; none before the parameters are known means the own one.
    idle: Option<Duration>,
    /// The pacer lets the next packet leave then.
    paced_until: Option<Time>,
    /// What only a busy connection needs was given back.
    trimmed: bool,
}

/// What is only counted, for [`ConnectionStats`].
#[derive(Debug, Default)]
struct Counters {
    sent_packets: u64,
    sent_bytes: u64,
    received_packets: u64,
    received_bytes: u64,
    lost_packets: u64,
    /// Bytes a second.
    delivery_rate: u64,
    key_updates: u64,
}

impl Counters {
    fn on_sample(&mut self, sample: &AckSample) {
        // Who had little to send shows little of what the path carries.
        let shown = |rate: &u64| !sample.app_limited || *rate > self.delivery_rate;
        if let Some(rate) = sample.delivery_rate.filter(shown) {
            self.delivery_rate = rate;
        }
    }
}

/// What the application was told, and is to be told.
#[derive(Debug, Default)]
struct Told {
    events: VecDeque<Event>,
    readable: bool,
    /// Server: the application knows of the connection.
    incoming: bool,
}

impl Connection {
    /// What both sides begin with. `id` is the own one, `peer` what packets are for at first.
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
            owed: Owed::default(),
            graceful: GracefulClose::default(),
            outbox: Outbox::new(transport.send_queue),
            inbox: Inbox::new(rules),
            clocks: Clocks { heard_at: now, idle: transport.idle_timeout, ..Clocks::default() },
            told: Told::default(),
            stats: Counters::default(),
            config,
        }
    }

    /// What holds for what all connections of an endpoint receive.
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
        let delivery = self.less_the_way(message.delivery);
        let receipt = self.outbox.push(now, Outgoing { delivery, ..message })?;
        self.clocks.trimmed = false;
        Ok(receipt)
    }

    /// D-7: of the time that a Deadline message has, the way takes its share. When it takes all,
    /// the message is given up, and a PING asks whether the way is still as long.
    fn less_the_way(&mut self, delivery: Delivery) -> Delivery {
        let Delivery::Deadline(span) = delivery else { return delivery };
        let left = span.saturating_sub(self.paths.current.rtt.one_way());
        self.owed.ping |= left.is_zero() && !self.in_flight.is_waiting();
        Delivery::Deadline(left)
    }

    /// Takes the message that has waited longest: of `channel`, which is dedicated to its readers
    /// then, or of all channels that are not dedicated. Messages whose deadline is before `now`
    /// are dropped.
    pub fn recv(&mut self, now: Time, channel: Option<ChannelId>) -> Option<Message> {
        self.inbox.take(now, channel)
    }

    /// Accounts for the messages taken from `queue`, and moves all that can be taken to it: for a
    /// driver whose applications run elsewhere. Calls `arrived` for each message, with its
    /// channel if that is dedicated.
    ///
    /// Messages in the queue count as if they waited here (D-4, D-6) until they are taken and this
    /// is called again: call it at [`Event::Readable`], and when
    /// [`ReceiveQueue::owes_report`] returns `true`.
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

    /// The longest message of a class, in bytes, that the peer takes and the own queue holds. What
    /// the peer takes is known when the connection is established.
    #[must_use]
    pub fn max_message(&self, class: Class) -> usize {
        self.outbox.max_message(class)
    }

    /// What became of a message that was sent. Each is told here or as an event, never both: a
    /// driver that was given one as an event takes the rest here, which costs less.
    pub fn poll_receipt(&mut self) -> Option<(ReceiptId, Outcome)> {
        self.outbox.poll_receipt()
    }

    /// 0 to 7, 7 goes first (D-8); 3 at first.
    pub fn set_priority(&mut self, channel: ChannelId, priority: u8) {
        self.outbox.set_priority(channel, priority);
    }

    /// Asks the peer for a sign of life.
    pub fn ping(&mut self) {
        self.owed.ping = true;
    }

    /// Asks how long a PING takes there and its ACK back. `Pong` tells, with the point in time that
    /// this returns; calls before one has left are one.
    pub fn timed_ping(&mut self, now: Time) -> Time {
        *self.owed.timed_ping.get_or_insert(now)
    }

    /// Ends it at once. What was not acknowledged is `Unsent`.
    pub fn close(&mut self, now: Time, code: u64, reason: &str) {
        let close = Close { code, reason: reason.to_owned().into() };
        self.end(now, close, ClosedReason::Local);
    }

    /// Ends it when all that was queued has an outcome, here and, where the peer lives, there; or
    /// after `within` (M-63). Nothing more can be sent.
    pub fn close_gracefully(&mut self, now: Time, within: Duration) {
        if !self.state.is_over() {
            self.graceful.close_by(now + within);
            self.close_if_done(now);
        }
    }

    /// Changes the own direction's keys (M-20), if that is allowed now; says whether.
    pub fn update_keys(&mut self) -> bool {
        let began = self.confirmed && self.keys.as_mut().is_some_and(DataKeys::start_update);
        self.stats.key_updates += u64::from(began);
        began
    }

    /// Packets are for another of the peer's ids from now on, if it gave one: to be called when
    /// the own address changes on purpose (P-6). Says whether.
    pub fn take_new_id(&mut self) -> bool {
        self.confirmed && self.remote.take_another().unwrap_or(false)
    }

    /// The Ed25519 public key of the peer, once it has proved to have it.
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

    /// Where the peer is.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.paths.current.remote
    }

    /// Is the handshake complete, and the connection not over?
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// Has the application been told of it, or is it to be? A server's, that came in.
    pub(crate) const fn is_known(&self) -> bool {
        self.told.incoming
    }

    /// Did this side dial?
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.side == Side::Client
    }

    /// What is known of it.
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

    /// Returns the bytes queued to be sent, 64 for each message with them: those of each channel
    /// that has some, once for each delivery class.
    pub fn queued_by_channel(&self) -> impl Iterator<Item = (ChannelId, usize)> + '_ {
        self.outbox.queued_by_channel()
    }

    /// The next thing to tell the application.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        if let Some((receipt, outcome)) = self.outbox.poll_receipt() {
            return Some(Event::Receipt(receipt, outcome));
        }
        if !self.state.is_over() && self.outbox.poll_writable() {
            return Some(Event::Writable);
        }
        if let Some(Event::Incoming | Event::Connected { .. }) = self.told.events.front() {
            return self.told.events.pop_front();
        }
        if std::mem::take(&mut self.told.readable) {
            return Some(Event::Readable);
        }
        self.told.events.pop_front()
    }

    /// May it be forgotten?
    pub(crate) fn is_forgotten(&self) -> bool {
        let over = matches!(self.state, State::Over { .. });
        over && self.told.events.is_empty() && !self.inbox.has_ready()
    }

    /// Should the peer be given another connection id (P-6)?
    pub(crate) fn wants_id(&self) -> bool {
        matches!(self.state, State::Established) && self.local.wants_more()
    }

    /// An id under which packets do not come any more.
    pub(crate) fn poll_gone_id(&mut self) -> Option<ConnectionId> {
        self.local.poll_gone()
    }

    /// Another id for the peer to use, with its reset token.
    pub(crate) fn give_id(&mut self, id: ConnectionId, token: [u8; 16]) {
        self.local.give(id, crate::wire::frame::ResetToken(token));
    }

    /// Are the peer's reset tokens, or its address, others than when this was last asked?
    pub(crate) const fn poll_reset_news(&mut self) -> bool {
        self.remote.poll_news()
    }

    /// The tokens by which the peer can say that it forgot us (M-60).
    pub(crate) fn reset_tokens(&self) -> impl Iterator<Item = [u8; 16]> + '_ {
        self.remote.tokens().map(|token| token.0)
    }

    /// All ids under which packets may come.
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
