//! Between the chat and its history: batches, pages, what the host reads.

use std::sync::Arc;

use super::{
    history::Done,
    members::Member,
    native::{Outgoing, PageWanted},
    next_done,
    serving::Server,
};
use crate::{
    app::{Notice, Shown},
    event::{Event, Kind, PageOf, Seq},
    limits::FLUSH_WITHIN,
    machine,
    room::{Query, StorageChange},
    sealed::Opened,
    time::Now,
};

impl<S: FnMut(Shown)> Server<S> {
    pub(super) async fn handle_done(&mut self, now: Now, done: Done) {
        match done {
            Done::Committed(results) => {
                if let Some(log) = self.room.log_mut().stored() {
                    log.hand_in(results);
                }
                self.room.handle_log(&mut self.effects);
                self.settle(now).await;
            }
            Done::Pruned(_) => {}
            Done::Failed(error) => self.warn(Notice::NotKept { why: error.to_string() }),
        }
    }

    /// Notifies the owner of the chat that messages are not stored, or are stored again.
    pub(super) fn report_storage(&mut self, now: Now) {
        for change in self.room.take_storage_changes(now) {
            let notice = match change {
                StorageChange::Failed(error) => Notice::NotStored { why: error.to_string() },
                StorageChange::Back { failed } => Notice::StoredAgain { failed },
            };
            self.delivery.notice(notice);
        }
    }

    /// Reports once that bans or deletions cannot be written.
    fn warn(&mut self, notice: Notice) {
        if self.not_kept == 0 {
            self.delivery.notice(notice);
        }
        self.not_kept += 1;
    }

    /// Gives the history its pending work.
    pub(super) fn keep(&mut self, now: Now) {
        let bans = self.room.take_ban_changes();
        let Some(keeper) = &mut self.keeper else { return };
        for (who, banned) in bans {
            keeper.ban(who, banned);
        }
        keeper.prune(now);
        if let Some(batch) = self.room.log_mut().stored().and_then(|log| log.take_batch()) {
            keeper.commit(batch);
        }
    }

    /// Waits until all messages are stored, and publishes them.
    pub(super) async fn flush(&mut self, now: Now) {
        // The shutdown may have interrupted this before.
        self.keep(now);
        let flushed = async {
            while !self.room.log().is_flushed() {
                let Ok(done) = next_done(&mut self.keeper).await else { return };
                self.handle_done(now, done).await;
            }
        };
        let _ = tokio::time::timeout(FLUSH_WITHIN, flushed).await;
    }

    /// Lets the history answer the questions of members.
    pub(super) async fn answer_queries(&mut self, now: Now) {
        for query in self.room.take_queries() {
            let from = query.from;
            let wanted = wanted(query, self.room.head());
            match (&mut self.delivery.native, self.delivery.asking) {
                (Some(native), Some((member, device))) if member == from => {
                    native.put((member, device), Outgoing::Page(wanted.into()));
                }
                _ if matches!(from, Member::Host(_)) => self.show_page(now, wanted).await,
                _ => {}
            }
        }
    }

    /// Shows a page at the server's own terminal.
    async fn show_page(&mut self, now: Now, wanted: PageWanted) {
        let Some(keeper) = &self.keeper else { return };
        let (room, is_search) = (wanted.room.clone(), wanted.words.is_some());
        let (lines, more) = wanted.read(&keeper.pool).await.unwrap_or_default();
        let of = if is_search { PageOf::Found } else { PageOf::History };
        let page = Kind::Page { of, count: lines.len(), more };
        let mut event = Event::new(now.stamp, None, None, page);
        event.room = room;
        self.delivery.show(&Arc::new(event), None);
        for stored in lines {
            if let Some((event, _)) = machine::read_event(&stored.line) {
                self.delivery.show(&Arc::new(readable(event)), None);
            }
        }
    }
}

fn wanted(query: Query<Member>, head: Seq) -> PageWanted {
    let Query { request, room, rooms, words, before, .. } = query;
    let last = PageWanted::last(room, head);
    let before = before.unwrap_or(last.before);
    PageWanted { request, words: words.map(|words| (words, rooms)), before, ..last }
}

/// Fills in the text of a stored event. The host verified it before it was stored.
fn readable(mut event: Event) -> Event {
    let opened = event.sealed.as_ref().and_then(|sealed| sealed.open().ok());
    if let Some(Opened { words, .. }) = opened
        && let Kind::Said { text, .. } = &mut event.kind
    {
        *text = words.text;
    }
    event
}
