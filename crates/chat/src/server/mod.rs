//! Drives a room: a plain listener, the host's terminal, the clock.
//!
//! Never: decides who receives what.

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
    /// The name; without it, `host`.
    pub name: Option<Name>,
    /// The lines typed. Their end, `q`, `/quit` or `/leave` ends the server. Give the channel a
    /// bound such as [`MAX_HOST_LINES`](crate::limits::MAX_HOST_LINES), so that a pipe waits for
    /// the room.
    pub lines: mpsc::Receiver<String>,
}

/// The figures of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// The room's figures.
    pub room: Stats,
    /// Datagrams that the listener dropped.
    pub drops: Drops,
    /// Datagrams that the system failed to send.
    pub unsent: u64,
}

/// An event at the listener, before the room.
#[derive(Clone, Copy, Debug)]
pub enum AtTheDoor<'a> {
    /// A datagram was dropped.
    Dropped(&'a Dropped),
    /// A DTLS peer connected, left, or was refused.
    Peer(&'a Notice),
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

/// Runs a chat until the host leaves or `shutdown` resolves, and announces its end to the members.
///
/// `show` receives what the host is to see; without a host, nothing. `door` receives what the
/// listener dropped. An error of sending to one member is counted and affects no other.
///
/// If the listener requires signatures, a member is a key: its name is the listener's comment for
/// the signer, whatever `/name` says, and its address is the one it last wrote from.
///
/// If it speaks DTLS, a member leaves with the association it last wrote through, and the
/// association ends with the membership.
///
/// # Errors
/// When receiving fails repeatedly.
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
        // The end must not wait for the work of an arm: a batch can be thousands of datagrams, each
        // for a thousand members.
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
                // An error that the network reports about one member must not end the chat.
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

/// Returns `true` if `work` completes before the end. Otherwise the rest is dropped: some members
/// miss lines, which is acceptable at the end.
async fn is_done_before(
    end: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = ()>,
) -> bool {
    // Work that never waits would keep the runtime from noticing the end.
    consume_budget().await;
    tokio::select! {
        biased;
        () = end => false,
        () = work => true,
    }
}

/// Returns the host's next line, or `None` at the end of input; never resolves without a host.
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
