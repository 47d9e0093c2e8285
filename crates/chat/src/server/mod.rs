//! The glue around a room: a plain listener, the host's terminal, the clock.
//!
//! In: datagrams, the host's lines, deadlines, the end. Out: datagrams, lines to show.
//! Never: decides who hears what.

use std::{
    future, io,
    net::SocketAddr,
    pin::{Pin, pin},
};

use hikyaku::dialect::Dialect;
use hikyaku_plain::{Dropped, Drops, PlainListener, dtls::Notice};
use tokio::{sync::mpsc, task::coop::consume_budget};

use crate::{
    app::Shown,
    clock::Clock,
    limits::MAX_RECEIVE_ERRORS,
    name::Name,
    plain::parse_line,
    request::Action,
    room::{RoomConfig, Stats},
};

mod delivery;
mod members;
mod serving;

#[cfg(test)]
mod tests;

use self::{members::Member, serving::Server};

/// The person at the server's own terminal, who takes part in the chat.
#[derive(Debug)]
pub struct Host {
    /// What they are called; without it, `host`.
    pub name: Option<Name>,
    /// What they type. Its end, `q`, `/quit` or `/leave` ends the server. Give it a bound such as
    /// [`MAX_HOST_LINES`](crate::limits::MAX_HOST_LINES): then a pipe waits for the room.
    pub lines: mpsc::Receiver<String>,
}

/// What a server has done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// The room's figures.
    pub room: Stats,
    /// Datagrams that the listener let nobody see.
    pub drops: Drops,
    /// Datagrams that the system refused to send.
    pub unsent: u64,
}

/// What happened at the door.
#[derive(Clone, Copy, Debug)]
pub enum AtTheDoor<'a> {
    /// A datagram was not let in.
    Dropped(&'a Dropped),
    /// A DTLS peer came, went, or was refused.
    Peer(&'a Notice),
    /// Somebody speaks a dialect that is not heard here.
    OtherDialect {
        /// Who, as the datagram says.
        from: SocketAddr,
        /// What they speak.
        theirs: Dialect,
        /// What is spoken here.
        ours: Dialect,
    },
}

/// Runs a chat until the host leaves or `shutdown` resolves, and tells the members of its end.
///
/// `show` gets what the host is to see; without a host it gets nothing. `door` gets what was not
/// let in. What cannot be sent to one member is counted and hinders no one else.
///
/// Where the listener asks for signatures, a member is a key: called what the listener's file
/// calls the signer, whatever `/name` says, and reached at the address it last wrote from.
///
/// Where it speaks DTLS, a member leaves with the association it last wrote through, and the
/// association ends with the member's stay.
///
/// # Errors
/// When receiving fails again and again.
pub async fn run(
    mut listener: PlainListener,
    config: RoomConfig,
    mut host: Option<Host>,
    show: impl FnMut(Shown),
    mut door: impl FnMut(AtTheDoor<'_>),
    shutdown: impl Future<Output = ()>,
) -> io::Result<Served> {
    let clock = Clock::start();
    let mut server = Server::new(listener.sender(), listener.dialect(), config, show);
    if let Some(host) = &host {
        server.seat_host(host.name.as_ref());
    }
    let mut shutdown = pin!(shutdown);
    let mut errors = 0;
    'chat: loop {
        let deadline = server.poll_timeout();
        // The end must not wait for an arm's work either: a batch can be thousands of datagrams,
        // each for a thousand members.
        tokio::select! {
            received = listener.recv() => match received {
                Ok(batch) => {
                    errors = 0;
                    for datagram in batch {
                        let work = async {
                            match datagram {
                                Ok(received) => {
                                    server.hear_any(clock.now(), &received, &mut door).await;
                                }
                                Err(dropped) => server.refuse(&dropped, &mut door).await,
                            }
                        };
                        if !is_done_before(shutdown.as_mut(), work).await {
                            break 'chat;
                        }
                    }
                }
                // What the network reports of one member must not end the chat of all.
                Err(_) if errors < MAX_RECEIVE_ERRORS => errors += 1,
                Err(e) => return Err(e),
            },
            line = next_line(&mut host) => match line.as_deref().map(parse_typed) {
                None | Some(Action::Left) => break,
                Some(action) => {
                    let work = server.handle(clock.now(), Member::Host, action.into());
                    if !is_done_before(shutdown.as_mut(), work).await {
                        break;
                    }
                }
            },
            () = clock.sleep_until(deadline) => {
                let work = server.handle_timeout(clock.now());
                if !is_done_before(shutdown.as_mut(), work).await {
                    break;
                }
            }
            () = &mut shutdown => break,
        }
        while let Some(stray) = listener.take_stray() {
            server.refuse(&stray, &mut door).await;
        }
        while let Some(notice) = listener.take_notice() {
            door(AtTheDoor::Peer(&notice));
            let work = server.handle_notice(clock.now(), &notice);
            if !is_done_before(shutdown.as_mut(), work).await {
                break 'chat;
            }
        }
    }
    server.close(clock.now()).await;
    listener.close().await;
    let drops = listener.drops().clone();
    Ok(Served { room: server.stats(), drops, unsent: server.unsent() })
}

/// Whether `work` is done before the end comes. If not, what is left of it is dropped: lines go
/// out to some and not to others, which is fine when all is about to end.
async fn is_done_before(
    end: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = ()>,
) -> bool {
    // Work that never has to wait would keep the runtime from hearing of the end.
    consume_budget().await;
    tokio::select! {
        biased;
        () = end => false,
        () = work => true,
    }
}

/// The host's next line; `None` at the end of input, never without a host.
async fn next_line(host: &mut Option<Host>) -> Option<String> {
    match host {
        Some(host) => host.lines.recv().await,
        None => future::pending().await,
    }
}

fn parse_typed(line: &str) -> Action {
    match line.trim() {
        "q" => Action::Left,
        _ => parse_line(line.as_bytes()),
    }
}
