//! The simulated applications at both ends of each connection.
//!
//! In: scripted messages. Out: calls on connections, reports to the oracle. Never: a datagram, an
//! event.

use std::time::Duration;

use crate::{
    action::Action,
    api::{Connection, Message, Outgoing, QueueError, Time},
    ends::{End, EndId, Leaving, Planned, Reader, Record, Side, State},
    network::HostId,
    oracle::{Delivered, PipeId, Print, Reception, Violation},
    rng::split_mix,
    tap::MARKER,
    world::World,
};

/// The longest ACK delay in a swarm, and the tolerance of a timer.
const ACK_DELAY: Duration = Duration::from_millis(110);

/// The round-trip time assumed before the first sample.
const INITIAL_RTT: Duration = Duration::from_millis(333);

/// Returns the payload of the `index`th message of a pipe: unique within the pipe from 4 bytes on,
/// and unique overall from 8 bytes on.
fn payload(pipe: PipeId, index: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let mut state = (pipe.0 as u64) << 40 ^ index;
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&split_mix(&mut state).to_le_bytes()[..chunk.len()]);
    }
    let name = index.to_le_bytes();
    let named = size.min(4);
    bytes[..named].copy_from_slice(&name[..named]);
    if size >= 8 + MARKER.len() {
        bytes[8..8 + MARKER.len()].copy_from_slice(&MARKER);
    }
    bytes
}

impl World {
    pub(crate) fn end_mut(&mut self, id: EndId) -> &mut End {
        self.pairs[id.pair].end_mut(id.side)
    }

    pub(crate) fn end(&self, id: EndId) -> &End {
        self.pairs[id.pair].end(id.side)
    }

    /// Returns an end of a client's newest connection.
    #[must_use]
    pub fn newest_end(&self, client: HostId, side: Side) -> Option<EndId> {
        let pair = self.pairs.iter().rposition(|pair| pair.client == client)?;
        Some(EndId { pair, side })
    }

    /// Returns the state of an end.
    #[must_use]
    pub fn state(&self, id: EndId) -> &State {
        &self.end(id).state
    }

    pub(crate) fn is_open(&self, id: EndId) -> bool {
        let end = self.end(id);
        matches!(end.state, State::Open) && end.leaving == Leaving::No
    }

    /// Returns the number of messages that an end was allowed to send so far.
    #[must_use]
    pub fn sent_by(&self, id: EndId) -> u64 {
        self.end(id).sent
    }

    /// Returns the pipe for messages of an end.
    #[must_use]
    pub fn pipe_out(&self, id: EndId) -> PipeId {
        self.pairs[id.pair].pipes[id.side as usize]
    }

    /// Returns the pipe for messages to an end.
    #[must_use]
    pub fn pipe_in(&self, id: EndId) -> PipeId {
        self.pipe_out(EndId { side: id.side.other(), ..id })
    }

    /// Returns the connection of an end, for calls on it.
    pub fn connection(&mut self, id: EndId) -> Option<&mut Connection> {
        let End { host, handle, .. } = *self.end(id);
        self.touch(host);
        self.hosts[host.0].node.endpoint.connection(handle?)
    }

    /// Returns what the receiving end must satisfy.
    pub(crate) fn reception(&self, receiver: EndId) -> Reception {
        let end = self.end(receiver);
        let sender = self.end(EndId { side: receiver.side.other(), ..receiver }).host;
        // The time left is encoded in whole milliseconds.
        let rounding = Duration::from_millis(2);
        let (there, back) = ((sender, end.host), (end.host, sender));
        let longest = |(from, to)| self.network.longest_transit(from, to);
        let shortest = |(from, to)| self.network.shortest_transit(from, to);
        let slack = longest(there) + rounding;
        let half = (shortest(there) + shortest(back)) / 2;
        // An ACK delay counts as part of the path if the peer does not report it.
        let given_up_before = (longest(there) + longest(back)) / 2 + ACK_DELAY;
        let slack_counted = slack.saturating_sub(half);
        Reception { prompt: !end.was_slow, slack, slack_counted, given_up_before }
    }

    /// Queues a message at an application, which sends it as soon as there is room.
    ///
    /// # Errors
    /// If `send` refuses it without a reason.
    pub fn send(&mut self, id: EndId, planned: Planned) -> Result<(), Violation> {
        let end = self.end_mut(id);
        if matches!(end.state, State::Closed(_) | State::Gone) || end.leaving != Leaving::No {
            return Ok(());
        }
        end.waiting.push_back(planned);
        // Waits behind earlier messages that wait for room.
        if end.waiting.len() == 1 { self.send_waiting(id) } else { Ok(()) }
    }

    pub(crate) fn send_waiting(&mut self, id: EndId) -> Result<(), Violation> {
        let (now, pipe) = (self.now, self.pipe_out(id));
        // A new path begins without a measurement, and with reordering or loss the first one may
        // come late.
        let moved = self.moved.contains(&self.pairs[id.pair].client);
        let measured = self.connection(id).is_some_and(|own| own.stats().rtt != INITIAL_RTT);
        let counts = matches!(self.end(id).state, State::Open) && !moved && measured;
        self.oracle.counts_way(pipe, counts);
        while let Some(planned) = self.end(id).waiting.front().copied() {
            let Planned { channel, delivery, size, repeatable } = planned;
            let payload = payload(pipe, self.end(id).sent, size);
            let print = Print::of(&payload);
            if repeatable {
                self.oracle.mark_repeatable(print);
            }
            let Some(connection) = self.connection(id) else { return Ok(()) };
            let mut message = Outgoing::new(channel, delivery, payload);
            message.repeatable = repeatable;
            match connection.send(now, message).map_err(|refused| refused.reason) {
                Ok(receipt) => {
                    let queued = connection.stats().queued_bytes;
                    let limit = self.hosts[self.end(id).host.0].config.transport.send_queue;
                    if queued > limit {
                        return Err(format!("{queued} bytes are queued, limit {limit}"));
                    }
                    self.oracle.sent(pipe, now, channel, delivery, print, receipt)?;
                }
                Err(QueueError::Full) => return Ok(()),
                Err(QueueError::TooLarge) => {
                    return Err(format!("send of {planned:?} returned TooLarge"));
                }
                Err(_) => {
                    // The connection is already closed and the event is pending: `unfinished` waits
                    // for it.
                    let end = self.end_mut(id);
                    end.refused = true;
                    end.waiting.clear();
                    return Ok(());
                }
            }
            let end = self.end_mut(id);
            end.sent += 1;
            end.waiting.pop_front();
        }
        Ok(())
    }

    pub(crate) fn read_all(&mut self, id: EndId) -> Result<(), Violation> {
        while self.read_one(id)? {}
        Ok(())
    }

    fn read_one(&mut self, id: EndId) -> Result<bool, Violation> {
        let now = self.now;
        match self.connection(id).and_then(|connection| connection.recv(now, None)) {
            Some(message) => self.take(id, now, &message).map(|()| true),
            None => Ok(false),
        }
    }

    /// Processes a received message.
    pub(crate) fn take(
        &mut self,
        id: EndId,
        now: Time,
        message: &Message,
    ) -> Result<(), Violation> {
        let (pipe, reception) = (self.pipe_in(id), self.reception(id));
        let end = self.end_mut(id);
        if !end.was_slow {
            end.heard = end.heard.max(now);
        }
        let (channel, class) = (message.channel, message.class);
        let result = self.oracle.received(pipe, now, channel, class, &message.payload, reception);
        let name = &self.hosts[self.end(id).host.0].name;
        let delivered = result.map_err(|problem| format!("{name}: {problem}"))?;
        self.trace.line(now, name, || {
            let Delivered { index, latency, len } = delivered;
            format!("takes {class:?} {index}, channel {}, {len} bytes, {latency:?}", channel.0)
        });
        if let Some(log) = &mut self.log {
            log.push(Record { at: now, to: id, class, delivered });
        }
        Ok(())
    }

    pub(crate) fn read_slowly(&mut self, id: EndId) -> Result<(), Violation> {
        self.end_mut(id).reading = false;
        match self.end(id).reader {
            Reader::Prompt => self.read_all(id),
            Reader::Slow(each) => {
                if self.read_one(id)? {
                    self.plan_reading(id, each);
                }
                Ok(())
            }
        }
    }

    pub(crate) fn plan_reading(&mut self, id: EndId, each: Duration) {
        if !std::mem::replace(&mut self.end_mut(id).reading, true) {
            self.plan(self.now + each, Action::Read(id));
        }
    }

    /// Makes every application read at once from now on.
    pub(crate) fn hurry_readers(&mut self) -> Result<(), Violation> {
        for pair in 0..self.pairs.len() {
            for side in [Side::Client, Side::Server] {
                let id = EndId { pair, side };
                self.end_mut(id).reader = Reader::Prompt;
                self.read_all(id)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_differ_as_soon_as_there_is_room_for_a_number() {
        for size in [2, 3, 4, 8, 1_000] {
            let all: std::collections::BTreeSet<Vec<u8>> =
                (0..500).map(|index| payload(PipeId(1), index, size)).collect();
            assert_eq!(all.len(), 500, "{size}");
        }
    }

    #[test]
    fn payloads_of_two_pipes_differ_from_eight_bytes_on() {
        for size in [8, 9, 1_000] {
            let all: std::collections::BTreeSet<Vec<u8>> =
                (0..500).map(|pipe| payload(PipeId(pipe), 7, size)).collect();
            assert_eq!(all.len(), 500, "{size}");
        }
    }

    #[test]
    fn payloads_with_room_contain_the_marker() {
        assert!(payload(PipeId(0), 7, 24).ends_with(&MARKER));
        assert_eq!(payload(PipeId(0), 7, 0).len(), 0);
    }
}
