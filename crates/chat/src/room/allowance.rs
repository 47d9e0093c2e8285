//! How much each member, and the whole chat, may send.

use std::mem;

use super::{Audience, Call, Chat, Effect, Peer, refuse};
use crate::{
    event::Refusal,
    limits::{
        FAN_OUT_RATE, LINE_OVERHEAD, LOG_FAN_OUT_RATE, MAX_REPLAY, OPENING_COST, PAGE_COST,
        SEARCH_COST, SIGN_BURST, SIGN_RATE,
    },
    log::Log,
    rate::{Bucket, Rate},
    request::{Action, lines_of},
    time::Time,
};

/// What a request costs the member that sends it. Every request costs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// One of its signs of life.
    Sign,
    /// This many of its lines.
    Lines(u32),
}

/// What the chat may still send.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// Notices to strangers that the chat is full, or closed to them.
    pub(super) full_notices: Bucket,
    /// Bytes that may be sent to members by datagrams.
    direct: Bucket,
    /// The same to members who read the log.
    fan_out: Bucket,
}

/// How often an event is sent.
#[derive(Clone, Copy, Debug)]
struct Copies {
    /// By datagrams.
    direct: usize,
    /// To readers of the log.
    fan_out: usize,
}

impl Allowance {
    pub(super) fn may_fan_out(&self, now: Time) -> bool {
        self.direct.has(now, direct_rate()) && self.fan_out.has(now, fan_out_rate())
    }
}

impl<P: Peer, L: Log> Chat<P, L> {
    /// Takes the cost of a request from the member's allowance. Returns `true` if this one and the
    /// chat's permit it. If not, the member is notified, once until its allowance is full again; a
    /// sign of life is dropped silently.
    pub(super) fn may_send(
        &mut self,
        call: &Call<P>,
        action: &Action,
        effects: &mut Vec<Effect<P>>,
    ) -> bool {
        match self.cost(call, action) {
            Cost::Sign => self.may_signal(call),
            Cost::Lines(lines) => self.may_spend(call, lines, effects),
        }
    }

    fn cost(&self, call: &Call<P>, action: &Action) -> Cost {
        let rooms = || self.members.get(call.from).map_or(0, |member| member.rooms.len());
        match action {
            Action::Heard | Action::Read(_) => Cost::Sign,
            Action::Joined if self.rooms.len(&call.room) == 0 => Cost::Lines(OPENING_COST),
            // It is announced in each of them.
            Action::Named(_) => Cost::Lines(u32::try_from(rooms()).unwrap_or(u32::MAX).max(1)),
            Action::History(_) => Cost::Lines(PAGE_COST),
            Action::Search(..) => Cost::Lines(SEARCH_COST),
            // Other members are charged for what is repeated to them.
            Action::Resumed(_) if call.from.reads_log() => Cost::Lines(MAX_REPLAY as u32),
            Action::Said(text)
            | Action::Emote(text)
            | Action::Whispered(text)
            | Action::WhisperedTo(_, text) => Cost::Lines(lines_of(text)),
            _ => Cost::Lines(1),
        }
    }

    fn may_signal(&mut self, call: &Call<P>) -> bool {
        let rate = Rate::new(SIGN_RATE, SIGN_BURST);
        let is_host = self.host == Some(call.from);
        let may = match self.members.get_mut(call.from).filter(|_| !is_host) {
            Some(member) => member.signs.take(call.now.time, rate),
            None => true,
        };
        self.stats.dropped_too_fast += u64::from(!may);
        may
    }

    /// Takes `lines` from the member's allowance, as [`Self::may_send`] does. A member with any
    /// left may go into debt.
    pub(super) fn may_spend(
        &mut self,
        call: &Call<P>,
        lines: u32,
        effects: &mut Vec<Effect<P>>,
    ) -> bool {
        let now = call.now.time;
        let rate = Rate::new(self.config.rate, self.config.burst);
        let host = self.host == Some(call.from);
        let Some(member) = self.members.get_mut(call.from).filter(|_| !host) else {
            return true;
        };
        if member.bucket.is_full(now) {
            member.told_dropped = false;
        }
        let refusal = if !member.bucket.spend(now, rate, lines) {
            self.stats.dropped_too_fast += 1;
            Refusal::TooFast { rate: self.config.rate.max(1) }
        } else if !self.allowance.may_fan_out(now) {
            self.stats.dropped_busy += 1;
            Refusal::Busy
        } else {
            return true;
        };
        if !mem::replace(&mut member.told_dropped, true) {
            refuse(call, refusal, effects);
        }
        false
    }

    /// Takes the cost of delivering `effects` from the chat's allowance.
    pub(super) fn charge(&mut self, now: Time, effects: &[Effect<P>]) {
        let (mut direct, mut fan_out) = (0_usize, 0_usize);
        for effect in effects {
            let len = effect.event.weight() + LINE_OVERHEAD;
            let copies = self.copies(&effect.to);
            direct = direct.saturating_add(len.saturating_mul(copies.direct));
            fan_out = fan_out.saturating_add(len.saturating_mul(copies.fan_out));
        }
        let bytes = |count| u32::try_from(count).unwrap_or(u32::MAX);
        self.allowance.direct.charge(now, direct_rate(), bytes(direct));
        self.allowance.fan_out.charge(now, fan_out_rate(), bytes(fan_out));
    }

    fn copies(&self, to: &Audience<P>) -> Copies {
        let (all, direct) = match to {
            Audience::One(peer) => (1, usize::from(!peer.reads_log())),
            Audience::Keys(..) => (2, 2),
            Audience::Room(room) => match self.rooms.get(room) {
                Some(room) => (room.members.len(), room.direct.len()),
                None => (0, 0),
            },
            Audience::All => (self.clients(), self.clients()),
        };
        Copies { direct, fan_out: all - direct }
    }
}

fn direct_rate() -> Rate {
    Rate::new(FAN_OUT_RATE, FAN_OUT_RATE)
}

fn fan_out_rate() -> Rate {
    Rate::new(LOG_FAN_OUT_RATE, LOG_FAN_OUT_RATE)
}
