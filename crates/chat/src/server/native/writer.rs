//! One member's way out: what is for them alone, and the log from their cursor on.

use std::sync::Arc;

use hikyaku::{Bytes, Connection, Delivery};
use tokio::sync::mpsc::{self, error::TryRecvError};

use super::window::{Next, Window};
use crate::{
    clock::Clock,
    event::{Event, Kind, Seq},
    machine,
};

#[derive(Debug)]
pub(super) enum Outgoing {
    /// What is for this member alone.
    Line(Bytes),
    /// The log after this number, from now on.
    After(Seq),
}

/// The connection is over.
struct Gone;

struct Writer {
    connection: Connection,
    window: Arc<Window>,
    clock: Clock,
    /// `None` until the room has said where to begin.
    cursor: Option<Seq>,
}

/// Writes until the connection is over; without a sender, until nothing is left.
pub(super) async fn write(
    connection: Connection,
    mut outgoing: mpsc::Receiver<Outgoing>,
    window: Arc<Window>,
    clock: Clock,
) {
    let mut heads = window.heads();
    let mut writer = Writer { connection, window, clock, cursor: None };
    loop {
        let done = match outgoing.try_recv() {
            Ok(one) => writer.apply(one).await.is_ok(),
            Err(TryRecvError::Disconnected) => {
                while let Ok(true) = writer.go_on().await {}
                return;
            }
            Err(TryRecvError::Empty) => match writer.go_on().await {
                Ok(true) => true,
                Err(Gone) => false,
                Ok(false) => tokio::select! {
                    biased;
                    one = outgoing.recv() => match one {
                        Some(one) => writer.apply(one).await.is_ok(),
                        None => true,
                    },
                    changed = heads.changed() => changed.is_ok(),
                },
            },
        };
        if !done {
            return;
        }
    }
}

impl Writer {
    async fn apply(&mut self, outgoing: Outgoing) -> Result<(), Gone> {
        match outgoing {
            Outgoing::Line(line) => self.send(line).await,
            Outgoing::After(seq) => {
                self.cursor = Some(seq);
                Ok(())
            }
        }
    }

    /// Sends what comes after the cursor, some of it at least; returns `false` if nothing does.
    async fn go_on(&mut self) -> Result<bool, Gone> {
        let Some(cursor) = self.cursor else { return Ok(false) };
        match self.window.after(cursor) {
            None => return Ok(false),
            Some(Next::Missed(last)) => {
                let mut missed = Event::new(self.clock.now().stamp, None, None, Kind::Missed);
                missed.prev = last;
                self.send(machine::write_event(&missed, None).into()).await?;
                self.cursor = Some(last);
            }
            Some(Next::Lines(lines)) => {
                for (seq, line) in lines {
                    self.send(line).await?;
                    self.cursor = Some(seq);
                }
            }
        }
        Ok(true)
    }

    /// Waits while the connection's queue is full: then the member is slow.
    async fn send(&self, line: Bytes) -> Result<(), Gone> {
        self.connection.send(Delivery::Ordered, line).await.map(drop).map_err(|_| Gone)
    }
}
