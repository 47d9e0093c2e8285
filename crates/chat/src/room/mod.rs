//! A chat room: who is in it, what they are called, and what happens there.
//!
//! In: what members ask for, and the time. Out: events, and who is to get them. Never: words,
//! forms, a clock, a socket.

use std::{sync::Arc, time::Duration};

use crate::{
    event::{Author, Event, Kind, MemberId, Refusal, RequestId},
    limits::{
        DEFAULT_BURST, DEFAULT_IDLE, DEFAULT_MAX_CLIENTS, DEFAULT_RATE, MAX_LINE_LEN, MAX_NAME_LEN,
        MAX_QUOTE_LEN, MAX_ROLL_LEN, MAX_TOPIC_LEN, MIN_IDLE,
    },
    log::Log,
    name::Name,
    request::{Action, Question, Request},
    time::{Now, Time},
};

mod allowance;
mod members;
mod membership;
mod newcomers;
mod seen;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use self::members::Peer;
use self::{allowance::Allowance, members::Members, newcomers::Newcomers};

/// What a room allows.
#[derive(Clone, Debug)]
pub struct RoomConfig {
    /// Silence after which a member is taken to have left; less than a millisecond counts as one.
    pub idle: Duration,
    /// Members at most, the host not counted.
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

/// An event, and who is to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect<P> {
    /// Who gets it.
    pub to: Audience<P>,
    /// What they get.
    pub event: Arc<Event>,
}

/// Who gets an event. Members are those that the room has once the call that had the effect has
/// returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<P> {
    /// One peer, who need not be a member.
    One(P),
    /// All members, the author included: the event stands in the log.
    All,
}

/// What has happened in a room so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Members now, the host included.
    pub members: usize,
    /// Newcomers taken in.
    pub joined: u64,
    /// Lines said or whispered and passed on; each counts once, however many got it.
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
    /// Dropped: the room had as much to send as it may.
    pub dropped_busy: u64,
}

/// A chat room, around a log that numbers what happens in it.
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

/// One call: who did something, when, and the number by which they recognise the answer.
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

    /// Seats a member who is not greeted, never falls idle, may send without limit, and takes
    /// nobody's place: the person at the server's own terminal. Call it before anyone joins.
    pub fn seat_host(&mut self, host: P, name: Option<&Name>) {
        debug_assert!(self.members.len() == 0, "the host is the first");
        self.host = Some(host);
        self.members.insert(host, None, self.log.head());
        if let Some(name) = name {
            self.members.rename(host, name).expect("no one else is here to bear the name");
        }
    }

    /// Takes in what `from` asks for. The first thing that a stranger does makes them a member.
    /// What comes of it is appended to `effects`, in the order it is to be delivered.
    pub fn handle(
        &mut self,
        now: Now,
        from: P,
        request: impl Into<Request>,
        effects: &mut Vec<Effect<P>>,
    ) {
        let before = effects.len();
        let Request { request, action } = request.into();
        self.take_in(Call { now, from, request }, action, effects);
        if self.host != Some(from) {
            self.charge(now.time, &effects[before..]);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called next, unless something happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.members.next_idle_at()
    }

    /// Removes those who have been silent for too long.
    pub fn handle_timeout(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        let before = effects.len();
        self.remove_idle(now, effects);
        self.charge(now.time, &effects[before..]);
    }

    /// Passes on what the log has numbered since the last call. Only a log that takes its time, or
    /// has other writers, needs this: what it has at once is passed on by the call that caused it.
    pub fn handle_log(&mut self, effects: &mut Vec<Effect<P>>) {
        while let Some(event) = self.log.committed() {
            effects.push(Effect { to: Audience::All, event });
        }
    }

    /// Tells all that the room closes. It can still be used, but nobody will expect it.
    pub fn close(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        self.log.submit(Event::new(now.stamp, None, None, Kind::Closing));
        self.handle_log(effects);
    }

    /// Returns who is here, the host included, in the order of their keys.
    pub fn peers(&self) -> impl Iterator<Item = P> + '_ {
        self.members.peers()
    }

    /// Returns `true` if `peer` is in the room.
    #[must_use]
    pub fn is_member(&self, peer: P) -> bool {
        self.members.contains(peer)
    }

    /// Returns `peer` as events name them, if they are a member.
    #[must_use]
    pub fn author(&self, peer: P) -> Option<Author> {
        self.members.author(peer)
    }

    /// Returns the number of `peer`'s stay, if they are a member.
    #[must_use]
    pub fn member_id(&self, peer: P) -> Option<MemberId> {
        self.members.id(peer)
    }

    /// Returns what has happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { members: self.members.len(), ..self.stats }
    }

    /// Does what a member asks for.
    fn act(&mut self, call: Call<P>, action: Action, effects: &mut Vec<Effect<P>>) {
        match action {
            // These two cost nobody anything, so they are not limited.
            Action::Heard => return,
            Action::Left => return self.quit(call, effects),
            _ => {}
        }
        if self.is_repeated(call) || !self.may_send(call, effects) {
            return;
        }
        match action {
            Action::Heard | Action::Left => {}
            Action::Said(text) => {
                self.stats.relayed += 1;
                self.publish(call, Kind::Said { text }, effects);
            }
            Action::Hello(wish) => self.hello_again(call, &wish, effects),
            Action::Named(wish) => self.change_name(call, &wish, effects),
            Action::Asked(question) => self.answer(call, question, effects),
            Action::Whispered(words) => self.whisper(call, &words, effects),
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

    /// Returns `true` for a request that has been taken; the network has delivered it twice.
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
        let kind = Kind::Whispered { to: self.members.shown(to), text: text.to_owned() };
        let author = self.members.author(call.from);
        let event = Arc::new(Event::new(call.now.stamp, author, call.request, kind));
        effects.push(Effect { to: Audience::One(to), event: Arc::clone(&event) });
        if to != call.from {
            effects.push(Effect { to: Audience::One(call.from), event });
        }
    }

    fn set_topic(&mut self, call: Call<P>, text: &str, effects: &mut Vec<Effect<P>>) {
        self.topic = quote(text.trim(), MAX_TOPIC_LEN).into();
        self.publish(call, Kind::Topic { text: Arc::clone(&self.topic) }, effects);
    }

    /// Hands what a member did to the log, and passes on what the log has numbered.
    fn publish(&mut self, call: Call<P>, kind: Kind, effects: &mut Vec<Effect<P>>) {
        let author = self.members.author(call.from);
        self.log.submit(Event::new(call.now.stamp, author, call.request, kind));
        self.handle_log(effects);
    }
}

/// Answers the caller alone.
fn tell<P>(call: Call<P>, kind: Kind, effects: &mut Vec<Effect<P>>) {
    let event = Arc::new(Event::new(call.now.stamp, None, call.request, kind));
    effects.push(Effect { to: Audience::One(call.from), event });
}

fn refuse<P>(call: Call<P>, refusal: Refusal, effects: &mut Vec<Effect<P>>) {
    tell(call, Kind::Refused(refusal), effects);
}

/// Returns `text`, cut to about `limit` bytes with a visible mark, to be quoted.
fn quote(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut quoted = text[..text.floor_char_boundary(limit)].to_owned();
    quoted.push('…');
    quoted
}
