//! The script of a run: the actions of applications and of the world, each at its time.
//!
//! In: actions. Out: calls on endpoints, changes of the network. Never: decisions; those are the
//! swarm's.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::{
    action::Action,
    api::{APPLICATION_CLOSE, Time, dial},
    ends::{EndId, Leaving, Pair, Planned, Reader, Side, State},
    network::{HostId, Move, Origin},
    node::Effect,
    oracle::Violation,
    world::World,
};

/// After this time a failed handshake has been given up (M-44), and everything in transit has
/// arrived.
const HANDSHAKE: Duration = Duration::from_secs(13);

impl World {
    /// Schedules an action.
    pub fn plan(&mut self, at: Time, action: Action) {
        self.script.insert((at, self.next_action), action);
        self.next_action += 1;
    }

    /// Removes all scheduled actions except those that slow readers and connecting need.
    pub(crate) fn clear_plans(&mut self) {
        self.script.retain(|_, action| matches!(action, Action::Read(_) | Action::Connect { .. }));
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
                // A client that deliberately changes networks switches to a new id (P-6).
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

    /// Calls a function on an open end of the newest connection of a client.
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
        // One handshake at a time per client, so that a server's end can be identified by its
        // peer's key.
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
        // The client knows the owner of the connection.
        self.oracle.receiver_opened(pipes[1]);
        let pair = Pair::new(self.now, client, server, pipes, readers);
        let id = EndId { pair: self.pairs.len(), side: Side::Client };
        self.pairs.push(pair);
        self.pairs[id.pair].end_mut(Side::Client).handle = Some(handle);
        self.ends.insert((client, handle), id);
        self.touch(client);
        early.into_iter().try_for_each(|planned| self.send(id, planned))
    }

    /// Returns `true` if a server may still learn of this client's newest connection.
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
            // An end that is still connecting does not notice.
            let dials = matches!(pair.end(Side::Client).state, State::Starting);
            let end = pair.end_mut(Side::Server);
            // But a server may have progressed further than its client knows.
            let dials = dials && matches!(end.state, State::Starting);
            if dials || end.host != host {
                continue;
            }
            // The new endpoint may use the same handle for another connection.
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
        // The application gives up everything that it has not taken by now.
        self.read_all(id)?;
        let now = self.now;
        self.end_mut(id).leaving = Leaving::AtOnce;
        self.end_mut(id).waiting.clear();
        let pipe = self.pipe_out(id);
        self.oracle.sender_ended(pipe);
        if let Some(connection) = self.connection(id) {
            connection.close(now, APPLICATION_CLOSE, "scripted");
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

    /// Injects genuine first packets, each from its own address.
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
            // 198.19.0.0/16 is for tests (RFC 2544), and distinct from the addresses of other
            // attackers.
            let ip = Ipv4Addr::from(0xc613_0000 | (self.flooders & 0xffff));
            let stranger = SocketAddr::from((ip, 9));
            while let Some(effect) = node.poll(self.now)? {
                if let Effect::Train(transmit) = effect {
                    for datagram in node.train.chunks(transmit.segment_size) {
                        self.network.inject(at, stranger, to, Origin::Now, datagram);
                    }
                }
            }
        }
        Ok(())
    }
}
