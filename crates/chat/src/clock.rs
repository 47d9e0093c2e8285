//! The glue's clock: what the pure rooms are told, and how long to sleep for them.
//!
//! In: hikyaku's clock. Out: times, stamps, sleep. Never: decisions.

use std::{future, time::Instant};

use hikyaku::clock::{monotonic, wall};
use jiff::{Timestamp, tz::TimeZone};

use crate::time::Time;

/// A clock that starts at zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { epoch: monotonic() }
    }

    pub(crate) fn now(self) -> Time {
        Time::from_epoch(monotonic().saturating_duration_since(self.epoch))
    }

    /// Sleeps until `wake`; for ever without one, or where it is too far off to express.
    pub(crate) async fn sleep_until(self, wake: Option<Time>) {
        match wake.and_then(|wake| self.epoch.checked_add(wake.since_epoch())) {
            Some(wake) => tokio::time::sleep_until(wake.into()).await,
            None => future::pending().await,
        }
    }
}

/// The time of day here, `HH:MM:SS`.
pub(crate) fn stamp() -> String {
    let now = Timestamp::try_from(wall()).unwrap_or(Timestamp::UNIX_EPOCH);
    now.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}
