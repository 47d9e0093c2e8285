//! What a member sends to the host: typed lines, acknowledgements.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Change, Link, Member, Notice, Stage, TypedError,
    keep::{Unsent, What},
    outbox::Item,
    pace,
    place::Place,
    typed::{self, Typed},
};
use crate::{
    entry::Entry,
    limits::{LARGE_READ_INTERVAL, LARGE_ROOM, MAX_JOINED_ROOMS, READ_INTERVAL},
    machine,
    message_id::MessageId,
    request::{Action, Question, Request, lines_of},
    room_name::RoomName,
    sealed::{Sealed, Words},
    time::Now,
};

/// Where a line for the host waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Requests,
    Outbox,
}

impl Member {
    /// Takes what a person has entered. `chance` makes message ids unique.
    pub fn handle_entry(&mut self, now: Now, chance: [u8; 10], entry: &Entry) {
        match entry {
            Entry::Line(line) => self.handle_line(now, chance, line),
            Entry::Text(text) => self.handle_parsed(now, chance, typed::text(text)),
            Entry::Older { room, before } => {
                let typed = Typed::OlderThan(room.clone(), *before);
                self.handle_parsed(now, chance, Ok(typed));
            }
            Entry::Topic(room) => {
                self.handle_parsed(now, chance, Ok(Typed::TopicOf(room.clone())));
            }
        }
    }

    /// Takes a typed line. `chance` makes its id unique.
    pub fn handle_line(&mut self, now: Now, chance: [u8; 10], line: &str) {
        self.handle_parsed(now, chance, typed::parse(line));
    }

    fn handle_parsed(&mut self, now: Now, chance: [u8; 10], typed: Result<Typed, TypedError>) {
        if self.stage != Stage::Here {
            self.late += usize::from(!matches!(
                typed,
                Ok(Typed::Nothing | Typed::OlderThan(..) | Typed::TopicOf(_))
            ));
            return;
        }
        match typed {
            Ok(typed) => self.handle_typed(now, chance, typed),
            Err(error) => self.reject(Notice::NotTaken(error)),
        }
    }

    fn handle_typed(&mut self, now: Now, chance: [u8; 10], typed: Typed) {
        let is_full = match typed {
            Typed::Nothing | Typed::Help | Typed::Quit => false,
            Typed::Message(..) => self.outbox.is_full(),
            Typed::Ask(_)
            | Typed::Older
            | Typed::OlderThan(..)
            | Typed::TopicOf(_)
            | Typed::Nick(_)
            | Typed::Join(_)
            | Typed::Leave(_) => self.requests.is_full(),
        };
        if is_full {
            return self.reject(Notice::Full);
        }
        match typed {
            Typed::Nothing => {}
            Typed::Help => self.notice(Notice::Help),
            Typed::Message(what, text) => {
                let id = MessageId::new(now.stamp, chance);
                let room = match what {
                    // A whisper goes to a member, whichever rooms they are in.
                    What::Whisper(_) => RoomName::general(),
                    What::Said | What::Emote => self.current.clone(),
                };
                let unsent = Unsent { id, room, what, text: text.into() };
                self.outbox.add(unsent.clone(), self.places.next());
                self.changes.push(Change::Add(unsent));
            }
            Typed::Ask(action) => self.ask(self.current.clone(), action),
            Typed::Older => self.ask(self.current.clone(), Action::History(self.oldest)),
            Typed::OlderThan(room, before) => self.ask(room, Action::History(before)),
            Typed::TopicOf(room) => self.ask(room, Action::Asked(Question::Topic)),
            Typed::Nick(name) if *name.as_str() == *self.me.name => {}
            Typed::Nick(name) => {
                self.wish = name.clone();
                self.ask(self.current.clone(), Action::Named(name.to_string()));
            }
            Typed::Join(room) => self.join(room),
            Typed::Leave(room) => self.leave(room),
            Typed::Quit => match self.link {
                Link::Away => self.handle_interrupt(now),
                Link::Connected | Link::Greeted => self.handle_end(now),
            },
        }
    }

    fn ask(&mut self, room: RoomName, action: Action) {
        self.requests.add(self.places.next(), room, action);
    }

    /// Joins the rooms that waiting lines and topics need wherever the host does not have the
    /// member in them, and leaves them afterwards. The hello names the rooms of now, not those that
    /// a line was typed in.
    pub(super) fn revisit(&mut self) {
        let mut visits: BTreeMap<RoomName, BTreeSet<Place>> = BTreeMap::new();
        for (room, place) in self.outbox.uses().chain(self.requests.uses()) {
            visits.entry(room.clone()).or_default().insert(place);
        }
        for (room, places) in visits {
            let stays = self.rooms.contains(&room);
            self.requests.visit(&room, &places, stays);
        }
    }

    fn join(&mut self, room: RoomName) {
        if self.rooms.len() >= MAX_JOINED_ROOMS && !self.rooms.contains(&room) {
            return self.reject(Notice::NotTaken(TypedError::Room));
        }
        self.oldest = None;
        self.current = room.clone();
        if !self.rooms.contains(&room) {
            self.rooms.push(room.clone());
            self.changes.push(Change::Rooms(self.rooms.clone()));
            self.ask(room.clone(), Action::Joined);
        }
        self.show_rooms();
        self.notice(Notice::Room(room));
    }

    fn leave(&mut self, room: Option<RoomName>) {
        let room = room.unwrap_or_else(|| self.current.clone());
        let Some(at) = self.rooms.iter().position(|joined| *joined == room) else {
            return self.reject(Notice::NotThere(room));
        };
        if self.rooms.len() == 1 {
            return self.reject(Notice::OnlyRoom);
        }
        self.rooms.remove(at);
        self.changes.push(Change::Rooms(self.rooms.clone()));
        self.ask(room.clone(), Action::LeftRoom);
        if self.current == room {
            self.oldest = None;
            self.current = super::home(&self.rooms);
            self.show_rooms();
            return self.notice(Notice::Room(self.current.clone()));
        }
        self.show_rooms();
    }

    /// Returns the next line for the host, if one may be sent now.
    pub(super) fn next_line(&mut self, now: Now) -> Option<String> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        if self.link != Link::Greeted {
            return None;
        }
        let is_over = self.has_ended();
        if self.unread && (self.read_at <= now.time || matches!(self.stage, Stage::Leaving { .. }))
        {
            return self.acknowledge(now);
        }
        if is_over || now.time < self.hold_until || !self.pace.has(now.time, pace()) {
            return None;
        }
        let line = match self.next_source()? {
            Source::Requests => self.next_request(),
            Source::Outbox => self.next_message(),
        }?;
        self.pace.charge(now.time, pace(), lines_of(&line));
        Some(line)
    }

    fn acknowledge(&mut self, now: Now) -> Option<String> {
        let is_large = self.members > LARGE_ROOM;
        let interval = if is_large { LARGE_READ_INTERVAL } else { READ_INTERVAL };
        self.unread = false;
        self.read_at = now.time + interval;
        let read = Action::Read(self.cursor?);
        Some(machine::write_request(&read.into(), None))
    }

    /// Returns where the line with the lowest place waits, if it may be sent: so that lines take
    /// effect in the order in which they were typed.
    pub(super) fn next_source(&self) -> Option<Source> {
        match (self.requests.next_place(), self.outbox.next_place()) {
            (Some(request), Some(message)) if request < message => Some(Source::Requests),
            (Some(_), None) => Some(Source::Requests),
            // A signature names its author, so the name must be known first.
            _ if self.outbox.has_next() && !self.requests.is_naming() => Some(Source::Outbox),
            _ => None,
        }
    }

    fn next_request(&mut self) -> Option<String> {
        self.requests.next().map(|request| machine::write_request(&request, None))
    }

    fn next_message(&mut self) -> Option<String> {
        let item = self.outbox.next()?;
        if item.question.is_some() {
            return None;
        }
        let to = match &item.unsent.what {
            What::Whisper(name) if !item.is_for_nobodys_key => match self.names.key(name) {
                Some(key) => Some(key),
                None => {
                    let request = self.requests.number();
                    item.question = Some(request);
                    let action = Action::Identify(name.to_string());
                    let request = Request { request: Some(request), ..Request::from(action) };
                    return Some(machine::write_request(&request, None));
                }
            },
            _ => None,
        };
        let request = *item.request.get_or_insert_with(|| self.requests.number());
        item.signed_as = Some(Arc::clone(&self.me.name));
        let action = match &item.unsent.what {
            What::Whisper(name) if item.is_for_nobodys_key => {
                Action::Whispered(format!("{name} {}", item.unsent.text))
            }
            _ => Action::Sealed(sealed(item, to, &self.me.name, &self.chat, &self.identity)),
        };
        let room = item.unsent.room.clone();
        self.outbox.advance();
        let request = Request { request: Some(request), room, signed: None, action };
        Some(machine::write_request(&request, None))
    }
}

fn sealed(
    item: &Item,
    to: Option<Arc<str>>,
    name: &Arc<str>,
    chat: &Arc<str>,
    identity: &hikyaku::identity::Identity,
) -> Sealed {
    let words = Words {
        chat: Arc::clone(chat),
        room: item.unsent.room.clone(),
        name: Arc::clone(name),
        to,
        emote: item.unsent.what == What::Emote,
        text: item.unsent.text.to_string(),
    };
    Sealed::seal(identity, item.unsent.id, &words)
}
