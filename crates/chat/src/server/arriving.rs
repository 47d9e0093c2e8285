//! What comes in by the native door becomes requests. A member is known by the key that their
//! connection has proved: nothing is done in another's name.

use hikyaku::{Bytes, Closed, Connection, dialect::Dialect};

use super::{
    AtTheDoor,
    members::Member,
    native::{Arrival, NativeDoor, code},
    serving::Server,
};
use crate::{
    app::Shown,
    machine,
    request::{Action, Request},
    time::Now,
};

impl<S: FnMut(Shown)> Server<S> {
    /// Waits for what comes in by the native door; for ever where there is none.
    pub(super) async fn next_arrival(&mut self) -> Option<Arrival> {
        match &mut self.delivery.native {
            Some(native) => native.next().await,
            None => std::future::pending().await,
        }
    }

    pub(super) async fn arrive(
        &mut self,
        now: Now,
        arrival: Arrival,
        door: &mut impl FnMut(AtTheDoor<'_>),
    ) {
        match arrival {
            Arrival::Line(connection, line) => match self.native().member_of(&connection) {
                Some(member) => self.hear_member(now, member, &line).await,
                None => self.hear_newcomer(now, connection, &line).await,
            },
            Arrival::Ended(connection, closed) => self.part(now, &connection, &closed).await,
            Arrival::Refused(refusal) => door(AtTheDoor::Refused(&refusal)),
            Arrival::Astray(astray) => door(AtTheDoor::OtherDialect {
                from: astray.from,
                theirs: astray.dialect,
                ours: Dialect::Native,
            }),
        }
    }

    fn native(&mut self) -> &mut NativeDoor {
        self.delivery.native.as_mut().expect("arrivals come by the native door")
    }

    async fn hear_member(&mut self, now: Now, member: Member, line: &Bytes) {
        let Some((request, _)) = machine::read_request(line) else { return };
        if let Action::Resumed(after) = request.action {
            let since = self.room.since(member).unwrap_or_default();
            return self.native().resume(member, after.max(since));
        }
        self.handle(now, member, request).await;
        if !self.room.is_member(member) {
            self.native().forget(member);
        }
    }

    /// The first line of a connection: somebody comes, or comes back.
    async fn hear_newcomer(&mut self, now: Now, connection: Connection, line: &Bytes) {
        let Some((hello, name)) = machine::read_native_hello(line) else {
            return connection.abort(code::FORMAT, "this is a chat: use `hikyaku chat join`");
        };
        let member = Member::Native(connection.peer().fingerprint(), hello.device);
        let head = self.room.head();
        let after = match (self.room.since(member), hello.after) {
            (Some(since), Some(after)) => after.max(since),
            _ => head,
        };
        let ticket = self.tickets.issue();
        self.native().attach(member, connection.clone(), ticket);
        let hello = Request::from(Action::Hello(name));
        self.handle(now, member, hello).await;
        if self.room.is_member(member) {
            return self.native().resume(member, after);
        }
        self.native().forget(member);
        connection.abort(code::FULL, "this chat takes nobody in now; try again later");
    }

    /// Whoever closes a connection has left; whoever loses it may come back for a while.
    async fn part(&mut self, now: Now, connection: &Connection, closed: &Closed) {
        let Some(member) = self.native().detach(connection) else { return };
        if closed.is_graceful() && self.room.is_member(member) {
            self.handle(now, member, Action::Left.into()).await;
        }
        if !self.room.is_member(member) {
            self.native().forget(member);
        }
    }

    /// Ends the connections of those whom the room has removed.
    pub(super) fn dismiss_native(&mut self) {
        let Some(native) = &mut self.delivery.native else { return };
        for member in native.members() {
            if !self.room.is_member(member)
                && let Some(connection) = native.forget(member)
            {
                connection.abort(0, "");
            }
        }
    }
}
