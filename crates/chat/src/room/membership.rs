//! Joining and leaving: the chat, and its rooms.

use std::net::IpAddr;

use super::{
    Call, Chat, Effect, Hello, Peer, members::site, newcomers::Limits, refuse, rooms::TooManyRooms,
    tell,
};
use crate::{
    event::{Departure, Event, Kind, Refusal, Seq},
    limits::{
        FULL_NOTICE_INTERVAL, MAX_ANNOUNCED, MAX_GREETING_ROLL_LEN, MAX_MEMBERS_PER_IP,
        MAX_ROOMS_PER_MEMBER, NEWCOMER_RATE, OPENING_COST, RETURN_COST, SITE_SHARE, SOURCE_RATE,
    },
    log::Log,
    rate::{Bucket, Rate},
    request::Action,
    room::Audience,
    room_name::RoomName,
    time::Now,
};

impl<P: Peer, L: Log> Chat<P, L> {
    /// [`Self::handle`], without the cost of the effects.
    pub(super) fn take_in(&mut self, call: &Call<P>, action: Action, effects: &mut Vec<Effect<P>>) {
        if self.members.contains(call.from) {
            self.members.touch(call.from, call.now.time + self.config.idle);
            return self.act(call, action, effects);
        }
        // A farewell of a peer that is not a member, such as a repeated one, must not make it one.
        if action == Action::Left || !self.admit(call, call.from.network(), effects) {
            return;
        }
        let general = [RoomName::general()];
        match action {
            Action::Named(wish) | Action::Hello(wish) => {
                self.welcome(call, Some(&wish), &general, effects);
            }
            other => {
                let hello = Call { request: None, room: RoomName::general(), ..call.clone() };
                self.welcome(&hello, None, &general, effects);
                self.act(call, other, effects);
            }
        }
    }

    /// [`Self::handle_hello`], without the cost of the effects.
    pub(super) fn hello(
        &mut self,
        call: &Call<P>,
        hello: &Hello<'_>,
        effects: &mut Vec<Effect<P>>,
    ) -> bool {
        let Hello { name: wish, rooms, network } = *hello;
        if !self.members.contains(call.from) {
            let is_admitted = self.admit(call, network, effects);
            if is_admitted {
                self.welcome(call, Some(wish), rooms, effects);
            }
            return is_admitted;
        }
        if !self.may_spend(call, RETURN_COST, effects) {
            return false;
        }
        self.members.touch(call.from, call.now.time + self.config.idle);
        self.members.move_to(call.from, network.and_then(site));
        let entered = self.enter_all(call, rooms);
        self.hello_again(call, wish, effects);
        for room in entered {
            self.announce_coming(&Call { room, ..call.clone() }, effects);
        }
        true
    }

    /// Decides whether to admit a stranger from `network`. If so, the stranger is a member on
    /// return.
    fn admit(
        &mut self,
        call: &Call<P>,
        network: Option<IpAddr>,
        effects: &mut Vec<Effect<P>>,
    ) -> bool {
        let (Now { time: now, .. }, from) = (call.now, call.from);
        let key = from.key();
        if self.bans.forbid(key.as_deref(), network) {
            self.stats.dropped_banned += 1;
            return self.turn_away(call, Refusal::Banned, effects);
        }
        if self.bans.keep_out(now, key.as_deref(), network) {
            self.stats.dropped_banned += 1;
            return self.turn_away(call, Refusal::Kicked, effects);
        }
        let (site, most_there) = (network.and_then(site), self.most_at_a_site(from));
        if self.members.count_at(site) >= most_there {
            self.stats.dropped_same_ip += 1;
            return false;
        }
        if self.clients() >= self.config.max_clients {
            self.stats.dropped_full += 1;
            return self.turn_away(call, Refusal::Full, effects);
        }
        if !self.allowance.may_fan_out(now) {
            self.stats.dropped_busy += 1;
            return false;
        }
        // A whole room may arrive at once, when a server restarts. A small room must still admit a
        // newcomer just after a member has left.
        let count = |members: usize| u32::try_from(members).unwrap_or(u32::MAX);
        let burst = count(self.config.max_clients).max(NEWCOMER_RATE);
        let limits = Limits {
            common: Rate::new(NEWCOMER_RATE, burst),
            own: Rate::new(SOURCE_RATE, count(most_there)),
        };
        let Some(used) = self.used_before(call) else { return false };
        if !self.newcomers.take(now, (from, site), limits) {
            self.stats.dropped_crowd += 1;
            return false;
        }
        self.members.insert(from, site, Some(now + self.config.idle), self.log.head());
        if let Some(member) = self.members.get_mut(from) {
            member.bucket = used;
        }
        self.stats.joined += 1;
        true
    }

    /// Returns how many members of one site there may be.
    fn most_at_a_site(&self, newcomer: P) -> usize {
        match newcomer.reads_log() {
            true => (self.config.max_clients / SITE_SHARE).max(MAX_MEMBERS_PER_IP),
            false => MAX_MEMBERS_PER_IP,
        }
    }

    /// Returns what a newcomer used of its allowance in an earlier stay, or `None` if it owes more
    /// than that.
    fn used_before(&mut self, call: &Call<P>) -> Option<Bucket> {
        let Some(key) = call.from.key() else { return Some(Bucket::default()) };
        let used = self.newcomers.owed(&key);
        let may_come = used.has(call.now.time, Rate::new(self.config.rate, self.config.burst));
        self.stats.dropped_too_fast += u64::from(!may_come);
        may_come.then_some(used)
    }

    /// Reports why a stranger is not admitted, unless that was just reported to others.
    fn turn_away(&mut self, call: &Call<P>, why: Refusal, effects: &mut Vec<Effect<P>>) -> bool {
        let rate = Rate::every(FULL_NOTICE_INTERVAL);
        if self.allowance.full_notices.take(call.now.time, rate) {
            refuse(call, why, effects);
        }
        false
    }

    /// Names a newcomer before it is announced, greets it, and announces it.
    fn welcome(
        &mut self,
        call: &Call<P>,
        wish: Option<&str>,
        rooms: &[RoomName],
        effects: &mut Vec<Effect<P>>,
    ) {
        let refusal = wish.and_then(|wish| self.name_newcomer(call.from, wish).err());
        let mut entered = self.enter_all(call, rooms);
        if entered.is_empty() {
            entered = self.enter_all(call, &[RoomName::general()]);
        }
        self.greet(call, effects);
        if let Some(refusal) = refusal {
            refuse(&Call { request: None, ..call.clone() }, refusal, effects);
        }
        for room in entered {
            self.announce_coming(&Call { room, ..call.clone() }, effects);
        }
    }

    /// Handles another hello of a member: the greeting was lost, or the room has forgotten the
    /// name.
    pub(super) fn hello_again(&mut self, call: &Call<P>, wish: &str, effects: &mut Vec<Effect<P>>) {
        let Some(before) = self.members.author(call.from) else { return };
        if *before.name != *call.from.to_string() {
            return self.greet(call, effects);
        }
        let refusal = self.name_newcomer(call.from, wish).err();
        self.greet(call, effects);
        let unnumbered = Call { request: None, ..call.clone() };
        if let Some(refusal) = refusal {
            refuse(&unnumbered, refusal, effects);
        }
        self.publish_rename(&unnumbered, &before, effects);
    }

    pub(super) fn greet(&self, call: &Call<P>, effects: &mut Vec<Effect<P>>) {
        let Some(you) = self.members.author(call.from) else { return };
        let Some(member) = self.members.get(call.from) else { return };
        let room = self.rooms.get(&member.current);
        let others = room
            .map(|room| self.members.roll(&room.members, Some(call.from), MAX_GREETING_ROLL_LEN));
        let greeted = Kind::Greeted {
            you,
            others: others.unwrap_or_default(),
            head: self.head_for(call.from),
            log: self.log.id(),
            durable: self.log.is_durable(),
            // A member that receives events one by one knows of no rooms before it joins one.
            rooms: if call.from.reads_log() { self.rooms_list(call.from) } else { Vec::new() },
        };
        tell(&Call { room: RoomName::general(), ..call.clone() }, greeted, effects);
    }

    /// Returns the number after which events are for a reader: of the log for one with a cursor in
    /// it, of #general for one that checks which events of a room it has missed.
    fn head_for(&self, peer: P) -> Seq {
        if peer.reads_log() { self.log.head() } else { self.log.head_of(&RoomName::general()) }
    }

    /// Enters rooms, as far as the limits allow; returns those that are new to the member. It may
    /// go into debt for those that it opens: a client that could not enter one of its rooms would
    /// forget it.
    fn enter_all(&mut self, call: &Call<P>, rooms: &[RoomName]) -> Vec<RoomName> {
        let rate = Rate::new(self.config.rate, self.config.burst);
        let mut entered = Vec::new();
        for room in rooms {
            let opens = self.rooms.len(room) == 0 && !room.is_general();
            if self.enter(call.from, room) != Ok(true) {
                continue;
            }
            entered.push(room.clone());
            if let Some(member) = self.members.get_mut(call.from).filter(|_| opens) {
                member.bucket.charge(call.now.time, rate, OPENING_COST);
            }
        }
        entered
    }

    /// Makes a member one of a room's. Returns `false` if it was one.
    pub(super) fn enter(&mut self, peer: P, room: &RoomName) -> Result<bool, Refusal> {
        let head = self.log.head();
        let Some(member) = self.members.get_mut(peer) else { return Ok(false) };
        if member.rooms.contains_key(room) {
            member.current = room.clone();
            return Ok(false);
        }
        if member.rooms.len() >= MAX_ROOMS_PER_MEMBER {
            return Err(Refusal::TooManyRooms);
        }
        let evicted = self.rooms.enter(room, peer, member.site);
        if let Some(evicted) = evicted.map_err(|TooManyRooms| Refusal::TooManyRooms)? {
            self.log.forget_room(&evicted);
        }
        member.rooms.insert(room.clone(), head);
        member.current = room.clone();
        Ok(true)
    }

    pub(super) fn join(&mut self, call: &Call<P>, effects: &mut Vec<Effect<P>>) {
        match self.enter(call.from, &call.room) {
            Err(refusal) => refuse(call, refusal, effects),
            Ok(true) => self.announce_coming(call, effects),
            Ok(false) => self.confirm(call, Kind::Joined, effects),
        }
    }

    fn announce_coming(&mut self, call: &Call<P>, effects: &mut Vec<Effect<P>>) {
        if self.announces(call) {
            return self.publish(call, Kind::Joined, effects);
        }
        let name = self.members.shown(call.from);
        self.rooms.note_coming(call.now.time, &call.room, name);
        self.confirm(call, Kind::Joined, effects);
    }

    /// Notifies only the member of what it did.
    fn confirm(&self, call: &Call<P>, kind: Kind, effects: &mut Vec<Effect<P>>) {
        let author = self.members.author(call.from);
        let mut event = Event::new(call.now.stamp, author, call.request, kind);
        event.room = call.room.clone();
        effects.push(Effect { to: Audience::One(call.from), event: event.into() });
    }

    /// Leaves a room; leaving the last one leaves the chat.
    pub(super) fn leave_room(&mut self, call: &Call<P>, effects: &mut Vec<Effect<P>>) {
        let Some(member) = self.members.get_mut(call.from) else { return };
        if !member.rooms.contains_key(&call.room) {
            return refuse(call, Refusal::NotInRoom, effects);
        }
        if member.rooms.len() == 1 {
            return self.quit(call, effects);
        }
        member.rooms.remove(&call.room);
        if member.current == call.room {
            member.current = member.rooms.keys().next().cloned().unwrap_or_default();
        }
        self.announce_going(call, Departure::Quit, effects);
        self.vacate(&call.room, call.from);
    }

    /// Removes a member from a room. Nothing is kept of an empty room.
    fn vacate(&mut self, room: &RoomName, peer: P) {
        if self.rooms.leave(room, peer) {
            self.log.forget_room(room);
        }
    }

    fn announce_going(&mut self, call: &Call<P>, why: Departure, effects: &mut Vec<Effect<P>>) {
        let is_announced = self.announces(call);
        if is_announced {
            return self.publish(call, Kind::Left(why), effects);
        }
        let name = self.members.shown(call.from);
        self.rooms.note_going(call.now.time, &call.room, name);
        self.confirm(call, Kind::Left(why), effects);
    }

    pub(super) fn quit(&mut self, call: &Call<P>, effects: &mut Vec<Effect<P>>) {
        self.leave(call, Departure::Quit, effects);
    }

    pub(super) fn remove_idle(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        let millis = u64::try_from(self.config.idle.as_millis()).unwrap_or(u64::MAX);
        while let Some(from) = self.members.next_idle(now.time) {
            self.leave(&Call::new(now, from), Departure::Silent { millis }, effects);
            self.silent.push(from);
        }
    }

    /// Removes a member from the chat and from its rooms.
    pub(super) fn leave(&mut self, call: &Call<P>, why: Departure, effects: &mut Vec<Effect<P>>) {
        let rooms = self.rooms_list(call.from);
        let announced: Vec<bool> =
            rooms.iter().map(|room| self.rooms.len(room) <= MAX_ANNOUNCED).collect();
        for room in &rooms {
            self.vacate(room, call.from);
        }
        self.ticks.forget(call.from);
        if let Some(member) = self.members.get(call.from)
            && let Some(key) = &member.key
        {
            self.newcomers.keep(call.now.time, key, member.bucket);
        }
        let Some(author) = self.members.remove(call.from) else { return };
        for (room, is_announced) in rooms.into_iter().zip(announced) {
            if is_announced {
                let author = Some(author.clone());
                let mut event = Event::new(call.now.stamp, author, call.request, Kind::Left(why));
                event.room = room;
                self.submit(event, effects);
            } else {
                self.rooms.note_going(call.now.time, &room, author.name.clone());
            }
        }
    }

    /// Returns the number of members, without the host.
    pub(super) fn clients(&self) -> usize {
        self.members.len() - usize::from(self.host.is_some())
    }
}
