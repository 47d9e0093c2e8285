//! The clock of servers and clients: the time for the pure modules, and sleep until they are due.

use std::{
    future,
    time::{Instant, UNIX_EPOCH},
};

use hikyaku::clock::{monotonic, wall};
use jiff::{Timestamp, tz::TimeZone};

use crate::time::{Now, Stamp, Time};

/// A clock that starts at zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { epoch: monotonic() }
    }

    /// Returns the time by both clocks.
    pub(crate) fn now(self) -> Now {
        Now { time: self.time(), stamp: stamp() }
    }

    /// Returns the time for deadlines.
    pub(crate) fn time(self) -> Time {
        Time::from_epoch(monotonic().saturating_duration_since(self.epoch))
    }

    /// Sleeps until `wake`; forever without one, or if it is too far in the future.
    pub(crate) async fn sleep_until(self, wake: Option<Time>) {
        match wake.and_then(|wake| self.epoch.checked_add(wake.since_epoch())) {
            Some(wake) => tokio::time::sleep_until(wake.into()).await,
            None => future::pending().await,
        }
    }
}

/// Returns the time of the wall clock.
pub(crate) fn stamp() -> Stamp {
    let since_epoch = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Returns the local time of day, `HH:MM:SS`.
pub(crate) fn time_of_day(stamp: Stamp) -> String {
    let time = i64::try_from(stamp.as_millis()).map(Timestamp::from_millisecond);
    let time = time.ok().and_then(Result::ok).unwrap_or_default();
    time.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// Returns the current local time of day, `HH:MM:SS`.
pub(crate) fn time_of_day_now() -> String {
    time_of_day(stamp())
}
