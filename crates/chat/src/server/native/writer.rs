//! The output of one device: private events, and the log from its cursor on.

use std::sync::Arc;

use hikyaku::Bytes;
use tokio::sync::Semaphore;

use super::{
    cursor::{Cursor, Step},
    message::{Message, joined},
    private::{Receiver, Waiting},
    way::{Gone, Way},
    window::Window,
};
use crate::{
    clock::Clock,
    event::{Event, Kind, PageOf, RequestId, Seq},
    limits::{PAGE_LEN, PAGE_LINES, STORED_BATCH},
    machine,
    room_name::RoomName,
    server::{
        history::Pool,
        meters::{Counter, Meters},
    },
    store::{Found, Rights, StoreError, Stored},
};

#[derive(Debug)]
pub(in crate::server) enum Outgoing {
    /// A private event for this device.
    Line(Bytes),
    /// A page of stored lines.
    Page(Box<PageWanted>),
    /// The log after this number, from now on.
    After(Seq),
}

/// A page of the history.
#[derive(Clone, Debug)]
pub(in crate::server) struct PageWanted {
    pub(in crate::server) request: Option<RequestId>,
    pub(in crate::server) room: RoomName,
    /// The words to find, and the rooms to search; without them, the most recent messages of
    /// `room`.
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
        let Self { room, words, before, .. } = self;
        let Found { mut lines, is_cut_short } = match words {
            Some((words, rooms)) => {
                pool.search(move |reader| reader.search(&words, &rooms, before, most)).await?
            }
            None => {
                let lines = pool.read(move |reader| reader.page(&room, before, most)).await?;
                Found { lines, is_cut_short: false }
            }
        };
        let is_long = lines.len() > PAGE_LINES;
        if is_long {
            lines.remove(0);
        }
        let is_heavy = drop_oldest(&mut lines);
        Ok((lines, is_long || is_heavy || is_cut_short))
    }
}

/// Drops the oldest lines until a page has at most [`PAGE_LEN`] bytes, or one line. Returns `true`
/// if any was dropped.
fn drop_oldest(lines: &mut Vec<Stored>) -> bool {
    let mut len = 0;
    let is_too_much = |line: &Stored| {
        len += line.line.len();
        len > PAGE_LEN
    };
    let first = lines.iter().rposition(is_too_much).map_or(0, |at| at + 1);
    let first = first.min(lines.len().saturating_sub(1));
    lines.drain(..first).next().is_some()
}

pub(super) struct Writer {
    pub(super) way: Way,
    pub(super) window: Arc<Window>,
    pub(super) private: Receiver,
    pub(super) pool: Option<Arc<Pool>>,
    /// The permit to search, which the devices of a member share.
    pub(super) searches: Arc<Semaphore>,
    pub(super) meters: Arc<Meters>,
    pub(super) clock: Clock,
}

/// A writer, and its position.
struct Writing {
    writer: Writer,
    cursor: Cursor,
}

/// Writes until the connection ends, or nothing is left and nothing more will come.
pub(super) async fn write(writer: Writer) {
    let mut heads = writer.window.heads();
    let mut writing = Writing { writer, cursor: Cursor::nowhere() };
    loop {
        let waiting = writing.writer.private.take();
        let has_ended = matches!(waiting, Waiting::Ended);
        let went_on = match waiting {
            Waiting::One(one) => writing.apply(one).await.map(|()| true),
            Waiting::Nothing | Waiting::Ended => writing.go_on().await,
        };
        match went_on {
            Ok(true) => {}
            Ok(false) if !has_ended => tokio::select! {
                () = writing.writer.private.changed() => {}
                _ = heads.changed() => {}
            },
            Ok(false) | Err(Gone) => return,
        }
    }
}

impl Writing {
    async fn apply(&mut self, outgoing: Outgoing) -> Result<(), Gone> {
        match outgoing {
            Outgoing::Line(line) => self.send(Message::line(line)).await,
            // Rare, and large: most of the time a writer only waits.
            Outgoing::Page(wanted) => Box::pin(self.send_page(*wanted)).await,
            Outgoing::After(seq) => {
                self.cursor = Cursor::after(&self.writer.window, seq);
                Ok(())
            }
        }
    }

    /// Sends what follows the cursor, at least some of it; returns `false` if there is nothing.
    async fn go_on(&mut self) -> Result<bool, Gone> {
        let private = &self.writer.private;
        let rights = private.rights();
        match self.cursor.next(&self.writer.window, &rights) {
            Step::Wait => return Ok(false),
            // Private events, and rights to read, were queued before what follows now.
            Step::Send(..) if !private.is_empty() || private.has_other(&rights) => {}
            Step::Send(message, then) => {
                if let Some(message) = message {
                    self.send(message).await?;
                }
                self.cursor = then;
            }
            Step::Read(seq) => Box::pin(self.go_on_from_disk(seq, &rights)).await?,
        }
        Ok(true)
    }

    async fn go_on_from_disk(&mut self, after: Seq, rights: &Arc<Rights>) -> Result<(), Gone> {
        self.check_connection()?;
        let theirs = Arc::clone(rights);
        let read = match &self.writer.pool {
            Some(pool) => {
                pool.read(move |reader| reader.after(after, STORED_BATCH, &theirs)).await.ok()
            }
            None => None,
        };
        // Lines that were read with other rights are read again.
        if self.writer.private.has_other(rights) {
            return Ok(());
        }
        let Some(events) = read else {
            let kept = self.writer.pool.as_ref().map(|pool| pool.forgotten());
            let (last, then) = self.cursor.miss(&self.writer.window, kept);
            self.cursor = then;
            return self.tell_missed(last).await;
        };
        let (messages, then) = self.cursor.take(&self.writer.window, events);
        self.send_all(messages).await?;
        self.cursor = then;
        Ok(())
    }

    /// Do not read for a connection that has ended: if there are no lines to send, nothing else
    /// would stop the reading before the end of the log.
    fn check_connection(&self) -> Result<(), Gone> {
        self.writer.way.check()
    }

    /// Events up to `last` are no longer stored.
    async fn tell_missed(&self, last: Seq) -> Result<(), Gone> {
        let mut missed = Event::new(self.writer.clock.now().stamp, None, None, Kind::Missed);
        missed.prev = last;
        self.send(Message::line(machine::write_event(&missed, None).into())).await
    }

    async fn send_all(&self, messages: Vec<Message>) -> Result<(), Gone> {
        for message in messages {
            self.send(message).await?;
        }
        Ok(())
    }

    async fn send_page(&mut self, wanted: PageWanted) -> Result<(), Gone> {
        self.check_connection()?;
        let Some(pool) = &self.writer.pool else { return Ok(()) };
        let (request, room, of) = (wanted.request, wanted.room.clone(), wanted.of());
        // At most one search runs per member.
        let turn = Arc::clone(&self.writer.searches);
        let _turn = match of {
            PageOf::Found => turn.acquire().await.ok(),
            _ => None,
        };
        // A page that cannot be read is sent as an empty one.
        let (lines, more) = wanted.read(pool).await.unwrap_or_default();
        let page = Kind::Page { of, count: lines.len(), more };
        let mut event = Event::new(self.writer.clock.now().stamp, None, request, page);
        event.room = room;
        let header = Bytes::from(machine::write_event(&event, None));
        let page = [header].into_iter().chain(lines.into_iter().map(|stored| stored.line));
        self.send_all(joined(page.collect())).await
    }

    /// Waits while the connection's queue is full: then the member is slow.
    async fn send(&self, message: Message) -> Result<(), Gone> {
        let lines = message.lines;
        self.writer.way.send(message.bytes).await?;
        self.writer.meters.add(Counter::Deliveries, lines);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the size of the state of a task.
    const fn size_of_task<F>(_: &impl Fn(Writer) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_waiting_writer_is_small() {
        let size = size_of_task(&write);
        assert!(size <= 1_280, "{size} bytes");
    }

    fn page(lengths: &[usize]) -> Vec<Stored> {
        let line = |(seq, len): (usize, &usize)| Stored {
            seq: Seq(seq as u64),
            line: vec![b'x'; *len].into(),
        };
        lengths.iter().enumerate().map(line).collect()
    }

    #[test]
    fn a_page_of_long_lines_has_fewer_lines_but_at_least_one() {
        for (lengths, kept) in [
            (&[][..], 0),
            (&[PAGE_LEN], 1),
            (&[1, PAGE_LEN], 1),
            (&[1, PAGE_LEN - 1], 2),
            (&[PAGE_LEN / 2; 5], 2),
            (&[1, 1, 2 * PAGE_LEN], 1),
        ] {
            let mut lines = page(lengths);
            let is_less = drop_oldest(&mut lines);
            assert_eq!((lines.len(), is_less), (kept, kept < lengths.len()), "{lengths:?}");
            assert_eq!(lines.last().map(|line| line.seq), page(lengths).last().map(|l| l.seq));
        }
    }
}
