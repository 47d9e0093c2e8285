//! The network interfaces of this machine.
//!
//! In: names. Out: indexes, addresses. Never: a socket.

use std::{io, net::IpAddr};

/// Returns the index of a network interface of this machine, by name or by the number itself.
pub(crate) fn index_of(name: &str) -> Option<u32> {
    if let Ok(index) = name.parse() {
        return Some(index);
    }
    let all = if_addrs::get_if_addrs().ok()?;
    all.into_iter().find(|interface| interface.name == name)?.index
}

/// Returns the indexes of all network interfaces.
pub(crate) fn all_indexes() -> io::Result<Vec<u32>> {
    let mut indexes: Vec<u32> =
        if_addrs::get_if_addrs()?.into_iter().filter_map(|interface| interface.index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    Ok(indexes)
}

/// Returns the addresses by which other machines may reach this one, without loopback and
/// link-local addresses; empty on a machine without a network.
#[must_use]
pub fn machine_addresses() -> Vec<IpAddr> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let reachable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    all.iter().map(if_addrs::Interface::ip).filter(reachable).collect()
}
