//! Drives a member of a native chat: connections to its host, the store of its device, a screen,
//! the clock.
//!
//! Never: decides what to send, keep or show.

// Longer than 400 lines: one loop with all that it waits for.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    pin::{Pin, pin},
    time::Duration,
};

use hikyaku::{
    Bytes, Closed, ConnectError, Connection, Delivery, TransportConfig, identity::Identity,
    signers::Fingerprint,
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{ClientError, count_late, dial::Dialler, done_before, watch::Watch};
use crate::{
    clock::Clock,
    entry::Entry,
    limits::{LAST_WORDS, LINES_AT_ONCE, NATIVE_KEEP_ALIVE},
    machine,
    member::{
        Member, Output, Setup, Shown,
        keep::{Change, DeviceStore},
    },
    name::Name,
    server,
    store::StoreError,
    time::Time,
};

/// Returns how the endpoint of a client is configured: it regularly checks that its host is alive.
#[must_use]
pub fn transport() -> TransportConfig {
    server::transport().keep_alive(Some(NATIVE_KEEP_ALIVE))
}

/// A participant in a native chat.
#[expect(missing_debug_implementations, reason = "a store need not implement `Debug`")]
pub struct Participant {
    /// The host's key.
    pub host: Fingerprint,
    /// Their key: that of the endpoint.
    pub identity: Identity,
    /// The name that they ask for.
    pub name: Name,
    /// The secret of an invite.
    pub invite: Option<String>,
    /// The stored data of this chat.
    pub store: Box<dyn DeviceStore>,
    /// How long to wait for the host to store what is pending when the input ends.
    pub patience: Duration,
}

/// How taking part in a native chat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stayed {
    /// Messages that the host may not have stored.
    pub unsent: usize,
    /// `true` if they are sent the next time that the member connects.
    pub is_kept: bool,
    /// Typed lines that were rejected; each was reported when it happened.
    pub rejected: usize,
    /// Typed commands that the host has not answered, and that are not kept.
    pub unanswered: usize,
    /// Lines that followed `/quit`.
    pub late: usize,
    /// `true` if the host has admitted the member.
    pub has_joined: bool,
    /// `true` if the host was connected at the end.
    pub was_there: bool,
}

/// Takes part in the chat at the other end of `connection`, until the input ends, `/quit` is typed,
/// or `shutdown` resolves. When the connection is lost, or there is none yet, typed lines wait, and
/// `dialler` opens the next one; the member continues where it was.
///
/// `show` is called with everything that the user should see, and returns when it is written.
///
/// # Errors
/// [`ClientError::Closed`] or [`ClientError::Connect`], when no further attempt can
/// succeed; [`ClientError::Store`], when the stored data cannot be read.
pub async fn run_native(
    connection: Option<Connection>,
    dialler: Dialler,
    participant: Participant,
    mut lines: mpsc::Receiver<impl Into<Entry>>,
    mut show: impl AsyncFnMut(Vec<Shown>),
    shutdown: impl Future<Output = ()>,
) -> Result<Stayed, ClientError> {
    connection.as_ref().map_or(Ok(()), check_application)?;
    let mut shutdown = pin!(shutdown);
    let clock = Clock::start();
    let mut store = participant.store;
    let is_lasting = store.is_lasting();
    let kept = store.load().map_err(ClientError::Store)?;
    let Participant { host, identity, name, invite, patience, .. } = participant;
    let setup = Setup {
        invite,
        patience,
        chance: chance(),
        is_kept: is_lasting,
        ..Setup::new(host.to_string(), identity, name, kept)
    };
    let mut member = Member::new(setup);
    if connection.is_some() {
        member.handle_connected();
    }
    let mut keeper = Keeper::Idle(store);
    let mut link = Link::new(host, dialler, connection);
    let mut is_interrupted = false;
    loop {
        let done = perform(&mut member, &mut keeper, &mut link, &mut show, clock);
        let done = if is_interrupted {
            done.await
        } else {
            match done_before(shutdown.as_mut(), done).await {
                Some(done) => done,
                None => {
                    is_interrupted = true;
                    // Items that were not shown arrive again the next time.
                    keeper.begin(|change| !matches!(change, Change::Cursor(..)));
                    member.handle_interrupt(clock.now());
                    continue;
                }
            }
        };
        let Done::Waits(wake) = done else { break };
        tokio::select! {
            happened = link.next() => if let Err(error) = link.on(happened, &mut member, clock) {
                keep_all(&mut member, &mut keeper, clock).await;
                return Err(error.with_unread(count_late(&mut lines).await));
            },
            outcome = keeper.done() => member.handle_kept(outcome),
            line = lines.recv(), if member.wants_line() => match line {
                None => member.handle_end(clock.now()),
                Some(line) => type_lines(&mut member, clock, line, &mut lines),
            },
            () = clock.sleep_until(wake) => {}
            () = &mut shutdown, if !is_interrupted => {
                is_interrupted = true;
                member.handle_interrupt(clock.now());
            }
        }
    }
    let was_there = member.is_greeted();
    link.close().await;
    Ok(Stayed {
        unsent: member.unsent(),
        is_kept: is_lasting,
        rejected: member.rejected(),
        unanswered: member.unanswered(),
        late: member.late() + count_late(&mut lines).await,
        has_joined: member.has_joined(),
        was_there,
    })
}

impl ClientError {
    /// Adds the lines that nobody has looked at.
    const fn with_unread(mut self, lines: usize) -> Self {
        if let Self::Closed { unread, .. } | Self::Connect { unread, .. } = &mut self {
            *unread = lines;
        }
        self
    }
}

/// The outcome of carrying out the member's requests.
enum Done {
    Waits(Option<Time>),
    Left,
}

/// Carries out the member's requests. If it is cancelled, items that were not shown yet may be
/// lost; changes that were not stored yet wait in the keeper.
async fn perform(
    member: &mut Member,
    keeper: &mut Keeper,
    link: &mut Link,
    show: &mut impl AsyncFnMut(Vec<Shown>),
    clock: Clock,
) -> Done {
    let mut shown = Vec::new();
    let done = loop {
        match member.poll_output(clock.now()) {
            Output::Show(item) => shown.push(item),
            Output::Keep(changes) => {
                keeper.prepare(changes);
                // An item is recorded as shown once it has been shown.
                if !shown.is_empty() {
                    show(std::mem::take(&mut shown)).await;
                }
                keeper.begin(|_| true);
            }
            Output::Send(line) => link.put(line),
            Output::Wait(wake) => break Done::Waits(wake),
            Output::Left => break Done::Left,
        }
    };
    if !shown.is_empty() {
        show(shown).await;
    }
    done
}

/// Stores what was typed, whatever the host answered: it is sent the next time.
async fn keep_all(member: &mut Member, keeper: &mut Keeper, clock: Clock) {
    loop {
        // What was received last is not shown any more, so it arrives again the next time.
        keeper.begin(|change| !matches!(change, Change::Cursor(..)));
        if matches!(keeper, Keeper::Writing(_)) {
            member.handle_kept(keeper.done().await);
        }
        match member.poll_output(clock.now()) {
            Output::Keep(changes) => keeper.prepare(changes),
            Output::Show(_) | Output::Send(_) => {}
            Output::Wait(_) | Output::Left => return,
        }
    }
}

/// Takes a typed line and those that wait behind it, so that they are stored together.
fn type_lines(
    member: &mut Member,
    clock: Clock,
    first: impl Into<Entry>,
    lines: &mut mpsc::Receiver<impl Into<Entry>>,
) {
    let mut next = Some(first.into());
    for _ in 0..LINES_AT_ONCE {
        let Some(line) = next.take() else { return };
        member.handle_entry(clock.now(), chance_for_id(), &line);
        if !member.wants_line() {
            return;
        }
        next = lines.try_recv().ok().map(Into::into);
    }
    if let Some(line) = next {
        member.handle_entry(clock.now(), chance_for_id(), &line);
    }
}

/// Hands in the lines of a message.
fn hand_in(member: &mut Member, clock: Clock, message: &[u8]) {
    let now = clock.now();
    machine::lines(message).for_each(|line| member.handle_received(now, line));
}

fn chance() -> u64 {
    RandomState::new().hash_one(())
}

fn chance_for_id() -> [u8; 10] {
    let (one, two) = (chance().to_ne_bytes(), chance().to_ne_bytes());
    [one[0], one[1], one[2], one[3], one[4], one[5], one[6], one[7], two[0], two[1]]
}

/// Shows nothing to a server that is not a chat.
fn check_application(connection: &Connection) -> Result<(), ClientError> {
    if connection.shares_application() {
        return Ok(());
    }
    connection.abort(server::code::FORMAT, "a chat was expected");
    Err(ClientError::OtherApplication(connection.remote_addr()))
}

type Kept = (Box<dyn DeviceStore>, Result<(), StoreError>);

/// The device's store, which writes on a thread for blocking work.
enum Keeper {
    Idle(Box<dyn DeviceStore>),
    /// Changes to be stored.
    Ready(Box<dyn DeviceStore>, Vec<Change>),
    Writing(JoinHandle<Kept>),
    /// The store has panicked.
    Gone,
}

impl Keeper {
    /// Takes changes; the member provides them one batch at a time.
    fn prepare(&mut self, changes: Vec<Change>) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Idle(store) => Self::Ready(store, changes),
            other => other,
        };
    }

    /// Begins to store the requested changes.
    fn begin(&mut self, wanted: impl Fn(&Change) -> bool) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Ready(mut store, mut changes) => {
                changes.retain(wanted);
                Self::Writing(tokio::task::spawn_blocking(move || {
                    let outcome = store.commit(&changes);
                    (store, outcome)
                }))
            }
            other => other,
        };
    }

    /// Waits for the outcome of the current write. Cancel-safe.
    async fn done(&mut self) -> Result<(), StoreError> {
        let Self::Writing(writing) = self else { return std::future::pending().await };
        match writing.await {
            Ok((store, outcome)) => {
                *self = Self::Idle(store);
                outcome
            }
            Err(error) => {
                *self = Self::Gone;
                Err(StoreError::new(error.to_string()))
            }
        }
    }
}

type Sending = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Way {
    Up(Connection),
    Down,
}

/// The connection to the host, or the attempts to open one.
struct Link {
    host: Fingerprint,
    dialler: Dialler,
    way: Way,
    watch: Watch,
    /// Lines for the host that the connection has no room for yet.
    unsent: VecDeque<String>,
    sending: Option<Sending>,
}

enum Happened {
    Received(Bytes),
    Closed(Closed),
    Dialled(Result<Connection, ConnectError>),
    Sent,
    /// Nothing has arrived for too long.
    Silent,
}

impl Link {
    fn new(host: Fingerprint, mut dialler: Dialler, connection: Option<Connection>) -> Self {
        if connection.is_none() {
            dialler.start();
        }
        Self {
            host,
            dialler,
            watch: Watch::new(),
            way: connection.map_or(Way::Down, Way::Up),
            unsent: VecDeque::new(),
            sending: None,
        }
    }

    /// Waits for what happens next. Cancel-safe.
    async fn next(&mut self) -> Happened {
        let Self { dialler, way, watch, sending, .. } = self;
        let Way::Up(connection) = way else { return Happened::Dialled(dialler.next().await) };
        tokio::select! {
            received = connection.recv() => match received {
                Ok(message) => Happened::Received(message.payload),
                Err(closed) => Happened::Closed(closed),
            },
            () = async { sending.as_mut().expect("checked below").await }, if sending.is_some() => {
                Happened::Sent
            }
            () = watch.is_silent(connection) => Happened::Silent,
        }
    }

    fn on(
        &mut self,
        happened: Happened,
        member: &mut Member,
        clock: Clock,
    ) -> Result<(), ClientError> {
        let undelivered = member.unsent();
        match happened {
            Happened::Received(lines) => {
                hand_in(member, clock, &lines);
                self.take_more(member, clock);
            }
            Happened::Sent => {
                self.sending = None;
                self.pump();
            }
            Happened::Closed(closed) => {
                // A chat that was reachable and is full now may soon have room.
                let is_full = closed.code() == Some(server::code::FULL) && member.is_greeted();
                if !closed.is_retryable() && !is_full {
                    return Err(ClientError::Closed { closed, undelivered, unread: 0 });
                }
                self.lose(member);
            }
            Happened::Silent => {
                if let Way::Up(connection) = &self.way {
                    connection.abort(server::code::REPLACED, "another takes its place");
                }
                self.lose(member);
            }
            Happened::Dialled(dialled) => {
                let failed = |error| {
                    let error = Box::new(error);
                    ClientError::Connect { error, undelivered, unread: 0 }
                };
                let connection = dialled.map_err(failed)?;
                check_application(&connection)?;
                if connection.peer().fingerprint() != self.host {
                    connection.abort(0, "another host was expected");
                    return Err(ClientError::OtherHost(connection.remote_addr()));
                }
                self.way = Way::Up(connection);
                self.watch = Watch::new();
                member.handle_connected();
            }
        }
        Ok(())
    }

    /// Processes everything that has already arrived, so that it is shown and recorded together.
    fn take_more(&self, member: &mut Member, clock: Clock) {
        let Way::Up(connection) = &self.way else { return };
        for _ in 0..LINES_AT_ONCE {
            let Ok(Some(message)) = connection.try_recv() else { return };
            hand_in(member, clock, &message.payload);
        }
    }

    fn lose(&mut self, member: &mut Member) {
        self.unsent.clear();
        self.sending = None;
        self.way = Way::Down;
        self.dialler.start();
        member.handle_disconnected();
    }

    fn put(&mut self, line: String) {
        self.unsent.push_back(line);
        self.pump();
    }

    /// Queues lines on the connection. A line that cannot be sent is not stored by the host, and is
    /// sent again on the next connection.
    fn pump(&mut self) {
        let Way::Up(connection) = &self.way else { return self.unsent.clear() };
        if self.sending.is_some() {
            return;
        }
        while let Some(line) = self.unsent.pop_front() {
            match connection.try_send(Delivery::Ordered, line) {
                Ok(_) => {}
                Err(refused) if refused.reason == hikyaku::SendError::Full => {
                    let (connection, line) = (connection.clone(), refused.payload);
                    self.sending = Some(Box::pin(async move {
                        let _ = connection.send(Delivery::Ordered, line).await;
                    }));
                    return;
                }
                Err(_) => return self.unsent.clear(),
            }
        }
    }

    /// Sends what was handed in last, and ends the connection.
    async fn close(&mut self) {
        let Way::Up(connection) = &self.way else { return };
        let rest = async {
            if let Some(sending) = &mut self.sending {
                sending.await;
            }
            for line in self.unsent.drain(..) {
                let _ = connection.send(Delivery::Ordered, line).await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
        let _ = connection.close(LAST_WORDS).await;
    }
}
