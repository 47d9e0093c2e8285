//! What a server takes from a chat after each call, and carries out.

use std::{mem, sync::Arc};

use super::{Chat, Peer, Query, Stats, StorageChange};
use crate::{
    event::{Departure, Seq},
    log::Log,
    time::Now,
};

impl<P: Peer, L: Log> Chat<P, L> {
    /// Returns the bans that have changed since the last call: `true` for a new one.
    pub fn take_ban_changes(&mut self) -> Vec<(Arc<str>, bool)> {
        mem::take(&mut self.ban_changes)
    }

    /// Returns `true` if bans have changed since they were taken last.
    #[must_use]
    pub fn has_ban_changes(&self) -> bool {
        !self.ban_changes.is_empty()
    }

    /// Returns those who have been sent away since the last call.
    pub fn take_dismissed(&mut self) -> Vec<(P, Departure)> {
        mem::take(&mut self.dismissed)
    }

    /// Returns those whose membership silence has ended since the last call.
    pub fn take_silent(&mut self) -> Vec<P> {
        mem::take(&mut self.silent)
    }

    /// Returns the members that read the log again since the last call, each with the number to
    /// start after.
    pub fn take_rewinds(&mut self) -> Vec<(P, Seq)> {
        mem::take(&mut self.rewinds)
    }

    /// Returns the questions for the history since the last call.
    pub fn take_queries(&mut self) -> Vec<Query<P>> {
        mem::take(&mut self.queries)
    }

    /// Returns whether events are stored, if that has changed since the last call.
    pub fn take_storage_changes(&mut self, now: Now) -> Vec<StorageChange> {
        self.storage.take_changes(now.time)
    }

    /// Returns the chat's figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { members: self.members.len(), ..self.stats }
    }
}
