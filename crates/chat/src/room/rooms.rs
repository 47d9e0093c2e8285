//! The rooms of a chat: their members and topics.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{members::Peer, presence::Presence};
use crate::{
    event::{Kind, RoomInfo},
    limits::{MAX_ROOMS, SITE_SHARE},
    room_name::RoomName,
    time::Time,
};

/// One room.
#[derive(Debug)]
pub(super) struct Room<P> {
    pub(super) topic: Arc<str>,
    pub(super) members: BTreeSet<P>,
    /// Members that receive events one by one; the others read the log.
    pub(super) direct: BTreeSet<P>,
    presence: Presence,
    /// The site of the member that arrived first, while there are members.
    opener: Option<IpAddr>,
}

/// All rooms: those with members, and as many former ones as there is room for.
#[derive(Debug)]
pub(super) struct Rooms<P> {
    by_name: BTreeMap<RoomName, Room<P>>,
    /// When rooms must report who joined and left.
    due: BTreeSet<(Time, RoomName)>,
    /// How many of the rooms with members each site has opened.
    opened: BTreeMap<IpAddr, usize>,
}

/// There are too many rooms with members, or with those of one site.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyRooms;

impl<P: Peer> Rooms<P> {
    pub(super) const fn new() -> Self {
        Self { by_name: BTreeMap::new(), due: BTreeSet::new(), opened: BTreeMap::new() }
    }

    pub(super) fn get(&self, room: &RoomName) -> Option<&Room<P>> {
        self.by_name.get(room)
    }

    pub(super) fn get_mut(&mut self, room: &RoomName) -> Option<&mut Room<P>> {
        self.by_name.get_mut(room)
    }

    pub(super) fn count(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn len(&self, room: &RoomName) -> usize {
        self.get(room).map_or(0, |room| room.members.len())
    }

    pub(super) fn topic(&self, room: &RoomName) -> Arc<str> {
        self.get(room).map_or_else(|| "".into(), |room| Arc::clone(&room.topic))
    }

    /// Returns the topic of `#general`.
    pub(super) fn title(&self) -> &str {
        self.by_name.get(RoomName::GENERAL).map_or("", |room| &room.topic)
    }

    /// Creates a room unless it exists. Returns the empty room that was removed for it, if any.
    /// There is always space for the room that everybody is in on arrival.
    pub(super) fn open(&mut self, room: &RoomName) -> Result<Option<RoomName>, TooManyRooms> {
        if self.by_name.contains_key(room) {
            return Ok(None);
        }
        let mut evicted = None;
        if self.by_name.len() >= MAX_ROOMS && !room.is_general() {
            let empty = self.by_name.iter().find(|(_, room)| room.members.is_empty());
            let empty = empty.map(|(name, _)| name.clone()).ok_or(TooManyRooms)?;
            self.remove(&empty);
            evicted = Some(empty);
        }
        let new = Room {
            topic: "".into(),
            members: BTreeSet::new(),
            direct: BTreeSet::new(),
            presence: Presence::default(),
            opener: None,
        };
        self.by_name.insert(room.clone(), new);
        Ok(evicted)
    }

    /// Adds a member from `site`. Returns the room that was removed for a new one, if any.
    pub(super) fn enter(
        &mut self,
        room: &RoomName,
        peer: P,
        site: Option<IpAddr>,
    ) -> Result<Option<RoomName>, TooManyRooms> {
        let opener = site.filter(|_| self.len(room) == 0 && !room.is_general());
        let opened = opener.and_then(|site| self.opened.get(&site)).copied().unwrap_or(0);
        if opened >= MAX_ROOMS / SITE_SHARE {
            return Err(TooManyRooms);
        }
        let evicted = self.open(room)?;
        let Some(place) = self.by_name.get_mut(room) else { return Err(TooManyRooms) };
        place.members.insert(peer);
        if !peer.reads_log() {
            place.direct.insert(peer);
        }
        if let Some(site) = opener {
            place.opener = opener;
            *self.opened.entry(site).or_default() += 1;
        }
        Ok(evicted)
    }

    /// Removes a member. An empty room without a topic is forgotten: then this returns `true`.
    pub(super) fn leave(&mut self, room: &RoomName, peer: P) -> bool {
        let Some(place) = self.by_name.get_mut(room) else { return false };
        place.members.remove(&peer);
        place.direct.remove(&peer);
        if !place.members.is_empty() {
            return false;
        }
        let is_forgotten = place.topic.is_empty();
        if let Some(site) = place.opener.take()
            && let Some(opened) = self.opened.get_mut(&site)
        {
            *opened -= 1;
            if *opened == 0 {
                self.opened.remove(&site);
            }
        }
        if is_forgotten {
            self.remove(room);
        }
        is_forgotten
    }

    fn remove(&mut self, room: &RoomName) {
        if let Some(place) = self.by_name.remove(room)
            && let Some(due) = place.presence.due()
        {
            self.due.remove(&(due, room.clone()));
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
        let mut rooms: Vec<_> = self.by_name.iter().map(info).collect();
        rooms.sort_by_key(|info| std::cmp::Reverse(info.members));
        let mut len = 0;
        let fits = |info: &RoomInfo| {
            len += info.room.as_str().len() + info.topic.len() + 2;
            len <= limit
        };
        rooms.into_iter().take_while(fits).collect()
    }

    /// Records that a member has joined a large room.
    pub(super) fn note_coming(&mut self, now: Time, room: &RoomName, name: Arc<str>) {
        self.note(room, |presence| presence.joined(now, name));
    }

    /// Records that a member has left a large room.
    pub(super) fn note_going(&mut self, now: Time, room: &RoomName, name: Arc<str>) {
        self.note(room, |presence| presence.left(now, name));
    }

    fn note(&mut self, room: &RoomName, change: impl FnOnce(&mut Presence)) {
        let Some(place) = self.by_name.get_mut(room) else { return };
        change(&mut place.presence);
        if let Some(due) = place.presence.due() {
            self.due.insert((due, room.clone()));
        }
    }

    /// Returns when the next room must report who joined and left.
    pub(super) fn next_presence(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Takes the due report of a room: who joined and left.
    pub(super) fn take_presence(&mut self, now: Time) -> Option<(RoomName, Kind)> {
        let (_, name) = self.due.first().filter(|(due, _)| *due <= now).cloned()?;
        self.due.pop_first();
        let room = self.by_name.get_mut(&name)?;
        let presence = room.presence.take(room.members.len());
        Some((name, presence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(number: usize) -> RoomName {
        format!("room-{number}").parse().unwrap()
    }

    #[test]
    fn the_first_room_admits_everybody_however_many_rooms_there_are() {
        let mut rooms = Rooms::<u32>::new();
        for n in 0..MAX_ROOMS {
            assert_eq!(rooms.enter(&room(n), 1, None), Ok(None));
        }
        assert_eq!(rooms.enter(&"another".parse().unwrap(), 1, None), Err(TooManyRooms));
        for _ in 0..2 {
            assert_eq!(rooms.enter(&RoomName::general(), 2, None), Ok(None));
            assert!(rooms.leave(&RoomName::general(), 2));
        }
        assert_eq!(rooms.count(), MAX_ROOMS);
    }

    #[test]
    fn one_site_opens_a_share_of_the_rooms_and_may_enter_those_of_others() {
        let [office, home] = [1, 2].map(|host| Some(IpAddr::from([192, 0, 2, host])));
        let mut rooms = Rooms::<u32>::new();
        let most = MAX_ROOMS / SITE_SHARE;
        for n in 0..most {
            assert_eq!(rooms.enter(&room(n), n as u32, office), Ok(None));
        }
        assert_eq!(rooms.enter(&room(most), 1, office), Err(TooManyRooms));
        assert_eq!(rooms.enter(&room(most), 9, home), Ok(None));
        assert_eq!(rooms.enter(&room(most), 1, office), Ok(None));
        assert!(rooms.leave(&room(0), 0));
        assert_eq!(rooms.enter(&room(most + 1), 1, office), Ok(None));
        for n in 0..most + 2 {
            for peer in 0..most as u32 {
                rooms.leave(&room(n), peer);
            }
        }
        assert_eq!(rooms.count(), 0);
        assert!(rooms.opened.is_empty(), "{:?}", rooms.opened);
    }

    #[test]
    fn a_room_that_is_forgotten_has_nothing_to_say() {
        let mut rooms = Rooms::<u32>::new();
        rooms.enter(&room(1), 1, None).unwrap();
        rooms.enter(&room(2), 1, None).unwrap();
        rooms.note_coming(Time::ZERO, &room(1), "ana".into());
        rooms.note_going(Time::ZERO, &room(2), "ben".into());
        let due = rooms.next_presence().unwrap();
        rooms.leave(&room(1), 1);
        assert_eq!(rooms.next_presence(), Some(due));
        assert!(rooms.take_presence(Time::ZERO).is_none());
        assert!(matches!(rooms.take_presence(due), Some((name, _)) if name == room(2)));
        assert_eq!((rooms.next_presence(), rooms.take_presence(due)), (None, None));
    }
}
