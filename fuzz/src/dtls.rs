//! The DTLS front end: arbitrary datagrams from several addresses, and a real client's, damaged.
//!
//! Random values of both sides (keys, cookies) differ in each run. The promises of `dimpl` itself
//! are not tested.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use hikyaku::{
    clock,
    files::{IfExists, write_private},
};
use hikyaku_plain::dtls::{
    Anchors, Certified, ClientConfig, MinVersion, PreShared, ServerConfig,
    fuzzing::{Client, Server, sieve},
};

use crate::{frames::address, script::Script};

/// The maximum number of script steps.
const MAX_STEPS: usize = 200;
/// Bytes that may be sent to an unvalidated address per byte received from it.
const AMPLIFICATION: usize = 3;

/// Values too expensive to create for each input.
struct Kinds {
    servers: Vec<ServerConfig>,
    clients: Vec<ClientConfig>,
    now: Instant,
}

thread_local! {
    static KINDS: OnceCell<Kinds> = const { OnceCell::new() };
}

impl Kinds {
    /// Creates servers with a certificate, with a shared key, with client certificates, and for 1.3
    /// only; and two clients for each.
    fn new() -> Self {
        let wall = wall();
        // One certificate is longer than a datagram.
        let [own, theirs] = [1, 60].map(|count| {
            let name =
                |n| if n == 0 { "localhost".to_owned() } else { format!("name-{n}.example") };
            let names: Vec<String> = (0..count).map(name).collect();
            Certified::generate(&names, wall).expect("a certificate can be made")
        });
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("key");
        let key = "000102030405060708090a0b0c0d0e0f";
        write_private(&path, key, IfExists::Refuse).expect("the key file can be written");
        let shared = || PreShared::read("sensor", &path).expect("the key is valid");
        let known = |of: &Certified| Anchors::pinned(vec![of.pin()]);
        let (both, new) = (MinVersion::V1_2, MinVersion::V1_3);
        let servers = vec![
            ServerConfig::new(&own, None, both),
            ServerConfig::with_shared_key(shared()),
            ServerConfig::new(&own, Some(known(&theirs)), both),
            ServerConfig::new(&own, None, new),
        ];
        let client = |certificate: Option<&Certified>, min| {
            ClientConfig::new("localhost", known(&own), certificate, min, wall)
        };
        let clients = vec![
            client(None, both),
            ClientConfig::with_shared_key(shared()),
            client(Some(&theirs), both),
            client(None, new),
            client(None, both),
            ClientConfig::with_shared_key(shared()),
            client(Some(&own), both),
            client(Some(&theirs), new),
        ];
        let servers =
            servers.into_iter().map(|config| config.expect("the configuration is valid")).collect();
        let clients =
            clients.into_iter().map(|config| config.expect("the configuration is valid")).collect();
        Self { servers, clients, now: clock::monotonic() }
    }
}

/// Returns the time at which certificates are validated: now, when they are made.
fn wall() -> SystemTime {
    clock::wall()
}

struct World<'a> {
    kinds: &'a Kinds,
    at: (Instant, SystemTime),
    server: Server,
    client: Client,
    from: SocketAddr,
    /// In transit to the server and to the client.
    there: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
    heard: BTreeMap<SocketAddr, usize>,
    said: BTreeMap<SocketAddr, usize>,
    /// Payloads sent but not yet received: to the server, to the client.
    sent: [BTreeSet<Vec<u8>>; 2],
    messages: u32,
}

/// Runs one input.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let kind = script.u8();
    if kind & 7 == 7 {
        return sieve(std::iter::from_fn(|| (!script.is_empty()).then(|| script.chunk())));
    }
    KINDS.with(|kinds| {
        let kinds = kinds.get_or_init(Kinds::new);
        let mut world = World::new(kinds, usize::from(kind & 3));
        for _ in 0..MAX_STEPS {
            if script.is_empty() {
                break;
            }
            world.step(&mut script);
            world.process();
        }
        world.finish();
    });
}

impl<'a> World<'a> {
    fn new(kinds: &'a Kinds, kind: usize) -> Self {
        let at = (kinds.now, wall());
        Self {
            kinds,
            at,
            server: Server::new(kinds.servers[kind].clone()),
            client: Client::new(&kinds.clients[kind], at.0),
            from: address(1, 1),
            there: Vec::new(),
            back: Vec::new(),
            heard: BTreeMap::new(),
            said: BTreeMap::new(),
            sent: [const { BTreeSet::new() }; 2],
            messages: 0,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let op = script.u8();
        let stranger = address(1 + (op >> 7), u16::from(op >> 4 & 3));
        match op & 0x0f {
            0..=2 => self.carry(),
            3 => drop(self.take(op >> 7 == 0, script.below(4))),
            4..=6 => self.damage(op, script),
            7 => self.feed(stranger, script.chunk()),
            8 => self.forge(stranger, script),
            9 => self.pass(Duration::from_micros(script.magnitude())),
            10 => drop(self.on_timer()),
            11 => self.speak(op >> 7 == 0, script.u16()),
            12 => self.from = stranger,
            13 => self.forge_back(script),
            14 => {
                let other = usize::from(op >> 7) * 4 + usize::from(op >> 4 & 3);
                self.client = Client::new(&self.kinds.clients[other], self.at.0);
                self.there.clear();
                self.back.clear();
                self.sent = Default::default();
            }
            _ if op >> 6 == 0 => self.client.close(),
            _ if op >> 6 == 1 => self.server.close(self.at.1),
            _ => self.recut(script),
        }
    }

    fn feed(&mut self, from: SocketAddr, datagram: &[u8]) {
        *self.heard.entry(from).or_default() += datagram.len();
        self.server.handle_datagram(datagram, from, self.at);
    }

    /// Delivers everything.
    fn carry(&mut self) {
        for datagram in std::mem::take(&mut self.there) {
            self.feed(self.from, &datagram);
        }
        for datagram in std::mem::take(&mut self.back) {
            self.client.handle_datagram(&datagram, self.at);
        }
    }

    fn take(&mut self, there: bool, index: usize) -> Option<Vec<u8>> {
        let line = if there { &mut self.there } else { &mut self.back };
        (!line.is_empty()).then(|| line.remove(index % line.len()))
    }

    /// Delivers a datagram changed, truncated, twice, or from elsewhere.
    fn damage(&mut self, op: u8, script: &mut Script<'_>) {
        let there = op >> 7 == 0;
        let (index, at, xor) = (script.below(4), script.u16(), script.u8());
        let Some(mut datagram) = self.take(there, index) else { return };
        let at = usize::from(at) % datagram.len();
        match op >> 4 & 7 {
            0..=1 => datagram[at] ^= xor,
            2 => datagram.truncate(at),
            3 => datagram.extend_from_slice(&datagram.clone()),
            _ => {}
        }
        for _ in 0..=usize::from(op >> 6 & 1) {
            match there {
                true if op & 3 == 0 => self.feed(address(9, at as u16 & 3), &datagram),
                true => self.feed(self.from, &datagram),
                false => self.client.handle_datagram(&datagram, self.at),
            }
        }
    }

    /// Returns a record with a handshake fragment, which anyone can forge.
    fn record(script: &mut Script<'_>) -> Vec<u8> {
        let (kind, flags) = (script.u8(), script.u8());
        let (number, sequence) = (script.u8(), script.u8());
        let (len, offset, bytes) = (script.u16(), script.u16(), script.chunk());
        let mut body = bytes.to_vec();
        if flags & 1 == 0 {
            let [high, low] = (bytes.len() as u16).to_be_bytes();
            let (len, offset) = (len.to_be_bytes(), offset.to_be_bytes());
            body = vec![kind, 0, len[0], len[1], 0, number, 0, offset[0], offset[1], 0, high, low];
            body.extend_from_slice(bytes);
        }
        let record = if flags & 2 == 0 { 22 } else { 20 + (flags >> 4 & 7) };
        let version = if flags & 4 == 0 { 0xfd } else { 0xfc };
        let epoch = flags >> 3 & 1;
        let mut record = vec![record, 0xfe, version, 0, epoch, 0, 0, 0, 0, 0, sequence];
        record.extend_from_slice(&(body.len() as u16).to_be_bytes());
        record.extend_from_slice(&body);
        record
    }

    fn forge(&mut self, from: SocketAddr, script: &mut Script<'_>) {
        let from = if script.u8() & 1 == 0 { self.from } else { from };
        let record = Self::record(script);
        self.feed(from, &record);
    }

    fn forge_back(&mut self, script: &mut Script<'_>) {
        let record = Self::record(script);
        self.client.handle_datagram(&record, self.at);
    }

    /// Splits the first fragment of the client's next datagram into two that overlap.
    fn recut(&mut self, script: &mut Script<'_>) {
        const HEAD: usize = 13 + 12;
        let (a, b) = (usize::from(script.u8()), usize::from(script.u8()));
        let Some(datagram) = self.take(true, 0) else { return };
        let whole = datagram.get(11..13).map(|len| usize::from(len[0]) << 8 | usize::from(len[1]));
        let fits = datagram.len() > HEAD && whole == Some(datagram.len() - 13);
        if !fits || datagram[0] != 22 || datagram[4] != 0 {
            return self.feed(self.from, &datagram);
        }
        let (head, body) = datagram.split_at(HEAD);
        let (first, second) = (a % body.len(), b % body.len());
        let cuts = [(0, first.max(second)), (first.min(second), body.len())];
        for (start, end) in cuts {
            let mut fragment = head.to_vec();
            let len = end - start;
            fragment[11..13].copy_from_slice(&((12 + len) as u16).to_be_bytes());
            fragment[20..22].copy_from_slice(&(start as u16).to_be_bytes());
            fragment[23..25].copy_from_slice(&(len as u16).to_be_bytes());
            fragment.extend_from_slice(&body[start..end]);
            self.feed(self.from, &fragment);
        }
    }

    fn speak(&mut self, there: bool, len: u16) {
        self.messages += 1;
        let mut payload = self.messages.to_be_bytes().to_vec();
        payload.resize(4 + usize::from(len & 0x7ff), 7);
        let sent = match there {
            true => self.client.send(&payload, self.at.0),
            false => self.server.send(&payload, self.from, self.at),
        };
        if sent {
            self.sent[usize::from(!there)].insert(payload);
        }
    }

    fn pass(&mut self, span: Duration) {
        self.at.0 += span;
        self.server.handle_timeout(self.at);
        self.client.handle_timeout(self.at.0);
    }

    /// Advances to the next timer.
    fn on_timer(&mut self) -> bool {
        let next = self.server.deadline().into_iter().chain(self.client.deadline()).min();
        let Some(next) = next else { return false };
        self.at.0 = self.at.0.max(next);
        self.pass(Duration::ZERO);
        true
    }

    fn process(&mut self) {
        while let Some(datagram) = self.client.poll_output() {
            assert!(!datagram.is_empty());
            self.there.push(datagram);
        }
        while let Some((datagram, to)) = self.server.poll_output() {
            assert!(!datagram.is_empty());
            *self.said.entry(to).or_default() += datagram.len();
            if to == self.from {
                self.back.push(datagram);
            }
        }
        while let Some((payload, _)) = self.server.poll_arrived() {
            assert!(self.sent[0].remove(&payload), "invented, altered or duplicated");
        }
        while let Some(payload) = self.client.poll_arrived() {
            assert!(self.sent[1].remove(&payload), "invented, altered or duplicated");
        }
        for (to, said) in &self.said {
            let heard = self.heard.get(to).copied().unwrap_or_default();
            // The client may have used any of the addresses near its own.
            let stranger = !address(1, 0).ip().eq(&to.ip()) && to.ip() != address(2, 0).ip();
            assert!(!stranger || *said <= AMPLIFICATION * heard, "{said} for {heard} from {to}");
        }
    }

    /// Stops all traffic and checks that nothing remains.
    fn finish(mut self) {
        for n in 0..2_000 {
            if n > 1_990 {
                eprintln!(
                    "{:?} {:?} {:?}",
                    self.at.0 - self.kinds.now,
                    self.server.deadline().map(|d| d - self.kinds.now),
                    self.client.deadline().map(|d| d - self.kinds.now)
                );
            }
            if !self.on_timer() {
                assert!(self.server.is_empty(), "a peer without a deadline is never dropped");
                return;
            }
            self.process();
        }
        panic!("timers without end: {:?} {:?}", self.server, self.client);
    }
}
