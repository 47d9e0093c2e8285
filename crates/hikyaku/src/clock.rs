//! The only clock: all other modules receive the time as an argument.
//!
//! In: the system's clocks. Out: instants and time stamps. Never: decisions.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hikyaku_proto::time::Time;

/// Returns the wall-clock time, for people and for the age of signed or encrypted datagrams.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the time of the monotonic clock, for timers.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the timer clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Returns the time of the runtime's clock, which its timers use; a test can pause it.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the timer clock")]
pub(crate) fn runtime_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// The native protocol's time: microseconds since the endpoint began. It follows the runtime's
/// clock, as timers do: if a test pauses that clock, this one is paused too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(tokio::time::Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(runtime_now())
    }

    pub(crate) fn now(self) -> Time {
        let micros = self.0.elapsed().as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Returns the instant of a timer for `at`.
    pub(crate) fn instant(self, at: Time) -> tokio::time::Instant {
        self.0 + at.since(Time::ZERO)
    }
}

/// Returns whole seconds since the Unix epoch, as Fernet (version 0x80) and CWT claims (RFC 8392)
/// count them; 0 before the epoch.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Converts a kernel receive time stamp (time since the Unix epoch) to wall-clock time.
#[must_use]
pub fn from_unix(since_epoch: Duration) -> SystemTime {
    UNIX_EPOCH + since_epoch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_time_stamps_keep_their_microseconds() {
        let time = from_unix(Duration::new(1_700_000_000, 123_456_000));
        let since = time.duration_since(UNIX_EPOCH).unwrap();
        assert_eq!(since, Duration::from_micros(1_700_000_000_123_456));
        assert_eq!(unix_seconds(time), 1_700_000_000);
    }
}
