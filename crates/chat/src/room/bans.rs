//! Keys and networks that must not join.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use hikyaku::{
    filter::{Action, Filter, Network},
    signers::Fingerprint,
};

use crate::limits::MAX_BANS;

/// Banned keys, by their fingerprints, and networks.
#[derive(Debug, Default)]
pub(super) struct Bans {
    all: BTreeSet<Arc<str>>,
    /// The networks among them.
    networks: Filter,
}

impl Bans {
    /// Bans a key or a network. Returns `false` if the text is neither, or there are too many.
    pub(super) fn add(&mut self, who: &str) -> bool {
        let is_network = who.parse::<Network>().is_ok();
        if !is_network && who.parse::<Fingerprint>().is_err() || self.all.len() >= MAX_BANS {
            return false;
        }
        self.all.insert(who.into());
        if is_network {
            self.collect_networks();
        }
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
        for network in self.all.iter().filter_map(|who| who.parse::<Network>().ok()) {
            let added = self.networks.add(Action::Deny, network);
            debug_assert!(added.is_ok(), "a set has no contradictions");
        }
    }

    /// Returns `true` if this key, or this address, may not come.
    pub(super) fn forbid(&self, key: Option<&str>, address: Option<IpAddr>) -> bool {
        key.is_some_and(|key| self.all.contains(key))
            || address.is_some_and(|address| !self.networks.allows(address))
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
}
