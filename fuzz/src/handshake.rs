//! Complete handshakes with TLS in which either end lies: bytes of TLS changed before they are
//! sealed, arbitrary frames at every level, datagrams lost and damaged.
//!
//! Panics if an end accepts a key that is not the other's. TLS's keys are random in each run, which
//! does not change what is done with them.

use std::time::Duration;

use hikyaku_proto::{
    ConnectionHandle, Crypto, Datagram, Delivery, EndpointConfig, KeyPolicy, Outgoing, Retry,
    time::Time,
};

use crate::{frames::address, host::Host, script::Script};

/// The maximum number of script steps.
const MAX_STEPS: usize = 60;
/// The maximum number of datagrams in transit.
const MAX_LINE: usize = 64;

/// A change to TLS's next bytes at a level: endpoint, level, offset, bits.
type Lie = (usize, u8, usize, u8);

struct World {
    now: Time,
    hosts: [Host; 2],
    line: Vec<(usize, Vec<u8>)>,
    lies: Vec<Lie>,
    /// `false` once packets of the script were injected, which may contain anything.
    honest: bool,
}

/// Runs one input.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut world = World::new(&mut script);
    world.dial(&mut script);
    for _ in 0..MAX_STEPS {
        if script.is_empty() {
            break;
        }
        world.step(&mut script);
        world.check();
    }
    for host in &mut world.hosts {
        let handles = host.endpoint.handles();
        host.outlive(world.now, &handles);
    }
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let choice = script.u8();
        let [mut client, mut server] = [1, 2].map(|seed| Crypto::new(&[seed; 32]));
        if choice & 1 == 1 {
            client = client.with_shared_key(&[3; 32]);
        }
        if choice & 2 == 2 {
            server = server.with_shared_key(&[3; 32]);
        }
        let mut server = EndpointConfig::server(server, address(2, 2_000));
        server.retry = [Retry::UnderLoad, Retry::Always][usize::from(choice >> 2 & 1)];
        let addresses = [address(1, 1_000), address(2, 2_000)];
        let client = EndpointConfig::client(client);
        let mut hosts = [Host::new(client, 1, addresses[0]), Host::new(server, 2, addresses[1])];
        hosts[0].may_send_to(addresses[1]);
        let now = Time::from_micros(1_000_000);
        Self { now, hosts, line: Vec::new(), lies: Vec::new(), honest: true }
    }

    fn dial(&mut self, script: &mut Script<'_>) {
        let (early, to) = (script.u8(), self.hosts[1].address);
        let endpoint = &mut self.hosts[0].endpoint;
        let Ok(handle) = endpoint.connect(self.now, to, KeyPolicy::AnyKey) else { return };
        if early & 1 == 1
            && let Some(connection) = endpoint.connection(handle)
        {
            let payload = vec![early; 100];
            let message = Outgoing::new(1, Delivery::Reliable, payload).repeatable();
            let _ = connection.send(self.now, message);
        }
        if early & 2 == 2 {
            self.lies.push((0, 0, usize::from(script.u16()), script.u8()));
        }
        self.collect(0);
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let op = script.u8();
        let end = usize::from(op >> 7);
        match op & 0x0f {
            0..=3 => self.arrive(script.below(4), |_| {}),
            4 => {
                let (index, at, xor) = (script.below(4), script.u16(), script.u8());
                self.arrive(index, |datagram| {
                    let at = usize::from(at) % datagram.len();
                    datagram[at] ^= xor;
                });
            }
            5 if !self.line.is_empty() => drop(self.line.remove(0)),
            6 | 7 => {
                // Applied to this end's next bytes.
                self.lies.push((end, op >> 5 & 3, usize::from(script.u16()), script.u8()));
            }
            8..=10 => self.say(end, op >> 5 & 3, script.chunk()),
            11 => {
                self.now += Duration::from_micros(script.magnitude());
                self.on_timer();
            }
            12 => {
                let timers = self.hosts.iter().filter_map(|host| host.timer);
                self.now = self.now.max(timers.min().unwrap_or(self.now));
                self.on_timer();
            }
            13 => self.all(),
            14 => {
                // Disconnects, and connects again with a ticket.
                for handle in self.hosts[end].endpoint.handles() {
                    if let Some(connection) = self.hosts[end].endpoint.connection(handle) {
                        connection.close(self.now, 7, "enough");
                    }
                }
                self.collect(end);
                self.all();
                if self.hosts[0].endpoint.stats().connections < 4 {
                    self.dial(script);
                }
            }
            _ => self.all(),
        }
    }

    /// Sends frames of the script, sealed with an end's keys of a level.
    fn say(&mut self, end: usize, level: u8, frames: &[u8]) {
        self.honest = false;
        for handle in self.hosts[end].endpoint.handles() {
            let sealed = self.hosts[end].endpoint.seal_frames(handle, level, 0, frames);
            if let Some(mut packet) = sealed {
                if level == 0 && end == 0 {
                    packet = self.padded(end, handle, frames).unwrap_or(packet);
                }
                self.feed(1 - end, &packet);
            }
        }
    }

    /// Pads a client's Hello to the required 1,200 bytes.
    fn padded(&mut self, end: usize, handle: ConnectionHandle, frames: &[u8]) -> Option<Vec<u8>> {
        let mut long = frames.to_vec();
        long.resize(long.len().max(1_200), 0);
        self.hosts[end].endpoint.seal_frames(handle, 0, 0, &long)
    }

    fn arrive(&mut self, index: usize, change: impl FnOnce(&mut Vec<u8>)) {
        if self.line.is_empty() {
            return;
        }
        let (to, mut datagram) = self.line.remove(index % self.line.len());
        change(&mut datagram);
        self.feed(to, &datagram);
    }

    fn all(&mut self) {
        for _ in 0..MAX_LINE {
            self.arrive(0, |_| {});
        }
    }

    fn feed(&mut self, to: usize, datagram: &[u8]) {
        let from = self.hosts[1 - to].address;
        let host = &mut self.hosts[to];
        host.may_send_to(from);
        host.endpoint.handle_datagram(self.now, Datagram::new(from, &mut datagram.to_vec()));
        self.collect(to);
    }

    fn on_timer(&mut self) {
        for end in [0, 1] {
            self.hosts[end].on_timer(self.now);
            self.collect(end);
        }
    }

    /// Takes an end's output, with the lies applied.
    fn collect(&mut self, end: usize) {
        let host = &mut self.hosts[end];
        for (_, level, at, xor) in self.lies.extract_if(.., |lie| lie.0 == end) {
            for handle in host.endpoint.handles() {
                host.endpoint.lie(handle, level, at, xor);
            }
        }
        host.poll(self.now);
        for (to, bytes) in std::mem::take(&mut host.sent) {
            assert_eq!(to, self.hosts[1 - end].address);
            if self.line.len() < MAX_LINE {
                self.line.push((1 - end, bytes));
            }
        }
    }

    /// Checks that each end knows the other's true identity.
    fn check(&mut self) {
        let keys = [1_u8, 2].map(public_key);
        for end in [0, 1] {
            for handle in self.hosts[end].endpoint.handles() {
                let Some(connection) = self.hosts[end].endpoint.connection(handle) else {
                    continue;
                };
                let key = connection.peer_key();
                assert!(key.is_none_or(|key| key == keys[1 - end]), "a key of neither end");
                assert!(
                    key.is_some() || !connection.is_established(),
                    "established without a peer key"
                );
                while let Some(message) = connection.recv(self.now, None) {
                    let sent = message.payload.len() == 100;
                    assert!(!self.honest || sent, "a message that was never sent");
                }
            }
            self.hosts[end].poll(self.now);
        }
    }
}

fn public_key(seed: u8) -> [u8; 32] {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("the seed is valid");
    pair.public_key().as_ref().try_into().expect("32 bytes")
}
