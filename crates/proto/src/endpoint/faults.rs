//! A panic in one connection drops that connection, and nothing else.
//!
//! In: a step of a connection. Out: its result, or that the connection is gone. Never: retries.
//!
//! Everything that a packet, a deadline or a transmit makes a connection do runs as a step. A panic
//! in one is a fault of this crate or of a library below it; the peer that found it must not end
//! the connections of all others. A panic may leave a connection half-updated, so it is not used
//! again: nothing more is sent, its unread messages are gone, and its peer gets a stateless reset
//! for the next packet (M-60). Where panics abort (`panic = "abort"`) nothing is contained.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{Endpoint, slot::Slot};
use crate::{
    event::{ClosedReason, ConnectionHandle, Event, Output},
    rng::Random,
};

/// The connections that panicked.
#[derive(Debug, Default)]
pub(super) struct Faults {
    count: u64,
    /// Those whose owner has not been notified yet.
    ended: VecDeque<ConnectionHandle>,
    /// The connection whose next step panics.
    #[cfg(test)]
    pub(super) next: Option<ConnectionHandle>,
}

impl Endpoint {
    /// Runs a step of a connection. Returns `None` if the connection is gone, or panicked and is
    /// gone now.
    ///
    /// The unwind safety that is asserted: a step changes its connection, which is dropped after a
    /// panic, and what connections share. That is the source of randomness, the configuration,
    /// which is only read, and the memory budget, which is one atomic number.
    #[inline]
    pub(super) fn step<T>(
        &mut self,
        handle: ConnectionHandle,
        work: impl FnOnce(&mut Slot, &mut dyn Random) -> T,
    ) -> Option<T> {
        let slot = self.connections.get_mut(handle)?;
        let random = &mut *self.random;
        #[cfg(test)]
        let panics = self.faults.next.take_if(|next| *next == handle).is_some();
        let result = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            assert!(!panics, "a step that panics at the request of a test");
            work(slot, random)
        }));
        match result {
            Ok(result) => Some(result),
            Err(_) => {
                self.on_fault(handle);
                None
            }
        }
    }

    /// Drops a connection that panicked. Its charges to the memory budget end with it.
    #[cold]
    fn on_fault(&mut self, handle: ConnectionHandle) {
        self.faults.count += 1;
        let Some(slot) = self.take(handle) else { return };
        // The application knows this connection, or is about to.
        if slot.connection.is_client() || slot.connection.is_known() {
            self.faults.ended.push_back(handle);
        }
        // Dropping a half-updated connection may panic again; the rest of it is dropped
        // nevertheless.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(slot)));
    }

    /// Returns the last event of the next connection that panicked.
    pub(super) fn poll_fault(&mut self) -> Option<Output> {
        let handle = self.faults.ended.pop_front()?;
        Some(Output::Event(handle, Event::Closed(ClosedReason::Fault)))
    }

    /// Returns the number of connections that were dropped because handling them panicked
    /// ([`ClosedReason::Fault`]), including half-open ones.
    #[must_use]
    pub const fn faults(&self) -> u64 {
        self.faults.count
    }
}
