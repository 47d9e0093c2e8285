//! Drives a chat: its listeners, the host's terminal, its history, the clock.
//!
//! Never: decides who receives what.

// Longer than 400 lines: the parameters of a server, and the one loop with everything that it waits
// for.

use std::{
    future, io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};

use hikyaku::{Endpoint, Refusal, dialect::Dialect, identity::Identity};
use hikyaku_plain::{Dropped, Drops, Incoming, PlainListener, dtls::Notice};
use tokio::{sync::mpsc, task::coop::consume_budget};

use crate::{
    app::Shown,
    clock::Clock,
    entry::Entry,
    limits::MAX_RECEIVE_ERRORS,
    log::{Log as _, MemoryLog, StoredLog},
    name::Name,
    room::{Chat, RoomConfig, Stats},
    store::LogId,
};

mod admission;
mod arriving;
mod chance;
mod delivery;
mod history;
mod host_log;
mod keeping;
mod members;
mod meters;
mod native;
mod serving;
mod typing;
mod web;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

pub use self::{
    admission::Admission,
    history::History,
    meters::{COMMIT_BUCKETS, Commits, Counter, Gauge, Meters, Summary},
    native::{APPLICATION, code, connections, transport},
    web::{WebClosed, WebDoor, WebMember, WebPort, web_port},
};
use self::{
    chance::Chance,
    delivery::{Delivery, PlainDoor},
    history::Keeper,
    host_log::HostLog,
    members::Member,
    native::{NativeDoor, reading},
    serving::Server,
    typing::parse_typed,
};

/// The person at the server's own terminal, who takes part in the chat.
#[derive(Debug)]
pub struct Host {
    /// The name; without it, `host`.
    pub name: Option<Name>,
    /// The lines typed. Their end, `q`, `/quit` or `/leave` ends the server. Give the channel a
    /// bound such as [`MAX_HOST_LINES`](crate::limits::MAX_HOST_LINES), so that a pipe waits for
    /// the room.
    pub lines: mpsc::Receiver<Entry>,
}

/// The parameters of a server, besides its listeners.
#[derive(Debug, Default)]
pub struct Hosting {
    /// The settings of the chat.
    pub config: RoomConfig,
    /// Where the chat is stored. Without it, a chat is forgotten when it ends.
    pub history: Option<History>,
    /// The key of the native endpoint, which signs what the host says.
    pub identity: Option<Identity>,
    /// Statistics that are updated while the server runs.
    pub meters: Arc<Meters>,
    /// Decides who may join over native connections. By default, everyone whom the endpoint
    /// accepts.
    pub admission: Option<Admission>,
}

impl From<RoomConfig> for Hosting {
    fn from(config: RoomConfig) -> Self {
        Self { config, ..Self::default() }
    }
}

/// The listeners of a room. A member may use any of them.
#[derive(Debug, Default)]
pub struct Doors {
    /// Native connections, of an endpoint that offers [`APPLICATION`]; see [`transport`].
    pub native: Option<Endpoint>,
    /// Plain datagrams. In a room with native connections, members who use this are marked, because
    /// they have proved no key.
    pub plain: Option<PlainListener>,
    /// The same, for a second listener, such as one that speaks DTLS.
    pub dtls: Option<PlainListener>,
    /// Pages of a web server, in addition to native connections.
    pub web: Option<WebDoor>,
}

impl From<PlainListener> for Doors {
    fn from(listener: PlainListener) -> Self {
        Self { plain: Some(listener), ..Self::default() }
    }
}

impl From<Endpoint> for Doors {
    fn from(endpoint: Endpoint) -> Self {
        Self { native: Some(endpoint), ..Self::default() }
    }
}

/// Listeners for plain datagrams of one room.
const MAX_PLAIN_DOORS: usize = 2;

/// The statistics of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// The room's statistics.
    pub room: Stats,
    /// Datagrams that were dropped, per listener.
    pub drops: Vec<Drops>,
    /// Datagrams that the system failed to send, and events that a native member did not read.
    pub unsent: u64,
}

/// An event at the listener, before it reaches the room.
#[derive(Clone, Copy, Debug)]
pub enum AtTheDoor<'a> {
    /// A datagram was dropped.
    Dropped(&'a Dropped),
    /// A DTLS peer connected, left, or was refused.
    Peer(&'a Notice),
    /// A native newcomer was refused.
    Refused(&'a Refusal),
    /// A peer speaks another dialect.
    OtherDialect {
        /// The source address, which may be forged.
        from: SocketAddr,
        /// The peer's dialect.
        theirs: Dialect,
        /// Our dialect.
        ours: Dialect,
    },
}

/// Runs a chat until the host leaves or `shutdown` resolves; then stores pending messages and
/// announces the end to the members.
///
/// `show` is called with everything that the host should see; without a host, the messages of every
/// room. `door` is called with what the listeners dropped. An error of sending to one member is
/// counted and affects no other.
///
/// If the listener requires signatures, a member is a key: its name is the listener's comment for
/// the signer, whatever `/name` says, and its address is the one it last wrote from.
///
/// If it speaks DTLS, a member leaves with the association it last wrote through, and the
/// association ends with the membership.
///
/// On native connections, a member is a key with any number of devices. They leave when they close
/// their last connection; if they lose it, they may come back within [`RoomConfig::idle`].
///
/// # Errors
/// When receiving fails repeatedly, when the history cannot be read at the start, or when
/// there are web pages without native connections.
pub async fn run(
    doors: impl Into<Doors>,
    hosting: impl Into<Hosting>,
    mut host: Option<Host>,
    show: impl FnMut(Shown),
    mut door: impl FnMut(AtTheDoor<'_>),
    shutdown: impl Future<Output = ()>,
) -> io::Result<Served> {
    let clock = Clock::start();
    let Doors { native, plain, dtls, web } = doors.into();
    web::check(native.is_some(), web.as_ref())?;
    let mut listeners: Vec<PlainListener> = plain.into_iter().chain(dtls).collect();
    let mut hosting: Hosting = hosting.into();
    let identity = hosting.identity.clone();
    let key = native.as_ref().map(Endpoint::fingerprint);
    let admission = hosting.admission.take();
    let mut server = start(hosting, (native, web), &listeners, clock, show)?;
    server.admission = admission;
    match &host {
        Some(host) => server.seat_host(Member::Host(key), host.name.as_ref()),
        None => server.delivery.shows_all = true,
    }
    let mut shutdown = pin!(shutdown);
    let mut errors = [0; MAX_PLAIN_DOORS];
    loop {
        let deadline = server.poll_timeout();
        // The end must not wait for the work of a branch either: a batch can be thousands of
        // datagrams, each for a thousand members.
        let goes_on = tokio::select! {
            (number, batch) = next_batch(&mut listeners) => {
                let batch = tolerate(batch, &mut errors[number])?;
                let batch = (number, batch);
                hear_batch(&mut server, clock, batch, &mut door, shutdown.as_mut()).await
            }
            arrival = next_arrival(&mut server.delivery.native) => {
                let gone = || io::Error::other("the native endpoint has ended");
                let work = server.arrive(clock.now(), arrival.ok_or_else(gone)?, &mut door);
                is_done_before(shutdown.as_mut(), work).await
            }
            done = next_done(&mut server.keeper) => {
                let work = server.handle_done(clock.now(), done?);
                is_done_before(shutdown.as_mut(), work).await
            }
            line = next_line(&mut host) => match line.map(parse_typed) {
                None => false,
                Some(request) if server.ends_chat(Member::Host(key), &request) => false,
                Some(request) => {
                    let work = server.handle_typed(clock.now(), key, request, identity.as_ref());
                    is_done_before(shutdown.as_mut(), work).await
                }
            },
            () = clock.sleep_until(deadline) => {
                let work = server.handle_timeout(clock.now());
                is_done_before(shutdown.as_mut(), work).await
            }
            () = &mut shutdown => false,
        };
        let rest = look_at_doors(&mut server, clock, &mut listeners, &mut door);
        if !goes_on || !is_done_before(shutdown.as_mut(), rest).await {
            break;
        }
        server.meter();
    }
    let (room, unsent) = server.close(clock.now()).await;
    let mut drops = Vec::new();
    for listener in &mut listeners {
        listener.close().await;
        drops.push(listener.drops().clone());
    }
    Ok(Served { room, drops, unsent })
}

/// Creates the chat, with its past.
fn start<S: FnMut(Shown)>(
    hosting: Hosting,
    (native, web): (Option<Endpoint>, Option<WebDoor>),
    listeners: &[PlainListener],
    clock: Clock,
    show: S,
) -> io::Result<Server<S>> {
    let mut chance = Chance::default();
    let meters = hosting.meters;
    let keep = |history| Keeper::start(history, clock, Arc::clone(&meters));
    let kept = hosting.history.map(keep).transpose()?;
    let log = match (&kept, &native) {
        (Some((_, past)), _) => HostLog::Stored(StoredLog::new(past)),
        // Only native members come back with a cursor.
        (None, Some(_)) => HostLog::Memory(MemoryLog::named(LogId::new(chance.number()))),
        (None, None) => HostLog::Memory(MemoryLog::new()),
    };
    let reading = reading(&hosting.config);
    let mut room = Chat::new(hosting.config, log);
    if let Some((_, past)) = &kept {
        room.remember(past);
    }
    let keeper = kept.map(|(keeper, _)| keeper);
    let pool = keeper.as_ref().map(|keeper| keeper.pool.clone());
    let head = room.log().head();
    let open =
        |endpoint| NativeDoor::open(endpoint, web, clock, head, pool, Arc::clone(&meters), reading);
    let native = native.map(open);
    let plain_door = |listener: &PlainListener| PlainDoor {
        sender: listener.sender(),
        dialect: listener.dialect(),
    };
    let doors = listeners.iter().map(plain_door).collect();
    Ok(Server::new(room, keeper, Delivery::new(doors, native, show), chance, meters))
}

/// Waits for the next native arrival; forever if there is no native listener. Cancel-safe.
async fn next_arrival(native: &mut Option<NativeDoor>) -> Option<native::Arrival> {
    match native {
        Some(native) => native.next().await,
        None => future::pending().await,
    }
}

/// Waits for the next result of the history; forever if there is none. Cancel-safe.
async fn next_done(keeper: &mut Option<Keeper>) -> io::Result<history::Done> {
    let Some(keeper) = keeper else { return future::pending().await };
    let ended = || io::Error::other("the thread of the history has ended");
    keeper.next().await.ok_or_else(ended)
}

/// Waits for the next datagrams, and returns them with the number of their listener. Cancel-safe.
async fn next_batch(listeners: &mut [PlainListener]) -> (usize, io::Result<Incoming<'_>>) {
    let mut each = listeners.iter_mut();
    let (first, second) = (each.next(), each.next());
    tokio::select! {
        batch = next_of(first) => (0, batch),
        batch = next_of(second) => (1, batch),
    }
}

async fn next_of(listener: Option<&mut PlainListener>) -> io::Result<Incoming<'_>> {
    match listener {
        Some(listener) => listener.recv().await,
        None => future::pending().await,
    }
}

/// A network report about one member must not end the chat for everyone.
fn tolerate<T>(received: io::Result<T>, errors: &mut u32) -> io::Result<Option<T>> {
    match received {
        Ok(received) => {
            *errors = 0;
            Ok(Some(received))
        }
        Err(_) if *errors < MAX_RECEIVE_ERRORS => {
            *errors += 1;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns `false` if the end came first.
async fn hear_batch<S: FnMut(Shown)>(
    server: &mut Server<S>,
    clock: Clock,
    (number, batch): (usize, Option<Incoming<'_>>),
    door: &mut impl FnMut(AtTheDoor<'_>),
    mut end: Pin<&mut impl Future<Output = ()>>,
) -> bool {
    for datagram in batch.into_iter().flatten() {
        let work = async {
            match datagram {
                Ok(received) => server.hear_any(clock.now(), number, &received, door).await,
                Err(dropped) => server.refuse(number, &dropped, door).await,
            }
        };
        if !is_done_before(end.as_mut(), work).await {
            return false;
        }
    }
    true
}

/// Reports of the listeners other than members' datagrams.
async fn look_at_doors<S: FnMut(Shown)>(
    server: &mut Server<S>,
    clock: Clock,
    listeners: &mut [PlainListener],
    door: &mut impl FnMut(AtTheDoor<'_>),
) {
    for (number, listener) in listeners.iter_mut().enumerate() {
        while let Some(stray) = listener.take_stray() {
            server.refuse(number, &stray, door).await;
        }
        while let Some(notice) = listener.take_notice() {
            door(AtTheDoor::Peer(&notice));
            server.handle_notice(clock.now(), number, &notice).await;
        }
    }
}

/// Returns `true` if `work` completes before the end. Otherwise the rest is dropped: some members
/// miss lines, which is acceptable at the end.
async fn is_done_before(
    end: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = ()>,
) -> bool {
    // Work that never yields would keep the runtime from noticing the end.
    consume_budget().await;
    tokio::select! {
        biased;
        () = end => false,
        () = work => true,
    }
}

/// Returns the host's next line, or `None` at the end of input; never resolves without a host.
async fn next_line(host: &mut Option<Host>) -> Option<Entry> {
    match host {
        Some(host) => host.lines.recv().await,
        None => future::pending().await,
    }
}
