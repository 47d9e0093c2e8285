//! Somebody on the path: hears every packet, and puts others on the wire.
//!
//! In: packets as they leave their hosts. Out: packets of their own making.
//! Never: a key; what a link does (loss, delay) is the link's.

use std::{collections::VecDeque, net::Ipv4Addr, net::SocketAddr, time::Duration};

use hikyaku_proto::rng::Random as _;

use crate::{
    api::Time,
    network::{Born, Packet, damage},
    rng::Rng,
};

/// What an attacker can do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Sends one heard before again, perhaps first.
    Replay,
    /// Changes bits of a copy.
    Mutate,
    /// Cuts a copy short.
    Truncate,
    /// Adds bytes to a copy.
    Extend,
    /// The head of one, the body of another.
    Splice,
    /// Sends it back to its sender, as if from its receiver.
    Reflect,
    /// Sends a copy from an address of nobody's: a change of address that is none.
    Redirect,
    /// The right connection and a likely number, the rest noise.
    Forge,
    /// What looks like a stateless reset, with a token of noise.
    FakeReset,
    /// Sends it to somebody else.
    Misdeliver,
}

impl Attack {
    /// All of them.
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

/// A packet of an attacker's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// When it reaches its receiver.
    pub at: Time,
    /// Whom it claims to be from.
    pub from: SocketAddr,
    /// Whom it is for.
    pub to: SocketAddr,
    /// Whether it is a true copy.
    pub born: Born,
    /// The UDP payload.
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Heard {
    id: u64,
    born: Time,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// Somebody on the path.
#[derive(Debug)]
pub struct Attacker {
    rng: Rng,
    kinds: Vec<Attack>,
    share: f64,
    heard: VecDeque<Heard>,
    strangers: u32,
}

/// Packets an attacker remembers.
const MEMORY: usize = 128;
/// Where a header of either form ends, about.
const HEADS: [usize; 2] = [13, 26];

impl Attacker {
    /// Attacks a `share` of the packets in the ways of `kinds`, which are not empty.
    #[must_use]
    pub const fn new(rng: Rng, kinds: Vec<Attack>, share: f64) -> Self {
        Self { rng, kinds, share, heard: VecDeque::new(), strangers: 0 }
    }

    /// Hears a packet leave; what is to be put on the wire for it, if anything.
    pub fn hear(&mut self, now: Time, packet: &Packet) -> Option<(Attack, Injection)> {
        if !self.rng.chance(self.share) {
            return None;
        }
        let (from, to) = (packet.from, packet.to);
        let heard = Heard { id: packet.id, born: now, from, to, bytes: packet.bytes.clone() };
        let kind = self.rng.pick(&self.kinds);
        let injection = self.attack(now, kind, &heard);
        if self.heard.len() == MEMORY {
            self.heard.pop_front();
        }
        self.heard.push_back(heard);
        injection.map(|injection| (kind, injection))
    }

    /// An address of nobody's.
    pub fn stranger(&mut self) -> SocketAddr {
        self.strangers += 1;
        // 198.18.0.0/16 is for tests (RFC 2544): no host of the box lives there.
        let ip = Ipv4Addr::from(0xc612_0000 | (self.strangers & 0xffff));
        SocketAddr::new(ip.into(), 1_024 + (self.strangers >> 16) as u16)
    }

    fn attack(&mut self, now: Time, kind: Attack, heard: &Heard) -> Option<Injection> {
        // Often before the packet itself: whoever is on the path can be faster.
        let at = now + self.rng.span(Duration::ZERO, Duration::from_millis(5));
        let (from, to) = (heard.from, heard.to);
        let copy = |heard: &Heard| Born::CopyOf { id: heard.id, born: heard.born };
        let made = |bytes| Injection { at, from, to, born: Born::Now, bytes };
        let mut bytes = heard.bytes.clone();
        let len = bytes.len() as u64;
        Some(match kind {
            Attack::Replay => {
                let old = self.remembered().unwrap_or(heard.clone());
                let at = now + self.rng.span(Duration::ZERO, Duration::from_secs(2));
                let born = copy(&old);
                Injection { at, from: old.from, to: old.to, born, bytes: old.bytes }
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
            Attack::Reflect => Injection { at, from: to, to: from, born: Born::Now, bytes },
            Attack::Redirect => {
                Injection { at, from: self.stranger(), to, born: copy(heard), bytes }
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
                Injection { at, from, to: other.to, born: Born::Now, bytes }
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
            born: Time::ZERO,
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
            .filter_map(|id| attacker.hear(Time::from_micros(id * 10_000), &packet(id)))
            .map(|(_, injection)| injection)
            .collect()
    }

    #[test]
    fn every_way_of_attack_puts_something_on_the_wire() {
        for kind in Attack::ALL {
            assert!(attacks(kind).len() > 150, "{kind:?}");
        }
    }

    #[test]
    fn only_true_copies_claim_to_be_copies() {
        for kind in Attack::ALL {
            let claims = attacks(kind).iter().all(|made| {
                !matches!(made.born, Born::CopyOf { .. }) || made.bytes == packet(0).bytes
            });
            assert!(claims, "{kind:?}");
        }
    }

    #[test]
    fn what_is_changed_differs() {
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
        let hits = (0..10_000).filter_map(|id| attacker.hear(Time::ZERO, &packet(id))).count();
        assert!((900..1_100).contains(&hits), "{hits}");
    }

    #[test]
    fn strangers_are_all_different() {
        let mut attacker = Attacker::new(Rng::new(3), vec![Attack::Redirect], 1.0);
        let strangers: std::collections::BTreeSet<SocketAddr> =
            (0..100_000).map(|_| attacker.stranger()).collect();
        assert_eq!(strangers.len(), 100_000);
    }
}
