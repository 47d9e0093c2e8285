//! How fast the messages and bytes of a page are read.

use std::time::Duration;

use tokio::time::Instant;

/// The generic cell rate algorithm (ITU-T I.371): the time at which the allowance is full again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    full_at: Instant,
    /// The time per unit in the long run.
    interval: Duration,
    /// How far units may be ahead of that.
    tolerance: Duration,
}

impl Pace {
    /// Creates a pace of `per_second` units in the long run and `burst` at once.
    pub(crate) fn new(now: Instant, per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second;
        Self { full_at: now, interval, tolerance: interval * (burst - 1) }
    }

    /// Counts units that were read.
    pub(crate) fn count(&mut self, now: Instant, units: u32) {
        self.full_at = self.full_at.max(now) + self.interval.saturating_mul(units);
    }

    /// Returns when the next unit may be read.
    pub(crate) fn ready_at(&self) -> Instant {
        self.full_at.checked_sub(self.tolerance).unwrap_or(self.full_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_is_read_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now() + Duration::from_secs(3_600);
        let interval = Duration::from_millis(10);
        let mut pace = Pace::new(now, 100, 400);
        for _ in 0..400 {
            assert!(pace.ready_at() <= now);
            pace.count(now, 1);
        }
        for late in 1..=50 {
            let at = now + interval * late;
            assert_eq!(pace.ready_at(), at);
            pace.count(at, 1);
        }
    }
}
