//! The world: hosts, the network between them, one clock, and all observers.
//!
//! In: hosts, links, a script. Out: time passes; the first violation. Never: randomness other than
//! the seed's (except TLS's own, which changes no length and no time).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use crate::{
    action::Action,
    api::{
        Congestion, ConnectionHandle, Ecn, EndpointConfig, Message, Retry, Time, TransportConfig,
        crypto,
    },
    attack::Attacker,
    ends::{EndId, Pair, Record},
    link::{Fate, LinkConfig},
    network::{HostId, Network, Packet},
    node::{Effect, Node},
    oracle::{Oracle, PipeId, Print, Violation},
    rng::Rng,
    tap::{self, Tap},
    trace::Trace,
};

/// The configuration of an endpoint, from which it can be created again.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Whether it accepts connections.
    pub server: bool,
    /// When it sends a Retry.
    pub retry: Retry,
    /// The maximum number of half-open connections.
    pub max_half_open: usize,
    /// The maximum number of connections.
    pub max_connections: usize,
    /// A key that both sides know.
    pub shared: Option<[u8; 32]>,
    /// Timers, windows, queues.
    pub transport: TransportConfig,
}

impl HostConfig {
    /// Returns a client with defaults.
    #[must_use]
    pub fn client() -> Self {
        Self {
            server: false,
            retry: Retry::Never,
            max_half_open: 1_000,
            max_connections: 1_000,
            shared: None,
            transport: TransportConfig::default(),
        }
    }

    /// Returns a server with defaults.
    #[must_use]
    pub fn server() -> Self {
        Self { server: true, retry: Retry::UnderLoad, ..Self::client() }
    }

    /// Changes the congestion control.
    #[must_use]
    pub fn with(mut self, congestion: Congestion) -> Self {
        self.transport.congestion = congestion;
        self
    }

    fn endpoint(&self, identity: [u8; 32], local: SocketAddr) -> EndpointConfig {
        EndpointConfig {
            server: self.server,
            retry: self.retry,
            max_half_open: self.max_half_open,
            max_connections: self.max_connections,
            transport: self.transport.clone(),
            ..EndpointConfig::server(crypto(identity, self.shared), local)
        }
    }
}

/// A host: an endpoint with its configuration.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) name: String,
    pub(crate) config: HostConfig,
    pub(crate) public_key: [u8; 32],
    identity: [u8; 32],
    local: SocketAddr,
    rng: Rng,
}

/// The complete state of a simulation.
#[derive(Debug)]
pub struct World {
    /// The current time.
    pub now: Time,
    /// The network.
    pub network: Network,
    /// The trace.
    pub trace: Trace,
    /// The oracle.
    pub oracle: Oracle,
    /// An attacker on the path.
    pub attacker: Option<Attacker>,
    /// All deliveries, if they are measured.
    pub log: Option<Vec<Record>>,
    pub(crate) rng: Rng,
    pub(crate) hosts: Vec<Host>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) ends: BTreeMap<(HostId, ConnectionHandle), EndId>,
    pub(crate) script: BTreeMap<(Time, u64), Action>,
    pub(crate) next_action: u64,
    /// Handshakes may time out until then, because of faults in the network.
    pub(crate) excused_until: Time,
    pub(crate) refused: bool,
    /// First packets from unused addresses so far.
    pub(crate) flooders: u32,
    /// Pipes whose senders closed gracefully, in time.
    pub(crate) graceful: Vec<PipeId>,
    /// A server's connections with incomplete handshakes, and their 0-RTT messages: they may be
    /// replays of what a client once sent.
    pub(crate) early: BTreeMap<(HostId, ConnectionHandle), Vec<(Time, Message)>>,
    /// Which connection accepted which 0-RTT message: no two may accept the same.
    pub(crate) early_takers: BTreeMap<Print, (HostId, ConnectionHandle)>,
    /// Hosts whose address has changed.
    pub(crate) moved: BTreeSet<HostId>,
    /// When each host last restarted.
    pub(crate) restarts: BTreeMap<HostId, Time>,
    dirty: BTreeSet<HostId>,
    tap: Tap,
    steps: u64,
}

impl World {
    /// Creates an empty world.
    #[must_use]
    pub fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            now: Time::from_micros(1_000_000),
            network: Network::new(rng.fork()),
            trace,
            oracle: Oracle::default(),
            attacker: None,
            log: None,
            rng,
            hosts: Vec::new(),
            pairs: Vec::new(),
            ends: BTreeMap::new(),
            script: BTreeMap::new(),
            next_action: 0,
            excused_until: Time::ZERO,
            refused: false,
            flooders: 0,
            graceful: Vec::new(),
            early: BTreeMap::new(),
            early_takers: BTreeMap::new(),
            moved: BTreeSet::new(),
            restarts: BTreeMap::new(),
            dirty: BTreeSet::new(),
            tap: Tap::default(),
            steps: 0,
        }
    }

    /// Adds a host.
    pub fn add_host(&mut self, config: HostConfig) -> HostId {
        let host = self.network.add_host();
        let mut rng = self.rng.fork();
        let identity = [host.0 as u8 + 1; 32];
        let local = self.network.address(host);
        let endpoint = config.endpoint(identity, local);
        let public_key = endpoint.crypto.public_key();
        let node = Node::new(endpoint, rng.fork());
        let name = match config.server {
            true => "server".to_owned(),
            false => format!("client{}", host.0),
        };
        self.hosts.push(Host { node, name, config, public_key, identity, local, rng });
        host
    }

    /// Connects a client and a server by links.
    pub fn join(&mut self, client: HostId, server: HostId, up: LinkConfig, down: LinkConfig) {
        self.network.set_link(client, server, up);
        self.network.set_link(server, client, down);
    }

    /// Creates the host's endpoint again at the same address, without any of its state.
    pub(crate) fn remake(&mut self, host: HostId) {
        let host = &mut self.hosts[host.0];
        host.node = Node::new(host.config.endpoint(host.identity, host.local), host.rng.fork());
    }

    /// Creates an unrelated endpoint, whose first packets are genuine.
    pub(crate) fn throwaway(&mut self) -> Node {
        let local = SocketAddr::from(([192, 0, 2, 1], 1));
        let config = HostConfig::client().endpoint([0xee; 32], local);
        Node::new(config, self.rng.fork())
    }

    /// Returns the number of steps so far.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns how many timers have fired so far, on all hosts.
    #[must_use]
    pub fn timers(&self) -> u64 {
        self.hosts.iter().map(|host| host.node.timers()).sum()
    }

    /// Marks an endpoint that an application has called: it is polled before time passes.
    pub(crate) fn touch(&mut self, host: HostId) {
        self.dirty.insert(host);
    }

    /// Lets time pass until `end`, or until `enough` returns `true`, which is called whenever time
    /// is about to pass.
    ///
    /// # Errors
    /// The first violation.
    pub fn run(
        &mut self,
        end: Time,
        mut enough: impl FnMut(&Self) -> bool,
    ) -> Result<(), Violation> {
        loop {
            while let Some(host) = self.dirty.pop_first() {
                self.poll(host)?;
            }
            if enough(self) {
                return Ok(());
            }
            let next = self.next_time().filter(|next| *next <= end);
            let Some(next) = next else {
                self.now = self.now.max(end);
                return Ok(());
            };
            self.now = self.now.max(next);
            self.step()?;
        }
    }

    /// Lets a span of time pass.
    ///
    /// # Errors
    /// The first violation.
    pub fn run_for(&mut self, span: Duration) -> Result<(), Violation> {
        self.run(self.now + span, |_| false)
    }

    fn next_time(&self) -> Option<Time> {
        let arrival = self.network.next_arrival();
        let action = self.script.keys().next().map(|(at, _)| *at);
        let timer = self.hosts.iter().filter_map(|host| host.node.timer()).min();
        [arrival, action, timer].into_iter().flatten().min()
    }

    /// Performs the first of what is due: timers, then scripted actions, then one datagram.
    fn step(&mut self) -> Result<(), Violation> {
        self.steps += 1;
        let due = |host: &Host| host.node.timer().is_some_and(|at| at <= self.now);
        if let Some(index) = self.hosts.iter().position(due) {
            let host = &mut self.hosts[index];
            let (name, node) = (&host.name, &mut host.node);
            self.trace.line(self.now, name, || format!("timer: {}", node.timer_reason()));
            node.on_timer(self.now).map_err(|problem| format!("{name}: {problem}"))?;
            self.dirty.insert(HostId(index));
            return Ok(());
        }
        if self.script.first_key_value().is_some_and(|((at, _), _)| *at <= self.now)
            && let Some((_, action)) = self.script.pop_first()
        {
            return self.act(action);
        }
        if let Some((host, mut packet)) = self.network.arrive(self.now) {
            let Host { name, node, .. } = &mut self.hosts[host.0];
            self.trace.line(self.now, name, || format!("gets {}", tap::describe(&packet.bytes)));
            if !node.feed(self.now, packet.from, packet.ecn, &mut packet.bytes) {
                self.network.brought_nothing(packet.id);
            }
            self.network.recycle(packet.bytes);
            self.dirty.insert(host);
        }
        Ok(())
    }

    /// Performs the outputs of an endpoint until there are none left.
    fn poll(&mut self, host: HostId) -> Result<(), Violation> {
        loop {
            let Host { node, name, .. } = &mut self.hosts[host.0];
            let effect = node.poll(self.now).map_err(|problem| format!("{name}: {problem}"))?;
            match effect {
                Some(Effect::Train(transmit)) => {
                    let train = std::mem::take(&mut node.train);
                    for datagram in train.chunks(transmit.segment_size) {
                        self.transmit(host, transmit.to, transmit.ecn, datagram)?;
                    }
                    self.hosts[host.0].node.train = train;
                }
                Some(Effect::Event(handle, event)) => self.handle_event(host, handle, event)?,
                None => break,
            }
        }
        self.check_limits(host)?;
        match self.network.take_violations().pop() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }

    /// Checks the limits of M-35, and that no connection panicked.
    fn check_limits(&self, host: HostId) -> Result<(), Violation> {
        let Host { node, name, config, .. } = &self.hosts[host.0];
        let stats = node.endpoint.stats();
        let (open, half) = (stats.connections, stats.half_open);
        if half > config.max_half_open || open > config.max_connections {
            return Err(format!("{name}: M-35: {half} half-open connections, {open} in all"));
        }
        match stats.faults {
            0 => Ok(()),
            faults => Err(format!("{name}: {faults} connections panicked")),
        }
    }

    fn transmit(
        &mut self,
        host: HostId,
        to: SocketAddr,
        ecn: Option<Ecn>,
        datagram: &[u8],
    ) -> Result<(), Violation> {
        let (packet, fate) = self.network.send(self.now, host, to, ecn, datagram);
        let Host { name, config, .. } = &self.hosts[host.0];
        self.trace.line(self.now, name, || {
            format!("sends {}{}", tap::describe(datagram), fate_text(fate, self.now))
        });
        if let Some(problem) = self.tap.observe(&packet) {
            return Err(format!("{name}: {problem}"));
        }
        let limit = config.transport.max_mtu.max(1_200);
        if datagram.len() > limit {
            return Err(format!("{name}: {} bytes sent, limit {limit}", datagram.len()));
        }
        self.attack(&packet);
        self.network.recycle(packet.bytes);
        Ok(())
    }

    /// Packets to unused addresses reach nobody: a host that received them would own the address
    /// and could answer its challenges.
    fn attack(&mut self, packet: &Packet) {
        if self.network.ever_owned_by(packet.to).is_none() {
            return;
        }
        let Some(attacker) = &mut self.attacker else { return };
        let Some((kind, made)) = attacker.observe(self.now, packet) else { return };
        self.trace.line(self.now, "attack", || {
            format!("{kind:?} for {} at {}: {}", made.to, made.at, tap::describe(&made.bytes))
        });
        self.network.inject(made.at, made.from, made.to, made.origin, &made.bytes);
    }
}

fn fate_text(fate: Option<Fate>, now: Time) -> String {
    match fate {
        None => ": unroutable".to_owned(),
        Some(Fate::Lost(reason)) => format!(": LOST ({reason:?})"),
        Some(Fate::Carried(first, copy)) => {
            let damaged = if first.corrupted { ", damaged" } else { "" };
            let twice = if copy.is_some() { ", twice" } else { "" };
            let marked = if first.marked { ", CE" } else { "" };
            format!(", takes {:?}{damaged}{twice}{marked}", first.at.since(now))
        }
    }
}
