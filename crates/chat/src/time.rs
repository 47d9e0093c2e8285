//! Points in time, as the pure modules count them.

use std::{ops::Add, time::Duration};

use serde::{Deserialize, Serialize};

/// The time of a call, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub time: Time,
    /// For people.
    pub stamp: Stamp,
}

/// A time of the wall clock, in milliseconds since the Unix epoch. It may go backwards.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Stamp(u64);

impl Stamp {
    /// Creates a stamp from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// A point in time: the time since an epoch that the caller chose, in nanoseconds.
///
/// It is monotonic and never shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

impl Time {
    /// The epoch.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The end of time.
    pub const END: Self = Self(Duration::MAX);

    /// Creates the point `since_epoch` after the epoch.
    #[must_use]
    pub const fn from_epoch(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// Returns the time since the epoch.
    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// Returns the time since `earlier`, or zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Adds a duration; saturates instead of wrapping.
impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_time_does_not_wrap() {
        let end = Time::from_epoch(Duration::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
    }

    #[test]
    fn the_time_since_a_later_point_is_zero() {
        let later = Time::from_epoch(Duration::from_secs(2));
        assert_eq!(Time::ZERO.since(later), Duration::ZERO);
        assert_eq!(later.since(Time::ZERO), Duration::from_secs(2));
    }
}
