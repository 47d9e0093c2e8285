//! Clients and a room over a network that loses, repeats and reorders: everybody sees one log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    time::Duration,
};

use hikyaku_chat::{
    Name, Now, RoomConfig, Stamp, Time,
    app::{App, Notice, Output, Shown},
    event::{Kind, MemberId},
    log::MemoryLog,
    machine::{self, Ticket},
    plain::parse,
    request::Action,
    room::{Audience, Chat, Effect, Peer},
};
use proptest::prelude::*;

const CLIENTS: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Client(u8);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "10.0.0.{}:1", self.0)
    }
}

impl Peer for Client {
    fn network(&self) -> Option<IpAddr> {
        None
    }
}

/// A datagram on its way, to the room or to a client.
struct Datagram {
    to_room: bool,
    client: Client,
    bytes: Vec<u8>,
}

struct World {
    millis: u64,
    room: Chat<Client, MemoryLog>,
    apps: Vec<App>,
    /// By time of arrival, and a number that distinguishes equal times.
    network: BTreeMap<(u64, u64), Datagram>,
    chance: u64,
    /// Percentage of datagrams lost.
    loss: u64,
    /// What each client has shown: membership, number and text.
    shown: Vec<Vec<(MemberId, u64, Option<String>)>>,
    lost: bool,
}

impl World {
    fn new(seed: u64, loss: u64) -> Self {
        let config = RoomConfig { rate: 1_000, burst: 1_000, ..RoomConfig::default() };
        let name = |client: u8| Name::parse(&format!("client {client}")).expect("it is a name");
        Self {
            millis: 0,
            room: Chat::new(config, MemoryLog::new()),
            apps: (0..CLIENTS).map(|client| App::new(Time::ZERO, name(client))).collect(),
            network: BTreeMap::new(),
            chance: seed,
            loss,
            shown: vec![Vec::new(); usize::from(CLIENTS)],
            lost: false,
        }
    }

    /// Splitmix64: repeated by its seed.
    fn draw(&mut self, below: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn time(&self) -> Time {
        Time::from_epoch(Duration::from_millis(self.millis))
    }

    fn send(&mut self, to_room: bool, client: Client, bytes: &[u8]) {
        let copies = 1 + u64::from(self.draw(100) < 10);
        for _ in 0..copies {
            if self.draw(100) >= self.loss {
                let at = self.millis + 5 + self.draw(60);
                let key = (at, self.draw(u64::MAX));
                self.network.insert(key, Datagram { to_room, client, bytes: bytes.to_vec() });
            }
        }
    }

    /// Advances by a millisecond: delivers what is due, and runs everybody's timeouts.
    fn step(&mut self) {
        self.millis += 1;
        while let Some(entry) = self.network.first_entry().filter(|e| e.key().0 <= self.millis) {
            let Datagram { to_room, client, bytes } = entry.remove();
            match to_room {
                true => self.at_room(client, &bytes),
                false => self.apps[usize::from(client.0)].handle_datagram(&bytes),
            }
        }
        for client in 0..CLIENTS {
            self.drive(Client(client));
        }
    }

    fn at_room(&mut self, from: Client, bytes: &[u8]) {
        let read = machine::read_request(bytes).map(|(request, _)| request);
        let request = read.unwrap_or_else(|| parse(bytes));
        let now = Now { time: self.time(), stamp: Stamp::from_millis(self.millis) };
        let mut effects = Vec::new();
        self.room.handle(now, from, request, &mut effects);
        for Effect { to, event } in effects {
            let readers: Vec<Client> = match to {
                Audience::One(client) => vec![client],
                to => self.room.receivers(&to).collect(),
            };
            for client in readers {
                let ticket = self.room.member_id(client).map(|MemberId(n)| Ticket::new(n << 11));
                let line = machine::write_event(&event, ticket);
                self.send(false, client, line.as_bytes());
            }
        }
    }

    fn drive(&mut self, client: Client) {
        let index = usize::from(client.0);
        loop {
            let now = self.time();
            match self.apps[index].poll_output(now) {
                Output::Send(datagram) => self.send(true, client, datagram.as_bytes()),
                Output::Show(Shown::Event { event, reader: Some(reader) }) => {
                    let text = match &event.kind {
                        Kind::Said { text, .. } => Some(text.clone()),
                        _ => None,
                    };
                    self.shown[index].extend(event.seq.map(|seq| (reader, seq.0, text)));
                }
                Output::Show(Shown::Notice(Notice::Lost { .. })) => self.lost = true,
                Output::Show(_) => {}
                Output::Wait(_) => return,
                end => panic!("{client} stops: {end:?}"),
            }
        }
    }

    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.step();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn all_see_one_log_each_line_once_and_in_order(seed: u64, loss in 0_u64..25) {
        let mut world = World::new(seed, loss);
        let mut typed = BTreeSet::new();
        for round in 0..10 {
            world.run(300);
            for client in 0..CLIENTS {
                let text = format!("{client} says {round}");
                world.apps[usize::from(client)].handle_line(&text).unwrap();
                typed.insert(text);
            }
        }
        // The network recovers, the rest join, and a last line reveals missing ones.
        world.run(2_000);
        world.loss = 0;
        world.run(6_000);
        world.apps[0].handle_line("the end").unwrap();
        world.run(6_000);

        let mut log = BTreeMap::new();
        for (client, shown) in world.shown.iter().enumerate() {
            let seqs: Vec<u64> = shown.iter().map(|(_, seq, _)| *seq).collect();
            prop_assert!(seqs.is_sorted_by(|a, b| a < b), "{client} sees twice: {seqs:?}");
            let end = shown.iter().any(|(_, _, text)| text.as_deref() == Some("the end"));
            prop_assert!(end, "{client} misses the end");
            if !world.lost {
                let span = seqs[seqs.len() - 1] - seqs[0] + 1;
                prop_assert_eq!(span, seqs.len() as u64, "{} misses some: {:?}", client, seqs);
            }
            for (_, seq, text) in shown {
                let text = text.clone();
                let known = log.entry(*seq).or_insert_with(|| text.clone());
                prop_assert_eq!(&*known, &text, "two see something else at {}", seq);
            }
        }
        let said: Vec<&String> = log.values().flatten().filter(|text| *text != "the end").collect();
        let once: BTreeSet<&String> = said.iter().copied().collect();
        prop_assert_eq!(said.len(), once.len(), "a line was said twice");
        let unconfirmed: usize = world.apps.iter().map(App::unconfirmed).sum();
        prop_assert!(once.len() + unconfirmed >= typed.len(), "a confirmed line is not there");
        prop_assert!(once.iter().all(|text| typed.contains(*text)));
    }
}

#[test]
fn a_client_that_knows_of_no_event_requests_none() {
    let mut world = World::new(1, 0);
    world.run(3_000);
    let asks = |datagram: &Datagram| {
        let read = machine::read_request(&datagram.bytes);
        read.is_some_and(|(request, _)| matches!(request.action, Action::Resumed(_)))
    };
    assert!(!world.network.values().any(asks));
    assert!(!world.lost);
}
