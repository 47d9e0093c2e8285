//! Limits how often strangers may join: all together, and per source.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use crate::{
    limits::MAX_NEWCOMER_SOURCES,
    rate::{Bucket, Rate},
    time::Time,
};

use super::members::Peer;

/// The limits of a newcomer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The rate for all sources together.
    pub(super) common: Rate,
    /// The rate for one source.
    pub(super) own: Rate,
}

/// The source of a flood: a site, or a socket on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source<P> {
    Site(IpAddr),
    Socket(P),
}

#[derive(Debug)]
pub(crate) struct Newcomers<P> {
    all: Bucket,
    by_source: BTreeMap<Source<P>, Bucket>,
    /// What members that have left used of their allowances, by key: coming back gives nobody a
    /// fresh allowance.
    owed: BTreeMap<Arc<str>, Bucket>,
}

impl<P: Peer> Newcomers<P> {
    pub(crate) fn new() -> Self {
        Self { all: Bucket::default(), by_source: BTreeMap::new(), owed: BTreeMap::new() }
    }

    /// Remembers what a leaving member has used of its allowance.
    pub(super) fn keep(&mut self, now: Time, key: &Arc<str>, used: Bucket) {
        if self.owed.len() >= MAX_NEWCOMER_SOURCES {
            self.owed.retain(|_, used| !used.is_full(now));
        }
        let has_space = self.owed.len() < MAX_NEWCOMER_SOURCES || self.owed.contains_key(key);
        if !used.is_full(now) && has_space {
            self.owed.insert(Arc::clone(key), used);
        }
    }

    /// Returns what a member that comes back has used of its allowance.
    pub(super) fn owed(&self, key: &str) -> Bucket {
        self.owed.get(key).copied().unwrap_or_default()
    }

    /// Takes a token of the common rate and one of the source's own, or neither: a source that
    /// keeps coming and going uses up its own allowance, not that of others.
    pub(super) fn take(
        &mut self,
        now: Time,
        (peer, site): (P, Option<IpAddr>),
        Limits { common: rate, own }: Limits,
    ) -> bool {
        if !self.all.has(now, rate) {
            return false;
        }
        let source = site.map_or(Source::Socket(peer), Source::Site);
        if self.by_source.len() >= MAX_NEWCOMER_SOURCES && !self.by_source.contains_key(&source) {
            // At most at the common rate.
            self.by_source.retain(|_, bucket| !bucket.is_full(now));
        }
        let has_room = self.by_source.len() < MAX_NEWCOMER_SOURCES;
        let may = match self.by_source.get_mut(&source) {
            Some(bucket) => bucket.take(now, own),
            None if has_room => self.by_source.entry(source).or_default().take(now, own),
            None => true,
        };
        if may {
            self.all.charge(now, rate, 1);
        }
        may
    }
}
