//! What comes in by the native door, one task per connection: a connection whose line waits for the
//! room takes no more.

use hikyaku::{Astray, Bytes, Closed, Connection, Endpoint, Refusal};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::code;
use crate::limits::HELLO_WITHIN;

/// Something that came in.
#[derive(Debug)]
pub(in crate::server) enum Arrival {
    /// A line.
    Line(Connection, Bytes),
    /// A connection is over.
    Ended(Connection, Closed),
    /// Somebody was refused.
    Refused(Refusal),
    /// Somebody speaks another dialect.
    Astray(Astray),
}

pub(super) async fn receive(endpoint: Endpoint, arrivals: mpsc::Sender<Arrival>) {
    let mut readers = JoinSet::new();
    loop {
        let arrival = tokio::select! {
            incoming = endpoint.incoming() => match incoming {
                None => return,
                Some(other) if !other.shares_application() => {
                    other.refuse(code::FORMAT, "this is a chat: use `hikyaku chat join`");
                    continue;
                }
                Some(incoming) => {
                    readers.spawn(read(incoming.accept(), arrivals.clone()));
                    continue;
                }
            },
            Some(refusal) = endpoint.refused() => Arrival::Refused(refusal),
            Some(astray) = endpoint.astray() => Arrival::Astray(astray),
            Some(_) = readers.join_next() => continue,
        };
        if arrivals.send(arrival).await.is_err() {
            return;
        }
    }
}

async fn read(connection: Connection, arrivals: mpsc::Sender<Arrival>) {
    let Ok(mut next) = timeout(HELLO_WITHIN, connection.recv()).await else {
        return connection.abort(code::FORMAT, "no hello in time");
    };
    loop {
        let arrival = match next {
            Ok(message) => Arrival::Line(connection.clone(), message.payload),
            Err(closed) => {
                let _ = arrivals.send(Arrival::Ended(connection, closed)).await;
                return;
            }
        };
        if arrivals.send(arrival).await.is_err() {
            return;
        }
        next = connection.recv().await;
    }
}
