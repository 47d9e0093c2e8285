//! What a chat takes and returns.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use crate::{
    event::{Event, RequestId, Seq},
    limits::{DEFAULT_BURST, DEFAULT_IDLE, DEFAULT_MAX_CLIENTS, DEFAULT_RATE},
    room_name::RoomName,
};

/// The settings of a chat.
#[derive(Clone, Debug)]
pub struct RoomConfig {
    /// Silence after which a member is considered gone; less than a millisecond counts as one.
    pub idle: Duration,
    /// Maximum number of members, without the host.
    pub max_clients: usize,
    /// Lines per second that each member may send in the long run; 0 counts as 1.
    pub rate: u32,
    /// Lines that each member may send at once; 0 counts as 1.
    pub burst: u32,
    /// Fingerprints of keys that may remove members, besides the host.
    pub owners: BTreeSet<Arc<str>>,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            idle: DEFAULT_IDLE,
            max_clients: DEFAULT_MAX_CLIENTS,
            rate: DEFAULT_RATE,
            burst: DEFAULT_BURST,
            owners: BTreeSet::new(),
        }
    }
}

/// An event and its receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect<P> {
    /// The receivers.
    pub to: Audience<P>,
    /// The event.
    pub event: Arc<Event>,
}

/// The receivers of an event. Members are those after the call that caused the effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience<P> {
    /// One peer, member or not.
    One(P),
    /// The members of a room, the author included.
    Room(RoomName),
    /// The members with these keys: of the author and of the addressee of a whisper.
    Keys(Arc<str>, Arc<str>),
    /// All members.
    All,
}

/// A hello of a peer that names its rooms.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// The name that it asks for.
    pub name: &'a str,
    /// The rooms that it wants to be in.
    pub rooms: &'a [RoomName],
    /// The address that it comes from, if that limits it.
    pub network: Option<IpAddr>,
}

/// A question that the history answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<P> {
    /// The member that asks.
    pub from: P,
    /// The number of the request.
    pub request: Option<RequestId>,
    /// The room to read, or the one where a search was requested.
    pub room: RoomName,
    /// The rooms to search.
    pub rooms: Vec<RoomName>,
    /// The words to find; without them, the most recent messages are returned.
    pub words: Option<String>,
    /// Only events before this one.
    pub before: Option<Seq>,
}

/// Receivers of an event.
pub type Receivers<'a, P> = Box<dyn Iterator<Item = P> + Send + 'a>;

/// The figures of a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Members now, including the host.
    pub members: usize,
    /// Newcomers admitted.
    pub joined: u64,
    /// Lines said or whispered and passed on; each counts once.
    pub relayed: u64,
    /// Dropped: its sender was too fast.
    pub dropped_too_fast: u64,
    /// Dropped: longer than a line may be.
    pub dropped_too_long: u64,
    /// Dropped: from a stranger, while the chat was full.
    pub dropped_full: u64,
    /// Dropped: from a stranger, while too many arrived at once.
    pub dropped_crowd: u64,
    /// Dropped: from a stranger, because too many members have that IP address.
    pub dropped_same_ip: u64,
    /// Dropped: the chat's own allowance was used up.
    pub dropped_busy: u64,
    /// Dropped: from a banned key or address.
    pub dropped_banned: u64,
    /// Messages that could not be stored.
    pub not_stored: u64,
}
