//! How a connection is closed: by either side, gracefully, or silently (section 8).
//!
//! In: reasons. Out: states, the packet with the CLOSE, the last events. Never: other packets.

use std::time::Duration;

use super::{
    Connection,
    transmit::{MIN_DATA_PACKET, MIN_PACKET},
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

/// How long the messages of a closed connection wait to be read. An application that no longer
/// reads must not make the endpoint keep them forever.
const UNREAD_KEPT: Duration = Duration::from_secs(30);

/// How often an unanswered CLOSE is resent, one probe timeout after the other (M-62). On a path
/// that loses a fifth of its packets, the peer then misses one close in five thousand.
const CLOSE_AGAIN: u32 = 8;

/// The shortest silence after which a peer that was sent an END is no longer waited for (M-63).
const CLOSE_SILENCE: Duration = Duration::from_secs(3);

/// Ranges of the ACK before a CLOSE (M-62). Even with the largest numbers they leave room for it.
const CLOSE_ACK_RANGES: usize = 32;

/// The state of a connection.
#[derive(Debug)]
pub(super) enum State {
    /// No data packet of the peer has been decrypted yet.
    Handshaking,
    /// Both ends have shown that they have the data keys.
    Established,
    /// This side closed it: packets that still arrive are answered with the CLOSE (M-62).
    Closing(Box<Closing>),
    /// The peer closed it, or has confirmed the CLOSE of this side.
    Draining {
        /// When the state is dropped.
        until: Time,
        /// The levels at which the answering CLOSE is still to be sent.
        pending: CloseLevels,
        /// How many more packets, from a peer that missed the answer, trigger it again.
        answers: u32,
    },
    /// To be dropped once the application has read the remaining messages.
    Over {
        /// When it is dropped at the latest.
        until: Time,
    },
}

/// The state of a closed connection that the peer has not confirmed yet (M-62).
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) close: Close,
    pub(super) until: Time,
    /// The levels at which a CLOSE is still to be sent.
    pub(super) pending: CloseLevels,
    /// Packets received since the close.
    received: u64,
    /// The value of `received` that triggers the next CLOSE.
    answer_at: u64,
    /// When the CLOSE is resent without a packet of the peer.
    pub(super) again: Option<Time>,
    /// The application receives [`Event::Drained`] when the peer has confirmed the CLOSE.
    awaited: bool,
}

/// Progress of a graceful close (M-63, M-65): each side sends END once its messages have outcomes.
#[derive(Debug, Default)]
pub(super) struct GracefulClose {
    /// The application asked to close by this time.
    by: Option<Time>,
    /// An END was sent, or must be.
    end_sent: bool,
    /// An END is still to be sent.
    pub(super) end_pending: bool,
    /// The peer has sent END: no more messages follow.
    end_received: bool,
    /// Messages were waiting for room when the END arrived: they are still accepted.
    backlog: bool,
}

impl GracefulClose {
    /// Returns `true` if new messages are refused.
    pub(super) const fn refuses(&self) -> bool {
        self.by.is_some() || (self.end_received && !self.backlog)
    }

    /// Sets the time of the close; the earlier of two times counts.
    pub(super) fn close_by(&mut self, by: Time) {
        self.by = Some(self.by.map_or(by, |before| before.min(by)));
    }
}

/// The levels at which a CLOSE is still to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct CloseLevels(u8);

impl CloseLevels {
    const ALL: Self = Self(0b1111);
    const NONE: Self = Self(0);

    /// Removes a level. Returns `true` if it was in the set.
    pub(super) const fn take(&mut self, level: Level) -> bool {
        let bit = 1 << level as u8;
        let was_pending = self.0 & bit != 0;
        self.0 &= !bit;
        was_pending
    }
}

impl State {
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Closing(_) | Self::Draining { .. } | Self::Over { .. })
    }
}

impl Closing {
    /// Counts a packet of a peer that has not received the CLOSE yet. It is answered at most once
    /// per doubling number of packets (M-62).
    pub(super) const fn on_packet(&mut self) {
        self.received += 1;
        if self.received >= self.answer_at {
            self.answer_at *= 2;
            self.pending = CloseLevels::ALL;
        }
    }
}

impl Connection {
    /// Closes the connection, and sends the reason to the peer.
    pub(super) fn end(&mut self, now: Time, close: Close, reason: ClosedReason) {
        if self.state.is_over() {
            return;
        }
        // An established peer receives the CLOSE until it confirms it.
        let known = matches!(self.state, State::Established);
        let pto = self.close_interval();
        let until = now + if known { pto * (CLOSE_AGAIN + 1) } else { pto * 3 };
        let again = known.then(|| now + pto);
        let awaited = matches!(reason, ClosedReason::Local | ClosedReason::Error(_));
        self.on_closed(reason);
        let (pending, received, answer_at) = (CloseLevels::ALL, 0, 1);
        let closing = Closing { close, until, pending, received, answer_at, again, awaited };
        self.state = State::Closing(Box::new(closing));
    }

    /// M-62: the CLOSE was not answered in time.
    pub(super) fn on_close_timer(&mut self, now: Time) {
        let pto = self.close_interval();
        let State::Closing(closing) = &mut self.state else { return };
        if now >= closing.until {
            return self.on_drained(now);
        }
        if closing.again.is_some_and(|again| again <= now) {
            closing.pending = CloseLevels::ALL;
            closing.again = Some(now + pto);
        }
    }

    /// Closes the connection without sending anything: the peer is gone or silent.
    pub(super) fn end_silently(&mut self, now: Time, reason: ClosedReason) {
        if !self.state.is_over() {
            // A peer that forgot the connection after our END has closed it as we asked.
            let ours = self.graceful.end_sent && reason == ClosedReason::Reset;
            self.on_closed(if ours { ClosedReason::Local } else { reason });
            self.report_drained(ours);
            self.state = State::Over { until: now + UNREAD_KEPT };
        }
    }

    /// Handles a CLOSE of the peer.
    pub(super) fn on_close(&mut self, now: Time, close: Close) {
        let until = now + self.close_interval() * 3;
        match &mut self.state {
            State::Handshaking | State::Established => {
                // The answer to our END: this side asked to close.
                let ours = self.graceful.end_sent && close.code == Close::NO_ERROR;
                self.on_closed(if ours { ClosedReason::Local } else { ClosedReason::Peer(close) });
                self.report_drained(ours);
                let pending = CloseLevels::ALL;
                self.state = State::Draining { until, pending, answers: CLOSE_AGAIN };
            }
            // The peer confirms, or both sides closed at once: both know that the connection is
            // closed.
            State::Closing(closing) => {
                let (until, awaited) = (closing.until.min(until), closing.awaited);
                self.report_drained(awaited);
                self.state = State::Draining { until, pending: CloseLevels::NONE, answers: 0 };
            }
            State::Draining { pending, answers, .. } => {
                if *answers > 0 {
                    *answers -= 1;
                    *pending = CloseLevels::ALL;
                }
            }
            State::Over { .. } => {}
        }
    }

    /// Returns `true` if a repeated CLOSE is still answered.
    pub(super) const fn answers_close(&self) -> bool {
        matches!(self.state, State::Draining { answers: 1.., .. })
    }

    fn report_drained(&mut self, awaited: bool) {
        if awaited && (self.side == Side::Client || self.notices.incoming) {
            self.notices.events.push_back(Event::Drained);
        }
    }

    /// M-65: handles an END of the peer.
    pub(super) fn on_end(&mut self) {
        self.graceful.backlog |= !self.graceful.end_received && self.outbox.has_refused();
        self.graceful.end_received = true;
    }

    /// M-63: takes the next step of a graceful close, if nothing delays it or its time is up.
    pub(super) fn close_if_done(&mut self, now: Time) {
        let no_error = || Close::new(Close::NO_ERROR, "");
        let done = self.outbox.is_drained();
        if self.close_at().is_some_and(|at| at <= now) {
            return self.end(now, no_error(), ClosedReason::Local);
        }
        match (self.graceful.by, &self.state) {
            _ if !done => {}
            (Some(_), State::Established) if !self.graceful.end_received => {
                self.graceful.end_pending |= !self.graceful.end_sent;
                self.graceful.end_sent = true;
            }
            (Some(_), _) => self.end(now, no_error(), ClosedReason::Local),
            (None, _) if self.graceful.end_received => {
                self.end(now, no_error(), ClosedReason::Peer(no_error()));
            }
            (None, _) => {}
        }
    }

    /// Returns when a graceful close stops waiting: when the caller's time is up, or when a peer
    /// that was sent an END has been silent for too long.
    pub(super) fn close_at(&self) -> Option<Time> {
        let by = self.graceful.by?;
        if !self.graceful.end_sent || self.graceful.end_pending {
            return Some(by);
        }
        let span = (self.close_interval() * (CLOSE_AGAIN + 1)).max(CLOSE_SILENCE);
        Some(by.min(self.active_at() + span))
    }

    /// Returns the silence after which a PING is sent to a peer that was sent an END and has not
    /// answered with its own.
    pub(super) fn closing_ping(&self) -> Option<Duration> {
        self.graceful.end_sent.then(|| self.close_interval() * 3)
    }

    /// Gives up all messages, and reports the close to the application.
    fn on_closed(&mut self, reason: ClosedReason) {
        self.outbox.give_up_all();
        // A client that did not finish its handshake was never reported to the application.
        if self.side == Side::Client || self.notices.incoming {
            self.notices.events.push_back(Event::Closed(reason));
        } else if self.paths.current.validated {
            self.report_refused(reason);
        }
        self.clocks.paced_until = None;
    }

    /// Reports a client that was refused during its handshake, unless it closed by itself. A CLOSE
    /// under another shared key does not open: its client is reported when its time is up (M-44).
    fn report_refused(&mut self, reason: ClosedReason) {
        let voluntary = matches!(reason, ClosedReason::Peer(_) | ClosedReason::Local);
        if !voluntary {
            let (from, key) = (self.remote(), self.shown_key());
            self.notices.events.push_back(Event::Refused { from, key, reason });
        }
    }

    /// Ends the closing period.
    pub(super) fn on_drained(&mut self, now: Time) {
        if let State::Closing(closing) = &self.state {
            self.report_drained(closing.awaited);
        }
        self.state = State::Over { until: now + UNREAD_KEPT };
    }

    /// Returns the probe timeout without backoff.
    fn close_interval(&self) -> Duration {
        self.in_flight.pto(&self.paths.current.rtt)
    }

    /// M-62: writes the CLOSE, at each level that the peer may have keys for.
    pub(super) fn transmit_close(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Transmit> {
        let level = self.take_close_level()?;
        let size = BASE_MTU.min(self.paths.current.allowance());
        let least = if level == Level::Hello { BASE_MTU } else { MIN_DATA_PACKET };
        if size < MIN_PACKET || (level == Level::Hello && size < BASE_MTU) {
            return None;
        }
        if out.len() < size {
            out.resize(size, 0);
        }
        let number = self.next_number;
        let mut writer = Writer::new(out.get_mut(..size - TAG_LEN)?);
        // An exhausted key can still seal a CLOSE: the limits leave a margin.
        self.write_header(level, number, &mut writer).ok()?;
        let header_len = writer.len();
        if level == Level::Data && size == BASE_MTU && matches!(self.state, State::Closing(_)) {
            let ranges = self.ack.ranges(level).take(CLOSE_ACK_RANGES);
            write_ack(&mut writer, self.ack.delay(now, level), ranges, self.ack.ecn());
        }
        let answer = Close::new(Close::NO_ERROR, "");
        let close = match &self.state {
            State::Closing(closing) => &closing.close,
            _ => &answer,
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

    /// Takes the next level at which a CLOSE must be sent and keys exist.
    fn take_close_level(&mut self) -> Option<Level> {
        let handshake = self.handshake.as_deref();
        let hello = handshake.is_some_and(|keys| keys.hello.is_some());
        let middle = handshake.is_some_and(|keys| keys.handshake.is_some());
        let data = self.keys.is_some();
        let pending = match &mut self.state {
            State::Closing(closing) => &mut closing.pending,
            State::Draining { pending, .. } => pending,
            State::Handshaking | State::Established | State::Over { .. } => return None,
        };
        [(Level::Data, data), (Level::Handshake, middle), (Level::Hello, hello)]
            .into_iter()
            .find(|(level, has_keys)| pending.take(*level) && *has_keys)
            .map(|(level, _)| level)
    }
}
