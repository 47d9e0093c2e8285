//! Two connected endpoints, scripted operations, and the promises of each class as a model.
//!
//! Bytes that an honest end would not send are left to `frames`.

use std::{net::SocketAddr, time::Duration};

use hikyaku_proto::{
    ChannelId, ConnectionHandle, Delivery, Ecn, Endpoint, Event, Outgoing, QueueError, time::Time,
};
use hikyaku_sim::oracle::{Oracle, PipeId, Print, Reception};

use crate::{
    dice::Dice,
    frames::{address, configs, congestion},
    host::Host,
    script::Script,
};

/// The maximum number of script steps.
const MAX_STEPS: usize = 300;
/// The maximum number of messages.
const MAX_MESSAGES: u32 = 200;
/// The time after the faults by which everything has arrived. Probes back off to 60 s at most
///
const HEALED: Duration = Duration::from_secs(150);
const WAY: Duration = Duration::from_millis(10);

/// A datagram in transit.
struct Packet {
    at: Time,
    source: SocketAddr,
    to: usize,
    bytes: Vec<u8>,
}

struct World {
    now: Time,
    hosts: [Host; 2],
    handles: [ConnectionHandle; 2],
    /// From each end to the other.
    pipes: [PipeId; 2],
    oracle: Oracle,
    line: Vec<Packet>,
    /// Whether the applications take messages at once.
    prompt: bool,
    /// Which ends are closed.
    closed: [bool; 2],
    /// Which ends are closing and may not send any more.
    leaving: [bool; 2],
    dice: Dice,
    messages: u32,
    /// The longest transit time of a packet.
    slack: Duration,
    healed: bool,
}

/// Runs one input.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut world = World::new(&mut script);
    for _ in 0..MAX_STEPS {
        if script.is_empty() {
            break;
        }
        world.step(&mut script);
    }
    world.heal();
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let now = Time::from_micros(1_000_000);
        let (choice, mut configs) = (script.u8(), configs());
        for config in &mut configs {
            config.transport.congestion = congestion(choice.into());
            // Larger packets are mostly padding, which costs time.
            config.transport.max_mtu = 1_452;
            // No promise depends on it, and 300 steps should cover many of them.
            config.transport.idle_timeout = (choice & 4 != 0).then_some(Duration::from_secs(30));
            if choice & 8 != 0 {
                config.transport.credit = 8_000;
                config.transport.channel_credit = 4_000;
                config.transport.max_message = 3_000;
                config.transport.pool = 8_000;
                config.transport.send_queue = 16_000;
            }
        }
        let [client, server] = configs;
        let addresses = [address(1, 1_000), address(2, 2_000)];
        let mut hosts = [Host::new(client, 1, addresses[0]), Host::new(server, 2, addresses[1])];
        let [client, server] = &mut hosts;
        client.may_send_to(addresses[1]);
        server.may_send_to(addresses[0]);
        let ends = [&mut client.endpoint, &mut server.endpoint];
        let parameters = parameters(choice & 8 != 0);
        let handles = Endpoint::join(now, ends, addresses, [&parameters; 2]);
        let mut oracle = Oracle::default();
        let pipes = [oracle.open(), oracle.open()];
        pipes.iter().for_each(|pipe| oracle.receiver_opened(*pipe));
        Self {
            now,
            hosts,
            handles,
            pipes,
            oracle,
            line: Vec::new(),
            prompt: choice & 16 != 0,
            closed: [false; 2],
            leaving: [false; 2],
            dice: Dice(5),
            messages: 0,
            slack: WAY,
            healed: false,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let op = script.u8();
        let end = usize::from(op >> 7);
        match op & 0x0f {
            0..=4 => self.send(end, op & 0x0f, script),
            5..=6 => self.arrive(script.below(8), false),
            7 => self.arrive(script.below(8), true),
            8 => drop(self.take(script.below(8))),
            9 => self.damage(script),
            10 => self.pass(Duration::from_micros(script.magnitude())),
            11 => self.advance(),
            12 => self.receive(end, script.u8()),
            13 => self.deliver_all(),
            _ => self.ask(end, script.u8()),
        }
        self.process();
    }

    fn send(&mut self, end: usize, class: u8, script: &mut Script<'_>) {
        let (choice, size) = (script.u8(), script.u8());
        let delivery = match class {
            0 => Delivery::Ordered,
            1 => Delivery::Reliable,
            2 => Delivery::Latest,
            3 => Delivery::Unreliable,
            _ => Delivery::Deadline(Duration::from_millis(script.u8().into())),
        };
        let channel = ChannelId(u16::from(choice & 3));
        let len = usize::from(size & 63) << (2 * (size >> 6));
        if self.messages >= MAX_MESSAGES {
            return;
        }
        self.messages += 1;
        let mut payload = self.messages.to_be_bytes().to_vec();
        payload.extend(self.dice.bytes(len));
        let (now, print) = (self.now, Print::of(&payload));
        let sent = match self.hosts[end].endpoint.connection(self.handles[end]) {
            Some(connection) => {
                let message = Outgoing::new(channel, delivery, payload);
                connection.send(now, message).map_err(|refused| refused.reason)
            }
            None => Err(QueueError::Closed),
        };
        match sent {
            Ok(receipt) => {
                assert!(
                    !self.leaving[end] && !self.closed[end],
                    "a message was accepted after the end"
                );
                let sent =
                    self.oracle.sent(self.pipes[end], now, channel, delivery, print, receipt);
                sent.expect("the oracle agrees");
            }
            Err(QueueError::Closed) => {
                assert!(
                    self.leaving[end] || self.closed[end],
                    "send reported a close that did not happen"
                );
            }
            Err(_) => {}
        }
    }

    fn take(&mut self, index: usize) -> Option<Packet> {
        if self.line.is_empty() {
            return None;
        }
        let packet = self.line.remove(index % self.line.len());
        self.slack = self.slack.max(self.now.since(packet.at));
        Some(packet)
    }

    /// Delivers one of the packets in transit, in any order, once or twice.
    fn arrive(&mut self, index: usize, twice: bool) {
        let Some(packet) = self.take(index) else { return };
        for _ in 0..=usize::from(twice) {
            self.hosts[packet.to].feed(self.now, packet.source, None, &packet.bytes);
        }
    }

    fn damage(&mut self, script: &mut Script<'_>) {
        let (index, at, xor) = (script.below(8), script.u16(), script.u8());
        let Some(mut packet) = self.take(index) else { return };
        let at = usize::from(at) % packet.bytes.len();
        packet.bytes[at] ^= xor;
        let ecn = (xor & 1 == 1).then_some(Ecn::Ce);
        self.hosts[packet.to].feed(self.now, packet.source, ecn, &packet.bytes);
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        for host in &mut self.hosts {
            host.on_timer(self.now);
        }
    }

    /// Advances to the next timer or arrival.
    fn advance(&mut self) {
        let timers = self.hosts.iter().filter_map(|host| host.timer);
        let next = timers.chain(self.line.iter().map(|packet| packet.at + WAY)).min();
        self.now = self.now.max(next.unwrap_or(self.now));
        self.pass(Duration::ZERO);
        while let Some(index) = self.line.iter().position(|packet| packet.at + WAY <= self.now) {
            self.arrive(index, false);
        }
    }

    fn deliver_all(&mut self) {
        for _ in 0..self.line.len() {
            self.arrive(0, false);
        }
    }

    fn reception(&self) -> Reception {
        // The longest transit time is at least half of any round trip.
        let slack = self.slack + Duration::from_millis(1);
        let (slack_counted, given_up_before) = (slack, slack);
        Reception { prompt: self.prompt, slack, slack_counted, given_up_before }
    }

    fn receive(&mut self, end: usize, most: u8) {
        let (now, reception) = (self.now, self.reception());
        let pipe = self.pipes[1 - end];
        for _ in 0..most {
            let connection = self.hosts[end].endpoint.connection(self.handles[end]);
            let Some(message) = connection.and_then(|connection| connection.recv(now, None)) else {
                break;
            };
            let (channel, class) = (message.channel, message.class);
            let received =
                self.oracle.received(pipe, now, channel, class, &message.payload, reception);
            received.expect("the oracle agrees");
        }
        self.hosts[end].poll(now);
    }

    fn ask(&mut self, end: usize, what: u8) {
        let now = self.now;
        let Some(connection) = self.hosts[end].endpoint.connection(self.handles[end]) else {
            return;
        };
        match what & 15 {
            0 | 1 => connection.ping(),
            2 => drop(connection.timed_ping(now)),
            3..=5 => drop(connection.update_keys()),
            6 => drop(connection.take_new_id()),
            7 | 8 => connection.set_priority(ChannelId(u16::from(what >> 6)), what >> 4),
            // The client's address changes, or only its port.
            9..=11 if end == 0 => {
                let moved = address(1 + 4 * (what >> 7), 1_000 + u16::from(what >> 4 & 3));
                self.hosts[0].address = moved;
            }
            12 if what >> 4 == 1 => {
                connection.close_gracefully(now, Duration::from_secs(20));
                self.leaving[end] = true;
            }
            13 if what >> 4 == 1 => {
                connection.close(now, 7, "enough");
                self.leaving[end] = true;
            }
            _ => {}
        }
    }

    /// Processes the results of a step: packets, events, messages.
    fn process(&mut self) {
        for end in [0, 1] {
            self.hosts[end].poll(self.now);
            if self.prompt || self.healed {
                self.receive(end, u8::MAX);
            }
            let source = self.hosts[end].address;
            for (to, bytes) in std::mem::take(&mut self.hosts[end].sent) {
                // Nobody has the client's previous address.
                if to == self.hosts[1 - end].address {
                    self.line.push(Packet { at: self.now, source, to: 1 - end, bytes });
                }
            }
            for (_, event) in std::mem::take(&mut self.hosts[end].events) {
                self.receive_event(end, &event);
            }
        }
    }

    fn receive_event(&mut self, end: usize, event: &Event) {
        let reception = self.reception();
        match event {
            Event::Receipt(receipt, outcome) => {
                let pipe = self.pipes[end];
                let checked = self.oracle.resolved(pipe, self.now, *receipt, *outcome, reception);
                checked.expect("the oracle agrees");
            }
            Event::Closed(reason) => {
                assert!(!self.closed[end], "closed twice");
                let known = self.leaving != [false; 2];
                let idle = *reason == hikyaku_proto::ClosedReason::Idle;
                let reset = *reason == hikyaku_proto::ClosedReason::Reset;
                assert!(known || idle || (reset && self.closed[1 - end]), "{reason:?}");
                self.closed[end] = true;
                self.receive(end, u8::MAX);
                self.oracle.sender_ended(self.pipes[end]);
                self.oracle.receiver_ended(self.pipes[1 - end]);
            }
            _ => {}
        }
    }

    /// Stops all faults and checks that everything converges.
    fn heal(&mut self) {
        self.healed = true;
        for end in [0, 1] {
            if let Some(connection) = self.hosts[end].endpoint.connection(self.handles[end]) {
                // A client that moved while idle is found when it sends.
                connection.ping();
            }
        }
        self.process();
        let until = self.now + HEALED;
        let idle = |world: &Self| world.pipes.iter().all(|pipe| world.oracle.is_idle(*pipe));
        for _ in 0..20_000 {
            if self.now > until || (idle(self) && self.line.is_empty()) {
                break;
            }
            self.advance();
            self.process();
        }
        for pipe in self.pipes {
            let (undelivered, unresolved) =
                (self.oracle.undelivered(pipe), self.oracle.unresolved(pipe));
            assert!(
                self.oracle.is_idle(pipe),
                "{undelivered} undelivered, {unresolved} unresolved"
            );
            self.oracle.finish(pipe, self.prompt).expect("the oracle agrees");
        }
    }
}

/// Returns the transport parameters of both ends, matching their configuration.
fn parameters(small: bool) -> Vec<u8> {
    let id = [&[1, 8][..], &[5; 8]].concat();
    if !small {
        return id;
    }
    // Credit 8,000, of a channel 4,000, messages of 3,000 (varints of two bytes).
    let small = [4, 2, 0x5f, 0x40, 5, 2, 0x4f, 0xa0, 6, 2, 0x4b, 0xb8];
    [&id[..], &small].concat()
}
