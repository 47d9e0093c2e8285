//! The rooms that the reader is in.

use std::sync::Arc;

use hikyaku_chat::room_name::RoomName;

use crate::{limits::MAX_ROOMS, lines::Lines};

/// A room on the screen.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) name: RoomName,
    pub(crate) topic: Arc<str>,
    pub(crate) lines: Lines,
    /// Lines that arrived while another room was shown.
    pub(crate) unread: usize,
    /// Lines that came while older ones were shown.
    pub(crate) below: usize,
    /// One of them mentions the reader.
    pub(crate) names_me: bool,
    /// Its past was requested when it was first shown.
    pub(crate) was_shown: bool,
}

impl Room {
    fn new(name: RoomName) -> Self {
        Self {
            name,
            topic: "".into(),
            lines: Lines::default(),
            unread: 0,
            below: 0,
            names_me: false,
            was_shown: false,
        }
    }
}

/// All of them; there is always one.
#[derive(Clone, Debug)]
pub(crate) struct Rooms {
    rooms: Vec<Room>,
    current: usize,
}

impl Rooms {
    pub(crate) fn new() -> Self {
        Self { rooms: vec![Room::new(RoomName::general())], current: 0 }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Room> {
        self.rooms.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Room> {
        self.rooms.iter_mut()
    }

    pub(crate) fn current(&self) -> &Room {
        &self.rooms[self.current]
    }

    pub(crate) fn current_mut(&mut self) -> &mut Room {
        &mut self.rooms[self.current]
    }

    /// Returns a room, or the current one if the reader is not in it.
    pub(crate) fn find(&mut self, name: &RoomName) -> &mut Room {
        let index = self.rooms.iter().position(|room| room.name == *name);
        &mut self.rooms[index.unwrap_or(self.current)]
    }

    pub(crate) fn is_current(&self, name: &RoomName) -> bool {
        self.current().name == *name
    }

    /// Sets the rooms that the reader is in, and the current one.
    pub(crate) fn set(&mut self, names: &[RoomName], current: &RoomName) {
        self.rooms.retain(|room| names.contains(&room.name));
        for name in names {
            self.add(name);
        }
        if self.rooms.is_empty() {
            self.rooms.push(Room::new(current.clone()));
        }
        self.current = self.current.min(self.rooms.len() - 1);
        self.enter(current);
    }

    pub(crate) fn add(&mut self, name: &RoomName) {
        if self.rooms.len() >= MAX_ROOMS || self.rooms.iter().any(|room| room.name == *name) {
            return;
        }
        let current = self.current().name.clone();
        self.rooms.push(Room::new(name.clone()));
        // The room where everybody begins is first.
        self.rooms
            .sort_by(|a, b| (!a.name.is_general(), &a.name).cmp(&(!b.name.is_general(), &b.name)));
        self.current = self.rooms.iter().position(|room| room.name == current).unwrap_or(0);
    }

    pub(crate) fn remove(&mut self, name: &RoomName) {
        if self.rooms.len() > 1 {
            let current = self.current().name.clone();
            self.rooms.retain(|room| room.name != *name);
            self.current = 0;
            self.enter(&current);
        }
    }

    /// Shows a room, whose lines then count as read.
    pub(crate) fn enter(&mut self, name: &RoomName) {
        if let Some(index) = self.rooms.iter().position(|room| room.name == *name) {
            self.current = index;
        }
        let room = self.current_mut();
        (room.unread, room.names_me) = (0, false);
    }

    /// Returns the name of the room so many places further down the list.
    pub(crate) fn neighbour(&self, down: bool) -> RoomName {
        let count = self.rooms.len();
        let step = if down { 1 } else { count - 1 };
        self.rooms[(self.current + step) % count].name.clone()
    }

    pub(crate) fn nth(&self, index: usize) -> Option<RoomName> {
        self.rooms.get(index).map(|room| room.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> RoomName {
        name.parse().unwrap()
    }

    #[test]
    fn the_current_room_stays_when_others_come_and_go() {
        let mut rooms = Rooms::new();
        let all = [named("garden"), RoomName::general(), named("attic")];
        rooms.set(&all, &named("garden"));
        let names = |rooms: &Rooms| rooms.iter().map(|room| room.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&rooms), [RoomName::general(), named("attic"), named("garden")]);
        assert!(rooms.is_current(&named("garden")));
        rooms.set(&[named("garden")], &named("garden"));
        assert_eq!(names(&rooms), [named("garden")]);
        rooms.add(&named("attic"));
        assert!(rooms.is_current(&named("garden")));
        assert_eq!(rooms.neighbour(true), named("attic"));
        rooms.remove(&named("garden"));
        rooms.remove(&named("attic"));
        assert_eq!(names(&rooms), [named("attic")], "one is always there");
    }
}
