//! The hosts that a search has found.

use std::net::{IpAddr, SocketAddr};

use hikyaku_text::folded;

use super::announcement::Announcement;
use crate::limits::{MAX_FOUND, MAX_FOUND_ADDRESSES, MAX_FOUND_AT_ONE};

/// A host that was found. None of its fields is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its announcement.
    pub announcement: Announcement,
    /// Its possible addresses, the best first.
    pub addresses: Vec<SocketAddr>,
}

/// The hosts found so far, at most [`MAX_FOUND`].
#[derive(Clone, Debug, Default)]
pub struct Found {
    hosts: Vec<Host>,
}

impl Found {
    /// Adds an announcement that was sent by or for `addresses`. Returns `true` if the host is new.
    ///
    /// Name, port and key identify a host: an announcement that differs in one of them belongs to
    /// another host.
    pub fn add(&mut self, announcement: Announcement, addresses: &[SocketAddr]) -> bool {
        let usable = |at: &&SocketAddr| !at.ip().is_unspecified() && !at.ip().is_multicast();
        let addresses: Vec<SocketAddr> = addresses.iter().filter(usable).copied().collect();
        let Some(first) = addresses.first().map(SocketAddr::ip) else { return false };
        if let Some(host) = self.hosts.iter_mut().find(|host| is_same(host, &announcement)) {
            host.announcement.complete(&announcement);
            host.add(&addresses);
            return false;
        }
        if self.hosts.len() >= MAX_FOUND || self.count_at(first) >= MAX_FOUND_AT_ONE {
            return false;
        }
        let mut host = Host { announcement, addresses: Vec::new() };
        host.add(&addresses);
        self.hosts.push(host);
        true
    }

    fn count_at(&self, ip: IpAddr) -> usize {
        let at = |host: &&Host| host.addresses.iter().any(|address| address.ip() == ip);
        self.hosts.iter().filter(at).count()
    }

    /// The hosts, in the order in which they were found.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Returns the hosts, by name.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Host> {
        self.hosts.sort_by(|a, b| {
            let key = |host: &Host| {
                let announcement = &host.announcement;
                (announcement.name().to_lowercase(), announcement.port())
            };
            key(a).cmp(&key(b))
        });
        self.hosts
    }
}

fn is_same(host: &Host, announcement: &Announcement) -> bool {
    let known = &host.announcement;
    known.fingerprint() == announcement.fingerprint()
        && known.port() == announcement.port()
        && known.name() == announcement.name()
}

impl Host {
    fn add(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            if self.addresses.len() < MAX_FOUND_ADDRESSES && !self.addresses.contains(address) {
                self.addresses.push(*address);
            }
        }
        // A link-local address is valid on only one interface.
        self.addresses.sort_by_key(|address| match address.ip() {
            IpAddr::V4(ip) => (ip.is_link_local(), 0),
            IpAddr::V6(ip) => (ip.is_unicast_link_local(), 1),
        });
    }

    /// Returns `true` if `name` is the name of the host, or the part of it before or after an `@`.
    /// Case and width do not matter.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let (own, name) = (folded(self.announcement.name()), folded(name));
        let is_half = |(user, machine): (&str, &str)| user == name || machine == name;
        own == name || own.split_once('@').is_some_and(is_half)
    }
}

#[cfg(test)]
mod tests {
    use hikyaku::signers::Fingerprint;

    use super::*;

    fn announced(name: &str, port: u16, key: u8) -> Announcement {
        let key = Fingerprint::from_bytes(&[key; 32]).unwrap();
        Announcement::new("chat/1", name, port, key).unwrap()
    }

    fn at(text: &str) -> [SocketAddr; 1] {
        [text.parse().unwrap()]
    }

    #[test]
    fn a_host_found_twice_has_all_its_addresses_the_best_first() {
        let mut found = Found::default();
        assert!(found.add(announced("hana", 9, 1), &at("[fe80::1%3]:9")));
        assert!(!found.add(announced("hana", 9, 1), &at("192.0.2.7:9")));
        assert!(!found.add(announced("hana", 9, 1), &at("192.0.2.7:9")));
        assert!(!found.add(announced("hana", 9, 1), &at("0.0.0.0:9")));
        let [host] = found.hosts() else { panic!("{found:?}") };
        let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.7:9", "[fe80::1%3]:9"]);
    }

    #[test]
    fn the_same_name_with_another_key_is_another_host() {
        let mut found = Found::default();
        assert!(found.add(announced("hana", 9, 1), &at("192.0.2.7:9")));
        assert!(found.add(announced("hana", 9, 2), &at("192.0.2.8:9")));
        assert!(found.add(announced("eve", 9, 1), &at("192.0.2.8:9")));
        assert_eq!(found.into_sorted().len(), 3);
    }

    #[test]
    fn neither_one_machine_nor_all_together_fill_the_table() {
        let mut found = Found::default();
        for port in 1..=100 {
            found.add(announced("eve", port, 1), &at("192.0.2.6:9"));
        }
        assert_eq!(found.hosts().len(), MAX_FOUND_AT_ONE);
        assert!(found.add(announced("hana", 9, 2), &at("192.0.2.7:9")));
        for host in 0..=255 {
            found.add(announced("eve", 9, 3), &[SocketAddr::from(([198, 51, 100, host], 9))]);
            found.add(announced(&format!("e{host}"), 9, 3), &at(&format!("203.0.113.{host}:9")));
        }
        assert_eq!(found.hosts().len(), MAX_FOUND);
        assert!(found.hosts().iter().all(|host| host.addresses.len() <= MAX_FOUND_ADDRESSES));
    }

    #[test]
    fn a_host_is_found_by_its_whole_name_or_either_half() {
        let mut found = Found::default();
        found.add(announced("Hana@thinkpad", 9, 1), &at("192.0.2.7:9"));
        let host = &found.hosts()[0];
        for name in ["hana@thinkpad", "hana", "ThinkPad"] {
            assert!(host.is_named(name), "{name}");
        }
        for name in ["", "han", "@", "hana@"] {
            assert!(!host.is_named(name), "{name}");
        }
    }

    #[test]
    fn a_host_has_the_title_and_members_from_either_way_of_searching() {
        let full = announced("hana", 9, 1).with_members(Some(3)).with_room("tea").unwrap();
        let bare = announced("hana", 9, 1);
        for order in [[&full, &bare], [&bare, &full]] {
            let mut found = Found::default();
            for announcement in order {
                found.add(announcement.clone(), &at("192.0.2.7:9"));
            }
            let known = &found.hosts()[0].announcement;
            assert_eq!((known.room(), known.members()), ("tea", Some(3)));
        }
    }

    #[test]
    fn a_title_fits_whatever_its_length_and_its_characters() {
        let most = "x".repeat(crate::limits::MAX_ANNOUNCED_ROOM);
        for (title, fits) in [
            ("", ""),
            (" tea\u{1b}[31m ", "tea[31m"),
            (&*format!("{most}y"), &*most),
            ("\u{202e}", ""),
        ] {
            let fitting = Announcement::fitting_room(title);
            assert_eq!(fitting, fits);
            assert!(announced("hana", 9, 1).with_room(&fitting).is_ok(), "{title:?}");
        }
    }
}
