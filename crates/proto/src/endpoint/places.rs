//! Places for connections that have not finished their handshake (M-35).
//!
//! In: where newcomers come from, and whether they showed it. Out: who gets a place, who is asked
//! to show its address first, who gives way. Never: connections, answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    config::{EndpointConfig, Retry},
    error::Discard,
    event::ConnectionHandle,
    time::Time,
};

/// A network has this part of all places, unless its owner says otherwise: so it takes at most
/// half of them, forged newcomers and shown ones together.
const PART: usize = 4;

/// And at least so many.
const LEAST: usize = 8;

/// A place is kept for so long, whoever wants it: a handshake's two round trips. Who has networks
/// without end can thus make the server begin as many handshakes a second as there are places, and
/// no more; without that, newcomers would share the tenth of them whose 10 s are over.
const TENURE: Duration = Duration::from_secs(1);

/// Those that are taken. Networks are as many as places taken, at most.
pub(super) struct Places {
    most: usize,
    most_of_network: usize,
    /// Connections of any kind, at most.
    most_connections: usize,
    taken: usize,
    networks: BTreeMap<Network, Taken>,
    /// Those that may have to give way, by age.
    ages: BTreeSet<(Time, ConnectionHandle)>,
}

/// A place that is taken; to be given back.
#[derive(Debug)]
pub(super) struct Place {
    network: Network,
    validated: bool,
    since: Time,
    holder: ConnectionHandle,
}

/// Whom one owner of addresses can be: an IPv4 /24 or an IPv6 /56, which is what one customer
/// commonly gets (RFC 6177 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Network {
    V4([u8; 3]),
    V6([u8; 7]),
}

/// The places of one network. Forged addresses do not take those of newcomers that brought a token.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    unvalidated: usize,
    validated: usize,
}

impl Places {
    pub(super) fn new(config: &EndpointConfig) -> Self {
        let most = config.max_half_open;
        Self {
            most,
            most_of_network: config.half_open_per_network.unwrap_or((most / PART).max(LEAST)),
            most_connections: config.max_connections,
            taken: 0,
            networks: BTreeMap::new(),
            ages: BTreeSet::new(),
        }
    }

    /// How many are taken.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    /// How many there are, where there are so many connections of any kind.
    fn all(&self, connections: usize) -> usize {
        let others = connections.saturating_sub(self.taken);
        self.most.min(self.most_connections.saturating_sub(others))
    }

    /// Has a newcomer without a token to show that its address is its own (M-31)?
    pub(super) fn asks_for_retry(
        &self,
        retry: Retry,
        from: SocketAddr,
        connections: usize,
    ) -> bool {
        match retry {
            Retry::Never => false,
            Retry::UnderLoad => {
                self.taken >= self.all(connections).div_ceil(2) || self.is_full_for(from, false)
            }
            Retry::Always => true,
        }
    }

    /// Is there a place for a newcomer? `validated`: it brought a token. Then the oldest half-open
    /// connection may have to give way to it: its handle.
    ///
    /// # Errors
    ///
    /// `Busy`.
    pub(super) fn check(
        &self,
        now: Time,
        (from, validated): (SocketAddr, bool),
        connections: usize,
    ) -> Result<Option<ConnectionHandle>, Discard> {
        if self.is_full_for(from, validated) {
            return Err(Discard::Busy);
        }
        if self.taken < self.all(connections) {
            return Ok(None);
        }
        let oldest = self.ages.first().filter(|(since, _)| now.since(*since) >= TENURE);
        let (_, holder) = oldest.filter(|_| validated).ok_or(Discard::Busy)?;
        Ok(Some(*holder))
    }

    fn is_full_for(&self, from: SocketAddr, validated: bool) -> bool {
        let mut of_network = self.networks.get(&Network::of(from)).copied().unwrap_or_default();
        *of_network.of(validated) >= self.most_of_network
    }

    /// Takes a place for `holder`, after [`Self::check`].
    pub(super) fn take(
        &mut self,
        now: Time,
        (from, validated): (SocketAddr, bool),
        holder: ConnectionHandle,
    ) -> Place {
        let network = Network::of(from);
        self.taken += 1;
        *self.networks.entry(network).or_default().of(validated) += 1;
        self.ages.insert((now, holder));
        Place { network, validated, since: now, holder }
    }

    /// An application knows of its holder, who gives way to nobody from now on.
    pub(super) fn keep(&mut self, place: &Place) {
        self.ages.remove(&(place.since, place.holder));
    }

    /// Gives a place back.
    pub(super) fn give_back(&mut self, place: &Place) {
        self.keep(place);
        self.taken -= 1;
        if let Some(taken) = self.networks.get_mut(&place.network) {
            *taken.of(place.validated) -= 1;
            if taken.unvalidated + taken.validated == 0 {
                self.networks.remove(&place.network);
            }
        }
    }
}

impl Taken {
    const fn of(&mut self, validated: bool) -> &mut usize {
        if validated { &mut self.validated } else { &mut self.unvalidated }
    }
}

impl Network {
    /// IPv4 addresses are one thing in both their forms.
    fn of(from: SocketAddr) -> Self {
        match from.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Crypto;

    fn places(most: usize) -> Places {
        let config = EndpointConfig::client(Crypto::new(&[1; 32]));
        Places::new(&EndpointConfig { max_half_open: most, ..config })
    }

    fn at(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 5)
    }

    // M-35
    #[test]
    fn networks_are_24_bits_of_ipv4_and_56_of_ipv6() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.255", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("192.0.2.1", "::ffff:192.0.2.9", true),
            ("2001:db8:0:1200::1", "2001:db8:0:12ff:ffff::2", true),
            ("2001:db8:0:1200::1", "2001:db8:0:1300::1", false),
        ] {
            assert_eq!(Network::of(at(one)) == Network::of(at(other)), same, "{one} {other}");
        }
    }

    /// Takes a place as the `n`th connection, if there is one.
    fn take(places: &mut Places, n: u64, from: (&str, bool)) -> Result<Place, Discard> {
        let from = (at(from.0), from.1);
        assert_eq!(places.check(Time::ZERO, from, places.taken())?, None);
        Ok(places.take(Time::ZERO, from, ConnectionHandle(n)))
    }

    // M-35
    #[test]
    fn forged_newcomers_of_a_network_do_not_keep_out_those_that_bring_a_token() {
        let (mut places, here) = (places(100), "192.0.2.1");
        let mut taken = Vec::new();
        (0..25).for_each(|n| taken.push(take(&mut places, n, (here, false)).unwrap()));
        assert_eq!(take(&mut places, 25, (here, false)).err(), Some(Discard::Busy));
        assert!(places.asks_for_retry(Retry::UnderLoad, at(here), 25));
        assert!(!places.asks_for_retry(Retry::UnderLoad, at("192.0.3.1"), 25));
        (25..50).for_each(|n| taken.push(take(&mut places, n, (here, true)).unwrap()));
        let half = take(&mut places, 50, (here, true)).err();
        assert_eq!(half, Some(Discard::Busy), "half of all, and no more");
        taken.push(take(&mut places, 50, ("192.0.3.1", false)).unwrap());
        taken.iter().for_each(|place| places.give_back(place));
        let left = (places.taken(), places.networks.len(), places.ages.len());
        assert_eq!(left, (0, 0, 0), "nothing is kept");
    }

    // M-35
    #[test]
    fn a_small_server_has_eight_places_for_each_network_and_no_more_than_all() {
        let mut places = places(9);
        (0..8).for_each(|n| _ = take(&mut places, n, ("2001:db8::1", true)).unwrap());
        assert_eq!(take(&mut places, 8, ("2001:db8::2", true)).err(), Some(Discard::Busy));
        take(&mut places, 8, ("192.0.2.1", true)).unwrap();
        assert_eq!(take(&mut places, 9, ("192.0.3.1", true)).err(), Some(Discard::Busy));
    }

    // M-35
    #[test]
    fn the_oldest_gives_way_after_a_second_to_who_has_shown_its_address() {
        let mut places = places(9);
        let mut taken: Vec<Place> = (0..9)
            .map(|n| take(&mut places, n, (&format!("192.0.{n}.1"), true)).unwrap())
            .collect();
        let second = Time::ZERO + TENURE;
        let just_before = Time::from_micros(second.as_micros() - 1);
        let new = at("198.51.100.1");
        assert_eq!(places.check(just_before, (new, true), 9), Err(Discard::Busy));
        assert_eq!(places.check(second, (new, true), 9), Ok(Some(ConnectionHandle(0))));
        assert_eq!(places.check(second, (new, false), 9), Err(Discard::Busy), "forged, maybe");
        places.keep(&taken[0]);
        assert_eq!(places.check(second, (new, true), 9), Ok(Some(ConnectionHandle(1))));
        places.give_back(&taken.remove(0));
        assert_eq!(places.check(second, (new, true), 9), Ok(None), "one place is free");
    }

    // M-35
    #[test]
    fn connections_beyond_the_handshake_leave_less_to_newcomers() {
        let config = EndpointConfig::client(Crypto::new(&[1; 32]));
        let mut places = Places::new(&EndpointConfig { max_connections: 60, ..config });
        let new = at("198.51.100.1");
        assert!(!places.asks_for_retry(Retry::UnderLoad, new, 40));
        (0..10).for_each(|n| _ = take(&mut places, n, (&format!("192.0.{n}.1"), false)).unwrap());
        assert!(places.asks_for_retry(Retry::UnderLoad, new, 50), "10 of 20");
        assert!(!places.asks_for_retry(Retry::UnderLoad, new, 10), "10 of 60");
        assert_eq!(places.check(Time::ZERO, (new, true), 59), Ok(None));
        assert_eq!(places.check(Time::ZERO, (new, true), 60), Err(Discard::Busy));
    }
}
