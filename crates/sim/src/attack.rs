//! An attacker on the path, who observes every packet and injects others.
//!
//! In: packets as they leave their hosts. Out: injected packets. Never: a key; loss and delay are
//! the link's.

use std::{collections::VecDeque, net::Ipv4Addr, net::SocketAddr, time::Duration};

use hikyaku_proto::rng::Random as _;

use crate::{
    api::Time,
    network::{Origin, Packet, damage},
    rng::Rng,
};

/// An attack on a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Replays an earlier packet, possibly before the original arrives.
    Replay,
    /// Flips bits of a copy.
    Mutate,
    /// Truncates a copy.
    Truncate,
    /// Appends bytes to a copy.
    Extend,
    /// Combines the header of one packet with the body of another.
    Splice,
    /// Sends it back to its sender, apparently from its receiver.
    Reflect,
    /// Sends a copy from an unused address, which looks like a change of address.
    Redirect,
    /// Random bytes with the right connection id and a plausible number.
    Forge,
    /// A fake stateless reset with a random token.
    FakeReset,
    /// Sends it to another host.
    Misdeliver,
}

impl Attack {
    /// All attacks.
    pub const ALL: [Self; 10] = [
        Self::Replay,
        Self::Mutate,
        Self::Truncate,
        Self::Extend,
        Self::Splice,
        Self::Reflect,
        Self::Redirect,
        Self::Forge,
        Self::FakeReset,
        Self::Misdeliver,
    ];
}

/// An injected packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// When it reaches its receiver.
    pub at: Time,
    /// The claimed source.
    pub from: SocketAddr,
    /// The destination.
    pub to: SocketAddr,
    /// Whether it is an exact copy.
    pub origin: Origin,
    /// The UDP payload.
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Heard {
    id: u64,
    sent_at: Time,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// An attacker on the path.
#[derive(Debug)]
pub struct Attacker {
    rng: Rng,
    kinds: Vec<Attack>,
    share: f64,
    heard: VecDeque<Heard>,
    strangers: u32,
}

/// The number of packets an attacker remembers.
const MEMORY: usize = 128;
/// The approximate length of either form of header.
const HEADS: [usize; 2] = [13, 26];

impl Attacker {
    /// Creates an attacker that attacks a `share` of the packets with attacks of `kinds`, which is
    /// not empty.
    #[must_use]
    pub const fn new(rng: Rng, kinds: Vec<Attack>, share: f64) -> Self {
        Self { rng, kinds, share, heard: VecDeque::new(), strangers: 0 }
    }

    /// Observes a packet leave. Returns the packet to inject in response, if any.
    pub fn observe(&mut self, now: Time, packet: &Packet) -> Option<(Attack, Injection)> {
        if !self.rng.chance(self.share) {
            return None;
        }
        let (from, to) = (packet.from, packet.to);
        let heard = Heard { id: packet.id, sent_at: now, from, to, bytes: packet.bytes.clone() };
        let kind = self.rng.pick(&self.kinds);
        let injection = self.attack(now, kind, &heard);
        if self.heard.len() == MEMORY {
            self.heard.pop_front();
        }
        self.heard.push_back(heard);
        injection.map(|injection| (kind, injection))
    }

    /// Returns an unused address.
    pub fn stranger(&mut self) -> SocketAddr {
        self.strangers += 1;
        // 198.18.0.0/16 is for tests (RFC 2544): no simulated host has such an address.
        let ip = Ipv4Addr::from(0xc612_0000 | (self.strangers & 0xffff));
        SocketAddr::new(ip.into(), 1_024 + (self.strangers >> 16) as u16)
    }

    fn attack(&mut self, now: Time, kind: Attack, heard: &Heard) -> Option<Injection> {
        // Often before the packet itself: an attacker on the path can be faster.
        let at = now + self.rng.span(Duration::ZERO, Duration::from_millis(5));
        let (from, to) = (heard.from, heard.to);
        let copy = |heard: &Heard| Origin::CopyOf { id: heard.id, sent_at: heard.sent_at };
        let made = |bytes| Injection { at, from, to, origin: Origin::Now, bytes };
        let mut bytes = heard.bytes.clone();
        let len = bytes.len() as u64;
        Some(match kind {
            Attack::Replay => {
                let old = self.remembered().unwrap_or(heard.clone());
                let at = now + self.rng.span(Duration::ZERO, Duration::from_secs(2));
                let origin = copy(&old);
                Injection { at, from: old.from, to: old.to, origin, bytes: old.bytes }
            }
            Attack::Mutate => {
                damage(&mut bytes, &mut self.rng);
                made(bytes)
            }
            Attack::Truncate => {
                bytes.truncate(self.rng.below(len) as usize);
                made(bytes)
            }
            Attack::Extend => {
                let mut more = vec![0; self.rng.between(1, 64) as usize];
                self.rng.fill(&mut more);
                bytes.extend_from_slice(&more);
                made(bytes)
            }
            Attack::Splice => {
                let other = self.remembered()?;
                let head = self.rng.pick(&HEADS).min(bytes.len());
                bytes.truncate(head);
                bytes.extend_from_slice(other.bytes.get(head..).unwrap_or_default());
                made(bytes)
            }
            Attack::Reflect => Injection { at, from: to, to: from, origin: Origin::Now, bytes },
            Attack::Redirect => {
                Injection { at, from: self.stranger(), to, origin: copy(heard), bytes }
            }
            Attack::Forge => {
                let head = self.rng.pick(&HEADS).min(bytes.len());
                if let Some(number) = bytes.get_mut(12) {
                    *number = number.wrapping_add(self.rng.below(16) as u8);
                }
                self.rng.fill(&mut bytes[head..]);
                made(bytes)
            }
            Attack::FakeReset => {
                bytes.truncate(self.rng.between(21, 60) as usize);
                let head = 9.min(bytes.len());
                self.rng.fill(&mut bytes[head..]);
                if let Some(first) = bytes.first_mut() {
                    *first = 0x40 | (*first & 1);
                }
                made(bytes)
            }
            Attack::Misdeliver => {
                let other = self.remembered()?;
                Injection { at, from, to: other.to, origin: Origin::Now, bytes }
            }
        })
    }

    fn remembered(&mut self) -> Option<Heard> {
        let index = self.rng.below(self.heard.len() as u64) as usize;
        self.heard.get(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::HostId;

    fn packet(id: u64) -> Packet {
        Packet {
            id,
            sent_at: Time::ZERO,
            from: "10.0.0.1:1".parse().unwrap(),
            to: "10.0.1.1:2".parse().unwrap(),
            ecn: None,
            bytes: vec![0x40; 100],
            sender: Some(HostId(0)),
        }
    }

    fn attacks(kind: Attack) -> Vec<Injection> {
        let mut attacker = Attacker::new(Rng::new(1), vec![kind], 1.0);
        (0..200)
            .filter_map(|id| attacker.observe(Time::from_micros(id * 10_000), &packet(id)))
            .map(|(_, injection)| injection)
            .collect()
    }

    #[test]
    fn every_attack_injects_packets() {
        for kind in Attack::ALL {
            assert!(attacks(kind).len() > 150, "{kind:?}");
        }
    }

    #[test]
    fn only_true_copies_claim_to_be_copies() {
        for kind in Attack::ALL {
            let claims = attacks(kind).iter().all(|made| {
                !matches!(made.origin, Origin::CopyOf { .. }) || made.bytes == packet(0).bytes
            });
            assert!(claims, "{kind:?}");
        }
    }

    #[test]
    fn changed_packets_differ() {
        for kind in [Attack::Truncate, Attack::Extend, Attack::Forge, Attack::FakeReset] {
            assert!(attacks(kind).iter().all(|made| made.bytes != packet(0).bytes), "{kind:?}");
        }
        let mutated = attacks(Attack::Mutate);
        let changed = mutated.iter().filter(|made| made.bytes != packet(0).bytes).count();
        assert!(changed > mutated.len() - 5, "two flips of one bit are rare");
    }

    #[test]
    fn a_share_of_the_packets_is_attacked() {
        let mut attacker = Attacker::new(Rng::new(2), vec![Attack::Mutate], 0.1);
        let hits = (0..10_000).filter_map(|id| attacker.observe(Time::ZERO, &packet(id))).count();
        assert!((900..1_100).contains(&hits), "{hits}");
    }

    #[test]
    fn unused_addresses_are_distinct() {
        let mut attacker = Attacker::new(Rng::new(3), vec![Attack::Redirect], 1.0);
        let strangers: std::collections::BTreeSet<SocketAddr> =
            (0..100_000).map(|_| attacker.stranger()).collect();
        assert_eq!(strangers.len(), 100_000);
    }
}
