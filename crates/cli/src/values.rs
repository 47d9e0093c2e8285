//! Values as people write them: times, names, addresses of ours.
//!
//! In: one word of the command line. Out: what it means, or why it means nothing. Never: options.

use std::time::Duration;

use hikyaku::address::{Address, AddressError};
use hikyaku_chat::Name;

use crate::limits::MAX_TIME;

/// A comment is part of a line that others copy into their files.
pub(crate) fn comment(text: &str) -> Result<String, String> {
    if !text.chars().all(hikyaku_chat::is_safe) {
        return Err("it holds a line end or another character that cannot be seen".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|e| e.to_string())
}

/// An address of ours: any free port where none is given.
pub(crate) fn source_address(text: &str) -> Result<Address, AddressError> {
    Address::parse(text, 0)
}

/// A duration as people write it: `250ms`, `2s`, `1.5s`, `1h 30m`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time of at most a year; write 250ms, 2s or 5m");
    let time = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map(Duration::from_secs).map_err(|_| wrong())?
    } else {
        let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        Duration::try_from(signed).map_err(|_| wrong())?
    };
    if time <= MAX_TIME { Ok(time) } else { Err(wrong()) }
}

/// A duration that is not nothing.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = |text: &str| duration(text).map(|d| d.as_millis());
        assert_eq!(read("250ms"), Ok(250));
        assert_eq!(read("2s"), Ok(2_000));
        assert_eq!(read("1.5s"), Ok(1_500));
        assert_eq!(read("5m"), Ok(300_000));
        assert_eq!(read("1h 30m"), Ok(5_400_000));
        assert_eq!(read("3"), Ok(3_000));
        for wrong in ["", "soon", "-2s", "2 parsecs", ":5000", "99999999999999999999"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
