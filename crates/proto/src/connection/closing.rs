//! The end of a connection, in all its forms (section 8).
//!
//! In: reasons. Out: states, the packet with the CLOSE, the last events. Never: other packets.

use std::time::Duration;

use super::{
    Connection,
    transmit::{LEAST_DATA_PACKET, LEAST_PACKET},
};
use crate::{
    crypto::Side,
    error::Close,
    event::{ClosedReason, Event, Transmit},
    limits::{BASE_MTU, TAG_LEN},
    time::Time,
    wire::{
        codec::Writer,
        frame::{Frame, write_ack},
        level::Level,
    },
};

/// How long messages of a connection that is over wait to be read: an application that does not
/// care any more must not make us keep them for ever.
const UNREAD_KEPT: Duration = Duration::from_secs(30);

/// Times that a CLOSE without an answer is sent again, a probe timeout apart (M-62): of one way in
/// five losing packets, one end in five thousand is not heard.
const CLOSE_AGAIN: u32 = 8;

/// A peer that was told END is waited for in silence for so long at least (M-63).
const CLOSE_SILENCE: Duration = Duration::from_secs(3);

/// Ranges of the ACK before a CLOSE (M-62): with their largest numbers they leave room for it.
const CLOSE_ACK_RANGES: usize = 32;

/// Where a connection is in its life.
#[derive(Debug)]
pub(super) enum State {
    /// Until a data packet of the peer was opened.
    Handshaking,
    /// Both ends have shown that they have the data keys.
    Established,
    /// This side ended it: what still comes is answered with the CLOSE (M-62).
    Closing(Box<Closing>),
    /// The peer ended it, or has heard that this side did.
    Draining {
        /// When it is forgotten.
        until: Time,
        /// The CLOSE that goes back has to leave.
        owes: Owes,
        /// How many more packets of the peer's, which has not heard it then, call it forth again.
        answers: u32,
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
    /// When it leaves again without being asked for.
    pub(super) again: Option<Time>,
    /// The application is told when it was heard.
    awaited: bool,
}

/// The way to a graceful end (M-63, M-65): each side says END when its messages have outcomes.
#[derive(Debug, Default)]
pub(super) struct GracefulClose {
    /// The application asked for the end, by then at the latest.
    by: Option<Time>,
    /// The peer knows, or is to know, that nothing more comes from here.
    said: bool,
    /// An END has to leave.
    pub(super) owes: bool,
    /// Nothing more comes from the peer.
    heard: bool,
    /// Messages waited for room when that was heard: they are still taken.
    backlog: bool,
}

impl GracefulClose {
    /// Returns `true` when new messages are refused.
    pub(super) const fn refuses(&self) -> bool {
        self.by.is_some() || (self.heard && !self.backlog)
    }

    /// The application asks for the end; the earlier of two times counts.
    pub(super) fn close_by(&mut self, by: Time) {
        self.by = Some(self.by.map_or(by, |before| before.min(by)));
    }
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
        // Who has shown that it is there is told until it says that it has heard.
        let known = matches!(self.state, State::Established);
        let pto = self.close_interval();
        let until = now + if known { pto * (CLOSE_AGAIN + 1) } else { pto * 3 };
        let again = known.then(|| now + pto);
        let awaited = matches!(reason, ClosedReason::Local | ClosedReason::Error(_));
        self.finish(reason);
        let (owes, heard, answer_at) = (Owes::ALL, 0, 1);
        let closing = Closing { close, until, owes, heard, answer_at, again, awaited };
        self.state = State::Closing(Box::new(closing));
    }

    /// M-62: nothing has come back.
    pub(super) fn on_close_alarm(&mut self, now: Time) {
        let pto = self.close_interval();
        let State::Closing(closing) = &mut self.state else { return };
        if now >= closing.until {
            return self.on_drained(now);
        }
        if closing.again.is_some_and(|again| again <= now) {
            closing.owes = Owes::ALL;
            closing.again = Some(now + pto);
        }
    }

    /// Ends it without a word: nobody is there to hear it.
    pub(super) fn end_silently(&mut self, now: Time, reason: ClosedReason) {
        if !self.state.is_over() {
            // A peer that forgot the connection after our END has ended it.
            let ours = self.graceful.said && reason == ClosedReason::Reset;
            self.finish(if ours { ClosedReason::Local } else { reason });
            self.tell_drained(ours);
            self.state = State::Over { until: now + UNREAD_KEPT };
        }
    }

    /// The peer ended it.
    pub(super) fn on_close(&mut self, now: Time, close: Close) {
        let until = now + self.close_interval() * 3;
        match &mut self.state {
            State::Handshaking | State::Established => {
                // The answer to our END: it was this side that wanted the end.
                let ours = self.graceful.said && close.code == Close::NO_ERROR;
                self.finish(if ours { ClosedReason::Local } else { ClosedReason::Peer(close) });
                self.tell_drained(ours);
                self.state = State::Draining { until, owes: Owes::ALL, answers: CLOSE_AGAIN };
            }
            // It has heard, or both ended it at once: each knows.
            State::Closing(closing) => {
                let (until, awaited) = (closing.until.min(until), closing.awaited);
                self.tell_drained(awaited);
                self.state = State::Draining { until, owes: Owes::NONE, answers: 0 };
            }
            State::Draining { owes, answers, .. } => {
                if *answers > 0 {
                    *answers -= 1;
                    *owes = Owes::ALL;
                }
            }
            State::Over { .. } => {}
        }
    }

    /// Does it still answer a CLOSE that comes again?
    pub(super) const fn answers_close(&self) -> bool {
        matches!(self.state, State::Draining { answers: 1.., .. })
    }

    fn tell_drained(&mut self, awaited: bool) {
        if awaited && (self.side == Side::Client || self.told.incoming) {
            self.told.events.push_back(Event::Drained);
        }
    }

    /// M-65: END came.
    pub(super) fn on_end(&mut self) {
        self.graceful.backlog |= !self.graceful.heard && self.outbox.has_refused();
        self.graceful.heard = true;
    }

    /// M-63: nothing keeps a graceful close any more, or it has waited for long enough.
    pub(super) fn close_if_done(&mut self, now: Time) {
        let no_error = || Close::new(Close::NO_ERROR, "");
        let done = self.outbox.is_drained();
        if self.close_at().is_some_and(|at| at <= now) {
            return self.end(now, no_error(), ClosedReason::Local);
        }
        match (self.graceful.by, &self.state) {
            _ if !done => {}
            (Some(_), State::Established) if !self.graceful.heard => {
                self.graceful.owes |= !self.graceful.said;
                self.graceful.said = true;
            }
            (Some(_), _) => self.end(now, no_error(), ClosedReason::Local),
            (None, _) if self.graceful.heard => {
                self.end(now, no_error(), ClosedReason::Peer(no_error()));
            }
            (None, _) => {}
        }
    }

    /// When a graceful close waits no longer: the caller's time is up, or a peer that was told END
    /// is not heard of any more.
    pub(super) fn close_at(&self) -> Option<Time> {
        let by = self.graceful.by?;
        if !self.graceful.said || self.graceful.owes {
            return Some(by);
        }
        let span = (self.close_interval() * (CLOSE_AGAIN + 1)).max(CLOSE_SILENCE);
        Some(by.min(self.active_at() + span))
    }

    /// Silence after which a peer that was told END, and owes its own, is asked for a sign of life.
    pub(super) fn closing_ping(&self) -> Option<Duration> {
        self.graceful.said.then(|| self.close_interval() * 3)
    }

    fn finish(&mut self, reason: ClosedReason) {
        self.outbox.give_up_all();
        // Of a stranger that did not finish its handshake no application knows.
        if self.side == Side::Client || self.told.incoming {
            self.told.events.push_back(Event::Closed(reason));
        } else if self.paths.current.validated {
            self.tell_refused(reason);
        }
        self.clocks.paced_until = None;
    }

    /// A newcomer is turned away. One that goes by itself was not.
    fn tell_refused(&mut self, reason: ClosedReason) {
        let of_its_own = matches!(reason, ClosedReason::Peer(_) | ClosedReason::Local);
        if !of_its_own {
            let (from, key) = (self.remote(), self.shown_key());
            self.told.events.push_back(Event::Refused { from, key, reason });
        }
    }

    /// Nothing is to be said any more.
    pub(super) fn on_drained(&mut self, now: Time) {
        if let State::Closing(closing) = &self.state {
            self.tell_drained(closing.awaited);
        }
        self.state = State::Over { until: now + UNREAD_KEPT };
    }

    /// A probe timeout, without the backoff of what went before.
    fn close_interval(&self) -> Duration {
        self.in_flight.pto(&self.paths.current.rtt)
    }

    /// M-62: the CLOSE, at each level that the peer may have keys for.
    pub(super) fn transmit_close(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Transmit> {
        let level = self.take_close_level()?;
        let size = BASE_MTU.min(self.paths.current.allowance());
        let least = if level == Level::Hello { BASE_MTU } else { LEAST_DATA_PACKET };
        if size < LEAST_PACKET || (level == Level::Hello && size < BASE_MTU) {
            return None;
        }
        if out.len() < size {
            out.resize(size, 0);
        }
        let number = self.next_number;
        let mut writer = Writer::new(out.get_mut(..size - TAG_LEN)?);
        // An exhausted key can still say that it is: the limits have a margin.
        self.write_header(level, number, &mut writer).ok()?;
        let header_len = writer.len();
        if level == Level::Data && size == BASE_MTU && matches!(self.state, State::Closing(_)) {
            let ranges = self.ack.ranges(level).take(CLOSE_ACK_RANGES);
            write_ack(&mut writer, self.ack.delay(now, level), ranges, self.ack.ecn());
        }
        let back = Close::new(Close::NO_ERROR, "");
        let close = match &self.state {
            State::Closing(closing) => &closing.close,
            _ => &back,
        };
        let room = writer.room().saturating_sub(16);
        let reason = close.reason.get(..close.reason.floor_char_boundary(room)).unwrap_or_default();
        Frame::Close { code: close.code, reason }.encode(&mut writer);
        writer.put_zeros(least.saturating_sub(TAG_LEN + writer.len()).min(writer.room()));
        let len = writer.len() + TAG_LEN;
        self.seal(level, number, out.get_mut(..len)?, header_len);
        self.next_number += 1;
        self.stats.sent_packets += 1;
        self.stats.sent_bytes += len as u64;
        self.paths.current.on_sent(len);
        let (to, local) = (self.paths.current.remote, self.paths.local);
        Some(Transmit { to, local, ecn: None, segment_size: len, len })
    }

    /// The next level at which a CLOSE has to leave, and can.
    fn take_close_level(&mut self) -> Option<Level> {
        let handshake = self.handshake.as_deref();
        let hello = handshake.is_some_and(|keys| keys.hello.is_some());
        let middle = handshake.is_some_and(|keys| keys.handshake.is_some());
        let data = self.keys.is_some();
        let owes = match &mut self.state {
            State::Closing(closing) => &mut closing.owes,
            State::Draining { owes, .. } => owes,
            State::Handshaking | State::Established | State::Over { .. } => return None,
        };
        [(Level::Data, data), (Level::Handshake, middle), (Level::Hello, hello)]
            .into_iter()
            .find(|(level, has_keys)| owes.take(*level) && *has_keys)
            .map(|(level, _)| level)
    }
}
