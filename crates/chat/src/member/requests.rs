//! Requests other than messages, at their positions among the messages.

use std::collections::VecDeque;

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
}

impl Requests {
    pub(super) const fn new(first: u64) -> Self {
        Self { first, last: first, waiting: VecDeque::new(), unanswered: VecDeque::new() }
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
        self.waiting.iter().rev().filter(|(_, request)| request.room == *room).find_map(
            |(_, request)| match request.action {
                Action::Joined => Some(true),
                Action::LeftRoom => Some(false),
                _ => None,
            },
        )
    }

    /// Returns `true` if a request to join the room waits before this position.
    pub(super) fn joins_before(&self, room: &RoomName, place: Place) -> bool {
        let mut before = self.waiting.iter().take_while(|(other, _)| *other < place);
        before.any(|(_, request)| request.action == Action::Joined && request.room == *room)
    }

    /// Returns `true` if a request to leave the room waits after this place.
    pub(super) fn leaves_after(&self, room: &RoomName, place: Place) -> bool {
        let mut after = self.waiting.iter().filter(|(other, _)| *other > place);
        after.any(|(_, request)| request.action == Action::LeftRoom && request.room == *room)
    }

    pub(super) fn next(&mut self) -> Option<Request> {
        let (place, request) = self.waiting.pop_front()?;
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

fn names((_, request): &(Place, Request)) -> bool {
    matches!(request.action, Action::Named(_))
}

/// Returns `true` if the host answers this request when it has done it.
const fn is_answered(request: &Request) -> bool {
    !matches!(request.action, Action::Joined | Action::LeftRoom)
}
