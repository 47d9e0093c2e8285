//! Loss detection and its timers.

use std::time::Duration;

use super::{
    super::{
        Group,
        report::{LossEvent, LostPacket, Report},
        rtt::Rtt,
    },
    InFlight, PROBES, Slot,
};
use crate::time::Time;

/// The number of unanswered probe timeouts that make persistent congestion.
const PERSISTENT_FACTOR: u32 = 3;

impl InFlight {
    /// Detects lost packets (R-2; RFC 9002 section 6.1) and adds them to `report`. Call it at
    /// [`Self::loss_deadline`]; [`Self::on_ack`] calls it itself.
    pub(crate) fn detect_lost(&mut self, now: Time, rtt: &mut Rtt, report: &mut Report) {
        report.is_news = true;
        self.loss_at = None;
        let Some(highest) = self.largest_for(Group::Hello) else { return };
        let delay = rtt.loss_delay().max(rtt.smoothed() + self.reordering_span);
        let mut span = LostSpan { persistent: self.persistent_span(rtt), ..LostSpan::default() };
        let lost_below = Group::ALL.map(|group| self.lost_below(group));
        let mut index = 0;
        while let Some(slot) = self.slots.get_mut(index) {
            let packet = match slot {
                Slot::Gone { run, .. } => {
                    // It may have been acknowledged, which would interrupt the outage.
                    span.begin = None;
                    index += *run;
                    continue;
                }
                Slot::Skipped(_) => {
                    index += 1;
                    continue;
                }
                Slot::Flying(packet) if packet.number >= highest => break,
                Slot::Flying(packet) => packet,
            };
            let (number, at, group) = (packet.number, packet.at, Group::of(packet.level));
            let reference = self.largest_for(group);
            if reference.is_some_and(|reference| number < reference) {
                let by_number = number < lost_below[group.index()];
                if by_number || at + delay <= now {
                    self.lose(now, index, &mut span, report);
                } else {
                    let due = at + delay;
                    self.loss_at = Some(self.loss_at.map_or(due, |earlier| earlier.min(due)));
                }
            }
            index += 1;
        }
        if let Some(newest) = span.newest {
            let persistent = span.is_persistent;
            if persistent {
                rtt.on_persistent_congestion();
            }
            report.loss = Some(LossEvent { newest, persistent });
        }
        self.compact();
    }

    /// Returns the number below which packets of a group are lost by the packet threshold: at least
    /// that many packets sent later are at or below the highest acknowledged number.
    fn lost_below(&self, group: Group) -> u64 {
        let Some(mut number) = self.largest_for(group) else { return 0 };
        let base = self.slots.front().map_or(self.next, Slot::number);
        let mut left = self.packet_threshold;
        while left > 0 && number > base {
            left -= u64::from(self.is_packet(number));
            number -= 1;
        }
        if left > 0 { 0 } else { number + 1 }
    }

    fn lose(&mut self, now: Time, index: usize, span: &mut LostSpan, report: &mut Report) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let gone = Slot::Gone { number: slot.number(), run: 1 };
        let Slot::Flying(mut packet) = std::mem::replace(slot, gone) else { return };
        report.lost.append(&mut packet.frames);
        if packet.marked {
            self.ecn.on_lost();
        }
        self.leave_flight(&packet);
        if packet.eliciting {
            // P-4: a lost probe was too large, which is no congestion.
            let on_path = packet.path == self.path;
            let counts = on_path && !packet.mtu_probe;
            if counts {
                self.last_lost = Some(now);
                self.rate.on_lost(u64::from(packet.bytes));
                self.reordering.get_or_insert_default().on_lost(now, packet.number, packet.at);
                span.add(packet.at, self.first_rtt_at);
            }
            report.lost_packets.push(LostPacket {
                number: packet.number,
                at: packet.at,
                bytes: packet.bytes,
                mtu_probe: on_path && packet.mtu_probe,
                counts,
                tx_in_flight: packet.snapshot.in_flight(),
                lost_since: self.rate.lost_since(&packet.snapshot),
                app_limited: packet.snapshot.is_app_limited(),
            });
        }
        self.return_frames(packet.frames);
    }

    /// Returns when to call [`Self::detect_lost`].
    pub(crate) const fn loss_deadline(&self) -> Option<Time> {
        self.loss_at
    }

    /// Returns when to call [`Self::on_pto`] (R-3; RFC 9002 section 6.2). `unvalidated`: a client
    /// whose server may not have validated it probes even with nothing in flight, to avoid a
    /// deadlock (section 6.2.2.1).
    pub(crate) fn pto_deadline(&self, rtt: &Rtt, unvalidated: bool) -> Option<Time> {
        if self.loss_at.is_some() || (self.eliciting == 0 && !unvalidated) {
            return None;
        }
        let last = self.last_eliciting?;
        Some(last + rtt.pto_after(self.max_ack_delay, self.backoff))
    }

    /// Handles a probe timeout. Returns how many ack-eliciting packets must be sent now, regardless
    /// of window and pacer; [`Self::oldest_frames`] gives their preferred contents.
    pub(crate) const fn on_pto(&mut self) -> usize {
        self.backoff = self.backoff.saturating_add(1);
        self.unanswered = self.unanswered.saturating_add(1);
        PROBES
    }

    /// Returns the span of persistent congestion (R-4; RFC 9002 section 7.6.1).
    fn persistent_span(&self, rtt: &Rtt) -> Duration {
        rtt.pto(self.max_ack_delay) * PERSISTENT_FACTOR
    }
}

/// Packets lost together, and whether they span persistent congestion (RFC 9002 section 7.6.2).
#[derive(Default)]
struct LostSpan {
    newest: Option<Time>,
    begin: Option<Time>,
    persistent: Duration,
    is_persistent: bool,
}

impl LostSpan {
    fn add(&mut self, at: Time, first_rtt_at: Option<Time>) {
        self.newest = self.newest.max(Some(at));
        // Before the first sample the span would be a guess.
        if first_rtt_at.is_some_and(|first| at >= first) {
            let begin = *self.begin.get_or_insert(at);
            self.is_persistent |= at.since(begin) > self.persistent;
        }
    }
}
