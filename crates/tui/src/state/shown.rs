//! Converts items of the chat to lines.

use std::sync::Arc;

use hikyaku_chat::{
    Stamp,
    event::{Event, Kind, Refusal},
    json::Progress,
    member::{self, Line, Notice, Shown},
    words::Sentence,
};
use hikyaku_text::{sanitize, sanitize_lines};

use super::{Effect, Link, State};
use crate::{
    limits::MAX_PENDING,
    lines::{Item, What},
    mention::mentions,
};

impl State {
    pub(super) fn on_shown(&mut self, shown: Shown, now: Stamp) -> Vec<Effect> {
        match shown {
            Shown::Event(line) => return self.on_line(&line, now),
            Shown::State(state) => return self.on_link(state),
            Shown::Rooms { rooms, current } => {
                self.rooms.set(&rooms, &current);
                if self.link == Link::Connected {
                    return self.ask_at_first();
                }
            }
            // The header and the banner show it.
            Shown::Notice(Notice::Room(_) | Notice::Lost | Notice::Back) => {}
            Shown::Notice(notice) => self.on_notice(notice, now),
        }
        Vec::new()
    }

    fn on_link(&mut self, state: member::State) -> Vec<Effect> {
        self.forget_page();
        match state {
            member::State::Connected => {
                self.link = Link::Connected;
                return self.ask_at_first();
            }
            member::State::Reconnecting => self.link = Link::Reconnecting,
            _ => self.is_leaving = true,
        }
        Vec::new()
    }

    fn on_notice(&mut self, notice: Notice, now: Stamp) {
        let is_warning = matches!(notice, Notice::OtherKey { .. } | Notice::NotKept { .. });
        let shown = Shown::Notice(notice);
        let Some(sentence) = self.look.language.shown(&shown) else { return };
        let text = sentence.text().to_owned();
        let what = if is_warning { What::Warning(text) } else { What::Notice(text) };
        self.notice(what, now);
    }

    fn on_line(&mut self, line: &Line, now: Stamp) -> Vec<Effect> {
        let event = &*line.event;
        self.names.learn(event);
        match &event.kind {
            Kind::Said { .. } | Kind::Whispered { .. } => return self.on_message(line, now),
            Kind::Page { of, count, more } => {
                self.on_page(*of, event.room.clone(), *count, *more);
                return Vec::new();
            }
            Kind::Delivered { seq, to, of } => {
                let progress = Progress::Delivered { to: *to, of: *of };
                for room in self.rooms.iter_mut() {
                    if let Some(item) = room.lines.with_seq(*seq) {
                        item.own = Some(progress);
                    }
                }
                return Vec::new();
            }
            _ if event.seq.is_some() && self.is_of_page() => {
                let item = self.item_of_notice(line);
                self.add_of_page(event.room.clone(), item);
                return Vec::new();
            }
            _ => {}
        }
        let effects = self.on_change(line);
        if let Kind::Topic { .. } = event.kind
            && self.is_asked_topic(event)
        {
            return effects;
        }
        if let Kind::Refused(Refusal::NoHistory) = event.kind
            && self.on_no_past()
        {
            return effects;
        }
        if let Some(item) = self.item_of_notice(line) {
            // An answer appears where it was requested.
            let is_of_room = event.seq.is_some();
            let room = if is_of_room { &event.room } else { &self.rooms.current().name };
            self.add_to(&room.clone(), item);
        }
        effects
    }

    /// Takes notice of what changes the screen beside its lines.
    fn on_change(&mut self, line: &Line) -> Vec<Effect> {
        let event = &*line.event;
        match &event.kind {
            Kind::Greeted { you, durable, .. } => {
                self.me = Arc::clone(&you.name);
                self.has_past = *durable;
            }
            Kind::Renamed { name } if line.is_mine => self.me = Arc::clone(name),
            Kind::Topic { text } => {
                self.rooms.find(&event.room).topic = sanitize(text).into_owned().into();
            }
            Kind::Refused(_) => {
                if let Some(id) = event.id {
                    self.pending.remove(&id);
                    for room in self.rooms.iter_mut() {
                        if let Some(item) = room.lines.with_id(id) {
                            item.is_refused = true;
                        }
                    }
                }
            }
            // A member is notified of its own rooms in another way.
            Kind::Joined if line.is_mine && self.is_host => {
                self.rooms.add(&event.room);
                self.rooms.enter(&event.room);
                return self.ask_at_first();
            }
            Kind::Left(_) if line.is_mine && self.is_host => self.rooms.remove(&event.room),
            _ => {}
        }
        Vec::new()
    }

    fn on_message(&mut self, line: &Line, now: Stamp) -> Vec<Effect> {
        let event = &*line.event;
        let is_stored_by_host = line.is_mine && self.is_host && event.seq.is_some();
        let own = line.context.own.or(is_stored_by_host.then_some(Progress::Stored));
        if let Some(id) = event.id {
            match own {
                Some(Progress::Pending) if self.pending.len() < MAX_PENDING => {
                    self.pending.insert(id);
                }
                Some(Progress::Pending) => {}
                // Stored, or seen in the past.
                _ => _ = self.pending.remove(&id),
            }
        }
        let is_there = self.update(line, own);
        let mut item = self.item_of_message(line);
        if let Some(item) = &mut item {
            item.own = own;
        }
        if event.seq.is_some() && self.is_of_page() && !line.is_update {
            self.add_of_page(event.room.clone(), item);
            return Vec::new();
        }
        let Some(item) = item.filter(|_| !is_there) else { return Vec::new() };
        let is_whisper = matches!(event.kind, Kind::Whispered { .. });
        let names_me = match &item.what {
            What::Speech { mentions, .. } => !mentions.is_empty() || is_whisper,
            _ => false,
        };
        let ring = match &item.what {
            What::Speech { speaker, text, .. } => format!("{speaker}: {text}"),
            What::Notice(text) | What::Warning(text) => text.clone(),
        };
        // A whisper is shown wherever the reader is.
        let room = if is_whisper { self.rooms.current().name.clone() } else { event.room.clone() };
        self.add_to(&room, item);
        if line.is_mine || line.context.history {
            return Vec::new();
        }
        if !self.rooms.is_current(&room) {
            let room = self.rooms.find(&room);
            room.unread += 1;
            room.names_me |= names_me;
        } else if !self.is_at_newest() {
            self.rooms.current_mut().below += 1;
        }
        if names_me { self.ring(&ring, now) } else { Vec::new() }
    }

    /// Records how far an own message has got, if it is shown. It moves to its position in the log.
    fn update(&mut self, line: &Line, own: Option<Progress>) -> bool {
        let event = &*line.event;
        let Some(id) = event.id.filter(|_| line.is_mine) else { return false };
        let is_past = own.is_none();
        for room in self.rooms.iter_mut() {
            let Some(mut item) = room.lines.take(id) else { continue };
            if !is_past {
                item.own = own;
            } else if item.is_pending() {
                item.own = Some(Progress::Stored);
            }
            item.seq = event.seq.or(item.seq);
            room.lines.add(item);
            return true;
        }
        false
    }

    fn item_of_message(&self, line: &Line) -> Option<Item> {
        let event = &*line.event;
        let (Kind::Said { text, .. } | Kind::Whispered { text, .. }) = &event.kind else {
            return None;
        };
        let sentence = self.look.language.in_its_room(line)?;
        let what = match sentence {
            Sentence::Speech { speaker, .. } => {
                let text = sanitize_lines(text).into_owned();
                let author = event.author.as_ref();
                let key = author.and_then(|author| author.key.clone());
                let colour_of = key.or_else(|| author.map(|author| Arc::clone(&author.name)));
                let mentions = match line.is_mine {
                    true => Vec::new(),
                    false => mentions(&text, &self.me),
                };
                What::Speech { speaker, colour_of: colour_of.unwrap_or_default(), text, mentions }
            }
            other => What::Warning(other.text().to_owned()),
        };
        Some(numbered(event, what))
    }

    fn item_of_notice(&self, line: &Line) -> Option<Item> {
        let sentence = self.look.language.in_its_room(line)?;
        Some(numbered(&line.event, What::Notice(sentence.text().to_owned())))
    }
}

fn numbered(event: &Event, what: What) -> Item {
    let mut item = Item::new(event.at, what);
    (item.seq, item.id) = (event.seq, event.id);
    item
}
