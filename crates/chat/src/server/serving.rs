//! A chat and the routes to its members: turns datagrams into requests.

use std::{collections::BTreeMap, sync::Arc};

use hikyaku::{dialect::Dialect, signers::Signer};
use hikyaku_plain::{Dropped, Received, dtls::Notice};

use super::{
    AtTheDoor,
    admission::Admission,
    chance::Chance,
    delivery::{Delivery, PlainDoor, Readers},
    history::Keeper,
    host_log::HostLog,
    members::{Door, Form, Member, Route, Signing, name_of},
    meters::{Gauge, Meters},
    native::NativeDoor,
};
use crate::{
    app::Shown,
    event::Departure,
    machine::{self, Ticket},
    name::Name,
    plain::parse,
    request::{Action, Request},
    room::{Chat, Effect, Hello, Stats},
    time::{Now, Time},
};

/// A chat, and the routes to its members.
pub(super) struct Server<S> {
    pub(super) room: Chat<Member, HostLog>,
    /// The route to each peer; between calls, of members only.
    pub(super) routes: BTreeMap<Member, Route>,
    pub(super) chance: Chance,
    pub(super) delivery: Delivery<S>,
    pub(super) keeper: Option<Keeper>,
    pub(super) admission: Option<Admission>,
    /// Bans and other changes that the history failed to store.
    pub(super) not_kept: u64,
    meters: Arc<Meters>,
    /// Empty between calls; kept for its allocation.
    pub(super) effects: Vec<Effect<Member>>,
}

impl<S: FnMut(Shown)> Server<S> {
    pub(super) fn new(
        room: Chat<Member, HostLog>,
        keeper: Option<Keeper>,
        delivery: Delivery<S>,
        chance: Chance,
        meters: Arc<Meters>,
    ) -> Self {
        Self {
            room,
            routes: BTreeMap::new(),
            chance,
            delivery,
            keeper,
            admission: None,
            not_kept: 0,
            meters,
            effects: Vec::new(),
        }
    }

    pub(super) fn seat_host(&mut self, host: Member, name: Option<&Name>) {
        self.room.seat_host(host, name);
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let prune_at = self.keeper.as_ref().and_then(Keeper::prune_at);
        let fan_out_at = self.delivery.native.as_ref().and_then(NativeDoor::poll_timeout);
        [self.room.poll_timeout(), prune_at, fan_out_at].into_iter().flatten().min()
    }

    pub(super) fn stats(&self) -> Stats {
        self.room.stats()
    }

    /// Publishes the current statistics.
    pub(super) fn meter(&self) {
        let stats = self.stats();
        self.meters.set_stats(&stats, self.unsent());
        self.meters.summarise(self.room.title(), stats.members);
        self.meters.set(Gauge::Rooms, self.room.room_count());
        self.meters.set(Gauge::Head, usize::try_from(self.room.head().0).unwrap_or(usize::MAX));
        if let Some(native) = &self.delivery.native {
            self.meters.set(Gauge::Devices, native.all_devices());
            self.meters.set(Gauge::WindowBytes, native.window_bytes());
        }
    }

    pub(super) fn unsent(&self) -> u64 {
        self.delivery.unsent + self.delivery.native.as_ref().map_or(0, |native| native.unsent)
    }

    /// The number by which a listener's members are named.
    fn door(&self, number: usize) -> Door {
        Door { number, is_beside_native: self.delivery.native.is_some() }
    }

    const fn signing(&self) -> Signing {
        match self.delivery.native {
            Some(_) => Signing::BesideNative,
            None => Signing::AmongDatagrams,
        }
    }

    fn plain(&self, door: usize) -> &PlainDoor {
        &self.delivery.doors[door]
    }

    /// Returns `true` if the datagram opens another dialect or is a hint: neither is a line,
    /// although any text may be one.
    pub(super) async fn hear_any(
        &mut self,
        now: Now,
        number: usize,
        received: &Received<'_>,
        door: &mut impl FnMut(AtTheDoor<'_>),
    ) {
        let ours = self.plain(number).dialect;
        match Dialect::of(&received.payload).filter(|_| ours == Dialect::Plain) {
            None if Dialect::of_hint(&received.payload).is_some() => {}
            None => self.hear(now, number, received).await,
            Some(theirs) => {
                let from = received.from.peer;
                door(AtTheDoor::OtherDialect { from, theirs, ours });
                self.plain(number).sender.hint(&received.payload, received.from).await;
            }
        }
    }

    pub(super) async fn refuse(
        &self,
        number: usize,
        dropped: &Dropped,
        door: &mut impl FnMut(AtTheDoor<'_>),
    ) {
        door(AtTheDoor::Dropped(dropped));
        let ours = self.plain(number).dialect;
        // A known envelope or record under another key is a different problem.
        let differs = |theirs: &Dialect| *theirs != ours || ours == Dialect::Fernet;
        if let Some(theirs) = dropped.dialect.filter(differs) {
            door(AtTheDoor::OtherDialect { from: dropped.from.peer, theirs, ours });
        }
        self.plain(number).sender.hint_dropped(dropped).await;
    }

    pub(super) async fn hear(&mut self, now: Now, number: usize, received: &Received<'_>) {
        let from = match &received.signer {
            None => Member::At(self.door(number), received.from.peer),
            Some(signer) => Member::Signed(signer.fingerprint(), self.signing()),
        };
        let read = machine::read_request(&received.payload);
        let is_machine = read.is_some();
        let (request, shown) = read.unwrap_or_else(|| (parse(&received.payload), None));
        let is_sign_of_life = request.action == Action::Heard;
        let was_here = self.room.is_member(from);
        let ticket = self.note_route(from, number, received, is_machine);
        let request = match request.action {
            // Without the ticket, the sender may have forged its address.
            Action::Resumed(_) if shown != Some(ticket) => Action::Heard.into(),
            _ => request,
        };
        match &received.signer {
            None => self.handle(now, from, request).await,
            Some(signer) => self.hear_signed(now, from, signer, request).await,
        }
        let is_here = self.room.is_member(from);
        if !is_here {
            self.routes.remove(&from);
        }
        if was_here && !is_here {
            self.plain(number).sender.dismiss(received.from.peer).await;
        }
        // A client cannot distinguish a silent room from one that has forgotten its association.
        // Without one, a keep-alive makes its sender a member again, and an answer would go to an
        // address that may be forged.
        if was_here && is_here && is_sign_of_life && self.plain(number).sender.speaks_dtls() {
            self.delivery.send(b"", number, received.from).await;
        }
    }

    /// Records where a member writes from and what it reads. Returns its ticket.
    fn note_route(
        &mut self,
        from: Member,
        door: usize,
        received: &Received<'_>,
        is_machine: bool,
    ) -> Ticket {
        let to = received.from;
        let old = self.routes.get(&from).copied();
        // A new address must prove again that it is reachable.
        let ticket = match old.filter(|old| old.door == door && old.to.peer == to.peer) {
            Some(old) => old.ticket,
            None => self.chance.ticket(),
        };
        let form = old.map_or(Form::Text, |old| old.form).after(&received.payload, is_machine);
        let nonce = machine::nonce(&received.payload).or_else(|| old.and_then(|old| old.nonce));
        self.routes.insert(from, Route { door, to, form, ticket, nonce });
        ticket
    }

    /// Removes a member whose association has ended, unless it has written from elsewhere.
    pub(super) async fn handle_notice(&mut self, now: Now, number: usize, notice: &Notice) {
        let Notice::Ended(address, _) = notice else { return };
        let from = Member::At(self.door(number), *address);
        let from = match self.room.is_member(from) {
            true => Some(from),
            // A signer.
            false => {
                let is_theirs = |way: &Route| way.door == number && way.to.peer == *address;
                self.routes.iter().find(|(_, way)| is_theirs(way)).map(|(member, _)| *member)
            }
        };
        if let Some(from) = from {
            self.routes.remove(&from);
            self.handle(now, from, Action::Left.into()).await;
        }
    }

    /// Handles an action of a signer, whose name comes from its key from the start.
    async fn hear_signed(&mut self, now: Now, from: Member, signer: &Signer, request: Request) {
        let Request { action, .. } = &request;
        let is_named = matches!(action, Action::Named(_) | Action::Hello(_));
        let is_new = !self.room.is_member(from) && *action != Action::Left;
        if is_new {
            let hello = Action::Hello(name_of(signer));
            self.handle(now, from, hello.into()).await;
            if is_named || *action == Action::Heard || !self.room.is_member(from) {
                return;
            }
        }
        let request = match request.action {
            // Whatever name it asks for; it is greeted again.
            Action::Named(_) | Action::Hello(_) => {
                Request { action: Action::Hello(name_of(signer)), ..request }
            }
            _ => request,
        };
        self.handle(now, from, request).await;
    }

    pub(super) async fn handle(&mut self, now: Now, from: Member, request: Request) {
        self.room.handle(now, from, request, &mut self.effects);
        self.grant(from);
        self.settle(now).await;
    }

    /// Handles the hello of a native member. Returns `true` if it was greeted.
    pub(super) async fn greet(&mut self, now: Now, from: Member, hello: &Hello<'_>) -> bool {
        let is_in = self.room.handle_hello(now, from, hello, &mut self.effects);
        self.grant(from);
        self.settle(now).await;
        is_in
    }

    /// Lets a member read its rooms before anything is published there.
    fn grant(&mut self, member: Member) {
        if let (Some(native), Some(rooms)) = (&mut self.delivery.native, self.room.rooms_of(member))
        {
            native.set_rooms(member, rooms);
        }
    }

    /// Carries out the effects of a call.
    pub(super) async fn settle(&mut self, now: Now) {
        self.expel_banned(now);
        self.answer_queries(now).await;
        self.rewind();
        self.report_storage(now);
        self.deliver().await;
        for (member, why) in self.room.take_dismissed() {
            self.send_away(member, why);
            if let Some(route) = self.routes.remove(&member) {
                self.plain(route.door).sender.dismiss(route.to.peer).await;
            }
        }
        self.keep(now);
    }

    /// Removes native members who connect from a network that has just been banned: only their
    /// connections show where they are.
    fn expel_banned(&mut self, now: Now) {
        let Some(native) = &self.delivery.native else { return };
        if !self.room.has_ban_changes() {
            return;
        }
        for member in native.members_at(|ip| self.room.is_banned(None, Some(ip))) {
            self.room.expel(now, member, Departure::Banned, &mut self.effects);
        }
    }

    pub(super) async fn handle_timeout(&mut self, now: Now) {
        self.room.handle_timeout(now, &mut self.effects);
        let silent = self.room.take_silent();
        let gone: Vec<Route> =
            silent.iter().filter_map(|member| self.routes.remove(member)).collect();
        self.settle(now).await;
        for route in gone {
            self.plain(route.door).sender.dismiss(route.to.peer).await;
        }
        self.dismiss_native(&silent);
        if let Some(native) = &mut self.delivery.native {
            native.handle_timeout(now.time);
        }
    }

    pub(super) async fn close(mut self, now: Now) -> (Stats, u64) {
        self.flush(now).await;
        self.room.close(now, &mut self.effects);
        self.deliver().await;
        if let Some(native) = &mut self.delivery.native {
            native.close().await;
        }
        let figures = (self.stats(), self.unsent());
        if let Some(keeper) = self.keeper {
            keeper.close().await;
        }
        figures
    }

    async fn deliver(&mut self) {
        let readers = Readers { room: &self.room, routes: &self.routes };
        for effect in self.effects.drain(..) {
            self.delivery.deliver(&effect, &readers).await;
        }
    }
}
