//! The front door: which connection a datagram is for, who may come in, what leaves, and when.
//!
//! In: datagrams, time, calls to dial. Out: trains of datagrams, events, the next deadline.
//! Never: a socket, a clock, what a connection does (`connection/`).
//!
//! One owner: all connections are here, and nothing is sent from one to the other.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use self::{
    places::{Place, Places},
    resets::{Marks, ResetIndex},
    slots::Slots,
    strangers::Strangers,
};
use crate::{
    config::EndpointConfig,
    connection::{
        Connection,
        handshake::Newcomer,
        receive::{Arrival, Head},
    },
    crypto::{Side, Trust, packet::LevelKeys},
    error::{Close, Discard},
    event::{ConnectError, ConnectionHandle, Ecn, EndpointStats, Output, Reason},
    limits::BASE_MTU,
    message::inbox::Rules,
    rng::Random,
    time::Time,
    wire::{
        header::{ConnectionId, Header, expand_number},
        level::Level,
    },
};

#[cfg(fuzzing)]
mod fuzzing;
mod places;
mod resets;
mod slots;
mod strangers;

/// Many connections over one socket, as a value.
pub struct Endpoint {
    config: Arc<EndpointConfig>,
    /// Of what its connections receive.
    rules: Arc<Rules>,
    random: Box<dyn Random>,
    strangers: Strangers,
    connections: Slots<Slot>,
    /// Under which ids packets come.
    routes: BTreeMap<ConnectionId, ConnectionHandle>,
    /// The one that was found last: most packets come in batches.
    last_route: Option<(ConnectionId, ConnectionHandle)>,
    /// By which tokens peers say that they forgot us: a reset names no id that we know.
    resets: ResetIndex,
    alarms: BTreeSet<(Time, ConnectionHandle)>,
    /// Those that may have something to say, each once.
    ready: VecDeque<ConnectionHandle>,
    places: Places,
    discards: BTreeMap<Discard, u64>,
    /// False while newcomers have to wait, see [`Self::set_admitting`].
    admitting: bool,
}

/// A connection, and what its endpoint knows of it.
struct Slot {
    connection: Connection,
    alarm: Option<(Time, Reason)>,
    ready: bool,
    /// It had nothing to send then, and nothing has changed since: a thousand receipts are told
    /// without asking it a thousand times.
    silent_at: Option<Time>,
    /// Until it is established; apart, since most are.
    place: Option<Box<Place>>,
    /// The tokens that its peer gave, as they stand in the index of resets.
    marks: Marks,
    /// The destinations of the client's Hellos, before and after a Retry. Its packets come under
    /// the last until it knows the own id; those that come late or twice open no other connection.
    hellos: [Option<ConnectionId>; 2],
}

impl Endpoint {
    /// An endpoint without connections.
    #[must_use]
    pub fn new(config: EndpointConfig, mut random: Box<dyn Random>) -> Self {
        Self {
            places: Places::new(&config),
            strangers: Strangers::new(&config, &mut *random),
            resets: ResetIndex::new(&mut *random),
            rules: Connection::rules(&config),
            config: Arc::new(config),
            random,
            connections: Slots::default(),
            routes: BTreeMap::new(),
            last_route: None,
            alarms: BTreeSet::new(),
            ready: VecDeque::new(),
            discards: BTreeMap::new(),
            admitting: true,
        }
    }

    /// Dials `to`. Messages can be queued at once. `trust` says which keys it may have.
    ///
    /// # Errors
    ///
    /// When there are too many connections, or TLS cannot begin.
    pub fn connect(
        &mut self,
        now: Time,
        to: SocketAddr,
        trust: Trust,
    ) -> Result<ConnectionHandle, ConnectError> {
        if self.connections.len() >= self.config.max_connections {
            return Err(ConnectError::TooMany);
        }
        self.config.crypto.set_time(now);
        let connection =
            Connection::dial(&self.config, &self.rules, now, to, trust, &mut *self.random)
                .map_err(|_| ConnectError::Tls)?;
        self.add(connection, [None; 2]).ok_or(ConnectError::TooMany)
    }

    /// Lets nobody in any more. Handshakes that have not completed end now, so that no connection
    /// comes in later with messages that were acknowledged; what is established stays open.
    pub fn refuse_newcomers(&mut self, now: Time) {
        Arc::make_mut(&mut self.config).server = false;
        let half_open: Vec<_> = self.connections.handles().collect();
        for handle in half_open {
            let Some(slot) = self.connections.get_mut(handle) else { continue };
            let connection = &slot.connection;
            if slot.place.is_some() && !connection.is_established() && !connection.is_known() {
                slot.connection.close(now, Close::REFUSED, "the server is closing");
                self.after_packet(handle);
            }
        }
    }

    /// Lets newcomers in, or discards their Hellos as [`Discard::Busy`] meanwhile: they try again.
    /// For a driver whose application does not accept as fast as connections come.
    pub const fn set_admitting(&mut self, admitting: bool) {
        self.admitting = admitting;
    }

    /// A datagram came. What it asks for is in `poll_output`. It is opened in place: its bytes are
    /// of no use afterwards.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        from: SocketAddr,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) {
        let arrival = Arrival { now, from, local: None, ecn, bytes: datagram.len() };
        self.handle_arrival(&arrival, datagram);
    }

    /// As [`Self::handle_datagram`], where the own address is known that it was sent to: answers
    /// then leave from there ([`Transmit::local`](crate::Transmit::local)).
    pub fn handle_datagram_at(
        &mut self,
        now: Time,
        (from, local): (SocketAddr, Option<IpAddr>),
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) -> Option<Discard> {
        let arrival = Arrival { now, from, local, ecn, bytes: datagram.len() };
        self.handle_arrival(&arrival, datagram)
    }

    fn handle_arrival(&mut self, arrival: &Arrival, datagram: &mut [u8]) -> Option<Discard> {
        let discard = self.route(arrival, datagram).err()?;
        *self.discards.entry(discard).or_default() += 1;
        Some(discard)
    }

    /// To the connection it is for, or to what is done for strangers.
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
            // M-32, for those who may be servers of it.
            let hello = head.level == Level::Hello;
            if let Some(handle) = handle {
                return self.deliver(arrival, handle, &head, datagram);
            }
            if hello {
                return self.welcome(arrival, &head, datagram);
            }
            return match head.level {
                Level::Data => self.on_lost_packet(arrival, to, datagram),
                _ => Err(Discard::UnknownConnection),
            };
        }
        if let Header::OtherVersion { to, from, .. } = header {
            if !self.config.server {
                return Err(Discard::OtherVersion);
            }
            return self.strangers.offer_versions(arrival, (to, from));
        }
        let handle = handle.ok_or(Discard::UnknownConnection)?;
        let slot = self.connections.get_mut(handle).ok_or(Discard::UnknownConnection)?;
        match header {
            Header::Retry { from, token, .. } => slot.connection.on_retry(from, token, datagram)?,
            Header::Versions { from, list, .. } => {
                slot.connection.on_versions(arrival.now, from, list)?;
            }
            _ => return Err(Discard::Malformed),
        }
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
        let slot = self.connections.get_mut(handle).ok_or(Discard::UnknownConnection)?;
        if head.level == Level::Hello && !slot.connection.is_client() && datagram.len() < BASE_MTU {
            return Err(Discard::TooSmall); // M-32
        }
        slot.connection.receive(arrival, head, datagram, &mut *self.random)?;
        self.after_packet(handle);
        Ok(())
    }

    /// A Hello of nobody we know.
    #[inline(never)]
    fn welcome(
        &mut self,
        arrival: &Arrival,
        head: &Head,
        datagram: &mut [u8],
    ) -> Result<(), Discard> {
        if !self.config.server {
            return Err(Discard::UnknownConnection);
        }
        // Each newcomer may hold something whatever the others do (D-13).
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
            if self.places.asks_for_retry(self.config.retry, arrival.from, connections) {
                return self.strangers.ask_again(arrival, (to, source), &mut *self.random);
            }
            None
        } else {
            Some(self.strangers.first_id(arrival, token, to)?)
        };
        // M-35
        let newcomer = (arrival.from, first.is_some());
        let oldest = self.places.check(arrival.now, newcomer, self.connections.len())?;
        // Nothing is kept for bytes that do not open.
        let keys = LevelKeys::hello(to.0, Side::Server);
        let number = expand_number(head.number, 0);
        let payload = keys.open.open(number, datagram, head.len)?;
        self.config.crypto.set_time(arrival.now);
        let id = ConnectionId(self.random.array());
        let token = self.strangers.reset_token(id);
        let hello = Newcomer { from: arrival.from, to, source, first, id, token };
        let seed = u64::from_be_bytes(self.random.array());
        let connection =
            Connection::admit(&self.config, &self.rules, arrival.now, &hello, keys, seed)
                .map_err(|_| Discard::Busy)?;
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
        let handle = self.add(connection, [Some(to), first]).ok_or(Discard::Busy)?;
        if let Some(slot) = self.connections.get_mut(handle) {
            slot.place = Some(Box::new(self.places.take(arrival.now, newcomer, handle)));
            slot.connection.receive_opened(arrival, head, number, payload, &mut *self.random);
        }
        self.after_packet(handle);
        Ok(())
    }

    /// A data packet for no id of ours: the peer forgot us, or we forgot it (M-60).
    fn on_lost_packet(
        &mut self,
        arrival: &Arrival,
        to: ConnectionId,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        if let Some(handle) = self.resets.find(arrival.from, datagram)
            && let Some(slot) = self.connections.get_mut(handle)
            && slot.connection.on_reset(arrival.now, datagram)
        {
            self.after_packet(handle);
            return Ok(());
        }
        self.strangers.reset(arrival, to, &mut *self.random)?;
        Err(Discard::UnknownConnection)
    }

    /// Does all that is due. To be called when the deadline told has come; no harm at any time.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&(at, handle)) = self.alarms.first()
            && at <= now
        {
            self.alarms.pop_first();
            if let Some(slot) = self.connections.get_mut(handle) {
                slot.alarm = None;
                slot.connection.handle_timeout(now);
                self.after_packet(handle);
            }
        }
    }

    /// The next thing to do; to be asked until it says `Timeout`. Datagrams are written to the
    /// front of `out` ([`Transmit::len`](crate::Transmit::len)), which grows when it has to; give
    /// the same one each time.
    pub fn poll_output(&mut self, now: Time, out: &mut Vec<u8>) -> Output {
        if let Some(transmit) = self.strangers.poll_reply(out) {
            return Output::Transmit(transmit);
        }
        while let Some(handle) = self.ready.pop_front() {
            let Some(slot) = self.connections.get_mut(handle) else { continue };
            if slot.silent_at != Some(now)
                && let Some(transmit) = slot.connection.transmit(now, out)
            {
                // The others first: a busy one takes turns.
                self.ready.push_back(handle);
                return Output::Transmit(transmit);
            }
            slot.silent_at = Some(now);
            if let Some(event) = slot.connection.poll_event() {
                self.ready.push_front(handle);
                return Output::Event(handle, event);
            }
            slot.ready = false;
            self.rearm(handle);
        }
        let next = self.alarms.first().and_then(|(_, handle)| self.connections.get(*handle));
        Output::Timeout(next.and_then(|slot| slot.alarm))
    }

    /// A connection, for the application's calls. None when it is over and forgotten.
    pub fn connection(&mut self, handle: ConnectionHandle) -> Option<&mut Connection> {
        self.touch(handle).map(|slot| &mut slot.connection)
    }

    /// What is known of it as a whole.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        EndpointStats {
            connections: self.connections.len(),
            half_open: self.places.taken(),
            held_together: self.rules.budget.taken(),
            discards: self.discards.clone(),
        }
    }

    fn add(
        &mut self,
        connection: Connection,
        hellos: [Option<ConnectionId>; 2],
    ) -> Option<ConnectionHandle> {
        let (alarm, ready, silent_at, place) = (None, false, None, None);
        let marks = Marks::default();
        let slot = Slot { connection, alarm, ready, silent_at, place, marks, hellos };
        let handle = self.connections.insert(Box::new(slot))?;
        let slot = self.connections.get(handle)?;
        for id in slot.connection.own_ids() {
            self.routes.insert(id, handle);
        }
        // Chosen by a stranger: they take nobody's place.
        for id in hellos.into_iter().flatten() {
            self.routes.entry(id).or_insert(handle);
        }
        self.last_route = None;
        self.touch(handle);
        Some(handle)
    }

    fn touch(&mut self, handle: ConnectionHandle) -> Option<&mut Slot> {
        let slot = self.connections.get_mut(handle)?;
        slot.silent_at = None;
        if !std::mem::replace(&mut slot.ready, true) {
            self.ready.push_back(handle);
        }
        Some(slot)
    }

    /// A packet or an alarm may have changed what the endpoint knows of a connection.
    fn after_packet(&mut self, handle: ConnectionHandle) {
        self.touch(handle);
        let Some(slot) = self.connections.get_mut(handle) else { return };
        let connection = &mut slot.connection;
        // M-35: one that ended before it was established keeps its place until it is forgotten,
        // lest broken Hellos of forged addresses make the server work without end.
        match &slot.place {
            Some(place) if connection.is_established() => {
                self.places.give_back(place);
                slot.place = None;
            }
            Some(place) if connection.is_known() => self.places.keep(place),
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
            connection.give_id(id, self.strangers.reset_token(id));
            self.routes.insert(id, handle);
        }
    }

    /// Nothing more to do for a connection now: sets its alarm, or forgets it.
    fn rearm(&mut self, handle: ConnectionHandle) {
        let Some(slot) = self.connections.get_mut(handle) else { return };
        if slot.connection.is_forgotten() {
            return self.remove(handle);
        }
        let next = slot.connection.deadline();
        let old = std::mem::replace(&mut slot.alarm, next);
        let (old, next) = (old.map(|(at, _)| at), next.map(|(at, _)| at));
        if old == next {
            return;
        }
        if let Some(old) = old {
            self.alarms.remove(&(old, handle));
        }
        if let Some(next) = next {
            self.alarms.insert((next, handle));
        }
    }

    fn remove(&mut self, handle: ConnectionHandle) {
        let Some(mut slot) = self.connections.remove(handle) else { return };
        for id in slot.connection.own_ids().chain(slot.hellos.into_iter().flatten()) {
            if self.routes.get(&id) == Some(&handle) {
                self.routes.remove(&id);
            }
        }
        self.last_route = None;
        if let Some(place) = &slot.place {
            self.places.give_back(place);
        }
        self.resets.remove(handle, &mut slot.marks);
        if let Some((at, _)) = slot.alarm {
            self.alarms.remove(&(at, handle));
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("connections", &self.connections.len())
            .field("half_open", &self.places.taken())
            .finish_non_exhaustive()
    }
}
