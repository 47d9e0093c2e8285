//! Drives a client: a plain peer, a terminal, the clock.
//!
//! Never: decides what to send.

// Longer than 400 lines: the outcomes of a client are more than half of it.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
};

use hikyaku::{Closed, ConnectError, dialect::Dialect};
use hikyaku_plain::{Dropped, Drops, PlainPeer, PlainSendError, dtls::Ended};
use tokio::sync::mpsc;

use crate::{
    app::{App, Notice, Output, Shown},
    clock::Clock,
    entry::Entry,
    limits::{HANDSHAKE_NOTE, LATE_LINES_WAIT, MAX_RECEIVE_ERRORS},
    machine::Nonce,
    name::Name,
    store::StoreError,
    time::Time,
};

mod dial;
mod native;
mod watch;

#[cfg(test)]
mod tests;

pub use self::{
    dial::Dialler,
    native::{Participant, Stayed, run_native, transport},
};

/// Why a client could not take part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The network reported that nothing listens there.
    #[error("no chat at {0}: nothing listens there (start one with `hikyaku chat`)")]
    Unreachable(SocketAddr),
    /// Something listens there, but it is not a hikyaku chat.
    #[error("the listener at {0} is not a hikyaku chat, or requires other armour")]
    NotAChat(SocketAddr),
    /// A native endpoint listens there, but it does not offer the chat protocol.
    #[error("the listener at {0} is not a chat; for `hikyaku listen`, use `hikyaku send`")]
    OtherApplication(SocketAddr),
    /// Another host answered than the first time.
    #[error("the host at {0} is not the one that answered before")]
    OtherHost(SocketAddr),
    /// The stored data of the chat cannot be read.
    #[error("the stored data of this chat cannot be read: {0}")]
    Store(StoreError),
    /// The answers indicate another dialect or another key. They are not authenticated.
    #[error("the listener at {to} reports that it accepts {theirs}; these are {ours}")]
    OtherDialect {
        /// The server.
        to: SocketAddr,
        /// The dialect that it reports.
        theirs: Dialect,
        /// Our dialect.
        ours: Dialect,
    },
    /// The room's own messages are encrypted or signed, and nothing here opens them.
    #[error("the messages of the room at {to} are {theirs}, and nothing here opens them")]
    Unopened {
        /// The server.
        to: SocketAddr,
        /// How its messages are protected.
        theirs: Dialect,
    },
    /// Nothing can be sent.
    #[error(transparent)]
    Send(#[from] PlainSendError),
    /// The room has closed the connection, for a reason that another connection does not fix.
    #[error("the chat has ended: {closed}{}", lost(*.undelivered + .unread))]
    Closed {
        /// How it ended. A peer's reason is not safe to print on a terminal.
        closed: Closed,
        /// Typed lines that the room may not have received.
        undelivered: usize,
        /// Typed lines that were never read, and are discarded.
        unread: usize,
    },
    /// The room that was lost could not be reached again.
    #[error("{error}{}", lost(*.undelivered + .unread))]
    Connect {
        /// Why not.
        error: Box<ConnectError>,
        /// Typed lines that the room may not have received.
        undelivered: usize,
        /// Typed lines that were never read, and are discarded.
        unread: usize,
    },
    /// Nothing can be received.
    #[error("cannot receive from {from}: {source}")]
    Receive {
        /// The server.
        from: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

/// A participant, and the kind of server it expects.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The name that the user asked for.
    pub name: Name,
    /// The kind of server.
    pub server: Expected,
}

/// The kinds of servers that a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// Only a hikyaku chat.
    Room,
    /// Any server that answers: a hikyaku chat, or a program that forwards lines.
    Answering,
    /// Also a program that forwards lines and never answers: lines are sent although nothing has
    /// answered.
    Anything,
}

/// The state of the server when a client left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastSeen {
    /// It was reachable.
    There,
    /// It had answered, and was gone.
    Gone,
    /// It never answered.
    Silent,
    /// It answered but did not admit the client.
    Full,
}

/// The outcome of taking part in a chat.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parted {
    /// Typed lines that were not sent, because of a shutdown or because nothing answered.
    pub unsent: usize,
    /// Lines that were sent and that the room has not confirmed, or that the network returned.
    pub unconfirmed: usize,
    /// Typed lines that were rejected; each was reported when it happened.
    pub rejected: usize,
    /// Lines that followed `/quit`.
    pub late: usize,
    /// The state of the server at the end.
    pub server: LastSeen,
    /// Datagrams from the server that were dropped.
    pub drops: Drops,
}

/// Takes part in the chat at the peer's address until the input ends, `/quit`, or `shutdown`
/// resolves; then leaves with a farewell. If the peer speaks DTLS, performs the handshake first; if
/// an association ends, the next line opens a new one.
///
/// `show` is called with everything that the user should see, `dropped` with each datagram that was
/// dropped.
///
/// # Errors
/// [`ClientError`]: when sending or receiving fails, nothing listens there, or one side
/// does not trust the other.
pub async fn run(
    mut peer: PlainPeer,
    guest: Guest,
    mut lines: mpsc::Receiver<String>,
    mut show: impl FnMut(Shown),
    mut dropped: impl FnMut(&Dropped),
    shutdown: impl Future<Output = ()>,
) -> Result<Parted, ClientError> {
    let mut shutdown = pin!(shutdown);
    match done_before(shutdown.as_mut(), connect(&mut peer, &mut show)).await {
        Some(connected) => connected?,
        None => return Ok(Parted::unanswered(lines.len(), &peer)),
    }
    let clock = Clock::start();
    let expected = guest.server;
    let mut app = guest.into_app(clock.time(), peer.speaks_dtls());
    let mut link = Link::default();
    let mut unsent = None;
    // How the room's answers are protected, if nothing here opens them.
    let mut unopened = None;
    loop {
        if expected == Expected::Room && (app.is_foreign() || app.is_silent()) {
            return Err(ClientError::NotAChat(peer.target()));
        }
        peer.hint().into_iter().for_each(|theirs| app.handle_hint(theirs));
        std::iter::from_fn(|| peer.take_dropped()).for_each(|drop| dropped(&drop));
        let wake = match app.poll_output(clock.time()) {
            // An association that has ended has also removed us from the room.
            Output::Send(_) if app.has_left() && !peer.is_connected() => continue,
            Output::Send(datagram) => {
                let sending = link.send(&mut peer, &mut app, &mut show, &datagram);
                if unsent.is_some() {
                    sending.await?;
                } else if let Some(sent) = done_before(shutdown.as_mut(), sending).await {
                    sent?;
                } else {
                    unsent = Some(app.handle_interrupt() + usize::from(!datagram.is_empty()));
                }
                continue;
            }
            Output::Show(shown) => {
                show(shown);
                continue;
            }
            Output::Renew => {
                peer.close().await;
                continue;
            }
            Output::Wait(wake) => wake,
            Output::Left => {
                peer.close().await;
                let late = app.late() + count_late(&mut lines).await;
                return Ok(Parted { late, ..Parted::of(&app, &peer, unsent) });
            }
            Output::OtherDialect(theirs) => return Err(other_dialect(&peer, theirs, unopened)),
            Output::Unreachable => return Err(ClientError::Unreachable(peer.target())),
        };
        tokio::select! {
            reply = peer.recv() => match reply {
                Ok(reply) => {
                    link = Link { heard: true, errors: 0 };
                    unopened = hear(&mut app, &reply.payload).or(unopened);
                }
                Err(e) => link.on_error(e, peer.target(), &mut app)?,
            },
            line = lines.recv(), if app.wants_line() => match line {
                None => app.handle_end(),
                Some(line) => if let Err(error) = app.handle_line(&line) {
                    show(Shown::Notice(Notice::NotTaken { error }));
                },
            },
            () = clock.sleep_until(wake) => {}
            () = &mut shutdown, if unsent.is_none() => unsent = Some(app.handle_interrupt()),
        }
    }
}

impl Guest {
    fn into_app(self, now: Time, dtls: bool) -> App {
        let nonce = Nonce::new(RandomState::new().hash_one(()));
        let mut app = App::new(now, self.name).with_nonce(nonce);
        if self.server == Expected::Anything {
            app = app.with_any_program();
        }
        if dtls { app.over_dtls(now) } else { app }
    }
}

fn lost(undelivered: usize) -> String {
    match undelivered {
        0 => String::new(),
        1 => "; not confirmed by the room: 1 line".to_owned(),
        count => format!("; not confirmed by the room: {count} lines"),
    }
}

impl Parted {
    /// Returns the outcome of a client that left, or was interrupted with `interrupted` lines not
    /// sent.
    fn of(app: &App, peer: &PlainPeer, interrupted: Option<usize>) -> Self {
        let unsent = interrupted.unwrap_or(app.unsent());
        let server = if app.is_silent() {
            LastSeen::Silent
        } else if app.is_kept_out() {
            LastSeen::Full
        } else if app.is_gone() {
            LastSeen::Gone
        } else {
            LastSeen::There
        };
        let (unconfirmed, rejected) = (app.unconfirmed(), app.rejected());
        Self { unsent, unconfirmed, rejected, late: 0, server, drops: peer.drops().clone() }
    }

    /// Returns the outcome of a client that was interrupted before there was an association.
    fn unanswered(unsent: usize, peer: &PlainPeer) -> Self {
        let (server, drops) = (LastSeen::There, peer.drops().clone());
        Self { unsent, unconfirmed: 0, rejected: 0, late: 0, server, drops }
    }
}

/// Processes a datagram, unless it is an answer that this client cannot open. Returns how such an
/// answer is protected.
fn hear(app: &mut App, payload: &[u8]) -> Option<Dialect> {
    let unopened = Dialect::of(payload).filter(|_| app.awaits_greeting());
    match unopened {
        Some(theirs) => app.handle_hint(theirs),
        None => app.handle_datagram(payload),
    }
    unopened
}

fn other_dialect(peer: &PlainPeer, theirs: Dialect, unopened: Option<Dialect>) -> ClientError {
    if unopened == Some(theirs) {
        return ClientError::Unopened { to: peer.target(), theirs };
    }
    ClientError::OtherDialect { to: peer.target(), theirs, ours: peer.dialect() }
}

/// Runs `work`, which may wait for a handshake, unless the chat ends first.
async fn done_before<T>(
    end: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = end => None,
    }
}

/// Counts the lines that were typed before the end and that nobody has taken.
async fn count_late(lines: &mut mpsc::Receiver<impl Into<Entry>>) -> usize {
    let mut late = 0;
    // Another task reads the lines and hands them over.
    while let Ok(Some(line)) = tokio::time::timeout(LATE_LINES_WAIT, lines.recv()).await {
        late += usize::from(line.into().has_text());
    }
    late
}

/// Connects, and reports once that it is still waiting.
async fn connect(peer: &mut PlainPeer, show: &mut impl FnMut(Shown)) -> Result<(), ClientError> {
    let mut connecting = pin!(peer.connect());
    let connected = match tokio::time::timeout(HANDSHAKE_NOTE, &mut connecting).await {
        Ok(connected) => connected,
        Err(_) => {
            show(Shown::Notice(Notice::Connecting));
            connecting.await
        }
    };
    connected.map_err(|e| match e {
        PlainSendError::Unreachable { target, .. } => ClientError::Unreachable(target),
        PlainSendError::OtherDialect { target: to, dialect: theirs } => {
            ClientError::OtherDialect { to, theirs, ours: Dialect::Dtls }
        }
        other => other.into(),
    })
}

/// Network reports about the server.
#[derive(Default)]
struct Link {
    heard: bool,
    /// Consecutive receive errors.
    errors: u32,
}

impl Link {
    /// Sends. Once the server has answered, errors may be temporary and do not end the client.
    async fn send(
        &self,
        peer: &mut PlainPeer,
        app: &mut App,
        show: &mut impl FnMut(Shown),
        datagram: &str,
    ) -> Result<(), ClientError> {
        match peer.send(datagram.as_bytes()).await {
            Ok(()) => {}
            Err(PlainSendError::Unreachable { .. }) => app.handle_refused(),
            Err(e) if self.heard => {
                show(Shown::Notice(Notice::NotSent { why: e.to_string() }));
            }
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    fn on_error(
        &mut self,
        error: io::Error,
        from: SocketAddr,
        app: &mut App,
    ) -> Result<(), ClientError> {
        use io::ErrorKind as Kind;
        if let Some(ended) = error.get_ref().and_then(|e| e.downcast_ref::<Ended>()) {
            app.handle_parted(&ended.to_string());
            return Ok(());
        }
        match error.kind() {
            Kind::ConnectionRefused | Kind::ConnectionReset | Kind::HostUnreachable => {
                app.handle_refused();
            }
            _ if self.errors < MAX_RECEIVE_ERRORS => self.errors += 1,
            _ => return Err(ClientError::Receive { from, source: error }),
        }
        Ok(())
    }
}
