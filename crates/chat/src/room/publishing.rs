//! From the log to its readers: numbered events, failed events, delivered events.

use std::sync::Arc;

use super::{
    Audience, Call, Chat, Effect, Peer,
    ticks::{Acknowledgement, Whose},
};
use crate::{
    event::{Event, Kind, Refusal, Seq},
    limits::MAX_ANNOUNCED,
    log::{Committed, Log},
    time::Now,
};

impl<P: Peer, L: Log> Chat<P, L> {
    /// Publishes what the log has numbered since the last call. Needed only for a log that is slow
    /// or has other writers: events that it numbers immediately are published by the same call.
    pub fn handle_log(&mut self, effects: &mut Vec<Effect<P>>) {
        while let Some(committed) = self.log.committed() {
            match committed {
                Committed::Event(event) => {
                    self.storage.succeeded();
                    self.pass_on(event, effects);
                }
                Committed::Repeated { event, seq } => {
                    let answer = Event { seq: Some(seq), ..self.answer_to(&event, Kind::Repeated) };
                    self.tell_author(&event, answer, effects);
                }
                Committed::Failed { event, why } => {
                    self.stats.not_stored += 1;
                    let because = why.problem().to_owned();
                    self.storage.failed(why);
                    let refused = Kind::Refused(Refusal::NotStored { because });
                    let answer = self.answer_to(&event, refused);
                    self.tell_author(&event, answer, effects);
                }
            }
        }
    }

    /// An event of the chat itself about the outcome of an author's event.
    fn answer_to(&self, event: &Event, kind: Kind) -> Event {
        let mut answer = Event::new(event.at, None, event.request, kind);
        answer.room = event.room.clone();
        answer.id = event.id;
        answer
    }

    fn tell_author(&self, event: &Event, answer: Event, effects: &mut Vec<Effect<P>>) {
        let author = event.author.as_ref().and_then(|author| self.members.with_id(author.member));
        if let Some(author) = author {
            effects.push(Effect { to: Audience::One(author), event: Arc::new(answer) });
        }
    }

    fn pass_on(&mut self, event: Arc<Event>, effects: &mut Vec<Effect<P>>) {
        let author = event.author.as_ref().and_then(|author| self.members.with_id(author.member));
        let readers = match &event.kind {
            Kind::Whispered { to_key: Some(to), .. } => {
                let from = event.author.as_ref().and_then(|author| author.key.clone());
                Audience::Keys(from.unwrap_or_default(), Arc::clone(to))
            }
            _ => Audience::Room(event.room.clone()),
        };
        if let (Some(author), Some(seq)) = (author.filter(Peer::reads_log), event.seq) {
            self.count(seq, author, &event);
        }
        // The last member left before its farewell had a number.
        if self.rooms.get(&event.room).is_none() {
            self.log.forget_room(&event.room);
        }
        // A member that left a room is no longer among its members, and must see that it was done.
        if let (Kind::Left(_), Some(author)) = (&event.kind, author.filter(|p| !p.reads_log())) {
            effects.push(Effect { to: Audience::One(author), event: Arc::clone(&event) });
        }
        effects.push(Effect { to: readers, event });
    }

    /// Begins to count how many members have a message.
    fn count(&mut self, seq: Seq, author: P, event: &Event) {
        let (whose, of) = match &event.kind {
            Kind::Said { .. } => {
                let Some(room) = self.rooms.get(&event.room) else { return };
                let readers = room.members.len() - room.direct.len();
                let others = readers - usize::from(room.members.contains(&author));
                (Whose::Room(event.room.clone()), others)
            }
            Kind::Whispered { to_key: Some(key), .. } => {
                let is_here = self.members.with_key(key).any(|peer| peer.reads_log());
                (Whose::Key(Arc::clone(key)), usize::from(is_here))
            }
            _ => return,
        };
        self.ticks.add(seq, author, whose, of);
    }

    /// Records that a member has everything up to `seq`.
    pub(super) fn acknowledge(&mut self, call: &Call<P>, seq: Seq) {
        let head = self.log.head();
        let Some(member) = self.members.get_mut(call.from).filter(|_| call.from.reads_log()) else {
            return;
        };
        let (from, to) = (member.read, seq.min(head).max(member.read));
        member.read = to;
        let key = call.from.key();
        let (by, key) = (call.from, key.as_ref());
        self.ticks.acknowledge(&Acknowledgement { by, key, rooms: &member.rooms, from, to });
    }

    pub(super) fn report_deliveries(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        while let Some((author, delivered)) = self.ticks.next_report(now.time) {
            let event = Arc::new(Event::new(now.stamp, None, None, delivered));
            effects.push(Effect { to: Audience::One(author), event });
        }
    }

    pub(super) fn report_presence(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        while let Some((name, presence)) = self.rooms.take_presence(now.time) {
            let mut event = Event::new(now.stamp, None, None, presence);
            event.room = name.clone();
            effects.push(Effect { to: Audience::Room(name), event: Arc::new(event) });
        }
    }

    /// Returns `true` if each arrival in and departure from the room is announced.
    pub(super) fn announces(&self, call: &Call<P>) -> bool {
        self.rooms.len(&call.room) <= MAX_ANNOUNCED
    }

    /// Appends an action to the log, and publishes what the log has numbered.
    pub(super) fn publish(&mut self, call: &Call<P>, kind: Kind, effects: &mut Vec<Effect<P>>) {
        let author = self.members.author(call.from);
        let mut event = Event::new(call.now.stamp, author, call.request, kind);
        event.room = call.room.clone();
        if let Some((id, sealed)) = &call.signed {
            event.id = Some(*id);
            event.sealed = Some(sealed.clone());
        }
        self.submit(event, effects);
    }

    pub(super) fn submit(&mut self, event: Event, effects: &mut Vec<Effect<P>>) {
        self.log.submit(event);
        self.handle_log(effects);
    }
}
