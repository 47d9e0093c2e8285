//! An endpoint: routes datagrams to connections, admits clients, and merges all output.
//!
//! In: datagrams, time, calls to connect. Out: batches of datagrams, events, the next deadline.
//! Never: a socket, a clock, the protocol of one connection (`connection/`).
//!
//! The endpoint owns all connections, and nothing is sent between them.

// Longer than 400 lines: the public calls of an endpoint, and the one map that they all change.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use self::{
    faults::Faults,
    half_open::HalfOpen,
    resets::ResetIndex,
    shares::Shares,
    slot::{NEVER, Polled, Slot},
    slots::Slots,
    stateless::Stateless,
};
use crate::{
    config::EndpointConfig,
    connection::{
        Connection,
        handshake::IncomingHello,
        receive::{Arrival, Head},
    },
    crypto::{KeyPolicy, Side, packet::LevelKeys},
    error::{Close, Discard},
    event::{ConnectionHandle, DialError, Ecn, Output, ProtocolStats},
    limits::BASE_MTU,
    message::inbox::Rules,
    rng::Random,
    time::Time,
    wire::{
        header::{ConnectionId, Header, expand_number},
        level::Level,
    },
};

mod faults;
mod flood;
#[cfg(fuzzing)]
mod fuzzing;
mod half_open;
mod resets;
mod shares;
mod slot;
mod slots;
mod stateless;
#[cfg(test)]
mod tests;

/// Many connections over one socket, as a value.
pub struct Endpoint {
    config: Arc<EndpointConfig>,
    /// The rules shared by its connections for what they receive.
    rules: Arc<Rules>,
    random: Box<dyn Random>,
    stateless: Stateless,
    connections: Slots<Slot>,
    /// The connection for each local connection id.
    routes: BTreeMap<ConnectionId, ConnectionHandle>,
    /// The connection found last: most packets arrive in batches.
    last_route: Option<(ConnectionId, ConnectionHandle)>,
    /// Finds connections by stateless reset tokens, since a reset carries no id of ours.
    resets: ResetIndex,
    timers: BTreeSet<(Time, ConnectionHandle)>,
    /// Connections that may have output, each once.
    ready: VecDeque<ConnectionHandle>,
    /// Connections with output or input since the last [`Self::poll_changed`], each once; `None`
    /// until its first call.
    changed: Option<VecDeque<ConnectionHandle>>,
    half_open: HalfOpen,
    shares: Shares,
    faults: Faults,
    discards: BTreeMap<Discard, u64>,
    /// `false` while new clients must wait, see [`Self::set_admitting`].
    admitting: bool,
}

/// A received datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// The source address.
    pub from: SocketAddr,
    /// The local address that it was sent to, if that is known: answers are sent from there
    /// ([`Transmit::local`](crate::Transmit::local)).
    pub local: Option<IpAddr>,
    /// The ECN mark of its IP header.
    pub ecn: Option<Ecn>,
    /// The UDP payload. It is opened in place: its bytes are unspecified afterwards.
    pub bytes: &'a mut [u8],
}

impl<'a> Datagram<'a> {
    /// A datagram without an ECN mark, to an unknown local address.
    #[must_use]
    pub const fn new(from: SocketAddr, bytes: &'a mut [u8]) -> Self {
        Self { from, local: None, ecn: None, bytes }
    }
}

impl Endpoint {
    /// Creates an endpoint without connections.
    #[must_use]
    pub fn new(config: EndpointConfig, mut random: Box<dyn Random>) -> Self {
        Self {
            half_open: HalfOpen::new(&config),
            stateless: Stateless::new(&config, &mut *random),
            resets: ResetIndex::new(&mut *random),
            rules: Connection::rules(&config),
            config: Arc::new(config),
            random,
            connections: Slots::default(),
            routes: BTreeMap::new(),
            last_route: None,
            timers: BTreeSet::new(),
            ready: VecDeque::new(),
            changed: None,
            shares: Shares::default(),
            faults: Faults::default(),
            discards: BTreeMap::new(),
            admitting: true,
        }
    }

    /// Connects to `to`. Messages can be queued at once. `trust` selects the accepted keys.
    ///
    /// # Errors
    ///
    /// If there are too many connections, or TLS cannot begin.
    pub fn connect(
        &mut self,
        now: Time,
        to: SocketAddr,
        trust: KeyPolicy,
    ) -> Result<ConnectionHandle, DialError> {
        if self.connections.len() >= self.config.max_connections {
            return Err(DialError::TooMany);
        }
        self.config.crypto.set_time(now);
        let connection =
            Connection::dial(&self.config, &self.rules, now, to, trust, &mut *self.random)
                .map_err(|_| DialError::Tls)?;
        self.add(connection, [None; 2]).ok_or(DialError::TooMany)
    }

    /// Stops accepting clients. Closes incomplete handshakes, so that no connection appears later
    /// with messages that were acknowledged; established connections stay open.
    pub fn refuse_newcomers(&mut self, now: Time) {
        Arc::make_mut(&mut self.config).server = false;
        let half_open: Vec<_> = self.connections.handles().collect();
        for handle in half_open {
            let Some(slot) = self.connections.get_mut(handle) else { continue };
            let connection = &slot.connection;
            if slot.half_open.is_some() && !connection.is_established() && !connection.is_known() {
                slot.connection.close(now, Close::REFUSED, "the server is closing");
                self.after_packet(handle);
            }
        }
    }

    /// Sets whether clients are accepted. While they are not, their Hellos are discarded as
    /// [`Discard::Busy`], and the clients retry. For a driver whose application accepts more slowly
    /// than connections arrive.
    pub const fn set_admitting(&mut self, admitting: bool) {
        self.admitting = admitting;
    }

    /// Records how long the oldest of the datagrams that are handled next, at `now`, has waited,
    /// and how many there are. Returns `true` if the driver should call [`Endpoint::note_losses`]
    /// next, where the system counts losses; always `false` for an endpoint that accepts no
    /// clients, because a flood comes from strangers.
    ///
    /// While they wait too long in a flood, datagrams beyond their connection's share are discarded
    /// unopened ([`Discard::OverShare`]).
    pub fn note_backlog(&mut self, now: Time, waited: Duration, taken: usize) -> bool {
        let asks = self.shares.on_taken(now, waited, taken as u64);
        self.shares.begin_turn(now, waited);
        asks && self.config.server
    }

    /// Records how many datagrams the system has had to drop since the endpoint began, because they
    /// were not received in time.
    pub fn note_losses(&mut self, total: u64) {
        self.shares.on_losses(total);
    }

    /// Handles a received datagram; `poll_output` returns the results. Returns the reason if it was
    /// discarded.
    pub fn handle_datagram(&mut self, now: Time, datagram: Datagram<'_>) -> Option<Discard> {
        let Datagram { from, local, ecn, bytes } = datagram;
        let arrival = Arrival { now, from, local, ecn, bytes: bytes.len() };
        let discard = self.route(&arrival, bytes).err()?;
        *self.discards.entry(discard).or_default() += 1;
        Some(discard)
    }

    /// Passes the datagram to its connection, or handles it without one.
    fn route(&mut self, arrival: &Arrival, datagram: &mut [u8]) -> Result<(), Discard> {
        if let Some((to, head)) = Head::of_data(datagram)
            && let Some(handle) = self.find(to)
        {
            return self.deliver(arrival, handle, &head, datagram);
        }
        let (header, len) = Header::decode(datagram)?;
        let to = header.destination();
        let handle = self.find(to);
        if let Some(head) = Head::of(&header, len) {
            // M-32, for clients of a connection that may be this server's.
            let hello = head.level == Level::Hello;
            if let Some(handle) = handle {
                return self.deliver(arrival, handle, &head, datagram);
            }
            if hello {
                return self.on_first_hello(arrival, &head, datagram);
            }
            return match head.level {
                Level::Data => self.on_unknown_id(arrival, to, datagram),
                _ => Err(Discard::UnknownConnection),
            };
        }
        if let Header::OtherVersion { to, from, .. } = header {
            if !self.config.server {
                return Err(Discard::OtherVersion);
            }
            return self.stateless.send_versions(arrival, to, from);
        }
        let handle = handle.ok_or(Discard::UnknownConnection)?;
        self.step(handle, |slot, _| match header {
            Header::Retry { from, token, .. } => slot.connection.on_retry(from, token, datagram),
            Header::Versions { from, list, .. } => {
                slot.connection.on_versions(arrival.now, from, list)
            }
            _ => Err(Discard::Malformed),
        })
        .ok_or(Discard::UnknownConnection)??;
        self.touch(handle);
        Ok(())
    }

    fn find(&mut self, to: ConnectionId) -> Option<ConnectionHandle> {
        if let Some((id, handle)) = self.last_route
            && id == to
        {
            return Some(handle);
        }
        let handle = *self.routes.get(&to)?;
        self.last_route = Some((to, handle));
        Some(handle)
    }

    fn deliver(
        &mut self,
        arrival: &Arrival,
        handle: ConnectionHandle,
        head: &Head,
        datagram: &mut [u8],
    ) -> Result<(), Discard> {
        let slot = self.connections.get(handle).ok_or(Discard::UnknownConnection)?;
        if head.level == Level::Hello && !slot.connection.is_client() && datagram.len() < BASE_MTU {
            return Err(Discard::TooSmall); // M-32
        }
        if !self.shares.admits(slot.share, slot.standing()) {
            return Err(Discard::OverShare); // M-67
        }
        let received = self
            .step(handle, |slot, random| slot.connection.receive(arrival, head, datagram, random));
        let (Some(received), Some(slot)) = (received, self.connections.get_mut(handle)) else {
            return Ok(()); // It panicked.
        };
        let work = shares::work(arrival.bytes, received.unwrap_or_default());
        let standing = slot.standing();
        self.shares.charge(arrival.now, &mut slot.share, standing, work);
        received?;
        self.after_packet(handle);
        Ok(())
    }

    /// Handles a Hello that belongs to no connection.
    #[inline(never)]
    fn on_first_hello(
        &mut self,
        arrival: &Arrival,
        head: &Head,
        datagram: &mut [u8],
    ) -> Result<(), Discard> {
        if !self.config.server {
            return Err(Discard::UnknownConnection);
        }
        // Each new client may hold some memory regardless of the others (D-13).
        if !self.admitting || self.rules.budget.is_spent() {
            return Err(Discard::Busy);
        }
        if datagram.len() < BASE_MTU {
            return Err(Discard::TooSmall); // M-32
        }
        let Header::Long { to, from: source, token, .. } = Header::decode(datagram)?.0 else {
            return Err(Discard::Malformed);
        };
        let first = if token.is_empty() {
            let connections = self.connections.len();
            if self.half_open.needs_retry(self.config.retry, arrival.from, connections) {
                return self.stateless.send_retry(arrival, to, source, &mut *self.random);
            }
            None
        } else {
            Some(self.stateless.first_id(arrival, token, to)?)
        };
        // M-35
        let (from, validated) = (arrival.from, first.is_some());
        let oldest = self.half_open.check(arrival.now, from, validated, self.connections.len())?;
        // Nothing is kept for bytes that do not open.
        let keys = LevelKeys::hello(to.0, Side::Server);
        let number = expand_number(head.number, 0);
        let payload = keys.open.open(number, datagram, head.len)?;
        self.config.crypto.set_time(arrival.now);
        let id = ConnectionId(self.random.array());
        let token = self.stateless.reset_token(id);
        let hello = IncomingHello { from: arrival.from, to, source, first, id, token };
        let seed = u64::from_be_bytes(self.random.array());
        let connection =
            Connection::admit(&self.config, &self.rules, arrival.now, &hello, keys, seed)
                .map_err(|_| Discard::Busy)?;
        if let Some(oldest) = oldest {
            self.take(oldest);
        }
        let handle = self.add(connection, [Some(to), first]).ok_or(Discard::Busy)?;
        if let Some(slot) = self.connections.get_mut(handle) {
            slot.half_open =
                Some(Box::new(self.half_open.take(arrival.now, from, validated, handle)));
        }
        self.step(handle, |slot, random| {
            slot.connection.receive_opened(arrival, head, number, payload, random)
        });
        self.after_packet(handle);
        Ok(())
    }

    /// Handles a data packet for an unknown id: one end has lost its state (M-60).
    fn on_unknown_id(
        &mut self,
        arrival: &Arrival,
        to: ConnectionId,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        if let Some(handle) = self.resets.find(arrival.from, datagram)
            && self.step(handle, |slot, _| slot.connection.on_reset(arrival.now, datagram))
                == Some(true)
        {
            self.after_packet(handle);
            return Ok(());
        }
        self.stateless.reset(arrival, to, &mut *self.random)?;
        Err(Discard::UnknownConnection)
    }

    /// Handles all expired timers. Call it at the reported deadline; calling it earlier is
    /// harmless.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&(at, handle)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            self.step(handle, |slot, _| {
                slot.timer = None;
                slot.connection.handle_timeout(now);
            });
            self.after_packet(handle);
        }
    }

    /// Returns the next output. Call it until it returns `Timeout`. Datagrams are written to the
    /// front of `out` ([`Transmit::len`](crate::Transmit::len)), which grows as needed; pass the
    /// same buffer each time.
    pub fn poll_output(&mut self, now: Time, out: &mut Vec<u8>) -> Output {
        if let Some(transmit) = self.stateless.poll_reply(out) {
            return Output::Transmit(transmit);
        }
        loop {
            if let Some(fault) = self.poll_fault() {
                return fault;
            }
            let Some(handle) = self.ready.pop_front() else { break };
            match self.step(handle, |slot, _| slot.poll(now, out)) {
                Some(Polled::Transmit(transmit)) => {
                    // Serve the others first, so that a busy connection takes turns with them.
                    self.ready.push_back(handle);
                    return Output::Transmit(transmit);
                }
                Some(Polled::Event(event)) => {
                    self.ready.push_front(handle);
                    return Output::Event(handle, event);
                }
                Some(Polled::Nothing) => self.on_silent(handle),
                None => {}
            }
        }
        let next = self.timers.first().and_then(|(_, handle)| self.connections.get(*handle));
        Output::Timeout(next.and_then(|slot| slot.timer))
    }

    /// Returns a connection for the application's calls, or `None` once it is closed and forgotten.
    pub fn connection(&mut self, handle: ConnectionHandle) -> Option<&mut Connection> {
        self.touch(handle).map(|slot| &mut slot.connection)
    }

    /// Returns a shared reference to a connection, or `None` once it is closed and forgotten.
    #[must_use]
    pub fn peek(&self, handle: ConnectionHandle) -> Option<&Connection> {
        self.connections.get(handle).map(|slot| &slot.connection)
    }

    /// Returns the next connection whose statistics may have changed, once it has nothing to send
    /// or report for now. An owner that calls this must keep calling it.
    pub fn poll_changed(&mut self) -> Option<ConnectionHandle> {
        loop {
            let handle = self.changed.get_or_insert_default().pop_front()?;
            if let Some(slot) = self.connections.get_mut(handle) {
                slot.changed = false;
                return Some(handle);
            }
        }
    }

    /// Returns the number of connections, including those being closed.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Returns the number of incoming connections whose handshake is incomplete.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.half_open.len()
    }

    /// Returns the discarded packets, by reason.
    #[must_use]
    pub const fn discards(&self) -> &BTreeMap<Discard, u64> {
        &self.discards
    }

    /// Returns the statistics of the endpoint.
    #[must_use]
    pub fn stats(&self) -> ProtocolStats {
        ProtocolStats {
            connections: self.connections.len(),
            half_open: self.half_open.len(),
            held_together: self.rules.budget.taken(),
            work: self.shares.total(),
            faults: self.faults(),
            discards: self.discards.clone(),
        }
    }

    fn add(
        &mut self,
        connection: Connection,
        hellos: [Option<ConnectionId>; 2],
    ) -> Option<ConnectionHandle> {
        let handle = self.connections.insert(Box::new(Slot::new(connection, hellos)))?;
        let slot = self.connections.get(handle)?;
        for id in slot.connection.own_ids() {
            self.routes.insert(id, handle);
        }
        // Chosen by an unauthenticated peer: they replace no existing route.
        for id in hellos.into_iter().flatten() {
            self.routes.entry(id).or_insert(handle);
        }
        self.last_route = None;
        self.touch(handle);
        Some(handle)
    }

    fn touch(&mut self, handle: ConnectionHandle) -> Option<&mut Slot> {
        let slot = self.connections.get_mut(handle)?;
        slot.silent_at = NEVER;
        if !std::mem::replace(&mut slot.ready, true) {
            self.ready.push_back(handle);
        }
        Some(slot)
    }

    /// Updates the endpoint after a packet or timer may have changed a connection.
    fn after_packet(&mut self, handle: ConnectionHandle) {
        self.touch(handle);
        let Some(slot) = self.connections.get_mut(handle) else { return };
        let connection = &mut slot.connection;
        // M-35: a connection that ended before it was established keeps its slot until it is
        // forgotten, so that broken Hellos from forged addresses cannot make the server work
        // without end.
        match &slot.half_open {
            Some(half_open) if connection.is_established() => {
                self.half_open.release(half_open);
                slot.half_open = None;
            }
            Some(half_open) if connection.is_known() => self.half_open.protect(half_open),
            _ => {}
        }
        if connection.poll_reset_news() {
            let (remote, tokens) = (connection.remote(), connection.reset_tokens());
            self.resets.replace(handle, &mut slot.marks, remote, tokens);
        }
        while let Some(id) = connection.poll_gone_id() {
            self.routes.remove(&id);
            self.last_route = None;
        }
        while connection.wants_id() {
            let id = ConnectionId(self.random.array());
            connection.give_id(id, self.stateless.reset_token(id));
            self.routes.insert(id, handle);
        }
    }

    /// Sets the timer of a connection that has nothing more to do, or forgets it.
    fn on_silent(&mut self, handle: ConnectionHandle) {
        let Some(slot) = self.connections.get_mut(handle) else { return };
        slot.ready = false;
        if let Some(changed) = &mut self.changed
            && !std::mem::replace(&mut slot.changed, true)
        {
            changed.push_back(handle);
        }
        if slot.connection.is_forgotten() {
            self.take(handle);
            return;
        }
        let next = slot.connection.deadline();
        let old = std::mem::replace(&mut slot.timer, next);
        let (old, next) = (old.map(|(at, _)| at), next.map(|(at, _)| at));
        if old == next {
            return;
        }
        if let Some(old) = old {
            self.timers.remove(&(old, handle));
        }
        if let Some(next) = next {
            self.timers.insert((next, handle));
        }
    }

    /// Removes a connection.
    fn take(&mut self, handle: ConnectionHandle) -> Option<Box<Slot>> {
        let mut slot = self.connections.remove(handle)?;
        for id in slot.connection.own_ids().chain(slot.hellos.into_iter().flatten()) {
            if self.routes.get(&id) == Some(&handle) {
                self.routes.remove(&id);
            }
        }
        self.last_route = None;
        if let Some(half_open) = &slot.half_open {
            self.half_open.release(half_open);
        }
        self.resets.remove(handle, &mut slot.marks);
        if let Some((at, _)) = slot.timer {
            self.timers.remove(&(at, handle));
        }
        Some(slot)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("connections", &self.connections.len())
            .field("half_open", &self.half_open.len())
            .finish_non_exhaustive()
    }
}
