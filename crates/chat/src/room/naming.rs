//! Names, and which members may have them.

use super::{Call, Chat, Effect, Peer, members::Taken, refuse};
use crate::{
    event::{Author, Event, Kind, Refusal},
    limits::MAX_NAME_SUFFIX,
    log::Log,
    name::Name,
    room_name::RoomName,
};

impl<P: Peer, L: Log> Chat<P, L> {
    pub(super) fn change_name(&mut self, call: &Call<P>, wish: &str, effects: &mut Vec<Effect<P>>) {
        let Some(before) = self.members.author(call.from) else { return };
        let renamed = Name::parse(wish)
            .map_err(|error| Refusal::BadName { error })
            .and_then(|name| self.rename(call.from, &name));
        match renamed {
            Err(refusal) => refuse(call, refusal, effects),
            // The hello was repeated because our greeting was lost.
            Ok(()) if before.name == self.members.shown(call.from) => self.greet(call, effects),
            Ok(()) => self.publish_rename(call, &before, effects),
        }
    }

    /// Announces a new name in each of the member's rooms.
    pub(super) fn publish_rename(
        &mut self,
        call: &Call<P>,
        before: &Author,
        effects: &mut Vec<Effect<P>>,
    ) {
        let name = self.members.shown(call.from);
        if name == before.name {
            return;
        }
        for room in self.rooms_list(call.from) {
            let kind = Kind::Renamed { name: name.clone() };
            let mut event = Event::new(call.now.stamp, Some(before.clone()), call.request, kind);
            event.room = room;
            self.submit(event, effects);
        }
    }

    pub(super) fn rooms_list(&self, peer: P) -> Vec<RoomName> {
        self.members
            .get(peer)
            .map_or_else(Vec::new, |member| member.rooms.keys().cloned().collect())
    }

    fn rename(&mut self, from: P, name: &Name) -> Result<(), Refusal> {
        self.members.rename(from, name).map_err(|Taken| {
            let twin = self.members.twin(name, from).filter(|twin| !is_same(twin, name));
            if let Some(like) = twin {
                return Refusal::NameConfusable { name: name.shared(), like };
            }
            let free = self.free_name(from, name).map(|free| free.shared());
            Refusal::NameTaken { name: name.shared(), free }
        })
    }

    /// Gives a newcomer the name it asked for, or a similar one if that is taken.
    pub(super) fn name_newcomer(&mut self, from: P, wish: &str) -> Result<(), Refusal> {
        let name = Name::parse(wish).map_err(|error| Refusal::BadName { error })?;
        if self.members.rename(from, &name).is_ok() {
            return Ok(());
        }
        let taken = name.shared();
        match self.free_name(from, &name) {
            Some(free) if self.members.rename(from, &free).is_ok() => {
                Err(Refusal::NameReplaced { name: taken, given: free.shared() })
            }
            _ => Err(Refusal::NameTaken { name: taken, free: None }),
        }
    }

    /// Returns a free name like a taken one, after a few tries at most.
    fn free_name(&self, from: P, name: &Name) -> Option<Name> {
        let own = self.members.id(from).and_then(|id| u32::try_from(id.0).ok());
        (2..=MAX_NAME_SUFFIX)
            .chain(own.map(|own| own.saturating_add(MAX_NAME_SUFFIX)))
            .map_while(|number| name.numbered(number))
            .find(|name| self.members.is_free(name, from))
    }
}

/// Returns `true` if the names differ in case alone.
fn is_same(one: &str, other: &Name) -> bool {
    one.to_lowercase() == other.as_str().to_lowercase()
}
