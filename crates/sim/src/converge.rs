//! The second half of every run: the network heals, and everything must converge.

use std::time::Duration;

use crate::{
    action::Action,
    api::{ChannelId, Delivery, Time},
    ends::{EndId, Planned, Reader, Side, State},
    link::{LinkConfig, Loss},
    network::HostId,
    oracle::Violation,
    world::World,
};

/// The virtual time within which everything must converge: probes back off to 60 s at most,
/// and the faults are too short for that.
const BOUND: Duration = Duration::from_secs(150);
/// A handshake that began before the network healed fails within this time (M-44).
const HANDSHAKE: Duration = Duration::from_millis(10_500);
/// The minimum rate of a healed link.
const HEALED_RATE: u64 = 2_000_000;
/// A channel that nothing else uses.
const LAST_CHANNEL: ChannelId = ChannelId(0xfffe);

impl World {
    /// Ends all loss, damage, unnecessary delay and attacks. Applications read at once, and nothing
    /// new is scheduled.
    ///
    /// # Errors
    /// A violation found when the applications read.
    pub fn heal(&mut self) -> Result<(), Violation> {
        self.trace.line(self.now, "world", || "THE NETWORK HEALS".to_owned());
        self.attacker = None;
        self.clear_plans();
        self.excused_until = self.now + HANDSHAKE;
        let joins: Vec<(HostId, HostId)> = (0..self.hosts.len())
            .flat_map(|from| (0..self.hosts.len()).map(move |to| (HostId(from), HostId(to))))
            .collect();
        for (from, to) in joins {
            if let Some(link) = self.network.link(from, to) {
                let healed = healed(link);
                self.network.set_link(from, to, healed);
            }
        }
        // An idle client that moved cannot be found until it sends something (P-1 relies on packets
        // from the new address). No protocol can help in that case, so the test makes it send
        // something.
        let moved =
            |id: &EndId| id.side == Side::Client && self.moved.contains(&self.end(*id).host);
        let movers: Vec<EndId> = self.all_ends().into_iter().filter(moved).collect();
        for id in movers {
            if let Some(connection) = self.connection(id) {
                connection.ping();
            }
        }
        self.hurry_readers()
    }

    /// Sends one more message from every open end, so that an end without a peer finds out.
    ///
    /// # Errors If sending fails without a valid reason.
    pub fn send_last_messages(&mut self) -> Result<(), Violation> {
        let planned = Planned {
            channel: LAST_CHANNEL,
            delivery: Delivery::Reliable,
            size: 40,
            repeatable: false,
        };
        self.all_ends().into_iter().try_for_each(|id| match self.is_open(id) {
            true => self.send(id, planned),
            false => Ok(()),
        })
    }

    pub(crate) fn all_ends(&self) -> Vec<EndId> {
        (0..self.pairs.len())
            .flat_map(|pair| [Side::Client, Side::Server].map(|side| EndId { pair, side }))
            .collect()
    }

    /// Runs until nothing is outstanding.
    ///
    /// # Errors
    /// A violation, or what is still outstanding when the time is up.
    pub fn converge(&mut self) -> Result<(), Violation> {
        let end = self.now + BOUND;
        self.run(end, |world| world.unfinished().is_none())?;
        match self.unfinished() {
            None => self.finish(),
            Some(unfinished) => {
                Err(format!("not converged {BOUND:?} after the network healed: {unfinished}"))
            }
        }
    }

    /// Returns a description of something still outstanding.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        let dials = |action: &Action| matches!(action, Action::Connect { .. });
        if self.script.values().any(dials) {
            return Some("a client still wants to connect".to_owned());
        }
        self.all_ends().into_iter().find_map(|id| self.unfinished_at(id))
    }

    fn unfinished_at(&self, id: EndId) -> Option<String> {
        let (end, other) = (self.end(id), self.end(EndId { side: id.side.other(), ..id }));
        let name = format!("{:?} of connection {}", id.side, id.pair);
        let over = |state: &State| matches!(state, State::Closed(_) | State::Gone);
        if matches!(end.state, State::Gone) || self.is_orphan(id) {
            return None;
        }
        if matches!(end.state, State::Starting) && !over(&other.state) {
            return Some(format!("{name} was never established"));
        }
        if matches!(end.state, State::Open) && over(&other.state) {
            return Some(format!("{name} was not closed"));
        }
        if end.refused && !over(&end.state) {
            return Some(format!("{name}: send reported a close, but there was no Closed event"));
        }
        if !end.waiting.is_empty() {
            return Some(format!("{name}: {} messages are still queued", end.waiting.len()));
        }
        let pipe = self.pipe_out(id);
        let (undelivered, unresolved) =
            (self.oracle.undelivered(pipe), self.oracle.unresolved(pipe));
        (!self.oracle.is_idle(pipe)).then(|| {
            format!("{name}: {undelivered} reliable messages undelivered, {unresolved} receipts")
        })
    }

    /// Returns `true` for a server's end whose client vanished, without an idle timeout: it may
    /// remain.
    fn is_orphan(&self, id: EndId) -> bool {
        let (end, other) = (self.end(id), self.end(EndId { side: id.side.other(), ..id }));
        let timed = |host: HostId| self.hosts[host.0].config.transport.idle_timeout.is_some();
        id.side == Side::Server
            && matches!(end.state, State::Open | State::Starting)
            && matches!(other.state, State::Closed(_))
            && (matches!(end.state, State::Starting) || (!timed(end.host) && !timed(other.host)))
    }

    fn finish(&self) -> Result<(), Violation> {
        for id in self.all_ends().into_iter().filter(|id| !self.is_orphan(*id)) {
            let receiver = self.end(EndId { side: id.side.other(), ..id });
            let name = &self.hosts[self.end(id).host.0].name;
            self.oracle
                .finish(self.pipe_out(id), !receiver.was_slow)
                .map_err(|problem| format!("{name}: {problem}"))?;
        }
        self.graceful.iter().try_for_each(|pipe| self.oracle.finish_graceful(*pipe))
    }

    /// Connects again for every client whose newest connection has ended.
    pub fn redial(&mut self, server: HostId) {
        let clients: Vec<HostId> = (0..self.hosts.len())
            .map(HostId)
            .filter(|host| !self.hosts[host.0].config.server)
            .collect();
        for client in clients {
            let newest = self.newest_end(client, Side::Client);
            let over = newest.is_none_or(|id| {
                let pair = &self.pairs[id.pair];
                [Side::Client, Side::Server]
                    .into_iter()
                    .any(|side| matches!(pair.end(side).state, State::Closed(_) | State::Gone))
            });
            if over {
                let readers = [Reader::Prompt; 2];
                let early = Vec::new();
                self.plan(self.now, Action::Connect { client, server, readers, early });
            }
        }
    }

    /// Runs an idle period, in which next to nothing may happen.
    ///
    /// # Errors
    /// If timers fire or packets flow without a reason.
    pub fn stay_idle(&mut self, span: Duration) -> Result<(), Violation> {
        let (timers, sent) = (self.timers(), self.network.stats().sent);
        self.run_for(span)?;
        let (timers, sent) = (self.timers() - timers, self.network.stats().sent - sent);
        let keep_alives: u64 = self
            .all_ends()
            .into_iter()
            .filter_map(|id| self.hosts[self.end(id).host.0].config.transport.keep_alive)
            .map(|each| span.as_micros().div_ceil(each.as_micros().max(1)) as u64)
            .sum();
        // Path MTU probes, connection ids, the last ACKs, one timer of each kind.
        let allowed = 200 + 40 * self.pairs.len() as u64 + 8 * keep_alives;
        if timers > allowed || sent > allowed {
            return Err(format!("not idle: {timers} timers and {sent} packets in {span:?}"));
        }
        Ok(())
    }

    /// Closes all connections and checks that no connection and no timer remains.
    ///
    /// # Errors
    /// If a connection or a timer remains.
    pub fn close_all(&mut self) -> Result<(), Violation> {
        for id in self.all_ends() {
            if id.side == Side::Client {
                self.close_gracefully(id, Duration::from_secs(20));
            }
        }
        let end: Time = self.now + BOUND;
        self.run(end, |world| world.unfinished().is_none() && world.is_empty())?;
        if let Some(unfinished) = self.unfinished() {
            return Err(format!("all closed, but {unfinished}"));
        }
        self.finish()?;
        let orphans = self.all_ends().into_iter().any(|id| self.is_orphan(id));
        if orphans || self.is_empty() {
            return Ok(());
        }
        let host = self.hosts.iter().find(|host| !is_empty(host));
        let (name, timer) = host.map_or(("?", ""), |host| (&host.name, host.node.timer_reason()));
        Err(format!("all closed, but {name} still has a connection or a timer: {timer}"))
    }

    fn is_empty(&self) -> bool {
        self.hosts.iter().all(is_empty)
    }
}

fn is_empty(host: &crate::world::Host) -> bool {
    host.node.endpoint.stats().connections == 0 && host.node.timer().is_none()
}

fn healed(link: &LinkConfig) -> LinkConfig {
    LinkConfig {
        latency: link.latency.min(Duration::from_millis(50)),
        jitter: Duration::ZERO,
        loss: Loss::None,
        duplicate: 0.0,
        reorder: 0.0,
        corrupt: 0.0,
        rate: link.rate.map(|rate| rate.max(HEALED_RATE)),
        queue: link.queue.max(1 << 20),
        outages: Vec::new(),
        ..link.clone()
    }
}
