//! How long to wait before connecting again.

use std::time::Duration;

use crate::limits::{FIRST_BACKOFF, LONGEST_BACKOFF};

/// Pauses before attempts to connect again, which double from one failure to the next.
///
/// Randomness keeps a thousand clients of a restarted server from returning at the same moment. It
/// is an argument, so that tests can repeat the pauses.
///
/// ```
/// use hikyaku::Backoff;
/// use std::time::Duration;
///
/// let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30)).attempts(3);
/// let seconds = |pause: Option<Duration>| pause.map(|pause| pause.as_secs_f64());
/// assert_eq!(seconds(backoff.after_failure(u64::MAX)), Some(1.0));
/// assert_eq!(seconds(backoff.after_failure(u64::MAX)), Some(2.0));
/// assert_eq!(backoff.after_failure(u64::MAX), None, "that was the third");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: Option<u32>,
    /// Consecutive attempts that failed.
    failures: u32,
}

impl Default for Backoff {
    /// From half a second to 30 s, without a limit of attempts.
    fn default() -> Self {
        Self::new(FIRST_BACKOFF, LONGEST_BACKOFF)
    }
}

impl Backoff {
    /// Returns pauses from `first` up to `longest`, without a limit of attempts.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: None, failures: 0 }
    }

    /// Limits the consecutive attempts that may fail.
    #[must_use]
    pub const fn attempts(mut self, count: u32) -> Self {
        self.attempts = Some(count);
        self
    }

    /// Returns how long to wait after a failed attempt, or `None` once the limit of attempts is
    /// reached. The doubled pause is shortened by up to one half: a `random` of 0 halves it, and
    /// `u64::MAX` leaves it unchanged.
    pub fn after_failure(&mut self, random: u64) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.attempts.is_some_and(|attempts| self.failures >= attempts) {
            return None;
        }
        Some(self.pause(random))
    }

    /// Returns how long to wait after a connection that lasted for `lasted`. A connection shorter
    /// than the longest pause counts as a failure, so that a client dials a server that closes each
    /// connection at once less and less often. After a longer connection the pauses start again at
    /// the first.
    pub fn after_connection(&mut self, lasted: Duration, random: u64) -> Duration {
        self.failures = if lasted >= self.longest { 1 } else { self.failures.saturating_add(1) };
        self.pause(random)
    }

    fn pause(&self, random: u64) -> Duration {
        let doublings = (self.failures - 1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let share = random as f64 / u64::MAX as f64;
        whole / 2 + (whole / 2).mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_randomness_at_most_halves_them() {
        let mut backoff = Backoff::new(SECOND, 10 * SECOND);
        let pauses =
            [(); 6].map(|()| backoff.clone().after_failure(0).zip(backoff.after_failure(u64::MAX)));
        let whole = [1, 2, 4, 8, 10, 10].map(|seconds| seconds * SECOND);
        assert_eq!(pauses, whole.map(|pause| Some((pause / 2, pause))));
        for _ in 0..100 {
            assert!(backoff.after_failure(u64::MAX / 2).is_some_and(|pause| pause < 10 * SECOND));
        }
    }

    #[test]
    fn pauses_restart_only_after_a_connection_that_lasted() {
        let mut backoff = Backoff::new(SECOND, 10 * SECOND);
        let mut after = |lasted| backoff.after_connection(lasted, u64::MAX);
        assert_eq!([(); 3].map(|()| after(SECOND)), [SECOND, 2 * SECOND, 4 * SECOND]);
        assert_eq!(after(10 * SECOND), SECOND);
    }
}
