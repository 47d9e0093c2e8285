//! Keys and networks that must not join, for good or for a minute.

use std::{
    collections::{BTreeSet, VecDeque},
    net::IpAddr,
    sync::Arc,
};

use hikyaku::{
    filter::{Action, Filter, Network},
    signers::Fingerprint,
};

use super::{Chat, Peer};
use crate::{
    limits::{KICKED_FOR, MAX_BANS, MAX_KICKED},
    log::Log,
    time::Time,
};

/// Banned keys, by their fingerprints, and networks.
#[derive(Debug, Default)]
pub(super) struct Bans {
    all: BTreeSet<Arc<str>>,
    /// The networks among them.
    networks: Filter,
    /// Keys that were kicked, or addresses of members without a key, and when each may return.
    kicked: VecDeque<(Time, Arc<str>)>,
}

impl Bans {
    /// Bans a key or a network. Returns `false` if the text is neither, or there are too many.
    pub(super) fn add(&mut self, who: &str) -> bool {
        let network = who.parse::<Network>().ok();
        if network.is_none() && who.parse::<Fingerprint>().is_err() || self.all.len() >= MAX_BANS {
            return false;
        }
        self.all.insert(who.into());
        network.into_iter().for_each(|network| self.forbid_network(network));
        true
    }

    /// Lifts a ban. Returns `false` if there was none.
    pub(super) fn remove(&mut self, who: &str) -> bool {
        let removed = self.all.remove(who);
        if removed {
            self.collect_networks();
        }
        removed
    }

    fn collect_networks(&mut self) {
        self.networks = Filter::new();
        let networks: Vec<Network> = self.all.iter().filter_map(|who| who.parse().ok()).collect();
        networks.into_iter().for_each(|network| self.forbid_network(network));
    }

    fn forbid_network(&mut self, network: Network) {
        let added = self.networks.add(Action::Deny, network);
        debug_assert!(added.is_ok(), "bans do not contradict each other");
    }

    /// Returns `true` if this key, or this address, may not come.
    pub(super) fn forbid(&self, key: Option<&str>, address: Option<IpAddr>) -> bool {
        key.is_some_and(|key| self.all.contains(key))
            || address.is_some_and(|address| !self.networks.allows(address))
    }

    /// Keeps a key or an address out for [`KICKED_FOR`].
    pub(super) fn kick(&mut self, now: Time, who: Arc<str>) {
        if self.kicked.len() >= MAX_KICKED {
            self.kicked.pop_front();
        }
        self.kicked.push_back((now + KICKED_FOR, who));
    }

    /// Returns `true` if a member with this key, or one without a key at this address, may not
    /// return yet.
    pub(super) fn keep_out(&self, now: Time, key: Option<&str>, address: Option<IpAddr>) -> bool {
        if self.kicked.is_empty() {
            return false;
        }
        let address = || address.map(written);
        let Some(who) = key.map(str::to_owned).or_else(address) else { return false };
        self.kicked.iter().any(|(until, kicked)| *until > now && **kicked == *who)
    }

    /// Returns the bans in their order, as many as have about `limit` bytes.
    pub(super) fn list(&self, limit: usize) -> Vec<Arc<str>> {
        let mut len = 0;
        let fits = |who: &&Arc<str>| {
            len += who.len() + 2;
            len <= limit
        };
        self.all.iter().take_while(fits).cloned().collect()
    }
}

impl<P: Peer, L: Log> Chat<P, L> {
    /// Returns `true` if this key, or this address, may not come.
    #[must_use]
    pub fn is_banned(&self, key: Option<&str>, address: Option<IpAddr>) -> bool {
        self.bans.forbid(key, address)
    }

    /// Returns `true` if a member with this key, or without one at this address, was kicked within
    /// the last minute.
    #[must_use]
    pub fn was_kicked(&self, now: Time, key: Option<&str>, address: Option<IpAddr>) -> bool {
        self.bans.keep_out(now, key, address)
    }
}

/// Returns the form in which an address is banned.
pub(super) fn written(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_networks_are_banned_until_the_ban_is_lifted() {
        let key = Fingerprint::from_bytes(&[7; 32]).unwrap().to_string();
        let mut bans = Bans::default();
        assert!(bans.add(&key) && bans.add("10.0.0.0/8") && !bans.add("bob"));
        assert!(bans.forbid(Some(&key), None) && !bans.forbid(Some("other"), None));
        let at = |ip: &str| Some(ip.parse().unwrap());
        assert!(bans.forbid(None, at("10.1.2.3")) && bans.forbid(None, at("::ffff:10.1.2.3")));
        assert!(!bans.forbid(None, at("11.1.2.3")));
        assert!(bans.remove("10.0.0.0/8") && !bans.remove("10.0.0.0/8"));
        assert!(!bans.forbid(None, at("10.1.2.3")));
        assert_eq!(bans.list(1_000), [key.into()]);
    }

    #[test]
    fn bans_are_bounded() {
        let mut bans = Bans::default();
        for n in 0..MAX_BANS {
            assert!(bans.add(&IpAddr::from((n as u32).to_be_bytes()).to_string()), "{n}");
        }
        assert!(!bans.add("192.0.2.1"));
    }

    #[test]
    fn a_kick_lasts_for_a_minute_and_the_newest_count() {
        let (mut bans, start) = (Bans::default(), Time::ZERO);
        let home = Some(IpAddr::from([10, 0, 0, 1]));
        bans.kick(start, "10.0.0.1".into());
        assert!(bans.keep_out(start, None, home));
        assert!(!bans.keep_out(start, Some("a key"), home), "a key is another member");
        assert!(!bans.keep_out(start + KICKED_FOR, None, home));
        for n in 0..MAX_KICKED {
            bans.kick(start, format!("key {n}").into());
        }
        assert!(!bans.keep_out(start, None, home));
        assert!(bans.keep_out(start, Some("key 0"), home));
    }
}
