//! Parsers of option values: durations, names, addresses, numbers.

use std::{path::PathBuf, time::Duration};

use hikyaku::{
    Congestion, Delivery,
    address::{Address, AddressError},
};
use hikyaku_chat::Name;

use hikyaku_services::{files::FILES_CHANNEL, limits::MAX_ISSUED};

use crate::{language::language, limits::MAX_TIME};

/// Parses a comment, which becomes part of a line that others copy into their files.
pub(crate) fn comment(text: &str) -> Result<String, String> {
    if !text.chars().all(hikyaku_text::is_safe) {
        return Err(say!(
            "it contains a line end or another invisible character",
            "改行など、目に見えない文字が含まれています"
        ));
    }
    Ok(text.to_owned())
}

pub(crate) fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|e| language().name_error(e))
}

/// Parses a local address; without a port, any free one is used.
pub(crate) fn source_address(text: &str) -> Result<Address, AddressError> {
    Address::parse(text, 0)
}

/// Parses the name of a shared key and its file.
pub(crate) fn shared_name(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once(':') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.into()))
        }
        _ => Err(say!("write IDENTITY:KEYFILE", "IDENTITY:KEYFILE の形で書いてください")),
    }
}

/// Parses a delivery class: its name, with a time for `deadline`.
pub(crate) fn class(text: &str) -> Result<Delivery, String> {
    match text.split_once('=') {
        Some(("deadline", time)) => some_time(time).map(Delivery::Deadline),
        _ => match text {
            "ordered" => Ok(Delivery::Ordered),
            "reliable" => Ok(Delivery::Reliable),
            "latest" => Ok(Delivery::Latest),
            "unreliable" => Ok(Delivery::Unreliable),
            "deadline" => Err(say!(
                "a deadline needs its time: deadline=200ms",
                "deadline には時間が必要です: deadline=200ms"
            )),
            _ => Err(say!(
                "it is ordered, reliable, latest, unreliable or deadline=200ms",
                "ordered、reliable、latest、unreliable、deadline=200ms のいずれかです"
            )),
        },
    }
}

/// What an invite contains besides the addresses and the key of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InviteKind {
    /// Nothing.
    Open,
    /// The shared key.
    Shared,
    /// A secret for one guest, in each of this many invites.
    Once(usize),
}

/// Whom a link to the page admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebLink {
    /// One person each, in this many links at a time.
    Once(usize),
    /// Anyone who has it.
    Shared,
}

/// Parses whom a link to the page admits.
pub(crate) fn web_link(text: &str) -> Result<WebLink, String> {
    match invite_kind(text) {
        Ok(InviteKind::Once(count)) => Ok(WebLink::Once(count)),
        Ok(InviteKind::Shared) => Ok(WebLink::Shared),
        _ => Err(say!("it is once, once=N or shared", "once、once=N、shared のいずれかです")),
    }
}

/// Parses what an invite contains.
pub(crate) fn invite_kind(text: &str) -> Result<InviteKind, String> {
    match text.split_once('=').unwrap_or((text, "1")) {
        ("open", "1") if text == "open" => Ok(InviteKind::Open),
        ("shared", "1") if text == "shared" => Ok(InviteKind::Shared),
        ("once", count) => number::<usize>(1, MAX_ISSUED as u64)(count).map(InviteKind::Once),
        _ => Err(say!(
            "it is open, shared, once or once=N",
            "open、shared、once、once=N のいずれかです"
        )),
    }
}

/// Parses congestion control: its name, with a rate in bits per second for `fixed`.
pub(crate) fn congestion(text: &str) -> Result<Congestion, String> {
    match text.split_once('=') {
        Some(("fixed", rate)) => bit_rate(rate).map(|bits| Congestion::Fixed { rate: bits / 8 }),
        _ => Congestion::from_name(text).ok_or_else(|| {
            say!(
                "it is bbr, cubic or fixed=4M (bits per second)",
                "bbr、cubic、fixed=4M（ビット毎秒）のいずれかです"
            )
        }),
    }
}

/// Parses a rate in bits per second, with an optional K, M or G.
fn bit_rate(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    };
    let rate: Option<u64> = digits.parse().ok().and_then(|rate: u64| rate.checked_mul(unit));
    rate.filter(|rate| *rate >= 8).ok_or_else(|| {
        say!(
            "a rate is a number of bits per second, such as 4M or 500K",
            "速度は 4M や 500K のようなビット毎秒の数です"
        )
    })
}

/// Parses a channel for messages; the last channel is reserved for files.
pub(crate) fn channel(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(FILES_CHANNEL) => Err(say!(
            "channel {FILES_CHANNEL} is for files (--file)",
            "チャネル {FILES_CHANNEL} はファイル用です（--file）"
        )),
        Ok(channel) => Ok(channel),
        Err(_) => Err(say!(
            "a channel is a number from 0 to {}",
            "チャネルは 0 から {} までの数です",
            FILES_CHANNEL - 1
        )),
    }
}

/// Returns a parser of numbers from `least` to `most`.
pub(crate) fn number<T: TryFrom<u64>>(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        let wrong = || match most {
            u64::MAX => {
                say!("it is not a number from {least} on", "{least} 以上の数ではありません")
            }
            _ => say!(
                "it is not a number from {least} to {most}",
                "{least} から {most} までの数ではありません"
            ),
        };
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(wrong)
    }
}

/// Parses a duration: `250ms`, `2s`, `1.5s`, `1h 30m`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        say!(
            "{text:?} is not a time of at most a year; write 250ms, 2s or 5m",
            "{text:?} は 1 年以内の時間ではありません。250ms、2s、5m のように書いてください"
        )
    };
    let time = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map(Duration::from_secs).map_err(|_| wrong())?
    } else {
        let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        Duration::try_from(signed).map_err(|_| wrong())?
    };
    if time <= MAX_TIME { Ok(time) } else { Err(wrong()) }
}

/// When to stop waiting for replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    /// This long after the last message.
    For(Duration),
    /// After this many replies.
    Count(u64),
}

/// Parses a number of replies, or a duration with its unit.
pub(crate) fn replies(text: &str) -> Result<Replies, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        let neither = |_| {
            say!(
                "{text:?} is neither a time (500ms, 2s) nor a number of replies",
                "{text:?} は時間（500ms、2s）でも返信の数でもありません"
            )
        };
        return duration(text).map(Replies::For).map_err(neither);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(say!(
            "{text} is not a number of replies; write a time as 2s or 250ms",
            "{text} は返信の数ではありません。時間は 2s や 250ms と書きます"
        )),
        Ok(count) => Ok(Replies::Count(count)),
    }
}

/// Parses a duration above zero.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() {
        Err(say!("it must be longer than zero", "0 より長くしてください"))
    } else {
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn congestion_control_is_read_by_name_and_a_fixed_rate_in_bits() {
        assert_eq!(congestion("cubic"), Ok(Congestion::Cubic));
        assert_eq!(congestion("fixed=4M"), Ok(Congestion::Fixed { rate: 500_000 }));
        assert_eq!(congestion("fixed=64000"), Ok(Congestion::Fixed { rate: 8_000 }));
        for wrong in ["", "fixed", "fixed=", "fixed=0", "fixed=4T", "fixed=99999999999G", "bbr=1"] {
            assert!(congestion(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn classes_are_read_by_name_and_a_deadline_with_its_time() {
        assert_eq!(class("latest"), Ok(Delivery::Latest));
        let soon = Delivery::Deadline(Duration::from_millis(200));
        assert_eq!(class("deadline=200ms"), Ok(soon));
        for wrong in ["", "deadline", "deadline=", "deadline=0s", "Ordered", "reliable=1s"] {
            assert!(class(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_invite_contains_nothing_a_key_or_secrets_for_some_guests() {
        assert_eq!(invite_kind("open"), Ok(InviteKind::Open));
        assert_eq!(invite_kind("shared"), Ok(InviteKind::Shared));
        assert_eq!(invite_kind("once"), Ok(InviteKind::Once(1)));
        assert_eq!(invite_kind("once=12"), Ok(InviteKind::Once(12)));
        for wrong in ["", "Once", "once=0", "once=", "once=100000", "shared=1", "open=1"] {
            assert!(invite_kind(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_link_admits_one_person_or_anyone_who_has_it() {
        assert_eq!(web_link("once"), Ok(WebLink::Once(1)));
        assert_eq!(web_link("once=10"), Ok(WebLink::Once(10)));
        assert_eq!(web_link("shared"), Ok(WebLink::Shared));
        assert!(web_link("open").is_err() && web_link("once=0").is_err());
    }

    #[test]
    fn the_channel_of_files_is_not_for_messages() {
        assert_eq!(channel("65534"), Ok(65_534));
        assert!(channel("65535").unwrap_err().contains("--file"));
        assert!(channel("65536").is_err() && channel("-1").is_err());
    }

    #[test]
    fn a_bare_number_of_replies_is_a_count_and_a_time_has_its_unit() {
        assert_eq!(replies("1"), Ok(Replies::Count(1)));
        assert_eq!(replies("1s"), Ok(Replies::For(Duration::from_secs(1))));
        assert!(replies("0").is_err() && replies("soon").is_err() && replies("").is_err());
    }

    #[test]
    fn a_number_out_of_range_is_answered_with_the_range() {
        let chunk = number::<u16>(1, 65_535);
        assert_eq!(chunk("1"), Ok(1));
        for wrong in ["1k", "0", "65536", "-1", "", "1.5"] {
            assert_eq!(chunk(wrong).unwrap_err(), "it is not a number from 1 to 65535", "{wrong}");
        }
        let count = number::<u64>(1, u64::MAX);
        assert_eq!(count("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(count("0").unwrap_err(), "it is not a number from 1 on");
    }

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
