//! Turns native connections and their lines into requests. A member is identified by the key that
//! their connection has proved: nothing is done in another member's name.

use std::{collections::BTreeMap, sync::Arc};

use hikyaku::{Bytes, dialect::Dialect};

use super::{
    AtTheDoor,
    members::Member,
    native::{Arrival, NativeDoor, Outgoing, PageWanted, Way, WayId, code},
    serving::Server,
};
use crate::{
    app::Shown,
    event::{Departure, Seq},
    log::Log,
    machine::{self, Device, NativeHello},
    request::{Action, Request},
    room::{Hello, Peer as _},
    room_name::RoomName,
    time::Now,
};

/// What a guest without a valid invite is shown.
const NOT_INVITED: &str =
    "this chat is for guests with an invite, and yours is missing, not valid, or used by another";

/// The message for a member whom an owner has removed.
const KICKED: &str = "an owner removed you from this chat for a minute";

/// The position from which a device reads the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) after: Seq,
    /// `true` if it has everything before that.
    pub(super) resumes: bool,
}

impl<S: FnMut(Shown)> Server<S> {
    pub(super) async fn arrive(
        &mut self,
        now: Now,
        arrival: Arrival,
        door: &mut impl FnMut(AtTheDoor<'_>),
    ) {
        match arrival {
            Arrival::Hello(way, line) => self.hear_newcomer(now, way, &line).await,
            Arrival::Request(way, request, name) => {
                if let Some(whose) = self.native().member_of(way) {
                    self.hear_member(now, whose, *request, name).await;
                }
            }
            Arrival::Typed(way, request, id) => {
                if let Some(whose) = self.native().member_of(way) {
                    let (request, name) = self.sign_for(now, whose, *request, id);
                    self.hear_member(now, whose, request, name).await;
                }
            }
            Arrival::Ended(way, is_graceful) => self.part(now, way, is_graceful).await,
            Arrival::Refused(refusal) => door(AtTheDoor::Refused(&refusal)),
            Arrival::Astray(astray) => door(AtTheDoor::OtherDialect {
                from: astray.from,
                theirs: astray.dialect,
                ours: Dialect::Native,
            }),
        }
    }

    fn native(&mut self) -> &mut NativeDoor {
        self.delivery.native.as_mut().expect("only a native listener has arrivals")
    }

    async fn hear_member(
        &mut self,
        now: Now,
        (member, device): (Member, Device),
        mut request: Request,
        name: Option<Arc<str>>,
    ) {
        // The member stays with its other devices.
        if request.action == Action::Left && self.native().devices(member) > 1 {
            request.action = Action::Heard;
        }
        let author = self.room.author(member).map(|author| author.name);
        distrust(&mut request, name.as_deref(), author.as_deref());
        self.delivery.asking = Some((member, device));
        self.handle(now, member, request).await;
        self.delivery.asking = None;
        if !self.room.is_member(member) {
            self.native().forget(member);
        }
    }

    /// Handles the first line of a connection: a member joins, or comes back.
    async fn hear_newcomer(&mut self, now: Now, way: Way, line: &Bytes) {
        let Some((hello, name)) = machine::read_native_hello(line) else {
            return way.abort(code::FORMAT, "this is a chat: use `hikyaku chat join`");
        };
        let (member, device) = (way.member(), hello.device);
        if self.room.is_banned(member.key().as_deref(), Some(way.address())) {
            return way.abort(code::BANNED, "you are banned from this chat");
        }
        if self.room.was_kicked(now.time, member.key().as_deref(), Some(way.address())) {
            return way.abort(code::KICKED, KICKED);
        }
        // A web server has already checked this.
        if let (Some(admission), Some(key)) = (&mut self.admission, way.proved())
            && !admission.admits(key, hello.invite.as_deref())
        {
            return way.abort(code::NOT_INVITED, NOT_INVITED);
        }
        let start = start_of(self.room.log(), &hello);
        let rooms = rooms_of(&hello, start);
        let resumed: BTreeMap<RoomName, Seq> = match start.resumes {
            true => rooms.iter().map(|room| (room.clone(), start.after)).collect(),
            false => BTreeMap::new(),
        };
        let ticket = self.chance.ticket();
        let address = Some(way.address());
        self.native().attach((member, device), way.clone(), ticket, resumed);
        let hello = Hello { name: &name, rooms: &rooms, network: address };
        self.delivery.asking = Some((member, device));
        let is_in = self.greet(now, member, &hello).await;
        self.delivery.asking = None;
        if !is_in {
            self.native().detach(way.id());
            if !self.room.is_member(member) {
                self.native().forget(member);
            }
            return way.abort(code::FULL, "this chat accepts nobody right now; try again later");
        }
        self.room.hold(member);
        if !start.resumes && self.room.log().is_durable() {
            let rooms: Vec<_> = self.room.rooms_of(member).into_iter().flatten().collect();
            let rooms: Vec<_> = rooms.into_iter().map(|(room, _)| room.clone()).collect();
            for room in rooms {
                let page = PageWanted::last(room, start.after);
                self.native().put((member, device), Outgoing::Page(page.into()));
            }
        }
        self.native().put((member, device), Outgoing::After(start.after));
    }

    /// A member that closes its last connection leaves; one that loses it may come back for some
    /// time.
    async fn part(&mut self, now: Now, way: WayId, is_graceful: bool) {
        let Some(member) = self.native().detach(way) else { return };
        if self.native().devices(member) > 0 {
            return;
        }
        self.room.release(now, member);
        if is_graceful && self.room.is_member(member) {
            self.handle(now, member, Action::Left.into()).await;
        }
        if !self.room.is_member(member) {
            self.native().forget(member);
        }
    }

    /// Lets devices read the log again if they asked for it.
    pub(super) fn rewind(&mut self) {
        for (member, after) in self.room.take_rewinds() {
            if let (Some(native), Some((whose, device))) =
                (&mut self.delivery.native, self.delivery.asking)
                && whose == member
            {
                native.put((member, device), Outgoing::After(after));
            }
        }
    }

    /// Ends the connections of members that the chat has removed.
    pub(super) fn dismiss_native(&mut self, gone: &[Member]) {
        let Some(native) = &mut self.delivery.native else { return };
        for member in gone {
            native.forget(*member).into_iter().for_each(|way| way.abort(0, ""));
        }
    }

    /// Ends the connections of a member that an owner has removed.
    pub(super) fn send_away(&mut self, member: Member, why: Departure) {
        let Some(native) = &mut self.delivery.native else { return };
        let (code, reason) = match why {
            Departure::Banned => (code::BANNED, "you are banned from this chat"),
            _ => (code::KICKED, KICKED),
        };
        for way in native.forget(member) {
            way.abort(code, reason);
        }
    }
}

/// A device that was here before continues where it was, if the log is the same.
pub(super) fn start_of(log: &impl Log, hello: &NativeHello) -> Start {
    let head = log.head();
    match (hello.after, hello.log) {
        (Some(after), Some(named)) if Some(named) == log.id() => {
            Start { after: after.min(head), resumes: true }
        }
        _ => Start { after: head, resumes: false },
    }
}

/// The rooms that a device wants to be in: those that it was in, or #general the first time.
pub(super) fn rooms_of(hello: &NativeHello, start: Start) -> Vec<RoomName> {
    let mut rooms = hello.rooms.clone();
    if rooms.is_empty() || !start.resumes {
        rooms.insert(0, RoomName::general());
    }
    rooms
}

/// Refuses messages that are not signed with the author's own key and name, which nobody else would
/// believe.
pub(super) fn distrust(request: &mut Request, signed_as: Option<&str>, author: Option<&str>) {
    let is_theirs = signed_as.is_some() && signed_as == author;
    match (&request.signed, &request.action) {
        (Some((_, sealed)), _) if !is_theirs => request.action = Action::Sealed(sealed.clone()),
        (None, Action::Said(_) | Action::Emote(_) | Action::WhisperedTo(..)) => {
            request.action = Action::Unsigned;
        }
        _ => {}
    }
}
