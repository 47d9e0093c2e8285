//! Flows that share one bottleneck: what each of them gets, and how long the queue is.
//!
//! In: a path, flows, a seed. Out: goodput, losses, latencies, the queue. Never: an oracle; what
//! is delivered is only counted.

use std::{cmp::Reverse, collections::BinaryHeap, net::SocketAddr, time::Duration};

use crate::{
    api::{
        ChannelId, ConnectionHandle, Datagram, Delivery, Ecn, Endpoint, EndpointConfig, Event,
        Outcome, Outgoing, Output, Time, TransportConfig, crypto, dial,
    },
    link::{EcnTreatment, Fate, Link},
    rng::Rng,
};

mod flow;
pub mod grid;

pub use flow::{Experiment, Flow, Share, Shares, Traffic};

/// The size of the messages of a bulk flow.
const BULK_MESSAGE: usize = 16 << 10;

/// The send queue of a bulk flow.
const BULK_QUEUE: usize = 32 << 20;

/// How often the queue of the bottleneck is measured.
const SAMPLE_EACH: Duration = Duration::from_millis(5);

struct Node {
    endpoint: Endpoint,
    timer: Option<Time>,
    handle: Option<ConnectionHandle>,
    peer: usize,
}

struct Arrival {
    at: Time,
    number: u64,
    to: usize,
    ecn: Option<Ecn>,
    bytes: Vec<u8>,
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Arrival {}
impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Arrival {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

struct Run<'a> {
    experiment: &'a Experiment,
    flows: &'a [Flow],
    now: Time,
    began: Time,
    rng: Rng,
    bottleneck: Link,
    backs: Vec<Link>,
    nodes: Vec<Node>,
    arrivals: BinaryHeap<Reverse<Arrival>>,
    number: u64,
    spare: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    next_send: Vec<Time>,
    shares: Vec<Share>,
    waited: (Duration, u64, Duration),
    dropped: u64,
}

/// Senders are at even places, each before its receiver.
const fn is_sender(node: usize) -> bool {
    node.is_multiple_of(2)
}

fn address(node: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1_000 + node as u16))
}

/// Runs an experiment.
///
/// # Errors
/// If a flow cannot connect.
pub fn run(experiment: &Experiment, flows: &[Flow]) -> Result<Shares, String> {
    let mut run = Run::new(experiment, flows);
    let end = run.began + experiment.warmup + experiment.span;
    let mut next_sample = run.began;
    while let Some(next) = run.next_time().filter(|next| *next <= end) {
        run.now = run.now.max(next);
        while next_sample <= run.now {
            run.sample();
            next_sample += SAMPLE_EACH;
        }
        run.step()?;
    }
    Ok(run.finish())
}

impl<'a> Run<'a> {
    fn new(experiment: &'a Experiment, flows: &'a [Flow]) -> Self {
        let mut rng = Rng::new(experiment.seed);
        let now = Time::from_micros(1_000_000);
        let mut nodes = Vec::new();
        for (index, flow) in flows.iter().enumerate() {
            let mut transport = TransportConfig::default().congestion(flow.congestion);
            transport.send_queue = BULK_QUEUE;
            let key = |side: u8| {
                let mut key = [side; 32];
                key[1] = index as u8;
                key
            };
            let mut client = EndpointConfig::client(crypto(key(1), None));
            client.transport = transport.clone();
            let to = address(2 * index + 1);
            let mut server = EndpointConfig::server(crypto(key(2), None), to);
            server.transport = transport;
            for (peer, config) in [(2 * index + 1, client), (2 * index, server)] {
                let endpoint = Endpoint::new(config, Box::new(rng.fork()));
                nodes.push(Node { endpoint, timer: None, handle: None, peer });
            }
        }
        Self {
            experiment,
            flows,
            now,
            began: now,
            rng,
            bottleneck: Link::new(experiment.link.clone()),
            backs: flows.iter().map(|_| Link::new(experiment.back.clone())).collect(),
            nodes,
            arrivals: BinaryHeap::new(),
            number: 0,
            spare: Vec::new(),
            buffer: Vec::new(),
            next_send: flows.iter().map(|flow| now + flow.starts).collect(),
            shares: vec![Share::default(); flows.len()],
            waited: (Duration::ZERO, 0, Duration::ZERO),
            dropped: 0,
        }
    }

    fn next_time(&self) -> Option<Time> {
        let arrival = self.arrivals.peek().map(|Reverse(arrival)| arrival.at);
        let timer = self.nodes.iter().filter_map(|node| node.timer).min();
        let send = self.next_send.iter().copied().min();
        [arrival, timer, send].into_iter().flatten().min()
    }

    fn is_measuring(&self) -> bool {
        self.now >= self.began + self.experiment.warmup
    }

    fn sample(&mut self) {
        if !self.is_measuring() {
            return;
        }
        let waits = self.bottleneck.backlog(self.now);
        self.waited.0 += waits;
        self.waited.1 += 1;
        self.waited.2 = self.waited.2.max(waits);
    }

    fn step(&mut self) -> Result<(), String> {
        for flow in 0..self.flows.len() {
            if self.next_send[flow] <= self.now {
                self.send(flow)?;
                self.poll(2 * flow)?;
            }
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].timer.is_some_and(|at| at <= self.now) {
                self.nodes[node].endpoint.handle_timeout(self.now);
                self.poll(node)?;
            }
        }
        while let Some(Reverse(arrival)) = self.arrivals.peek()
            && arrival.at <= self.now
        {
            let Some(Reverse(mut arrival)) = self.arrivals.pop() else { break };
            let from = address(self.nodes[arrival.to].peer);
            let datagram = Datagram { ecn: arrival.ecn, ..Datagram::new(from, &mut arrival.bytes) };
            self.nodes[arrival.to].endpoint.handle_datagram(self.now, datagram);
            self.spare.push(arrival.bytes);
            self.poll(arrival.to)?;
        }
        Ok(())
    }

    /// Connects a flow, or sends what is due.
    fn send(&mut self, flow: usize) -> Result<(), String> {
        let node = 2 * flow;
        let Some(handle) = self.nodes[node].handle else {
            let to = address(node + 1);
            let handle = dial(&mut self.nodes[node].endpoint, self.now, to)?;
            self.nodes[node].handle = Some(handle);
            self.next_send[flow] = Time::from_micros(u64::MAX);
            return Ok(());
        };
        let measuring = self.is_measuring();
        let Some(connection) = self.nodes[node].endpoint.connection(handle) else {
            return Err(format!("flow {flow} closed at {:?}", self.now));
        };
        match self.flows[flow].traffic {
            Traffic::Bulk => {
                loop {
                    let message =
                        Outgoing::new(ChannelId(0), Delivery::Ordered, vec![0; BULK_MESSAGE]);
                    if connection.send(self.now, message).is_err() {
                        break;
                    }
                }
                self.next_send[flow] = Time::from_micros(u64::MAX);
            }
            Traffic::Paced { delivery, size, each, together } => {
                for _ in 0..together {
                    let mut payload = vec![0; size.max(8)];
                    payload[..8].copy_from_slice(&self.now.as_micros().to_le_bytes());
                    let message = Outgoing::new(ChannelId(0), delivery, payload);
                    self.shares[flow].sent += u64::from(measuring);
                    if connection.send(self.now, message).is_err() {
                        *self.shares[flow].outcomes.entry("refused").or_default() += 1;
                    }
                }
                self.next_send[flow] = self.now + each;
            }
        }
        Ok(())
    }

    fn poll(&mut self, node: usize) -> Result<(), String> {
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            let output = self.nodes[node].endpoint.poll_output(self.now, &mut buffer);
            match output {
                Output::Transmit(transmit) => {
                    for datagram in buffer[..transmit.len].chunks(transmit.segment_size) {
                        self.carry(node, transmit.ecn, datagram);
                    }
                }
                Output::Event(handle, event) => self.on_event(node, handle, &event)?,
                Output::Timeout(timer) => {
                    self.nodes[node].timer = timer.map(|(at, _)| at);
                    self.buffer = buffer;
                    return Ok(());
                }
            }
            self.buffer = buffer;
        }
    }

    fn on_event(
        &mut self,
        node: usize,
        handle: ConnectionHandle,
        event: &Event,
    ) -> Result<(), String> {
        let flow = node / 2;
        match event {
            Event::Connected { .. } if is_sender(node) => self.next_send[flow] = self.now,
            Event::Writable if matches!(self.flows[flow].traffic, Traffic::Bulk) => {
                self.send(flow)?;
            }
            Event::Readable => {
                let measuring = self.is_measuring();
                let paced = !matches!(self.flows[flow].traffic, Traffic::Bulk);
                if let Some(connection) = self.nodes[node].endpoint.connection(handle) {
                    while let Some(message) = connection.recv(self.now, None) {
                        if !measuring {
                            continue;
                        }
                        let share = &mut self.shares[flow];
                        share.delivered += message.payload.len() as u64;
                        if paced && let Some(at) = message.payload.first_chunk::<8>() {
                            let at = Time::from_micros(u64::from_le_bytes(*at));
                            share.latencies.push(self.now.since(at));
                        }
                    }
                }
            }
            Event::Receipt(_, outcome) => {
                let name = match outcome {
                    Outcome::Acknowledged => "acknowledged",
                    Outcome::Superseded => "superseded",
                    Outcome::Expired => "expired",
                    Outcome::Sent => "sent",
                    Outcome::Unconfirmed => "unconfirmed",
                    _ => "unsent",
                };
                *self.shares[flow].outcomes.entry(name).or_default() += 1;
            }
            Event::Closed(reason) => {
                return Err(format!("node {node} closed at {:?}: {reason:?}", self.now));
            }
            _ => {}
        }
        Ok(())
    }

    fn carry(&mut self, node: usize, ecn: Option<Ecn>, datagram: &[u8]) {
        let (flow, forward) = (node / 2, is_sender(node));
        let link = if forward { &mut self.bottleneck } else { &mut self.backs[flow] };
        let fate = link.carry(self.now, datagram.len(), &mut self.rng);
        let strips = link.config().ecn == EcnTreatment::Strip;
        match fate {
            Fate::Lost(reason) => {
                let full = reason == crate::link::Lost::Queue && forward;
                self.dropped += u64::from(full && self.is_measuring());
            }
            Fate::Carried(first, _) => {
                let mut bytes = self.spare.pop().unwrap_or_default();
                bytes.clear();
                bytes.extend_from_slice(datagram);
                let ecn = match ecn {
                    Some(_) if first.marked => Some(Ecn::Ce),
                    _ if strips => None,
                    ecn => ecn,
                };
                let to = self.nodes[node].peer;
                self.number += 1;
                let number = self.number;
                self.arrivals.push(Reverse(Arrival { at: first.at, number, to, ecn, bytes }));
            }
        }
    }

    fn finish(mut self) -> Shares {
        for (flow, share) in self.shares.iter_mut().enumerate() {
            let node = &self.nodes[2 * flow];
            if let Some(connection) = node.handle.and_then(|handle| node.endpoint.peek(handle)) {
                let stats = connection.stats();
                share.packets = (stats.sent_packets, stats.lost_packets);
            }
        }
        Shares {
            flows: self.shares,
            span: self.experiment.span,
            queued: self.waited.0 / u32::try_from(self.waited.1.max(1)).unwrap_or(u32::MAX),
            queued_most: self.waited.2,
            dropped: self.dropped,
        }
    }
}
