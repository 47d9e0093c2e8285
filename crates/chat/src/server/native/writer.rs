//! One device's way out: what is for it alone, and the log from its cursor on.

use std::sync::Arc;

use hikyaku::{Bytes, Connection, Delivery};
use tokio::sync::{
    mpsc::{self, error::TryRecvError},
    watch,
};

use super::window::{Next, Rights, Window};
use crate::{
    clock::Clock,
    event::{Event, Kind, PageOf, RequestId, Seq},
    limits::{PAGE_LINES, STORED_BATCH},
    machine,
    room_name::RoomName,
    server::{
        history::Pool,
        meters::{Counter, Meters},
    },
    store::{StoreError, Stored},
};

#[derive(Debug)]
pub(in crate::server) enum Outgoing {
    /// What is for this device alone.
    Line(Bytes),
    /// A page of stored lines.
    Page(PageWanted),
    /// The log after this number, from now on.
    After(Seq),
}

/// A page that the history has.
#[derive(Clone, Debug)]
pub(in crate::server) struct PageWanted {
    pub(in crate::server) request: Option<RequestId>,
    pub(in crate::server) room: RoomName,
    /// The words to find, and the rooms where; without them, what was said last in `room`.
    pub(in crate::server) words: Option<(String, Vec<RoomName>)>,
    /// Only events before this one.
    pub(in crate::server) before: Seq,
}

impl PageWanted {
    /// Returns what was said last in a room, up to `head`.
    pub(in crate::server) fn last(room: RoomName, head: Seq) -> Self {
        let before = Seq(head.0.saturating_add(1));
        Self { request: None, room, words: None, before }
    }

    const fn of(&self) -> PageOf {
        if self.words.is_some() { PageOf::Found } else { PageOf::History }
    }

    /// Reads the page, and whether there is more before it.
    pub(in crate::server) async fn read(
        self,
        pool: &Arc<Pool>,
    ) -> Result<(Vec<Stored>, bool), StoreError> {
        let most = PAGE_LINES + 1;
        let mut lines = pool
            .read(move |reader| match self.words {
                Some((words, rooms)) => reader.search(&words, &rooms, self.before, most),
                None => reader.page(&self.room, self.before, most),
            })
            .await?;
        let more = lines.len() > PAGE_LINES;
        if more {
            lines.remove(0);
        }
        Ok((lines, more))
    }
}

/// The connection is over.
struct Gone;

/// Where a device is in the log.
#[derive(Clone, Copy, Debug)]
enum Cursor {
    /// Nowhere, until the chat has said where to begin.
    Nowhere,
    /// At a place in the window.
    Memory(u64),
    /// After a number that is not in memory.
    Disk,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) window: Arc<Window>,
    pub(super) rights: watch::Receiver<Arc<Rights>>,
    pub(super) pool: Option<Arc<Pool>>,
    pub(super) meters: Arc<Meters>,
    pub(super) clock: Clock,
}

/// A writer, and where it is.
struct Writing {
    writer: Writer,
    cursor: Cursor,
    /// The last number that the device was sent, or that was not for it.
    seq: Seq,
}

/// Writes until the connection is over; without a sender, until nothing is left.
pub(super) async fn write(writer: Writer, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut heads = writer.window.heads();
    let mut writing = Writing { writer, cursor: Cursor::Nowhere, seq: Seq::START };
    loop {
        let done = match outgoing.try_recv() {
            Ok(one) => writing.apply(one).await.is_ok(),
            Err(TryRecvError::Disconnected) => {
                while let Ok(true) = writing.go_on(&outgoing).await {}
                return;
            }
            Err(TryRecvError::Empty) => match writing.go_on(&outgoing).await {
                Ok(true) => true,
                Err(Gone) => false,
                Ok(false) => tokio::select! {
                    biased;
                    one = outgoing.recv() => match one {
                        Some(one) => writing.apply(one).await.is_ok(),
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

impl Writing {
    async fn apply(&mut self, outgoing: Outgoing) -> Result<(), Gone> {
        match outgoing {
            Outgoing::Line(line) => self.send(line).await,
            Outgoing::Page(wanted) => self.send_page(wanted).await,
            Outgoing::After(seq) => {
                self.seek(seq);
                Ok(())
            }
        }
    }

    fn seek(&mut self, seq: Seq) {
        self.seq = seq;
        self.cursor = match self.writer.window.place_after(seq) {
            Ok(place) => Cursor::Memory(place),
            Err(_) => Cursor::Disk,
        };
    }

    /// Sends what comes after the cursor, some of it at least; returns `false` if nothing does.
    async fn go_on(&mut self, outgoing: &mpsc::Receiver<Outgoing>) -> Result<bool, Gone> {
        match self.cursor {
            Cursor::Nowhere => Ok(false),
            Cursor::Disk => self.go_on_from_disk().await.map(|()| true),
            Cursor::Memory(place) => match self.writer.window.after(place) {
                Next::Nothing => Ok(false),
                Next::Behind => {
                    self.seek(self.seq);
                    Ok(true)
                }
                // What is for this device alone was put there before what comes now.
                Next::Lines(..) if !outgoing.is_empty() => Ok(true),
                Next::Lines(lines, next) => {
                    let rights = Arc::clone(&self.writer.rights.borrow());
                    for entry in lines {
                        if rights.allow(&entry) {
                            self.send(entry.line).await?;
                        }
                        self.seq = entry.seq.unwrap_or(self.seq);
                    }
                    self.cursor = Cursor::Memory(next);
                    Ok(true)
                }
            },
        }
    }

    async fn go_on_from_disk(&mut self) -> Result<(), Gone> {
        let Err(forgotten) = self.writer.window.place_after(self.seq) else {
            self.seek(self.seq);
            return Ok(());
        };
        let Some(pool) = &self.writer.pool else { return self.miss(forgotten).await };
        let after = self.seq;
        match pool.read(move |reader| reader.after(after, STORED_BATCH)).await {
            Err(_) => {
                let kept = pool.forgotten();
                self.miss(if kept > after { kept } else { forgotten }).await
            }
            Ok(events) => {
                let last = events.last().map_or(forgotten, |event| event.seq);
                let rights = Arc::clone(&self.writer.rights.borrow());
                for event in events {
                    if rights.allow_stored(Some(event.seq), &event.readers) {
                        self.send(event.line).await?;
                    }
                }
                self.seq = last;
                Ok(())
            }
        }
    }

    /// Events up to `last` are not remembered any more.
    async fn miss(&mut self, last: Seq) -> Result<(), Gone> {
        let mut missed = Event::new(self.writer.clock.now().stamp, None, None, Kind::Missed);
        missed.prev = last;
        self.send(machine::write_event(&missed, None).into()).await?;
        self.seek(last);
        Ok(())
    }

    async fn send_page(&mut self, wanted: PageWanted) -> Result<(), Gone> {
        let Some(pool) = &self.writer.pool else { return Ok(()) };
        let (request, room, of) = (wanted.request, wanted.room.clone(), wanted.of());
        // A page that cannot be read is an empty one.
        let (lines, more) = wanted.read(pool).await.unwrap_or_default();
        let page = Kind::Page { of, count: lines.len(), more };
        let mut event = Event::new(self.writer.clock.now().stamp, None, request, page);
        event.room = room;
        self.send(machine::write_event(&event, None).into()).await?;
        for stored in lines {
            self.send(stored.line).await?;
        }
        Ok(())
    }

    /// Waits while the connection's queue is full: then the member is slow.
    async fn send(&self, line: Bytes) -> Result<(), Gone> {
        self.writer.connection.send(Delivery::Ordered, line).await.map_err(|_| Gone)?;
        self.writer.meters.add(Counter::Deliveries, 1);
        Ok(())
    }
}
