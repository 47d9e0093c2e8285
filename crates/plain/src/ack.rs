//! Stop and wait: send, wait for the acknowledgement, send again, give up.
//!
//! In: the time since the start, a random number. Out: what to do now. Never: a clock, a socket.
//!
//! The wait doubles with each attempt (RFC 8085 section 3.1.3 requires exponential backoff) and
//! varies by a quarter either way, so that many senders that lost a packet together do not retry
//! together.

use std::time::Duration;

use crate::limits::{MAX_ACK_WAIT, UNREACHABLE_PATIENCE};

/// How long to wait for an acknowledgement, and how often to send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// First wait.
    pub timeout: Duration,
    /// How often to resend.
    pub retries: u32,
    /// How long to try an address that the network keeps reporting unreachable; `None`: as long as
    /// any other.
    pub unreachable: Option<Duration>,
}

impl Default for RetryPolicy {
    /// One second, five retries, and ten seconds for an unreachable address.
    fn default() -> Self {
        let unreachable = Some(UNREACHABLE_PATIENCE);
        Self { timeout: Duration::from_secs(1), retries: 5, unreachable }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send the message (again).
    Send,
    /// Nothing, for this long.
    Wait(Duration),
    /// Give up: it was sent as often as allowed, and no answer arrived.
    GiveUp,
}

/// One message being sent.
#[derive(Debug)]
pub(super) struct StopAndWait {
    policy: RetryPolicy,
    tries: u32,
    /// When the current wait ends, counted from the start.
    deadline: Duration,
    /// When to give up even if attempts remain.
    give_up_at: Duration,
}

impl StopAndWait {
    pub(super) const fn new(policy: RetryPolicy) -> Self {
        Self { policy, tries: 0, deadline: Duration::ZERO, give_up_at: Duration::MAX }
    }

    /// Returns how often the message may be sent.
    pub(super) const fn most_tries(&self) -> u32 {
        self.policy.retries.saturating_add(1)
    }

    /// Notes that the network reports the address unreachable: the shorter patience applies.
    pub(super) fn on_unreachable(&mut self) {
        let patience = self.policy.unreachable.unwrap_or(Duration::MAX);
        self.give_up_at = self.give_up_at.min(patience);
        self.deadline = self.deadline.min(patience);
    }

    /// Notes that the peer has answered.
    pub(super) const fn on_heard(&mut self) {
        self.give_up_at = Duration::MAX;
    }

    /// Returns how often the message has been sent.
    pub(super) const fn tries(&self) -> u32 {
        self.tries
    }

    /// Returns what to do at `elapsed` since the start; `random` varies the waits.
    pub(super) fn poll(&mut self, elapsed: Duration, random: u32) -> Step {
        if elapsed < self.deadline {
            return Step::Wait(self.deadline.saturating_sub(elapsed));
        }
        if self.tries > self.policy.retries || elapsed >= self.give_up_at {
            return Step::GiveUp;
        }
        let next = elapsed.saturating_add(wait(self.policy.timeout, self.tries, random));
        self.deadline = next.min(self.give_up_at);
        self.tries += 1;
        Step::Send
    }
}

fn wait(timeout: Duration, doublings: u32, random: u32) -> Duration {
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let nominal = timeout.saturating_mul(factor).min(MAX_ACK_WAIT.max(timeout));
    // Between three and five quarters of it.
    let share = (nominal / 2).mul_f64(f64::from(random) / f64::from(u32::MAX));
    (nominal - nominal / 4).saturating_add(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u32 = u32::MAX / 2;

    fn policy(timeout_ms: u64, retries: u32) -> RetryPolicy {
        RetryPolicy { timeout: Duration::from_millis(timeout_ms), retries, unreachable: None }
    }

    /// When the message goes out and when it is given up, in milliseconds, if nobody answers.
    fn timeline(policy: RetryPolicy, random: u32) -> (Vec<u128>, u128) {
        let mut exchange = StopAndWait::new(policy);
        let mut now = Duration::ZERO;
        let mut sent = Vec::new();
        loop {
            match exchange.poll(now, random) {
                Step::Send => sent.push(now.as_millis()),
                Step::Wait(wait) => now += wait,
                Step::GiveUp => return (sent, now.as_millis()),
            }
        }
    }

    #[test]
    fn the_wait_doubles_with_each_try() {
        let (sent, given_up) = timeline(policy(1_000, 3), HALF);
        let about = |at: u128, expected: u128| at.abs_diff(expected) <= 5;
        assert_eq!(sent.len(), 4, "one try and three retries");
        assert!(about(sent[1], 1_000) && about(sent[2], 3_000) && about(sent[3], 7_000));
        assert!(about(given_up, 15_000), "{given_up}");
    }

    #[test]
    fn an_unreachable_address_is_tried_for_its_own_time() {
        let mut exchange = StopAndWait::new(RetryPolicy::default());
        let mut now = Duration::ZERO;
        loop {
            match exchange.poll(now, HALF) {
                Step::Send => exchange.on_unreachable(),
                Step::Wait(wait) => now += wait,
                Step::GiveUp => break,
            }
        }
        assert_eq!((now, exchange.tries()), (UNREACHABLE_PATIENCE, 4));
    }

    #[test]
    fn without_retries_a_message_is_sent_once_and_awaited() {
        assert_eq!(timeline(policy(1_000, 0), 0), (vec![0], 750));
    }

    #[test]
    fn waits_vary_by_a_quarter() {
        assert_eq!(timeline(policy(1_000, 0), 0).1, 750);
        assert_eq!(timeline(policy(1_000, 0), u32::MAX).1, 1_250);
    }

    #[test]
    fn waits_stop_growing_and_never_overflow() {
        let wait_after = |doublings| wait(Duration::from_secs(1), doublings, HALF);
        assert!(wait_after(40) <= MAX_ACK_WAIT && wait_after(40) > MAX_ACK_WAIT / 2);
        assert!(wait(Duration::MAX, u32::MAX, u32::MAX) > Duration::from_secs(1 << 40));
    }

    #[test]
    fn polling_early_changes_nothing() {
        let mut exchange = StopAndWait::new(policy(1_000, 1));
        assert_eq!(exchange.poll(Duration::ZERO, 0), Step::Send);
        let early = Duration::from_millis(500);
        assert_eq!(exchange.poll(early, 0), Step::Wait(Duration::from_millis(250)));
        assert_eq!(exchange.poll(early, 0), Step::Wait(Duration::from_millis(250)));
        assert_eq!(exchange.tries(), 1);
    }
}
