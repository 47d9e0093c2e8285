//! Limits how often programs of another dialect receive a hint.
//!
//! In: the time. Out: a hint, or none. Never: who it is sent to.

use std::time::{Duration, Instant};

use super::Dialect;
use crate::limits::MAX_HINTS;

/// The hints of one socket, limited per second.
#[derive(Debug)]
pub struct Hints {
    spoken: Dialect,
    second: Option<Instant>,
    said: u32,
}

impl Hints {
    /// Makes a limiter for hints that name this dialect.
    #[must_use]
    pub const fn new(spoken: Dialect) -> Self {
        Self { spoken, second: None, said: 0 }
    }

    /// Returns the dialect spoken here.
    #[must_use]
    pub const fn spoken(&self) -> Dialect {
        self.spoken
    }

    /// Returns the datagram to answer with, unless the limit of this second is reached.
    #[must_use]
    pub fn next(&mut self, now: Instant) -> Option<&'static [u8]> {
        let is_over = |since| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.second.is_none_or(is_over) {
            self.second = Some(now);
            self.said = 0;
        }
        self.said += 1;
        (self.said <= MAX_HINTS).then(|| self.spoken.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_limited_per_second() {
        let mut hints = Hints::new(Dialect::Plain);
        let start = crate::clock::monotonic();
        let said =
            |hints: &mut Hints, now| (0..1_000).filter(|_| hints.next(now).is_some()).count();
        assert_eq!(said(&mut hints, start), MAX_HINTS as usize);
        assert_eq!(said(&mut hints, start + Duration::from_millis(999)), 0);
        assert_eq!(said(&mut hints, start + Duration::from_secs(1)), MAX_HINTS as usize);
    }
}
