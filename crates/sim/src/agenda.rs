//! What is planned: each thing that an application or the world does at its time.
//!
//! In: plans. Out: calls on endpoints, changes of the network. Never: a decision, but the swarm's.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::{
    api::{APPLICATION_CLOSE, ChannelId, Time, dial},
    app::{EndId, Leaving, Pair, Planned, Reader, Side, State},
    network::{Born, HostId, Move},
    node::Effect,
    oracle::Violation,
    world::World,
};

/// Whoever began a handshake has given up after this (M-44), and what was on its way has arrived.
const HANDSHAKE: Duration = Duration::from_secs(13);

/// A plan. Those for a host mean the newest connection of that client.
#[derive(Clone, Debug)]
pub enum Action {
    /// A client dials, from a new port, with a first message that may go at once.
    Connect {
        /// Who.
        client: HostId,
        /// Whom.
        server: HostId,
        /// How the applications of both sides read.
        readers: [Reader; 2],
        /// Sent before the handshake is over, as safe to repeat.
        early: Vec<Planned>,
    },
    /// A message.
    Send(HostId, Side, Planned),
    /// A slow application takes a message.
    Read(EndId),
    /// A channel becomes more, or less, important.
    Priority(HostId, Side, ChannelId, u8),
    /// New keys.
    UpdateKeys(HostId, Side),
    /// A sign of life.
    Ping(HostId, Side),
    /// The client's address changes.
    Move(HostId, Move),
    /// The host forgets everything.
    Restart(HostId),
    /// An end closes at once.
    Close(HostId, Side),
    /// An end closes when everything is delivered, or after this time.
    CloseGracefully(HostId, Side, Duration),
    /// First packets from addresses of nobody's, for this server.
    Flood(HostId, usize),
}

impl World {
    /// Plans something.
    pub fn plan(&mut self, at: Time, action: Action) {
        self.agenda.insert((at, self.next_action), action);
        self.next_action += 1;
    }

    /// Nothing that is planned will happen but what slow readers and dialing need.
    pub(crate) fn clear_plans(&mut self) {
        self.agenda.retain(|_, action| matches!(action, Action::Read(_) | Action::Connect { .. }));
    }

    pub(crate) fn act(&mut self, action: Action) -> Result<(), Violation> {
        if !matches!(action, Action::Read(_) | Action::Connect { .. }) {
            self.trace.line(self.now, "plan", || format!("{action:?}"));
        }
        match action {
            Action::Connect { client, server, readers, early } => {
                return self.connect(client, server, readers, early);
            }
            Action::Read(end) => return self.read_slowly(end),
            Action::Send(client, side, planned) => {
                if let Some(end) = self.newest_end(client, side) {
                    return self.send(end, planned);
                }
            }
            Action::Priority(client, side, channel, priority) => {
                self.with(client, side, |connection, _| connection.set_priority(channel, priority));
            }
            Action::UpdateKeys(client, side) => {
                self.with(client, side, |connection, _| _ = connection.update_keys());
            }
            Action::Ping(client, side) => {
                self.with(client, side, |connection, _| connection.ping());
            }
            Action::Move(host, how) => {
                // Whoever changes networks on purpose takes a new id (P-6).
                if how == Move::Address {
                    self.with(host, Side::Client, |connection, _| _ = connection.take_new_id());
                }
                self.moved.insert(host);
                self.network.rebind(host, how);
            }
            Action::Restart(host) => self.restart(host),
            Action::Close(client, side) => {
                if let Some(end) = self.newest_end(client, side) {
                    return self.close(end);
                }
            }
            Action::CloseGracefully(client, side, within) => {
                if let Some(end) = self.newest_end(client, side) {
                    self.close_gracefully(end, within);
                }
            }
            Action::Flood(server, count) => return self.flood(server, count),
        }
        Ok(())
    }

    /// Calls something on an open end of the newest connection of a client.
    fn with(
        &mut self,
        client: HostId,
        side: Side,
        call: impl FnOnce(&mut crate::api::Connection, Time),
    ) {
        let Some(end) = self.newest_end(client, side) else { return };
        let now = self.now;
        if let Some(connection) = self.connection(end) {
            call(connection, now);
        }
    }

    fn connect(
        &mut self,
        client: HostId,
        server: HostId,
        readers: [Reader; 2],
        early: Vec<Planned>,
    ) -> Result<(), Violation> {
        // One handshake at a time for each client: so the server's end is known by its peer's key.
        if self.is_dialing(client) {
            let at = self.now + Duration::from_millis(250);
            self.plan(at, Action::Connect { client, server, readers, early });
            return Ok(());
        }
        let to = self.network.address(server);
        let name = &self.hosts[client.0].name;
        self.trace.line(self.now, name, || format!("dials; both read {readers:?}"));
        let node = &mut self.hosts[client.0].node;
        let handle = dial(&mut node.endpoint, self.now, to)?;
        let pipes = [self.oracle.open(), self.oracle.open()];
        // The one who dials knows from whom it hears.
        self.oracle.receiver_opened(pipes[1]);
        let pair = Pair::new(self.now, client, server, pipes, readers);
        let id = EndId { pair: self.pairs.len(), side: Side::Client };
        self.pairs.push(pair);
        self.pairs[id.pair].end_mut(Side::Client).handle = Some(handle);
        self.ends.insert((client, handle), id);
        self.touch(client);
        early.into_iter().try_for_each(|planned| self.send(id, planned))
    }

    /// A server may still come to know of this client's newest connection.
    fn is_dialing(&self, client: HostId) -> bool {
        let Some(pair) = self.pairs.iter().rev().find(|pair| pair.client == client) else {
            return false;
        };
        let ends = (&pair.end(Side::Client).state, &pair.end(Side::Server).state);
        match ends {
            (State::Closed(_), State::Starting) => self.now < pair.dialed + HANDSHAKE,
            (_, State::Starting) => true,
            _ => false,
        }
    }

    fn restart(&mut self, host: HostId) {
        self.remake(host);
        self.restarts.insert(host, self.now);
        self.early_takers.retain(|_, (owner, _)| *owner != host);
        self.ends.retain(|(owner, _), _| *owner != host);
        self.early.retain(|(owner, _), _| *owner != host);
        for pair in &mut self.pairs {
            let [up, down] = pair.pipes;
            // Whoever still dials does not notice.
            let dials = matches!(pair.end(Side::Client).state, State::Starting);
            let end = pair.end_mut(Side::Server);
            // But a server may be further than its client knows.
            let dials = dials && matches!(end.state, State::Starting);
            if dials || end.host != host {
                continue;
            }
            // The new endpoint may give its name to another.
            end.handle = None;
            if matches!(end.state, State::Closed(_) | State::Gone) {
                continue;
            }
            end.state = State::Gone;
            end.waiting.clear();
            self.oracle.receiver_gone(up);
            self.oracle.sender_gone(down);
        }
        self.touch(host);
    }

    fn close(&mut self, id: EndId) -> Result<(), Violation> {
        if !self.is_open(id) {
            return Ok(());
        }
        // What the application does not take before it closes, it does not want.
        self.read_all(id)?;
        let now = self.now;
        self.end_mut(id).leaving = Leaving::AtOnce;
        self.end_mut(id).waiting.clear();
        let pipe = self.pipe_out(id);
        self.oracle.sender_ended(pipe);
        if let Some(connection) = self.connection(id) {
            connection.close(now, APPLICATION_CLOSE, "the plan says so");
        }
        Ok(())
    }

    pub(crate) fn close_gracefully(&mut self, id: EndId, within: Duration) {
        if !self.is_open(id) {
            return;
        }
        let now = self.now;
        self.end_mut(id).leaving = Leaving::Gracefully { until: now + within };
        self.end_mut(id).waiting.clear();
        if let Some(connection) = self.connection(id) {
            connection.close_gracefully(now, within);
        }
    }

    /// Real first packets, each from an address of its own.
    fn flood(&mut self, server: HostId, count: usize) -> Result<(), Violation> {
        let to = self.network.address(server);
        let mut node = self.throwaway();
        let mut at = self.now;
        for _ in 0..count {
            if dial(&mut node.endpoint, self.now, to).is_err() {
                return Ok(());
            }
            at += self.rng.span(Duration::ZERO, Duration::from_millis(2));
            self.flooders += 1;
            // 198.19.0.0/16 is for tests (RFC 2544), and not where other attackers claim to live.
            let ip = Ipv4Addr::from(0xc613_0000 | (self.flooders & 0xffff));
            let stranger = SocketAddr::from((ip, 9));
            while let Some(effect) = node.poll(self.now)? {
                if let Effect::Train(transmit) = effect {
                    for datagram in node.train.chunks(transmit.segment_size) {
                        self.network.inject(at, stranger, to, Born::Now, datagram);
                    }
                }
            }
        }
        Ok(())
    }
}
