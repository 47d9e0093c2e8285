//! Checks that the events reported to applications are true.
//!
//! In: events of endpoints. Out: the applications' reactions; a violation. Never: a datagram, a
//! script.

use std::time::Duration;

use crate::{
    api::{APPLICATION_CLOSE, ClosedReason, ConnectionHandle, Event},
    ends::{EndId, Leaving, Reader, Side, State},
    network::HostId,
    oracle::{Print, Violation},
    world::World,
};

/// The time limit of a handshake (M-44).
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const OPENS_NOTHING: Duration = Duration::from_secs(3);

impl World {
    pub(crate) fn handle_event(
        &mut self,
        host: HostId,
        handle: ConnectionHandle,
        event: Event,
    ) -> Result<(), Violation> {
        let name = &self.hosts[host.0].name;
        self.trace.line(self.now, name, || format!("hears {event:?}"));
        if matches!(event, Event::Incoming) {
            return self.handle_early(host, handle, &event);
        }
        let known = self.ends.contains_key(&(host, handle));
        if matches!(event, Event::Refused { .. }) && !known {
            return Ok(()); // the handshake failed, and its client was notified
        }
        let Some(id) = self.ends.get(&(host, handle)).copied() else {
            if self.early.contains_key(&(host, handle)) {
                return self.handle_early(host, handle, &event);
            }
            return Err(format!("{name}: {event:?} for an unknown connection"));
        };
        if matches!(self.end(id).state, State::Closed(_))
            && !matches!(
                event,
                Event::Receipt(..) | Event::Readable | Event::Writable | Event::Drained
            )
        {
            return Err(format!("{name}: {event:?} after Closed"));
        }
        match event {
            Event::Connected { .. } => {
                let now = self.now;
                let end = self.end_mut(id);
                (end.state, end.heard) = (State::Open, now);
                self.send_waiting(id)
            }
            Event::Readable => match self.end(id).reader {
                Reader::Prompt => self.read_all(id),
                Reader::Slow(each) => {
                    self.plan_reading(id, each);
                    Ok(())
                }
            },
            Event::Writable => self.send_waiting(id),
            Event::Receipt(receipt, outcome) => {
                let receiver = EndId { side: id.side.other(), ..id };
                let (pipe, reception) = (self.pipe_out(id), self.reception(receiver));
                let name = &self.hosts[host.0].name;
                self.oracle
                    .resolved(pipe, self.now, receipt, outcome, reception)
                    .map_err(|problem| format!("{name}: {problem}"))
            }
            Event::Closed(reason) => self.closed(id, reason),
            _ => Ok(()),
        }
    }

    /// Handles events of a server's connection whose handshake is incomplete.
    fn handle_early(
        &mut self,
        host: HostId,
        handle: ConnectionHandle,
        event: &Event,
    ) -> Result<(), Violation> {
        let name = self.hosts[host.0].name.clone();
        self.hold_early(host, handle).map_err(|problem| format!("{name}: {problem}"))?;
        let connection = self.hosts[host.0].node.endpoint.connection(handle);
        let complete = connection.is_some_and(|connection| connection.is_established());
        match event {
            Event::Incoming | Event::Connected { .. } if complete => self.bind(host, handle),
            Event::Closed(ClosedReason::Local | ClosedReason::Error(_)) => {
                Err(format!("{name}: {event:?} before the handshake completed"))
            }
            // It never belonged to a client: everything received must have been repeatable (M-36).
            Event::Closed(_) => {
                let held = self.early.remove(&(host, handle)).unwrap_or_default();
                let mut held = held.iter().map(|(_, held)| held);
                let odd = held.find(|held| !self.oracle.is_repeatable(&held.payload));
                odd.map_or(Ok(()), |odd| Err(format!("{name}: M-36: not safe to repeat: {odd:?}")))
            }
            Event::Receipt(..) => Err(format!("{name}: {event:?}, but nothing was sent")),
            _ => Ok(()),
        }
    }

    /// Takes 0-RTT messages and holds them until their sender is known.
    fn hold_early(&mut self, host: HostId, handle: ConnectionHandle) -> Result<(), Violation> {
        /// Longer than a message number on its connection: no two of these are equal.
        const MIN_DISTINCT: usize = 8;
        let now = self.now;
        self.touch(host);
        let held = self.early.entry((host, handle)).or_default();
        let Some(connection) = self.hosts[host.0].node.endpoint.connection(handle) else {
            return Ok(());
        };
        let complete = connection.is_established();
        while let Some(message) = connection.recv(now, None) {
            let print = Print::of(&message.payload);
            if !complete {
                self.oracle.received_early(&message.payload);
                let taker = *self.early_takers.entry(print).or_insert((host, handle));
                if message.payload.len() >= MIN_DISTINCT && taker != (host, handle) {
                    return Err("0-RTT data was accepted twice".to_owned());
                }
            }
            held.push((now, message));
        }
        Ok(())
    }

    /// Assigns a completed connection to its client by the peer's key. There is one handshake at a
    /// time per client, see `script`.
    fn bind(&mut self, host: HostId, handle: ConnectionHandle) -> Result<(), Violation> {
        let connection = self.hosts[host.0].node.endpoint.connection(handle);
        let key = connection.and_then(|connection| connection.peer_key());
        let found = self.pairs.iter().rposition(|pair| {
            pair.server == host
                && matches!(pair.end(Side::Server).state, State::Starting)
                && Some(self.hosts[pair.client.0].public_key) == key
        });
        let Some(pair) = found else {
            return Err(format!("server: a connection of {key:02x?}, which is not connecting"));
        };
        let id = EndId { pair, side: Side::Server };
        self.ends.insert((host, handle), id);
        let end = self.end_mut(id);
        end.handle = Some(handle);
        end.state = State::Open;
        let pipe = self.pipe_in(id);
        self.oracle.receiver_opened(pipe);
        for (at, message) in self.early.remove(&(host, handle)).unwrap_or_default() {
            self.take(id, at, &message)?;
        }
        self.send_waiting(id)?;
        self.read_slowly(id)
    }

    fn closed(&mut self, id: EndId, reason: ClosedReason) -> Result<(), Violation> {
        self.check_reason(id, &reason)?;
        // Messages received before the close can still be taken, once.
        self.read_all(id)?;
        let (out, inward) = (self.pipe_out(id), self.pipe_in(id));
        self.oracle.sender_ended(out);
        self.oracle.receiver_ended(inward);
        let in_time = matches!(reason, ClosedReason::Local)
            && matches!(self.end(id).leaving, Leaving::Gracefully { until } if self.now < until);
        let end = self.end_mut(id);
        end.state = State::Closed(reason);
        end.waiting.clear();
        if in_time {
            self.graceful.push(out);
        }
        Ok(())
    }

    /// Checks that the reason for a close is true.
    fn check_reason(&self, id: EndId, reason: &ClosedReason) -> Result<(), Violation> {
        let (end, other) = (self.end(id), self.end(EndId { side: id.side.other(), ..id }));
        let name = &self.hosts[end.host.0].name;
        let other_is_over = matches!(other.state, State::Closed(_) | State::Gone);
        let timed = |host: HostId| self.hosts[host.0].config.transport.idle_timeout.is_some();
        let excused = self.now < self.excused_until || self.refused;
        // An end whose application does not know of it yet gives up silently (M-44, M-61).
        let dialed = self.pairs[id.pair].dialed;
        let starts = matches!(other.state, State::Starting);
        let too_long = starts && self.now >= dialed + HANDSHAKE_LIMIT;
        let silent = starts && self.now >= dialed + self.min_idle(id);
        let restarted = self.restarts.get(&other.host).is_some_and(|at| *at >= dialed);
        let is_true = match reason {
            ClosedReason::Local => end.leaving != Leaving::No,
            // An application closes with this code; a handshake that took too long with 0 (M-44).
            ClosedReason::Peer(close) if close.code == APPLICATION_CLOSE => {
                other.leaving == Leaving::AtOnce
            }
            ClosedReason::Peer(close) if close.code == 0 => {
                matches!(other.leaving, Leaving::Gracefully { .. })
                    || matches!(
                        other.state,
                        State::Closed(ClosedReason::HandshakeTimeout | ClosedReason::SharedKey)
                    )
                    || too_long
            }
            // Without a timeout, an unanswered peer is given up (M-61).
            ClosedReason::Idle => {
                let least = self.min_idle(id);
                (timed(end.host) || timed(other.host) || other_is_over)
                    && self.now >= end.heard + least
            }
            // M-60: the other endpoint does not know the connection, or no longer.
            ClosedReason::Reset => other_is_over || (starts && restarted) || too_long || silent,
            ClosedReason::HandshakeTimeout => excused,
            // M-44: forged packets do not open either, and only a client gives up.
            ClosedReason::SharedKey => {
                let hopeless = id.side == Side::Client && self.now >= dialed + OPENS_NOTHING;
                self.refused || (excused && hopeless)
            }
            _ => false,
        };
        match is_true {
            true => Ok(()),
            false => Err(format!("{name}: closed for no reason: {reason:?}")),
        }
    }

    /// Returns the silence after which an end may report an idle timeout (M-61).
    fn min_idle(&self, id: EndId) -> Duration {
        const UNANSWERED: Duration = Duration::from_secs(120);
        let timeout = |host: HostId| self.hosts[host.0].config.transport.idle_timeout;
        let pair = &self.pairs[id.pair];
        let timeouts = [timeout(pair.client), timeout(pair.server)];
        timeouts.into_iter().flatten().min().unwrap_or(UNANSWERED)
    }
}
