//! A device's position in the log: in the window, or below it on disk.

use super::{
    message::{Message, joined},
    window::{Next, Window},
};
use crate::{
    event::Seq,
    store::{Rights, Stored},
};

/// The position of a device in the log.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Nowhere, until the chat has decided where to begin.
    Nowhere,
    /// At a position in the window.
    Memory(u64),
    /// After a number that is no longer in memory.
    Disk {
        /// The last number that is no longer in memory.
        forgotten: Seq,
    },
}

/// What to do for a device next.
#[derive(Debug)]
pub(in crate::server) enum Step {
    /// Nothing, until the window has more.
    Wait,
    /// Send the message, if any line is for the device, and continue after it.
    Send(Option<Message>, Cursor),
    /// Read at most [`STORED_BATCH`](crate::limits::STORED_BATCH) events after this number from the
    /// history, and hand in the result.
    Read(Seq),
}

/// The position of one device. No copy is kept of what a device has not read.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Cursor {
    place: Place,
    /// The last number that was sent to the device, or that was not for it.
    seq: Seq,
}

impl Cursor {
    pub(in crate::server) const fn nowhere() -> Self {
        Self { place: Place::Nowhere, seq: Seq::START }
    }

    /// Returns the place after `seq`.
    pub(in crate::server) fn after(window: &Window, seq: Seq) -> Self {
        let place = match window.place_after(seq) {
            Ok(place) => Place::Memory(place),
            Err(forgotten) => Place::Disk { forgotten },
        };
        Self { place, seq }
    }

    /// Returns the next step. Lines that are not for the device are left out.
    pub(in crate::server) fn next(self, window: &Window, rights: &Rights) -> Step {
        match self.place {
            Place::Nowhere => Step::Wait,
            Place::Disk { .. } => Step::Read(self.seq),
            Place::Memory(place) => match window.after(place, rights) {
                Next::Nothing => Step::Wait,
                Next::Behind => Step::Send(None, Self::after(window, self.seq)),
                Next::Lines { message, then, seq } => {
                    let place = Place::Memory(then);
                    Step::Send(message, Self { place, seq: seq.unwrap_or(self.seq) })
                }
            },
        }
    }

    /// Returns the lines of the history's answer to [`Step::Read`], and the device's position after
    /// them.
    pub(in crate::server) fn take(
        self,
        window: &Window,
        events: Vec<Stored>,
    ) -> (Vec<Message>, Self) {
        let last = match events.last() {
            Some(event) => event.seq,
            // The history has nothing more for the device; the window has the rest.
            None => self.seq.max(self.forgotten()),
        };
        let lines = events.into_iter().map(|event| event.line).collect();
        (joined(lines), Self::after(window, last))
    }

    /// Returns the last number that the device misses, and its position after that, if the history
    /// cannot answer [`Step::Read`]. `kept` is the last number that the history has deleted.
    pub(in crate::server) fn miss(self, window: &Window, kept: Option<Seq>) -> (Seq, Self) {
        let last = kept.filter(|kept| *kept > self.seq).unwrap_or(self.forgotten());
        (last, Self::after(window, last))
    }

    const fn forgotten(self) -> Seq {
        match self.place {
            Place::Disk { forgotten } => forgotten,
            Place::Nowhere | Place::Memory(_) => self.seq,
        }
    }
}
