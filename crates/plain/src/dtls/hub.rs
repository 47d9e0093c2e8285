//! Many associations behind one socket: assigns datagrams, admits new peers, evicts old ones.
//!
//! In: datagrams with their senders, payloads, the time. Out: the same for each association. Never:
//! a socket, a clock, an answer to a peer that did not begin with a ClientHello.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Instant, SystemTime},
};

use hikyaku::batch::Datagram;

use super::{
    ServerConfig,
    association::{Association, Event, NotSent},
    ended::Ended,
    record,
};
use crate::{
    ReplyTo,
    limits::{MAX_DTLS_PEERS, MAX_UNVERIFIED_PEERS},
};

/// What a listener reports about one of its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// It now has an association.
    Established(SocketAddr),
    /// Its association has ended.
    Ended(SocketAddr, Ended),
    /// Its handshake failed. An earlier association remains.
    Failed(SocketAddr, Ended),
}

/// A payload received through an association.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) payload: Vec<u8>,
    pub(crate) from: SocketAddr,
    pub(crate) to: Option<IpAddr>,
    pub(crate) at: SystemTime,
}

impl Arrived {
    pub(crate) fn datagram(&self) -> Datagram<'_> {
        Datagram { bytes: &self.payload, from: self.from, to: self.to, at: self.at }
    }
}

/// The associations of a listener.
pub(crate) struct Hub {
    config: ServerConfig,
    peers: HashMap<SocketAddr, Peer>,
    /// Peers that have not returned their cookie, the oldest first.
    unverified: BTreeMap<u64, SocketAddr>,
    deadlines: BTreeSet<(Instant, SocketAddr)>,
    next_id: u64,
    output: VecDeque<(Vec<u8>, ReplyTo)>,
    /// In the order of events: everything received before the end of an association is reported
    /// before that end. Emptied after each batch of datagrams; each association contributes at most
    /// two notices.
    happened: VecDeque<Happened>,
    /// Associations ended by an internal error that is not counted yet.
    faults: u64,
}

#[derive(Debug)]
enum Happened {
    Arrived(Arrived),
    Noticed(Notice),
}

/// The state of one address.
#[derive(Default)]
struct Peer {
    /// Boxed: some 4 kB, and half of the table of peers is empty.
    current: Option<Box<Held>>,
    /// A second association, if a client that already has one starts again: it may have restarted,
    /// or someone forges its address. The first stays until the second is complete (RFC 6347
    /// section 4.2.8).
    next: Option<Box<Held>>,
    deadline: Option<Instant>,
}

struct Held {
    id: u64,
    /// The local address is the one to which the client sent when it began, and when it last proved
    /// its identity.
    reply_to: ReplyTo,
    /// The client's random value for it.
    random: [u8; 32],
    /// It was reported to the listener.
    told: bool,
    association: Association,
}

impl Hub {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self {
            config,
            peers: HashMap::new(),
            unverified: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_id: 0,
            output: VecDeque::new(),
            happened: VecDeque::new(),
            faults: 0,
        }
    }

    /// Handles a datagram received at `at`. Returns `false` if it belongs to no association.
    pub(crate) fn handle_datagram(
        &mut self,
        datagram: &[u8],
        from: ReplyTo,
        at: SystemTime,
        now: Instant,
    ) -> bool {
        let address = from.peer;
        let hello = record::hello(datagram);
        if let Some(hello) = hello.filter(|hello| hello.is_first) {
            self.begin(hello.random, from, now);
        }
        let Some(peer) = self.peers.get_mut(&address) else { return false };
        // A hello of one handshake would make the other one retransmit its flight, which the client
        // would take for an answer.
        let is_for = |held: &&mut Held| hello.is_none_or(|hello| hello.random == held.random);
        for held in peer.both().filter(is_for) {
            held.association.handle_datagram(datagram, now, at);
        }
        self.settle(address, from.local, at);
        true
    }

    /// Handles every deadline that has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant, wall: SystemTime) {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= now).copied();
        let due: Vec<(Instant, SocketAddr)> = due.collect();
        for entry in due {
            self.deadlines.remove(&entry);
            let (_, address) = entry;
            let Some(peer) = self.peers.get_mut(&address) else { continue };
            peer.deadline = None;
            for held in peer.both() {
                held.association.handle_timeout(now);
            }
            self.settle(address, None, wall);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Seals a payload for one peer.
    pub(crate) fn send(
        &mut self,
        payload: &[u8],
        to: SocketAddr,
        now: Instant,
        wall: SystemTime,
    ) -> Result<(), NotSent> {
        let peer = self.peers.get_mut(&to).ok_or(NotSent::NoAssociation)?;
        let held = peer.current.as_mut().ok_or(NotSent::NoAssociation)?;
        let sent = held.association.send(payload, now);
        self.settle(to, None, wall);
        sent
    }

    /// Closes the association of one peer.
    pub(crate) fn dismiss(&mut self, peer: SocketAddr, wall: SystemTime) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if let Some(held) = &mut known.current {
            held.association.close(Ended::Closed);
        }
        self.settle(peer, None, wall);
    }

    /// Closes all associations.
    pub(crate) fn close(&mut self, wall: SystemTime) {
        let everyone: BTreeSet<SocketAddr> = self.peers.keys().copied().collect();
        for address in everyone {
            let Some(peer) = self.peers.get_mut(&address) else { continue };
            for held in peer.both() {
                held.association.close(Ended::Closed);
            }
            self.settle(address, None, wall);
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<(Vec<u8>, ReplyTo)> {
        self.output.pop_front()
    }

    /// Returns the next payload, unless a notice comes before it.
    pub(crate) fn poll_arrived(&mut self) -> Option<Arrived> {
        match self.happened.pop_front()? {
            Happened::Arrived(arrived) => Some(arrived),
            notice @ Happened::Noticed(_) => {
                self.happened.push_front(notice);
                None
            }
        }
    }

    /// Returns the next notice, unless a payload comes before it.
    pub(crate) fn poll_notice(&mut self) -> Option<Notice> {
        match self.happened.pop_front()? {
            Happened::Noticed(notice) => Some(notice),
            arrived @ Happened::Arrived(_) => {
                self.happened.push_front(arrived);
                None
            }
        }
    }

    /// Returns how many associations have ended by an internal error of a library since the last
    /// call.
    pub(crate) fn take_faults(&mut self) -> u64 {
        std::mem::take(&mut self.faults)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn unverified(&self) -> usize {
        self.unverified.len()
    }

    /// Starts an association for a ClientHello of no known handshake, if there is room.
    fn begin(&mut self, random: [u8; 32], from: ReplyTo, now: Instant) {
        let id = self.next_id;
        let address = from.peer;
        let is_known = self.peers.contains_key(&address);
        if !is_known && self.peers.len() >= MAX_DTLS_PEERS {
            return;
        }
        let peer = self.peers.entry(address).or_default();
        if peer.both().any(|held| held.random == random) {
            return;
        }
        let slot = if peer.current.is_none() { &mut peer.current } else { &mut peer.next };
        if slot.as_ref().is_some_and(|held| held.association.is_verified()) {
            return;
        }
        let association = Association::server(&self.config.0, now);
        let held = Box::new(Held { id, reply_to: from, random, told: false, association });
        if let Some(previous) = slot.replace(held) {
            self.unverified.remove(&previous.id);
        }
        self.next_id += 1;
        self.unverified.insert(id, address);
        if self.unverified.len() > MAX_UNVERIFIED_PEERS
            && let Some((oldest, address)) = self.unverified.pop_first()
        {
            self.forget(oldest, address);
        }
    }

    fn forget(&mut self, id: u64, address: SocketAddr) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        peer.current.take_if(|held| held.id == id);
        peer.next.take_if(|held| held.id == id);
        self.tidy(address);
    }

    /// Collects the output of an address's associations, and drops those that have ended.
    fn settle(&mut self, address: SocketAddr, local: Option<IpAddr>, at: SystemTime) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        let mut replaced = false;
        for is_next in [false, true] {
            let replaces = is_next && peer.current.as_ref().is_some_and(|held| held.told);
            let slot = if is_next { &mut peer.next } else { &mut peer.current };
            let Some(held) = slot else { continue };
            let association = &mut held.association;
            while let Some(datagram) = association.poll_output() {
                self.output.push_back((datagram, held.reply_to));
            }
            if association.is_verified() || association.has_ended() {
                self.unverified.remove(&held.id);
            }
            while let Some(event) = association.poll_event() {
                self.faults += u64::from(event == Event::Ended(Ended::Fault));
                let notice = match event {
                    Event::Message(payload) => {
                        held.reply_to.local = local.or(held.reply_to.local);
                        let (from, to) = (address, local);
                        let arrived = Arrived { payload, from, to, at };
                        self.happened.push_back(Happened::Arrived(arrived));
                        continue;
                    }
                    Event::Established => {
                        held.told = true;
                        replaced |= is_next;
                        if replaces {
                            let ended = Notice::Ended(address, Ended::Replaced);
                            self.happened.push_back(Happened::Noticed(ended));
                        }
                        Notice::Established(address)
                    }
                    // A peer that never proved its address may not exist.
                    Event::Ended(why) if !association.is_verified() && why != Ended::Fault => {
                        continue;
                    }
                    Event::Ended(why) if held.told => Notice::Ended(address, why),
                    Event::Ended(why) => Notice::Failed(address, why),
                };
                self.happened.push_back(Happened::Noticed(notice));
            }
            slot.take_if(|held| held.association.has_ended());
        }
        if replaced {
            peer.current = peer.next.take();
        }
        self.tidy(address);
    }

    /// Updates what is known of an address from its associations.
    fn tidy(&mut self, address: SocketAddr) {
        let Some(peer) = self.peers.get_mut(&address) else { return };
        let deadline = peer.both().filter_map(|held| held.association.deadline()).min();
        if deadline != peer.deadline {
            if let Some(old) = peer.deadline {
                self.deadlines.remove(&(old, address));
            }
            self.deadlines.extend(deadline.map(|at| (at, address)));
            peer.deadline = deadline;
        }
        if peer.current.is_none() {
            peer.current = peer.next.take();
        }
        if peer.current.is_none() {
            self.peers.remove(&address);
        }
    }
}

impl Peer {
    fn both(&mut self) -> impl Iterator<Item = &mut Held> {
        self.current.as_deref_mut().into_iter().chain(self.next.as_deref_mut())
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("peers", &self.peers.len()).finish_non_exhaustive()
    }
}
