//! What a mailbox decides under its lock: what may be staged, what is known of a message, which
//! sender is next.
//!
//! In: messages, outcomes, room. Out: verdicts, wakers to call. Never: a lock.

use super::*;

impl State {
    /// Returns an error if a message can never be staged.
    pub(super) fn check(&self, message: &Staged) -> Result<(), SendError> {
        if let Some(closed) = &self.closed {
            return Err(closed.clone().into());
        }
        if self.closing {
            return Err(Closed::Here.into());
        }
        let (len, limit) = (message.payload.len(), self.longest[message.delivery.class() as usize]);
        if len > limit {
            return Err(SendError::TooLarge { len, limit });
        }
        Ok(())
    }

    pub(super) fn queued_bytes(&self, channel: Option<ChannelId>) -> usize {
        let staged = match channel {
            None => self.staged_bytes,
            Some(channel) => {
                let of_this = self.staged.iter().filter(|message| message.channel == channel);
                of_this.map(Staged::cost).sum()
            }
        };
        staged + self.queued.bytes(channel)
    }

    pub(super) fn outcome(&self, number: u64) -> Known {
        match self.outcomes.get(number) {
            Known::NotYet if self.closed.is_some() => Known::Yes(Outcome::Unsent),
            known => known,
        }
    }

    pub(super) fn wake_waiting(&mut self, number: u64) {
        let of_this = (number, 0)..=(number, u64::MAX);
        while let Some((&key, _)) = self.waiting.range(of_this.clone()).next() {
            self.waiting.remove(&key).into_iter().for_each(Waker::wake);
        }
    }

    /// Drops waiting messages if the connection is closed and no handle is left.
    pub(super) fn forget_unwanted(&mut self) {
        if self.unwanted && self.closed.is_some() {
            self.received = Received::new();
            self.charge = None;
        }
    }

    /// Returns the bytes for which there is room, on any lane.
    pub(super) fn room(&self) -> usize {
        if self.parked_bytes >= MAX_PARKED {
            return 0;
        }
        MAX_STAGED.saturating_sub(self.staged_bytes)
    }

    pub(super) fn has_room(&self, lane: Lane) -> bool {
        self.room() > 0 && !self.turns.is_blocked(lane)
    }

    /// Grants turns to waiting senders while there is room. Returns the wakers.
    #[must_use]
    pub(super) fn grant(&mut self) -> Vec<Waker> {
        let room = self.room();
        self.turns.grant(room)
    }
}

/// Returns `true` for a message that should have arrived and did not.
pub(super) fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Unsent | Outcome::TooLarge)
}
