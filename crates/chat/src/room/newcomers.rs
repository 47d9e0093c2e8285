//! How often strangers may come in: all together, and each source for itself.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    limits::{MAX_NEWCOMER_SOURCES, SOURCE_BURST, SOURCE_RATE},
    rate::{Bucket, Rate},
    time::Time,
};

use super::members::{Peer, site};

/// What one flood can come from: a site, or a socket on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source<P> {
    Site(IpAddr),
    Socket(P),
}

#[derive(Debug)]
pub(crate) struct Newcomers<P> {
    all: Bucket,
    by_source: BTreeMap<Source<P>, Bucket>,
}

impl<P: Peer> Newcomers<P> {
    pub(crate) fn new() -> Self {
        Self { all: Bucket::default(), by_source: BTreeMap::new() }
    }

    /// Takes a token of everybody's `rate` and one of the source's own, or neither: a source that
    /// comes and goes without a pause uses up its own allowance, not that of others.
    pub(crate) fn take(&mut self, now: Time, peer: P, rate: Rate) -> bool {
        if !self.all.has(now, rate) {
            return false;
        }
        let source = site(peer).map_or(Source::Socket(peer), Source::Site);
        if self.by_source.len() >= MAX_NEWCOMER_SOURCES && !self.by_source.contains_key(&source) {
            // No more often than everybody's rate.
            self.by_source.retain(|_, bucket| !bucket.is_full(now));
        }
        let has_room = self.by_source.len() < MAX_NEWCOMER_SOURCES;
        let own = Rate::new(SOURCE_RATE, SOURCE_BURST);
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
