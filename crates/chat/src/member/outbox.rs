//! The member's own messages, from the moment they are typed until members have them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    keep::{Unsent, What},
    place::{Place, Places},
};
use crate::{
    event::{Author, Event, Kind, RequestId, Seq},
    json::Progress,
    limits::{MAX_OUTBOX, MAX_TRACKED},
    message_id::MessageId,
    room_name::RoomName,
};

/// A message that the host may not have stored.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) unsent: Unsent,
    /// Its position among everything that was typed.
    pub(super) place: Place,
    /// `true` once the device's store has it: then it may be shown and sent.
    pub(super) is_kept: bool,
    /// The number of the request that carried it.
    pub(super) request: Option<RequestId>,
    /// The name that it was signed with.
    pub(super) signed_as: Option<Arc<str>>,
    /// How often the host has refused its signature.
    pub(super) doubts: u32,
    /// The request for the addressee's key.
    pub(super) question: Option<RequestId>,
    /// `true` if the addressee is known to have no key.
    pub(super) is_for_nobodys_key: bool,
}

/// A message that the host has stored, remembered until enough newer ones are.
#[derive(Debug)]
struct Tracked {
    id: MessageId,
    seq: Seq,
    event: Arc<Event>,
    progress: Progress,
}

/// Messages in order. Those before `next` were sent on this connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    items: VecDeque<Item>,
    next: usize,
    tracked: VecDeque<Tracked>,
    by_seq: BTreeMap<Seq, MessageId>,
}

impl Outbox {
    /// Creates the outbox of a client that starts again.
    pub(super) fn new(kept: Vec<Unsent>, places: &mut Places) -> Self {
        let items = kept.into_iter().map(|unsent| Item::new(unsent, places.next(), true)).collect();
        Self { items, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= MAX_OUTBOX
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Unsent> {
        self.items.iter().map(|item| &item.unsent)
    }

    pub(super) fn add(&mut self, unsent: Unsent, place: Place) {
        self.items.push_back(Item::new(unsent, place, false));
    }

    /// Marks the messages with these ids as kept; returns them.
    pub(super) fn mark_kept(&mut self, ids: &[MessageId]) -> Vec<Unsent> {
        let mut kept = Vec::new();
        for item in self.items.iter_mut().filter(|item| ids.contains(&item.unsent.id)) {
            item.is_kept = true;
            kept.push(item.unsent.clone());
        }
        kept
    }

    /// Marks all messages to be sent again, from the first.
    pub(super) fn rewind(&mut self) {
        self.next = 0;
        self.items.iter_mut().for_each(|item| item.question = None);
    }

    /// Returns the next message to send.
    pub(super) fn next(&mut self) -> Option<&mut Item> {
        self.items.get_mut(self.next).filter(|item| item.is_kept)
    }

    /// Returns the position of the next message to send, even if it is not stored yet.
    pub(super) fn next_place(&self) -> Option<Place> {
        self.items.get(self.next).map(|item| item.place)
    }

    /// Returns the rooms of the messages to rooms, with the positions of the messages.
    pub(super) fn uses(&self) -> impl Iterator<Item = (&RoomName, Place)> {
        let items = self.items.iter().filter(|item| !matches!(item.unsent.what, What::Whisper(_)));
        items.map(|item| (&item.unsent.room, item.place))
    }

    /// Returns `true` if there is a message to send that waits for nothing here.
    pub(super) fn has_next(&self) -> bool {
        self.items.get(self.next).is_some_and(|item| item.is_kept && item.question.is_none())
    }

    /// Notes that the next message was sent.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// Returns the message that an answer refers to, by its id or by its request.
    pub(super) fn find(&mut self, answer: &Event) -> Option<&mut Item> {
        let at = self.position(answer)?;
        self.items.get_mut(at)
    }

    fn position(&self, answer: &Event) -> Option<usize> {
        self.items.iter().position(|item| {
            answer.id == Some(item.unsent.id)
                || answer.request.is_some()
                    && (answer.request == item.request || answer.request == item.question)
        })
    }

    /// Removes the message that an answer is about.
    pub(super) fn take(&mut self, answer: &Event) -> Option<Unsent> {
        let at = self.position(answer)?;
        if at < self.next {
            self.next -= 1;
        }
        self.items.remove(at).map(|item| item.unsent)
    }

    /// Removes the message with this id.
    pub(super) fn remove(&mut self, id: MessageId) {
        if let Some(at) = self.items.iter().position(|item| item.unsent.id == id) {
            self.next -= usize::from(at < self.next);
            self.items.remove(at);
        }
    }

    /// Remembers a message that is stored. Returns `false` if it was already remembered.
    pub(super) fn track(&mut self, id: MessageId, seq: Seq, event: Arc<Event>) -> bool {
        if self.by_seq.insert(seq, id).is_some() {
            return false;
        }
        self.tracked.push_back(Tracked { id, seq, event, progress: Progress::Stored });
        if self.tracked.len() > MAX_TRACKED
            && let Some(oldest) = self.tracked.pop_front()
        {
            self.by_seq.remove(&oldest.seq);
        }
        true
    }

    /// Forgets stored messages: the numbers of another log do not apply to them.
    pub(super) fn untrack(&mut self) {
        self.tracked.clear();
        self.by_seq.clear();
    }

    /// Returns `true` if the message is remembered as stored.
    pub(super) fn is_tracked(&self, id: MessageId, seq: Seq) -> bool {
        self.by_seq.get(&seq) == Some(&id)
    }

    /// Notes how many members have a message. Returns the message if that is news.
    pub(super) fn delivered(
        &mut self,
        seq: Seq,
        to: u32,
        of: u32,
    ) -> Option<(Arc<Event>, Progress)> {
        let id = *self.by_seq.get(&seq)?;
        let tracked = self.tracked.iter_mut().rev().find(|tracked| tracked.id == id)?;
        let progress = Progress::Delivered { to, of };
        if tracked.progress == progress {
            return None;
        }
        tracked.progress = progress;
        Some((Arc::clone(&tracked.event), progress))
    }
}

impl Item {
    const fn new(unsent: Unsent, place: Place, is_kept: bool) -> Self {
        Self {
            unsent,
            place,
            is_kept,
            request: None,
            signed_as: None,
            doubts: 0,
            question: None,
            is_for_nobodys_key: false,
        }
    }
}

/// Returns an own message as an event that is in no log yet.
pub(super) fn as_event(unsent: &Unsent, author: Author) -> Event {
    let text = unsent.text.to_string();
    let kind = match &unsent.what {
        What::Said => Kind::Said { text, emote: false },
        What::Emote => Kind::Said { text, emote: true },
        What::Whisper(to) => Kind::Whispered { to: Arc::clone(to), to_key: None, text },
    };
    let mut event = Event::new(unsent.id.at(), Some(author), None, kind);
    event.room = unsent.room.clone();
    event.id = Some(unsent.id);
    event
}
