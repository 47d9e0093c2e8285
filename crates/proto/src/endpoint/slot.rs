//! A connection with its endpoint's bookkeeping.

use super::{
    half_open::HalfOpenSlot,
    resets::Marks,
    shares::{Share, Standing},
};
use crate::{
    connection::Connection,
    event::{Event, Reason, Transmit},
    time::Time,
    wire::header::ConnectionId,
};

/// A value of `Slot::silent_at` that never equals the present time.
pub(super) const NEVER: Time = Time::from_micros(u64::MAX);

/// A connection with its endpoint's bookkeeping.
pub(super) struct Slot {
    pub(super) connection: Connection,
    pub(super) timer: Option<(Time, Reason)>,
    pub(super) ready: bool,
    /// `true` while the endpoint's `changed` list contains it.
    pub(super) changed: bool,
    /// The time of the last poll that found nothing to send, or [`NEVER`] if anything has changed
    /// since. Reporting a thousand outcomes at one time then polls it once.
    pub(super) silent_at: Time,
    pub(super) share: Share,
    /// Its half-open slot, until it is established. Boxed, since most connections are established.
    pub(super) half_open: Option<Box<HalfOpenSlot>>,
    /// The reset tokens of its peer, as entered in the index of resets.
    pub(super) marks: Marks,
    /// The destinations of the client's Hellos, before and after a Retry. Its packets carry the
    /// last of them until it knows our id; late and duplicate ones open no other connection.
    pub(super) hellos: [Option<ConnectionId>; 2],
}

/// The result of polling a connection.
pub(super) enum Polled {
    Transmit(Transmit),
    Event(Event),
    Nothing,
}

impl Slot {
    pub(super) fn new(connection: Connection, hellos: [Option<ConnectionId>; 2]) -> Self {
        Self {
            connection,
            timer: None,
            ready: false,
            changed: false,
            silent_at: NEVER,
            share: Share::default(),
            half_open: None,
            marks: Marks::default(),
            hellos,
        }
    }

    pub(super) const fn standing(&self) -> Standing {
        match self.half_open {
            Some(_) => Standing::HalfOpen,
            None => Standing::Established,
        }
    }

    /// Sends what the connection owes, then reports what happened to it.
    pub(super) fn poll(&mut self, now: Time, out: &mut Vec<u8>) -> Polled {
        if self.silent_at != now
            && let Some(transmit) = self.connection.transmit(now, out)
        {
            return Polled::Transmit(transmit);
        }
        self.silent_at = now;
        self.connection.poll_event().map_or(Polled::Nothing, Polled::Event)
    }
}
