//! A chat: its members, their names, its rooms, and its events.
//!
//! Never: a clock, a socket, a disk; sentences.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    event::{Author, Departure, Event, Kind, MemberId, Refusal, RequestId, Seq},
    limits::{MAX_LINE_LEN, MAX_NAME_LEN, MIN_IDLE},
    log::Log,
    message_id::MessageId,
    name::Name,
    request::{Action, Request},
    room_name::RoomName,
    sealed::Sealed,
    store::Past,
    time::{Now, Time},
};

mod allowance;
mod answers;
mod bans;
mod members;
mod membership;
mod naming;
mod newcomers;
mod owners;
mod presence;
mod publishing;
mod rooms;
mod seen;
mod storage;
mod taking;
mod talking;
mod ticks;
mod types;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub(crate) use self::members::HOST_NAME;
use self::{
    allowance::Allowance, bans::Bans, members::Members, newcomers::Newcomers, rooms::Rooms,
    storage::Storage, ticks::Ticks,
};
pub use self::{
    members::Peer,
    storage::StorageChange,
    types::{Audience, Effect, Hello, Query, Receivers, RoomConfig, Stats},
};

/// A chat with any number of rooms, around a log that numbers its events.
#[derive(Debug)]
pub struct Chat<P, L> {
    config: RoomConfig,
    log: L,
    members: Members<P>,
    rooms: Rooms<P>,
    host: Option<P>,
    newcomers: Newcomers<P>,
    allowance: Allowance,
    ticks: Ticks<P>,
    bans: Bans,
    /// Bans that changed and must be stored.
    ban_changes: Vec<(Arc<str>, bool)>,
    /// Members that were removed.
    dismissed: Vec<(P, Departure)>,
    /// Members that were silent for too long.
    silent: Vec<P>,
    /// Questions that the history must answer.
    queries: Vec<Query<P>>,
    /// Members that go back to an event of the log.
    rewinds: Vec<(P, Seq)>,
    storage: Storage,
    stats: Stats,
}

/// One call: the peer, the time, and what the request carries besides its action.
#[derive(Clone, Debug)]
struct Call<P> {
    now: Now,
    from: P,
    request: Option<RequestId>,
    room: RoomName,
    signed: Option<(MessageId, Sealed)>,
}

impl<P> Call<P> {
    fn new(now: Now, from: P) -> Self {
        Self { now, from, request: None, room: RoomName::general(), signed: None }
    }
}

impl<P: Peer, L: Log> Chat<P, L> {
    /// Creates an empty chat.
    #[must_use]
    pub fn new(config: RoomConfig, log: L) -> Self {
        let config = RoomConfig { idle: config.idle.max(MIN_IDLE), ..config };
        Self {
            config,
            log,
            members: Members::new(),
            rooms: Rooms::new(),
            host: None,
            newcomers: Newcomers::new(),
            allowance: Allowance::default(),
            ticks: Ticks::new(),
            bans: Bans::default(),
            ban_changes: Vec::new(),
            dismissed: Vec::new(),
            silent: Vec::new(),
            queries: Vec::new(),
            rewinds: Vec::new(),
            storage: Storage::default(),
            stats: Stats::default(),
        }
    }

    /// Restores topics, names and bans from the log's past. Call it before anyone joins.
    pub fn remember(&mut self, past: &Past) {
        for (name, key) in &past.names {
            self.members.remember(name, key);
        }
        for (room, _, topic) in &past.rooms {
            if topic.is_empty() || self.rooms.open(room).is_err() {
                continue;
            }
            if let Some(room) = self.rooms.get_mut(room) {
                room.topic = Arc::clone(topic);
            }
        }
        for ban in &past.bans {
            self.bans.add(ban);
        }
    }

    /// Adds the person at the server's own terminal, who is never greeted, idle, limited or
    /// counted. Call it before anyone joins.
    pub fn seat_host(&mut self, host: P, name: Option<&Name>) {
        debug_assert!(self.members.len() == 0, "the host is the first");
        self.host = Some(host);
        self.members.insert(host, None, None, self.log.head());
        self.enter(host, &RoomName::general()).expect("there are no rooms yet");
        if let Some(name) = name {
            // A name from the past may belong to somebody else.
            let _ = self.members.rename(host, name);
        }
    }

    /// Handles a request of `from`. The first request turns a stranger into a member. Effects are
    /// appended to `effects`, in order of delivery.
    pub fn handle(
        &mut self,
        now: Now,
        from: P,
        request: impl Into<Request>,
        effects: &mut Vec<Effect<P>>,
    ) {
        let before = effects.len();
        let Request { request, action, room, signed } = request.into();
        let room = self.room_meant(from, &action, room);
        self.take_in(&Call { now, from, request, room, signed }, action, effects);
        self.charge_unless_host(now, from, &effects[before..]);
    }

    /// Handles the hello of a peer that names the rooms that it wants to be in: a stranger, or a
    /// member that has come back. Returns `true` if it was admitted and greeted.
    pub fn handle_hello(
        &mut self,
        now: Now,
        from: P,
        hello: &Hello<'_>,
        effects: &mut Vec<Effect<P>>,
    ) -> bool {
        let before = effects.len();
        let is_in = self.hello(&Call::new(now, from), hello, effects);
        self.charge_unless_host(now, from, &effects[before..]);
        is_in
    }

    fn charge_unless_host(&mut self, now: Now, from: P, effects: &[Effect<P>]) {
        if self.host != Some(from) {
            self.charge(now.time, effects);
        }
    }

    /// Returns when to call [`Self::handle_timeout`], unless something happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let times = [
            self.members.next_idle_at(),
            self.rooms.next_presence(),
            self.ticks.poll_timeout(),
            self.storage.poll_timeout(),
        ];
        times.into_iter().flatten().min()
    }

    /// Keeps a member although it is silent, because it is known to be connected.
    pub fn hold(&mut self, peer: P) {
        self.members.set_idle_at(peer, None);
    }

    /// Lets silence end a membership again, from now on.
    pub fn release(&mut self, now: Now, peer: P) {
        self.members.set_idle_at(peer, Some(now.time + self.config.idle));
    }

    /// Sends a member away, as an owner could.
    pub fn expel(&mut self, now: Now, peer: P, why: Departure, effects: &mut Vec<Effect<P>>) {
        self.dismiss(&Call::new(now, peer), peer, why, effects);
    }

    /// Removes members that have been silent for too long, and reports what is due.
    pub fn handle_timeout(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        let before = effects.len();
        self.remove_idle(now, effects);
        self.report_presence(now, effects);
        self.report_deliveries(now, effects);
        self.charge(now.time, &effects[before..]);
    }

    /// Announces to all members that the chat closes. The event is not in the log.
    pub fn close(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        let event = Arc::new(Event::new(now.stamp, None, None, Kind::Closing));
        effects.push(Effect { to: Audience::All, event });
    }

    /// Returns all members, including the host, in the order of their keys.
    pub fn peers(&self) -> impl Iterator<Item = P> + '_ {
        self.members.peers()
    }

    /// Returns the receivers of an event, without those that read the log from a cursor.
    pub fn receivers<'a>(&'a self, to: &'a Audience<P>) -> Receivers<'a, P> {
        let is_direct = |peer: &P| !peer.reads_log();
        match to {
            Audience::One(peer) => Box::new(Some(*peer).into_iter()),
            Audience::Room(room) => {
                let direct = self.rooms.get(room).map(|room| room.direct.iter().copied());
                Box::new(direct.into_iter().flatten())
            }
            Audience::Keys(one, other) => {
                let other = self.members.with_key(other).filter(move |_| one != other);
                Box::new(self.members.with_key(one).chain(other).filter(is_direct))
            }
            Audience::All => Box::new(self.members.peers().filter(is_direct)),
        }
    }

    /// Returns the topic of `#general`; empty if it has none.
    #[must_use]
    pub fn title(&self) -> &str {
        self.rooms.title()
    }

    /// Returns `true` if `peer` is a member.
    #[must_use]
    pub fn is_member(&self, peer: P) -> bool {
        self.members.contains(peer)
    }

    /// Returns `peer` as events name it, if it is a member.
    #[must_use]
    pub fn author(&self, peer: P) -> Option<Author> {
        self.members.author(peer)
    }

    /// Returns the number of `peer`'s membership, if it is a member.
    #[must_use]
    pub fn member_id(&self, peer: P) -> Option<MemberId> {
        self.members.id(peer)
    }

    /// Returns the rooms of `peer`, each with the number of the log after which its events are for
    /// the peer.
    #[must_use]
    pub fn rooms_of(&self, peer: P) -> Option<&BTreeMap<RoomName, Seq>> {
        self.members.get(peer).map(|member| &member.rooms)
    }

    /// Returns the room that lines of `peer` without one go to.
    #[must_use]
    pub fn current_room(&self, peer: P) -> RoomName {
        self.members.get(peer).map_or_else(RoomName::general, |member| member.current.clone())
    }

    /// Returns the newest number of the log when `peer` joined, if they are a member.
    #[must_use]
    pub fn since(&self, peer: P) -> Option<Seq> {
        self.members.since(peer)
    }

    /// Returns the key of the member that the words of a whisper are for, and the text, if it has a
    /// key that its readers can verify.
    #[must_use]
    pub fn addressee<'a>(&self, words: &'a str) -> Option<(Arc<str>, &'a str)> {
        let (to, text) = self.members.find_addressee(words, MAX_NAME_LEN + 1)?;
        let key = to.key().filter(|_| !to.is_unauthenticated())?;
        Some((key, text))
    }

    /// Returns the newest number of the log.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.log.head()
    }

    /// Returns how many rooms there are.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.rooms.count()
    }

    /// Returns the log, for the code that stores it.
    pub const fn log_mut(&mut self) -> &mut L {
        &mut self.log
    }

    /// Returns the log.
    pub const fn log(&self) -> &L {
        &self.log
    }

    /// Carries out a member's request.
    fn act(&mut self, call: &Call<P>, action: Action, effects: &mut Vec<Effect<P>>) {
        // A member that leaves keeps its debt.
        if action == Action::Left {
            return self.quit(call, effects);
        }
        // A request that the allowances do not permit is not recorded, and may be sent again.
        if !self.may_send(call, &action, effects) {
            return;
        }
        if self.is_repeated(call) {
            // The first answer may have been lost with a connection.
            return tell(call, Kind::Repeated, effects);
        }
        match action {
            Action::Heard | Action::Left => {}
            Action::Read(seq) => self.acknowledge(call, seq),
            Action::Said(text) => self.say(call, text, false, effects),
            Action::Emote(text) => self.say(call, text, true, effects),
            Action::Whispered(words) => self.whisper(call, &words, effects),
            Action::WhisperedTo(key, text) => self.whisper_to_key(call, &key, text, effects),
            Action::Sealed(_) | Action::Unsigned => refuse(call, Refusal::Forged, effects),
            Action::Hello(wish) => self.hello_again(call, &wish, effects),
            Action::Named(wish) => self.change_name(call, &wish, effects),
            Action::Joined => self.join(call, effects),
            Action::LeftRoom => self.leave_room(call, effects),
            Action::Asked(question) => self.answer(call, question, effects),
            Action::Identify(name) => self.identify(call, &name, effects),
            Action::Topic(text) => self.set_topic(call, &text, effects),
            Action::Resumed(after) if call.from.reads_log() => self.rewind(call, after),
            Action::Resumed(after) => self.replay(call, after, effects),
            Action::Kick(name) => self.kick(call, &name, effects),
            Action::Ban(who) => self.ban(call, &who, effects),
            Action::Unban(who) => self.unban(call, &who, effects),
            Action::History(before) => self.query(call, None, before, effects),
            Action::Search(words, before) => self.query(call, Some(words), before, effects),
            Action::BadRoomName => refuse(call, Refusal::BadRoomName, effects),
            Action::Unknown(command) => self.refuse_command(call, &command, effects),
            Action::TooLong(len) => {
                self.stats.dropped_too_long += 1;
                refuse(call, Refusal::TooLong { len, most: MAX_LINE_LEN }, effects);
            }
        }
    }

    /// Returns `true` if this request has been handled: the network delivered it twice. A message
    /// with an id is known to the log.
    fn is_repeated(&mut self, call: &Call<P>) -> bool {
        let (Some(request), None) = (call.request, &call.signed) else { return false };
        let Some(member) = self.members.get_mut(call.from) else { return false };
        !member.requests.take(request)
    }
}

/// Answers only the caller.
fn tell<P: Copy>(call: &Call<P>, kind: Kind, effects: &mut Vec<Effect<P>>) {
    let mut event = Event::new(call.now.stamp, None, call.request, kind);
    event.room = call.room.clone();
    event.id = call.signed.as_ref().map(|(id, _)| *id);
    effects.push(Effect { to: Audience::One(call.from), event: Arc::new(event) });
}

fn refuse<P: Copy>(call: &Call<P>, refusal: Refusal, effects: &mut Vec<Effect<P>>) {
    tell(call, Kind::Refused(refusal), effects);
}
