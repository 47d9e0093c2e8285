//! Timers of a connection: the next deadline, and the work due then.
//!
//! In: time. Out: the next deadline and its reason; the effects of each timer. Never: a clock.

use std::time::Duration;

use super::{Connection, closing::State};
use crate::{
    crypto::{Side, phases::DataKeys},
    error::Close,
    event::{ClosedReason, Event, Reason},
    recovery::sent::SentFrame,
    time::Time,
    wire::level::Level,
};

/// The time after which an incomplete handshake fails (M-44).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time after which a client gives up if the peer has authenticated but none of its sealed
/// packets opens: the shared keys differ (M-44).
const OPENS_NOTHING: Duration = Duration::from_secs(3);

/// The minimum idle timeout, in probe timeouts (M-61).
const IDLE_PTOS: u32 = 3;

/// Without an idle timeout, the time after which an unanswered peer is gone (M-61).
const UNANSWERED: Duration = Duration::from_secs(120);

/// The shortest keep-alive interval: ten PINGs per second keep any NAT binding alive (M-61).
const MIN_KEEP_ALIVE: Duration = Duration::from_millis(100);

/// The number of idle timeouts within which sent packets must be acknowledged: a peer that was cut
/// off for nearly all of one has the second to receive a probe (M-66).
const UNANSWERED_IDLES: u32 = 2;

/// The shortest idle timeout for that purpose: probes are up to 2 s apart, and several may be lost.
const MIN_UNANSWERED: Duration = Duration::from_secs(30);

/// The silence after which a sender that waits for credit sends a PING (D-4).
const STARVED: Duration = Duration::from_secs(5);

/// The silence after which memory that only a busy connection needs is released; 3 PTO if that is
/// more.
const RELEASE_AFTER: Duration = Duration::from_secs(1);

impl Connection {
    /// Returns the next deadline and its reason.
    pub(crate) fn deadline(&self) -> Option<(Time, Reason)> {
        let mut next: Option<(Time, Reason)> = None;
        let mut at = |time: Option<Time>, reason: Reason| {
            if let Some(time) = time
                && next.is_none_or(|(earliest, _)| time < earliest)
            {
                next = Some((time, reason));
            }
        };
        match &self.state {
            State::Closing(closing) => {
                at(Some(closing.until), Reason::Forget);
                at(closing.again, Reason::Forget);
                return next;
            }
            State::Draining { until, .. } => {
                at(Some(*until), Reason::Forget);
                return next;
            }
            State::Over { until } => {
                at(self.inbox.has_ready().then_some(*until), Reason::Forget);
                return next;
            }
            State::Handshaking => {
                at(Some(self.created_at + self.patience()), Reason::Handshake);
                at(self.mismatch_at(), Reason::Handshake);
            }
            State::Established => at(self.keep_alive_at(), Reason::KeepAlive),
        }
        at(self.idle_at(), Reason::Idle);
        at(self.unanswered_at(), Reason::Idle);
        at(self.in_flight.loss_deadline(), Reason::Loss);
        if !self.is_send_limited() {
            at(self.probe_at(), Reason::Probe);
            at(self.highest_level().and_then(|level| self.ack.deadline_at(level)), Reason::Ack);
        }
        at(self.clocks.paced_until, Reason::Pacing);
        at(self.keys.as_ref().and_then(DataKeys::deadline), Reason::OldKeys);
        at(self.paths.deadline(), Reason::Path);
        at(self.outbox.deadline(), Reason::Message);
        at(self.close_at(), Reason::Close);
        at(self.release_memory_at(), Reason::ReleaseMemory);
        next
    }

    /// Handles all expired timers.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        let due = |time: Option<Time>| time.is_some_and(|time| time <= now);
        match &self.state {
            State::Closing(_) => return self.on_close_timer(now),
            State::Draining { until, .. } => {
                if due(Some(*until)) {
                    self.on_drained(now);
                }
                return;
            }
            State::Over { until } => {
                if due(Some(*until)) {
                    self.inbox.clear();
                }
                return;
            }
            State::Handshaking if due(Some(self.created_at + self.patience())) => {
                // The peer may have progressed further than this side.
                let close = Close::new(Close::NO_ERROR, "the handshake took too long");
                let sealed_otherwise = self.keys.as_ref().is_some_and(DataKeys::has_failed);
                let reason = match sealed_otherwise {
                    true => ClosedReason::SharedKey,
                    false => ClosedReason::HandshakeTimeout,
                };
                return self.end(now, close, reason);
            }
            State::Handshaking if due(self.mismatch_at()) => {
                return self.end_silently(now, ClosedReason::VersionMismatch);
            }
            State::Handshaking => {}
            State::Established => self.pending.ping |= due(self.keep_alive_at()),
        }
        if due(self.idle_at()) {
            return self.end_silently(now, ClosedReason::Idle);
        }
        if due(self.unanswered_at()) {
            let close = Close::violation("no packet was acknowledged");
            return self.end(now, close.clone(), ClosedReason::Error(close));
        }
        if due(self.in_flight.loss_deadline()) {
            self.on_loss_timer(now);
        }
        if !self.is_send_limited() && due(self.probe_at()) {
            self.on_probe_timer();
        }
        if let Some(keys) = &mut self.keys {
            keys.handle_timeout(now);
        }
        if due(self.paths.deadline()) {
            self.on_validation_timeout(now);
        }
        self.outbox.handle_timeout(now);
        self.close_if_done(now);
        if due(self.release_memory_at()) {
            self.release_memory(now);
        }
    }

    /// Returns the time limit of the handshake.
    fn patience(&self) -> Duration {
        let hopeless = self.side == Side::Client
            && self.keys.as_ref().is_some_and(DataKeys::opens_nothing)
            && self.paths.current.rtt.smoothed() * 10 < OPENS_NOTHING;
        if hopeless { OPENS_NOTHING } else { HANDSHAKE_TIMEOUT }
    }

    /// Handles the loss timer.
    fn on_loss_timer(&mut self, now: Time) {
        let report = self.report.get_or_insert_default();
        self.in_flight.detect_lost(now, &mut self.paths.current.rtt, report);
        self.process_report(now);
    }

    /// Handles the probe timeout: two ack-eliciting packets repeat the oldest frames.
    fn on_probe_timer(&mut self) {
        self.pending.probes = self.in_flight.on_pto();
        let oldest: Vec<SentFrame> = self.in_flight.oldest_frames().copied().collect();
        // Nothing is lost yet, so timed PINGs remain timed.
        for frame in oldest.iter().filter(|frame| !matches!(frame, SentFrame::TimedPing(_))) {
            self.on_frame_lost(frame);
        }
    }

    /// Handles a frame that was lost, or may have been.
    pub(super) fn on_frame_lost(&mut self, frame: &SentFrame) {
        match *frame {
            SentFrame::Ping | SentFrame::AckUpTo { .. } | SentFrame::Response => {}
            SentFrame::TimedPing(asked) => {
                self.notices.events.push_back(Event::Pong { asked, took: None });
            }
            SentFrame::Crypto { level, offset, len } => {
                if let Some(handshake) = &mut self.handshake {
                    handshake.stream(level).on_lost(offset, len);
                }
            }
            SentFrame::Done => self.pending.done = true,
            SentFrame::End => self.graceful.end_pending = true,
            SentFrame::NewId(sequence) => self.local.on_new_lost(sequence),
            SentFrame::RetireId(sequence) => self.remote.on_retire_lost(sequence),
            SentFrame::Challenge(data) => self.paths.on_challenge_lost(data),
            SentFrame::Credit(scope) => self.inbox.on_credit_lost(scope),
            SentFrame::Blocked(scope) => self.outbox.on_blocked_lost(scope),
            SentFrame::Message(sent) => self.outbox.on_lost(sent),
        }
    }

    /// Handles a frame that was acknowledged.
    pub(super) fn on_frame_acked(&mut self, now: Time, frame: &SentFrame) {
        match *frame {
            SentFrame::TimedPing(asked) => {
                let took = Some(now.since(asked));
                self.notices.events.push_back(Event::Pong { asked, took });
            }
            SentFrame::AckUpTo { level, largest } => self.ack.on_ack_of_ack(level, largest),
            SentFrame::Crypto { level, offset, len } => {
                if let Some(handshake) = &mut self.handshake {
                    handshake.stream(level).on_acked(offset, len);
                }
            }
            SentFrame::Done => self.pending.done = false,
            SentFrame::End => self.graceful.end_pending = false,
            SentFrame::RetireId(sequence) => self.remote.on_retire_acked(sequence),
            SentFrame::Message(sent) => self.outbox.on_acked(sent),
            SentFrame::Ping
            | SentFrame::NewId(_)
            | SentFrame::Challenge(_)
            | SentFrame::Response
            | SentFrame::Credit(_)
            | SentFrame::Blocked(_) => {}
        }
    }

    /// Returns `true` if the anti-amplification limit allows no packet (M-33). Timers that send are
    /// useless then.
    pub(super) fn is_send_limited(&self) -> bool {
        self.paths.current.allowance() < super::transmit::MIN_PACKET
    }

    /// Returns the highest level at which ACKs can be sent.
    fn highest_level(&self) -> Option<Level> {
        if self.keys.is_some() {
            return Some(Level::Data);
        }
        let handshake = self.handshake.as_ref()?;
        handshake.highest_level()
    }

    fn mismatch_at(&self) -> Option<Time> {
        self.handshake.as_ref().and_then(|handshake| handshake.mismatch_at())
    }

    fn probe_at(&self) -> Option<Time> {
        // RFC 9002 section 6.2.2.1: a server that has not validated us may be waiting for us.
        let unvalidated = self.side == Side::Client && !self.confirmed;
        self.in_flight.pto_deadline(&self.paths.current.rtt, unvalidated)
    }

    /// Returns the last activity of either side (M-61).
    pub(super) fn active_at(&self) -> Time {
        self.clocks.first_unanswered.unwrap_or_default().max(self.clocks.last_received)
    }

    /// Returns when to close because the peer sends packets but acknowledges nothing (M-66).
    fn unanswered_at(&self) -> Option<Time> {
        let least = self.in_flight.pto(&self.paths.current.rtt) * IDLE_PTOS;
        let idle = self.clocks.idle.unwrap_or(UNANSWERED).max(least).max(MIN_UNANSWERED);
        self.in_flight.unanswered_since().map(|since| since + idle * UNANSWERED_IDLES)
    }

    fn idle_at(&self) -> Option<Time> {
        let least = self.in_flight.pto(&self.paths.current.rtt) * IDLE_PTOS;
        match self.clocks.idle {
            Some(idle) => Some(self.active_at() + idle.max(least)),
            None => self.clocks.first_unanswered.map(|at| at + UNANSWERED.max(least)),
        }
    }

    fn keep_alive_at(&self) -> Option<Time> {
        // Messages wait for credit, and nothing is in flight. The credit may have been sent to an
        // address that is no longer ours, which only we can tell the peer.
        let starved = (!self.outbox.is_drained()).then_some(STARVED);
        let asked = self.config.transport.keep_alive.map(|span| span.max(MIN_KEEP_ALIVE));
        let span = [asked, starved, self.closing_ping()].into_iter().flatten().min()?;
        // Packets in flight already elicit an answer.
        (!self.in_flight.is_waiting() && !self.pending.ping).then(|| self.active_at() + span)
    }

    fn release_memory_at(&self) -> Option<Time> {
        let busy = self.clocks.trimmed || !self.confirmed || self.in_flight.is_waiting();
        let span = RELEASE_AFTER.max(self.in_flight.pto(&self.paths.current.rtt) * IDLE_PTOS);
        (!busy).then(|| self.active_at() + span)
    }

    /// Releases the memory that an idle connection does not need.
    fn release_memory(&mut self, now: Time) {
        self.clocks.trimmed = true;
        // Stop waiting for a ticket that has not arrived by now.
        self.handshake = None;
        self.local.release_memory();
        self.remote.release_memory();
        self.outbox.release_idle();
        self.inbox.release_idle(now);
        self.in_flight.release_memory();
        self.paths.current.controller.release_memory();
        self.ack.release_memory();
        self.report = None;
        self.notices.events.shrink_to_fit();
    }
}
