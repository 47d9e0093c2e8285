//! The number of connections, in total and per address.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::limits::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS};

/// The connections of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Without empty sites.
    by_site: BTreeMap<IpAddr, usize>,
}

/// The slot of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Crowd,
    site: Option<IpAddr>,
}

impl Crowd {
    /// Returns a slot, unless there are too many connections in total or from this address.
    pub(crate) fn enter(&self, from: IpAddr) -> Option<Place> {
        let site = site(from);
        let mut counts = self.lock();
        if counts.all >= MAX_CONNECTIONS {
            return None;
        }
        if let Some(site) = site {
            let there = counts.by_site.entry(site).or_default();
            if *there >= MAX_CONNECTIONS_PER_ADDRESS {
                return None;
            }
            *there += 1;
        }
        counts.all += 1;
        Some(Place { crowd: self.clone(), site })
    }

    /// A poisoned lock would mean a panic between two statements that cannot panic.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.lock();
        counts.all -= 1;
        let Some(site) = self.site else { return };
        if let Some(there) = counts.by_site.get_mut(&site) {
            *there -= 1;
            if *there == 0 {
                counts.by_site.remove(&site);
            }
        }
    }
}

/// Returns the unit by which addresses are limited, if they are: an IPv6 /64 may belong to one
/// machine.
fn site(ip: IpAddr) -> Option<IpAddr> {
    match ip.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(ip.into()),
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(crowd: &Crowd, from: &str) -> Vec<Place> {
        let from = from.parse().unwrap();
        std::iter::from_fn(|| crowd.enter(from)).collect()
    }

    #[test]
    fn an_address_has_its_share_and_regains_it() {
        let crowd = Crowd::default();
        let places = fill(&crowd, "192.0.2.7");
        assert_eq!(places.len(), MAX_CONNECTIONS_PER_ADDRESS);
        assert!(crowd.enter("::ffff:192.0.2.7".parse().unwrap()).is_none());
        let network = fill(&crowd, "2001:db8::1");
        assert_eq!(network.len(), MAX_CONNECTIONS_PER_ADDRESS);
        assert!(crowd.enter("2001:db8::2".parse().unwrap()).is_none());
        assert!(crowd.enter("2001:db8:0:1::2".parse().unwrap()).is_some());
        drop(places);
        assert!(crowd.enter("192.0.2.7".parse().unwrap()).is_some());
        drop(network);
        assert!(crowd.lock().by_site.is_empty());
    }

    #[test]
    fn all_connections_together_are_bounded() {
        let crowd = Crowd::default();
        let places = fill(&crowd, "127.0.0.1");
        assert_eq!(places.len(), MAX_CONNECTIONS);
        assert!(crowd.enter("192.0.2.7".parse().unwrap()).is_none());
    }
}
