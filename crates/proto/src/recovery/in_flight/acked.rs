//! Processing of ACK frames.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    super::{Group, ecn::EcnCounts, rate::Newest, report::Report, rtt::Rtt},
    InFlight, Slot,
};
use crate::{error::Close, time::Time, wire::level::Level};

/// The upper bound of the packet threshold.
const MAX_PACKET_THRESHOLD: u64 = 64;

/// An ACK frame without its ranges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckHeader {
    /// The level of the packet that contained it.
    pub(crate) level: Level,
    /// The delay that the peer reports.
    pub(crate) delay: Duration,
    /// The peer's ECN counts.
    pub(crate) ecn: Option<EcnCounts>,
}

/// The results of one ACK so far.
#[derive(Default)]
struct Progress {
    newest: Option<Newest>,
    /// Newly acknowledged packets that were sent marked.
    marked: u64,
    eliciting: bool,
    /// If the ACK's highest number is newly acknowledged: when it was sent, and whether on this
    /// path.
    highest: Option<(Time, bool)>,
}

impl InFlight {
    /// Applies an ACK frame, whose `ranges` are newest first, and detects the losses it implies.
    /// Adds the results to `report`. Fails with PROTOCOL_VIOLATION if a number was never sent
    /// (M-53).
    pub(crate) fn on_ack(
        &mut self,
        now: Time,
        ack: &AckHeader,
        ranges: impl IntoIterator<Item = RangeInclusive<u64>>,
        rtt: &mut Rtt,
        report: &mut Report,
    ) -> Result<(), Close> {
        let mut ranges = ranges.into_iter().peekable();
        let Some(highest) = ranges.peek().map(|range| *range.end()) else { return Ok(()) };
        if highest >= self.next {
            return Err(Close::violation("ACK of a packet that was not sent"));
        }
        report.is_news = true;
        let group = Group::of(ack.level);
        let before = self.bytes;
        let largest_before = self.largest_for(Group::Hello);
        let rises = self.largest_for(group).is_none_or(|largest| highest > largest);
        let largest = &mut self.largest[group.index()];
        *largest = (*largest).max(Some(highest));
        let mut progress = Progress::default();
        for range in ranges {
            let largest = largest_before.unwrap_or(0);
            if let Some(reordering) = &mut self.reordering {
                let late = reordering.on_acked(&range, largest);
                report.spurious |= late.spurious;
                if late.behind > 0 {
                    self.raise_threshold(largest - late.behind, largest);
                }
                if let Some(sent_at) = late.oldest {
                    // RFC 8985 section 6.2: at most a round trip, so that losses are found.
                    let span = now.since(sent_at).saturating_sub(rtt.smoothed());
                    let span = span.max(self.reordering_span).min(rtt.smoothed());
                    self.reordering_span = span;
                }
            }
            self.take_acked(now, group, highest, &range, &mut progress, report)?;
        }
        if rises && self.ecn.on_ack(progress.marked, ack.ecn) {
            report.marked_at = progress.newest.map(|newest| newest.at());
        }
        if progress.eliciting && ack.level > Level::Hello {
            // Anyone who saw the first packet can acknowledge at the Hello level, and a server that
            // has not validated its client may fall silent (RFC 9002 section 6.2.1).
            self.backoff = 0;
        }
        let sample = self.rtt_sample(now, ack, &progress, rtt);
        self.detect_lost(now, rtt, report);
        if let Some(newest) = &progress.newest {
            report.sample = Some(self.rate.sample(newest, sample, rtt.min(), before, self.bytes));
        }
        self.compact();
        Ok(())
    }

    /// Processes the arrival of a packet that was declared lost when `largest` had arrived.
    fn raise_threshold(&mut self, late: u64, largest: u64) {
        // A number skipped long ago may be forgotten and then counts as a packet.
        let numbers = (late + 1..=largest).take(2 * MAX_PACKET_THRESHOLD as usize);
        let behind = numbers.filter(|number| self.is_packet(*number)).count() as u64;
        self.packet_threshold = self.packet_threshold.max((behind + 1).min(MAX_PACKET_THRESHOLD));
    }

    /// Returns an RTT sample if the highest number is newly acknowledged and an ack-eliciting
    /// packet is among the acknowledged ones (R-1; RFC 9002 section 5.1).
    fn rtt_sample(
        &mut self,
        now: Time,
        ack: &AckHeader,
        progress: &Progress,
        rtt: &mut Rtt,
    ) -> Option<Duration> {
        let (left, on_path) = progress.highest?;
        if !on_path || !progress.eliciting {
            return None;
        }
        let sample = now.since(left);
        // Handshake packets are acknowledged at once: a delay reported there is ignored.
        let delay = match ack.level {
            Level::Data => ack.delay.min(self.max_ack_delay),
            _ => Duration::ZERO,
        };
        rtt.update(sample, delay);
        self.first_rtt_at.get_or_insert(now);
        Some(sample)
    }

    /// Removes the packets of a range that an ACK at this group's level covers (M-12). Fails if the
    /// range contains a skipped number (M-53).
    fn take_acked(
        &mut self,
        now: Time,
        group: Group,
        highest: u64,
        range: &RangeInclusive<u64>,
        progress: &mut Progress,
        report: &mut Report,
    ) -> Result<(), Close> {
        let mut index = self.index_of(*range.start());
        // The start of the current run of ended slots. Joining them lets the next ACK of the same
        // range skip the run at once.
        let mut run: Option<usize> = None;
        while let Some(slot) =
            self.slots.get_mut(index).filter(|slot| slot.number() <= *range.end())
        {
            let stays = match slot {
                Slot::Gone { run: length, .. } => {
                    run.get_or_insert(index);
                    index += *length;
                    continue;
                }
                Slot::Skipped(_) => {
                    return Err(Close::violation("ACK of a skipped packet number"));
                }
                Slot::Flying(packet) => Group::of(packet.level) > group,
            };
            if stays {
                self.close_run(run.take(), index);
            } else {
                run.get_or_insert(index);
                self.on_acked(now, index, highest, progress, report);
            }
            index += 1;
        }
        self.close_run(run, index);
        Ok(())
    }

    fn close_run(&mut self, run: Option<usize>, end: usize) {
        let Some(begin) = run else { return };
        if let Some(Slot::Gone { run: length, .. }) = self.slots.get_mut(begin) {
            *length = end - begin;
        }
    }

    fn on_acked(
        &mut self,
        now: Time,
        index: usize,
        highest: u64,
        progress: &mut Progress,
        report: &mut Report,
    ) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Slot::Flying(packet) = slot else { return };
        let on_path = packet.path == self.path;
        report.acked.append(&mut packet.frames);
        report.acked_number = report.acked_number.max(Some(packet.number));
        progress.marked += u64::from(packet.marked);
        if packet.number == highest {
            progress.highest = Some((packet.at, on_path));
        }
        self.expendable -= u16::from(packet.expendable);
        if packet.eliciting {
            progress.eliciting = true;
            self.eliciting -= 1;
            if on_path {
                self.on_path -= 1;
                self.bytes -= u64::from(packet.bytes);
                self.rate.on_acked(now, packet, &mut progress.newest);
                if packet.mtu_probe {
                    report.mtu_probe_acked = Some(packet.bytes);
                } else {
                    report.acked_bytes = report.acked_bytes.max(packet.bytes);
                }
            }
        }
        self.spare.push(std::mem::take(&mut packet.frames));
        *slot = Slot::Gone { number: packet.number, run: 1 };
    }
}
