//! The accounts of an inbox: credit, the pool, and what neither counts (D-4 to D-6, D-13, D-14).
//!
//! In: costs, BLOCKED. Out: whether there is room, credit to announce. Never: messages.

use std::mem;

use super::{
    Scope,
    credit::Window,
    inbox::{CHANNEL_COST, CreditUpdate, Inbox, OVERHEAD},
    queue::Taken,
};
use crate::delivery::{ChannelId, Class};

impl Inbox {
    /// Handles BLOCKED: the peer waits for credit of this scope.
    pub(crate) fn on_blocked(&mut self, scope: Scope) {
        self.account_for_taken();
        let window = self.window_of(scope);
        match window.map(|(window, _)| (window.wanted, window.on_blocked())) {
            Some((wanted, announce)) => {
                self.wanted += u32::from(!wanted);
                self.announce.extend(announce.then_some(scope));
            }
            // BLOCKED overtook the first message of its channel. Naming a channel costs the peer
            // two bytes, and remembering the name costs more: the frame counts for all channels
            // opened from now on.
            None => self.blocked_early = true,
        }
        self.want_report();
    }

    /// Accounts for what was taken from the queue, or dropped there.
    pub(super) fn account_for_taken(&mut self) {
        if !self.ready.has_taken() {
            return;
        }
        let taken = self.ready.lend_taken();
        taken.iter().for_each(|run| self.on_taken(run));
        self.ready.restore_taken(taken);
    }

    /// Releases the credit and the pool of messages that left a queue.
    pub(super) fn on_taken(&mut self, run: &Taken) {
        let Taken { lane, last, count, bytes } = *run;
        let cost = bytes as usize + count as usize * OVERHEAD;
        match lane.class {
            Class::Ordered => return self.give_back(lane.channel, cost),
            Class::Reliable => return self.on_reliable_taken(run),
            Class::Latest => return self.on_latest_taken(lane.channel, last),
            Class::Deadline | Class::Unreliable => self.give_to_pool(cost),
        }
        let channel = self.channels.get_mut(lane.channel).filter(|own| own.is_untouched());
        let Some(wanted) = channel.map(|own| own.window.wanted) else { return };
        if self.channels.remove_recent(lane.channel) {
            self.blocked_early |= wanted;
            self.wanted -= u32::from(wanted);
            self.give_state(CHANNEL_COST);
        }
    }

    /// Passes the room of older messages on to the newest.
    fn on_latest_taken(&mut self, channel: ChannelId, id: u64) {
        let channel = self.channels.get_mut(channel);
        let Some(others) = channel.and_then(|own| own.others.as_mut()) else { return };
        if id.saturating_add(1) == others.floor {
            let cost = mem::take(&mut others.waiting);
            self.give_to_pool(cost as usize);
        }
    }

    /// Takes `cost` bytes of the pool and `besides` bytes of other state. Returns `false` if the
    /// pool or the endpoint has no room for them.
    pub(super) fn take_of_pool(&mut self, cost: usize, besides: u32) -> bool {
        let pool = u32::try_from(cost).ok().and_then(|cost| self.pool.checked_add(cost));
        let all = cost as u64 + u64::from(besides);
        let Some(pool) = pool.filter(|_| self.rules.take_room(self.held(), all, false)) else {
            return false;
        };
        self.pool = pool;
        self.state += besides;
        true
    }

    /// Takes room for state that neither credit nor the pool counts. Returns `false` if the
    /// endpoint has none.
    pub(super) fn take_state(&mut self, cost: u32) -> bool {
        let room = self.rules.take_room(self.held(), cost.into(), false);
        self.state += if room { cost } else { 0 };
        room
    }

    /// Returns room that `take_state` took.
    pub(super) fn give_state(&mut self, cost: u32) {
        let held = self.held();
        self.state -= cost;
        self.give_room(held);
    }

    /// Returns bytes to the pool.
    pub(super) fn give_to_pool(&mut self, cost: usize) {
        let held = self.held();
        // What was taken fits.
        self.pool -= cost as u32;
        self.give_room(held);
    }

    /// Gives credit of the connection back.
    pub(super) fn return_credit(&mut self, cost: u64) {
        let held = self.held();
        if self.window.give_back(cost, self.rules.config.credit) {
            self.announce.push_back(Scope::Connection);
        }
        self.give_room(held);
    }

    /// Returns the bytes held here, as D-13 and D-14 count them.
    pub(super) fn held(&self) -> u64 {
        self.window.outstanding() + u64::from(self.pool) + u64::from(self.state)
    }

    /// Returns to the endpoint what is no longer held, given what was held before.
    fn give_room(&self, before: u64) {
        let less = self.rules.beyond_each(before) - self.rules.beyond_each(self.held());
        if less > 0 {
            self.rules.budget.give(less);
        }
    }

    /// Returns the next CREDIT or CHANNEL_CREDIT frame to send (D-5), and counts it as sent.
    pub(crate) fn poll_credit(&mut self) -> Option<CreditUpdate> {
        self.account_for_taken();
        let scope = self.announce.pop_front()?;
        let (window, size) = self.window_of(scope)?;
        let (wanted, total) = (window.wanted, window.announce(size));
        let answered = wanted && !window.wanted;
        self.wanted -= u32::from(answered);
        Some(CreditUpdate { scope, total })
    }

    /// Returns `true` if there is credit to announce.
    pub(crate) fn has_pending_credit(&mut self) -> bool {
        self.account_for_taken();
        !self.announce.is_empty()
    }

    /// Handles the loss of a packet with credit of this scope: the current total is announced
    /// again.
    pub(crate) fn on_credit_lost(&mut self, scope: Scope) {
        if self.window_of(scope).is_some_and(|(window, _)| window.on_lost()) {
            self.announce.push_back(scope);
        }
    }

    /// Gives credit of a channel and of the connection back.
    pub(super) fn give_back(&mut self, channel: ChannelId, cost: usize) {
        self.return_credit(cost as u64);
        let Some(of) = self.channels.get_mut(channel) else { return };
        if of.window.give_back(cost as u64, self.rules.config.channel_credit) {
            self.announce.push_back(Scope::Channel(channel));
        }
    }

    fn window_of(&mut self, scope: Scope) -> Option<(&mut Window, u32)> {
        match scope {
            Scope::Connection => Some((&mut self.window, self.rules.config.credit)),
            Scope::Channel(channel) => {
                let channel = self.channels.get_mut(channel)?;
                Some((&mut channel.window, self.rules.config.channel_credit))
            }
        }
    }
}
