//! An overloaded listener in virtual time, in which each connection has its share.
//!
//! The listener's processor is modelled too: handling a packet takes as long as its modelled cost,
//! while datagrams wait in a buffer like the system's, first in, first out.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use hikyaku_sim::{
    api::{
        ChannelId, ConnectionHandle, Datagram, Delivery, Discard, Endpoint, EndpointConfig, Event,
        Outcome, Outgoing, Output, ReceiptId, Time, crypto, dial,
    },
    evil::{
        Dialler, Evil,
        frames::{Stream, all},
    },
    rng::Rng,
};

/// The number of datagrams in the listener's buffer, by Linux's defaults.
const BUFFER: usize = 180;

/// The number of datagrams that the listener takes at once.
const BATCH: usize = 32;

/// The one-way delay.
const DELAY: Duration = Duration::from_millis(1);

/// The interval at which an idle listener looks for datagrams.
const IDLE: Duration = Duration::from_micros(50);

/// The time to recognise and drop a datagram.
const DROPPING: Duration = Duration::from_nanos(500);

/// The interval between messages of an honest client.
const PAUSE: Duration = Duration::from_millis(10);

/// The time until an attack is recognised, and honest clients have resent what was lost meanwhile.
const NOTICE: Duration = Duration::from_millis(700);

/// The duration of the measurement after that.
const SPAN: Duration = Duration::from_millis(120);

const LISTENER: u16 = 1;

/// Honest clients are at `HONEST + n`, evil ones at `EVIL + n`.
const HONEST: u16 = 100;
const EVIL: u16 = 1_000;

struct Honest {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    next: Time,
    sent: BTreeMap<ReceiptId, Time>,
    /// The time from sending to acknowledgement of each message.
    took: Vec<Duration>,
}

struct World {
    now: Time,
    listener: Endpoint,
    honest: Vec<Honest>,
    evil: Vec<Evil>,
    frames: u64,
    /// The listener's buffer: arrival, source, contents.
    queue: VecDeque<(Time, u16, Vec<u8>)>,
    /// In transit to clients, in order of arrival.
    returning: VecDeque<(Time, u16, Vec<u8>)>,
    buffer: Vec<u8>,
    /// Datagrams that found no room.
    lost: u64,
    next_evil: Time,
    /// The number of turns so far.
    steps: f64,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

impl World {
    fn new(honest: u16, evil: u16) -> Self {
        let now = Time::from_micros(1_000_000);
        let config = EndpointConfig::server(crypto([2; 32], None), address(LISTENER));
        let mut world = Self {
            now,
            listener: Endpoint::new(config, Box::new(Rng::new(2))),
            honest: Vec::new(),
            evil: Vec::new(),
            frames: 0,
            queue: VecDeque::new(),
            returning: VecDeque::new(),
            buffer: Vec::new(),
            lost: 0,
            next_evil: now,
            steps: 0.0,
        };
        for n in 0..evil {
            world.dial_evil(n);
        }
        for n in 0..honest {
            let mut key = [1; 32];
            key[..2].copy_from_slice(&n.to_be_bytes());
            let config = EndpointConfig::client(crypto(key, None));
            let mut endpoint = Endpoint::new(config, Box::new(Rng::new(500 + u64::from(n))));
            let handle = dial(&mut endpoint, world.now, address(LISTENER)).expect("it dials");
            let next = world.now + Duration::from_millis(100 + u64::from(n));
            let (sent, took) = (BTreeMap::new(), Vec::new());
            world.honest.push(Honest { endpoint, handle, next, sent, took });
        }
        // Handshakes, and time for their consequences.
        let until = world.now + Duration::from_millis(90);
        while world.now < until {
            world.step(None);
        }
        assert_eq!(world.listener.stats().connections, usize::from(honest + evil));
        world
    }

    /// Completes a handshake at once: an honest start.
    fn dial_evil(&mut self, n: u16) {
        let mut dialler =
            Dialler::new(self.now, address(LISTENER), 1_000 + u64::from(n)).expect("it dials");
        for _ in 0..100 {
            self.now += DELAY;
            for mut datagram in dialler.poll(self.now) {
                let from = address(EVIL + n);
                self.listener.handle_datagram(self.now, Datagram::new(from, &mut datagram));
            }
            self.listener.handle_timeout(self.now);
            while let Some(train) = self.listener_output() {
                for datagram in train {
                    if let Some(evil) =
                        dialler.handle_datagram(self.now, &datagram.2).expect("it opens")
                    {
                        self.evil.push(evil);
                        return;
                    }
                }
            }
        }
        panic!("the handshake does not end");
    }

    /// Returns the next train of the listener.
    fn listener_output(&mut self) -> Option<Vec<(Time, u16, Vec<u8>)>> {
        loop {
            match self.listener.poll_output(self.now, &mut self.buffer) {
                Output::Transmit(transmit) => {
                    let sent = self.buffer[..transmit.len].chunks(transmit.segment_size);
                    let at = self.now + DELAY;
                    return Some(sent.map(|s| (at, transmit.to.port(), s.to_vec())).collect());
                }
                Output::Event(handle, Event::Readable) => {
                    if let Some(connection) = self.listener.connection(handle) {
                        while connection.recv(self.now, None).is_some() {}
                    }
                }
                Output::Event(..) => {}
                Output::Timeout(_) => return None,
            }
        }
    }

    /// Runs a turn of the listener, and everything else meanwhile. Evil peers together send one
    /// packet per `every`.
    fn step(&mut self, stream: Option<(&Stream, Duration)>) {
        let before = self.listener.stats();
        let waited = self.queue.front().map_or(Duration::ZERO, |(at, ..)| self.now.since(*at));
        let taken = BATCH.min(self.queue.len());
        if self.listener.note_backlog(self.now, waited, taken) {
            self.listener.note_losses(self.lost);
        }
        let batch: Vec<_> = self.queue.drain(..BATCH.min(self.queue.len())).collect();
        for (_, from, mut datagram) in batch {
            let datagram = Datagram::new(address(from), &mut datagram);
            self.listener.handle_datagram(self.now, datagram);
        }
        self.listener.handle_timeout(self.now);
        while let Some(train) = self.listener_output() {
            self.returning.extend(train);
        }
        let after = self.listener.stats();
        let dropped = dropped(&after.discards) - dropped(&before.discards);
        let busy = after.work - before.work + DROPPING * dropped as u32;
        let busy = if busy.is_zero() { IDLE } else { busy };
        let until = self.now + busy;
        // Clients run at a random moment of the turn, so that their datagrams sometimes find room.
        self.steps += 1.0;
        let moment = self.now + busy.mul_f64((self.steps * 0.618).fract());
        self.advance(stream, moment);
        self.run_clients();
        self.advance(stream, until);
    }

    fn advance(&mut self, stream: Option<(&Stream, Duration)>, until: Time) {
        if let Some((stream, every)) = stream {
            self.attack(stream, every, until);
        }
        self.now = until;
    }

    fn attack(&mut self, stream: &Stream, every: Duration, until: Time) {
        while self.next_evil < until {
            self.next_evil = self.next_evil.max(self.now) + every;
            let n = self.frames as usize % self.evil.len();
            let evil = &mut self.evil[n];
            let frames = stream.fill(&mut self.frames, 1_170, evil);
            let packet = evil.seal(&frames);
            self.arrive(self.next_evil, EVIL + n as u16, packet);
        }
    }

    fn arrive(&mut self, at: Time, from: u16, datagram: Vec<u8>) {
        if self.queue.len() < BUFFER {
            self.queue.push_back((at, from, datagram));
        } else {
            self.lost += 1;
        }
    }

    fn run_clients(&mut self) {
        let now = self.now;
        while let Some((_, to, mut datagram)) = self.returning.pop_front_if(|(at, ..)| *at <= now) {
            match to {
                EVIL.. => self.evil[usize::from(to - EVIL)].handle_datagram(&datagram),
                _ => {
                    let datagram = Datagram::new(address(LISTENER), &mut datagram);
                    let honest = &mut self.honest[usize::from(to - HONEST)];
                    honest.endpoint.handle_datagram(now, datagram);
                }
            }
        }
        for n in 0..self.honest.len() {
            for datagram in self.honest[n].run(now, &mut self.buffer) {
                self.arrive(now, HONEST + n as u16, datagram);
            }
        }
    }
}

impl Honest {
    fn run(&mut self, now: Time, buffer: &mut Vec<u8>) -> Vec<Vec<u8>> {
        self.endpoint.handle_timeout(now);
        if self.next <= now
            && let Some(connection) = self.endpoint.connection(self.handle)
        {
            let message = Outgoing::new(ChannelId(0), Delivery::Reliable, vec![0; 500]);
            let receipt = connection.send(now, message).expect("there is room");
            self.sent.insert(receipt, now);
            self.next = now + PAUSE;
        }
        let mut datagrams = Vec::new();
        loop {
            match self.endpoint.poll_output(now, buffer) {
                Output::Transmit(transmit) => {
                    let sent = buffer[..transmit.len].chunks(transmit.segment_size);
                    datagrams.extend(sent.map(<[u8]>::to_vec));
                }
                Output::Event(_, Event::Receipt(receipt, outcome)) => {
                    assert_eq!(outcome, Outcome::Acknowledged);
                    self.took.extend(self.sent.remove(&receipt).map(|sent| now.since(sent)));
                }
                Output::Event(..) => {}
                Output::Timeout(_) => return datagrams,
            }
        }
    }
}

fn dropped(discards: &BTreeMap<Discard, u64>) -> u64 {
    discards.get(&Discard::OverShare).copied().unwrap_or_default()
}

fn stream(title: &str) -> Stream {
    all().into_iter().find(|stream| stream.title() == title).expect("there is one")
}

/// The effect of an attack.
#[derive(Debug)]
struct Damage {
    /// The longest delivery time of an honest client's message.
    longest: Duration,
    /// The share of time in which the listener worked.
    busy: f64,
    /// Datagrams that found no room.
    lost: u64,
}

/// Runs an attack with this multiple of what the listener can handle.
fn suffer(evil: u16, title: &str, load: f64) -> Damage {
    let mut world = World::new(3, evil);
    let stream = stream(title);
    // The cost of one packet.
    let before = world.listener.stats().work;
    let (began, mut every) = (world.now, Duration::from_micros(200));
    for _ in 0..40 {
        world.step(Some((&stream, every)));
    }
    let packets = world.now.since(began).div_duration_f64(every);
    every = (world.listener.stats().work - before).div_f64(packets * load);
    let until = world.now + NOTICE;
    while world.now < until {
        world.step(Some((&stream, every)));
    }
    let (began, before, lost) = (world.now, world.listener.stats().work, world.lost);
    world.honest.iter_mut().for_each(|honest| honest.took.clear());
    while world.now.since(began) < SPAN {
        world.step(Some((&stream, every)));
    }
    let busy = (world.listener.stats().work - before).div_duration_f64(SPAN);
    let took = || world.honest.iter().flat_map(|honest| &honest.took);
    assert!(
        took().count() > 20,
        "{} honest messages arrived, {:?}, lost {lost} {}",
        took().count(),
        world.listener.stats().discards,
        world.lost
    );
    let waiting = world.honest.iter().flat_map(|honest| honest.sent.values());
    let waited = waiting.map(|sent| world.now.since(*sent));
    let longest = took().copied().chain(waited).max().expect("there are some");
    Damage { longest, busy, lost: world.lost - lost }
}

// M-67
#[test]
fn m67_an_evil_peer_at_full_rate_delays_no_honest_one() {
    for (evil, load) in [(1, 2.0), (1, 5.0), (16, 3.0)] {
        let damage = suffer(evil, "of one byte, Latest", load);
        assert!(damage.longest < Duration::from_millis(50), "{evil} at {load}: {damage:?}");
        assert!(damage.busy > 0.5, "what nobody else needs is theirs: {damage:?}");
        assert_eq!(damage.lost, 0, "the listener empties its buffer by dropping: {damage:?}");
    }
}
