//! Copies: on a path that loses packets, the messages of a thin flow are sent again in the
//! spare room of the packets that follow.
//!
//! A loss is repaired with the next packet, not a round trip later. It costs bytes and no packets.

use std::time::Duration;

use super::{super::sent::SentFrame, InFlight, Slot};
use crate::{limits::THIN_FLIGHT, time::Time};

/// How long a path counts as lossy after a loss.
const LOSSY: Duration = Duration::from_secs(10);

impl InFlight {
    /// Returns `true` if the flow is thin and its path has lost packets lately.
    pub(crate) fn may_copy(&self, now: Time) -> bool {
        self.last_lost.is_some_and(|at| now.since(at) <= LOSSY) && self.bytes < THIN_FLIGHT
    }

    /// Notes that what follows these frames in the packet that is being written are copies.
    pub(crate) const fn begin_copies(&mut self, originals: usize) {
        self.copies_from = Some(originals);
    }

    /// Returns the frames of the newest packet in flight that was not copied yet and fits into
    /// `room` bytes. They stay in flight and may still be acknowledged.
    pub(crate) fn next_copy(&mut self, room: usize) -> Option<&[SentFrame]> {
        let path = self.path;
        let packet = self.slots.iter_mut().rev().find_map(|slot| match slot {
            Slot::Flying(packet) if packet.originals > 0 && packet.path == path => Some(packet),
            _ => None,
        })?;
        if usize::from(packet.bytes) > room {
            return None;
        }
        let originals = std::mem::take(&mut packet.originals);
        packet.frames.get(..originals.into())
    }
}
