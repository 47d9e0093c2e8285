//! Places for connections that have not finished their handshake (M-35).
//!
//! In: where newcomers come from, and whether they showed it. Out: who gets a place, who is asked
//! to show its address first. Never: connections, answers.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use crate::{
    config::{EndpointConfig, Retry},
    error::Discard,
};

/// A network has this part of all places, unless its owner says otherwise: so it takes at most
/// half of them, forged newcomers and shown ones together.
const PART: usize = 4;

/// And at least so many.
const LEAST: usize = 8;

/// Those that are taken. Networks are as many as places taken, at most.
pub(super) struct Places {
    most: usize,
    most_of_network: usize,
    taken: usize,
    networks: BTreeMap<Network, Taken>,
}

/// A place that is taken; to be given back.
#[derive(Debug)]
pub(super) struct Place {
    network: Network,
    validated: bool,
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
        let most_of_network = config.half_open_per_network.unwrap_or((most / PART).max(LEAST));
        Self { most, most_of_network, taken: 0, networks: BTreeMap::new() }
    }

    /// How many are taken.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    /// Has a newcomer without a token to show that its address is its own (M-31)?
    pub(super) fn asks_for_retry(&self, retry: Retry, from: SocketAddr) -> bool {
        match retry {
            Retry::Never => false,
            Retry::UnderLoad => {
                self.taken >= self.most.div_ceil(2) || self.check(from, false).is_err()
            }
            Retry::Always => true,
        }
    }

    /// Is there a place for a newcomer? `validated`: it brought a token.
    ///
    /// # Errors
    ///
    /// `Busy`.
    pub(super) fn check(&self, from: SocketAddr, validated: bool) -> Result<(), Discard> {
        let mut of_network = self.networks.get(&Network::of(from)).copied().unwrap_or_default();
        let free = self.taken < self.most && *of_network.of(validated) < self.most_of_network;
        if free { Ok(()) } else { Err(Discard::Busy) }
    }

    /// Takes a place, after [`Self::check`].
    pub(super) fn take(&mut self, from: SocketAddr, validated: bool) -> Place {
        let network = Network::of(from);
        self.taken += 1;
        *self.networks.entry(network).or_default().of(validated) += 1;
        Place { network, validated }
    }

    /// Gives a place back.
    pub(super) fn give_back(&mut self, place: Place) {
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

    // M-35
    #[test]
    fn forged_newcomers_of_a_network_do_not_keep_out_those_that_bring_a_token() {
        let (mut places, here) = (places(100), at("192.0.2.1"));
        let mut taken: Vec<_> = (0..25).map(|_| places.take(here, false)).collect();
        assert_eq!(places.check(here, false), Err(Discard::Busy));
        assert!(places.asks_for_retry(Retry::UnderLoad, here));
        assert!(!places.asks_for_retry(Retry::UnderLoad, at("192.0.3.1")));
        taken.extend((0..25).map(|_| {
            assert_eq!(places.check(here, true), Ok(()));
            places.take(here, true)
        }));
        assert_eq!(places.check(here, true), Err(Discard::Busy), "half of all, and no more");
        assert_eq!(places.check(at("192.0.3.1"), false), Ok(()));
        taken.into_iter().for_each(|place| places.give_back(place));
        assert_eq!((places.taken(), places.networks.len()), (0, 0), "nothing is kept");
    }

    // M-35
    #[test]
    fn a_small_server_has_eight_places_for_each_network_and_no_more_than_all() {
        let mut places = places(9);
        (0..8).for_each(|_| _ = places.take(at("2001:db8::1"), true));
        assert_eq!(places.check(at("2001:db8::2"), true), Err(Discard::Busy));
        assert_eq!(places.check(at("192.0.2.1"), true), Ok(()));
        places.take(at("192.0.2.1"), true);
        assert_eq!(places.check(at("192.0.3.1"), true), Err(Discard::Busy));
    }
}
