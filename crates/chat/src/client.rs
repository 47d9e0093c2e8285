//! The glue around the client: a plain peer, a terminal, the clock.
//!
//! In: datagrams, typed lines, deadlines, the end. Out: datagrams, lines to show.
//! Never: decides what to say.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
};

use hikyaku::dialect::Dialect;
use hikyaku_plain::{Dropped, Drops, PlainPeer, PlainSendError, dtls::Ended};
use hikyaku_text::sanitize;
use tokio::sync::mpsc;

use crate::{
    app::{App, Output, Shown},
    clock::{Clock, stamp},
    limits::MAX_RECEIVE_ERRORS,
    name::Name,
    time::Time,
};

/// Why a client could not take part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The network said that nobody listens there.
    #[error("no chat at {0}: nothing is listening there (start one with `hikyaku chat`)")]
    Unreachable(SocketAddr),
    /// Something is there, and it is no hikyaku chat.
    #[error("what listens at {0} is no hikyaku chat, or wants other armour")]
    NotAChat(SocketAddr),
    /// Its answers say that it speaks another dialect, or has another key. They prove nothing:
    /// anyone can have sent them.
    #[error("what listens at {to} says that it hears {theirs}, and here it is {ours}")]
    OtherDialect {
        /// The server.
        to: SocketAddr,
        /// What it says that it speaks.
        theirs: Dialect,
        /// What is spoken here.
        ours: Dialect,
    },
    /// Nothing can be sent.
    #[error(transparent)]
    Send(#[from] PlainSendError),
    /// Nothing can be received.
    #[error("cannot receive from {from}: {source}")]
    Receive {
        /// Who from.
        from: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Who takes part, and where.
#[derive(Clone, Debug)]
pub struct Guest {
    /// What they want to be called.
    pub name: Name,
    /// What may be there.
    pub server: Expected,
}

/// What a client takes for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// A hikyaku chat alone.
    Room,
    /// Whatever answers: a hikyaku chat, or a program that passes lines on to the others.
    Answering,
    /// Also a program that passes lines on and says nothing itself: lines go out although nothing
    /// has answered.
    Anything,
}

/// How a client's part in a chat ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parted {
    /// Typed lines that were not sent, because of a shutdown or because nothing answered.
    pub unsent: usize,
    /// Whether anything ever answered.
    pub answered: bool,
    /// Datagrams from the server that were not let in.
    pub drops: Drops,
}

/// Takes part in the chat at the peer's address until the input ends, `q`, or `shutdown`
/// resolves; says farewell. Where the peer speaks DTLS, shakes hands first; an association that
/// ends meanwhile is made anew for the next line.
///
/// `show` gets each line for the terminal, sanitised and without line end; `dropped` is told of
/// each datagram that was not let in.
///
/// # Errors
/// [`ClientError`]: when nothing can be sent or received, nobody listens there, or who listens
/// there is not believed, or does not believe us.
pub async fn run(
    mut peer: PlainPeer,
    guest: Guest,
    mut lines: mpsc::Receiver<String>,
    mut show: impl FnMut(&str),
    mut dropped: impl FnMut(&Dropped),
    shutdown: impl Future<Output = ()>,
) -> Result<Parted, ClientError> {
    let mut shutdown = pin!(shutdown);
    match done_before(shutdown.as_mut(), connect(&mut peer)).await {
        Some(connected) => connected?,
        None => return Ok(Parted::unanswered(lines.len(), &peer)),
    }
    let clock = Clock::start();
    let expected = guest.server;
    let mut app = guest.into_app(clock.now(), peer.speaks_dtls());
    let mut link = Link::default();
    let mut unsent = None;
    loop {
        if expected == Expected::Room && (app.is_foreign() || app.is_silent()) {
            return Err(ClientError::NotAChat(peer.target()));
        }
        peer.hint().into_iter().for_each(|theirs| app.handle_hint(theirs));
        std::iter::from_fn(|| peer.take_dropped()).for_each(|drop| dropped(&drop));
        let wake = match app.poll_output(clock.now()) {
            // An association that is over has taken us out of the room with it.
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
            Output::Show(line) => {
                show(&stamped(line));
                continue;
            }
            Output::Renew => {
                peer.close().await;
                continue;
            }
            Output::Wait(wake) => wake,
            Output::Left => {
                peer.close().await;
                return Ok(Parted::of(&app, &peer, unsent));
            }
            Output::OtherDialect(theirs) => return Err(other_dialect(&peer, theirs)),
            Output::Unreachable => return Err(ClientError::Unreachable(peer.target())),
        };
        tokio::select! {
            reply = peer.recv() => match reply {
                Ok(reply) => {
                    link = Link { heard: true, errors: 0 };
                    app.handle_datagram(&reply.payload);
                }
                Err(e) => link.on_error(e, peer.target(), &mut app)?,
            },
            line = lines.recv(), if app.wants_line() => match line {
                None => app.handle_end(),
                Some(line) => if let Err(e) = app.handle_line(&line) {
                    show(&format!("[{}] * {e}", stamp()));
                },
            },
            () = clock.sleep_until(wake) => {}
            () = &mut shutdown, if unsent.is_none() => unsent = Some(app.handle_interrupt()),
        }
    }
}

impl Guest {
    fn into_app(self, now: Time, dtls: bool) -> App {
        let mut app = App::new(now, self.name);
        if self.server == Expected::Anything {
            app = app.with_any_program();
        }
        if dtls { app.over_dtls(now) } else { app }
    }
}

impl Parted {
    /// Of a client that left, or was interrupted with `interrupted` lines not sent.
    fn of(app: &App, peer: &PlainPeer, interrupted: Option<usize>) -> Self {
        let unsent = interrupted.unwrap_or(app.unsent());
        Self { unsent, answered: !app.is_silent(), drops: peer.drops().clone() }
    }

    /// Of a client that was interrupted before there was an association.
    fn unanswered(unsent: usize, peer: &PlainPeer) -> Self {
        Self { unsent, answered: true, drops: peer.drops().clone() }
    }
}

fn other_dialect(peer: &PlainPeer, theirs: Dialect) -> ClientError {
    ClientError::OtherDialect { to: peer.target(), theirs, ours: peer.dialect() }
}

fn stamped(line: Shown) -> String {
    match line {
        Shown::Stamped(line) => line,
        Shown::Unstamped(line) => format!("[{}] {line}", stamp()),
    }
}

/// What comes of `work`, which may wait for a handshake, unless the end comes first.
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

async fn connect(peer: &mut PlainPeer) -> Result<(), ClientError> {
    peer.connect().await.map_err(|e| match e {
        PlainSendError::Unreachable { target, .. } => ClientError::Unreachable(target),
        PlainSendError::OtherDialect { target: to, dialect: theirs } => {
            ClientError::OtherDialect { to, theirs, ours: Dialect::Dtls }
        }
        other => other.into(),
    })
}

/// What the network has said of the server so far.
#[derive(Default)]
struct Link {
    heard: bool,
    /// Failures to receive since the last success.
    errors: u32,
}

impl Link {
    /// Sends, and keeps going where the fault may pass: once the server has been heard, it may.
    async fn send(
        &self,
        peer: &mut PlainPeer,
        app: &mut App,
        show: &mut impl FnMut(&str),
        datagram: &str,
    ) -> Result<(), ClientError> {
        match peer.send(datagram.as_bytes()).await {
            Ok(()) => {}
            Err(PlainSendError::Unreachable { .. }) => app.handle_refused(),
            // It may tell the names in a certificate, which are whatever its maker put there.
            Err(e) if self.heard => {
                show(&format!("[{}] * not sent: {}", stamp(), sanitize(&e.to_string())));
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
            app.handle_parted(&sanitize(&ended.to_string()));
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

#[cfg(test)]
mod tests {
    use std::{future, time::Duration};

    use hikyaku::{filter::Filter, socket::SocketOptions};
    use hikyaku_plain::{Armour, PeerOptions, PlainListener};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::{RoomConfig, server};

    struct Joined {
        lines: mpsc::Sender<String>,
        shown: mpsc::UnboundedReceiver<String>,
        task: JoinHandle<Result<Parted, ClientError>>,
    }

    fn listener() -> PlainListener {
        let any = ["127.0.0.1:0".parse().unwrap()];
        let options = SocketOptions::default();
        PlainListener::bind(&any, &options, Armour::new(), Filter::new()).unwrap()
    }

    fn host(listener: PlainListener) -> SocketAddr {
        let address = listener.local_addr();
        let never = future::pending();
        tokio::spawn(server::run(listener, RoomConfig::default(), None, |_| {}, |_| {}, never));
        address
    }

    fn join(address: SocketAddr, name: &str) -> Joined {
        join_expecting(address, name, Expected::Answering)
    }

    fn join_expecting(address: SocketAddr, name: &str, server: Expected) -> Joined {
        let peer =
            PlainPeer::new(vec![address], PeerOptions::default(), Armour::new(), Filter::new())
                .unwrap();
        let (lines, typed) = mpsc::channel(8);
        let (show, shown) = mpsc::unbounded_channel();
        let show = move |line: &str| show.send(line.to_owned()).unwrap();
        let name = Name::parse(name).unwrap();
        let task =
            tokio::spawn(run(peer, Guest { name, server }, typed, show, |_| {}, future::pending()));
        Joined { lines, shown, task }
    }

    impl Joined {
        /// Waits for a line that holds `text`.
        async fn sees(&mut self, text: &str) {
            let wait = async {
                while !self.shown.recv().await.expect("still shows lines").contains(text) {}
            };
            let seen = tokio::time::timeout(Duration::from_secs(10), wait).await;
            assert!(seen.is_ok(), "no line with {text:?}");
        }
    }

    #[tokio::test]
    async fn two_clients_talk_and_part() {
        let address = host(listener());
        let mut alice = join(address, "alice");
        alice.sees("you are alice").await;
        let mut bob = join(address, "bob");
        alice.sees("] * bob joined").await;
        bob.lines.send("hi".to_owned()).await.unwrap();
        alice.sees("] bob: hi").await;
        alice.lines.send("/msg bob psst".to_owned()).await.unwrap();
        bob.sees("] alice -> you: psst").await;
        bob.lines.send("q".to_owned()).await.unwrap();
        alice.sees("] * bob left").await;
        assert_eq!(bob.task.await.unwrap().unwrap().unsent, 0);
    }

    #[tokio::test]
    async fn all_lines_of_a_pipe_arrive_although_it_ends_at_once() {
        let address = host(listener());
        let mut alice = join(address, "alice");
        alice.sees("you are alice").await;
        let bob = join(address, "bob");
        for n in 1..=120 {
            bob.lines.send(format!("line {n}.")).await.unwrap();
        }
        drop(bob.lines);
        for n in 1..=120 {
            alice.sees(&format!("] bob: line {n}.")).await;
        }
        alice.sees("] * bob left").await;
    }

    #[tokio::test]
    async fn a_server_that_merely_fans_out_is_told_who_speaks() {
        let mut listener = listener();
        let alice = join_expecting(listener.local_addr(), "alice", Expected::Anything);
        alice.lines.send("hi".to_owned()).await.unwrap();
        drop(alice.lines);
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last| last != "alice left") {
            for datagram in listener.recv().await.unwrap().flatten() {
                heard.push(String::from_utf8(datagram.payload.to_vec()).unwrap());
            }
        }
        assert_eq!(heard[heard.len() - 2..], ["alice: hi", "alice left"]);
        assert!(heard[..heard.len() - 2].iter().all(|hello| hello == "/name alice"));
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn nobody_there_is_an_error() {
        let nobody = listener().local_addr();
        let alice = join(nobody, "alice");
        let end = alice.task.await.unwrap();
        assert!(matches!(end, Err(ClientError::Unreachable(address)) if address == nobody));
    }
}
