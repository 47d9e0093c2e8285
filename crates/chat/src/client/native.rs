//! The client over native connections: one, and when it is lost another.

use std::{
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use hikyaku::{
    Backoff, Bytes, Closed, ConnectError, Connection, Delivery, Reconnecting, TransportConfig,
};
use tokio::sync::mpsc;

use super::{ClientError, Parted, done_before};
use crate::{
    app::{App, Notice, Output, Shown},
    clock::Clock,
    limits::{LAST_WORDS, NATIVE_KEEP_ALIVE, RECONNECT_FIRST, RECONNECT_LONGEST},
    machine::Device,
    name::Name,
    server,
};

/// Returns how the endpoint of a client is configured: it asks now and then whether its room is
/// there.
#[must_use]
pub fn transport() -> TransportConfig {
    server::transport().keep_alive(Some(NATIVE_KEEP_ALIVE))
}

/// Returns the pauses between attempts to reach a room again.
#[must_use]
pub fn backoff() -> Backoff {
    Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST)
}

/// Takes part in the chat at the other end of `connection`, until the input ends, `q`, or
/// `shutdown` resolves. When the connection is lost, what is typed waits, and `again` makes the
/// next one; the client goes on where it was.
///
/// # Errors
/// [`ClientError::Closed`] or [`ClientError::Connect`], when no other attempt can mend it.
pub async fn run_native(
    connection: Connection,
    again: Reconnecting,
    name: Name,
    mut lines: mpsc::Receiver<String>,
    mut show: impl FnMut(Shown),
    shutdown: impl Future<Output = ()>,
) -> Result<Parted, ClientError> {
    check_application(&connection)?;
    let mut shutdown = pin!(shutdown);
    let clock = Clock::start();
    let device = Device::new(RandomState::new().hash_one(()));
    let mut app = App::new(clock.time(), name).over_native(device);
    app.handle_connected();
    let mut link = Link { again: Some(again), way: Way::Up(connection) };
    let mut unsent = None;
    loop {
        let wake = match app.poll_output(clock.time()) {
            Output::Send(line) => {
                let sending = link.send(line);
                if unsent.is_some() {
                    sending.await;
                } else if done_before(shutdown.as_mut(), sending).await.is_none() {
                    unsent = Some(app.handle_interrupt());
                }
                continue;
            }
            Output::Show(shown) => {
                show(shown);
                continue;
            }
            Output::Left => {
                link.close().await;
                return Ok(Parted::native(&app, unsent));
            }
            Output::Wait(wake) => wake,
            // What only datagrams bring.
            Output::Renew | Output::OtherDialect(_) | Output::Unreachable => None,
        };
        tokio::select! {
            happened = link.next() => link.on(happened, &mut app)?,
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

/// Nothing is said to what is no chat.
fn check_application(connection: &Connection) -> Result<(), ClientError> {
    if connection.shares_application() {
        return Ok(());
    }
    connection.abort(server::code::FORMAT, "a chat was expected");
    Err(ClientError::OtherApplication(connection.remote_addr()))
}

type Dialled = (Reconnecting, Result<Connection, ConnectError>);

enum Way {
    Up(Connection),
    /// The dial goes on beside whatever else happens: its pauses are not begun anew.
    Dialling(Pin<Box<dyn Future<Output = Dialled> + Send>>),
}

struct Link {
    /// While no dial has it.
    again: Option<Reconnecting>,
    way: Way,
}

enum Happened {
    Received(Bytes),
    Closed(Closed),
    Dialled(Box<Dialled>),
}

impl Link {
    /// Waits for what happens next. Cancel-safe.
    async fn next(&mut self) -> Happened {
        match &mut self.way {
            Way::Up(connection) => match connection.recv().await {
                Ok(message) => Happened::Received(message.payload),
                Err(closed) => Happened::Closed(closed),
            },
            Way::Dialling(dial) => {
                let done = poll_fn(|context: &mut Context<'_>| -> Poll<Dialled> {
                    dial.as_mut().poll(context)
                });
                Happened::Dialled(Box::new(done.await))
            }
        }
    }

    fn on(&mut self, happened: Happened, app: &mut App) -> Result<(), ClientError> {
        let undelivered = app.unsent() + app.unconfirmed();
        match happened {
            Happened::Received(line) => app.handle_datagram(&line),
            Happened::Closed(closed) => {
                // A room that was there, and has no place for now, may have one soon.
                let is_full = closed.code() == Some(server::code::FULL) && app.is_gone();
                if !closed.is_retryable() && !is_full {
                    return Err(ClientError::Closed { closed, undelivered });
                }
                app.handle_disconnected();
                self.dial();
            }
            Happened::Dialled(dialled) => {
                let (again, connected) = *dialled;
                self.again = Some(again);
                let connection = connected.map_err(|error| ClientError::Connect {
                    error: Box::new(error),
                    undelivered,
                })?;
                check_application(&connection)?;
                self.way = Way::Up(connection);
                app.handle_connected();
            }
        }
        Ok(())
    }

    fn dial(&mut self) {
        if let Some(mut again) = self.again.take() {
            self.way = Way::Dialling(Box::pin(async move {
                let connected = again.connect().await;
                (again, connected)
            }));
        }
    }

    /// What cannot be sent is not confirmed, and sent again when there is another connection.
    async fn send(&mut self, line: String) {
        if let Way::Up(connection) = &self.way {
            let _ = connection.send(Delivery::Ordered, line).await;
        }
    }

    async fn close(&mut self) {
        if let Way::Up(connection) = &self.way {
            let _ = connection.close(LAST_WORDS).await;
        }
    }
}
