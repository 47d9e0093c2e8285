//! The native listener: each line of a member is a message on one Ordered channel, and events go to
//! all members as shared payloads of one or more lines.
//!
//! ```text
//! connection ─ reader task ─▶ arrivals (bounded) ─▶ chat ─▶ Window ─▶ writer task ─ connection
//!                                                     history ─▶ Pool ──┘
//! ```
//!
//! Members share the window instead of having queues of their own: each writer has a cursor in it.
//! A device that reads too slowly falls behind and continues from the history.

use std::{collections::BTreeMap, future, net::IpAddr, sync::Arc};

use hikyaku::{Bytes, Endpoint, TransportConfig, signers::Fingerprint};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};

use super::{history::Pool, members::Member, meters::Meters, web::WebDoor};
use crate::{
    clock::Clock,
    event::Seq,
    limits::{
        LAST_WORDS, MAX_ARRIVALS, MAX_DEVICES, MAX_MACHINE_LINE_LEN, MEMBER_CREDIT, MEMBER_QUEUE,
        NATIVE_IDLE, SPARE_CONNECTIONS,
    },
    machine::{Device, Ticket},
    rate::Rate,
    room_name::RoomName,
    store::Rights,
    time::Time,
};

mod arrivals;
mod cursor;
mod fan_out;
mod message;
mod pace;
mod private;
mod way;
mod window;
mod writer;

#[cfg(not(test))]
use self::window::Window;
pub(super) use self::{
    arrivals::Arrival,
    pace::{Pace, Paces, reading},
    way::{Way, WayId},
    window::{Entry, For},
    writer::{Outgoing, PageWanted},
};
#[cfg(test)]
pub(super) use self::{
    arrivals::open,
    cursor::{Cursor, Step},
    message::Message,
    window::Window,
};
use self::{fan_out::FanOut, writer::Writer};

/// The application protocol and its version, which both sides name in the handshake.
pub const APPLICATION: &str = "chat/3";

/// The codes with which a chat closes a connection.
pub mod code {
    /// Not a line of a chat, or none in time.
    pub const FORMAT: u64 = 0x1002;
    /// The chat does not admit the member.
    pub const FULL: u64 = 0x1010;
    /// The device has come back on another connection.
    pub const REPLACED: u64 = 0x1011;
    /// An owner has removed the member.
    pub const KICKED: u64 = 0x1012;
    /// The key or the address is banned.
    pub const BANNED: u64 = 0x1013;
    /// The guest has no valid invite.
    pub const NOT_INVITED: u64 = 0x1014;
}

/// Returns how the endpoints of chats are configured: lines are short, and a member holds little.
#[must_use]
pub fn transport() -> TransportConfig {
    TransportConfig::default()
        .max_message(MAX_MACHINE_LINE_LEN)
        .send_queue(MEMBER_QUEUE)
        .credit(MEMBER_CREDIT)
        .channel_credit(MEMBER_CREDIT)
        .idle_timeout(Some(NATIVE_IDLE))
}

/// Returns how many connections the endpoint of a chat with this many members needs.
#[must_use]
pub const fn connections(max_clients: usize) -> usize {
    max_clients.saturating_add(SPARE_CONNECTIONS)
}

/// The connections of a member.
#[derive(Debug)]
struct Route {
    ticket: Ticket,
    /// The right to search: one at a time.
    searches: Arc<Semaphore>,
    /// None while the member is away and may come back.
    links: Vec<Link>,
}

impl Route {
    fn link(&self, device: Device) -> Option<&Link> {
        self.links.iter().find(|link| link.device == device)
    }

    fn remove(&mut self, device: Device) -> Option<Link> {
        let at = self.links.iter().position(|link| link.device == device)?;
        Some(self.links.remove(at))
    }
}

/// A device's connection.
#[derive(Debug)]
struct Link {
    device: Device,
    way: Way,
    private: private::Sender,
    /// Rooms that the device reads from its previous position, which is before the member came
    /// back.
    resumed: BTreeMap<RoomName, Seq>,
}

/// Native members, and their connections.
#[derive(Debug)]
pub(super) struct NativeDoor {
    endpoint: Endpoint,
    clock: Clock,
    window: Arc<Window>,
    pool: Option<Arc<Pool>>,
    meters: Arc<Meters>,
    arrivals: mpsc::Receiver<Arrival>,
    routes: BTreeMap<Member, Route>,
    /// Members who use a web page.
    web: Option<WebDoor>,
    /// The owner of each connection.
    by_way: BTreeMap<WayId, (Member, Device)>,
    fan_out: FanOut,
    writers: JoinSet<()>,
    /// Receives until it is dropped.
    _receiving: JoinSet<()>,
    /// Private events that were dropped for lack of room.
    pub(super) unsent: u64,
}

impl NativeDoor {
    /// Opens the listener for a log that has reached `head`. The requests of each member are read
    /// at the rate `reading`.
    pub(super) fn open(
        endpoint: Endpoint,
        web: Option<WebDoor>,
        clock: Clock,
        head: Seq,
        pool: Option<Arc<Pool>>,
        meters: Arc<Meters>,
        reading: Rate,
    ) -> Self {
        let (sender, arrivals) = mpsc::channel(MAX_ARRIVALS);
        let mut receiving = JoinSet::new();
        let paces = Paces::new(clock, reading);
        receiving.spawn(arrivals::receive(endpoint.clone(), paces, sender));
        Self {
            endpoint,
            clock,
            window: Arc::new(Window::new(head)),
            pool,
            meters,
            arrivals,
            routes: BTreeMap::new(),
            web,
            by_way: BTreeMap::new(),
            fan_out: FanOut::default(),
            writers: JoinSet::new(),
            _receiving: receiving,
            unsent: 0,
        }
    }

    /// Waits for the next arrival; returns `None` once the endpoint has ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Arrival> {
        let web = async {
            let Some(WebDoor { arrivals }) = &mut self.web else { return future::pending().await };
            match arrivals.recv().await {
                Some(arrival) => arrival,
                // The web server has ended, and the chat continues.
                None => future::pending().await,
            }
        };
        tokio::select! {
            arrival = self.arrivals.recv() => arrival,
            arrival = web => Some(arrival),
        }
    }

    /// Returns the key of the chat.
    pub(super) fn key(&self) -> Fingerprint {
        self.endpoint.fingerprint()
    }

    pub(super) fn all_devices(&self) -> usize {
        self.by_way.len()
    }

    pub(super) fn window_bytes(&self) -> usize {
        self.window.bytes()
    }

    pub(super) fn member_of(&self, way: WayId) -> Option<(Member, Device)> {
        self.by_way.get(&way).copied()
    }

    /// Returns the way to a device that is here.
    pub(super) fn way_to(&self, (member, device): (Member, Device)) -> Option<&Way> {
        Some(&self.routes.get(&member)?.link(device)?.way)
    }

    pub(super) fn ticket(&self, member: Member) -> Option<Ticket> {
        self.routes.get(&member).map(|route| route.ticket)
    }

    /// Handles a device that has arrived or come back: `ticket` is for a new stay of its member. If
    /// the member has too many devices, the new one replaces another.
    pub(super) fn attach(
        &mut self,
        (member, device): (Member, Device),
        way: Way,
        ticket: Ticket,
        resumed: BTreeMap<RoomName, Seq>,
    ) {
        while self.writers.try_join_next().is_some() {}
        let rights = Rights { key: way.key(), rooms: BTreeMap::new() };
        let (private, receiver) = private::private(rights);
        let new = || Route { ticket, searches: Arc::new(Semaphore::new(1)), links: Vec::new() };
        let route = self.routes.entry(member).or_insert_with(new);
        let writer = Writer {
            way: way.clone(),
            window: Arc::clone(&self.window),
            private: receiver,
            pool: self.pool.clone(),
            searches: Arc::clone(&route.searches),
            meters: Arc::clone(&self.meters),
            clock: self.clock,
        };
        self.writers.spawn(writer::write(writer));
        self.by_way.insert(way.id(), (member, device));
        let replaced = route.remove(device);
        let is_crowded = route.links.len() >= MAX_DEVICES;
        let crowded_out = is_crowded.then(|| route.links.remove(0));
        route.links.push(Link { device, way, private, resumed });
        for old in replaced.into_iter().chain(crowded_out) {
            self.by_way.remove(&old.way.id());
            old.way.abort(code::REPLACED, "this device has come back");
        }
    }

    /// Lets the devices of a member read its rooms, from now on.
    pub(super) fn set_rooms(&mut self, member: Member, rooms: &BTreeMap<RoomName, Seq>) {
        let Some(route) = self.routes.get_mut(&member) else { return };
        for link in &mut route.links {
            link.resumed.retain(|room, _| rooms.contains_key(room));
            let resumed = &link.resumed;
            let since = |room, since| *resumed.get(room).unwrap_or(since);
            // Each request comes through here, and almost none changes anything.
            link.private.change_rights(|rights| {
                let is_same = rights.rooms.len() == rooms.len()
                    && rooms
                        .iter()
                        .all(|(room, at)| rights.rooms.get(room) == Some(&since(room, at)));
                let theirs = rooms.iter().map(|(room, at)| (room.clone(), since(room, at)));
                let key = || Arc::clone(&rights.key);
                (!is_same).then(|| Rights { key: key(), rooms: theirs.collect() })
            });
        }
    }

    /// Sends private events to a member's devices, or only to one of them.
    pub(super) fn tell(&mut self, member: Member, only: Option<Device>, line: &Bytes) {
        match only {
            Some(device) => self.put((member, device), Outgoing::Line(line.clone())),
            None => {
                let links = self.routes.get(&member).into_iter().flat_map(|route| &route.links);
                let sent = |link: &Link| link.private.put(Outgoing::Line(line.clone()));
                self.unsent += links.filter(|link| !sent(link)).count() as u64;
            }
        }
    }

    pub(super) fn put(&mut self, (member, device): (Member, Device), outgoing: Outgoing) {
        let link = self.routes.get(&member).and_then(|route| route.link(device));
        let sent = link.is_some_and(|link| link.private.put(outgoing));
        self.unsent += u64::from(!sent);
    }

    /// Sends a line to all who may read it, now or together with others.
    pub(super) fn publish(&mut self, entry: Entry) {
        self.window.push(entry);
        if self.fan_out.push(self.clock.time(), self.by_way.len()) {
            self.window.announce();
        }
    }

    /// Returns when to call [`Self::handle_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.fan_out.poll_timeout()
    }

    /// Sends what has waited long enough for others.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        if self.fan_out.is_due(now, self.by_way.len()) {
            self.window.announce();
        }
    }

    /// Handles the end of a connection; returns its member, if the connection was in use.
    pub(super) fn detach(&mut self, way: WayId) -> Option<Member> {
        let (member, device) = self.by_way.remove(&way)?;
        self.routes.get_mut(&member)?.remove(device)?;
        Some(member)
    }

    /// Returns the number of devices that a member has here.
    pub(super) fn devices(&self, member: Member) -> usize {
        self.routes.get(&member).map_or(0, |route| route.links.len())
    }

    /// Forgets a member who has left the chat.
    pub(super) fn forget(&mut self, member: Member) -> Vec<Way> {
        let Some(route) = self.routes.remove(&member) else { return Vec::new() };
        let ways: Vec<_> = route.links.into_iter().map(|link| link.way).collect();
        for way in &ways {
            self.by_way.remove(&way.id());
        }
        ways
    }

    /// Returns the members with a device at an address that `is_out` names.
    pub(super) fn members_at(&self, is_out: impl Fn(IpAddr) -> bool) -> Vec<Member> {
        let at = |link: &Link| is_out(link.way.address());
        let routes = self.routes.iter().filter(|(_, route)| route.links.iter().any(at));
        routes.map(|(member, _)| *member).collect()
    }

    /// Sends all members what they have not read yet, as far as they read it in time, and ends.
    pub(super) async fn close(&mut self) {
        self.window.announce();
        // Writers end after what they have queued.
        self.routes.clear();
        let all = async { while self.writers.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, all).await;
        self.endpoint.close(LAST_WORDS).await;
    }
}
