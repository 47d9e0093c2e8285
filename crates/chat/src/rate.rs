//! A token bucket.

use std::time::Duration;

use crate::time::Time;

/// A rate: events per second in the long run, and the largest burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Time between events at the long-run rate.
    interval: Duration,
    /// How far events may be ahead of the long-run rate, not counting the first.
    tolerance: Duration,
}

impl Rate {
    /// Creates a rate of `per_second` in the long run and `burst` at once; a zero counts as one.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, tolerance: interval.saturating_mul(burst.max(1) - 1) }
    }

    /// Creates a rate of one event per `interval`.
    pub(crate) fn every(interval: Duration) -> Self {
        Self { interval, tolerance: Duration::ZERO }
    }
}

/// A token bucket, stored as one number (the generic cell rate algorithm of ITU-T I.371): the time
/// at which the bucket is full again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    full_at: Time,
}

impl Bucket {
    /// Takes a token. Returns `false` if there is none.
    pub(crate) fn take(&mut self, now: Time, rate: Rate) -> bool {
        self.spend(now, rate, 1)
    }

    /// Takes `count` tokens if there is one. Returns `false` if there is none.
    pub(crate) fn spend(&mut self, now: Time, rate: Rate, count: u32) -> bool {
        let has = self.has(now, rate);
        if has {
            self.charge(now, rate, count);
        }
        has
    }

    /// Returns `true` if there is a token.
    pub(crate) fn has(&self, now: Time, rate: Rate) -> bool {
        self.ready_at(rate) <= now
    }

    /// Takes `count` tokens, even if there are fewer: the next one then takes longer.
    pub(crate) fn charge(&mut self, now: Time, rate: Rate, count: u32) {
        self.full_at = self.full_at.max(now) + rate.interval.saturating_mul(count);
    }

    /// Returns the earliest time at which there is a token.
    pub(crate) fn ready_at(&self, rate: Rate) -> Time {
        Time::from_epoch(self.full_at.since_epoch().saturating_sub(rate.tolerance))
    }

    /// Returns `true` if the bucket is full.
    pub(crate) fn is_full(&self, now: Time) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, rate: Rate, now: Time, tries: u32) -> usize {
        (0..tries).filter(|_| bucket.take(now, rate)).count()
    }

    #[test]
    fn a_burst_is_exactly_as_long_as_configured() {
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, Rate::new(50, 200), Time::ZERO, 1_000), 200);
    }

    #[test]
    fn a_second_brings_back_as_many_tokens_as_the_rate() {
        let mut bucket = Bucket::default();
        let rate = Rate::new(50, 200);
        taken(&mut bucket, rate, Time::ZERO, 1_000);
        assert_eq!(taken(&mut bucket, rate, Time::ZERO + Duration::from_secs(1), 1_000), 50);
    }

    #[test]
    fn idle_time_never_accumulates_more_than_a_burst() {
        let mut bucket = Bucket::default();
        let later = Time::ZERO + Duration::from_secs(3_600);
        assert_eq!(taken(&mut bucket, Rate::new(50, 200), later, 1_000), 200);
    }

    #[test]
    fn a_token_is_available_exactly_at_the_reported_time() {
        let mut bucket = Bucket::default();
        let rate = Rate::new(40, 1);
        assert!(bucket.take(Time::ZERO, rate));
        let ready = bucket.ready_at(rate);
        assert_eq!(ready, Time::ZERO + Duration::from_millis(25));
        assert!(bucket.take(ready, rate));
    }

    #[test]
    fn tokens_taken_beyond_the_balance_are_owed() {
        let mut bucket = Bucket::default();
        let rate = Rate::new(10, 10);
        bucket.charge(Time::ZERO, rate, 25);
        assert!(!bucket.has(Time::ZERO + Duration::from_millis(1_599), rate));
        assert!(bucket.has(Time::ZERO + Duration::from_millis(1_600), rate));
    }

    #[test]
    fn a_rate_of_zero_is_a_rate_of_one() {
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, Rate::new(0, 0), Time::ZERO, 9), 1);
    }
}
