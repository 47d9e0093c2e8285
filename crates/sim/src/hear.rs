//! What applications are told, and whether it is true.
//!
//! In: events of endpoints. Out: what an application does then; a broken promise.
//! Never: a datagram, a plan.

use crate::{
    api::{APPLICATION_CLOSE, ClosedReason, ConnectionHandle, Event},
    app::{EndId, Leaving, Reader, Side, State},
    network::HostId,
    oracle::Violation,
    world::World,
};

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
        let Some(id) = self.ends.get(&(host, handle)).copied() else {
            if self.early.contains_key(&(host, handle)) {
                return self.handle_early(host, handle, &event);
            }
            return Err(format!("{name}: {event:?} for a connection that nobody knows"));
        };
        if matches!(self.end(id).state, State::Closed(_))
            && !matches!(event, Event::Receipt(..) | Event::Readable | Event::Writable)
        {
            return Err(format!("{name}: {event:?} after Closed"));
        }
        match event {
            Event::Connected { .. } => {
                self.end_mut(id).state = State::Open;
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

    /// Events of a server's connection that is not complete.
    fn handle_early(
        &mut self,
        host: HostId,
        handle: ConnectionHandle,
        event: &Event,
    ) -> Result<(), Violation> {
        let name = self.hosts[host.0].name.clone();
        self.hold_early(host, handle);
        let connection = self.hosts[host.0].node.endpoint.connection(handle);
        let complete = connection.is_some_and(|connection| connection.is_established());
        match event {
            Event::Incoming | Event::Connected { .. } if complete => self.bind(host, handle),
            Event::Closed(ClosedReason::Local | ClosedReason::Error(_)) => {
                Err(format!("{name}: {event:?} before the handshake was complete"))
            }
            // It never was anybody's: all that came of it must be safe to repeat (M-36).
            Event::Closed(_) => {
                let held = self.early.remove(&(host, handle)).unwrap_or_default();
                let odd = held.iter().find(|held| !self.oracle.is_repeatable(&held.payload));
                odd.map_or(Ok(()), |odd| Err(format!("{name}: M-36: not safe to repeat: {odd:?}")))
            }
            Event::Receipt(..) => Err(format!("{name}: {event:?}, but nothing was sent")),
            _ => Ok(()),
        }
    }

    /// What came as 0-RTT is taken, and held until it is known whose it is.
    fn hold_early(&mut self, host: HostId, handle: ConnectionHandle) {
        let now = self.now;
        self.touch(host);
        let held = self.early.entry((host, handle)).or_default();
        if let Some(connection) = self.hosts[host.0].node.endpoint.connection(handle) {
            while let Some(message) = connection.recv(now) {
                held.push(message);
            }
        }
    }

    /// The handshake is complete: its peer's key tells whose it is. There is one at a time for each
    /// client, see `agenda`.
    fn bind(&mut self, host: HostId, handle: ConnectionHandle) -> Result<(), Violation> {
        let connection = self.hosts[host.0].node.endpoint.connection(handle);
        let key = connection.and_then(|connection| connection.peer_key());
        let found = self.pairs.iter().rposition(|pair| {
            pair.server == host
                && matches!(pair.end(Side::Server).state, State::Starting)
                && Some(self.hosts[pair.client.0].public_key) == key
        });
        let Some(pair) = found else {
            return Err(format!("server: a connection of {key:02x?}, who does not dial"));
        };
        let (id, now) = (EndId { pair, side: Side::Server }, self.now);
        self.ends.insert((host, handle), id);
        let end = self.end_mut(id);
        end.handle = Some(handle);
        end.state = State::Open;
        let pipe = self.pipe_in(id);
        self.oracle.receiver_opened(pipe, now);
        for message in self.early.remove(&(host, handle)).unwrap_or_default() {
            self.take(id, &message)?;
        }
        self.send_waiting(id)?;
        self.read_slowly(id)
    }

    fn closed(&mut self, id: EndId, reason: ClosedReason) -> Result<(), Violation> {
        self.check_reason(id, &reason)?;
        // What was received before the end is still there to be taken, once.
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

    /// A connection ends for a reason, and the reason is true.
    fn check_reason(&self, id: EndId, reason: &ClosedReason) -> Result<(), Violation> {
        let (end, other) = (self.end(id), self.end(EndId { side: id.side.other(), ..id }));
        let name = &self.hosts[end.host.0].name;
        let other_is_over = matches!(other.state, State::Closed(_) | State::Gone);
        let timed = |host: HostId| self.hosts[host.0].config.transport.idle_timeout.is_some();
        let excused = self.now < self.excused_until || self.refused;
        let is_true = match reason {
            ClosedReason::Local => end.leaving != Leaving::No,
            ClosedReason::Peer(close) => {
                let ours = [0, APPLICATION_CLOSE].contains(&close.code);
                let over = other_is_over || matches!(other.state, State::Starting);
                ours && (other.leaving != Leaving::No || over)
            }
            // Without a timeout, a peer that owes an answer is given up (M-61).
            ClosedReason::Idle => timed(end.host) || timed(other.host) || other_is_over,
            ClosedReason::Reset => other_is_over || matches!(other.state, State::Starting),
            ClosedReason::HandshakeTimeout | ClosedReason::SharedKey => excused,
            _ => false,
        };
        match is_true {
            true => Ok(()),
            false => Err(format!("{name}: closed for no reason: {reason:?}")),
        }
    }
}
