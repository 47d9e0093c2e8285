//! Joining, naming and leaving.

use super::{Call, Effect, Peer, Room, members::Taken, refuse, tell};
use crate::{
    event::{Author, Departure, Event, Kind, Refusal, Seq},
    limits::{
        FULL_NOTICE_INTERVAL, MAX_GREETING_ROLL_LEN, MAX_MEMBERS_PER_IP, MAX_NAME_SUFFIX,
        MAX_REPLAY, NEWCOMER_RATE,
    },
    log::Log,
    name::Name,
    rate::Rate,
    request::Action,
    room::Audience,
    time::Now,
};

impl<P: Peer, L: Log> Room<P, L> {
    /// [`Self::handle`], without the cost of the effects.
    pub(super) fn take_in(&mut self, call: Call<P>, action: Action, effects: &mut Vec<Effect<P>>) {
        if self.members.contains(call.from) {
            self.members.touch(call.from, call.now.time + self.config.idle);
            return self.act(call, action, effects);
        }
        // A farewell of a peer that is not a member, such as a repeated one, must not make it one.
        if action == Action::Left || !self.admit(call, effects) {
            return;
        }
        match action {
            Action::Named(wish) | Action::Hello(wish) => self.welcome(call, Some(&wish), effects),
            other => {
                self.welcome(Call { request: None, ..call }, None, effects);
                self.act(call, other, effects);
            }
        }
    }

    /// Decides whether to admit a stranger. If so, it is a member on return.
    fn admit(&mut self, call: Call<P>, effects: &mut Vec<Effect<P>>) -> bool {
        let Call { now: Now { time: now, .. }, from, .. } = call;
        if self.members.neighbours(from) >= MAX_MEMBERS_PER_IP {
            self.stats.dropped_same_ip += 1;
            return false;
        }
        if self.clients() >= self.config.max_clients {
            self.stats.dropped_full += 1;
            let rate = Rate::every(FULL_NOTICE_INTERVAL);
            if self.allowance.full_notices.take(now, rate) {
                refuse(call, Refusal::Full, effects);
            }
            return false;
        }
        if !self.allowance.may_fan_out(now) {
            self.stats.dropped_busy += 1;
            return false;
        }
        // A whole room may arrive at once, when a server restarts. A small room must still admit a
        // newcomer just after a member has left.
        let burst = u32::try_from(self.config.max_clients).unwrap_or(u32::MAX);
        let rate = Rate::new(NEWCOMER_RATE, burst.max(NEWCOMER_RATE));
        if !self.newcomers.take(now, from, rate) {
            self.stats.dropped_crowd += 1;
            return false;
        }
        self.members.insert(from, Some(now + self.config.idle), self.log.head());
        self.stats.joined += 1;
        true
    }

    /// Names a newcomer before it is announced, greets it, and announces it.
    fn welcome(&mut self, call: Call<P>, wish: Option<&str>, effects: &mut Vec<Effect<P>>) {
        let refusal = wish.and_then(|wish| self.name_newcomer(call.from, wish).err());
        self.greet(call, effects);
        if let Some(refusal) = refusal {
            refuse(Call { request: None, ..call }, refusal, effects);
        }
        self.publish(call, Kind::Joined, effects);
    }

    /// Handles another hello of a member: the greeting was lost, or the room has forgotten the
    /// name.
    pub(super) fn hello_again(&mut self, call: Call<P>, wish: &str, effects: &mut Vec<Effect<P>>) {
        let Some(before) = self.members.author(call.from) else { return };
        if *before.name != *call.from.to_string() {
            return self.greet(call, effects);
        }
        let refusal = self.name_newcomer(call.from, wish).err();
        self.greet(call, effects);
        if let Some(refusal) = refusal {
            refuse(Call { request: None, ..call }, refusal, effects);
        }
        self.publish_rename(Call { request: None, ..call }, before, effects);
    }

    fn greet(&self, call: Call<P>, effects: &mut Vec<Effect<P>>) {
        let Some(you) = self.members.author(call.from) else { return };
        let others = self.members.roll(Some(call.from), MAX_GREETING_ROLL_LEN);
        tell(call, Kind::greeted(you, others, self.log.head()), effects);
    }

    pub(super) fn change_name(&mut self, call: Call<P>, wish: &str, effects: &mut Vec<Effect<P>>) {
        let Some(before) = self.members.author(call.from) else { return };
        let renamed = Name::parse(wish)
            .map_err(|error| Refusal::BadName { error })
            .and_then(|name| self.rename(call.from, &name));
        match renamed {
            Err(refusal) => refuse(call, refusal, effects),
            // The hello was repeated because our greeting was lost.
            Ok(()) if before.name == self.members.shown(call.from) => self.greet(call, effects),
            Ok(()) => self.publish_rename(call, before, effects),
        }
    }

    fn publish_rename(&mut self, call: Call<P>, before: Author, effects: &mut Vec<Effect<P>>) {
        let name = self.members.shown(call.from);
        if name == before.name {
            return;
        }
        let kind = Kind::Renamed { name };
        self.log.submit(Event::new(call.now.stamp, Some(before), call.request, kind));
        self.handle_log(effects);
    }

    fn rename(&mut self, from: P, name: &Name) -> Result<(), Refusal> {
        self.members.rename(from, name).map_err(|Taken| Refusal::NameTaken {
            name: name.shared(),
            free: self.free_name(from, name).map(|free| free.shared()),
        })
    }

    /// Gives a newcomer the name it asked for, or a similar one if that is taken.
    fn name_newcomer(&mut self, from: P, wish: &str) -> Result<(), Refusal> {
        let name = Name::parse(wish).map_err(|error| Refusal::BadName { error })?;
        if self.members.rename(from, &name).is_ok() {
            return Ok(());
        }
        let taken = name.shared();
        match self.free_name(from, &name) {
            Some(free) if self.members.rename(from, &free).is_ok() => {
                Err(Refusal::NameReplaced { name: taken, given: free.shared() })
            }
            _ => Err(Refusal::NameTaken { name: taken, free: None }),
        }
    }

    fn free_name(&self, from: P, name: &Name) -> Option<Name> {
        (2..=MAX_NAME_SUFFIX)
            .map_while(|number| name.numbered(number))
            .find(|name| self.members.is_free(name, from))
    }

    /// Repeats the events after `after` to a member, except those from before it joined.
    pub(super) fn replay(&mut self, call: Call<P>, after: Seq, effects: &mut Vec<Effect<P>>) {
        let Some(member) = self.members.get_mut(call.from) else { return };
        let Some(events) = self.log.after(after.max(member.since)) else {
            return tell(call, Kind::Missed, effects);
        };
        let events = events.take(MAX_REPLAY).cloned();
        let to = Audience::One(call.from);
        let before = effects.len();
        effects.extend(events.map(|event| Effect { to, event }));
        let count = u32::try_from(effects.len() - before).unwrap_or(u32::MAX);
        let rate = Rate::new(self.config.rate, self.config.burst);
        member.bucket.charge(call.now.time, rate, count);
    }

    pub(super) fn quit(&mut self, call: Call<P>, effects: &mut Vec<Effect<P>>) {
        self.leave(call, Departure::Quit, effects);
    }

    pub(super) fn remove_idle(&mut self, now: Now, effects: &mut Vec<Effect<P>>) {
        let millis = u64::try_from(self.config.idle.as_millis()).unwrap_or(u64::MAX);
        while let Some(from) = self.members.next_idle(now.time) {
            let call = Call { now, from, request: None };
            self.leave(call, Departure::Silent { millis }, effects);
        }
    }

    fn leave(&mut self, call: Call<P>, why: Departure, effects: &mut Vec<Effect<P>>) {
        let Some(author) = self.members.remove(call.from) else { return };
        let kind = Kind::Left(why);
        self.log.submit(Event::new(call.now.stamp, Some(author), call.request, kind));
        self.handle_log(effects);
    }

    /// Returns the number of members, without the host.
    pub(super) fn clients(&self) -> usize {
        self.members.len() - usize::from(self.host.is_some())
    }
}
