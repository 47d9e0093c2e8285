//! A host of the world: the chat, its log and its window, driven as the server drives them.

use std::{collections::BTreeMap, sync::Arc};

use hikyaku::{Bytes, identity::Identity, signers::Fingerprint};

use super::disk::Disk;
use crate::{
    event::{Event, Kind},
    limits::{PAGE_LINES, STORED_BATCH},
    log::{Committed, Log as _, StoredLog},
    machine::{self, Device},
    request::Action,
    room::{Audience, Chat, Effect, Hello, RoomConfig},
    room_name::RoomName,
    server::{
        arriving::{Start, distrust, rooms_of, start_of},
        members::Member,
        native::{Cursor, Entry, For, Message, PageWanted, Step, Window, open},
    },
    store::{Reader as _, Readers, Rights, Store as _, Stored},
    time::Now,
};

/// A connection, as the host sees it.
struct Link {
    member: Member,
    device: Device,
    cursor: Cursor,
    resumed: BTreeMap<RoomName, crate::event::Seq>,
    /// Private events for this device.
    private: Vec<Bytes>,
}

pub(super) struct Host {
    key: Arc<str>,
    chat: Chat<Member, StoredLog>,
    window: Window,
    disk: Disk,
    links: BTreeMap<u64, Link>,
    /// A batch that the disk is writing.
    away: Option<Vec<Event>>,
    effects: Vec<Effect<Member>>,
    /// The connection whose request is being handled.
    asking: Option<u64>,
}

impl Host {
    pub(super) fn start(identity: &Identity, mut disk: Disk) -> Self {
        let past = disk.past().unwrap();
        let log = StoredLog::new(&past);
        let window = Window::new(log.head());
        let config = RoomConfig { rate: 1_000_000, burst: 1_000_000, ..RoomConfig::default() };
        let mut chat = Chat::new(config, log);
        chat.remember(&past);
        let key = identity.fingerprint().to_string().into();
        let links = BTreeMap::new();
        let effects = Vec::new();
        Self { key, chat, window, disk, links, away: None, effects, asking: None }
    }

    /// The process dies while a batch is away: the disk has all of it or nothing.
    pub(super) fn kill(self, is_written: bool) {
        let Self { away, mut disk, .. } = self;
        if let Some(batch) = away.filter(|_| is_written) {
            disk.commit(batch);
        }
        disk.crash();
    }

    pub(super) fn receive(&mut self, now: Now, connection: u64, from: Fingerprint, line: &[u8]) {
        self.asking = Some(connection);
        if self.links.contains_key(&connection) {
            self.hear(now, from, line);
        } else {
            self.greet(now, connection, from, line);
        }
        self.settle();
        self.asking = None;
    }

    fn hear(&mut self, now: Now, from: Fingerprint, line: &[u8]) {
        let Some((mut request, name)) = open(line, &from.to_string(), &self.key) else { return };
        let member = Member::Native(from);
        let author = self.chat.author(member).map(|author| author.name);
        distrust(&mut request, name.as_deref(), author.as_deref());
        if request.action != Action::Left {
            self.chat.handle(now, member, request, &mut self.effects);
        }
    }

    fn greet(&mut self, now: Now, connection: u64, from: Fingerprint, line: &[u8]) {
        let (hello, name) = machine::read_native_hello(line).unwrap();
        let member = Member::Native(from);
        let start = start_of(self.chat.log(), &hello);
        let rooms = rooms_of(&hello, start);
        let Start { after, resumes } = start;
        let at = |room: &RoomName| (room.clone(), after);
        let resumed = if resumes { rooms.iter().map(at).collect() } else { BTreeMap::new() };
        self.links.retain(|_, link| (link.member, link.device) != (member, hello.device));
        let cursor = Cursor::nowhere();
        let device = hello.device;
        self.links.insert(connection, Link { member, device, cursor, resumed, private: vec![] });
        let hello = Hello { name: &name, rooms: &rooms, network: None };
        assert!(self.chat.handle_hello(now, member, &hello, &mut self.effects));
        self.chat.hold(member);
        self.settle();
        let page = PageWanted::last(RoomName::general(), after);
        let lines = self.disk.page(&page.room, page.before, PAGE_LINES).unwrap();
        let link = self.links.get_mut(&connection).unwrap();
        if !resumes {
            let of = crate::event::PageOf::History;
            let kind = Kind::Page { of, count: lines.len(), more: false };
            let header = Event::new(now.stamp, None, None, kind);
            link.private.push(machine::write_event(&header, None).into());
            link.private.extend(lines.into_iter().map(|Stored { line, .. }| line));
        }
        link.cursor = Cursor::after(&self.window, after);
    }

    pub(super) fn lose(&mut self, connection: u64) {
        self.links.remove(&connection);
    }

    /// The disk has written the batch that was being committed.
    pub(super) fn written(&mut self) {
        let Some(batch) = self.away.take() else { return };
        let results: Vec<Committed> = self.disk.commit(batch);
        self.chat.log_mut().hand_in(results);
        self.chat.handle_log(&mut self.effects);
        self.settle();
    }

    pub(super) fn timeout(&mut self, now: Now) {
        self.chat.handle_timeout(now, &mut self.effects);
        self.settle();
    }

    fn settle(&mut self) {
        for Effect { to, event } in std::mem::take(&mut self.effects) {
            let readers = match to {
                Audience::One(member) => {
                    self.tell(member, &event);
                    continue;
                }
                Audience::All => For::All,
                Audience::Room(room) => For::Some(Readers::Room(room)),
                Audience::Keys(one, other) => For::Some(Readers::Two(one, other)),
            };
            let author = event.author.as_ref().and_then(|author| author.key.clone());
            let line = machine::write_event(&event.published(), None).into();
            self.window.push(Entry { seq: event.seq, readers, author, line });
        }
        self.window.announce();
        if self.away.is_none() {
            self.away = self.chat.log_mut().take_batch();
        }
    }

    fn tell(&mut self, member: Member, event: &Event) {
        let line: Bytes = machine::write_event(&event.published(), None).into();
        let is_answer = event.author.is_none() && event.seq.is_none();
        let only = self.asking.filter(|_| is_answer);
        for (connection, link) in &mut self.links {
            if link.member == member && only.is_none_or(|only| only == *connection) {
                link.private.push(line.clone());
            }
        }
    }

    /// Returns what a device is sent next.
    pub(super) fn send(&mut self, connection: u64) -> Vec<Bytes> {
        let Some(link) = self.links.get_mut(&connection) else { return Vec::new() };
        if !link.private.is_empty() {
            return std::mem::take(&mut link.private);
        }
        let Some(rooms) = self.chat.rooms_of(link.member) else { return Vec::new() };
        let since =
            |(room, since)| (RoomName::clone(room), *link.resumed.get(room).unwrap_or(since));
        let key = Member::Native(match link.member {
            Member::Native(key) => key,
            other => panic!("{other:?}"),
        });
        let rights = Rights {
            key: crate::room::Peer::key(&key).unwrap(),
            rooms: rooms.iter().map(since).collect(),
        };
        match link.cursor.next(&self.window, &rights) {
            Step::Wait => Vec::new(),
            Step::Send(message, then) => {
                link.cursor = then;
                message.into_iter().map(|message| message.bytes).collect()
            }
            Step::Read(after) => {
                let events = self.disk.after(after, STORED_BATCH, &rights).unwrap();
                let (messages, then) = link.cursor.take(&self.window, events);
                link.cursor = then;
                messages.into_iter().map(|Message { bytes, .. }| bytes).collect()
            }
        }
    }
}
