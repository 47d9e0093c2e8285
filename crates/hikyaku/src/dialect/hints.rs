//! How often programs of another dialect are answered with the one spoken here.
//!
//! In: the time. Out: a hint, or none. Never: who it is for.

use std::time::{Duration, Instant};

use super::Dialect;
use crate::limits::MAX_HINTS;

/// The hints of one socket, so many a second.
#[derive(Debug)]
pub struct Hints {
    spoken: Dialect,
    second: Option<Instant>,
    said: u32,
}

impl Hints {
    /// Returns no hints so far, of what is spoken here.
    #[must_use]
    pub const fn new(spoken: Dialect) -> Self {
        Self { spoken, second: None, said: 0 }
    }

    /// What is spoken here.
    #[must_use]
    pub const fn spoken(&self) -> Dialect {
        self.spoken
    }

    /// The datagram to answer with, unless enough was said in this second.
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
    fn so_many_a_second_and_no_more() {
        let mut hints = Hints::new(Dialect::Plain);
        let start = crate::clock::monotonic();
        let said =
            |hints: &mut Hints, now| (0..1_000).filter(|_| hints.next(now).is_some()).count();
        assert_eq!(said(&mut hints, start), MAX_HINTS as usize);
        assert_eq!(said(&mut hints, start + Duration::from_millis(999)), 0);
        assert_eq!(said(&mut hints, start + Duration::from_secs(1)), MAX_HINTS as usize);
    }
}
