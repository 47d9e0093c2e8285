//! A chat room: who is in it, what they are called, and who hears what.
//!
//! In: what members did, and the time. Out: lines, and who is to get them.
//! Never: formats, sanitises, asks a clock, touches a socket.

use std::{mem, sync::Arc, time::Duration};

use crate::{
    limits::{
        DEFAULT_BURST, DEFAULT_IDLE, DEFAULT_MAX_CLIENTS, DEFAULT_RATE, FAN_OUT_RATE,
        FULL_NOTICE_INTERVAL, LINE_OVERHEAD, MAX_GREETING_ROLL_LEN, MAX_LINE_LEN,
        MAX_MEMBERS_PER_IP, MAX_NAME_LEN, MAX_QUOTE_LEN, MAX_ROLL_LEN, MIN_IDLE, NEWCOMER_RATE,
    },
    line::{Line, quote},
    members::Members,
    name::Name,
    newcomers::Newcomers,
    rate::{Bucket, Rate},
    time::Time,
};

pub use crate::members::Peer;

/// How each greeting begins: by it a client knows that it talks to a hikyaku chat.
pub const GREETING: &str = "this is a hikyaku chat";

/// How each refusal of a name begins; the other thing that only a hikyaku chat says.
pub const NAME_REFUSED: &str = "name refused: ";

const HELP: &str = "type to talk to all; /name NAME sets your name; /msg NAME TEXT is for one \
    alone; /who lists who is here; /quit leaves";

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

/// What someone did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Gave a sign of life: a hello or a keep-alive.
    Heard,
    /// Said something to all.
    Said(String),
    /// Asked to be called so.
    Named(String),
    /// Left.
    Left,
    /// Asked the room something.
    Asked(Question),
    /// Whispered: the addressee's name, a space, and the text. One string, for only the room
    /// knows which of the words are the name.
    Whispered(String),
    /// Gave a command that does not exist.
    Unknown(String),
    /// Sent a line of so many bytes, more than the limit. It is not relayed in part.
    TooLong(usize),
}

/// What someone may ask a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is here?
    Who,
    /// What can I do?
    Help,
}

/// A line, and who is to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect<P> {
    /// Who gets it.
    pub to: Audience<P>,
    /// What they get.
    pub line: Line,
}

/// Who gets a line. Members are those that the room has once the call that had the effect
/// has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<P> {
    /// One peer, who need not be a member.
    One(P),
    /// All members but one.
    AllBut(P),
    /// All members.
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

/// A chat room.
#[derive(Debug)]
pub struct Room<P> {
    config: RoomConfig,
    members: Members<P>,
    host: Option<P>,
    newcomers: Newcomers<P>,
    full_notices: Bucket,
    /// Bytes that may be sent to members.
    fan_out: Bucket,
    stats: Stats,
}

impl<P: Peer> Room<P> {
    /// An empty room.
    #[must_use]
    pub fn new(config: RoomConfig) -> Self {
        let config = RoomConfig { idle: config.idle.max(MIN_IDLE), ..config };
        Self {
            config,
            members: Members::new(),
            host: None,
            newcomers: Newcomers::new(),
            full_notices: Bucket::default(),
            fan_out: Bucket::default(),
            stats: Stats::default(),
        }
    }

    /// Seats a member who is not greeted, never falls idle, may send without limit, and takes
    /// nobody's place: the person at the server's own terminal. Call it before anyone joins.
    pub fn seat_host(&mut self, host: P, name: Option<&Name>) {
        debug_assert!(self.members.len() == 0, "the host is the first");
        self.host = Some(host);
        self.members.insert(host, None);
        if let Some(name) = name {
            self.members.rename(host, name).expect("no one else is here to bear the name");
        }
    }

    /// Takes in what `from` did. The first thing that a stranger does makes them a member.
    /// What comes of it is appended to `effects`, in the order it is to be delivered.
    pub fn handle(&mut self, now: Time, from: P, action: Action, effects: &mut Vec<Effect<P>>) {
        let before = effects.len();
        self.take_in(now, from, action, effects);
        if self.host != Some(from) {
            self.charge(now, &effects[before..]);
        }
    }

    /// [`Self::handle`], but for what the effects cost.
    fn take_in(&mut self, now: Time, from: P, action: Action, effects: &mut Vec<Effect<P>>) {
        if self.members.contains(from) {
            self.members.touch(from, now + self.config.idle);
            return self.act(now, from, action, effects);
        }
        // A farewell of someone who is not here, as a repeated one is, must not make a member.
        if action == Action::Left || !self.admit(now, from, effects) {
            return;
        }
        match action {
            Action::Named(wish) => self.welcome(from, Some(&wish), effects),
            other => {
                self.welcome(from, None, effects);
                self.act(now, from, other, effects);
            }
        }
    }

    /// When [`Self::handle_timeout`] wants to be called next, unless something happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.members.next_idle_at()
    }

    /// Removes those who have been silent for too long.
    pub fn handle_timeout(&mut self, now: Time, effects: &mut Vec<Effect<P>>) {
        let before = effects.len();
        while let Some(peer) = self.members.next_idle(now) {
            let why = format!(" (silent for {:?})", self.config.idle);
            self.leave(peer, &why, effects);
        }
        self.charge(now, &effects[before..]);
    }

    /// Tells all that the room closes. It can still be used, but nobody will expect it.
    pub fn close(&self, effects: &mut Vec<Effect<P>>) {
        let line = Line::Notice("this chat is closing".to_owned());
        effects.push(Effect { to: Audience::All, line });
    }

    /// Who is here, the host included, in the order of their keys.
    pub fn peers(&self) -> impl Iterator<Item = P> + '_ {
        self.members.peers()
    }

    /// Is `peer` in the room?
    #[must_use]
    pub fn is_member(&self, peer: P) -> bool {
        self.members.contains(peer)
    }

    /// How `peer` is shown: by name, else by address.
    #[must_use]
    pub fn shown(&self, peer: P) -> Arc<str> {
        self.members.shown(peer)
    }

    /// What has happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { members: self.members.len(), ..self.stats }
    }

    /// Whether a stranger comes in; if so they are a member now.
    fn admit(&mut self, now: Time, from: P, effects: &mut Vec<Effect<P>>) -> bool {
        if self.members.neighbours(from) >= MAX_MEMBERS_PER_IP {
            self.stats.dropped_same_ip += 1;
            return false;
        }
        if self.clients() >= self.config.max_clients {
            self.stats.dropped_full += 1;
            let rate = Rate::every(FULL_NOTICE_INTERVAL);
            if self.full_notices.take(now, rate) {
                tell(from, "this chat is full; try again later".to_owned(), effects);
            }
            return false;
        }
        if !self.fan_out.has(now, fan_out_rate()) {
            self.stats.dropped_busy += 1;
            return false;
        }
        // A whole room may come at once: all come back when a server starts again. And a small
        // room must not keep out who comes just after another has left.
        let burst = u32::try_from(self.config.max_clients).unwrap_or(u32::MAX);
        let rate = Rate::new(NEWCOMER_RATE, burst.max(NEWCOMER_RATE));
        if !self.newcomers.take(now, from, rate) {
            self.stats.dropped_crowd += 1;
            return false;
        }
        self.members.insert(from, Some(now + self.config.idle));
        self.stats.joined += 1;
        true
    }

    /// Names a newcomer before anyone hears of them, greets them, and tells the others.
    fn welcome(&mut self, from: P, wish: Option<&str>, effects: &mut Vec<Effect<P>>) {
        let refusal = wish.and_then(|wish| self.rename(from, wish).err());
        self.greet(from, effects);
        if let Some(refusal) = refusal {
            tell(from, refusal, effects);
        }
        let line = Line::Notice(format!("{} joined", self.shown(from)));
        effects.push(Effect { to: Audience::AllBut(from), line });
    }

    fn greet(&self, from: P, effects: &mut Vec<Effect<P>>) {
        let here = match self.members.roll(Some(from), MAX_GREETING_ROLL_LEN) {
            roll if roll.is_empty() => "nobody else is here yet".to_owned(),
            roll => format!("here: {roll}"),
        };
        let shown = self.shown(from);
        let hint = "/help lists the commands";
        tell(from, format!("{GREETING}; you are {shown}; {here}; {hint}"), effects);
    }

    fn act(&mut self, now: Time, from: P, action: Action, effects: &mut Vec<Effect<P>>) {
        match action {
            // These two cost nobody anything, so they are not limited.
            Action::Heard => return,
            Action::Left => return self.leave(from, "", effects),
            _ => {}
        }
        if !self.may_send(now, from, effects) {
            return;
        }
        match action {
            Action::Heard | Action::Left => {}
            Action::Said(text) => self.say(from, text, effects),
            Action::Named(wish) => self.change_name(from, &wish, effects),
            Action::Asked(Question::Who) => {
                let count = self.members.len();
                let roll = self.members.roll(None, MAX_ROLL_LEN);
                tell(from, format!("{count} here: {roll}"), effects);
            }
            Action::Asked(Question::Help) => tell(from, HELP.to_owned(), effects),
            Action::Whispered(words) => self.whisper(from, &words, effects),
            Action::Unknown(command) => {
                let command = quote(&command, MAX_QUOTE_LEN);
                tell(from, format!("there is no {command}; /help lists the commands"), effects);
            }
            Action::TooLong(len) => {
                self.stats.dropped_too_long += 1;
                let text = format!("not sent: {len} bytes in a line, at most {MAX_LINE_LEN}");
                tell(from, text, effects);
            }
        }
    }

    /// Whether the member's and the room's allowances let this line pass; if not, the member is
    /// told once until theirs is whole again.
    fn may_send(&mut self, now: Time, from: P, effects: &mut Vec<Effect<P>>) -> bool {
        let rate = Rate::new(self.config.rate, self.config.burst);
        let Some(member) = self.members.get_mut(from).filter(|_| self.host != Some(from)) else {
            return true;
        };
        if member.bucket.is_full(now) {
            member.told_dropped = false;
        }
        let why = if !member.bucket.take(now, rate) {
            self.stats.dropped_too_fast += 1;
            let most = self.config.rate.max(1);
            format!("too fast: more than {most} lines a second are dropped, as this was")
        } else if !self.fan_out.has(now, fan_out_rate()) {
            self.stats.dropped_busy += 1;
            "too busy here: this was dropped; try again in a moment".to_owned()
        } else {
            return true;
        };
        if !mem::replace(&mut member.told_dropped, true) {
            tell(from, why, effects);
        }
        false
    }

    /// Takes what `effects` cost to deliver from what the room may send.
    fn charge(&mut self, now: Time, effects: &[Effect<P>]) {
        let cost = |effect: &Effect<P>| {
            let copies = match effect.to {
                Audience::One(_) => 1,
                Audience::AllBut(_) | Audience::All => self.clients(),
            };
            copies.saturating_mul(effect.line.weight() + LINE_OVERHEAD)
        };
        let bytes = effects.iter().map(cost).fold(0, usize::saturating_add);
        self.fan_out.charge(now, fan_out_rate(), u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Members, the host not counted.
    fn clients(&self) -> usize {
        self.members.len() - usize::from(self.host.is_some())
    }

    fn say(&mut self, from: P, text: String, effects: &mut Vec<Effect<P>>) {
        self.stats.relayed += 1;
        let line = Line::Said { name: self.shown(from), text };
        effects.push(Effect { to: Audience::AllBut(from), line });
    }

    fn change_name(&mut self, from: P, wish: &str, effects: &mut Vec<Effect<P>>) {
        match self.rename(from, wish) {
            Err(refusal) => tell(from, refusal, effects),
            // A hello that was sent again because our greeting was lost.
            Ok(old) if old == self.shown(from) => self.greet(from, effects),
            Ok(old) => {
                let line = Line::Notice(format!("{old} is now {}", self.shown(from)));
                effects.push(Effect { to: Audience::All, line });
            }
        }
    }

    /// Gives `from` the name they wish for; says how they were shown before, or why not.
    fn rename(&mut self, from: P, wish: &str) -> Result<Arc<str>, String> {
        let name = Name::parse(wish).map_err(|why| format!("{NAME_REFUSED}{why}"))?;
        self.members
            .rename(from, &name)
            .map_err(|_taken| format!("{NAME_REFUSED}{name} is taken; choose one with /name NAME"))
    }

    fn whisper(&mut self, from: P, words: &str, effects: &mut Vec<Effect<P>>) {
        let Some((to, text)) = self.members.find_addressee(words, MAX_NAME_LEN + 1) else {
            let name = words.split(' ').next().filter(|name| !name.is_empty());
            let name = quote(name.unwrap_or("that"), MAX_QUOTE_LEN);
            return tell(from, format!("nobody here is called {name}; try /who"), effects);
        };
        if text.is_empty() {
            return tell(from, "say what: /msg NAME TEXT".to_owned(), effects);
        }
        self.stats.relayed += 1;
        let text = text.to_owned();
        let line = Line::Whisper { name: self.shown(from), text: text.clone() };
        effects.push(Effect { to: Audience::One(to), line });
        let line = Line::Whispered { to: self.shown(to), text };
        effects.push(Effect { to: Audience::One(from), line });
    }

    fn leave(&mut self, from: P, why: &str, effects: &mut Vec<Effect<P>>) {
        let Some(shown) = self.members.remove(from) else {
            return;
        };
        let line = Line::Notice(format!("{shown} left{why}"));
        effects.push(Effect { to: Audience::All, line });
    }
}

fn fan_out_rate() -> Rate {
    Rate::new(FAN_OUT_RATE, FAN_OUT_RATE)
}

fn tell<P>(to: P, text: String, effects: &mut Vec<Effect<P>>) {
    effects.push(Effect { to: Audience::One(to), line: Line::Notice(text) });
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;

    impl Peer for u32 {
        fn network(&self) -> Option<IpAddr> {
            None
        }
    }

    /// Each effect as text: who gets it (`1`, `-1` all but 1, `*` all), and what.
    fn told(effects: Vec<Effect<u32>>) -> Vec<String> {
        let show = |effect: Effect<u32>| {
            let to = match effect.to {
                Audience::One(peer) => format!("{peer}"),
                Audience::AllBut(peer) => format!("-{peer}"),
                Audience::All => "*".to_owned(),
            };
            match effect.line {
                Line::Said { name, text } => format!("{to} <{name}> {text}"),
                Line::Whisper { name, text } => format!("{to} <{name}->> {text}"),
                Line::Whispered { to: name, text } => format!("{to} <->{name}> {text}"),
                Line::Notice(text) => format!("{to} {text}"),
            }
        };
        effects.into_iter().map(show).collect()
    }

    fn at(millis: u64) -> Time {
        Time::from_epoch(Duration::from_millis(millis))
    }

    fn act(room: &mut Room<u32>, millis: u64, from: u32, action: Action) -> Vec<String> {
        let mut effects = Vec::new();
        room.handle(at(millis), from, action, &mut effects);
        told(effects)
    }

    fn named(name: &str) -> Action {
        Action::Named(name.to_owned())
    }

    fn said(text: &str) -> Action {
        Action::Said(text.to_owned())
    }

    fn whispered(words: &str) -> Action {
        Action::Whispered(words.to_owned())
    }

    fn room_of(names: &[(u32, &str)], config: RoomConfig) -> Room<u32> {
        let mut room = Room::new(config);
        for (peer, name) in names {
            act(&mut room, 0, *peer, named(name));
        }
        room
    }

    fn alice_and_bob() -> Room<u32> {
        room_of(&[(1, "alice"), (2, "bob")], RoomConfig::default())
    }

    #[test]
    fn a_newcomer_with_a_name_is_told_once_and_by_name() {
        let mut room = room_of(&[(1, "alice")], RoomConfig::default());
        assert_eq!(
            act(&mut room, 0, 2, named("bob")),
            [
                "2 this is a hikyaku chat; you are bob; here: alice; /help lists the commands",
                "-2 bob joined",
            ]
        );
    }

    #[test]
    fn whoever_says_something_is_in_under_their_address() {
        let mut room = room_of(&[(1, "alice")], RoomConfig::default());
        let told = act(&mut room, 0, 77, said("hi"));
        assert_eq!(told[1..], ["-77 77 joined", "-77 <77> hi"]);
    }

    #[test]
    fn the_first_member_hears_that_nobody_else_is_here() {
        let mut room = Room::new(RoomConfig::default());
        let told = act(&mut room, 0, 1, Action::Heard);
        assert!(told[0].contains("you are 1; nobody else is here yet"), "{}", told[0]);
    }

    #[test]
    fn a_keep_alive_says_nothing_to_anyone() {
        assert!(act(&mut alice_and_bob(), 0, 1, Action::Heard).is_empty());
    }

    #[test]
    fn what_is_said_goes_to_all_others() {
        assert_eq!(act(&mut alice_and_bob(), 0, 1, said("hi")), ["-1 <alice> hi"]);
    }

    #[test]
    fn a_new_name_is_told_to_all() {
        assert_eq!(act(&mut alice_and_bob(), 0, 1, named("Al")), ["* alice is now Al"]);
    }

    #[test]
    fn a_repeated_hello_is_greeted_again() {
        let told = act(&mut alice_and_bob(), 0, 1, named("alice"));
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("1 this is a hikyaku chat; you are alice"));
    }

    #[test]
    fn a_taken_name_is_refused_to_one_alone() {
        let told = act(&mut alice_and_bob(), 0, 1, named("BOB"));
        assert_eq!(told, ["1 name refused: BOB is taken; choose one with /name NAME"]);
    }

    #[test]
    fn a_newcomer_whose_name_is_refused_is_in_under_their_address() {
        let told = act(&mut alice_and_bob(), 0, 9, named("alice"));
        assert!(told[0].contains("you are 9"));
        assert!(told[1].starts_with("9 name refused: alice is taken"));
        assert_eq!(told[2], "-9 9 joined");
    }

    #[test]
    fn a_forged_name_is_refused() {
        let told = act(&mut alice_and_bob(), 0, 1, named("bob: hi\n[12:00:00] carol"));
        assert_eq!(
            told,
            ["1 name refused: it holds a character that cannot be seen or is not UTF-8"]
        );
    }

    #[test]
    fn whispers_reach_one_and_are_confirmed() {
        let told = act(&mut alice_and_bob(), 0, 1, whispered("Bob psst, you"));
        assert_eq!(told, ["2 <alice->> psst, you", "1 <->bob> psst, you"]);
    }

    #[test]
    fn whispers_to_nobody_come_back() {
        let mut room = alice_and_bob();
        let told = act(&mut room, 0, 1, whispered("carol psst"));
        assert_eq!(told, ["1 nobody here is called carol; try /who"]);
        assert_eq!(act(&mut room, 0, 1, whispered("bob")), ["1 say what: /msg NAME TEXT"]);
    }

    #[test]
    fn who_lists_all_with_the_asker() {
        let told = act(&mut alice_and_bob(), 0, 1, Action::Asked(Question::Who));
        assert_eq!(told, ["1 2 here: alice, bob"]);
    }

    #[test]
    fn an_unknown_command_is_answered_to_one_alone() {
        let told = act(&mut alice_and_bob(), 0, 1, Action::Unknown("/foo".to_owned()));
        assert_eq!(told, ["1 there is no /foo; /help lists the commands"]);
    }

    #[test]
    fn a_line_too_long_is_refused_and_counted() {
        let mut room = alice_and_bob();
        let told = act(&mut room, 0, 1, Action::TooLong(5_000));
        assert_eq!(told, ["1 not sent: 5000 bytes in a line, at most 4096"]);
        assert_eq!(room.stats().dropped_too_long, 1);
    }

    #[test]
    fn a_farewell_is_told_to_those_who_stay() {
        let mut room = alice_and_bob();
        assert_eq!(act(&mut room, 0, 1, Action::Left), ["* alice left"]);
        assert_eq!(room.peers().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_farewell_of_a_stranger_makes_no_member() {
        let mut room = alice_and_bob();
        assert!(act(&mut room, 0, 9, Action::Left).is_empty());
        assert_eq!(room.stats().members, 2);
    }

    #[test]
    fn silence_ends_a_membership_at_its_deadline() {
        let mut room = alice_and_bob();
        act(&mut room, 1_000, 2, Action::Heard);
        assert_eq!(room.poll_timeout(), Some(at(300_000)));
        let mut effects = Vec::new();
        room.handle_timeout(at(299_999), &mut effects);
        assert!(effects.is_empty());
        room.handle_timeout(at(300_000), &mut effects);
        assert_eq!(told(effects), ["* alice left (silent for 300s)"]);
        assert_eq!(room.poll_timeout(), Some(at(301_000)));
    }

    #[test]
    fn the_host_is_never_idle_nor_limited_nor_counted() {
        let config = RoomConfig { max_clients: 1, burst: 1, ..RoomConfig::default() };
        let mut room = Room::new(config);
        room.seat_host(0, Some(&Name::parse("hostess").unwrap()));
        assert_eq!(room.poll_timeout(), None);
        assert_eq!(act(&mut room, 0, 0, said("a")), ["-0 <hostess> a"]);
        assert_eq!(act(&mut room, 0, 0, said("b")), ["-0 <hostess> b"]);
        assert_eq!(act(&mut room, 0, 1, named("alice"))[1], "-1 alice joined");
    }

    #[test]
    fn a_full_room_answers_once_a_second_whoever_asks() {
        let config = RoomConfig { max_clients: 1, ..RoomConfig::default() };
        let mut room = room_of(&[(1, "alice")], config);
        let full = ["2 this chat is full; try again later"];
        assert_eq!(act(&mut room, 0, 2, Action::Heard), full);
        assert!(act(&mut room, 0, 3, Action::Heard).is_empty());
        assert!(act(&mut room, 999, 2, Action::Heard).is_empty());
        assert_eq!(act(&mut room, 1_000, 2, Action::Heard), full);
        assert_eq!((room.stats().dropped_full, room.stats().members), (4, 1));
    }

    #[test]
    fn excess_is_dropped_counted_and_told_once() {
        let mut room = alice_and_bob();
        let mut told = Vec::new();
        for _ in 0..300 {
            told.append(&mut act(&mut room, 0, 1, said("x")));
        }
        assert_eq!(told.iter().filter(|line| *line == "-1 <alice> x").count(), 200);
        assert_eq!(told.iter().filter(|line| line.starts_with("1 too fast")).count(), 1);
        assert_eq!((room.stats().relayed, room.stats().dropped_too_fast), (200, 100));
    }

    #[test]
    fn the_next_burst_of_excess_is_told_again() {
        let config = RoomConfig { rate: 1, burst: 1, ..RoomConfig::default() };
        let mut room = room_of(&[(1, "alice")], config);
        for (millis, expected) in [(0, 1), (1, 1), (2, 0), (1_001, 1), (1_002, 1)] {
            let told = act(&mut room, millis, 1, said("x"));
            assert_eq!(told.len(), expected, "at {millis} ms: {told:?}");
        }
    }

    #[test]
    fn coming_and_going_does_not_outrun_the_crowd_limit() {
        let config = RoomConfig { max_clients: 3, ..RoomConfig::default() };
        let mut room = Room::new(config);
        for _ in 0..1_000 {
            act(&mut room, 0, 1, said("spam"));
            act(&mut room, 0, 1, Action::Left);
        }
        assert_eq!((room.stats().joined, room.stats().dropped_crowd), (64, 936));
        // What is left of everybody's allowance is there for others, and then it is used up.
        for peer in 2..=1_000 {
            act(&mut room, 0, peer, said("spam"));
            act(&mut room, 0, peer, Action::Left);
        }
        assert_eq!(room.stats().joined, 100);
    }

    #[test]
    fn one_socket_that_comes_and_goes_without_a_pause_keeps_nobody_out() {
        let mut room = Room::new(RoomConfig::default());
        for millis in 0..60_000 {
            for _ in 0..2 {
                act(&mut room, millis, 1, said("spam"));
                act(&mut room, millis, 1, Action::Left);
            }
            if millis % 500 == 499 {
                let guest = 2 + u32::try_from(millis).unwrap();
                act(&mut room, millis, guest, named("guest"));
                assert!(room.is_member(guest), "at {millis} ms");
                act(&mut room, millis, guest, Action::Left);
            }
        }
    }

    #[test]
    fn one_address_cannot_fill_a_room_and_gets_no_word_for_trying() {
        let mut room = Room::new(RoomConfig::default());
        let mut effects = Vec::new();
        for port in 1..=100 {
            effects.clear();
            let peer = SocketAddr::from(([10, 0, 0, 1], port));
            room.handle(at(0), peer, Action::Heard, &mut effects);
            assert_eq!(effects.is_empty(), port > 64, "{port}");
        }
        assert_eq!((room.stats().members, room.stats().dropped_same_ip), (64, 36));
        room.handle(at(0), SocketAddr::from(([10, 0, 0, 2], 1)), Action::Heard, &mut effects);
        assert_eq!(room.stats().members, 65);
    }

    /// A room of a thousand, a minute after they came.
    fn crowd() -> Room<u32> {
        let mut room = Room::new(RoomConfig::default());
        let mut effects = Vec::new();
        for peer in 0..1_000 {
            room.handle(at(0), peer, Action::Heard, &mut effects);
        }
        room
    }

    #[test]
    fn a_room_sends_no_more_than_a_network_bears() {
        let mut room = crowd();
        let mut effects = Vec::new();
        for second in 60..70 {
            for peer in 0..1_000 {
                let action = said(&"x".repeat(MAX_LINE_LEN));
                room.handle(at(second * 1_000), peer, action, &mut effects);
            }
        }
        let copies = |effect: &Effect<u32>| match effect.to {
            Audience::One(_) => 1,
            _ => 1_000,
        };
        let sent: usize =
            effects.iter().map(|e| (e.line.weight() + LINE_OVERHEAD) * copies(e)).sum();
        let most = (10 + 1) * FAN_OUT_RATE as usize;
        assert!(sent > 9 * FAN_OUT_RATE as usize && sent < most, "{sent} bytes");
    }

    #[test]
    fn what_a_busy_room_drops_is_counted_and_told_once() {
        let mut room = crowd();
        let mut told = Vec::new();
        for _ in 0..100 {
            told.append(&mut act(&mut room, 60_000, 1, said(&"x".repeat(MAX_LINE_LEN))));
        }
        let stats = room.stats();
        assert_eq!((stats.relayed + stats.dropped_busy, stats.dropped_too_fast), (100, 0));
        assert!((10..20).contains(&stats.relayed), "{stats:?}");
        assert_eq!(told.iter().filter(|line| line.starts_with("1 too busy here")).count(), 1);
        assert_eq!(act(&mut room, 70_000, 2, said("hi")), ["-2 <2> hi"]);
    }

    #[test]
    fn a_busy_room_takes_nobody_in_and_its_host_still_speaks() {
        let mut room = Room::new(RoomConfig::default());
        room.seat_host(0, None);
        for peer in 1..=900 {
            act(&mut room, 0, peer, Action::Heard);
        }
        for _ in 0..100 {
            act(&mut room, 60_000, 1, said(&"x".repeat(MAX_LINE_LEN)));
        }
        assert!(act(&mut room, 60_000, 1_000, Action::Heard).is_empty());
        assert_eq!(act(&mut room, 60_000, 0, said("hush")), ["-0 <0> hush"]);
    }

    #[test]
    fn what_the_host_says_is_not_counted() {
        let mut room = Room::new(RoomConfig::default());
        room.seat_host(0, None);
        for peer in 1..=900 {
            act(&mut room, 0, peer, Action::Heard);
        }
        for _ in 0..100 {
            act(&mut room, 60_000, 0, said(&"x".repeat(MAX_LINE_LEN)));
        }
        assert_eq!(act(&mut room, 60_000, 1, said("hi")), ["-1 <1> hi"]);
    }

    #[test]
    fn farewells_of_a_crowd_are_counted() {
        let mut room = Room::new(RoomConfig { max_clients: 2_000, ..RoomConfig::default() });
        for peer in 0..2_000 {
            act(&mut room, u64::from(peer) * 10, peer, Action::Heard);
        }
        for peer in 0..1_000 {
            act(&mut room, 200_000, peer, Action::Heard);
        }
        room.handle_timeout(at(400_000), &mut Vec::new());
        assert_eq!(room.stats().members, 1_000);
        assert!(act(&mut room, 400_000, 9_999, Action::Heard).is_empty());
    }

    #[test]
    fn nobody_leaves_in_the_moment_of_coming() {
        let config = RoomConfig { idle: Duration::ZERO, ..RoomConfig::default() };
        let mut room = room_of(&[(1, "alice")], config);
        let mut effects = Vec::new();
        room.handle_timeout(at(0), &mut effects);
        assert_eq!((effects.len(), room.poll_timeout()), (0, Some(at(1))));
    }

    #[test]
    fn a_room_as_large_as_the_default_can_come_at_once() {
        let mut room = Room::<u32>::new(RoomConfig::default());
        let mut effects = Vec::new();
        for peer in 0..1_000 {
            room.handle(at(0), peer, named(&format!("n{peer}")), &mut effects);
        }
        assert_eq!(room.stats().members, 1_000);
    }

    #[test]
    fn no_notice_outgrows_a_datagram_however_many_are_here() {
        let mut room = Room::new(RoomConfig::default());
        let mut effects = Vec::new();
        for peer in 0..1_000 {
            room.handle(at(0), peer, named(&format!("{peer:032}")), &mut effects);
        }
        room.handle(at(0), 1, Action::Asked(Question::Who), &mut effects);
        let longest = told(effects).iter().map(String::len).max();
        assert!(longest < Some(1_200), "{longest:?}");
    }

    #[test]
    fn closing_is_told_to_all() {
        let mut effects = Vec::new();
        alice_and_bob().close(&mut effects);
        assert_eq!(told(effects), ["* this chat is closing"]);
    }
}
