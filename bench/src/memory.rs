//! Two endpoints joined by a function call: the cost of a packet on each side, and the cipher's
//! share of it.
//!
//! There are no sockets and no threads, and the time of the protocol is virtual.
//!
//! Each batch is handed over as it is sent, so that caches are as warm as with sockets. The
//! receiver's payloads are sent next, so the benchmark neither creates nor copies payloads. The
//! clock is read around each side's turn, which is a batch of up to 64 packets.
//!
//! For comparison, the cipher alone: buffers of the lengths sent in that round are sealed and
//! opened in place, by the calls of `proto`'s `crypto/packet.rs`.

use std::{
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use hikyaku_proto::{
    ConnectionHandle, Crypto, Datagram, Delivery, Endpoint, EndpointConfig, Event, KeyPolicy,
    Outgoing, Output, time::Time,
};

use crate::dice::Dice;

/// Rounds per row; the median of each column is printed.
const ROUNDS: usize = 7;

/// The minimum duration of a round.
const ROUND: Duration = Duration::from_millis(250);

/// Packets per row for a profiler: always the same number, so that instruction counts can be
/// compared.
const PROFILED: usize = 50_000;

/// The one-way delay, in the protocol's time.
const ONE_WAY: Duration = Duration::from_micros(20);

/// The maximum number of bytes queued; more than a batch.
const QUEUE: usize = 256 << 10;

/// The bytes that a message counts in the queue besides its length.
const OVERHEAD: usize = 64;

/// The length of a packet's header: 1 of flags, 8 of id, 4 of number.
const HEADER: usize = 13;
const TAG: usize = 16;

/// The measurements of one round.
#[derive(Clone, Copy, Default)]
struct Round {
    packets: u64,
    acks: u64,
    bytes: u64,
    messages: u64,
    sending: Duration,
    receiving: Duration,
    sealing: Duration,
    opening: Duration,
}

/// Prints a row for each size, class and MTU whose name contains `wanted`.
pub(crate) fn run(wanted: &str) -> Result<()> {
    println!("                                      packet        sender            receiver");
    println!(
        "row                        packets/s  bytes  ns/pkt seal ratio   ns/pkt open ratio   \
         ns/msg  MB/s pkts/ack"
    );
    for Row { name, mtu, len, delivery } in rows(wanted) {
        row(&name, mtu, len, delivery)?;
    }
    println!(
        "\nseal, open: the cipher alone, of packets of the same lengths in the same run, in ns."
    );
    println!("ratio: (all - cipher) / cipher, the protocol's own work as a ratio of the cipher's.");
    println!("packets/s: both sides' work, one after the other on one core; ACKs are in both.");
    Ok(())
}

/// Runs the rows whose name contains `wanted` without measuring. `valgrind --tool=callgrind
/// --toggle-collect='*Pair::work*'` counts only the relevant part.
pub(crate) fn profile(wanted: &str) -> Result<()> {
    for Row { name, mtu, len, delivery } in rows(wanted) {
        let mut pair = Pair::new(mtu)?;
        pair.clear();
        while pair.lens.len() < PROFILED {
            pair.work(len, delivery)?;
        }
        println!("{name}: {} packets, {} messages", pair.lens.len(), pair.messages);
    }
    Ok(())
}

struct Row {
    name: String,
    mtu: usize,
    len: usize,
    delivery: Delivery,
}

fn rows(wanted: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for mtu in [1_452, 65_507] {
        for (len, size) in [(64 << 10, "64K"), (64, "64B")] {
            for delivery in [Delivery::Ordered, Delivery::Unreliable] {
                let name = format!("{size} {:?} mtu {mtu}", delivery.class());
                rows.push(Row { name, mtu, len, delivery });
            }
        }
    }
    rows.retain(|row| row.name.contains(wanted));
    rows
}

fn row(name: &str, mtu: usize, len: usize, delivery: Delivery) -> Result<()> {
    let mut pair = Pair::new(mtu)?;
    pair.round(len, delivery)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(pair.round(len, delivery)?);
    }
    let per = |of: fn(&Round) -> Duration| {
        median(rounds.iter().map(|round| of(round).as_nanos() as f64 / round.packets as f64))
    };
    let ratio = |all: fn(&Round) -> Duration, cipher: fn(&Round) -> Duration| {
        median(rounds.iter().map(|round| {
            let cipher = cipher(round).as_secs_f64();
            (all(round).as_secs_f64() - cipher) / cipher
        }))
    };
    let rate = |of: fn(&Round) -> u64| {
        median(
            rounds
                .iter()
                .map(|round| of(round) as f64 / (round.sending + round.receiving).as_secs_f64()),
        )
    };
    println!(
        "{name:26} {:9.0} {:6.0} {:7.0} {:5.0} {:4.2}  {:7.0} {:5.0} {:4.2}  {:7.0} {:5.0} {:8.1}",
        rate(|round| round.packets),
        median(rounds.iter().map(|round| round.bytes as f64 / round.packets as f64)),
        per(|round| round.sending),
        per(|round| round.sealing),
        ratio(|round| round.sending, |round| round.sealing),
        per(|round| round.receiving),
        per(|round| round.opening),
        ratio(|round| round.receiving, |round| round.opening),
        1e9 / rate(|round| round.messages),
        rate(|round| round.bytes) / 1e6,
        rate(|round| round.packets) / rate(|round| round.acks),
    );
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// An endpoint with its one connection.
struct End {
    endpoint: Endpoint,
    handle: Option<ConnectionHandle>,
    address: SocketAddr,
    /// Processing time, in real time.
    spent: Duration,
    buffer: Vec<u8>,
}

impl End {
    fn new(config: EndpointConfig, seed: u64, port: u16) -> Self {
        let endpoint = Endpoint::new(config, Box::new(Dice(seed)));
        let address = SocketAddr::from(([10, 0, 0, 1], port));
        Self { endpoint, handle: None, address, spent: Duration::ZERO, buffer: Vec::new() }
    }

    /// Returns the lengths of a datagram and of the whole next batch. Handles events.
    fn poll(&mut self, now: Time) -> Result<Option<(usize, usize)>> {
        loop {
            match self.endpoint.poll_output(now, &mut self.buffer) {
                Output::Transmit(train) => return Ok(Some((train.segment_size, train.len))),
                Output::Event(handle, Event::Incoming) => self.handle = Some(handle),
                Output::Event(_, Event::Closed(reason)) => anyhow::bail!("closed: {reason:?}"),
                Output::Event(handle, Event::Receipt(..)) => {
                    let connection =
                        self.endpoint.connection(handle).context("the connection exists")?;
                    while connection.poll_receipt().is_some() {}
                }
                Output::Event(..) => {}
                Output::Timeout(_) => return Ok(None),
            }
        }
    }

    fn connection(&mut self) -> Result<&mut hikyaku_proto::Connection> {
        let handle = self.handle.context("there is no connection yet")?;
        self.endpoint.connection(handle).context("the connection exists")
    }
}

struct Pair {
    now: Time,
    sender: End,
    receiver: End,
    /// Received payloads, to be sent next.
    spare: Vec<Bytes>,
    /// The lengths of the packets sent in this round.
    lens: Vec<u32>,
    acks: u64,
    messages: u64,
}

impl Pair {
    fn new(mtu: usize) -> Result<Self> {
        let mut client = EndpointConfig::client(Crypto::new(&[1; 32]));
        client.transport.max_mtu = mtu;
        let at = SocketAddr::from(([10, 0, 0, 1], 2));
        let mut server = EndpointConfig::server(Crypto::new(&[2; 32]), at);
        server.transport.max_mtu = mtu;
        let mut pair = Self {
            now: Time::from_micros(1_000_000),
            sender: End::new(client, 1, 1),
            receiver: End::new(server, 2, 2),
            spare: Vec::new(),
            lens: Vec::new(),
            acks: 0,
            messages: 0,
        };
        let to = pair.receiver.address;
        let handle = pair.sender.endpoint.connect(pair.now, to, KeyPolicy::AnyKey)?;
        pair.sender.handle = Some(handle);
        // The handshake, and MTU discovery.
        for _ in 0..20_000 {
            pair.turn()?;
        }
        ensure!(pair.receiver.handle.is_some(), "no handshake");
        let found = pair.sender.connection()?.stats().mtu;
        ensure!(found + 32 > mtu, "the MTU found is {found}, not {mtu}");
        Ok(pair)
    }

    /// Sends and receives for the duration of a round.
    fn run(&mut self, len: usize, delivery: Delivery) -> Result<()> {
        self.clear();
        let began = Instant::now();
        while began.elapsed() < ROUND {
            self.work(len, delivery)?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        (self.acks, self.messages) = (0, 0);
        (self.sender.spent, self.receiver.spent) = (Duration::ZERO, Duration::ZERO);
        self.lens.clear();
    }

    /// A separate function for profilers.
    #[inline(never)]
    fn work(&mut self, len: usize, delivery: Delivery) -> Result<()> {
        self.fill(len, delivery)?;
        self.turn()
    }

    /// Runs a round, and then the cipher alone on the same lengths.
    fn round(&mut self, len: usize, delivery: Delivery) -> Result<Round> {
        self.run(len, delivery)?;
        let (sealing, opening) = cipher_alone(&self.lens)?;
        Ok(Round {
            packets: self.lens.len() as u64,
            acks: self.acks,
            bytes: self.lens.iter().map(|len| u64::from(*len)).sum(),
            messages: self.messages,
            sending: self.sender.spent,
            receiving: self.receiver.spent,
            sealing,
            opening,
        })
    }

    fn fill(&mut self, len: usize, delivery: Delivery) -> Result<()> {
        let began = Instant::now();
        let now = self.now;
        let connection = self.sender.connection()?;
        let room = QUEUE.saturating_sub(connection.stats().queued_bytes);
        for _ in 0..room.div_ceil(len + OVERHEAD) {
            let payload = self.spare.pop().filter(|spare| spare.len() == len);
            let payload = payload.unwrap_or_else(|| vec![7; len].into());
            connection.send(now, Outgoing::new(1, delivery, payload))?;
        }
        self.sender.spent += began.elapsed();
        Ok(())
    }

    /// Carries a batch in one direction, receives its messages, and carries the response back.
    fn turn(&mut self) -> Result<()> {
        let began = Instant::now();
        self.sender.endpoint.handle_timeout(self.now);
        let train = self.sender.poll(self.now)?;
        self.sender.spent += began.elapsed();
        if let Some((segment, len)) = train {
            let lens =
                self.sender.buffer[..len].chunks(segment).map(|datagram| datagram.len() as u32);
            self.lens.extend(lens);
        }
        self.now += ONE_WAY;

        let began = Instant::now();
        if let Some((segment, len)) = train {
            for datagram in self.sender.buffer[..len].chunks_mut(segment) {
                let from = self.sender.address;
                self.receiver.endpoint.handle_datagram(self.now, Datagram::new(from, datagram));
            }
        }
        self.receiver.endpoint.handle_timeout(self.now);
        if self.receiver.handle.is_some() {
            let (now, spare) = (self.now, &mut self.spare);
            let before = spare.len();
            let connection = self.receiver.connection()?;
            while let Some(message) = connection.recv(now, None) {
                spare.push(message.payload);
            }
            self.messages += (spare.len() - before) as u64;
        }
        let mut answer = self.receiver.poll(self.now)?;
        self.receiver.spent += began.elapsed();
        while let Some((segment, len)) = answer {
            let began = Instant::now();
            for datagram in self.receiver.buffer[..len].chunks_mut(segment) {
                self.acks += 1;
                let from = self.receiver.address;
                self.sender
                    .endpoint
                    .handle_datagram(self.now + ONE_WAY, Datagram::new(from, datagram));
            }
            self.sender.spent += began.elapsed();
            let began = Instant::now();
            answer = self.receiver.poll(self.now)?;
            self.receiver.spent += began.elapsed();
        }
        self.now += ONE_WAY;
        Ok(())
    }
}

/// Seals and then opens packets of these lengths, one batch at a time.
fn cipher_alone(lens: &[u32]) -> Result<(Duration, Duration)> {
    let key = UnboundKey::new(&AES_128_GCM, &[3; 16]).ok().context("the key is 16 bytes long")?;
    let key = LessSafeKey::new(key);
    let mut train = vec![0; 64 << 10];
    let (mut sealing, mut opening) = (Duration::ZERO, Duration::ZERO);
    let (mut number, mut rest) = (0_u64, lens);
    while !rest.is_empty() {
        let mut room = train.len();
        let fits = rest.iter().take_while(|len| {
            room = room.wrapping_sub(**len as usize);
            room <= train.len()
        });
        let (now, later) = rest.split_at(fits.count().min(64));
        rest = later;
        let began = Instant::now();
        each(now, &mut train, |index, packet| {
            let (header, sealed) = packet.split_at_mut(HEADER);
            let (plain, tag) = sealed.split_at_mut(sealed.len() - TAG);
            let nonce = nonce(number + index);
            let made = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), plain);
            tag.copy_from_slice(made.expect("a packet is short enough").as_ref());
        });
        sealing += began.elapsed();
        let began = Instant::now();
        each(now, &mut train, |index, packet| {
            let (header, sealed) = packet.split_at_mut(HEADER);
            let opened = key.open_in_place(nonce(number + index), Aad::from(&*header), sealed);
            black_box(opened.expect("the packet was sealed with this key").len());
        });
        opening += began.elapsed();
        number += now.len() as u64;
    }
    Ok((sealing, opening))
}

fn each(lens: &[u32], train: &mut [u8], mut what: impl FnMut(u64, &mut [u8])) {
    let mut rest = train;
    for (index, len) in lens.iter().enumerate() {
        let (packet, later) = rest.split_at_mut(*len as usize);
        what(index as u64, packet);
        rest = later;
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
