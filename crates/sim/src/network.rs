//! The network: addresses of hosts, datagrams in transit, and statistics.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use crate::{
    api::{Ecn, Time},
    link::{Arrival, EcnTreatment, Fate, Link, LinkConfig, Lost},
    rng::Rng,
};

/// A host. Its address may change, its id does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// A datagram in transit.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The same for all copies that the network makes.
    pub id: u64,
    /// When its sender gave it to the network.
    pub sent_at: Time,
    /// The source address that its receiver sees.
    pub from: SocketAddr,
    /// The destination.
    pub to: SocketAddr,
    /// Its ECN mark.
    pub ecn: Option<Ecn>,
    /// The UDP payload.
    pub bytes: Vec<u8>,
    /// The host that sent it; `None` for an attacker's.
    pub sender: Option<HostId>,
}

/// The extent of a change of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Only the port: a NAT lost its mapping.
    Port,
    /// The whole address: another network.
    Address,
}

/// Counts of packets by their fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkStats {
    /// Sent by hosts.
    pub sent: u64,
    /// Delivered to hosts, including copies and injected packets.
    pub delivered: u64,
    /// Lost on links, by reason.
    pub lost: BTreeMap<Lost, u64>,
    /// Duplicated.
    pub copied: u64,
    /// Damaged.
    pub corrupted: u64,
    /// Held back so that others overtook them.
    pub held_back: u64,
    /// For addresses that no host has (any more).
    pub unroutable: u64,
    /// Injected by an attacker.
    pub injected: u64,
    /// Bytes sent by hosts.
    pub sent_bytes: u64,
}

/// Bytes between the hosts and one address that never belonged to a host.
#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    from_it: u64,
    to_it: u64,
}

/// The network.
#[derive(Debug)]
pub struct Network {
    rng: Rng,
    addresses: Vec<SocketAddr>,
    /// The current addresses of hosts.
    owners: BTreeMap<SocketAddr, HostId>,
    /// All addresses that ever belonged to a host.
    history: BTreeMap<SocketAddr, HostId>,
    links: BTreeMap<(HostId, HostId), Link>,
    /// Ordered by arrival, then by insertion.
    on_their_way: BTreeMap<(Time, u64), Packet>,
    next_sequence: u64,
    next_id: u64,
    arrived: BTreeSet<u64>,
    longest_transit: BTreeMap<(HostId, HostId), Duration>,
    shortest_transit: BTreeMap<(HostId, HostId), Duration>,
    strangers: BTreeMap<SocketAddr, Balance>,
    violations: Vec<String>,
    stats: NetworkStats,
    spare: Vec<Vec<u8>>,
}

/// The maximum number of buffers kept for reuse; more are rarely in transit at once.
const MAX_SPARE: usize = 1_024;

impl Network {
    /// Creates a network without hosts.
    #[must_use]
    pub const fn new(rng: Rng) -> Self {
        Self {
            rng,
            addresses: Vec::new(),
            owners: BTreeMap::new(),
            history: BTreeMap::new(),
            links: BTreeMap::new(),
            on_their_way: BTreeMap::new(),
            next_sequence: 0,
            next_id: 0,
            arrived: BTreeSet::new(),
            longest_transit: BTreeMap::new(),
            shortest_transit: BTreeMap::new(),
            strangers: BTreeMap::new(),
            violations: Vec::new(),
            stats: NetworkStats {
                sent: 0,
                delivered: 0,
                lost: BTreeMap::new(),
                copied: 0,
                corrupted: 0,
                held_back: 0,
                unroutable: 0,
                injected: 0,
                sent_bytes: 0,
            },
            spare: Vec::new(),
        }
    }

    /// Adds a host with an address.
    pub fn add_host(&mut self) -> HostId {
        let host = HostId(self.addresses.len());
        let ip = Ipv4Addr::new(10, 0, host.0 as u8, 1);
        let address = SocketAddr::V4(SocketAddrV4::new(ip, 4_000));
        self.addresses.push(address);
        self.owners.insert(address, host);
        self.history.insert(address, host);
        host
    }

    /// Sets the behaviour of the link from one host to another.
    pub fn set_link(&mut self, from: HostId, to: HostId, config: LinkConfig) {
        match self.links.get_mut(&(from, to)) {
            Some(link) => link.set_config(config),
            None => _ = self.links.insert((from, to), Link::new(config)),
        }
    }

    /// Returns the configuration of a link, if it exists.
    #[must_use]
    pub fn link(&self, from: HostId, to: HostId) -> Option<&LinkConfig> {
        self.links.get(&(from, to)).map(Link::config)
    }

    /// Returns the current address of a host.
    #[must_use]
    pub fn address(&self, host: HostId) -> SocketAddr {
        self.addresses[host.0]
    }

    /// Returns the host that has or had this address.
    #[must_use]
    pub fn ever_owned_by(&self, address: SocketAddr) -> Option<HostId> {
        self.history.get(&address).copied()
    }

    /// Moves a host to an address that it never had; packets to the previous one are lost.
    pub fn rebind(&mut self, host: HostId, how: Move) -> SocketAddr {
        let mut address = self.addresses[host.0];
        self.owners.remove(&address);
        while self.history.contains_key(&address) {
            match (how, address) {
                (Move::Address, SocketAddr::V4(v4)) => {
                    let [a, b, c, d] = v4.ip().octets();
                    // 10.x.h.y: never an address of another host.
                    let (b, d) = if d == 255 { (b.wrapping_add(1), 1) } else { (b, d + 1) };
                    address.set_ip(Ipv4Addr::new(a, b, c, d).into());
                }
                _ => address.set_port(address.port().wrapping_add(1).max(1_024)),
            }
        }
        self.addresses[host.0] = address;
        self.owners.insert(address, host);
        self.history.insert(address, host);
        address
    }

    /// Sends a datagram of a host. Returns it as it appears on the wire, for observers, with its
    /// fate, or `None` as the fate if its address is not routable.
    pub fn send(
        &mut self,
        now: Time,
        host: HostId,
        to: SocketAddr,
        ecn: Option<Ecn>,
        bytes: &[u8],
    ) -> (Packet, Option<Fate>) {
        let id = self.next_id;
        self.next_id += 1;
        self.stats.sent += 1;
        self.stats.sent_bytes += bytes.len() as u64;
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        let from = self.addresses[host.0];
        let packet = Packet { id, sent_at: now, from, to, ecn, bytes: buffer, sender: Some(host) };
        self.account_stranger(to, bytes.len());
        let fate = self.carry(now, host, &packet);
        (packet, fate)
    }

    /// An anonymous address must never receive more than three times what it sent (M-33, P-1).
    fn account_stranger(&mut self, to: SocketAddr, len: usize) {
        if self.history.contains_key(&to) {
            return;
        }
        let balance = self.strangers.entry(to).or_default();
        balance.to_it += len as u64;
        if balance.to_it > 3 * balance.from_it {
            let Balance { from_it, to_it } = *balance;
            self.violations
                .push(format!("M-33: {to_it} bytes sent to {to}, which sent {from_it} bytes"));
        }
    }

    fn carry(&mut self, now: Time, host: HostId, packet: &Packet) -> Option<Fate> {
        let link = self.owners.get(&packet.to).and_then(|to| self.links.get_mut(&(host, *to)));
        let Some(link) = link else {
            self.stats.unroutable += 1;
            return None;
        };
        let fate = link.carry(now, packet.bytes.len(), &mut self.rng);
        let strips = link.config().ecn == EcnTreatment::Strip;
        match fate {
            Fate::Lost(reason) => *self.stats.lost.entry(reason).or_default() += 1,
            Fate::Carried(first, copy) => {
                self.stats.copied += u64::from(copy.is_some());
                for arrival in [Some(first), copy].into_iter().flatten() {
                    self.put(arrival, strips, packet);
                }
            }
        }
        Some(fate)
    }

    fn put(&mut self, arrival: Arrival, strips: bool, packet: &Packet) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(&packet.bytes);
        let mut id = packet.id;
        if arrival.corrupted {
            self.stats.corrupted += 1;
            damage(&mut bytes, &mut self.rng);
            // It carries nothing new: an undamaged copy that arrives later still counts as the
            // first.
            id = self.next_id;
            self.next_id += 1;
        }
        self.stats.held_back += u64::from(arrival.held_back);
        let ecn = match packet.ecn {
            Some(_) if arrival.marked => Some(Ecn::Ce),
            _ if strips => None,
            ecn => ecn,
        };
        self.schedule(arrival.at, Packet { id, bytes, ecn, ..*packet });
    }

    fn schedule(&mut self, at: Time, packet: Packet) {
        self.on_their_way.insert((at, self.next_sequence), packet);
        self.next_sequence += 1;
    }

    /// Injects a datagram of an attacker, who needs no link and forges the source.
    pub fn inject(
        &mut self,
        at: Time,
        from: SocketAddr,
        to: SocketAddr,
        origin: Origin,
        bytes: &[u8],
    ) {
        self.stats.injected += 1;
        let (id, sent_at) = match origin {
            Origin::Now => {
                self.next_id += 1;
                (self.next_id - 1, at)
            }
            Origin::CopyOf { id, sent_at } => (id, sent_at),
        };
        let bytes = bytes.to_vec();
        self.schedule(at, Packet { id, sent_at, from, to, ecn: None, bytes, sender: None });
    }

    /// Returns when the next datagram arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Time> {
        self.on_their_way.keys().next().map(|(at, _)| *at)
    }

    /// Returns the next datagram that has arrived by `now`, and its host.
    pub fn arrive(&mut self, now: Time) -> Option<(HostId, Packet)> {
        while self.next_arrival().is_some_and(|at| at <= now) {
            let (_, packet) = self.on_their_way.pop_first()?;
            let Some(host) = self.owners.get(&packet.to).copied() else {
                self.stats.unroutable += 1;
                self.recycle(packet.bytes);
                continue;
            };
            self.stats.delivered += 1;
            self.account_arrival(now, host, &packet);
            return Some((host, packet));
        }
        None
    }

    fn account_arrival(&mut self, now: Time, host: HostId, packet: &Packet) {
        if !self.history.contains_key(&packet.from) {
            self.strangers.entry(packet.from).or_default().from_it += packet.bytes.len() as u64;
        }
        // Only the first copy can deliver something new, whose delay matters.
        let Some(sender) =
            self.ever_owned_by(packet.from).filter(|_| self.arrived.insert(packet.id))
        else {
            return;
        };
        let transit = self.longest_transit.entry((sender, host)).or_default();
        let took = now.since(packet.sent_at);
        *transit = (*transit).max(took);
        let transit = self.shortest_transit.entry((sender, host)).or_insert(took);
        *transit = (*transit).min(took);
    }

    /// Records that the receiver could not open a datagram, possibly for lack of keys: a copy may
    /// be the first to deliver its contents.
    pub fn brought_nothing(&mut self, id: u64) {
        self.arrived.remove(&id);
    }

    /// Takes back the buffer of a processed datagram.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(buffer);
        }
    }

    /// Returns the longest transit time so far from one host to another.
    #[must_use]
    pub fn longest_transit(&self, from: HostId, to: HostId) -> Duration {
        self.longest_transit.get(&(from, to)).copied().unwrap_or_default()
    }

    /// Returns the shortest transit time so far from one host to another.
    #[must_use]
    pub fn shortest_transit(&self, from: HostId, to: HostId) -> Duration {
        self.shortest_transit.get(&(from, to)).copied().unwrap_or_default()
    }

    /// Returns the statistics.
    #[must_use]
    pub const fn stats(&self) -> &NetworkStats {
        &self.stats
    }

    /// Returns violations of the rules for hosts on a network, and clears them.
    pub fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }
}

/// The origin of an attacker's datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is new.
    Now,
    /// It is an exact copy of a host's datagram: if it arrives first, it is that datagram, late.
    CopyOf {
        /// The id of the original.
        id: u64,
        /// When the original was sent.
        sent_at: Time,
    },
}

/// Flips one to four random bits.
pub(crate) fn damage(bytes: &mut [u8], rng: &mut Rng) {
    if bytes.is_empty() {
        return;
    }
    for _ in 0..rng.between(1, 4) {
        let index = rng.below(bytes.len() as u64) as usize;
        bytes[index] ^= 1 << rng.below(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Loss;

    const MS: Duration = Duration::from_millis(1);

    fn pair(config: LinkConfig) -> (Network, HostId, HostId) {
        let mut network = Network::new(Rng::new(1));
        let (a, b) = (network.add_host(), network.add_host());
        network.set_link(a, b, config.clone());
        network.set_link(b, a, config);
        (network, a, b)
    }

    fn drain(network: &mut Network) -> Vec<(Time, HostId, Packet)> {
        let mut all = Vec::new();
        while let Some(at) = network.next_arrival() {
            while let Some((host, packet)) = network.arrive(at) {
                all.push((at, host, packet));
            }
        }
        all
    }

    #[test]
    fn a_packet_arrives_when_its_link_says_with_its_senders_address() {
        let (mut network, a, b) = pair(LinkConfig { latency: 5 * MS, ..LinkConfig::default() });
        let to = network.address(b);
        network.send(Time::ZERO, a, to, Some(Ecn::Ect0), b"hello");
        let all = drain(&mut network);
        assert_eq!(all.len(), 1);
        let (at, host, packet) = &all[0];
        assert_eq!((*at, *host), (Time::from_micros(5_000), b));
        assert_eq!((packet.from, packet.ecn), (network.address(a), Some(Ecn::Ect0)));
        assert_eq!(packet.bytes, b"hello");
        assert_eq!(network.longest_transit(a, b), 5 * MS);
    }

    #[test]
    fn packets_of_one_moment_arrive_in_the_order_sent() {
        let (mut network, a, b) = pair(LinkConfig::default());
        let to = network.address(b);
        for byte in 0..100 {
            network.send(Time::ZERO, a, to, None, &[byte]);
        }
        let bytes: Vec<u8> =
            drain(&mut network).iter().map(|(_, _, packet)| packet.bytes[0]).collect();
        assert_eq!(bytes, (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn a_lossy_network_loses_its_share_and_counts_it() {
        let config =
            LinkConfig { loss: Loss::Random(0.1), duplicate: 0.01, ..LinkConfig::default() };
        let (mut network, a, b) = pair(config);
        let to = network.address(b);
        for _ in 0..100_000 {
            network.send(Time::ZERO, a, to, None, &[0; 8]);
        }
        let arrived = drain(&mut network).len() as u64;
        let stats = network.stats();
        let lost = stats.lost[&Lost::Chance];
        assert!((9_700..10_300).contains(&lost), "{lost}");
        assert!((800..1_000).contains(&stats.copied), "{}", stats.copied);
        assert_eq!(arrived, stats.sent - lost + stats.copied);
        assert_eq!(arrived, stats.delivered);
    }

    #[test]
    fn damage_changes_bits_and_nothing_else() {
        let config = LinkConfig { corrupt: 1.0, ..LinkConfig::default() };
        let (mut network, a, b) = pair(config);
        let to = network.address(b);
        for _ in 0..1_000 {
            network.send(Time::ZERO, a, to, None, &[0; 100]);
        }
        for (_, _, packet) in drain(&mut network) {
            let bits: u32 = packet.bytes.iter().map(|byte| byte.count_ones()).sum();
            assert!(bits <= 4, "{bits}");
            assert_eq!(packet.bytes.len(), 100);
        }
    }

    #[test]
    fn after_a_move_the_old_address_reaches_nobody_and_the_new_one_its_host() {
        let (mut network, a, b) = pair(LinkConfig { latency: MS, ..LinkConfig::default() });
        let old = network.address(b);
        network.send(Time::ZERO, a, old, None, b"in transit");
        let new = network.rebind(b, Move::Port);
        assert_eq!(new.ip(), old.ip());
        network.send(Time::ZERO, a, old, None, b"too late");
        network.send(Time::ZERO, a, new, None, b"found");
        let all = drain(&mut network);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].2.bytes, b"found");
        assert_eq!(network.stats().unroutable, 2);
        assert_ne!(network.rebind(b, Move::Address).ip(), new.ip());
        assert_eq!(network.ever_owned_by(old), Some(b));
    }

    #[test]
    fn sending_an_unknown_address_over_three_times_its_bytes_is_reported() {
        let (mut network, a, b) = pair(LinkConfig::default());
        let stranger: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let to = network.address(b);
        network.inject(Time::ZERO, stranger, to, Origin::Now, &[0; 100]);
        drain(&mut network);
        network.send(Time::ZERO, b, stranger, None, &[0; 300]);
        assert_eq!(network.take_violations(), [""; 0]);
        network.send(Time::ZERO, b, stranger, None, &[0; 1]);
        assert_eq!(network.take_violations().len(), 1);
        let known = network.address(a);
        network.send(Time::ZERO, b, known, None, &[0; 1_000]);
        assert_eq!(network.take_violations(), [""; 0]);
    }

    #[test]
    fn a_late_copy_counts_as_transit_only_when_it_comes_first() {
        let config = LinkConfig { loss: Loss::Random(1.0), ..LinkConfig::default() };
        let (mut network, a, b) = pair(config);
        let (from, to) = (network.address(a), network.address(b));
        let (lost, _) = network.send(Time::ZERO, a, to, None, b"lost");
        network.set_link(a, b, LinkConfig::default());
        let (seen, _) = network.send(Time::ZERO, a, to, None, b"seen");
        let copy = |packet: &Packet| Origin::CopyOf { id: packet.id, sent_at: packet.sent_at };
        network.inject(Time::from_micros(9_000), from, to, copy(&seen), b"seen");
        drain(&mut network);
        assert_eq!(network.longest_transit(a, b), Duration::ZERO);
        network.inject(Time::from_micros(9_000), from, to, copy(&lost), b"lost");
        drain(&mut network);
        assert_eq!(network.longest_transit(a, b), 9 * MS);
        network.brought_nothing(seen.id);
        network.inject(Time::from_micros(12_000), from, to, copy(&seen), b"seen");
        drain(&mut network);
        assert_eq!(network.longest_transit(a, b), 12 * MS, "the first one was not opened");
    }
}
