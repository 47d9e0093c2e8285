//! The handshake of a connection, from the first packet to data keys, in protocol order (section
//! 3).
//!
//! In: handshake bytes, Retry, Versions. Out: keys of each level, bytes for CRYPTO frames, the
//! peer's parameters. Never: packets as bytes.

// Longer than 400 lines: the steps of the handshake follow each other in protocol order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{Connection, closing::State, stream::CryptoStream};
use crate::{
    config::EndpointConfig,
    crypto::{
        KeyPolicy, Side,
        agreement::{Agreement, Outcome},
        cookie::is_retry_tag,
        packet::{LevelKeys, OpenKey, SealKey},
        replay::ReplayWindow,
    },
    error::{Close, Discard},
    event::Event,
    limits::{DEFAULT_IDLE_TIMEOUT, MAX_DATAGRAM, MOST_GRANTED_IDLE, TAG_LEN},
    message::{inbox::Rules, peer_limits::PeerLimits},
    rng::Random,
    time::Time,
    wire::{
        frame::ResetToken,
        header::{ConnectionId, VERSION, versions},
        level::Level,
        parameters::Parameters,
    },
};

/// The maximum length of a Retry's token: it must leave room for a Hello's frames (M-31).
const MAX_TOKEN: usize = 256;

/// The state that only a handshake needs.
pub(super) struct Handshake {
    agreement: Agreement,
    /// The streams of Hello, Handshake and Data.
    streams: [CryptoStream; 3],
    pub(super) hello: Option<LevelKeys>,
    pub(super) hello_replay: ReplayWindow,
    pub(super) handshake: Option<LevelKeys>,
    pub(super) early_seal: Option<SealKey>,
    pub(super) early_open: Option<OpenKey>,
    /// The token of the Retry that was followed, which later Hellos carry.
    pub(super) token: Vec<u8>,
    /// The destination of the client's first Hello.
    first_destination: ConnectionId,
    /// The source of the Retry that was followed.
    retry_source: Option<ConnectionId>,
    /// `true` once a packet of the peer was opened.
    heard: bool,
    /// When to give up because of an unauthenticated Versions packet, if nothing else arrives.
    mismatch_at: Option<Time>,
}

/// How long a server may contradict a Versions packet, which is not authenticated: two round trips
/// of the slowest paths (M-30).
const MISMATCH_PATIENCE: Duration = Duration::from_secs(2);

impl Handshake {
    /// Returns when the connection ends for lack of a common version.
    pub(super) fn mismatch_at(&self) -> Option<Time> {
        self.mismatch_at.filter(|_| !self.heard)
    }

    /// Returns the TLS stream of a level.
    pub(super) const fn stream(&mut self, level: Level) -> &mut CryptoStream {
        let [hello, handshake, data] = &mut self.streams;
        match level {
            Level::Hello => hello,
            Level::Handshake => handshake,
            Level::ZeroRtt | Level::Data => data,
        }
    }

    /// Returns the higher of Hello and Handshake for which there are keys.
    pub(super) const fn highest_level(&self) -> Option<Level> {
        match (&self.hello, &self.handshake) {
            (_, Some(_)) => Some(Level::Handshake),
            (Some(_), None) => Some(Level::Hello),
            (None, None) => None,
        }
    }
}

/// A Hello that a server accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IncomingHello {
    pub(crate) from: SocketAddr,
    /// The destination of this Hello, and its source.
    pub(crate) to: ConnectionId,
    pub(crate) source: ConnectionId,
    /// The destination of the first Hello, from a Retry's token, which validates the client's
    /// address.
    pub(crate) first: Option<ConnectionId>,
    /// The id that the server takes, and its reset token.
    pub(crate) id: ConnectionId,
    pub(crate) token: [u8; 16],
}

impl Connection {
    /// Step 1, client: creates a connection that sends a Hello to `to`.
    pub(crate) fn dial(
        config: &Arc<EndpointConfig>,
        rules: &Arc<Rules>,
        now: Time,
        to: SocketAddr,
        trust: KeyPolicy,
        random: &mut dyn Random,
    ) -> Result<Self, Close> {
        let (id, first) = (ConnectionId(random.array()), ConnectionId(random.array()));
        let seed = u64::from_be_bytes(random.array());
        let own = own_parameters(config, id);
        let agreement = Agreement::client(&config.crypto, to, trust, own.encode())?;
        let mut connection =
            Self::new(Arc::clone(config), rules, (Side::Client, now, seed), (id, first), to);
        let early_seal = agreement.zero_rtt_seal();
        let remembered = agreement.peer_params().map(Parameters::decode);
        let keys = LevelKeys::hello(first.0, Side::Client);
        let mut handshake = Handshake::new(agreement, keys, first);
        // M-36: under the limits that the server granted before.
        if let (Some(early), Some(Ok(remembered))) = (early_seal, remembered) {
            handshake.early_seal = Some(early);
            connection.outbox.set_peer_limits(peer_limits(&remembered));
        }
        connection.handshake = Some(Box::new(handshake));
        connection.advance(now)?;
        Ok(connection)
    }

    /// Step 1, server: accepts a Hello that was opened with `keys`.
    pub(crate) fn admit(
        config: &Arc<EndpointConfig>,
        rules: &Arc<Rules>,
        now: Time,
        newcomer: &IncomingHello,
        keys: LevelKeys,
        seed: u64,
    ) -> Result<Self, Close> {
        let IncomingHello { from, to, source, first, id, token } = *newcomer;
        let mut own = own_parameters(config, id);
        own.first_destination = Some(first.unwrap_or(to));
        own.retry_source = first.map(|_| to);
        own.reset_token = Some(ResetToken(token));
        let agreement = Agreement::server(&config.crypto, own.encode())?;
        let mut connection =
            Self::new(Arc::clone(config), rules, (Side::Server, now, seed), (id, source), from);
        connection.paths.current.validated = first.is_some(); // M-33
        connection.handshake = Some(Box::new(Handshake::new(agreement, keys, to)));
        Ok(connection)
    }

    /// Step 2, client: handles an unauthenticated claim that the server does not support this
    /// version (M-30).
    pub(crate) fn on_versions(
        &mut self,
        now: Time,
        from: ConnectionId,
        list: &[u8],
    ) -> Result<(), Discard> {
        let fresh = self.handshake.as_ref().filter(|handshake| !handshake.heard);
        let answers = self.side == Side::Client
            && fresh.is_some_and(|handshake| handshake.first_destination == from);
        if !answers || versions(list).any(|version| version == VERSION) {
            return Err(Discard::OtherVersion);
        }
        let handshake = self.handshake.as_mut().ok_or(Discard::NoKeys)?;
        handshake.mismatch_at.get_or_insert(now + MISMATCH_PATIENCE);
        Ok(())
    }

    /// Step 3, client: handles the server's request to validate our address (M-31).
    pub(crate) fn on_retry(
        &mut self,
        from: ConnectionId,
        token: &[u8],
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let fresh = self.handshake.as_mut().filter(|handshake| !handshake.heard);
        let Some(handshake) = fresh.filter(|_| self.side == Side::Client) else {
            return Err(Discard::NoKeys);
        };
        if token.len() > MAX_TOKEN {
            return Err(Discard::Malformed);
        }
        let (retry, tag) = datagram.split_last_chunk::<TAG_LEN>().ok_or(Discard::Malformed)?;
        if handshake.retry_source.is_some()
            || !is_retry_tag(handshake.first_destination.0, retry, tag)
        {
            return Err(Discard::Unauthentic);
        }
        handshake.retry_source = Some(from);
        handshake.token = token.to_vec();
        handshake.hello = Some(LevelKeys::hello(from.0, Side::Client));
        handshake.stream(Level::Hello).restart();
        self.remote.replace_first(from);
        self.in_flight.drop_level(Level::Hello);
        // The server did not keep the early data sent with the Hello, either.
        let had_early = handshake.early_seal.is_some();
        let remembered = handshake.agreement.peer_params().map(Parameters::decode);
        if let (true, Some(Ok(remembered))) = (had_early, remembered) {
            self.in_flight.drop_level(Level::ZeroRtt);
            self.outbox.requeue_all();
            self.outbox.set_peer_limits(peer_limits(&remembered));
        }
        Ok(())
    }

    /// Step 4: handles an opened handshake packet, in which a server announces its id.
    pub(super) fn on_long_packet(&mut self, level: Level, source: ConnectionId, from: SocketAddr) {
        let Some(handshake) = &mut self.handshake else { return };
        // Until TLS confirms one of them (M-34), take the latest: a server that restarted in
        // between has another id than the one that answered first.
        if self.side == Side::Client && self.keys.is_none() {
            self.remote.replace_first(source);
        }
        handshake.heard = true;
        if self.side == Side::Server && level == Level::Handshake {
            // M-33: a packet from elsewhere does not validate the address we answer to.
            self.paths.current.validated |= from == self.paths.current.remote;
            self.drop_level(Level::Hello); // M-13
        }
    }

    /// Step 5: handles a CRYPTO frame.
    pub(super) fn on_crypto(
        &mut self,
        now: Time,
        level: Level,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Close> {
        let Some(handshake) = &mut self.handshake else { return Ok(()) };
        handshake.stream(level).insert(offset, data)?;
        if let Some(bytes) = handshake.stream(level).pop() {
            handshake.agreement.read(level, &bytes)?;
            self.advance(now)?;
        }
        Ok(())
    }

    /// Step 6: sends TLS's output and takes new keys.
    fn advance(&mut self, now: Time) -> Result<(), Close> {
        let Some(handshake) = &mut self.handshake else { return Ok(()) };
        while let Some(outcome) = handshake.agreement.poll_outcome() {
            match outcome {
                Outcome::Bytes { level, bytes } => handshake.stream(level).push(&bytes),
                Outcome::HandshakeKeys(keys) => {
                    handshake.handshake = Some(keys);
                    handshake.early_open = handshake.agreement.zero_rtt_open();
                }
            }
        }
        if self.keys.is_none() && handshake.agreement.is_complete() {
            self.complete(now)?;
        }
        Ok(())
    }

    /// Step 7: completes the handshake after the peer's Finished was verified. Data keys now exist
    /// (M-11).
    fn complete(&mut self, now: Time) -> Result<(), Close> {
        let Some(handshake) = &mut self.handshake else { return Ok(()) };
        let agreement = &handshake.agreement;
        let wrong = || Close::new(Close::PARAMETER_ERROR, "the parameters are inconsistent");
        let theirs = agreement.peer_params().ok_or_else(wrong)?;
        let theirs = Parameters::decode(theirs).map_err(|_| wrong())?;
        // M-34: verifies that nobody changed the ids in transit.
        let (first, retry) = (handshake.first_destination, handshake.retry_source);
        let expected = match self.side {
            Side::Client => (Some(first), retry, true),
            Side::Server => (None, None, false),
        };
        let found = (theirs.first_destination, theirs.retry_source, theirs.reset_token.is_some());
        if found != expected || theirs.source != self.remote.current() {
            return Err(wrong());
        }
        let keys = agreement.data_keys(&self.config.crypto);
        let keys = keys.ok_or_else(|| Close::new(Close::INTERNAL, "no data keys"))?;
        self.keys = Some(keys);
        self.peer_key = agreement.peer_key();
        self.shares_application = agreement.shares_application();
        let early_offered = handshake.early_seal.take().is_some();
        if early_offered && agreement.early_accepted() != Some(true) {
            // M-37: send all of it again.
            self.in_flight.drop_level(Level::ZeroRtt);
            self.outbox.requeue_all();
        }
        self.paths.current.rtt.on_handshake(now.since(self.created_at));
        self.apply_parameters(&theirs);
        match self.side {
            // The server opens what the client sends now at once and need not wait for more.
            Side::Client => self.pending.ping = true,
            Side::Server => {
                self.confirmed = true;
                self.pending.done = true;
                self.drop_level(Level::Handshake); // M-13
            }
        }
        self.clocks.last_received = now;
        Ok(())
    }

    pub(super) fn apply_parameters(&mut self, theirs: &Parameters) {
        self.remote.set_first_token(theirs.reset_token);
        self.outbox.set_peer_limits(peer_limits(theirs));
        self.outbox.count_way(self.paths.current.rtt.one_way());
        self.in_flight.set_max_ack_delay(theirs.max_ack_delay);
        self.paths.set_mtu_limit(theirs.max_datagram);
        // M-61
        self.clocks.idle = agreed_idle(self.config.transport.idle_timeout, theirs.idle_timeout);
    }

    /// Step 8: handles the first opened data packet, which proves that both ends have the same keys
    /// (M-10).
    pub(super) fn on_data_packet(&mut self) {
        if !matches!(self.state, State::Handshaking) {
            return;
        }
        self.state = State::Established;
        let accepted = self.early_accepted();
        // A server whose client sent 0-RTT has reported it already.
        let connected = self.side == Side::Client || self.notices.incoming;
        self.notices.incoming = true;
        self.notices.events.push_back(if connected {
            Event::Connected { early_accepted: accepted }
        } else {
            Event::Incoming
        });
    }

    /// Returns the key that the peer has presented, accepted or not.
    pub(super) fn shown_key(&self) -> Option<[u8; 32]> {
        let handshake = self.handshake.as_ref();
        self.peer_key.or_else(|| handshake.and_then(|handshake| handshake.agreement.peer_key()))
    }

    fn early_accepted(&self) -> bool {
        let handshake = self.handshake.as_ref();
        handshake.is_some_and(|handshake| handshake.agreement.early_accepted() == Some(true))
    }

    /// Step 9, client: handles DONE. The server has our Finished.
    pub(super) fn on_done(&mut self) -> Result<(), Close> {
        if self.side == Side::Server {
            return Err(Close::violation("only a server sends DONE"));
        }
        if !self.confirmed {
            self.confirmed = true;
            self.drop_level(Level::Hello);
            self.drop_level(Level::Handshake);
        }
        Ok(())
    }

    /// Step 10: drops the handshake once nothing of it is outstanding.
    pub(super) fn end_handshake(&mut self) {
        let over = |handshake: &Handshake| {
            handshake.agreement.is_over()
                && handshake.streams.iter().all(CryptoStream::is_complete)
                && handshake.highest_level().is_none()
        };
        if self.confirmed && self.handshake.as_deref().is_some_and(over) {
            self.handshake = None;
        }
    }

    /// Drops the keys of a level and everything that was to be sent under them (M-13).
    pub(super) fn drop_level(&mut self, level: Level) {
        let Some(handshake) = &mut self.handshake else { return };
        let gone = match level {
            Level::Hello => handshake.hello.take().is_some(),
            Level::Handshake => handshake.handshake.take().is_some(),
            Level::ZeroRtt | Level::Data => false,
        };
        if gone {
            *handshake.stream(level) = CryptoStream::default();
            self.in_flight.drop_level(level);
            self.ack.drop_level(level);
        }
    }
}

impl Handshake {
    fn new(agreement: Agreement, keys: LevelKeys, first_destination: ConnectionId) -> Self {
        Self {
            agreement,
            streams: Default::default(),
            hello: Some(keys),
            hello_replay: ReplayWindow::new(),
            handshake: None,
            early_seal: None,
            early_open: None,
            token: Vec::new(),
            first_destination,
            retry_source: None,
            heard: false,
            mismatch_at: None,
        }
    }
}

fn own_parameters(config: &EndpointConfig, id: ConnectionId) -> Parameters {
    let transport = &config.transport;
    Parameters {
        idle_timeout: transport.idle_timeout,
        max_datagram: MAX_DATAGRAM,
        credit: transport.credit.min(u32::MAX.into()),
        channel_credit: transport.channel_credit.min(u32::MAX.into()),
        max_message: transport.max_message as u64,
        max_ack_delay: transport.max_ack_delay,
        ..Parameters::new(id)
    }
}

const fn peer_limits(theirs: &Parameters) -> PeerLimits {
    PeerLimits {
        credit: theirs.credit,
        channel_credit: theirs.channel_credit,
        max_message: theirs.max_message,
    }
}
/// Returns the smaller of two idle timeouts, except that a default timeout yields to a longer one,
/// within limits (M-61).
fn agreed_idle(own: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    let (Some(own), Some(other)) = (own, other) else { return own.or(other) };
    let (shorter, longer) = (own.min(other), own.max(other));
    let gives_way = shorter == DEFAULT_IDLE_TIMEOUT;
    Some(if gives_way { longer.min(MOST_GRANTED_IDLE.max(shorter)) } else { shorter })
}
