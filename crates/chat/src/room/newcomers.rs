//! Limits how often strangers may join: all together, and each source.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    limits::{MAX_NEWCOMER_SOURCES, SOURCE_BURST, SOURCE_RATE},
    rate::{Bucket, Rate},
    time::Time,
};

use super::members::{Peer, site};

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
}

impl<P: Peer> Newcomers<P> {
    pub(crate) fn new() -> Self {
        Self { all: Bucket::default(), by_source: BTreeMap::new() }
    }

    /// Takes a token of the common `rate` and one of the source's own, or neither: a source that
    /// keeps coming and going uses up its own allowance, not that of others.
    pub(crate) fn take(&mut self, now: Time, peer: P, rate: Rate) -> bool {
        if !self.all.has(now, rate) {
            return false;
        }
        let source = site(peer).map_or(Source::Socket(peer), Source::Site);
        if self.by_source.len() >= MAX_NEWCOMER_SOURCES && !self.by_source.contains_key(&source) {
            // At most at the common rate.
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
