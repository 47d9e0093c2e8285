//! Lines, whispers, topics.

use std::sync::Arc;

use super::{Audience, Call, Chat, Effect, Peer, members::quoted_name, refuse};
use crate::{
    event::{Event, Kind, Refusal},
    limits::{MAX_NAME_LEN, MAX_QUOTE_LEN, MAX_TOPIC_LEN},
    log::Log,
    request::Action,
    room_name::RoomName,
};

impl<P: Peer, L: Log> Chat<P, L> {
    /// Returns the room that a request is about. A member that receives events one by one writes to
    /// the room that it joined last, unless it names another.
    pub(crate) fn room_meant(&self, from: P, action: &Action, room: RoomName) -> RoomName {
        let is_explicit = from.reads_log() || !room.is_general() || *action == Action::Joined;
        if is_explicit { room } else { self.current_room(from) }
    }

    pub(super) fn say(
        &mut self,
        call: &Call<P>,
        text: String,
        emote: bool,
        effects: &mut Vec<Effect<P>>,
    ) {
        if !self.is_in_room(call) {
            return refuse(call, Refusal::NotInRoom, effects);
        }
        self.stats.relayed += 1;
        self.publish(call, Kind::Said { text, emote }, effects);
    }

    fn is_in_room(&self, call: &Call<P>) -> bool {
        self.members.get(call.from).is_some_and(|member| member.rooms.contains_key(&call.room))
    }

    pub(super) fn whisper(&mut self, call: &Call<P>, words: &str, effects: &mut Vec<Effect<P>>) {
        let Some((to, text)) = self.members.find_addressee(words, MAX_NAME_LEN + 1) else {
            let name = quoted_name(words).map_or_else(|| first_word(words), |(name, _)| name);
            let name = quote(name, MAX_QUOTE_LEN);
            return refuse(call, Refusal::Nobody { name }, effects);
        };
        if text.is_empty() {
            return refuse(call, Refusal::NothingSaid, effects);
        }
        let (text, name) = (text.to_owned(), self.members.shown(to));
        let author = self.members.author(call.from);
        let is_keyed = author.as_ref().is_some_and(|author| author.key.is_some());
        let to_key = to.key().filter(|_| !to.is_unauthenticated());
        if let Some(to_key) = to_key.clone().filter(|_| is_keyed) {
            // The addressee would reject it.
            if call.from.reads_log() && call.signed.is_none() {
                return refuse(call, Refusal::Forged, effects);
            }
            return self.whisper_by_log(call, (name, to_key), text, effects);
        }
        self.stats.relayed += 1;
        let kind = Kind::Whispered { to: name, to_key, text };
        let event = Arc::new(Event::new(call.now.stamp, author, call.request, kind));
        effects.push(Effect { to: Audience::One(to), event: Arc::clone(&event) });
        if to != call.from {
            effects.push(Effect { to: Audience::One(call.from), event });
        }
    }

    /// A whisper to a key, whose bearer may be away.
    pub(super) fn whisper_to_key(
        &mut self,
        call: &Call<P>,
        key: &Arc<str>,
        text: String,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(name) = self.members.name_of_key(key) else {
            let name = quote(key, MAX_QUOTE_LEN);
            return refuse(call, Refusal::Nobody { name }, effects);
        };
        self.whisper_by_log(call, (name, Arc::clone(key)), text, effects);
    }

    fn whisper_by_log(
        &mut self,
        call: &Call<P>,
        (to, key): (Arc<str>, Arc<str>),
        text: String,
        effects: &mut Vec<Effect<P>>,
    ) {
        self.stats.relayed += 1;
        let call = Call { room: RoomName::general(), ..call.clone() };
        self.publish(&call, Kind::Whispered { to, to_key: Some(key), text }, effects);
    }

    pub(super) fn set_topic(&mut self, call: &Call<P>, text: &str, effects: &mut Vec<Effect<P>>) {
        if !self.is_in_room(call) {
            return refuse(call, Refusal::NotInRoom, effects);
        }
        let topic: Arc<str> = quote(text.trim(), MAX_TOPIC_LEN).into();
        if let Some(room) = self.rooms.get_mut(&call.room) {
            room.topic = Arc::clone(&topic);
        }
        self.publish(call, Kind::Topic { text: topic }, effects);
    }
}

fn first_word(words: &str) -> &str {
    words.split(' ').next().filter(|name| !name.is_empty()).unwrap_or("that")
}

/// Returns `text`, cut to about `limit` bytes with a visible mark, as a quotation.
pub(super) fn quote(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut quoted = text[..text.floor_char_boundary(limit)].to_owned();
    quoted.push('…');
    quoted
}
