//! Answers questions, and carries out the commands of owners.

use std::sync::Arc;

use hikyaku::{filter::Network, signers::Fingerprint};

use super::{
    Call, Chat, Effect, Peer, Query,
    bans::written,
    members::{Member, quoted_name},
    refuse,
    talking::quote,
    tell,
};
use crate::{
    event::{Departure, Event, Kind, Refusal, Seq},
    limits::{MAX_QUOTE_LEN, MAX_REPLAY, MAX_ROLL_LEN},
    log::Log,
    name::likeness,
    rate::Rate,
    request::Question,
    room::Audience,
};

impl<P: Peer, L: Log> Chat<P, L> {
    pub(super) fn answer(
        &mut self,
        call: &Call<P>,
        question: Question,
        effects: &mut Vec<Effect<P>>,
    ) {
        let kind = match question {
            Question::Who => {
                let room = self.rooms.get(&call.room);
                let roll = room.map(|room| self.members.roll(&room.members, None, MAX_ROLL_LEN));
                Kind::Members { roll: roll.unwrap_or_default() }
            }
            Question::Help => Kind::Help,
            Question::Rooms => Kind::Rooms { rooms: self.rooms.list(MAX_ROLL_LEN) },
            Question::Topic => Kind::Topic { text: self.rooms.topic(&call.room) },
            Question::Bans if self.is_owner(call.from) => {
                Kind::Bans { bans: self.bans.list(MAX_ROLL_LEN) }
            }
            Question::Bans => Kind::Refused(Refusal::NotAnOwner),
        };
        tell(call, kind, effects);
    }

    pub(super) fn identify(&self, call: &Call<P>, name: &str, effects: &mut Vec<Effect<P>>) {
        match self.named(name).and_then(|peer| self.members.author(peer)) {
            Some(who) => tell(call, Kind::Identified { who }, effects),
            None => refuse(call, nobody(name), effects),
        }
    }

    /// Repeats the events of a room after `after` to a member, except those from before it joined.
    pub(super) fn replay(&mut self, call: &Call<P>, after: Seq, effects: &mut Vec<Effect<P>>) {
        let Some(member) = self.members.get_mut(call.from) else { return };
        let Some(events) = self.log.after(after.max(member.since)) else {
            return tell(call, Kind::Missed, effects);
        };
        let is_theirs = |event: &&Arc<_>| reads(member, event);
        let events = events.filter(is_theirs).take(MAX_REPLAY).cloned();
        let before = effects.len();
        effects.extend(events.map(|event| Effect { to: Audience::One(call.from), event }));
        let count = u32::try_from(effects.len() - before).unwrap_or(u32::MAX);
        let rate = Rate::new(self.config.rate, self.config.burst);
        member.bucket.charge(call.now.time, rate, count);
    }

    /// Lets a member read the log again, except events from before it joined.
    pub(super) fn rewind(&mut self, call: &Call<P>, after: Seq) {
        let since = self.members.since(call.from).unwrap_or_default();
        self.rewinds.push((call.from, after.max(since)));
    }

    /// Passes a question on to the history. Members that receive events one by one are refused:
    /// their addresses may be forged, and the answer is long.
    pub(super) fn query(
        &mut self,
        call: &Call<P>,
        words: Option<String>,
        before: Option<Seq>,
        effects: &mut Vec<Effect<P>>,
    ) {
        let may_ask = call.from.reads_log() || self.host == Some(call.from);
        if !may_ask || !self.log.is_durable() {
            return refuse(call, Refusal::NoHistory, effects);
        }
        let rooms = self.rooms_list(call.from);
        if words.is_none() && !rooms.contains(&call.room) {
            return refuse(call, Refusal::NotInRoom, effects);
        }
        let Call { from, request, room, .. } = call.clone();
        self.queries.push(Query { from, request, room, rooms, words, before });
    }

    pub(super) fn refuse_command(
        &self,
        call: &Call<P>,
        command: &str,
        effects: &mut Vec<Effect<P>>,
    ) {
        let command = quote(command, MAX_QUOTE_LEN);
        refuse(call, Refusal::NoCommand { command }, effects);
    }

    /// Returns `true` for the host, and for a member with the key of an owner.
    fn is_owner(&self, peer: P) -> bool {
        let is_owners = |key: Arc<str>| self.config.owners.contains(&key);
        self.host == Some(peer) || !peer.is_unauthenticated() && peer.key().is_some_and(is_owners)
    }

    pub(super) fn kick(&mut self, call: &Call<P>, name: &str, effects: &mut Vec<Effect<P>>) {
        if !self.is_owner(call.from) {
            return refuse(call, Refusal::NotAnOwner, effects);
        }
        match self.named(name).filter(|peer| self.host != Some(*peer)) {
            Some(peer) => {
                let address = || peer.network().map(|ip| written(ip).into());
                if let Some(who) = peer.key().or_else(address) {
                    self.bans.kick(call.now.time, who);
                }
                let who = self.members.shown(peer);
                self.dismiss(call, peer, Departure::Kicked, effects);
                tell(call, Kind::Kicked { who }, effects);
            }
            None => refuse(call, nobody(name), effects),
        }
    }

    /// Returns the member with a name, which may be in quotes.
    fn named(&self, name: &str) -> Option<P> {
        let name = quoted_name(name).map_or(name, |(name, _)| name);
        self.members.bearer(&likeness(name.trim()))
    }

    pub(super) fn ban(&mut self, call: &Call<P>, who: &str, effects: &mut Vec<Effect<P>>) {
        if !self.is_owner(call.from) {
            return refuse(call, Refusal::NotAnOwner, effects);
        }
        let Some(ban) = self.ban_of(who) else { return refuse(call, nobody(who), effects) };
        if !self.bans.add(&ban) {
            return refuse(call, nobody(who), effects);
        }
        self.ban_changes.push((ban, true));
        let is_out = |peer: &P| {
            let key = peer.key();
            Some(*peer) != self.host && self.bans.forbid(key.as_deref(), peer.network())
        };
        let out: Vec<P> = self.members.peers().filter(is_out).collect();
        for peer in out {
            self.dismiss(call, peer, Departure::Banned, effects);
        }
        tell(call, Kind::Bans { bans: self.bans.list(MAX_ROLL_LEN) }, effects);
    }

    /// Returns what banning `who` forbids: a key, or a network. A name stands for the key that has
    /// it, or otherwise for the address of its bearer.
    fn ban_of(&self, who: &str) -> Option<Arc<str>> {
        let who = quoted_name(who).map_or(who, |(name, _)| name).trim();
        if who.parse::<Network>().is_ok() || who.parse::<Fingerprint>().is_ok() {
            return Some(who.into());
        }
        match self.named(who) {
            Some(peer) if self.host == Some(peer) => None,
            Some(peer) => peer.key().or_else(|| peer.network().map(|ip| written(ip).into())),
            None => self.members.owner(who),
        }
    }

    pub(super) fn unban(&mut self, call: &Call<P>, who: &str, effects: &mut Vec<Effect<P>>) {
        if !self.is_owner(call.from) {
            return refuse(call, Refusal::NotAnOwner, effects);
        }
        let key = self.members.owner(who.trim());
        let known = [Some(who.trim().into()), key].into_iter().flatten();
        let Some(ban) = known.into_iter().find(|ban: &Arc<str>| self.bans.remove(ban)) else {
            return refuse(call, nobody(who), effects);
        };
        self.ban_changes.push((ban, false));
        tell(call, Kind::Unbanned { who: who.trim().into() }, effects);
    }

    /// Sends a member away.
    pub(super) fn dismiss(
        &mut self,
        call: &Call<P>,
        peer: P,
        why: Departure,
        effects: &mut Vec<Effect<P>>,
    ) {
        let mut gone = Call::new(call.now, peer);
        gone.room = self.current_room(peer);
        self.dismissed.push((peer, why));
        if !peer.reads_log() {
            let author = self.members.author(peer);
            let event = Event::new(call.now.stamp, author, None, Kind::Left(why));
            effects.push(Effect { to: Audience::One(peer), event: Arc::new(event) });
        }
        self.leave(&gone, why, effects);
    }
}

fn nobody(name: &str) -> Refusal {
    Refusal::Nobody { name: quote(name.trim(), MAX_QUOTE_LEN) }
}

/// Returns `true` if an event of the log is for a member.
fn reads(member: &Member, event: &Event) -> bool {
    match &event.kind {
        Kind::Whispered { to_key, .. } => {
            let key = member.key.as_ref();
            let author = event.author.as_ref().and_then(|author| author.key.as_ref());
            key.is_some() && (key == to_key.as_ref() || key == author)
        }
        _ => member.rooms.get(&event.room).is_some_and(|since| event.seq > Some(*since)),
    }
}
