//! A chat room: its members, their names, and its events.
//!
//! Never: a clock, a socket; sentences.

use std::{sync::Arc, time::Duration};

use crate::{
    event::{Author, Event, Kind, MemberId, Refusal, RequestId, Seq},
    limits::{
        DEFAULT_BURST, DEFAULT_IDLE, DEFAULT_MAX_CLIENTS, DEFAULT_RATE, MAX_LINE_LEN, MAX_NAME_LEN,
        MAX_QUOTE_LEN, MAX_ROLL_LEN, MAX_TOPIC_LEN, MIN_IDLE,
    },
    log::{Committed, Log},
    name::Name,
    request::{Action, Question, Request},
    time::{Now, Time},
};

mod allowance;
mod members;
mod membership;
mod newcomers;
mod owners;
mod seen;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use self::members::Peer;
use self::{allowance::Allowance, members::Members, newcomers::Newcomers};

/// The settings of a room.
#[derive(Clone, Debug)]
pub struct RoomConfig {
    /// Silence after which a member is considered gone; less than a millisecond counts as one.
    pub idle: Duration,
    /// Maximum number of members, without the host.
    pub max_clients: usize,
    /// Lines per second that each member may send in the long run; 0 counts as 1.
    pub rate: u32,
    /// Lines that each member may send at once; 0 counts as 1.
    pub burst: u32,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            idle: DEFAULT_IDLE,
            max_clients: DEFAULT_MAX_CLIENTS,
            rate: DEFAULT_RATE,
            burst: DEFAULT_BURST,
        }
    }
}

/// An event and its receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect<P> {
    /// The receivers.
    pub to: Audience<P>,
    /// The event.
    pub event: Arc<Event>,
}

/// The receivers of an event. Members are those after the call that caused the effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<P> {
    /// One peer, member or not.
    One(P),
    /// All members, the author included: the event is in the log.
    All,
}

/// The figures of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Members now, including the host.
    pub members: usize,
    /// Newcomers admitted.
    pub joined: u64,
    /// Lines said or whispered and passed on; each counts once.
    pub relayed: u64,
    /// Dropped: its sender was too fast.
    pub dropped_too_fast: u64,
    /// Dropped: longer than a line may be.
    pub dropped_too_long: u64,
    /// Dropped: from a stranger, and the room was full.
    pub dropped_full: u64,
    /// Dropped: from a stranger, and too many came at once.
    pub dropped_crowd: u64,
    /// Dropped: from a stranger, and too many members have that IP address.
    pub dropped_same_ip: u64,
    /// Dropped: the room's own allowance was used up.
    pub dropped_busy: u64,
}

/// A chat room, around a log that numbers its events.
#[derive(Debug)]
pub struct Room<P, L> {
    config: RoomConfig,
    log: L,
    members: Members<P>,
    host: Option<P>,
    newcomers: Newcomers<P>,
    allowance: Allowance,
    topic: Arc<str>,
    stats: Stats,
}

/// One call: the peer, the time, and the request's number.
#[derive(Clone, Copy, Debug)]
struct Call<P> {
    now: Now,
    from: P,
    request: Option<RequestId>,
}

impl<P: Peer, L: Log> Room<P, L> {
    /// Creates an empty room.
    #[must_use]
    pub fn new(config: RoomConfig, log: L) -> Self {
        let config = RoomConfig { idle: config.idle.max(MIN_IDLE), ..config };
        Self {
            config,
            log,
            members: Members::new(),
            host: None,
            newcomers: Newcomers::new(),
            allowance: Allowance::default(),
            topic: "".into(),
            stats: Stats::default(),
        }
    }

    /// Adds the person at the server's own terminal, who is not greeted, never idle, not limited,
    /// and not counted. Call it before anyone joins.
    pub fn seat_host(&mut self, host: P, name: Option<&Name>) {
        debug_assert!(self.members.len() == 0, "the host is the first");
        self.host = Some(host);
        self.members.insert(host, None, self.log.head());
        if let Some(name) = name {
            self.members.rename(host, name).expect("no one else is here to bear the name");
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
        let Request { request, action, .. } = request.into();
        self.take_in(Call { now, from, request }, action, effects);
        if self.host != Some(from) {
            self.charge(now.time, &effects[before..]);
        }
    }

    /// Returns when to call [`Self::handle_timeout`], unless something happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.members.next_idle_at()
    }

    /// Removes members that have been silent for too long.
    pub fn handle_timeout(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        let before = effects.len();
        self.remove_idle(now, effects);
        self.charge(now.time, &effects[before..]);
    }

    /// Passes on what the log has numbered since the last call. Needed only for a log that is slow
    /// or has other writers: what it numbers immediately is passed on by the same call.
    pub fn handle_log(&mut self, effects: &mut Vec<Effect<P>>) {
        while let Some(committed) = self.log.committed() {
            if let Committed::Event(event) = committed {
                effects.push(Effect { to: Audience::All, event });
            }
        }
    }

    /// Announces to all that the room closes.
    pub fn close(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        self.log.submit(Event::new(now.stamp, None, None, Kind::Closing));
        self.handle_log(effects);
    }

    /// Returns all members, including the host, in the order of their keys.
    pub fn peers(&self) -> impl Iterator<Item = P> + '_ {
        self.members.peers()
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

    /// Returns the newest number of the log when `peer` came, if they are a member: what is after
    /// it is theirs to hear.
    #[must_use]
    pub fn since(&self, peer: P) -> Option<Seq> {
        self.members.since(peer)
    }

    /// Returns the newest number of the log.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.log.head()
    }

    /// Returns the room's figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { members: self.members.len(), ..self.stats }
    }

    /// Carries out a member's request.
    fn act(&mut self, call: Call<P>, action: Action, effects: &mut Vec<Effect<P>>) {
        match action {
            // These two cost nobody anything, so they are not limited.
            Action::Heard => return,
            Action::Left => return self.quit(call, effects),
            _ => {}
        }
        // What the allowances do not let pass is not taken, and may be sent again.
        if !self.may_send(call, effects) {
            return;
        }
        if self.is_repeated(call) {
            // The first answer may have been lost with a connection.
            return tell(call, Kind::Repeated, effects);
        }
        match action {
            Action::Heard | Action::Left => {}
            Action::Said(text) => {
                self.stats.relayed += 1;
                self.publish(call, Kind::Said { text, emote: false }, effects);
            }
            Action::Emote(text) => {
                self.stats.relayed += 1;
                self.publish(call, Kind::Said { text, emote: true }, effects);
            }
            Action::Sealed(_)
            | Action::WhisperedTo(..)
            | Action::Joined
            | Action::LeftRoom
            | Action::History(_)
            | Action::Search(..)
            | Action::Read(_)
            | Action::Kick(_)
            | Action::Ban(_)
            | Action::Unban(_) => {
                let command = "such command here".to_owned();
                refuse(call, Refusal::NoCommand { command }, effects);
            }
            Action::Hello(wish) => self.hello_again(call, &wish, effects),
            Action::Named(wish) => self.change_name(call, &wish, effects),
            Action::Asked(question) => self.answer(call, question, effects),
            Action::Whispered(words) => self.whisper(call, &words, effects),
            Action::Identify(name) => self.identify(call, &name, effects),
            Action::Topic(text) => self.set_topic(call, &text, effects),
            Action::Resumed(after) => self.replay(call, after, effects),
            Action::Unknown(command) => {
                let command = quote(&command, MAX_QUOTE_LEN);
                refuse(call, Refusal::NoCommand { command }, effects);
            }
            Action::TooLong(len) => {
                self.stats.dropped_too_long += 1;
                refuse(call, Refusal::TooLong { len, most: MAX_LINE_LEN }, effects);
            }
        }
    }

    /// Returns `true` if this request has been handled: the network delivered it twice.
    fn is_repeated(&mut self, call: Call<P>) -> bool {
        let (Some(request), Some(member)) = (call.request, self.members.get_mut(call.from)) else {
            return false;
        };
        !member.requests.take(request)
    }

    fn answer(&mut self, call: Call<P>, question: Question, effects: &mut Vec<Effect<P>>) {
        let kind = match question {
            Question::Who => Kind::Members { roll: self.members.roll(None, MAX_ROLL_LEN) },
            Question::Help => Kind::Help,
            Question::Rooms | Question::Bans => Kind::Help,
            Question::Topic => Kind::Topic { text: Arc::clone(&self.topic) },
        };
        tell(call, kind, effects);
    }

    fn whisper(&mut self, call: Call<P>, words: &str, effects: &mut Vec<Effect<P>>) {
        let Some((to, text)) = self.members.find_addressee(words, MAX_NAME_LEN + 1) else {
            let name = words.split(' ').next().filter(|name| !name.is_empty());
            let name = quote(name.unwrap_or("that"), MAX_QUOTE_LEN);
            return refuse(call, Refusal::Nobody { name }, effects);
        };
        if text.is_empty() {
            return refuse(call, Refusal::NothingSaid, effects);
        }
        self.stats.relayed += 1;
        let kind =
            Kind::Whispered { to: self.members.shown(to), to_key: to.key(), text: text.to_owned() };
        let author = self.members.author(call.from);
        let event = Arc::new(Event::new(call.now.stamp, author, call.request, kind));
        effects.push(Effect { to: Audience::One(to), event: Arc::clone(&event) });
        if to != call.from {
            effects.push(Effect { to: Audience::One(call.from), event });
        }
    }

    fn identify(&self, call: Call<P>, name: &str, effects: &mut Vec<Effect<P>>) {
        let found = self.members.find_addressee(name, MAX_NAME_LEN + 1);
        match found.filter(|(_, rest)| rest.is_empty()).and_then(|(to, _)| self.members.author(to))
        {
            Some(who) => tell(call, Kind::Identified { who }, effects),
            None => {
                let name = quote(name, MAX_QUOTE_LEN);
                refuse(call, Refusal::Nobody { name }, effects);
            }
        }
    }

    fn set_topic(&mut self, call: Call<P>, text: &str, effects: &mut Vec<Effect<P>>) {
        self.topic = quote(text.trim(), MAX_TOPIC_LEN).into();
        self.publish(call, Kind::Topic { text: Arc::clone(&self.topic) }, effects);
    }

    /// Appends an action to the log, and passes on what the log has numbered.
    fn publish(&mut self, call: Call<P>, kind: Kind, effects: &mut Vec<Effect<P>>) {
        let author = self.members.author(call.from);
        self.log.submit(Event::new(call.now.stamp, author, call.request, kind));
        self.handle_log(effects);
    }
}

/// Answers only the caller.
fn tell<P>(call: Call<P>, kind: Kind, effects: &mut Vec<Effect<P>>) {
    let event = Arc::new(Event::new(call.now.stamp, None, call.request, kind));
    effects.push(Effect { to: Audience::One(call.from), event });
}

fn refuse<P>(call: Call<P>, refusal: Refusal, effects: &mut Vec<Effect<P>>) {
    tell(call, Kind::Refused(refusal), effects);
}

/// Returns `text`, cut to about `limit` bytes with a visible mark, as a quotation.
fn quote(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut quoted = text[..text.floor_char_boundary(limit)].to_owned();
    quoted.push('…');
    quoted
}
