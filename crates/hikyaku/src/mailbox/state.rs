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

    /// Stages a message, and returns its number.
    pub(super) fn push(&mut self, mut message: Staged) -> u64 {
        self.staged_bytes += message.cost();
        let number = self.next;
        self.next += 1;
        self.staged_since_wait += 1;
        message.number = number;
        if self.staged.len() >= STAGED_UNSEEN {
            message.payload = self.compactor.compact(message.payload, self.staged.len());
        }
        self.staged.push_back(message);
        if self.reader == Reader::Called {
            // It carries the ACK.
            self.reader = Reader::Busy;
        }
        number
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

    /// Removes the wakers of tasks that wait for this message's outcome, and adds them to `tasks`.
    pub(super) fn take_waiting(&mut self, number: u64, tasks: &mut Vec<Waker>) {
        let of_this = (number, 0)..=(number, u64::MAX);
        while let Some((&key, _)) = self.waiting.range(of_this.clone()).next() {
            tasks.extend(self.waiting.remove(&key));
        }
    }

    /// Notes that a task waits for a message or an outcome.
    pub(super) fn note_wait(&mut self) {
        if self.staged_since_wait > 0 {
            self.alternates = mem::take(&mut self.staged_since_wait) == 1;
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
