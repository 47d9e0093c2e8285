//! Slots for half-open connections, whose handshake is not complete (M-35).
//!
//! In: addresses of new clients, and whether they are validated. Out: which client gets a slot,
//! which must validate its address first, which connection is evicted. Never: connections, answers.

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

/// Each network has this fraction of all slots unless configured otherwise. Unvalidated and
/// validated clients each have that share, so a network takes at most half of all slots.
const NETWORK_SHARE: usize = 4;

/// The minimum share of a network.
const MIN_PER_NETWORK: usize = 8;

/// The time for which a slot is safe from eviction: two round trips of a handshake. An attacker
/// with unlimited networks can thus make the server begin as many handshakes per second as there
/// are slots, and no more. Without eviction, new clients would share the tenth of the slots that
/// time out each second.
const TENURE: Duration = Duration::from_secs(1);

/// The occupied half-open slots. There are at most as many networks as slots.
pub(super) struct HalfOpen {
    most: usize,
    most_of_network: usize,
    /// The maximum number of connections of any kind.
    most_connections: usize,
    taken: usize,
    networks: BTreeMap<Network, Counts>,
    /// Connections that may be evicted, by age.
    ages: BTreeSet<(Time, ConnectionHandle)>,
}

/// An occupied slot, to be released by its holder.
#[derive(Debug)]
pub(super) struct HalfOpenSlot {
    network: Network,
    validated: bool,
    since: Time,
    holder: ConnectionHandle,
}

/// The addresses that one owner may control: an IPv4 /24 or an IPv6 /56, which is what one customer
/// commonly gets (RFC 6177 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Network {
    V4([u8; 3]),
    V6([u8; 7]),
}

/// The slots of one network. Forged addresses do not occupy those of clients that presented a
/// token.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    unvalidated: usize,
    validated: usize,
}

impl HalfOpen {
    pub(super) fn new(config: &EndpointConfig) -> Self {
        let most = config.max_half_open;
        Self {
            most,
            most_of_network: config
                .half_open_per_network
                .unwrap_or((most / NETWORK_SHARE).max(MIN_PER_NETWORK)),
            most_connections: config.max_connections,
            taken: 0,
            networks: BTreeMap::new(),
            ages: BTreeSet::new(),
        }
    }

    /// Returns the number of occupied slots.
    pub(super) const fn len(&self) -> usize {
        self.taken
    }

    /// Returns the total number of slots while there are this many connections of any kind.
    fn all(&self, connections: usize) -> usize {
        let others = connections.saturating_sub(self.taken);
        self.most.min(self.most_connections.saturating_sub(others))
    }

    /// Returns `true` if a client without a token must validate its address first (M-31).
    pub(super) fn needs_retry(&self, retry: Retry, from: SocketAddr, connections: usize) -> bool {
        match retry {
            Retry::Never => false,
            Retry::UnderLoad => {
                self.taken >= self.all(connections).div_ceil(2) || self.is_full_for(from, false)
            }
            Retry::Always => true,
        }
    }

    /// Checks whether a client may take a slot. `validated` clients presented a token, and may
    /// evict the oldest half-open connection, whose handle is returned.
    ///
    /// # Errors
    ///
    /// `Busy` if no slot is available.
    pub(super) fn check(
        &self,
        now: Time,
        from: SocketAddr,
        validated: bool,
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

    /// Takes a slot for `holder`, after [`Self::check`].
    pub(super) fn take(
        &mut self,
        now: Time,
        from: SocketAddr,
        validated: bool,
        holder: ConnectionHandle,
    ) -> HalfOpenSlot {
        let network = Network::of(from);
        self.taken += 1;
        *self.networks.entry(network).or_default().of(validated) += 1;
        self.ages.insert((now, holder));
        HalfOpenSlot { network, validated, since: now, holder }
    }

    /// Protects the holder from eviction, because the application knows it.
    pub(super) fn protect(&mut self, slot: &HalfOpenSlot) {
        self.ages.remove(&(slot.since, slot.holder));
    }

    /// Releases a slot.
    pub(super) fn release(&mut self, slot: &HalfOpenSlot) {
        self.protect(slot);
        self.taken -= 1;
        if let Some(taken) = self.networks.get_mut(&slot.network) {
            *taken.of(slot.validated) -= 1;
            if taken.unvalidated + taken.validated == 0 {
                self.networks.remove(&slot.network);
            }
        }
    }
}

impl Counts {
    const fn of(&mut self, validated: bool) -> &mut usize {
        if validated { &mut self.validated } else { &mut self.unvalidated }
    }
}

impl Network {
    /// Both forms of an IPv4 address are the same.
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

    fn half_open(most: usize) -> HalfOpen {
        let config = EndpointConfig::client(Crypto::new(&[1; 32]));
        HalfOpen::new(&EndpointConfig { max_half_open: most, ..config })
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

    /// Takes a slot as the `n`th connection.
    fn take(
        slots: &mut HalfOpen,
        n: u64,
        from: &str,
        validated: bool,
    ) -> Result<HalfOpenSlot, Discard> {
        let from = at(from);
        assert_eq!(slots.check(Time::ZERO, from, validated, slots.len())?, None);
        Ok(slots.take(Time::ZERO, from, validated, ConnectionHandle(n)))
    }

    // M-35
    #[test]
    fn forged_clients_of_a_network_do_not_keep_out_validated_ones() {
        let (mut slots, here) = (half_open(100), "192.0.2.1");
        let mut taken = Vec::new();
        (0..25).for_each(|n| taken.push(take(&mut slots, n, here, false).unwrap()));
        assert_eq!(take(&mut slots, 25, here, false).err(), Some(Discard::Busy));
        assert!(slots.needs_retry(Retry::UnderLoad, at(here), 25));
        assert!(!slots.needs_retry(Retry::UnderLoad, at("192.0.3.1"), 25));
        (25..50).for_each(|n| taken.push(take(&mut slots, n, here, true).unwrap()));
        let half = take(&mut slots, 50, here, true).err();
        assert_eq!(half, Some(Discard::Busy), "a network has at most half of all slots");
        taken.push(take(&mut slots, 50, "192.0.3.1", false).unwrap());
        taken.iter().for_each(|slot| slots.release(slot));
        let left = (slots.len(), slots.networks.len(), slots.ages.len());
        assert_eq!(left, (0, 0, 0), "nothing is kept");
    }

    // M-35
    #[test]
    fn a_small_server_has_eight_slots_per_network_within_its_total() {
        let mut slots = half_open(9);
        (0..8).for_each(|n| _ = take(&mut slots, n, "2001:db8::1", true).unwrap());
        assert_eq!(take(&mut slots, 8, "2001:db8::2", true).err(), Some(Discard::Busy));
        take(&mut slots, 8, "192.0.2.1", true).unwrap();
        assert_eq!(take(&mut slots, 9, "192.0.3.1", true).err(), Some(Discard::Busy));
    }

    // M-35
    #[test]
    fn a_validated_client_evicts_the_oldest_after_a_second() {
        let mut slots = half_open(9);
        let mut taken: Vec<HalfOpenSlot> =
            (0..9).map(|n| take(&mut slots, n, &format!("192.0.{n}.1"), true).unwrap()).collect();
        let second = Time::ZERO + TENURE;
        let just_before = Time::from_micros(second.as_micros() - 1);
        let new = at("198.51.100.1");
        assert_eq!(slots.check(just_before, new, true, 9), Err(Discard::Busy));
        assert_eq!(slots.check(second, new, true, 9), Ok(Some(ConnectionHandle(0))));
        assert_eq!(
            slots.check(second, new, false, 9),
            Err(Discard::Busy),
            "an unvalidated client evicts nobody"
        );
        slots.protect(&taken[0]);
        assert_eq!(slots.check(second, new, true, 9), Ok(Some(ConnectionHandle(1))));
        slots.release(&taken.remove(0));
        assert_eq!(slots.check(second, new, true, 9), Ok(None), "one slot is free");
    }

    // M-35
    #[test]
    fn established_connections_reduce_the_half_open_slots() {
        let config = EndpointConfig::client(Crypto::new(&[1; 32]));
        let mut slots = HalfOpen::new(&EndpointConfig { max_connections: 60, ..config });
        let new = at("198.51.100.1");
        assert!(!slots.needs_retry(Retry::UnderLoad, new, 40));
        (0..10).for_each(|n| _ = take(&mut slots, n, &format!("192.0.{n}.1"), false).unwrap());
        assert!(slots.needs_retry(Retry::UnderLoad, new, 50), "10 of 20");
        assert!(!slots.needs_retry(Retry::UnderLoad, new, 10), "10 of 60");
        assert_eq!(slots.check(Time::ZERO, new, true, 59), Ok(None));
        assert_eq!(slots.check(Time::ZERO, new, true, 60), Err(Discard::Busy));
    }
}
