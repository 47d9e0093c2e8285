//! A peer with the keys that sends arbitrary frames, in any order.
//!
//! Packets that do not open are left to `stateless`.

use std::{net::SocketAddr, time::Duration};

use hikyaku_proto::{
    ChannelId, Congestion, ConnectionHandle, Crypto, Delivery, Ecn, Endpoint, EndpointConfig,
    Outgoing, ReceiveQueue, time::Time,
};

use crate::{host::Host, script::Script};

/// The maximum number of script steps.
const MAX_STEPS: usize = 200;

thread_local! {
    /// Created once, because parsing keys dominates the cost.
    static CRYPTO: [Crypto; 2] = [Crypto::new(&[1; 32]), Crypto::new(&[2; 32])];
}

/// Returns an address of the test network.
#[must_use]
pub fn address(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], port))
}

/// Returns the configurations of both ends.
#[must_use]
pub fn configs() -> [EndpointConfig; 2] {
    CRYPTO.with(|[client, server]| {
        [
            EndpointConfig::client(client.clone()),
            EndpointConfig::server(server.clone(), address(2, 2_000)),
        ]
    })
}

/// Returns one of the three algorithms.
#[must_use]
pub const fn congestion(choice: usize) -> Congestion {
    [Congestion::Cubic, Congestion::Bbr, Congestion::Fixed { rate: 1 << 20 }][choice % 3]
}

/// Two connected endpoints, and the time.
struct World {
    now: Time,
    hosts: [Host; 2],
    handles: [ConnectionHandle; 2],
    /// What the application of each end reads where it does not read the connection itself.
    queues: [ReceiveQueue; 2],
    /// Whether datagrams of one end reach the other automatically.
    joined: bool,
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
    world.finish();
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let now = Time::from_micros(1_000_000);
        let mut configs = configs();
        for config in &mut configs {
            config.transport.congestion = congestion(script.u8().into());
            let choice = script.u8();
            if choice & 2 == 2 {
                // Larger packets are mostly padding, which costs time.
                config.transport.max_mtu = 1_452;
            }
            if choice & 1 == 1 {
                // Small enough for scripts to reach the bounds.
                config.transport.credit = 4_000;
                config.transport.channel_credit = 2_000;
                config.transport.max_message = 1_000;
                config.transport.pool = 2_000;
                config.transport.send_queue = 4_000;
            }
        }
        let parameters = script.chunk();
        let [client, server] = configs;
        let addresses = [address(1, 1_000), address(2, 2_000)];
        let mut hosts = [Host::new(client, 1, addresses[0]), Host::new(server, 2, addresses[1])];
        let [client, server] = &mut hosts;
        client.may_send_to(addresses[1]);
        server.may_send_to(addresses[0]);
        let ends = [&mut client.endpoint, &mut server.endpoint];
        let handles = Endpoint::join(now, ends, addresses, [parameters, &[]]);
        let queues = Default::default();
        Self { now, hosts, handles, queues, joined: true }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let op = script.u8();
        let end = usize::from(op >> 7);
        match op & 0x0f {
            0..=5 => self.say(end, op, script),
            6 => self.pass(Duration::from_micros(script.magnitude())),
            7 => self.until_timer(),
            8 => self.joined ^= true,
            9 => self.send(end, script),
            10 => self.receive(end, script),
            11 => self.replay(end, script),
            _ => self.ask(end, script),
        }
        self.exchange();
    }

    /// Sends a packet of frames from the script, from one of several addresses.
    fn say(&mut self, end: usize, op: u8, script: &mut Script<'_>) {
        let (skip, frames) = (u64::from(op >> 4 & 1) * script.magnitude(), script.chunk());
        let handle = self.handles[end];
        let Some(packet) = self.hosts[end].endpoint.seal_frames(handle, 3, skip, frames) else {
            return;
        };
        let from = match op >> 5 & 3 {
            3 => address(77, script.u16() % 4),
            2 => address(1, script.u16() % 4),
            _ => self.hosts[end].address,
        };
        let ecn = [None, Some(Ecn::Ect0), Some(Ecn::Ce)][usize::from(op & 0x0f) % 3];
        self.hosts[1 - end].feed(self.now, from, ecn, &packet);
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        for host in &mut self.hosts {
            host.on_timer(self.now);
        }
    }

    fn until_timer(&mut self) {
        let next = self.hosts.iter().filter_map(|host| host.timer).min();
        self.now = self.now.max(next.unwrap_or(self.now));
        self.pass(Duration::ZERO);
    }

    fn send(&mut self, end: usize, script: &mut Script<'_>) {
        let delivery = match script.below(5) {
            0 => Delivery::Ordered,
            1 => Delivery::Reliable,
            2 => Delivery::Latest,
            3 => Delivery::Unreliable,
            _ => Delivery::Deadline(Duration::from_micros(script.magnitude())),
        };
        let channel = ChannelId(script.u8().into());
        let payload = vec![7; usize::from(script.u16()) % 5_000];
        let now = self.now;
        if let Some(connection) = self.hosts[end].endpoint.connection(self.handles[end]) {
            let len = payload.len();
            let sent = connection.send(now, Outgoing::new(channel, delivery, payload));
            let back = sent.err().map(|refused| refused.payload.len());
            assert!(back.is_none_or(|back| back == len), "a refused payload is returned whole");
        }
        self.hosts[end].poll(now);
    }

    fn receive(&mut self, end: usize, script: &mut Script<'_>) {
        let (now, apart) = (self.now, script.u8());
        if let Some(connection) = self.hosts[end].endpoint.connection(self.handles[end]) {
            match apart {
                0..=127 => while connection.recv(now, None).is_some() {},
                128..=191 => drop(connection.recv(now, Some(ChannelId(apart.into())))),
                _ => connection.exchange(now, &mut self.queues[end], |_| {}),
            }
        }
        self.hosts[end].poll(now);
    }

    /// Delivers raw bytes: damaged sealed packets, and others.
    fn replay(&mut self, end: usize, script: &mut Script<'_>) {
        let handle = self.handles[end];
        let (at, xor, frames) = (script.u16(), script.u8(), script.chunk());
        let Some(mut packet) = self.hosts[end].endpoint.seal_frames(handle, 3, 0, frames) else {
            return;
        };
        let at = usize::from(at) % packet.len();
        packet[at] ^= xor;
        let from = self.hosts[end].address;
        for _ in 0..2 {
            self.hosts[1 - end].feed(self.now, from, None, &packet);
        }
    }

    fn ask(&mut self, end: usize, script: &mut Script<'_>) {
        let (now, what) = (self.now, script.u8());
        if let Some(connection) = self.hosts[end].endpoint.connection(self.handles[end]) {
            match what & 7 {
                0 => connection.ping(),
                1 => drop(connection.timed_ping(now)),
                2 => drop(connection.update_keys()),
                3 => drop(connection.take_new_id()),
                4 => connection.set_priority(ChannelId(what.into()), what),
                5 => connection.close_gracefully(now, Duration::from_secs(1)),
                6 => drop(connection.poll_receipt()),
                _ if what == 7 => connection.close(now, 7, "enough"),
                _ => {}
            }
        }
        self.hosts[end].poll(now);
    }

    /// Delivers or drops the datagrams of both ends, up to a limit.
    fn exchange(&mut self) {
        for _ in 0..4 {
            for end in [0, 1] {
                let from = self.hosts[end].address;
                for (to, bytes) in std::mem::take(&mut self.hosts[end].sent) {
                    if self.joined && to == self.hosts[1 - end].address {
                        self.hosts[1 - end].feed(self.now, from, None, &bytes);
                    }
                }
            }
        }
    }

    fn finish(mut self) {
        for end in [0, 1] {
            let handle = self.handles[end];
            self.hosts[end].outlive(self.now, &[handle]);
        }
    }
}
