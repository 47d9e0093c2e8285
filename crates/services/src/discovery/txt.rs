//! An announcement as the TXT record of a DNS service (RFC 6763, section 6).

use super::announcement::Announcement;

/// The type of our services: the application is in the TXT record, so that one type serves all.
pub(super) const SERVICE: &str = "_hikyaku._udp.local.";

const VERSION: &str = "1";

/// Returns the record's keys and values.
pub(super) fn encode(announcement: &Announcement) -> Vec<(&'static str, String)> {
    let mut record = vec![
        ("txtvers", VERSION.to_owned()),
        ("app", announcement.application().to_owned()),
        ("name", announcement.name().to_owned()),
        ("key", announcement.fingerprint().to_string()),
    ];
    if !announcement.room().is_empty() {
        record.push(("room", announcement.room().to_owned()));
    }
    if announcement.needs_key() {
        record.push(("locked", "1".to_owned()));
    }
    record
}

/// Returns the announcement in the record of a service with this port, or `None` if the record is
/// incomplete or not ours.
pub(super) fn decode<'a>(
    port: u16,
    value: impl Fn(&'static str) -> Option<&'a str>,
) -> Option<Announcement> {
    if value("txtvers")? != VERSION {
        return None;
    }
    let key = value("key")?.parse().ok()?;
    let announcement = Announcement::new(value("app")?, value("name")?, port, key).ok()?;
    let announcement = announcement.with_room(value("room").unwrap_or_default()).ok()?;
    Some(announcement.with_key_needed(value("locked") == Some("1")))
}

#[cfg(test)]
mod tests {
    use hikyaku::signers::Fingerprint;

    use super::*;

    fn announcement() -> Announcement {
        let key = Fingerprint::from_bytes(&[1; 32]).unwrap();
        Announcement::new("chat/1", "花子@飛脚", 9, key).unwrap()
    }

    fn decoded(record: &[(&'static str, String)]) -> Option<Announcement> {
        let value = |wanted| record.iter().find(|(key, _)| *key == wanted);
        decode(9, |wanted| value(wanted).map(|(_, value)| value.as_str()))
    }

    #[test]
    fn a_record_round_trips_and_fits_its_strings() {
        let rich = announcement().with_room("#tea").unwrap().with_key_needed(true);
        for announcement in [announcement(), rich] {
            let record = encode(&announcement);
            assert!(record.iter().all(|(key, value)| key.len() + value.len() < 255));
            assert_eq!(decoded(&record), Some(announcement));
        }
    }

    #[test]
    fn a_record_without_a_key_or_of_another_version_is_invalid() {
        for (at, value) in [(0, "2"), (1, ""), (2, "\u{1b}[2J"), (3, "SHA256:x")] {
            let mut record = encode(&announcement());
            record[at].1 = value.to_owned();
            assert_eq!(decoded(&record), None, "{record:?}");
        }
        assert_eq!(decoded(&[]), None);
    }
}
