//! Arbitrary datagrams from several addresses to a server and to a connecting client, before any
//! handshake is complete.
//!
//! Panics if an endpoint answers more than it may.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use hikyaku_proto::{EndpointConfig, KeyPolicy, Retry, time::Time};

use crate::{
    frames::{address, configs},
    hello::Hello,
    host::Host,
    script::Script,
};

/// The maximum number of script steps.
const MAX_STEPS: usize = 100;
/// M-33: bytes that may be sent to an unvalidated address per byte received from it.
const AMPLIFICATION: usize = 3;

struct World {
    now: Time,
    host: Host,
    server: bool,
    /// Bytes from and to each address.
    heard: BTreeMap<SocketAddr, usize>,
    said: BTreeMap<SocketAddr, usize>,
    /// Addresses that presented a token, to which more may be sent.
    shown: BTreeSet<SocketAddr>,
    /// Its latest datagrams, to be sent back to it.
    last: Vec<Vec<u8>>,
    /// The number of our next Hello.
    number: u32,
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
        world.check();
    }
    let handles: Vec<_> = world.host.events.iter().map(|(handle, _)| *handle).collect();
    world.host.outlive(world.now, &handles);
    assert_eq!(world.host.endpoint.stats().half_open, 0, "a half-open slot is never released");
}

fn server(config: &mut EndpointConfig, choice: u8) {
    config.retry = [Retry::Never, Retry::UnderLoad, Retry::Always][usize::from(choice) % 3];
    // Few enough for scripts to reach the bounds.
    config.max_half_open = 6;
    config.half_open_per_network = Some(3);
    config.max_connections = 5;
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let choice = script.u8();
        let is_server = choice & 0x80 == 0;
        let [client, mut of_server] = configs();
        server(&mut of_server, choice);
        let config = if is_server { of_server } else { client };
        let now = Time::from_micros(1_000_000);
        let mut host = Host::new(config, 1, address(2, 2_000));
        if !is_server {
            let to = address(1, 1);
            host.may_send_to(to);
            host.endpoint.connect(now, to, KeyPolicy::AnyKey).expect("the client connects");
            host.poll(now);
        }
        let (heard, said, shown) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut world =
            Self { now, host, server: is_server, heard, said, shown, last: Vec::new(), number: 0 };
        world.check();
        world
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let op = script.u8();
        let from = address(op >> 6, u16::from(op >> 4 & 3));
        match op & 0x0f {
            0..=2 => self.feed(from, script.chunk()),
            3 => {
                // Unchanged, but padded to the length that a server requires.
                let mut datagram = script.chunk().to_vec();
                datagram.resize(1_200, 0);
                self.feed(from, &datagram);
            }
            4..=9 => self.hello(from, script),
            10 => {
                self.now += Duration::from_micros(script.magnitude());
                self.host.on_timer(self.now);
            }
            11 => {
                self.now = self.now.max(self.host.timer.unwrap_or(self.now));
                self.host.on_timer(self.now);
            }
            12 | 13 => self.echo(from, script),
            _ => self.answer(from, script),
        }
    }

    fn feed(&mut self, from: SocketAddr, datagram: &[u8]) {
        *self.heard.entry(from).or_default() += datagram.len();
        self.host.feed(self.now, from, None, datagram);
    }

    /// Sends a Hello that opens, with arbitrary frames, which anyone can forge (section 2).
    fn hello(&mut self, from: SocketAddr, script: &mut Script<'_>) {
        let (ids, frames) = (script.u8(), script.chunk());
        self.number += 1;
        // To an existing connection or a new one; with a token from a Retry, if there is one.
        let retried = self.last.iter().find_map(|reply| Hello::after_retry(reply));
        let mut hello = match retried {
            Some(retried) if ids & 0x80 != 0 => {
                self.shown.insert(from);
                retried
            }
            _ => Hello::new([ids & 3; 8]),
        };
        hello.number = self.number;
        self.feed(from, &hello.seal(frames));
    }

    /// Sends one of its datagrams back, changed.
    fn echo(&mut self, from: SocketAddr, script: &mut Script<'_>) {
        let (which, at, xor) = (script.u8(), script.u16(), script.u8());
        let Some(mut datagram) = self.last.get(usize::from(which)).cloned() else { return };
        let at = usize::from(at) % datagram.len();
        datagram[at] ^= xor;
        self.feed(from, &datagram);
    }

    /// Sends an answer with the ids of its latest datagram.
    fn answer(&mut self, from: SocketAddr, script: &mut Script<'_>) {
        let (first, middle, tail) = (script.u8(), script.u8(), script.chunk());
        let Some(sent) = self.last.last().filter(|sent| sent.len() > 21) else { return };
        let (to, source) = (&sent[13..21], &sent[5..13]);
        let mut answer = vec![0xc0 | first & 0x0f, 0, 0, 0, first >> 7];
        // The other end's id from the header, or the id to which it should be addressed.
        answer.extend_from_slice(to);
        answer.extend_from_slice(source);
        if middle & 1 == 1 {
            let hello = Hello { to: source.try_into().expect("8 bytes"), ..Hello::new([0; 8]) };
            self.number += 1;
            let sealed = hello.seal_back(to.try_into().expect("8 bytes"), self.number, tail);
            return self.feed(from, &sealed);
        }
        answer.extend_from_slice(tail);
        if middle & 2 == 2 {
            // A Retry with the correct tag, which an observer of the Hello can make.
            let tag = crate::hello::retry_tag(source.try_into().expect("8 bytes"), &answer);
            answer.extend_from_slice(&tag);
        }
        self.feed(from, &answer);
    }

    fn check(&mut self) {
        let sent = std::mem::take(&mut self.host.sent);
        for (to, bytes) in &sent {
            *self.said.entry(*to).or_default() += bytes.len();
        }
        if !sent.is_empty() {
            self.last = sent.into_iter().map(|(_, bytes)| bytes).collect();
        }
        if !self.server {
            return;
        }
        let stats = self.host.endpoint.stats();
        assert!(stats.half_open <= 6 && stats.connections <= 5, "{stats:?}");
        for (to, said) in self.said.iter().filter(|(to, _)| !self.shown.contains(to)) {
            let heard = self.heard.get(to).copied().unwrap_or_default();
            assert!(*said <= AMPLIFICATION * heard, "{said} for {heard} from {to}");
        }
    }
}
