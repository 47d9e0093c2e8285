//! A chat room with members, other senders and a client: datagrams, commands, names, time.
//!
//! Panics if a promise of the chat is broken.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hikyaku_chat::{
    Name, Now, RoomConfig, Stamp,
    app::{App, Output, Shown},
    event::Event,
    limits::{MAX_LINE_LEN, MAX_MACHINE_LINE_LEN, MAX_MEMBERS_PER_IP, MAX_NAME_LEN, MAX_SHOWN_LEN},
    log::MemoryLog,
    machine::{self, Ticket},
    plain::{parse, render},
    request::Action,
    room::{Audience, Chat, Effect, Peer},
    words::{Language, Sentence},
};

use crate::{frames::address, script::Script, terminal::check_shown};

/// The maximum number of script steps.
const MAX_STEPS: usize = 300;
/// The maximum number of datagrams between a room and a client before time passes.
const MAX_TALK: usize = 400;
const STAMP: &str = "12:34:56";

/// A sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member(SocketAddr);

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Peer for Member {
    fn network(&self) -> Option<IpAddr> {
        Some(self.0.ip())
    }
}

struct World {
    now: Now,
    room: Chat<Member, MemoryLog>,
    most: usize,
    /// The person at the server's terminal.
    host: Option<Member>,
    app: App,
    /// The client's address.
    home: Member,
    talk: usize,
    left: bool,
}

/// Runs one input.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut world = World::new(&mut script);
    for _ in 0..MAX_STEPS {
        if script.is_empty() {
            break;
        }
        world.talk = 0;
        world.step(&mut script);
        world.check();
    }
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let (choice, most) = (script.u8(), 1 + script.below(20));
        let idle = Duration::from_micros(script.magnitude());
        let (rate, burst) = (u32::from(script.u8()), u32::from(script.u8()));
        let config = RoomConfig { idle, max_clients: most, rate, burst, ..RoomConfig::default() };
        let mut room = Chat::new(config, MemoryLog::new());
        let host = (choice & 1 == 1).then_some(Member(address(0, 0)));
        let name = Name::parse("host").expect("the name is valid");
        if let Some(host) = host {
            room.seat_host(host, (choice & 2 == 2).then_some(&name));
        }
        let wish = String::from_utf8_lossy(script.chunk()).into_owned();
        let name = Name::parse(&wish).unwrap_or(name);
        let now = Now::default();
        let app = App::new(now.time, name);
        let home = Member(address(5, 5));
        Self { now, room, most, host, app, home, talk: 0, left: false }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let op = script.u8();
        match op & 7 {
            0..=2 => {
                let from = Member(address(1 + (op >> 6), u16::from(op >> 3 & 7)));
                self.receive(from, script.chunk());
            }
            3 => {
                // Many from one address.
                let from = Member(address(9, u16::from(script.u8())));
                self.receive(from, b"hi");
            }
            4 => {
                let line = String::from_utf8_lossy(script.chunk()).into_owned();
                if self.app.handle_line(&line).is_ok() {
                    self.drive();
                }
            }
            5 => {
                self.app.handle_datagram(script.chunk());
                self.drive();
            }
            6 => {
                let later = Duration::from_micros(script.magnitude());
                let time = self.now.time + later;
                let millis = u64::try_from(time.since_epoch().as_millis()).unwrap_or(u64::MAX);
                self.now = Now { time, stamp: Stamp::from_millis(millis) };
                let mut effects = Vec::new();
                self.room.handle_timeout(self.now, &mut effects);
                let due = self.room.poll_timeout();
                assert!(due.is_none_or(|at| at > self.now.time), "the deadline is in the past");
                self.deliver(effects);
                self.drive();
            }
            _ => match op >> 3 {
                0 => self.app.handle_end(),
                1 => drop(self.app.handle_interrupt()),
                2 => self.app.handle_refused(),
                3 => {
                    let mut effects = Vec::new();
                    self.room.close(self.now, &mut effects);
                    self.deliver(effects);
                }
                _ => self.drive(),
            },
        }
    }

    fn receive(&mut self, from: Member, datagram: &[u8]) {
        let read = machine::read_request(datagram).map(|(request, _)| request);
        let request = read.unwrap_or_else(|| parse(datagram));
        if let Action::Said(text) | Action::Whispered(text) | Action::Topic(text) = &request.action
        {
            assert!(text.len() <= MAX_LINE_LEN, "a line exceeds the limit");
        }
        let mut effects = Vec::new();
        self.room.handle(self.now, from, request, &mut effects);
        self.deliver(effects);
    }

    /// Checks that what members receive can be displayed, and is ignored by another room.
    fn deliver(&mut self, effects: Vec<Effect<Member>>) {
        for effect in effects {
            let line = check_forms(&effect.event);
            let home = self.home;
            let gets = match effect.to {
                Audience::One(to) => to == home,
                to => self.room.receivers(&to).any(|peer| peer == home),
            };
            if gets && self.talk < MAX_TALK {
                self.app.handle_datagram(line.as_bytes());
                self.drive();
            }
        }
    }

    /// Performs everything that the client wants to send and show.
    fn drive(&mut self) {
        loop {
            self.talk += 1;
            assert!(self.talk <= MAX_TALK, "client and room exchange messages without end");
            match self.app.poll_output(self.now.time) {
                Output::Send(datagram) => {
                    assert!(datagram.len() <= MAX_MACHINE_LINE_LEN, "too long");
                    self.receive(self.home, datagram.as_bytes());
                }
                Output::Show(shown) => check_seen(&shown),
                // There is no association here, and nobody to report to.
                Output::Renew | Output::OtherDialect(_) => {}
                Output::Wait(at) => {
                    assert!(
                        at.is_none_or(|at| at > self.now.time),
                        "the client waits for a time in the past"
                    );
                    return;
                }
                Output::Left | Output::Unreachable => {
                    self.left = true;
                    return;
                }
            }
        }
    }

    fn check(&self) {
        let peers: Vec<Member> = self.room.peers().collect();
        let clients = peers.len() - usize::from(self.host.is_some());
        assert!(clients <= self.most, "{clients} members of {}", self.most);
        let mut networks = BTreeMap::<IpAddr, usize>::new();
        let mut names = BTreeMap::new();
        for peer in peers {
            *networks.entry(peer.0.ip()).or_default() += 1;
            let shown = self.room.author(peer).expect("peers are members").name;
            check_shown(&shown);
            let twin = names.insert(shown.to_lowercase(), peer);
            assert!(twin.is_none(), "two members are called {shown:?}");
        }
        assert!(networks.values().all(|count| *count <= MAX_MEMBERS_PER_IP));
    }
}

/// Each form of an event that a room has made; returns the machine line.
fn check_forms(event: &Event) -> String {
    if let Some(line) = render(STAMP, event, None) {
        check_shown(&line);
        let most = MAX_SHOWN_LEN + 2 * MAX_NAME_LEN + 64;
        assert!(line.len() <= most, "{} bytes in a line", line.len());
        assert_eq!(parse(line.as_bytes()).action, Action::Heard, "two rooms would echo it");
    }
    let ticket = Some(Ticket::new(1 << 40));
    let line = machine::write_event(event, ticket);
    check_shown(&line);
    assert!(line.len() <= MAX_MACHINE_LINE_LEN, "{} bytes in a machine line", line.len());
    assert_eq!(parse(line.as_bytes()).action, Action::Heard, "two rooms would echo it for ever");
    assert_eq!(machine::read_request(line.as_bytes()), None, "an event is no request");
    assert_eq!(machine::read_event(line.as_bytes()), Some((event.clone(), ticket)));
    line
}

/// Checks that nothing the client shows can control a terminal.
fn check_seen(shown: &Shown) {
    let sentence = match shown {
        Shown::Event { event, reader } => Language::English.event(event, *reader),
        Shown::Notice(notice) => Some(Language::English.notice(notice)),
        Shown::Line(line) => return check_shown(line),
    };
    match sentence {
        None => {}
        Some(Sentence::Notice(text) | Sentence::Line(text)) => check_shown(&text),
        Some(Sentence::Speech { speaker, text }) => {
            check_shown(&speaker);
            check_shown(&text);
        }
    }
}
