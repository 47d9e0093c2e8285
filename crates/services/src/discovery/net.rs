//! Drives discovery: sockets, interfaces, randomness, the clock.
//!
//! Never: decides what to answer or accept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hikyaku::{
    batch::RecvBatch,
    clock::monotonic,
    filter::Filter,
    socket::{BindError, Socket, SocketOptions},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, sleep},
};

#[cfg(feature = "mdns")]
use super::mdns;
use super::{
    announcement::Announcement,
    beacon::Token,
    found::Found,
    interfaces::{GROUP, Interface, is_near, targets},
    responder::Responder,
    search::{Search, Step},
};
use crate::limits::{DISCOVERY_PORT, INTERFACES_EVERY, MAX_RECEIVE_ERRORS};

/// The address families in which a host listens, and is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Families {
    V4,
    V6,
    Both,
}

/// How a host is announced.
#[derive(Debug)]
pub struct AdvertiserOptions {
    families: Families,
    port: u16,
    filter: Filter,
    mdns: bool,
}

impl AdvertiserOptions {
    /// Creates the options for a host that listens at `local`. A socket on `[::]` accepts IPv4 too
    /// unless `only_v6`.
    #[must_use]
    pub fn new(local: SocketAddr, only_v6: bool) -> Self {
        let families = match local.ip() {
            IpAddr::V4(_) => Families::V4,
            IpAddr::V6(ip) if ip.is_unspecified() && !only_v6 => Families::Both,
            IpAddr::V6(_) => Families::V6,
        };
        Self { families, port: DISCOVERY_PORT, filter: Filter::new(), mdns: true }
    }

    /// Answers only the addresses that this filter allows.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Answers on this port instead of [`DISCOVERY_PORT`].
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets whether the host is announced by mDNS too. The default is `true`.
    #[must_use]
    pub const fn mdns(mut self, mdns: bool) -> Self {
        self.mdns = mdns;
        self
    }
}

/// A host that is announced on the local network until this is dropped.
#[derive(Debug)]
pub struct Advertiser {
    announce: watch::Sender<Announcement>,
    task: JoinHandle<()>,
    #[cfg(feature = "mdns")]
    mdns: Option<mdns::Registered>,
}

impl Advertiser {
    /// Announces a host. If one of the two ways is unavailable, the other is used alone.
    ///
    /// # Errors
    /// [`BindError`] if the discovery port cannot be shared and there is no mDNS.
    pub fn start(
        announcement: Announcement,
        options: AdvertiserOptions,
    ) -> Result<Self, BindError> {
        #[cfg(feature = "mdns")]
        let mdns = options.mdns.then(|| mdns::register(&announcement, options.families)).flatten();
        let (announce, announced) = watch::channel(announcement);
        let task = match answering_socket(options.families, options.port) {
            Ok(socket) => tokio::spawn(answer(socket, announced, options.filter)),
            #[cfg(feature = "mdns")]
            Err(_) if mdns.is_some() => tokio::spawn(async {}),
            Err(error) => return Err(error),
        };
        Ok(Self {
            announce,
            task,
            #[cfg(feature = "mdns")]
            mdns,
        })
    }

    /// Replaces the announcement, for example when the number of members has changed. The mDNS
    /// record does not change.
    pub fn announce(&self, announcement: Announcement) {
        self.announce.send_replace(announcement);
    }

    /// Ends the announcement, and withdraws it from mDNS.
    pub async fn stop(mut self) {
        self.task.abort();
        // When its socket is closed, nothing is answered any longer.
        let _ = (&mut self.task).await;
        #[cfg(feature = "mdns")]
        if let Some(mdns) = self.mdns.as_ref() {
            mdns.stop().await;
        }
    }
}

impl Drop for Advertiser {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens the socket that receives searches. All hosts on this machine share its port.
fn answering_socket(families: Families, port: u16) -> Result<Socket, BindError> {
    let v6 = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
    let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let addresses: &[SocketAddr] = match families {
        Families::V4 => &[v4],
        Families::V6 => &[v6],
        Families::Both => &[v6, v4],
    };
    let options = SocketOptions {
        shared_port: true,
        only_v6: families == Families::V6,
        ..SocketOptions::default()
    };
    Socket::bind(addresses, &options)
}

/// Answers searches until it is aborted.
async fn answer(socket: Socket, mut announced: watch::Receiver<Announcement>, filter: Filter) {
    let mut responder = Responder::new(announced.borrow_and_update().clone());
    let started = monotonic();
    let mut batch = RecvBatch::new();
    let mut interfaces = Vec::new();
    let mut look = tokio::time::interval(INTERFACES_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut errors = 0;
    while errors < MAX_RECEIVE_ERRORS {
        tokio::select! {
            // The first tick completes immediately.
            biased;
            _ = look.tick() => {
                interfaces = self::interfaces();
                hear_group(&socket);
            }
            changed = announced.changed() => match changed {
                Ok(()) => responder.announce(announced.borrow_and_update().clone()),
                Err(_) => return,
            },
            received = socket.recv(&mut batch) => {
                if received.is_err() {
                    errors += 1;
                    continue;
                }
                errors = 0;
                let now = monotonic().saturating_duration_since(started);
                for datagram in batch.iter() {
                    let from = datagram.from;
                    if !is_near(from.ip(), &interfaces) || !filter.allows(from.ip()) {
                        continue;
                    }
                    if let Some(answer) = responder.answer(datagram.bytes, now) {
                        // A searcher repeats its search.
                        let _ = socket.send(&answer, from, None).await;
                    }
                }
            }
        }
    }
}

/// Joins the group on every interface where it is not a member yet.
fn hear_group(socket: &Socket) {
    if socket.local_addr().is_ipv6() {
        let _ = socket.join(GROUP.into(), None);
    }
}

/// How to search for hosts.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    targets: Option<Vec<SocketAddr>>,
    mdns: bool,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { targets: None, mdns: true }
    }
}

impl SearchOptions {
    /// Searches these addresses instead of every network of this machine.
    #[must_use]
    pub fn targets(mut self, targets: Vec<SocketAddr>) -> Self {
        self.targets = Some(targets);
        self
    }

    /// Sets whether to search by mDNS too. The default is `true`.
    #[must_use]
    pub const fn mdns(mut self, mdns: bool) -> Self {
        self.mdns = mdns;
        self
    }
}

/// Searches the local network. Cancel-safe.
///
/// # Errors [`BindError`] if no socket can be opened. An unreachable network is not an error.
pub async fn search(mut search: Search, options: &SearchOptions) -> Result<Found, BindError> {
    let any = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
    let any = any.map(|ip: IpAddr| SocketAddr::new(ip, 0));
    let broadcast = SocketOptions { broadcast: true, ..SocketOptions::default() };
    let socket = Socket::bind(&any, &broadcast)?;
    let to = || targets(&interfaces(), DISCOVERY_PORT);
    let targets = options.targets.clone().unwrap_or_else(to);
    #[cfg(feature = "mdns")]
    let mut browsing = options.mdns.then(mdns::browse).flatten();
    let datagram = search.datagram();
    let started = monotonic();
    let now = || monotonic().saturating_duration_since(started);
    let mut batch = RecvBatch::new();
    loop {
        let wait = match search.poll(now()) {
            Step::Done => return Ok(search.into_found()),
            Step::Ask => {
                for target in &targets {
                    // There is no route to this network: the others are still searched.
                    let _ = socket.send(&datagram, *target, None).await;
                }
                continue;
            }
            Step::Wait(until) => until.saturating_sub(now()),
        };
        #[cfg(feature = "mdns")]
        let announced = mdns::next(&mut browsing);
        #[cfg(not(feature = "mdns"))]
        let announced = std::future::pending::<(Announcement, Vec<SocketAddr>)>();
        tokio::select! {
            received = socket.recv(&mut batch) => if received.is_ok() {
                for datagram in batch.iter() {
                    search.handle_datagram(datagram.bytes, datagram.from, now());
                }
            },
            (announcement, addresses) = announced => {
                search.handle_announcement(announcement, &addresses, now());
            }
            () = sleep(wait) => {}
        }
    }
}

/// Returns a random token for a search. If the system has no randomness, the token is constant:
/// then senders that did not see the search can forge answers, which are only hints in any case.
#[must_use]
pub fn random_token() -> Token {
    let mut token = Token::default();
    let _ = getrandom::fill(&mut token);
    token
}

/// Returns the interfaces of this machine, or none if they cannot be listed.
fn interfaces() -> Vec<Interface> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let interface = |interface: if_addrs::Interface| {
        let (prefix, broadcast) = match &interface.addr {
            if_addrs::IfAddr::V4(v4) => (v4.prefixlen, v4.broadcast),
            if_addrs::IfAddr::V6(v6) => (v6.prefixlen, None),
        };
        Interface { index: interface.index, ip: interface.ip(), prefix, broadcast }
    };
    all.into_iter().map(interface).collect()
}

#[cfg(test)]
mod tests {
    use hikyaku::signers::Fingerprint;

    use super::*;
    use crate::limits::SEARCH_TIME;

    fn announced(name: &str, port: u16) -> Announcement {
        let key = Fingerprint::from_bytes(&[1; 32]).unwrap();
        Announcement::new("chat/1", name, port, key).unwrap()
    }

    /// Returns a port that hosts can share, and what keeps others from it.
    fn shared_port() -> (u16, Socket) {
        let options = SocketOptions { shared_port: true, ..SocketOptions::default() };
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let socket = Socket::bind(&[any], &options).unwrap();
        (socket.local_addr().port(), socket)
    }

    fn options(port: u16) -> AdvertiserOptions {
        let local = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 5_000));
        AdvertiserOptions::new(local, false).port(port).mdns(false)
    }

    async fn find(port: u16, name: Option<&str>) -> Vec<String> {
        let mut wanted = Search::new("chat/1", random_token(), SEARCH_TIME);
        if let Some(name) = name {
            wanted = wanted.for_name(name);
        }
        let loopback = vec![SocketAddr::from(([127, 255, 255, 255], port))];
        let options = SearchOptions::default().targets(loopback).mdns(false);
        let found = search(wanted, &options).await.unwrap();
        let shown =
            |host: super::super::Host| format!("{} {:?}", host.announcement.name(), host.addresses);
        found.into_sorted().into_iter().map(shown).collect()
    }

    #[tokio::test]
    async fn several_hosts_on_one_machine_are_found_by_several_searches() {
        let (port, _keeps_it) = shared_port();
        let hana = Advertiser::start(announced("hana", 5_000), options(port)).unwrap();
        let _ben = Advertiser::start(announced("ben", 5_001), options(port)).unwrap();
        let both = ["ben [127.0.0.1:5001]", "hana [127.0.0.1:5000]"];
        let (first, second) = tokio::join!(find(port, None), find(port, None));
        assert_eq!((&first[..], &second[..]), (&both.map(String::from)[..], &first[..]));
        assert_eq!(find(port, Some("BEN")).await, both[..1]);
        hana.announce(announced("hanako", 5_000));
        assert_eq!(find(port, Some("hanako")).await, ["hanako [127.0.0.1:5000]"]);
        hana.stop().await;
        assert_eq!(find(port, None).await, both[..1]);
    }

    #[tokio::test]
    async fn denied_addresses_are_not_answered() {
        let (port, _keeps_it) = shared_port();
        let mut filter = Filter::new();
        filter.add(hikyaku::filter::Action::Deny, "127.0.0.0/8".parse().unwrap()).unwrap();
        let _hana =
            Advertiser::start(announced("hana", 5_000), options(port).filter(filter)).unwrap();
        assert!(find(port, None).await.is_empty());
    }
}
