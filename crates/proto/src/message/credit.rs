//! Credit (D-4, D-5) on both sides: what the peer allows us to send, and what we allow the peer.
//!
//! In: bytes sent, bytes taken. Out: whether to send, what to announce. Never: messages.

use std::{collections::VecDeque, mem};

use super::{LaneId, Scope, compact_map::CompactMap, lane::Park};
use crate::delivery::ChannelId;

/// What the peer allows us to send.
#[derive(Default)]
pub(super) struct SendCredit {
    connection: Allowance,
    channels: CompactMap<ChannelId, Allowance>,
    /// The peer's initial credit; `None` until it is known.
    start: Option<Start>,
    /// Lanes that are parked because the connection has no credit.
    pub(super) starved: Vec<LaneId>,
    /// Lanes that credit woke since the last call of `take_woken`: each costs as much time as a
    /// frame.
    woken: u32,
    /// Scopes to send BLOCKED frames for.
    blocked: VecDeque<Scope>,
}

#[derive(Clone, Copy)]
struct Start {
    connection: u64,
    channel: u64,
}

/// Bytes sent and bytes allowed, since the connection began.
#[derive(Clone, Copy, Default)]
struct Allowance {
    used: u64,
    limit: u64,
    /// A message waits for more than `limit`, and a BLOCKED frame was sent or will be.
    short: bool,
    /// It is in the list of scopes to send BLOCKED frames for.
    listed: bool,
}

impl SendCredit {
    pub(super) fn start(&mut self, connection: u64, channel: u64) {
        self.start = Some(Start { connection, channel });
        self.connection.raise(connection);
        for own in self.channels.values_mut() {
            own.raise(channel);
        }
    }

    /// Returns the most that a message may cost: one that costs more than a whole window could
    /// never be sent.
    pub(super) fn largest(&self) -> u64 {
        self.start.map_or(u64::MAX, |start| start.connection.min(start.channel))
    }

    /// Checks whether a message of this cost may begin. Otherwise returns whose credit it waits
    /// for, and schedules a BLOCKED frame for the peer.
    pub(super) fn check(&mut self, channel: ChannelId, cost: u64) -> Result<(), Park> {
        let Some(start) = self.start else { return Err(Park::Connection) };
        let fresh = Allowance { limit: start.channel, ..Allowance::default() };
        let own = self.channels.get_or_insert_with(channel, || fresh);
        if !own.allows(cost) {
            if own.runs_short() {
                self.blocked.push_back(Scope::Channel(channel));
            }
            return Err(Park::Channel);
        }
        if !self.connection.allows(cost) {
            if self.connection.runs_short() {
                self.blocked.push_back(Scope::Connection);
            }
            return Err(Park::Connection);
        }
        Ok(())
    }

    /// Returns the total cost of the messages of this channel that may begin now.
    pub(super) fn left(&self, channel: ChannelId) -> u64 {
        let own = self.channels.get(channel).map_or(0, Allowance::left);
        own.min(self.connection.left())
    }

    /// Spends credit on messages that `check` or `left` allowed to begin.
    pub(super) fn spend(&mut self, channel: ChannelId, cost: u64) {
        self.connection.used += cost;
        if let Some(own) = self.channels.get_mut(channel) {
            own.used += cost;
        }
    }

    /// Raises a limit. Returns `true` if it is higher than before: totals never decrease (D-5).
    ///
    /// A channel that sent nothing is not raised: none of its credit can have come back, and the
    /// peer must not be able to create entries for 65,536 channels.
    pub(super) fn raise(&mut self, scope: Scope, total: u64) -> bool {
        self.of(scope).is_some_and(|allowance| allowance.raise(total))
    }

    /// Returns the lanes to wake after the connection's credit was raised.
    pub(super) fn take_starved(&mut self) -> Vec<LaneId> {
        self.woken = self.woken.saturating_add(self.starved.len() as u32);
        mem::take(&mut self.starved)
    }

    /// Returns the number of lanes woken since the last call.
    pub(super) fn take_woken(&mut self) -> u32 {
        mem::take(&mut self.woken)
    }

    pub(super) fn has_pending_blocked(&mut self) -> bool {
        self.next_blocked().is_some()
    }

    pub(super) fn poll_blocked(&mut self) -> Option<Scope> {
        let scope = self.next_blocked()?;
        self.unlist();
        Some(scope)
    }

    pub(super) fn on_blocked_lost(&mut self, scope: Scope) {
        let list =
            self.of(scope).is_some_and(|own| own.short && !mem::replace(&mut own.listed, true));
        if list {
            self.blocked.push_back(scope);
        }
    }

    /// Returns the first scope of the list. Scopes that have received credit since are dropped from
    /// it.
    fn next_blocked(&mut self) -> Option<Scope> {
        while let Some(scope) = self.blocked.front().copied() {
            if self.of(scope).is_some_and(|allowance| allowance.short) {
                return Some(scope);
            }
            self.unlist();
        }
        None
    }

    fn unlist(&mut self) {
        if let Some(scope) = self.blocked.pop_front()
            && let Some(allowance) = self.of(scope)
        {
            allowance.listed = false;
        }
    }

    pub(super) fn release_idle(&mut self) {
        self.starved = Vec::new();
        while !self.blocked.is_empty() {
            self.unlist();
        }
        self.blocked = VecDeque::new();
        self.channels.compact(|_| true);
    }

    fn of(&mut self, scope: Scope) -> Option<&mut Allowance> {
        match scope {
            Scope::Connection => Some(&mut self.connection),
            Scope::Channel(channel) => self.channels.get_mut(channel),
        }
    }
}

impl Allowance {
    /// Notes that a message has to wait. Returns `true` if a BLOCKED frame must be sent.
    fn runs_short(&mut self) -> bool {
        !mem::replace(&mut self.short, true) && !mem::replace(&mut self.listed, true)
    }

    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    fn allows(&self, cost: u64) -> bool {
        cost <= self.left()
    }

    fn raise(&mut self, total: u64) -> bool {
        let more = total > self.limit;
        if more {
            self.limit = total;
            self.short = false;
        }
        more
    }
}

/// What we allow the peer to send: one window, of the connection or of a channel. The owner knows
/// its size, which is the same for all channels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// Bytes whose credit was given back, since the connection began.
    returned: u64,
    /// Bytes of messages that have begun to arrive and whose credit was not given back. At most the
    /// size.
    outstanding: u32,
    /// Bytes of `returned` that were not announced to the peer. At most the size.
    unannounced: u32,
    /// It is in the list of windows to announce.
    listed: bool,
    /// The peer sent BLOCKED: what is given back is announced at once.
    pub(super) wanted: bool,
}

impl Window {
    /// Returns `true` if there is room for `cost` more bytes, as far as the peer can know.
    pub(super) fn allows(&self, cost: u64, size: u32) -> bool {
        // outstanding + unannounced <= size, see `charge` and `give_back`.
        cost <= u64::from(size) - u64::from(self.outstanding) - u64::from(self.unannounced)
    }

    /// Charges for a message that begins to arrive, and that `allows` permitted.
    pub(super) fn charge(&mut self, cost: u64) {
        // It fits: `allows` compared it with a 32-bit size.
        self.outstanding += cost as u32;
    }

    /// Gives credit back for a message that was taken. Returns `true` if the window is now to be
    /// announced (D-5).
    #[must_use]
    pub(super) fn give_back(&mut self, cost: u64, size: u32) -> bool {
        let cost = (cost as u32).min(self.outstanding);
        self.outstanding -= cost;
        self.unannounced += cost;
        self.returned += u64::from(cost);
        let due = self.wanted || self.unannounced >= size / 2;
        due && self.unannounced > 0 && !mem::replace(&mut self.listed, true)
    }

    /// Handles BLOCKED. Returns `true` if the window is now to be announced.
    #[must_use]
    pub(super) fn on_blocked(&mut self) -> bool {
        self.wanted = true;
        self.unannounced > 0 && !mem::replace(&mut self.listed, true)
    }

    /// Handles the loss of an announcement. Returns `true` if it must be repeated.
    #[must_use]
    pub(super) fn on_lost(&mut self) -> bool {
        !mem::replace(&mut self.listed, true)
    }

    /// Returns the total to announce: what the peer may have sent since the connection began.
    pub(super) fn announce(&mut self, size: u32) -> u64 {
        if self.unannounced > 0 {
            // The peer learns of more; if that is too little, it sends BLOCKED again. Repeating a
            // total that it already knows does not answer BLOCKED.
            (self.wanted, self.unannounced) = (false, 0);
        }
        self.listed = false;
        u64::from(size) + self.returned
    }

    /// Returns the bytes of messages that have begun to arrive and whose credit was not given back.
    pub(super) fn outstanding(&self) -> u64 {
        self.outstanding.into()
    }

    /// Returns `true` if it has nothing to count yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.returned == 0 && self.outstanding == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: ChannelId = ChannelId(5);

    // D-4, D-5
    #[test]
    fn d4_a_message_waits_for_the_scope_without_credit_and_blocked_is_sent_once() {
        let mut credit = SendCredit::default();
        credit.start(1000, 600);
        assert_eq!(credit.check(CHANNEL, 600), Ok(()));
        credit.spend(CHANNEL, 600);
        assert_eq!(credit.check(CHANNEL, 1), Err(Park::Channel));
        assert_eq!(credit.check(CHANNEL, 1), Err(Park::Channel));
        assert_eq!(credit.check(ChannelId(6), 401), Err(Park::Connection));
        assert_eq!(credit.poll_blocked(), Some(Scope::Channel(CHANNEL)));
        assert_eq!(credit.poll_blocked(), Some(Scope::Connection));
        assert_eq!(credit.poll_blocked(), None);
        credit.on_blocked_lost(Scope::Connection);
        assert_eq!(credit.poll_blocked(), Some(Scope::Connection));
    }

    // D-5
    #[test]
    fn d5_a_smaller_total_than_before_is_ignored() {
        let mut credit = SendCredit::default();
        credit.start(1000, 1000);
        assert!(credit.raise(Scope::Connection, 1500));
        assert!(!credit.raise(Scope::Connection, 1400));
        assert!(!credit.raise(Scope::Channel(CHANNEL), 9000), "that channel sent nothing");
    }

    #[test]
    fn d5_credit_is_announced_by_half_windows() {
        let mut window = Window::default();
        assert!(window.allows(1000, 1000) && !window.allows(1001, 1000));
        window.charge(1000);
        assert!(!window.give_back(499, 1000));
        assert!(!window.allows(1, 1000), "the peer does not know yet");
        assert!(window.give_back(1, 1000));
        assert_eq!(window.announce(1000), 1500);
        assert!(window.allows(500, 1000) && !window.allows(501, 1000));
    }

    #[test]
    fn repeating_a_known_total_does_not_answer_blocked() {
        let mut window = Window::default();
        window.charge(1000);
        assert!(!window.on_blocked() && window.on_lost());
        assert_eq!(window.announce(1000), 1000);
        assert!(window.give_back(1, 1000));
    }

    #[test]
    fn all_credit_is_announced_to_a_peer_that_waits() {
        let mut window = Window::default();
        window.charge(1000);
        assert!(!window.on_blocked());
        assert!(window.give_back(1, 1000));
        assert_eq!(window.announce(1000), 1001);
        assert!(!window.give_back(1, 1000), "it was notified, and must send BLOCKED again");
        assert!(window.on_blocked());
    }
}
