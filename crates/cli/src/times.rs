//! Times of day, formatted for people and for programs.

use std::time::SystemTime;

use jiff::{Timestamp, fmt::temporal::DateTimePrinter, tz::TimeZone};

const RFC_3339: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// Returns `HH:MM:SS.mmm` in the local time zone.
pub(crate) fn local_hms_millis(time: SystemTime) -> String {
    stamp(time).to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
}

/// Returns `2026-01-31T12:00:00.123456Z` (RFC 3339).
pub(crate) fn rfc_3339(time: SystemTime) -> String {
    RFC_3339.timestamp_to_string(&stamp(time))
}

/// Converts a time. Times beyond the year 9999 do not occur on a working clock.
fn stamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_keeps_its_microseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        assert_eq!(rfc_3339(time), "2023-11-14T22:13:20.123456Z");
        assert!(local_hms_millis(time).ends_with(":20.123"), "{}", local_hms_millis(time));
    }
}
