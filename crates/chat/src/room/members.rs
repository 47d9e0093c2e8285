//! The members of a chat, by key, by name, and by the end of their membership.

// Longer than 400 lines: the maps of members change together.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt::Display,
    mem,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use super::{owners::Owners, seen::Seen};
use crate::{
    event::{Author, MemberId, Roll, Seq},
    name::{Name, likeness},
    rate::Bucket,
    room_name::RoomName,
    time::Time,
};

/// The name of a host that has chosen no other. No member may have it, or one that looks like it,
/// even if nobody sits at the server: readers would mistake them for the host.
pub(crate) const HOST_NAME: &str = "host";

/// Distinguishes a chat's members. Its `Display` names a member without a name, and must not be a
/// valid [`Name`] except the host's.
pub trait Peer: Copy + Ord + Display + Send + Sync {
    /// Returns the address that receives what is sent to this peer, if the peer is known only by
    /// the source of its datagrams. Returns `None` for a peer that has proved its identity or
    /// address: any number of peers may share that address.
    fn network(&self) -> Option<IpAddr>;

    /// Returns the fingerprint of the key that this peer has proved to hold, if any. Names belong
    /// to keys.
    fn key(&self) -> Option<Arc<str>> {
        None
    }

    /// Returns `true` if others must be warned that nothing from this peer is signed. Its key, if
    /// it has one, is not shown.
    fn is_unauthenticated(&self) -> bool {
        false
    }

    /// Returns `true` for the person at the server's own terminal.
    fn is_host(&self) -> bool {
        false
    }

    /// Returns `true` if the host holds this peer's key, and vouches for its messages. Others must
    /// be informed, and the name does not stay with the key.
    fn is_through_host(&self) -> bool {
        false
    }

    /// Returns `true` if this peer reads the log from a cursor of its own, and acknowledges what it
    /// has. Other peers receive each event individually, and write to one room at a time.
    fn reads_log(&self) -> bool {
        false
    }
}

/// One member of a chat.
#[derive(Debug)]
pub(crate) struct Member {
    /// The name, or the address of a member without one.
    pub(crate) shown: Arc<str>,
    id: MemberId,
    /// The key that this member has proved to hold.
    pub(super) key: Option<Arc<str>>,
    unauthenticated: bool,
    through_host: bool,
    /// The newest number of the log when the member joined: it receives later events.
    pub(crate) since: Seq,
    /// The rooms that the member is in, and for each the number of the log after which its events
    /// are for the member.
    pub(crate) rooms: BTreeMap<RoomName, Seq>,
    /// The room that lines without a room go to.
    pub(crate) current: RoomName,
    /// What the member has acknowledged.
    pub(crate) read: Seq,
    /// The site that it came from, if its members are limited.
    pub(super) site: Option<IpAddr>,
    /// What this member may still send.
    pub(crate) bucket: Bucket,
    /// How many signs of life it may still send.
    pub(super) signs: Bucket,
    /// Which numbered requests have been handled.
    pub(super) requests: Seen,
    /// The member was notified that lines are being dropped.
    pub(crate) told_dropped: bool,
    /// When silence ends the membership; the host's never ends.
    idle_at: Option<Time>,
}

impl Member {
    fn author(&self) -> Author {
        let mut author = Author::new(self.id, Arc::clone(&self.shown));
        author.unauthenticated = self.unauthenticated;
        author.through_host = self.through_host;
        if !self.unauthenticated {
            author.key.clone_from(&self.key);
        }
        author
    }
}

/// The name belongs to another member.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

/// All members of a chat. The first maps always contain the same members.
#[derive(Debug)]
pub(crate) struct Members<P> {
    by_peer: BTreeMap<P, Member>,
    by_id: BTreeMap<MemberId, P>,
    /// Those with keys.
    by_key: BTreeMap<Arc<str>, BTreeSet<P>>,
    by_likeness: BTreeMap<String, P>,
    by_idle_at: BTreeSet<(Time, P)>,
    /// The number of members per site, without empty sites.
    by_site: BTreeMap<IpAddr, usize>,
    owners: Owners,
    last_id: u64,
}

impl<P: Peer> Members<P> {
    pub(crate) fn new() -> Self {
        Self {
            by_peer: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_likeness: BTreeMap::new(),
            by_idle_at: BTreeSet::new(),
            by_site: BTreeMap::new(),
            owners: Owners::default(),
            last_id: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_peer.len()
    }

    pub(crate) fn contains(&self, peer: P) -> bool {
        self.by_peer.contains_key(&peer)
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = P> + '_ {
        self.by_peer.keys().copied()
    }

    /// Returns the number of members at a site.
    pub(crate) fn count_at(&self, site: Option<IpAddr>) -> usize {
        site.and_then(|site| self.by_site.get(&site)).copied().unwrap_or(0)
    }

    /// Counts a member at the site that it came back from.
    pub(crate) fn move_to(&mut self, peer: P, site: Option<IpAddr>) {
        let Some(member) = self.by_peer.get_mut(&peer) else { return };
        let before = mem::replace(&mut member.site, site);
        if before != site {
            self.count_out(before);
            self.count_in(site);
        }
    }

    fn count_in(&mut self, site: Option<IpAddr>) {
        if let Some(site) = site {
            *self.by_site.entry(site).or_default() += 1;
        }
    }

    fn count_out(&mut self, site: Option<IpAddr>) {
        if let Some(Entry::Occupied(mut members)) = site.map(|site| self.by_site.entry(site)) {
            *members.get_mut() -= 1;
            if *members.get() == 0 {
                members.remove();
            }
        }
    }

    pub(crate) fn get(&self, peer: P) -> Option<&Member> {
        self.by_peer.get(&peer)
    }

    /// Returns the member with this number.
    pub(crate) fn with_id(&self, id: MemberId) -> Option<P> {
        self.by_id.get(&id).copied()
    }

    /// Returns the members with this key.
    pub(crate) fn with_key(&self, key: &str) -> impl Iterator<Item = P> + '_ {
        self.by_key.get(key).into_iter().flatten().copied()
    }

    /// Returns the key that last had this name, and the name, even if its bearer is away.
    pub(crate) fn owner(&self, name: &str) -> Option<Arc<str>> {
        self.owners.owner(&likeness(name))
    }

    /// Returns the name of a member with this key, or `None` if nobody with it was here.
    pub(crate) fn name_of_key(&self, key: &Arc<str>) -> Option<Arc<str>> {
        let present = self.with_key(key).next().map(|peer| self.shown(peer));
        present.or_else(|| self.owners.name_of(key))
    }

    /// Records that a name was a key's, as the past has it.
    pub(crate) fn remember(&mut self, name: &Arc<str>, key: &Arc<str>) {
        self.owners.take(name, key);
    }

    /// Returns the member whose name has this likeness.
    pub(crate) fn bearer(&self, likeness: &str) -> Option<P> {
        self.by_likeness.get(likeness).copied()
    }

    /// Returns the name that looks like this one, if another member has it.
    pub(crate) fn twin(&self, name: &Name, peer: P) -> Option<Arc<str>> {
        let holder = self.by_likeness.get(&likeness(name.as_str()))?;
        (*holder != peer).then(|| self.shown(*holder))
    }

    pub(crate) fn get_mut(&mut self, peer: P) -> Option<&mut Member> {
        self.by_peer.get_mut(&peer)
    }

    /// Returns how `peer` is shown, member or not.
    pub(crate) fn shown(&self, peer: P) -> Arc<str> {
        match self.by_peer.get(&peer) {
            Some(member) => Arc::clone(&member.shown),
            None => peer.to_string().into(),
        }
    }

    /// Adds a member without a name. `peer` must not be a member.
    pub(crate) fn insert(
        &mut self,
        peer: P,
        site: Option<IpAddr>,
        idle_at: Option<Time>,
        since: Seq,
    ) {
        debug_assert!(!self.contains(peer), "a member joins once");
        let shown: Arc<str> = peer.to_string().into();
        self.by_likeness.entry(likeness(&shown)).or_insert(peer);
        if let Some(idle_at) = idle_at {
            self.by_idle_at.insert((idle_at, peer));
        }
        self.count_in(site);
        self.last_id += 1;
        let (id, bucket) = (MemberId(self.last_id), Bucket::default());
        self.by_id.insert(id, peer);
        if let Some(key) = peer.key() {
            self.by_key.entry(key).or_default().insert(peer);
        }
        let member = Member {
            shown,
            id,
            key: peer.key(),
            unauthenticated: peer.is_unauthenticated(),
            through_host: peer.is_through_host(),
            since,
            rooms: BTreeMap::new(),
            current: RoomName::general(),
            read: since,
            site,
            bucket,
            signs: Bucket::default(),
            requests: Seen::default(),
            told_dropped: false,
            idle_at,
        };
        self.by_peer.insert(peer, member);
    }

    pub(crate) fn id(&self, peer: P) -> Option<MemberId> {
        self.by_peer.get(&peer).map(|member| member.id)
    }

    /// Returns a member as events name it.
    pub(crate) fn author(&self, peer: P) -> Option<Author> {
        self.by_peer.get(&peer).map(Member::author)
    }

    /// Returns the newest number of the log when a member came.
    pub(crate) fn since(&self, peer: P) -> Option<Seq> {
        self.by_peer.get(&peer).map(|member| member.since)
    }

    /// Removes a member, and returns it as events name it.
    pub(crate) fn remove(&mut self, peer: P) -> Option<Author> {
        let member = self.by_peer.remove(&peer)?;
        self.by_id.remove(&member.id);
        if let Some(key) = &member.key
            && let Some(peers) = self.by_key.get_mut(key)
        {
            peers.remove(&peer);
            if peers.is_empty() {
                self.by_key.remove(key);
            }
        }
        if let Some(idle_at) = member.idle_at {
            self.by_idle_at.remove(&(idle_at, peer));
        }
        self.count_out(member.site);
        self.forget_likeness(peer, &member.shown);
        Some(member.author())
    }

    /// Returns `true` if nobody has the name, and it belongs to no key other than `peer`'s.
    pub(crate) fn is_free(&self, name: &Name, peer: P) -> bool {
        let likeness = likeness(name.as_str());
        !self.by_likeness.contains_key(&likeness) && self.may_own(peer, &likeness)
    }

    fn may_own(&self, peer: P, likeness: &str) -> bool {
        let is_reserved = likeness == self::likeness(HOST_NAME) && !peer.is_host();
        !is_reserved
            && self
                .owners
                .allow(likeness, self.by_peer.get(&peer).and_then(|member| member.key.as_ref()))
    }

    /// Postpones the end of a membership, if it has one.
    pub(crate) fn touch(&mut self, peer: P, idle_at: Time) {
        if self.by_peer.get(&peer).is_some_and(|member| member.idle_at.is_some()) {
            self.set_idle_at(peer, Some(idle_at));
        }
    }

    /// Sets when silence ends a membership.
    pub(crate) fn set_idle_at(&mut self, peer: P, idle_at: Option<Time>) {
        let Some(member) = self.by_peer.get_mut(&peer) else { return };
        if let Some(old) = member.idle_at {
            self.by_idle_at.remove(&(old, peer));
        }
        member.idle_at = idle_at;
        if let Some(idle_at) = idle_at {
            self.by_idle_at.insert((idle_at, peer));
        }
    }

    /// Changes the name of a member.
    pub(crate) fn rename(&mut self, peer: P, name: &Name) -> Result<(), Taken> {
        let likeness = likeness(name.as_str());
        let is_held = self.by_likeness.get(&likeness).is_some_and(|holder| *holder != peer);
        if is_held || !self.may_own(peer, &likeness) {
            return Err(Taken);
        }
        let old = self.shown(peer);
        self.forget_likeness(peer, &old);
        if let Some(member) = self.by_peer.get_mut(&peer) {
            member.shown = name.shared();
            if let Some(key) = member.key.as_ref().filter(|_| !member.through_host) {
                self.owners.take(&member.shown, key);
            }
            self.by_likeness.insert(likeness, peer);
        }
        Ok(())
    }

    /// Returns the member whose name or address `words` begins with, and the words after it. A name
    /// is in quotes, or is the longest one that fits, because names contain spaces.
    pub(crate) fn find_addressee<'a>(&self, words: &'a str, limit: usize) -> Option<(P, &'a str)> {
        if let Some((name, rest)) = quoted_name(words) {
            let peer = self.by_likeness.get(&likeness(name))?;
            return Some((*peer, rest));
        }
        let window = &words[..words.floor_char_boundary(limit)];
        let inner = window.match_indices(char::is_whitespace).map(|(at, _)| at);
        let whole = (window.len() == words.len()).then_some(words.len());
        let ends: Vec<usize> = inner.chain(whole).collect();
        ends.into_iter().rev().find_map(|end| {
            let peer = self.by_likeness.get(&likeness(&words[..end]))?;
            Some((*peer, words[end..].trim_start()))
        })
    }

    pub(crate) fn next_idle_at(&self) -> Option<Time> {
        self.by_idle_at.first().map(|(idle_at, _)| *idle_at)
    }

    /// Returns the next member whose silence has lasted too long.
    pub(crate) fn next_idle(&self, now: Time) -> Option<P> {
        self.by_idle_at.first().filter(|(idle_at, _)| *idle_at <= now).map(|(_, peer)| *peer)
    }

    /// Returns the names of `peers` except one, in at most about `limit` bytes; the rest are
    /// counted.
    pub(crate) fn roll(&self, peers: &BTreeSet<P>, except: Option<P>, limit: usize) -> Roll {
        let mut roll = Roll::default();
        let mut len = 0;
        let all = peers.len() - usize::from(except.is_some_and(|except| peers.contains(&except)));
        for peer in peers.iter().filter(|peer| Some(**peer) != except) {
            let shown = self.shown(*peer);
            if len + shown.len() > limit {
                break;
            }
            len += shown.len() + 2;
            roll.names.push(shown);
        }
        roll.more = all - roll.names.len();
        roll
    }

    fn forget_likeness(&mut self, peer: P, shown: &str) {
        let likeness = likeness(shown);
        if self.by_likeness.get(&likeness) == Some(&peer) {
            self.by_likeness.remove(&likeness);
        }
    }
}

/// Returns a name in quotes at the beginning of `words`, and the words after it.
pub(crate) fn quoted_name(words: &str) -> Option<(&str, &str)> {
    let (name, rest) = words.strip_prefix('"')?.split_once('"')?;
    Some((name, rest.trim_start()))
}

/// Returns the site of an address: an IPv4 address, or an IPv6 /64, which one machine may use
/// entirely (RFC 4291 section 2.5.4, RFC 8981). Loopback is not limited.
pub(crate) fn site(network: IpAddr) -> Option<IpAddr> {
    match network.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(ip.into()),
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use super::*;

    impl Peer for usize {
        fn network(&self) -> Option<IpAddr> {
            None
        }
    }

    impl Peer for SocketAddr {
        fn network(&self) -> Option<IpAddr> {
            Some(self.ip())
        }
    }

    fn room_of(names: &[&str]) -> Members<usize> {
        let mut members = Members::new();
        for (peer, name) in names.iter().enumerate() {
            let idle_at = Time::ZERO + Duration::from_secs(peer as u64);
            members.insert(peer, None, Some(idle_at), Seq::START);
            members.rename(peer, &Name::parse(name).unwrap()).unwrap();
        }
        members
    }

    #[test]
    fn a_name_is_free_again_when_its_bearer_leaves() {
        let mut members = room_of(&["alice", "bob"]);
        let alice = Name::parse("ALICE").unwrap();
        assert_eq!(members.rename(1, &alice), Err(Taken));
        members.remove(0);
        assert!(members.rename(1, &alice).is_ok());
    }

    #[test]
    fn the_address_of_a_nameless_member_cannot_be_taken_as_a_name() {
        let mut members = room_of(&["alice"]);
        members.insert(77, None, None, Seq::START);
        assert_eq!(members.rename(0, &Name::parse("77").unwrap()), Err(Taken));
    }

    #[test]
    fn the_longest_name_is_addressed() {
        let members = room_of(&["ann", "ann lee"]);
        assert_eq!(members.find_addressee("Ann Lee hi there", 128), Some((1, "hi there")));
        assert_eq!(members.find_addressee("ann  hi", 128), Some((0, "hi")));
        assert_eq!(members.find_addressee("ann", 128), Some((0, "")));
        assert_eq!(members.find_addressee("annie hi", 128), None);
    }

    #[test]
    fn a_name_in_quotes_ends_with_them() {
        let members = room_of(&["ann", "ann lee"]);
        assert_eq!(members.find_addressee("\"ann\" lee is here", 128), Some((0, "lee is here")));
        assert_eq!(members.find_addressee("\"Ann Lee\"hi", 128), Some((1, "hi")));
        assert_eq!(members.find_addressee("\"ann hi", 128), None);
    }

    #[test]
    fn a_roll_counts_those_it_cannot_list() {
        let members = room_of(&["alice", "bob", "carol"]);
        let all = BTreeSet::from([0, 1, 2]);
        let names = |roll: Roll| (roll.names.iter().map(|n| n.to_string()).collect(), roll.more);
        assert_eq!(
            names(members.roll(&all, Some(1), 100)),
            (vec!["alice".into(), "carol".into()], 0)
        );
        let short: (Vec<String>, _) = names(members.roll(&all, None, 7));
        assert_eq!(short, (vec!["alice".into()], 2));
    }

    #[test]
    fn a_sign_of_life_postpones_the_end() {
        let mut members = room_of(&["alice", "bob"]);
        members.touch(0, Time::ZERO + Duration::from_secs(9));
        assert_eq!(members.next_idle(Time::ZERO + Duration::from_secs(1)), Some(1));
    }

    #[test]
    fn a_member_without_a_deadline_never_gets_one() {
        let mut members = Members::<usize>::new();
        members.insert(1, None, None, Seq::START);
        members.touch(1, Time::ZERO);
        assert_eq!(members.next_idle_at(), None);
    }

    #[test]
    fn nothing_of_a_member_remains() {
        let mut members = room_of(&["alice"]);
        members.remove(0);
        assert_eq!((members.len(), members.next_idle_at()), (0, None));
        assert_eq!(members.find_addressee("alice hi", 128), None);
    }

    fn site_of(address: &str) -> Option<IpAddr> {
        site(address.parse::<SocketAddr>().unwrap().ip())
    }

    /// Returns how many members from `first` are counted at the site of `second`.
    fn neighbours(first: &str, second: &str) -> usize {
        let mut members = Members::new();
        members.insert(1_usize, site_of(first), None, Seq::START);
        members.count_at(site_of(second))
    }

    #[test]
    fn an_ipv4_address_is_a_site_however_it_is_written() {
        assert_eq!(neighbours("10.0.0.1:1", "10.0.0.1:2"), 1);
        assert_eq!(neighbours("10.0.0.1:1", "[::ffff:10.0.0.1]:2"), 1);
        assert_eq!(neighbours("10.0.0.1:1", "10.0.0.2:1"), 0);
    }

    #[test]
    fn an_ipv6_64_is_a_site() {
        assert_eq!(neighbours("[2001:db8::1]:1", "[2001:db8::ffff:2]:1"), 1);
        assert_eq!(neighbours("[2001:db8::1]:1", "[2001:db8:0:1::1]:1"), 0);
    }

    #[test]
    fn loopback_is_no_site() {
        for ip in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(neighbours(ip, ip), 0, "{ip}");
        }
    }

    #[test]
    fn a_member_that_leaves_a_site_no_longer_counts_there() {
        let mut members = Members::new();
        members.insert(1_usize, site_of("10.0.0.1:1"), None, Seq::START);
        members.move_to(1, site_of("10.0.0.2:1"));
        assert_eq!(members.count_at(site_of("10.0.0.1:1")), 0);
        assert_eq!(members.count_at(site_of("10.0.0.2:9")), 1);
        members.remove(1);
        assert!(members.by_site.is_empty());
    }
}
