//! The rooms of a chat: who is in them, and what they are about.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{members::Peer, presence::Presence};
use crate::{event::RoomInfo, limits::MAX_ROOMS, room_name::RoomName, time::Time};

/// One room.
#[derive(Debug)]
pub(super) struct Room<P> {
    pub(super) topic: Arc<str>,
    pub(super) members: BTreeSet<P>,
    /// Those who receive events one by one; the others read the log.
    pub(super) direct: BTreeSet<P>,
    pub(super) presence: Presence,
}

/// All rooms: those with members, and those that had some as far as there is space.
#[derive(Debug)]
pub(super) struct Rooms<P>(BTreeMap<RoomName, Room<P>>);

impl<P: Peer> Rooms<P> {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn get(&self, room: &RoomName) -> Option<&Room<P>> {
        self.0.get(room)
    }

    pub(super) fn get_mut(&mut self, room: &RoomName) -> Option<&mut Room<P>> {
        self.0.get_mut(room)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn len(&self, room: &RoomName) -> usize {
        self.get(room).map_or(0, |room| room.members.len())
    }

    pub(super) fn topic(&self, room: &RoomName) -> Arc<str> {
        self.get(room).map_or_else(|| "".into(), |room| Arc::clone(&room.topic))
    }

    /// Returns the room, which exists from now on, or `None` if there are too many with members.
    /// There is always space for the room that everybody is in on arrival.
    pub(super) fn open(&mut self, room: &RoomName) -> Option<&mut Room<P>> {
        let is_full = self.0.len() >= MAX_ROOMS && !room.is_general();
        if is_full && !self.0.contains_key(room) {
            let empty = self.0.iter().find(|(_, room)| room.members.is_empty());
            let empty = empty.map(|(name, _)| name.clone())?;
            self.0.remove(&empty);
        }
        let new = || Room {
            topic: "".into(),
            members: BTreeSet::new(),
            direct: BTreeSet::new(),
            presence: Presence::default(),
        };
        Some(self.0.entry(room.clone()).or_insert_with(new))
    }

    /// Adds a member. Returns `false` if there are too many rooms.
    pub(super) fn enter(&mut self, room: &RoomName, peer: P) -> bool {
        let Some(room) = self.open(room) else { return false };
        room.members.insert(peer);
        if !peer.reads_log() {
            room.direct.insert(peer);
        }
        true
    }

    /// Removes a member. A room that nobody is in, and that has no topic, is forgotten.
    pub(super) fn leave(&mut self, room: &RoomName, peer: P) {
        let Some(place) = self.0.get_mut(room) else { return };
        place.members.remove(&peer);
        place.direct.remove(&peer);
        if place.members.is_empty() && place.topic.is_empty() {
            self.0.remove(room);
        }
    }

    /// Returns rooms with members or a topic, the largest first, as many as have about `limit`
    /// bytes.
    pub(super) fn list(&self, limit: usize) -> Vec<RoomInfo> {
        let info = |(name, room): (&RoomName, &Room<P>)| RoomInfo {
            room: name.clone(),
            members: room.members.len(),
            topic: Arc::clone(&room.topic),
        };
        let mut rooms: Vec<_> = self.0.iter().map(info).collect();
        rooms.sort_by_key(|info| std::cmp::Reverse(info.members));
        let mut len = 0;
        let fits = |info: &RoomInfo| {
            len += info.room.as_str().len() + info.topic.len() + 2;
            len <= limit
        };
        rooms.into_iter().take_while(fits).collect()
    }

    /// Returns when the next room has to say who has come and gone.
    pub(super) fn next_presence(&self) -> Option<Time> {
        self.0.values().filter_map(|room| room.presence.due()).min()
    }

    /// Returns a room that has to say so by now.
    pub(super) fn presence_due(&self, now: Time) -> Option<RoomName> {
        let is_due = |room: &Room<P>| room.presence.due().is_some_and(|due| due <= now);
        self.0.iter().find(|(_, room)| is_due(room)).map(|(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_rooms_there_are_the_first_one_takes_everybody_in() {
        let mut rooms = Rooms::<u32>::new();
        for n in 0..MAX_ROOMS {
            assert!(rooms.enter(&format!("room-{n}").parse().unwrap(), 1));
        }
        assert!(!rooms.enter(&"another".parse().unwrap(), 1));
        for _ in 0..2 {
            assert!(rooms.enter(&RoomName::general(), 2));
            rooms.leave(&RoomName::general(), 2);
        }
        assert_eq!(rooms.count(), MAX_ROOMS);
    }
}
