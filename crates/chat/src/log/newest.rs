//! The newest events of a log, in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    event::{Event, Kind, Seq},
    limits::{EVENT_OVERHEAD, MAX_LOG_EVENTS, MAX_LOG_LEN},
    message_id::MessageId,
    room_name::RoomName,
};

/// The key of a message: its author's key, and its id.
type MessageKey = (Arc<str>, MessageId);

/// The newest events, and the newest number of each room.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    events: VecDeque<Arc<Event>>,
    /// The numbers of the messages in `events`.
    ids: BTreeMap<MessageKey, Seq>,
    by_room: BTreeMap<RoomName, Seq>,
    head: Seq,
    /// The last number that is no longer in memory.
    forgotten: Seq,
    /// The cost of `events`.
    len: usize,
}

impl Newest {
    /// Begins after `head`, with the newest number of each room.
    pub(super) fn from(head: Seq, rooms: impl IntoIterator<Item = (RoomName, Seq)>) -> Self {
        let by_room = rooms.into_iter().collect();
        Self { by_room, head, forgotten: head, ..Self::default() }
    }

    pub(crate) const fn head(&self) -> Seq {
        self.head
    }

    /// Returns how many rooms have their newest number here.
    #[cfg(test)]
    pub(crate) fn room_count(&self) -> usize {
        self.by_room.len()
    }

    /// Forgets the newest number of a room. The next member to enter it has no previous event.
    pub(crate) fn forget_room(&mut self, room: &RoomName) {
        if !room.is_general() {
            self.by_room.remove(room);
        }
    }

    pub(crate) fn head_of(&self, room: &RoomName) -> Seq {
        self.by_room.get(room).copied().unwrap_or_default()
    }

    /// Returns the number of a message, if it is in memory.
    pub(super) fn number_of(&self, event: &Event) -> Option<Seq> {
        self.ids.get(&message(event)?).copied()
    }

    /// Appends an event under the number `seq`, and links it to the one before in its room.
    /// Whispers are not part of that chain: most of a room's members never receive them.
    pub(super) fn push(&mut self, mut event: Event, seq: Seq) -> Arc<Event> {
        event.seq = Some(seq);
        event.prev = self.head_of(&event.room);
        if !matches!(event.kind, Kind::Whispered { .. }) {
            self.by_room.insert(event.room.clone(), seq);
        }
        if let Some(message) = message(&event) {
            self.ids.insert(message, seq);
        }
        self.len += cost(&event);
        self.head = seq;
        let event = Arc::new(event);
        self.events.push_back(Arc::clone(&event));
        while (self.events.len() > MAX_LOG_EVENTS || self.len > MAX_LOG_LEN)
            && let Some(oldest) = self.events.pop_front()
        {
            self.forget(&oldest);
        }
        event
    }

    fn forget(&mut self, oldest: &Event) {
        self.len -= cost(oldest);
        self.forgotten = oldest.seq.unwrap_or(self.forgotten);
        if let Some(message) = message(oldest) {
            self.ids.remove(&message);
        }
    }

    pub(crate) fn after(&self, seq: Seq) -> Option<impl DoubleEndedIterator<Item = &Arc<Event>>> {
        if seq < self.forgotten {
            return None;
        }
        let first = self.events.partition_point(|event| event.seq <= Some(seq));
        Some(self.events.range(first..))
    }
}

fn message(event: &Event) -> Option<MessageKey> {
    let key = event.author.as_ref()?.key.clone()?;
    Some((key, event.id?))
}

fn cost(event: &Event) -> usize {
    event.weight() + EVENT_OVERHEAD
}
