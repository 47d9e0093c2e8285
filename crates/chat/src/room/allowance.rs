//! How much each member, and the whole chat, may send.

use std::mem;

use super::{Audience, Call, Chat, Effect, Peer, refuse};
use crate::{
    event::Refusal,
    limits::{FAN_OUT_RATE, LINE_OVERHEAD},
    log::Log,
    rate::{Bucket, Rate},
    time::Time,
};

/// What the chat may still send.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// Notices to strangers that the chat is full, or closed to them.
    pub(super) full_notices: Bucket,
    /// Bytes that may be sent to members.
    fan_out: Bucket,
}

impl Allowance {
    pub(super) fn may_fan_out(&self, now: Time) -> bool {
        self.fan_out.has(now, fan_out_rate())
    }
}

impl<P: Peer, L: Log> Chat<P, L> {
    /// Returns `true` if the member's and the chat's allowances permit this request. If not, the
    /// member is notified once, until its allowance is full again.
    pub(super) fn may_send(&mut self, call: &Call<P>, effects: &mut Vec<Effect<P>>) -> bool {
        let now = call.now.time;
        let rate = Rate::new(self.config.rate, self.config.burst);
        let host = self.host == Some(call.from);
        let Some(member) = self.members.get_mut(call.from).filter(|_| !host) else {
            return true;
        };
        if member.bucket.is_full(now) {
            member.told_dropped = false;
        }
        let refusal = if !member.bucket.take(now, rate) {
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
        let cost = |effect: &Effect<P>| {
            let copies = match &effect.to {
                Audience::One(_) => 1,
                Audience::Keys(..) => 2,
                Audience::Room(room) => self.rooms.len(room),
                Audience::All => self.clients(),
            };
            copies.saturating_mul(effect.event.weight() + LINE_OVERHEAD)
        };
        let bytes = effects.iter().map(cost).fold(0, usize::saturating_add);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.allowance.fan_out.charge(now, fan_out_rate(), bytes);
    }
}

fn fan_out_rate() -> Rate {
    Rate::new(FAN_OUT_RATE, FAN_OUT_RATE)
}
