//! The addresses to search and to answer, derived from this machine's network interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::limits::MAX_TARGETS;

/// The IPv6 group of hosts: link-local, and assigned by nobody (RFC 4291, section 2.7).
pub const GROUP: Ipv6Addr = Ipv6Addr::new(0xFF12, 0, 0, 0, 0x68, 0x696B, 0x7961, 0x6B75);

/// The broadcast address of the loopback network. It reaches every host on this machine, even if
/// the machine has no other network.
const LOOPBACK_BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);

/// An address of this machine, and the interface that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The interface's index; `None` if the system does not report it.
    pub index: Option<u32>,
    /// The address.
    pub ip: IpAddr,
    /// The length of its network's prefix.
    pub prefix: u8,
    /// The network's broadcast address.
    pub broadcast: Option<Ipv4Addr>,
}

/// Returns the addresses to which a search is sent: each network's broadcast address, and the
/// group on each interface with IPv6. At most [`MAX_TARGETS`]; each once, so that two interfaces in
/// one network search once.
#[must_use]
pub fn targets(interfaces: &[Interface], port: u16) -> Vec<SocketAddr> {
    let mut targets = Vec::new();
    for interface in interfaces {
        let target = match interface.ip {
            IpAddr::V4(ip) if ip.is_loopback() => Some((LOOPBACK_BROADCAST, port).into()),
            IpAddr::V4(_) => interface.broadcast.map(|ip| (ip, port).into()),
            IpAddr::V6(ip) if ip.is_loopback() => None,
            IpAddr::V6(_) => {
                interface.index.map(|index| SocketAddrV6::new(GROUP, port, 0, index).into())
            }
        };
        targets.extend(target.filter(|target| !targets.contains(target)));
    }
    targets.truncate(MAX_TARGETS);
    targets
}

/// Returns `true` if an address is on this machine or on a network of one of these interfaces. A
/// host answers only those, so that it does not reveal itself to the internet.
#[must_use]
pub fn is_near(ip: IpAddr, interfaces: &[Interface]) -> bool {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_link_local() => return true,
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unicast_link_local() => return true,
        _ => {}
    }
    interfaces.iter().any(|interface| interface.has(ip))
}

impl Interface {
    /// Returns `true` if an address is in this interface's network.
    fn has(&self, ip: IpAddr) -> bool {
        let same = |ours: u128, theirs: u128, bits: u32| {
            let prefix = u32::from(self.prefix).min(bits);
            // A prefix of zero contains every address, and therefore does not identify neighbours.
            prefix > 0 && (ours ^ theirs) >> (bits - prefix) == 0
        };
        match (self.ip, ip) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                same(ours.to_bits().into(), theirs.to_bits().into(), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(ours.to_bits(), theirs.to_bits(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(ip: [u8; 4], prefix: u8, broadcast: Option<[u8; 4]>) -> Interface {
        let broadcast = broadcast.map(Ipv4Addr::from);
        Interface { index: Some(2), ip: ip.into(), prefix, broadcast }
    }

    fn v6(ip: &str, index: u32) -> Interface {
        Interface { index: Some(index), ip: ip.parse().unwrap(), prefix: 64, broadcast: None }
    }

    #[test]
    fn each_network_is_searched_once() {
        let interfaces = [
            v4([127, 0, 0, 1], 8, None),
            v6("::1", 1),
            v4([192, 0, 2, 7], 24, Some([192, 0, 2, 255])),
            // A second interface in the same network, and a bridge of containers.
            v4([192, 0, 2, 8], 24, Some([192, 0, 2, 255])),
            v4([172, 17, 0, 1], 16, Some([172, 17, 255, 255])),
            v6("fe80::7", 2),
            v6("2001:db8::7", 2),
            v6("fe80::8", 3),
            // A tunnel.
            v4([10, 8, 0, 1], 32, None),
        ];
        let targets: Vec<String> =
            targets(&interfaces, 9).iter().map(ToString::to_string).collect();
        assert_eq!(
            targets,
            [
                "127.255.255.255:9",
                "192.0.2.255:9",
                "172.17.255.255:9",
                "[ff12::68:696b:7961:6b75%2]:9",
                "[ff12::68:696b:7961:6b75%3]:9",
            ]
        );
        let many: Vec<_> = (0..1_000).map(|index| v6("fe80::1", index)).collect();
        assert_eq!(super::targets(&many, 9).len(), MAX_TARGETS);
    }

    #[test]
    fn neighbours_are_answered_and_the_internet_is_not() {
        let interfaces = [
            v4([192, 0, 2, 7], 24, None),
            v6("2001:db8::7", 2),
            v4([10, 0, 0, 1], 32, None),
            v4([10, 1, 0, 1], 0, None),
        ];
        for near in ["192.0.2.200", "127.0.0.1", "::1", "fe80::9", "2001:db8::9", "10.0.0.1"] {
            assert!(is_near(near.parse().unwrap(), &interfaces), "{near}");
        }
        for far in ["192.0.3.1", "203.0.113.9", "2001:db8:0:1::9", "10.0.0.2"] {
            assert!(!is_near(far.parse().unwrap(), &interfaces), "{far}");
        }
    }
}
