//! Handles lines from the host.

use std::{mem, sync::Arc};

use super::{
    Change, Link, Member, Notice, Shown, Stage, State,
    names::Known,
    outbox,
    place::Place,
    verify::{Verdict, verify},
};
use crate::{
    event::{Author, Event, Kind, Refusal, Seq},
    json::{Context, Progress},
    limits::{MAX_DOUBTS, PACE_AGAIN, PAGE_LINES, STORE_AGAIN},
    machine,
    message_id::MessageId,
    name::Name,
    request::Action,
    room_name::RoomName,
    store::LogId,
    time::Now,
};

/// What a greeting says about the chat.
struct Greeting {
    you: Author,
    head: Seq,
    log: Option<LogId>,
    rooms: Vec<RoomName>,
    members: usize,
}

impl Member {
    /// Handles a line from the host. Ignores anything that is not a line of a chat.
    pub fn handle_received(&mut self, now: Now, line: &[u8]) {
        if self.link == Link::Away || self.stage == Stage::Left {
            return;
        }
        let Some((event, _)) = machine::read_event(line) else { return };
        let unsent = self.outbox.len();
        match &event.kind {
            Kind::Greeted { you, others, head, log, rooms, .. } => {
                let greeting = Greeting {
                    you: you.clone(),
                    head: *head,
                    log: *log,
                    rooms: rooms.clone(),
                    members: others.count() + 1,
                };
                self.on_greeted(event, greeting);
            }
            Kind::Delivered { seq, to, of } => self.on_delivered(*seq, *to, *of),
            Kind::Repeated => self.on_repeated(&event),
            Kind::Identified { who } => {
                let who = who.clone();
                self.on_identified(&event, &who);
            }
            Kind::Refused(refusal) => {
                let refusal = refusal.clone();
                self.on_refused(now, event, &refusal);
            }
            Kind::Page { count, .. } => {
                self.page_left = (*count).min(PAGE_LINES);
                self.is_answered_by(event.request);
                self.show(Arc::new(event), Context::default(), false);
            }
            Kind::Missed => {
                self.move_cursor(event.prev);
                self.show(Arc::new(event), Context::default(), false);
            }
            _ if self.page_left > 0 && event.seq.is_some() => self.on_history(event),
            _ => self.on_event(event),
        }
        if self.outbox.len() < unsent {
            self.wait_on(now);
        }
    }

    /// The host accepts messages again: a leaving member waits for the rest.
    fn wait_on(&mut self, now: Now) {
        if let Stage::Leaving { by, is_patient: true, .. } = &mut self.stage {
            *by = now.time + self.patience;
        }
    }

    fn on_greeted(&mut self, event: Event, greeting: Greeting) {
        let Greeting { you, head, log, rooms, members } = greeting;
        self.is_answered_by(event.request);
        self.members = members;
        let is_news = self.me.member != you.member || self.me.name != you.name || self.log != log;
        self.me = you;
        self.named_at = head;
        self.me.key = Some(Arc::clone(&self.key));
        if self.link == Link::Greeted {
            // An answer about a name that the member already has.
            return;
        }
        self.link = Link::Greeted;
        self.has_joined = true;
        self.unshown.push_back(Shown::State(State::Connected));
        if mem::take(&mut self.was_lost) {
            self.notice(Notice::Back);
        }
        if self.cursor.is_none() || self.log != log {
            if self.log.is_some() && self.log != log {
                self.notice(Notice::OtherLog);
            }
            self.outbox.untrack();
            self.log = log;
            self.cursor = Some(head);
            self.moved = true;
        }
        let is_named = !rooms.is_empty();
        self.requests.handle_rooms(if is_named { rooms.clone() } else { self.rooms.clone() });
        self.adopt(rooms);
        self.revisit();
        if is_news {
            self.show(Arc::new(event), Context::default(), false);
            self.compare_name();
        }
    }

    /// A key has one name, which another terminal of the same key may have chosen. If the name was
    /// taken, the host reports that separately.
    fn compare_name(&mut self) {
        // The host is about to give the member the name that they typed last.
        if self.requests.will_name() {
            return;
        }
        let (name, wish) = (Arc::clone(&self.me.name), self.wish.shared());
        let stem = name.rsplit_once('-').map_or("", |(stem, _)| stem.trim_end());
        let is_numbered = !stem.is_empty() && wish.starts_with(stem);
        if name != wish && !is_numbered {
            self.notice(Notice::OtherName { name, wish });
        }
    }

    /// The host may not have admitted the member to all rooms.
    fn adopt(&mut self, rooms: Vec<RoomName>) {
        if rooms.is_empty() || rooms == self.rooms {
            return;
        }
        let extra: Vec<_> = rooms.iter().filter(|room| !self.rooms.contains(room)).collect();
        if extra.iter().any(|room| room.is_general()) {
            // The host admits everybody to this room; a member who has left it must leave it again.
            self.requests.add(Place::FIRST, RoomName::general(), Action::LeftRoom);
        }
        // What was typed since the hello is still to be sent.
        let requests = &self.requests;
        let stays = |room: &RoomName, is_in: bool| requests.will_be_in(room).unwrap_or(is_in);
        self.rooms.retain(|room| stays(room, rooms.contains(room)));
        let others = rooms.into_iter().filter(|room| !room.is_general() && stays(room, true));
        self.rooms.extend(others);
        self.rooms.sort();
        self.rooms.dedup();
        if self.rooms.is_empty() {
            self.rooms.push(RoomName::general());
        }
        if !self.rooms.contains(&self.current) {
            self.current = super::home(&self.rooms);
            self.notice(Notice::Room(self.current.clone()));
        }
        self.changes.push(Change::Rooms(self.rooms.clone()));
        self.show_rooms();
    }

    fn on_delivered(&mut self, seq: Seq, to: u32, of: u32) {
        if let Some((event, progress)) = self.outbox.delivered(seq, to, of) {
            self.show_own(event, progress, true);
        }
    }

    /// The host has received a message, or a request, before.
    fn on_repeated(&mut self, event: &Event) {
        self.is_answered_by(event.request);
        let Some(unsent) = self.outbox.take(event) else { return };
        self.changes.push(Change::Remove(unsent.id));
        let mut stored = outbox::as_event(&unsent, self.me.clone());
        stored.seq = event.seq;
        self.show_stored(unsent.id, stored, true);
    }

    fn on_identified(&mut self, event: &Event, who: &Author) {
        self.is_answered_by(event.request);
        self.check_name(who);
        if let Some(item) = self.outbox.find(event) {
            item.question = None;
            item.is_for_nobodys_key = who.key.is_none();
        }
    }

    fn on_refused(&mut self, now: Now, mut event: Event, refusal: &Refusal) {
        let name = Arc::clone(&self.me.name);
        let is_for_now = matches!(refusal, Refusal::TooFast { .. } | Refusal::Busy);
        let known = self.outbox.find(&event).map(|item| {
            item.doubts += u32::from(*refusal == Refusal::Forged);
            (item.signed_as.clone(), item.doubts)
        });
        let Some((signed_as, doubts)) = known else {
            if is_for_now && self.requests.again(event.request) {
                self.hold_until = now.time + PACE_AGAIN;
                return self.revisit();
            }
            self.rejected += usize::from(self.requests.has_number(event.request));
            self.is_answered_by(event.request);
            return self.show(Arc::new(event), Context::default(), false);
        };
        self.is_answered_by(event.request);
        let is_signed_by_this_name = signed_as.as_ref() == Some(&name);
        match refusal {
            _ if is_for_now => self.hold_until = now.time + PACE_AGAIN,
            // The name has changed in the meantime.
            Refusal::Forged if !is_signed_by_this_name => {}
            // Another device of this key may have changed it: that event is still on its way.
            Refusal::Forged if doubts <= MAX_DOUBTS => self.hold_until = now.time + PACE_AGAIN,
            Refusal::NotStored { .. } => {
                // Said once: until something is stored, each attempt ends so.
                if !mem::replace(&mut self.cannot_store, true) {
                    self.show(Arc::new(event), Context::default(), false);
                }
                self.hold_until = now.time + STORE_AGAIN;
            }
            _ => {
                if let Some(unsent) = self.outbox.take(&event) {
                    // A request for the addressee's key has no id; readers know the message by it.
                    event.id = Some(unsent.id);
                    self.changes.push(Change::Remove(unsent.id));
                    self.rejected += 1;
                }
                return self.show(Arc::new(event), Context::default(), false);
            }
        }
        // In order: the host recognises those that it has.
        self.outbox.rewind();
        self.revisit();
    }

    fn on_history(&mut self, mut event: Event) {
        self.page_left -= 1;
        let verdict = self.check(&mut event);
        if event.room == self.current && event.seq.is_some() {
            self.oldest = self.oldest.min(event.seq).or(event.seq);
        }
        if verdict == Verdict::Sound
            && self.is_mine(&event)
            && let Some(unsent) = event.id.and_then(|_| self.outbox.take(&event))
        {
            self.changes.push(Change::Remove(unsent.id));
        }
        let forged = verdict == Verdict::Forged;
        let context = Context { history: true, forged, ..Context::default() };
        self.show(Arc::new(event), context, false);
    }

    fn on_event(&mut self, mut event: Event) {
        if let Some(seq) = event.seq {
            if self.cursor.is_some_and(|cursor| seq <= cursor) {
                return;
            }
            self.move_cursor(seq);
            if event.room == self.current && self.oldest.is_none() {
                self.oldest = Some(seq);
            }
        }
        let is_mine = self.is_mine(&event);
        if is_mine || event.author.is_none() {
            self.is_answered_by(event.request);
        }
        let verdict = self.check(&mut event);
        let is_news = event.seq.is_none_or(|seq| seq > self.named_at);
        if let (true, Kind::Renamed { name }) = (is_mine && is_news, &event.kind) {
            self.me.name = Arc::clone(name);
            if let Ok(name) = Name::parse(name) {
                self.wish = name;
            }
        }
        if let Kind::Presence { members, .. } = event.kind {
            self.members = members;
        }
        if verdict == Verdict::Forged {
            let context = Context { forged: true, ..Context::default() };
            return self.show(Arc::new(event), context, false);
        }
        match event.kind {
            Kind::Said { .. } | Kind::Whispered { .. } if is_mine => self.on_own(event),
            Kind::Said { .. } | Kind::Whispered { .. } => {
                self.unread |= event.seq.is_some();
                self.show(Arc::new(event), Context::default(), false);
            }
            Kind::Renamed { .. } if self.renames.is_repeated(&event) => {}
            _ => self.show(Arc::new(event), Context::default(), false),
        }
    }

    /// A message of this key is in the log: it was typed here, or on another device.
    fn on_own(&mut self, event: Event) {
        let pending = self.outbox.take(&event);
        if let Some(unsent) = &pending {
            self.changes.push(Change::Remove(unsent.id));
        }
        let is_known = pending.is_some();
        match (event.id, event.seq) {
            (Some(id), Some(seq)) if !is_known && self.outbox.is_tracked(id, seq) => {}
            (Some(id), _) => self.show_stored(id, event, is_known),
            // A whisper to a member without a key is in no log.
            (None, _) => self.show_own(Arc::new(event), Progress::Stored, is_known),
        }
    }

    fn show_stored(&mut self, id: MessageId, event: Event, was_pending: bool) {
        self.cannot_store = false;
        let event = Arc::new(event);
        if let Some(seq) = event.seq
            && !self.outbox.track(id, seq, Arc::clone(&event))
        {
            return;
        }
        self.show_own(event, Progress::Stored, was_pending);
    }

    fn move_cursor(&mut self, seq: Seq) {
        if self.cursor.is_none_or(|cursor| cursor < seq) {
            self.cursor = Some(seq);
            self.moved = true;
        }
    }

    pub(super) fn is_mine(&self, event: &Event) -> bool {
        let Some(author) = &event.author else { return false };
        author.key.as_ref() == Some(&self.key)
    }

    /// Verifies an event, and checks whether its author had the name before.
    fn check(&mut self, event: &mut Event) -> Verdict {
        let verdict = verify(event, &self.chat);
        if verdict == Verdict::Sound {
            self.check_author(event);
        }
        verdict
    }

    /// Warns if a name appears with another key than before.
    fn check_author(&mut self, event: &Event) {
        let Some(author) = &event.author else { return };
        self.check_name(author);
        if let Kind::Renamed { name } = &event.kind {
            self.check_name(&Author { name: Arc::clone(name), ..author.clone() });
        }
    }

    fn check_name(&mut self, author: &Author) {
        match self.names.meet(author) {
            Known::AsBefore => {}
            Known::New(change) => self.changes.push(change),
            Known::Other(change) => {
                self.changes.push(change);
                let (name, key) = (Arc::clone(&author.name), author.key.clone());
                self.notice(Notice::OtherKey { name, key });
            }
        }
    }
}
