//! Accepts datagrams: the filter first, then the armour; rejected datagrams are counted by reason.
//!
//! In: received datagrams. Out: payloads, or why not. Never: an answer to the sender.

use std::{borrow::Cow, fmt, net::IpAddr, net::SocketAddr, time::SystemTime};

use hikyaku::{
    batch::Datagram,
    contain::contain,
    dialect::{Dialect, is_text},
    filter::Filter,
    signers::Signer,
};

use super::{Open, Opened};

/// Why a received datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Its source address is not allowed.
    Filtered,
    /// It neither begins a DTLS association nor belongs to one.
    NoAssociation,
    /// It is not a token of our shared key.
    Undecryptable,
    /// It is not an envelope, or its signature is invalid.
    BadSignature,
    /// The signature is valid, but the envelope has no time or id: it could be replayed.
    Unstamped,
    /// It is signed with a key that is not accepted.
    UnknownSigner,
    /// It is too old, or from too far in the future.
    Stale,
    /// Its id was seen before. It is authentic: its sender may have missed the acknowledgement.
    Duplicate,
    /// A library panicked while it processed the datagram, which is a bug. Nothing else was
    /// affected.
    Fault,
}

impl DropReason {
    const ALL: [Self; 9] = [
        Self::Filtered,
        Self::NoAssociation,
        Self::Undecryptable,
        Self::BadSignature,
        Self::Unstamped,
        Self::UnknownSigner,
        Self::Stale,
        Self::Duplicate,
        Self::Fault,
    ];
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filtered => "filtered",
            Self::NoAssociation => "outside any DTLS association",
            Self::Undecryptable => "not encrypted with our key",
            Self::BadSignature => "not validly signed",
            Self::Unstamped => "signed without a time or an id",
            Self::UnknownSigner => "signed with a key not accepted",
            Self::Stale => "too old or too new",
            Self::Duplicate => "seen before",
            Self::Fault => "because of an internal error of a library (please report it)",
        })
    }
}

/// How many datagrams were dropped, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    const fn count(&mut self, reason: DropReason) {
        self.count_many(reason, 1);
    }

    const fn count_many(&mut self, reason: DropReason, many: u64) {
        self.0[reason as usize] += many;
    }

    /// Returns the count for one reason.
    #[must_use]
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Returns every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|reason| (reason, self.of(reason)))
    }
}

/// A sender: its address, and the local address that it sent to, from which answers should come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo {
    /// The sender.
    pub peer: SocketAddr,
    /// The local address, if the system reports it and it can be used as a source.
    pub local: Option<IpAddr>,
}

impl ReplyTo {
    /// Nothing can be sent *from* a group or broadcast address.
    pub(super) fn of(datagram: &Datagram<'_>) -> Self {
        Self { peer: datagram.from, local: datagram.to.filter(is_unicast) }
    }
}

impl From<SocketAddr> for ReplyTo {
    fn from(peer: SocketAddr) -> Self {
        Self { peer, local: None }
    }
}

/// An accepted datagram.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The payload, without armour.
    pub payload: Cow<'a, [u8]>,
    /// The sender, and where to answer.
    pub from: ReplyTo,
    /// The address it was sent to, perhaps a group's, if the system reports it.
    pub to: Option<IpAddr>,
    /// When it arrived.
    pub at: SystemTime,
    /// The signer, if signatures are required.
    pub signer: Option<Signer>,
}

/// A dropped datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its source address, which anyone can forge.
    pub from: ReplyTo,
    /// Why.
    pub reason: DropReason,
    /// The dialect that it uses instead, if it could not be opened and its form leaves no doubt;
    /// text is plain.
    pub dialect: Option<Dialect>,
    /// Whether its sender may receive the [hint](super::PlainSender::hint) that names the dialect
    /// spoken here.
    pub may_be_answered: bool,
}

/// The checks on incoming datagrams, cheapest first.
#[derive(Debug)]
pub(super) struct Gate {
    filter: Filter,
    open: Open,
    drops: Drops,
    /// The dialect of accepted senders.
    spoken: Dialect,
}

impl Gate {
    pub(super) fn new(filter: Filter, open: Open) -> Self {
        let spoken = open.dialect();
        Self { filter, open, drops: Drops::default(), spoken }
    }

    pub(super) const fn spoken(&self) -> Dialect {
        self.spoken
    }

    /// Puts DTLS beneath the armour.
    pub(super) const fn speak_dtls(&mut self) {
        self.spoken = Dialect::Dtls;
    }

    pub(super) const fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Runs only the first check, if others come between it and the rest.
    pub(super) fn admits(&mut self, peer: IpAddr) -> bool {
        let admitted = self.filter.allows(peer);
        if !admitted {
            self.drops.count(DropReason::Filtered);
        }
        admitted
    }

    /// A datagram outside every association.
    pub(super) fn on_no_association(&mut self, bytes: &[u8], from: ReplyTo) -> Dropped {
        self.refuse(bytes, from, DropReason::NoAssociation)
    }

    fn refuse(&mut self, bytes: &[u8], from: ReplyTo, reason: DropReason) -> Dropped {
        self.drops.count(reason);
        let unopened = matches!(
            reason,
            DropReason::NoAssociation | DropReason::Undecryptable | DropReason::BadSignature
        );
        let speaks = || Dialect::of(bytes).or(is_text(bytes).then_some(Dialect::Plain));
        let dialect = if unopened { speaks() } else { None };
        let may_be_answered = unopened && self.spoken.may_answer(bytes);
        Dropped { from, reason, dialect, may_be_answered }
    }

    pub(super) const fn on_faults(&mut self, many: u64) {
        self.drops.count_many(DropReason::Fault, many);
    }

    pub(super) fn pass<'d>(
        &mut self,
        datagram: Datagram<'d>,
        now: SystemTime,
    ) -> Result<Received<'d>, Dropped> {
        let from = ReplyTo::of(&datagram);
        self.open(datagram.bytes, from, now)
            .map(|opened| Received {
                payload: opened.payload,
                from,
                to: datagram.to,
                at: datagram.at,
                signer: opened.signer,
            })
            .map_err(|reason| self.refuse(datagram.bytes, from, reason))
    }

    fn open<'d>(
        &mut self,
        bytes: &'d [u8],
        from: ReplyTo,
        now: SystemTime,
    ) -> Result<Opened<'d>, DropReason> {
        if !self.filter.allows(from.peer.ip()) {
            return Err(DropReason::Filtered);
        }
        contain(|| self.open.open(bytes, now)).unwrap_or(Err(DropReason::Fault))
    }
}

/// Nothing can be sent *from* a group or broadcast address.
fn is_unicast(ip: &IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !broadcast && !ip.is_multicast() && !ip.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_counted_by_reason() {
        let mut drops = Drops::default();
        drops.count(DropReason::Stale);
        drops.count(DropReason::Stale);
        drops.count(DropReason::Filtered);
        let some: Vec<_> = drops.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(some, [(DropReason::Filtered, 1), (DropReason::Stale, 2)]);
    }

    #[test]
    fn answers_never_come_from_a_group() {
        let unicast = |ip: &str| is_unicast(&ip.parse().unwrap());
        assert!(unicast("127.0.0.1") && unicast("::1"));
        assert!(!unicast("239.1.2.3") && !unicast("ff02::1") && !unicast("255.255.255.255"));
    }
}
