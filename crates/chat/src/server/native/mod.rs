//! The door for native connections: each line of a member is a message on one Ordered channel, and
//! each event goes to all of them as one shared payload.
//!
//! ```text
//! connection ─ reader task ─▶ arrivals (bounded) ─▶ room ─▶ Window ─▶ writer task ─ connection
//! ```
//!
//! Members share the window instead of having queues of their own: each writer has a cursor in it,
//! and one whose member reads too slowly falls behind, and then misses events.

use std::{collections::BTreeMap, sync::Arc};

use hikyaku::{Bytes, Connection, Endpoint, TransportConfig};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::members::Member;
use crate::{
    clock::Clock,
    event::Seq,
    limits::{
        LAST_WORDS, MAX_ARRIVALS, MAX_MACHINE_LINE_LEN, MAX_PRIVATE, MEMBER_CREDIT, NATIVE_IDLE,
        SPARE_CONNECTIONS,
    },
    machine::Ticket,
};

mod arrivals;
mod window;
mod writer;

pub(super) use self::arrivals::Arrival;
use self::{window::Window, writer::Outgoing};

/// What both sides name in the handshake: what is spoken here, and its version.
pub const APPLICATION: &str = "chat/1";

/// What a room closes a connection with.
pub mod code {
    /// Not a line of a chat, or none in time.
    pub const FORMAT: u64 = 0x1002;
    /// The room does not take the member in.
    pub const FULL: u64 = 0x1010;
    /// The member has come back by another connection.
    pub const REPLACED: u64 = 0x1011;
}

/// Returns how the endpoints of chats are configured: lines are short, and a member holds little.
#[must_use]
pub fn transport() -> TransportConfig {
    TransportConfig::default()
        .max_message(MAX_MACHINE_LINE_LEN)
        .credit(MEMBER_CREDIT)
        .channel_credit(MEMBER_CREDIT)
        .idle_timeout(Some(NATIVE_IDLE))
}

/// Returns how many connections the endpoint of a room with so many members needs.
#[must_use]
pub const fn connections(max_clients: usize) -> usize {
    max_clients.saturating_add(SPARE_CONNECTIONS)
}

/// How a member is reached.
#[derive(Debug)]
struct Route {
    ticket: Ticket,
    /// `None` while the member is away, and may come back.
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    connection: Connection,
    to: mpsc::Sender<Outgoing>,
}

/// Native members, and the ways to them.
#[derive(Debug)]
pub(super) struct NativeDoor {
    endpoint: Endpoint,
    clock: Clock,
    window: Arc<Window>,
    arrivals: mpsc::Receiver<Arrival>,
    routes: BTreeMap<Member, Route>,
    /// Whose a connection is, by its number.
    by_connection: BTreeMap<u64, Member>,
    writers: JoinSet<()>,
    /// Receives until it is dropped.
    _receiving: JoinSet<()>,
    /// Events for one member that found no place.
    pub(super) unsent: u64,
}

impl NativeDoor {
    pub(super) fn open(endpoint: Endpoint, clock: Clock) -> Self {
        let (sender, arrivals) = mpsc::channel(MAX_ARRIVALS);
        let mut receiving = JoinSet::new();
        receiving.spawn(arrivals::receive(endpoint.clone(), sender));
        Self {
            endpoint,
            clock,
            window: Arc::default(),
            arrivals,
            routes: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            writers: JoinSet::new(),
            _receiving: receiving,
            unsent: 0,
        }
    }

    /// Waits for what comes in; returns `None` once the endpoint has ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    pub(super) fn member_of(&self, connection: &Connection) -> Option<Member> {
        self.by_connection.get(&connection.id()).copied()
    }

    pub(super) fn ticket(&self, member: Member) -> Option<Ticket> {
        self.routes.get(&member).map(|route| route.ticket)
    }

    /// A member has come, or come back: `ticket` is for a new stay.
    pub(super) fn attach(&mut self, member: Member, connection: Connection, ticket: Ticket) {
        while self.writers.try_join_next().is_some() {}
        let (to, outgoing) = mpsc::channel(MAX_PRIVATE);
        let window = Arc::clone(&self.window);
        self.writers.spawn(writer::write(connection.clone(), outgoing, window, self.clock));
        self.by_connection.insert(connection.id(), member);
        let route = self.routes.entry(member).or_insert(Route { ticket, link: None });
        if let Some(old) = route.link.replace(Link { connection, to }) {
            self.by_connection.remove(&old.connection.id());
            old.connection.abort(code::REPLACED, "this member has come back");
        }
    }

    /// Sends a member what stands in the log after `seq`, from now on.
    pub(super) fn resume(&mut self, member: Member, seq: Seq) {
        self.put(member, Outgoing::After(seq));
    }

    /// Sends a member what is for them alone.
    pub(super) fn tell(&mut self, member: Member, line: String) {
        self.put(member, Outgoing::Line(Bytes::from(line)));
    }

    fn put(&mut self, member: Member, outgoing: Outgoing) {
        let link = self.routes.get(&member).and_then(|route| route.link.as_ref());
        let sent = link.is_some_and(|link| link.to.try_send(outgoing).is_ok());
        self.unsent += u64::from(!sent);
    }

    /// Sends all members an event of the log.
    pub(super) fn publish(&self, seq: Seq, line: String) {
        self.window.push(seq, Bytes::from(line));
    }

    /// A connection is over; returns whose it was, if it was their way.
    pub(super) fn detach(&mut self, connection: &Connection) -> Option<Member> {
        let member = self.by_connection.remove(&connection.id())?;
        let route = self.routes.get_mut(&member)?;
        route.link.take_if(|link| link.connection == *connection)?;
        Some(member)
    }

    /// Forgets a member who has left the room.
    pub(super) fn forget(&mut self, member: Member) -> Option<Connection> {
        let link = self.routes.remove(&member)?.link?;
        self.by_connection.remove(&link.connection.id());
        Some(link.connection)
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.routes.keys().copied().collect()
    }

    /// Sends all members what they have not read yet, as far as they read it in time, and ends.
    pub(super) async fn close(&mut self) {
        // Writers end with what they were given.
        self.routes.clear();
        let all = async { while self.writers.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, all).await;
        self.endpoint.close(LAST_WORDS).await;
    }
}
