//! Requests other than messages, at their positions among the messages.

use std::collections::{BTreeSet, VecDeque};

use super::place::Place;
use crate::{
    event::RequestId,
    limits::MAX_UNANSWERED_REQUESTS,
    request::{Action, Request},
    room_name::RoomName,
};

/// Requests other than messages. A request that was sent and not answered is sent again on the next
/// connection, under its number, by which the host recognises it.
#[derive(Debug)]
pub(super) struct Requests {
    /// The first is numbered after this.
    first: u64,
    last: u64,
    /// In the order of their positions.
    waiting: VecDeque<(Place, Request)>,
    unanswered: VecDeque<(Place, Request)>,
    /// The rooms that the host has the member in once it has handled everything that was sent.
    there: BTreeSet<RoomName>,
}

impl Requests {
    pub(super) const fn new(first: u64) -> Self {
        Self {
            first,
            last: first,
            waiting: VecDeque::new(),
            unanswered: VecDeque::new(),
            there: BTreeSet::new(),
        }
    }

    /// Returns an unused number.
    pub(super) fn number(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    pub(super) fn add(&mut self, place: Place, room: RoomName, action: Action) {
        let request = Some(self.number());
        let at = self.waiting.partition_point(|(other, _)| *other <= place);
        self.waiting.insert(at, (place, Request { request, room, signed: None, action }));
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_UNANSWERED_REQUESTS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.unanswered.is_empty()
    }

    pub(super) fn next_place(&self) -> Option<Place> {
        self.waiting.front().map(|(place, _)| *place)
    }

    /// Returns `true` while the host has not said which name the member has.
    pub(super) fn is_naming(&self) -> bool {
        self.unanswered.iter().any(names)
    }

    /// Returns `true` if the host is still to give the member another name.
    pub(super) fn will_name(&self) -> bool {
        self.is_naming() || self.waiting.iter().any(names)
    }

    /// Returns how many requests the host has not answered. Rooms are in the hello of the next
    /// connection.
    pub(super) fn unanswered(&self) -> usize {
        let all = self.waiting.iter().chain(&self.unanswered);
        all.filter(|(_, request)| is_answered(request)).count()
    }

    /// Returns whether the member will be in the room when all that waits is sent, if that says it.
    pub(super) fn will_be_in(&self, room: &RoomName) -> Option<bool> {
        self.waiting.iter().rev().find_map(|(_, request)| joins(request, room))
    }

    /// Notes which rooms the host has the member in.
    pub(super) fn handle_rooms(&mut self, rooms: impl IntoIterator<Item = RoomName>) {
        self.there = rooms.into_iter().collect();
    }

    /// Returns the rooms of waiting requests that the host refuses to those who are not in the
    /// room, with the positions of the requests.
    pub(super) fn uses(&self) -> impl Iterator<Item = (&RoomName, Place)> {
        let uses = self.waiting.iter().filter(|(_, of)| matches!(of.action, Action::Topic(_)));
        uses.map(|(place, request)| (&request.room, *place))
    }

    /// Lets the member be in a room at each of these places, and leave it after the last one unless
    /// it `stays`.
    pub(super) fn visit(&mut self, room: &RoomName, places: &BTreeSet<Place>, stays: bool) {
        for place in places {
            if !self.is_in(room, *place) {
                self.add(place.before(), room.clone(), Action::Joined);
            }
        }
        let is_in = self.will_be_in(room).unwrap_or_else(|| self.there.contains(room));
        if let Some(last) = places.last().filter(|_| is_in && !stays) {
            self.add(last.after(), room.clone(), Action::LeftRoom);
        }
    }

    /// Returns `true` if the member will be in the room when what waits before this place is sent.
    fn is_in(&self, room: &RoomName, place: Place) -> bool {
        let before = self.waiting.iter().take_while(|(other, _)| *other < place);
        let moves = before.filter_map(|(_, request)| joins(request, room));
        moves.last().unwrap_or_else(|| self.there.contains(room))
    }

    pub(super) fn next(&mut self) -> Option<Request> {
        let (place, request) = self.waiting.pop_front()?;
        match request.action {
            Action::Joined => _ = self.there.insert(request.room.clone()),
            Action::LeftRoom => _ = self.there.remove(&request.room),
            _ => {}
        }
        // The hello of the next connection names the rooms, so these are not answered.
        if is_answered(&request) {
            self.unanswered.push_back((place, request.clone()));
            if self.unanswered.len() > MAX_UNANSWERED_REQUESTS {
                self.unanswered.pop_front();
            }
        }
        Some(request)
    }

    pub(super) fn answered(&mut self, number: RequestId) {
        self.unanswered.retain(|(_, request)| request.request != Some(number));
    }

    /// Returns `true` if this is the number of a request from here.
    pub(super) fn has_number(&self, number: Option<RequestId>) -> bool {
        number.is_some_and(|number| (self.first + 1..=self.last).contains(&number.0))
    }

    /// A request that the host has refused for the time being is sent again. Returns `false` if it
    /// is none of these.
    pub(super) fn again(&mut self, number: Option<RequestId>) -> bool {
        let is_it = |(_, request): &(Place, Request)| request.request == number;
        let Some(at) = self.unanswered.iter().position(is_it) else { return false };
        let Some((place, request)) = self.unanswered.remove(at) else { return false };
        let at = self.waiting.partition_point(|(other, _)| *other <= place);
        self.waiting.insert(at, (place, request));
        true
    }

    /// What was not answered is sent again.
    pub(super) fn rewind(&mut self) {
        while let Some(request) = self.unanswered.pop_back() {
            self.waiting.push_front(request);
        }
        self.waiting.make_contiguous().sort_by_key(|(place, _)| *place);
    }
}

/// Returns whether a request joins this room or leaves it, if it does either.
fn joins(request: &Request, room: &RoomName) -> Option<bool> {
    match request.action {
        Action::Joined if request.room == *room => Some(true),
        Action::LeftRoom if request.room == *room => Some(false),
        _ => None,
    }
}

fn names((_, request): &(Place, Request)) -> bool {
    matches!(request.action, Action::Named(_))
}

/// Returns `true` if the host answers this request when it has done it.
const fn is_answered(request: &Request) -> bool {
    !matches!(request.action, Action::Joined | Action::LeftRoom)
}
