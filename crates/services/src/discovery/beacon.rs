//! Searches and answers as bytes.
//!
//! ```text
//! search  "hikyaku?" version token application zeros, 512 bytes in all
//! answer  "hikyaku!" version token port fingerprint flags members
//!         application name room addresses …
//! ```
//!
//! Version, flags and lengths are one byte, a token eight, a port two and a number of members four,
//! big-endian. A text is its length, then UTF-8. Addresses are a count, then for each its family (4
//! or 6) and its bytes. Receivers ignore trailing bytes of an answer, which are for later versions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku::signers::Fingerprint;

use super::announcement::Announcement;
use crate::limits::{MAX_ANNOUNCED_ADDRESSES, SEARCH_LEN};

const SEARCH: &[u8; 8] = b"hikyaku?";
const ANSWER: &[u8; 8] = b"hikyaku!";
const VERSION: u8 = 1;

const NEEDS_KEY: u8 = 1;
const HAS_MEMBERS: u8 = 2;

/// The token that an answer repeats, so that a search accepts only answers to itself.
pub type Token = [u8; 8];

/// A search for hosts of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The token that an answer repeats.
    pub token: Token,
    /// The application wanted.
    pub application: &'a str,
}

impl<'a> Query<'a> {
    /// Encodes the search. An application name beyond the limit of announcements is truncated.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEARCH_LEN);
        out.extend_from_slice(SEARCH);
        out.push(VERSION);
        out.extend_from_slice(&self.token);
        put_text(&mut out, self.application);
        out.resize(SEARCH_LEN, 0);
        out
    }

    /// Decodes a search; returns `None` if the datagram is something else.
    #[must_use]
    pub fn decode(datagram: &'a [u8]) -> Option<Self> {
        let mut rest = Reader(datagram);
        let is_search = datagram.len() == SEARCH_LEN
            && rest.take(SEARCH.len())? == SEARCH
            && rest.byte()? == VERSION;
        is_search.then_some(())?;
        Some(Self { token: rest.array()?, application: rest.text()? })
    }
}

/// An answer to a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The token of the search.
    pub token: Token,
    /// What the host announces.
    pub announcement: Announcement,
}

impl Answer {
    /// Encodes the answer. It is never longer than a search.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { token, announcement } = self;
        let mut out = Vec::with_capacity(SEARCH_LEN);
        out.extend_from_slice(ANSWER);
        out.push(VERSION);
        out.extend_from_slice(token);
        out.extend_from_slice(&announcement.port().to_be_bytes());
        out.extend_from_slice(announcement.fingerprint().as_bytes());
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let has_members = flag(announcement.members().is_some(), HAS_MEMBERS);
        out.push(flag(announcement.needs_key(), NEEDS_KEY) | has_members);
        out.extend_from_slice(&announcement.members().unwrap_or(0).to_be_bytes());
        put_text(&mut out, announcement.application());
        put_text(&mut out, announcement.name());
        put_text(&mut out, announcement.room());
        out.push(u8::try_from(announcement.addresses().len()).unwrap_or(0));
        for address in announcement.addresses() {
            match address {
                IpAddr::V4(ip) => {
                    out.push(4);
                    out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(6);
                    out.extend_from_slice(&ip.octets());
                }
            }
        }
        debug_assert!(out.len() <= SEARCH_LEN, "an answer is no longer than a search");
        out
    }

    /// Decodes an answer; returns `None` if the datagram is something else.
    #[must_use]
    pub fn decode(datagram: &[u8]) -> Option<Self> {
        let mut rest = Reader(datagram);
        let is_answer = datagram.len() <= SEARCH_LEN
            && rest.take(ANSWER.len())? == ANSWER
            && rest.byte()? == VERSION;
        is_answer.then_some(())?;
        let token = rest.array()?;
        let port = u16::from_be_bytes(rest.array()?);
        let fingerprint = Fingerprint::from_bytes(rest.take(32)?)?;
        let flags = rest.byte()?;
        let members = u32::from_be_bytes(rest.array()?);
        let (application, name, room) = (rest.text()?, rest.text()?, rest.text()?);
        let addresses = rest.addresses()?;
        let announcement = Announcement::new(application, name, port, fingerprint)
            .and_then(|announcement| announcement.with_room(room))
            .ok()?
            .with_members((flags & HAS_MEMBERS != 0).then_some(members))
            .with_key_needed(flags & NEEDS_KEY != 0)
            .with_addresses(&addresses);
        Some(Self { token, announcement })
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = &text.as_bytes()[..text.len().min(usize::from(u8::MAX))];
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text);
}

/// The rest of a datagram, not yet decoded.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.byte()?;
        std::str::from_utf8(self.take(len.into())?).ok()
    }

    fn addresses(&mut self) -> Option<Vec<IpAddr>> {
        let count = usize::from(self.byte()?);
        if count > MAX_ANNOUNCED_ADDRESSES {
            return None;
        }
        (0..count)
            .map(|_| match self.byte()? {
                4 => Some(Ipv4Addr::from(self.array::<4>()?).into()),
                6 => Some(Ipv6Addr::from(self.array::<16>()?).into()),
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::limits::{MAX_ANNOUNCED_NAME, MAX_ANNOUNCED_ROOM, MAX_APPLICATION};

    fn fingerprint(byte: u8) -> Fingerprint {
        Fingerprint::from_bytes(&[byte; 32]).unwrap()
    }

    prop_compose! {
        fn announcements()(
            application in "[!-~]{1,32}",
            name in "[a-z飛脚]{1,21}",
            room in "(#[a-zé ]{0,30}[a-z])?",
            port in 1..=u16::MAX,
            key in any::<[u8; 32]>(),
            members in any::<Option<u32>>(),
            needs_key in any::<bool>(),
            addresses in vec(any::<IpAddr>(), 0..6),
        ) -> Announcement {
            let key = Fingerprint::from_bytes(&key).unwrap();
            Announcement::new(&application, &name, port, key).unwrap()
                .with_room(&room).unwrap()
                .with_members(members)
                .with_key_needed(needs_key)
                .with_addresses(&addresses)
        }
    }

    proptest! {
        #[test]
        fn an_answer_round_trips_and_is_no_longer_than_its_search(
            token in any::<Token>(), announcement in announcements(),
        ) {
            let answer = Answer { token, announcement };
            let bytes = answer.encode();
            prop_assert!(bytes.len() <= SEARCH_LEN);
            prop_assert_eq!(Answer::decode(&bytes), Some(answer.clone()));
            let mut later = bytes.clone();
            later.push(9);
            prop_assert_eq!(Answer::decode(&later), Some(answer), "a later version's fields");
            for len in 0..bytes.len() {
                prop_assert_eq!(Answer::decode(&bytes[..len]), None, "cut at {}", len);
            }
        }

        #[test]
        fn every_decoded_announcement_can_be_shown(mut bytes in vec(any::<u8>(), 0..600)) {
            if let Some(start) = bytes.get_mut(..9) {
                start.copy_from_slice(b"hikyaku!\x01");
            }
            if let Some(answer) = Answer::decode(&bytes) {
                let announcement = &answer.announcement;
                prop_assert!(announcement.name().chars().all(hikyaku_text::is_safe));
                prop_assert!(announcement.room().chars().all(hikyaku_text::is_safe));
                prop_assert_eq!(Answer::decode(&answer.encode()), Some(answer));
            }
        }
    }

    #[test]
    fn the_longest_answer_is_no_longer_than_a_search() {
        let longest = Announcement::new(
            &"a".repeat(MAX_APPLICATION),
            &"n".repeat(MAX_ANNOUNCED_NAME),
            9,
            fingerprint(1),
        );
        let longest = longest.unwrap().with_room(&"r".repeat(MAX_ANNOUNCED_ROOM)).unwrap();
        let longest = longest.with_addresses(&[IpAddr::from([9; 16]); MAX_ANNOUNCED_ADDRESSES]);
        let answer = Answer { token: [7; 8], announcement: longest };
        assert!(answer.encode().len() <= SEARCH_LEN, "{}", answer.encode().len());
    }

    #[test]
    fn a_search_round_trips_and_a_shorter_one_is_invalid() {
        let query = Query { token: [3; 8], application: "chat/1" };
        let bytes = query.encode();
        assert_eq!(bytes.len(), SEARCH_LEN);
        assert_eq!(Query::decode(&bytes), Some(query));
        assert_eq!(Query::decode(&bytes[..SEARCH_LEN - 1]), None, "its answer would be longer");
        let mut other = bytes.clone();
        other[8] = 2;
        assert_eq!(Query::decode(&other), None, "another version");
        let mut other = bytes;
        other[17] = 0xFF;
        other[18] = 0xFF;
        assert_eq!(Query::decode(&other), None, "no UTF-8");
    }

    #[test]
    fn an_announcement_cannot_control_a_terminal() {
        for name in ["", " a", "a\u{1b}[2J", "a\nb", "\u{202e}a", "a\u{2800}", &"n".repeat(64)] {
            assert!(Announcement::new("chat/1", name, 9, fingerprint(1)).is_err(), "{name:?}");
        }
        assert_eq!(Announcement::fitting("飛脚 \u{1b}[1m\n", "x"), "飛脚 [1m");
        assert_eq!(Announcement::fitting("\u{202e} \n", "someone"), "someone");
        let long = Announcement::fitting(&"é".repeat(60), "x");
        assert!(Announcement::new("chat/1", &long, 9, fingerprint(1)).is_ok());
    }
}
