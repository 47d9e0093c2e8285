//! The end of a connection, in all its forms (section 8).
//!
//! In: reasons. Out: states, the CLOSE to send, the last events. Never: packets.

use std::time::Duration;

use super::Connection;
use crate::{
    crypto::Side,
    error::Close,
    event::{ClosedReason, Event},
    time::Time,
    wire::level::Level,
};

/// How long messages of a connection that is over wait to be read: an application that does not
/// care any more must not make us keep them for ever.
const UNREAD_KEPT: Duration = Duration::from_secs(30);

/// Where a connection is in its life.
#[derive(Debug)]
pub(super) enum State {
    /// Until a data packet of the peer was opened.
    Handshaking,
    /// Both ends have shown that they have the data keys.
    Established,
    /// This side ended it: what still comes is answered with the CLOSE (M-62).
    Closing(Box<Closing>),
    /// The peer ended it: one CLOSE back, then silence.
    Draining {
        /// When it is forgotten.
        until: Time,
        /// The CLOSE that goes back has to leave.
        owes: Owes,
    },
    /// To be forgotten, as soon as what came before has been read.
    Over {
        /// Or then.
        until: Time,
    },
}

/// M-62.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) close: Close,
    pub(super) until: Time,
    /// A CLOSE has to leave.
    pub(super) owes: Owes,
    /// Packets that came since the end, and how many of them call forth the next CLOSE.
    heard: u64,
    answer_at: u64,
}

/// The levels at which a CLOSE has to leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owes(u8);

impl Owes {
    const ALL: Self = Self(0b1111);
    const NONE: Self = Self(0);

    /// Does one have to leave at this level? It counts as sent.
    pub(super) const fn take(&mut self, level: Level) -> bool {
        let bit = 1 << level as u8;
        let owed = self.0 & bit != 0;
        self.0 &= !bit;
        owed
    }
}

impl State {
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Closing(_) | Self::Draining { .. } | Self::Over { .. })
    }
}

impl Closing {
    /// A packet of the peer came: it has not heard the CLOSE yet. Answered at most once per
    /// doubling number of packets (M-62).
    pub(super) const fn on_packet(&mut self) {
        self.heard += 1;
        if self.heard >= self.answer_at {
            self.answer_at *= 2;
            self.owes = Owes::ALL;
        }
    }
}

impl Connection {
    /// Ends it, and tells the peer why.
    pub(super) fn end(&mut self, now: Time, close: Close, reason: ClosedReason) {
        if self.state.is_over() {
            return;
        }
        let until = now + self.drain_span();
        self.finish(reason);
        let closing = Closing { close, until, owes: Owes::ALL, heard: 0, answer_at: 1 };
        self.state = State::Closing(Box::new(closing));
    }

    /// Ends it without a word: nobody is there to hear it.
    pub(super) fn end_silently(&mut self, now: Time, reason: ClosedReason) {
        if !self.state.is_over() {
            self.finish(reason);
            self.state = State::Over { until: now + UNREAD_KEPT };
        }
    }

    /// The peer ended it.
    pub(super) fn on_close(&mut self, now: Time, close: Close) {
        let until = now + self.drain_span();
        match &self.state {
            State::Handshaking | State::Established => {
                self.finish(ClosedReason::Peer(close));
                self.state = State::Draining { until, owes: Owes::ALL };
            }
            // Both at once: each knows.
            State::Closing(closing) => {
                self.state = State::Draining { until: closing.until, owes: Owes::NONE };
            }
            State::Draining { .. } | State::Over { .. } => {}
        }
    }

    /// M-63: the graceful close has waited for long enough.
    pub(super) fn leave_if_done(&mut self, now: Time) {
        let Some(by) = self.clocks.leave_by else { return };
        if now >= by || self.outbox.is_drained() {
            let close = Close::new(Close::NO_ERROR, "");
            self.end(now, close, ClosedReason::Local);
        }
    }

    fn finish(&mut self, reason: ClosedReason) {
        self.outbox.give_up_all();
        // Of a stranger that did not finish its handshake no application knows.
        if self.side == Side::Client || self.told.incoming {
            self.told.events.push_back(Event::Closed(reason));
        }
        self.clocks.paced_until = None;
    }

    /// Nothing is to be said any more.
    pub(super) fn on_drained(&mut self, now: Time) {
        self.state = State::Over { until: now + UNREAD_KEPT };
    }

    /// How long the end is remembered: 3 PTO.
    fn drain_span(&self) -> Duration {
        self.in_flight.pto(&self.paths.current.rtt) * 3
    }
}
