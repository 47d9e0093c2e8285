//! Limits how fast messages of a page are read.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{MESSAGES_AT_ONCE, MESSAGES_PER_SECOND};

/// The generic cell rate algorithm (ITU-T I.371): the time at which the allowance is full again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    full_at: Instant,
}

impl Pace {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Counts a message that was read.
    pub(crate) fn count(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + interval();
    }

    /// Returns when the next message may be read.
    pub(crate) fn ready_at(&self) -> Instant {
        let burst = interval() * (MESSAGES_AT_ONCE - 1);
        self.full_at.checked_sub(burst).unwrap_or(self.full_at)
    }
}

fn interval() -> Duration {
    Duration::from_secs(1) / MESSAGES_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_is_read_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now() + Duration::from_secs(3_600);
        let mut pace = Pace::new(now);
        for _ in 0..MESSAGES_AT_ONCE {
            assert!(pace.ready_at() <= now);
            pace.count(now);
        }
        for late in 1..=50 {
            let at = now + interval() * late;
            assert_eq!(pace.ready_at(), at);
            pace.count(at);
        }
    }
}
