//! What an ACK says of the packets in flight.
//!
//! In: an ACK's ranges. Out: the packets they take out of flight, a sample of the RTT and of the
//! rate. Never: alarms.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    super::{Group, ecn::EcnCounts, rate::Newest, report::Report, rtt::Rtt},
    InFlight, Slot,
};
use crate::{error::Close, time::Time, wire::level::Level};

/// The packet threshold grows so far at most.
const MAX_PACKET_THRESHOLD: u64 = 64;

/// An ACK frame, its ranges apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckHeader {
    /// Level of the packet it came in.
    pub(crate) level: Level,
    /// How long the peer waited, as it says.
    pub(crate) delay: Duration,
    /// The peer's counts of marks.
    pub(crate) ecn: Option<EcnCounts>,
}

/// What one ACK has brought so far.
#[derive(Default)]
struct Progress {
    newest: Option<Newest>,
    /// Newly acknowledged, left marked.
    marked: u64,
    eliciting: bool,
    /// The ACK's highest number, when newly acknowledged: when it left, and did it on this path.
    highest: Option<(Time, bool)>,
}

impl InFlight {
    /// Applies an ACK frame and finds the losses it shows; `ranges` are the frame's, newest first.
    /// Findings are added to `report`. Fails with PROTOCOL_VIOLATION when a number was never sent
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
            }
            self.take_acked(now, group, highest, &range, &mut progress, report)?;
        }
        if rises && self.ecn.on_ack(progress.marked, ack.ecn) {
            report.marked_at = progress.newest.map(|newest| newest.at());
        }
        if progress.eliciting && ack.level > Level::Hello {
            // Anyone who saw the first packet can acknowledge at Hello, and a server that is not
            // sure of its client may fall silent (RFC 9002 section 6.2.1).
            self.backoff = 0;
        }
        let sample = self.rtt_sample(now, ack, &progress, rtt);
        self.detect_lost(now, rtt, report);
        if let Some(newest) = &progress.newest {
            report.sample = Some(self.rate.sample(newest, sample, rtt.min(), (before, self.bytes)));
        }
        self.compact();
        Ok(())
    }

    /// A packet came that was given up when `largest` had come.
    fn raise_threshold(&mut self, late: u64, largest: u64) {
        // One that was passed over long ago may be forgotten, and counts as a packet then.
        let numbers = (late + 1..=largest).take(2 * MAX_PACKET_THRESHOLD as usize);
        let behind = numbers.filter(|number| self.is_packet(*number)).count() as u64;
        self.packet_threshold = self.packet_threshold.max((behind + 1).min(MAX_PACKET_THRESHOLD));
    }

    /// R-1, RFC 9002 section 5.1: a sample when the highest number is new and something that had
    /// to be acknowledged at once or soon was.
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
        // Handshake packets are acknowledged at once: a delay there is not believed.
        let delay = match ack.level {
            Level::Data => ack.delay.min(self.max_ack_delay),
            _ => Duration::ZERO,
        };
        rtt.update(sample, delay);
        self.first_rtt_at.get_or_insert(now);
        Some(sample)
    }

    /// Takes out the packets of a range that an ACK at this group's level may speak of (M-12).
    /// Fails when the range holds a number that was passed over (M-53).
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
        // Where the present run of slots that are gone began: joined, so that the next ACK of the
        // same range steps over it at once.
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
                Slot::PassedOver(_) => {
                    return Err(Close::violation("ACK of a packet number that was passed over"));
                }
                Slot::Flying(packet) => Group::of(packet.level) > group,
            };
            if stays {
                self.close_run(run.take(), index);
            } else {
                run.get_or_insert(index);
                self.on_acked((now, index), highest, progress, report);
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
        (now, index): (Time, usize),
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
        self.trifles -= u16::from(packet.trifle);
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
