//! The storage of a chat's history, as its host sees it: a trait, so that no room depends on a
//! database.
//!
//! One [`Store`] writes, on a thread of its own; any number of [`Reader`]s answer questions beside
//! it. An event is *stored* when [`Store::commit`] has returned it: then a power failure does not
//! take it away.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use crate::{
    event::{Event, Seq},
    log::Committed,
    room_name::RoomName,
    time::Stamp,
};

/// Why a store failed. Its `Display` output is for the owner of the store; members of a chat read
/// [`StoreError::problem`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", detail.as_deref().unwrap_or(problem))]
pub struct StoreError {
    problem: Cow<'static, str>,
    detail: Option<String>,
}

impl StoreError {
    /// Creates an error of this problem, such as "the disk is full".
    pub fn new(problem: impl Into<Cow<'static, str>>) -> Self {
        Self { problem: problem.into(), detail: None }
    }

    /// Creates an error about a file; its members are shown no more than that.
    #[must_use]
    pub fn of_file(detail: String) -> Self {
        Self::new("a file cannot be used").with_detail(detail)
    }

    /// Adds a text that only the owner of the store should read, instead of the problem: file
    /// names, and what to do.
    #[must_use]
    pub fn with_detail(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Returns the problem in words for everybody.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// The random id of a log. A new log has another id, because its numbers are different.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct LogId(pub u64);

impl LogId {
    /// Creates an id of 53 random bits, as many as every JSON reader preserves.
    #[must_use]
    pub const fn new(chance: u64) -> Self {
        Self(chance >> 11)
    }
}

/// What a host needs to know about the past when it starts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Past {
    /// The log.
    pub log: LogId,
    /// Its newest number, 0 if it is empty.
    pub head: Seq,
    /// #general, if it has events, and rooms with topics, at most
    /// [`MAX_ROOMS`](crate::limits::MAX_ROOMS), each with its newest number and its topic.
    pub rooms: Vec<(RoomName, Seq, Arc<str>)>,
    /// Names, with the fingerprints of the keys that last had them; the newest last.
    pub names: Vec<(Arc<str>, Arc<str>)>,
    /// Bans: fingerprints and networks, as `/ban` writes them.
    pub bans: Vec<Arc<str>>,
}

impl Past {
    /// Creates the past of a log that has none.
    #[must_use]
    pub const fn none(log: LogId) -> Self {
        Self { log, head: Seq::START, rooms: Vec::new(), names: Vec::new(), bans: Vec::new() }
    }
}

/// What may be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events before this time.
    pub before: Option<Stamp>,
    /// The oldest events, until the history has at most this many bytes.
    pub most_bytes: Option<u64>,
}

/// The writing end of a history.
pub trait Store: Send {
    /// Reads what a host needs to start. All rooms are empty then: those without messages may be
    /// forgotten.
    ///
    /// # Errors
    /// When the history cannot be read.
    fn past(&mut self) -> Result<Past, StoreError>;

    /// Numbers and stores events in the order given, in one transaction. Returns the outcomes in
    /// that order: an event whose author and id are already stored is [`Committed::Repeated`], and
    /// if the transaction fails, each is [`Committed::Failed`].
    fn commit(&mut self, events: Vec<Event>) -> Vec<Committed>;

    /// Adds a ban, or takes it back.
    ///
    /// # Errors
    /// When the events cannot be stored.
    fn ban(&mut self, who: &str, banned: bool) -> Result<(), StoreError>;

    /// Deletes what is too old or too much. Returns the newest number that was deleted.
    ///
    /// # Errors
    /// When the history cannot be written.
    fn prune(&mut self, retention: Retention) -> Result<Seq, StoreError>;

    /// Releases disk space that the store needs only for writing. Called after a pause.
    ///
    /// # Errors
    /// When the history cannot be written.
    fn rest(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Opens another reader.
    ///
    /// # Errors
    /// When the history cannot be opened once more.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;
}

/// The readers of a stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readers {
    /// The members of a room.
    Room(RoomName),
    /// The keys with these fingerprints: the author's, and that of the addressee of a whisper.
    Two(Arc<str>, Arc<str>),
}

/// What a device may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The fingerprint of its key: the device reads whispers from and to it.
    pub key: Arc<str>,
    /// Rooms, each with the number of the log after which its events are for the device.
    pub rooms: BTreeMap<RoomName, Seq>,
}

impl Rights {
    /// Creates the rights of a key in these rooms.
    pub fn of(key: &str, rooms: impl IntoIterator<Item = (RoomName, Seq)>) -> Self {
        Self { key: key.into(), rooms: rooms.into_iter().collect() }
    }
}

/// A stored event in the form in which its readers receive it: a machine line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub seq: Seq,
    /// The line.
    pub line: Bytes,
}

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The lines, in their order.
    pub lines: Vec<Stored>,
    /// The search ended before it had examined all lines: there may be older matches.
    pub is_cut_short: bool,
}

/// The reading end of a history.
pub trait Reader: Send {
    /// Returns up to `limit` events after `seq` that a device may read, in their order; fewer if
    /// they are long, none only if there are none. The cost depends on what is returned, not on
    /// what others have said.
    ///
    /// # Errors
    /// When the history cannot be read, or events after `seq` have been forgotten.
    fn after(&mut self, seq: Seq, limit: usize, rights: &Rights)
    -> Result<Vec<Stored>, StoreError>;

    /// Returns the last `limit` lines said in a room before `before`, in their order.
    ///
    /// # Errors
    /// When the history cannot be read.
    fn page(
        &mut self,
        room: &RoomName,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError>;

    /// Returns the newest `limit` lines before `before` that contain all of `words`, said in one of
    /// `rooms`, in their order. A word of a single Japanese character is found, too. The cost is
    /// bounded: a search that takes too long is interrupted.
    ///
    /// # Errors
    /// When the history cannot be read.
    fn search(
        &mut self,
        words: &str,
        rooms: &[RoomName],
        before: Seq,
        limit: usize,
    ) -> Result<Found, StoreError>;
}
