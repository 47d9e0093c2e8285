//! DNS-SD over multicast DNS, through the crate `mdns-sd`, which runs its own thread.

use std::{
    fmt,
    net::{SocketAddr, SocketAddrV6},
};

use mdns_sd::{
    IfKind, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo,
};
use tokio::time::timeout;

use super::{announcement::Announcement, net::Families, txt};
use crate::limits::{GOODBYE, MAX_FOUND_ADDRESSES, MAX_INSTANCE};

/// A service that is announced.
pub(super) struct Registered {
    daemon: ServiceDaemon,
    fullname: String,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({:?})", self.fullname)
    }
}

/// Announces a host; `None` if mDNS is not available.
pub(super) fn register(announcement: &Announcement, families: Families) -> Option<Registered> {
    let daemon = ServiceDaemon::new().ok()?;
    let name = announcement.name();
    let end = (0..=name.len().min(MAX_INSTANCE)).rev().find(|end| name.is_char_boundary(*end));
    let instance = &name[..end.unwrap_or(0)];
    // Use a separate host name: another mDNS responder on this machine may own the machine's name.
    let short: String = hex(&announcement.fingerprint().as_bytes()[..6]);
    let host = format!("hikyaku-{short}-{}.local.", announcement.port());
    let port = announcement.port();
    let record = txt::encode(announcement);
    let mut service = match announcement.addresses() {
        // Each interface announces its own addresses, and never 0.0.0.0.
        [] => ServiceInfo::new(txt::SERVICE, instance, &host, "", port, &record[..])
            .ok()?
            .enable_addr_auto(),
        some => ServiceInfo::new(txt::SERVICE, instance, &host, some, port, &record[..]).ok()?,
    };
    match families {
        Families::Both => {}
        Families::V4 => service.set_interfaces(vec![IfKind::IPv4]),
        Families::V6 => service.set_interfaces(vec![IfKind::IPv6]),
    }
    let fullname = service.get_fullname().to_owned();
    daemon.register(service).ok()?;
    Some(Registered { daemon, fullname })
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

impl Registered {
    /// Withdraws the announcement and ends the thread.
    pub(super) async fn stop(&self) {
        if let Ok(done) = self.daemon.unregister(&self.fullname) {
            let _ = timeout(GOODBYE, done.recv_async()).await;
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let _ = self.daemon.shutdown();
    }
}

/// A running search.
pub(super) struct Browsing {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
}

/// Searches; `None` if mDNS is not available.
pub(super) fn browse() -> Option<Browsing> {
    let daemon = ServiceDaemon::new().ok()?;
    let events = daemon.browse(txt::SERVICE).ok()?;
    Some(Browsing { daemon, events })
}

impl Drop for Browsing {
    fn drop(&mut self) {
        let _ = self.daemon.shutdown();
    }
}

/// Waits for the next host. Never resolves if there is no search. Cancel-safe.
pub(super) async fn next(browsing: &mut Option<Browsing>) -> (Announcement, Vec<SocketAddr>) {
    while let Some(search) = browsing {
        match search.events.recv_async().await {
            Ok(ServiceEvent::ServiceResolved(service)) => {
                if let Some(host) = host(&service) {
                    return host;
                }
            }
            Ok(_) => {}
            Err(_) => *browsing = None,
        }
    }
    std::future::pending().await
}

fn host(service: &ResolvedService) -> Option<(Announcement, Vec<SocketAddr>)> {
    let port = service.get_port();
    let announcement = txt::decode(port, |key| service.get_property_val_str(key))?;
    let mut addresses: Vec<SocketAddr> =
        service.get_addresses().iter().filter_map(|ip| address(ip, port)).collect();
    // Sets have no order, but tests and people expect one.
    addresses.sort_unstable();
    addresses.truncate(MAX_FOUND_ADDRESSES);
    Some((announcement, addresses))
}

fn address(ip: &ScopedIp, port: u16) -> Option<SocketAddr> {
    match ip {
        ScopedIp::V4(v4) => Some((*v4.addr(), port).into()),
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => {
            Some(SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into())
        }
        ScopedIp::V6(v6) => Some((*v6.addr(), port).into()),
        _ => None,
    }
}
