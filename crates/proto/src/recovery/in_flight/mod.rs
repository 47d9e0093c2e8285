//! The packets that were sent and are neither acknowledged nor lost.
//!
//! In: packets sent, ACKs, time. Out: the end of each packet, exactly once (acknowledged, lost, or
//! dropped with its level), and the loss timers. Never: bytes, windows.

use std::{collections::VecDeque, time::Duration};

use super::{
    Group,
    ecn::EcnPath,
    rate::RateSampler,
    reordering::Reordering,
    rtt::Rtt,
    sent::{SentFrame, SentPacket},
};
use crate::{
    limits::{MAX_EXPENDABLE, MAX_PACKETS_ELSEWHERE, MAX_PACKETS_IN_FLIGHT},
    time::Time,
    wire::level::Level,
};

mod acked;
mod copies;
mod lost;

pub(crate) use acked::AckHeader;

/// The initial packet threshold for loss detection (R-2; RFC 9002 section 6.1.1).
const PACKET_THRESHOLD: u64 = 3;

/// The number of packets sent on each probe timeout.
const PROBES: usize = 2;

/// Probe timeouts after which silence is attributed to the peer rather than to a pause of our own
/// (M-66).
const UNANSWERED_PROBES: u8 = 3;

/// The packets in flight at all levels and on all paths of a connection, in one number space (M-2).
///
/// Packets that are exempt from the window are tracked up to a bound, so that memory grows with
/// what is sent within the window and not with what the peer makes us answer.
///
/// The steady state allocates nothing: the slots are a ring, and each packet's list of frames comes
/// from [`Self::lend_frames`] and returns when the packet ends. Memory that has grown is kept until
/// [`Self::release_memory`].
#[derive(Debug)]
pub(crate) struct InFlight {
    /// Packets and skipped numbers, in ascending order; excludes some packets that elicit no ACK
    /// and some expendable ones.
    slots: VecDeque<Slot>,
    /// The lowest number that may be sent next.
    next: u64,
    /// Ack-eliciting packets in `slots`, of all levels and paths.
    eliciting: u32,
    /// Those of them sent on the current path, and their bytes.
    on_path: u32,
    bytes: u64,
    /// Packets in `slots` whose loss has no consequence, ACK-only packets among them.
    expendable: u16,
    /// Probe timeouts, and expendable packets beyond the bound, since the oldest packet became the
    /// oldest.
    unanswered: u8,
    path: u8,
    /// The highest number acknowledged at each group's level: loss detection uses only ACKs that
    /// cover the packet's level.
    largest: [Option<u64>; Group::COUNT],
    loss_at: Option<Time>,
    last_eliciting: Option<Time>,
    backoff: u32,
    packet_threshold: u64,
    /// How much longer than a round trip packets may take, since some arrived after they were
    /// declared lost.
    reordering_span: Duration,
    max_ack_delay: Duration,
    first_rtt_at: Option<Time>,
    rate: RateSampler,
    /// Set from the first loss on, while busy.
    reordering: Option<Box<Reordering>>,
    ecn: EcnPath,
    spare: Vec<Vec<SentFrame>>,
    /// When a packet of the path was last declared lost.
    last_lost: Option<Time>,
    /// Where the copies begin in the packet that is being written.
    copies_from: Option<usize>,
}

#[derive(Debug)]
enum Slot {
    /// The packet with this number ended, as did those of at least `run` slots starting here.
    Gone {
        number: u64,
        run: usize,
    },
    /// A skipped number: an ACK of it is forged (M-53).
    Skipped(u64),
    Flying(SentPacket),
}

impl Slot {
    const fn number(&self) -> u64 {
        match self {
            Self::Gone { number, .. } | Self::Skipped(number) => *number,
            Self::Flying(packet) => packet.number,
        }
    }
}

impl InFlight {
    /// Creates an empty store. The peer's parameter 7 is the default until
    /// [`Self::set_max_ack_delay`].
    pub(crate) fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            next: 0,
            eliciting: 0,
            on_path: 0,
            bytes: 0,
            expendable: 0,
            unanswered: 0,
            path: 0,
            largest: [None; Group::COUNT],
            loss_at: None,
            last_eliciting: None,
            backoff: 0,
            packet_threshold: PACKET_THRESHOLD,
            reordering_span: Duration::ZERO,
            max_ack_delay: Duration::from_millis(25),
            first_rtt_at: None,
            rate: RateSampler::default(),
            reordering: None,
            ecn: EcnPath::default(),
            spare: Vec::new(),
            last_lost: None,
            copies_from: None,
        }
    }

    /// Sets the peer's parameter 7.
    pub(crate) const fn set_max_ack_delay(&mut self, delay: Duration) {
        self.max_ack_delay = delay;
    }

    /// Lends an empty list for a packet's frames. Return it with [`Self::record`], or with
    /// [`Self::return_frames`] if the packet is not sent.
    pub(crate) fn lend_frames(&mut self) -> Vec<SentFrame> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a list from [`Self::lend_frames`].
    pub(crate) fn return_frames(&mut self, mut frames: Vec<SentFrame>) {
        frames.clear();
        self.spare.push(frames);
    }

    /// Records a packet that was sent. Its number must be above all previous ones; otherwise the
    /// caller has a bug and the packet is not recorded.
    ///
    /// Of the packets that are exempt from the window and never retransmitted, at most
    /// [`MAX_EXPENDABLE`] are tracked, and none while nothing else is in flight.
    pub(crate) fn record(&mut self, mut packet: SentPacket) {
        let originals = self.copies_from.take().unwrap_or(packet.frames.len());
        if packet.eliciting && !packet.mtu_probe {
            packet.originals = u16::try_from(originals).unwrap_or(u16::MAX);
        }
        let next = self.next;
        if packet.number < next {
            debug_assert!(false, "numbers rise (M-2)");
            return;
        }
        self.next = packet.number + 1;
        if packet.marked {
            self.ecn.on_sent();
        }
        if packet.eliciting {
            self.last_eliciting = Some(packet.at);
        }
        packet.expendable = !packet.eliciting || packet.is_expendable();
        let unasked = !packet.eliciting && self.eliciting == 0;
        if unasked || (packet.expendable && self.expendable >= MAX_EXPENDABLE) {
            if unasked {
                self.forget_all();
            } else {
                // A steady flow of these packets keeps postponing the probe timeout.
                self.unanswered = self.unanswered.saturating_add(1);
            }
            self.return_frames(packet.frames);
            return;
        }
        self.slots.extend((next..packet.number).map(Slot::Skipped));
        let bytes = u64::from(packet.bytes);
        self.expendable += u16::from(packet.expendable);
        self.eliciting += u32::from(packet.eliciting);
        if packet.eliciting && packet.path == self.path {
            packet.snapshot = self.rate.on_sent(packet.at, self.bytes, bytes);
            self.on_path += 1;
            self.bytes += bytes;
        }
        self.slots.push_back(Slot::Flying(packet));
    }

    /// Returns the frames of the oldest ack-eliciting packets in flight, for probes to repeat. They
    /// stay in flight and may still be acknowledged.
    pub(crate) fn oldest_frames(&self) -> impl Iterator<Item = &SentFrame> {
        self.slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Flying(packet) if packet.eliciting && !packet.mtu_probe => Some(packet),
                _ => None,
            })
            .take(PROBES)
            .flat_map(|packet| &packet.frames)
    }

    /// Returns when the oldest ack-eliciting packet in flight was sent, if it and the probes after
    /// it have gone unanswered for so many timeouts that the peer had a chance to answer.
    pub(crate) fn unanswered_since(&self) -> Option<Time> {
        if self.unanswered < UNANSWERED_PROBES {
            return None;
        }
        self.oldest().map(|packet| packet.at)
    }

    fn oldest(&self) -> Option<&SentPacket> {
        self.slots.iter().find_map(|slot| match slot {
            Slot::Flying(packet) if packet.eliciting => Some(packet),
            _ => None,
        })
    }

    /// Returns the current probe timeout without backoff, on which other timers are based.
    pub(crate) fn pto(&self, rtt: &Rtt) -> Duration {
        rtt.pto(self.max_ack_delay)
    }

    /// Drops the packets of `level`, whose keys are gone (M-13): they are neither acknowledged nor
    /// lost, and the backoff starts again (RFC 9002 section 6.4).
    pub(crate) fn drop_level(&mut self, level: Level) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if !matches!(slot, Slot::Flying(packet) if packet.level == level) {
                continue;
            }
            let gone = Slot::Gone { number: slot.number(), run: 1 };
            if let Slot::Flying(packet) = std::mem::replace(slot, gone) {
                self.leave_flight(&packet);
                self.return_frames(packet.frames);
            }
        }
        self.backoff = 0;
        self.compact();
    }

    /// Switches to another path (P-3), possibly back to a previous one. Packets in flight on other
    /// paths stay tracked but no longer count for this one (RFC 9000 section 9.4). The caller
    /// starts a new RTT estimate and controller, or restores the saved ones. Returns the number of
    /// packets visited.
    pub(crate) fn on_new_path(&mut self, path: u8) -> usize {
        self.path = path;
        self.rate = RateSampler::default();
        self.reordering = None;
        self.ecn.on_new_path();
        self.packet_threshold = PACKET_THRESHOLD;
        self.reordering_span = Duration::ZERO;
        self.backoff = 0;
        self.first_rtt_at = None;
        self.last_lost = None;
        (self.on_path, self.bytes) = (0, 0);
        for slot in &mut self.slots {
            if let Slot::Flying(packet) = slot
                && packet.eliciting
                && packet.path == path
            {
                let bytes = u64::from(packet.bytes);
                packet.snapshot = self.rate.on_sent(packet.at, self.bytes, bytes);
                self.on_path += 1;
                self.bytes += bytes;
            }
        }
        self.slots.len()
    }

    /// Records that the application has no more to send although window and pacer would allow it.
    pub(crate) fn on_app_limited(&mut self) {
        self.rate.on_app_limited(self.bytes);
    }

    /// Returns `true` if the next packet should be sent as ECT(0).
    pub(crate) fn marks(&self) -> bool {
        self.ecn.marks()
    }

    /// Returns the bytes in flight on the current path, for comparison with the window.
    pub(crate) const fn bytes_in_flight(&self) -> u64 {
        self.bytes
    }

    /// Returns `true` if any ack-eliciting packet is in flight, on any path.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.eliciting > 0
    }

    /// Returns `true` if so much is tracked that only probes may be sent.
    pub(crate) fn is_full(&self) -> bool {
        let span = self.slots.front().map_or(0, |front| self.next - front.number());
        span >= MAX_PACKETS_IN_FLIGHT || self.eliciting - self.on_path >= MAX_PACKETS_ELSEWHERE
    }

    /// Returns the lowest number that may be sent next.
    #[cfg(test)]
    pub(crate) const fn next_number(&self) -> u64 {
        self.next
    }

    /// Releases what an idle connection does not need. Only while nothing is in flight.
    pub(crate) fn release_memory(&mut self) {
        if self.eliciting == 0 {
            self.spare = Vec::new();
            self.slots.shrink_to_fit();
            self.reordering = None;
        }
    }

    fn leave_flight(&mut self, packet: &SentPacket) {
        self.expendable -= u16::from(packet.expendable);
        self.eliciting -= u32::from(packet.eliciting);
        if packet.eliciting && packet.path == self.path {
            self.on_path -= 1;
            self.bytes -= u64::from(packet.bytes);
        }
    }

    /// Returns the highest number acknowledged at a level that covers this group.
    fn largest_for(&self, group: Group) -> Option<u64> {
        self.largest[group.index()..].iter().copied().max().flatten()
    }

    /// Removes the slots before the oldest packet in flight.
    fn compact(&mut self) {
        if self.eliciting == 0 {
            self.forget_all();
            return;
        }
        loop {
            match (self.slots.front(), self.slots.get(1)) {
                (Some(Slot::Gone { .. }), _) => {}
                // Keep it: a dishonest peer that acknowledges the next packet can still reveal
                // itself.
                (Some(Slot::Skipped(_)), next) if !matches!(next, Some(Slot::Flying(_))) => {}
                _ => return,
            }
            self.slots.pop_front();
            self.unanswered = 0;
        }
    }

    /// Returns the index of the first slot with this number or a higher one.
    fn index_of(&self, number: u64) -> usize {
        let Some(front) = self.slots.front() else { return 0 };
        // If every packet is ack-eliciting, its index is the distance from the first number.
        let guess = usize::try_from(number.saturating_sub(front.number())).unwrap_or(usize::MAX);
        if self.slots.get(guess).is_some_and(|slot| slot.number() == number) {
            return guess;
        }
        self.slots.partition_point(|slot| slot.number() < number)
    }

    /// Returns `true` if the number was not skipped, as far as it is remembered.
    fn is_packet(&self, number: u64) -> bool {
        let slot = self.slots.get(self.index_of(number));
        !matches!(slot, Some(Slot::Skipped(skipped)) if *skipped == number)
    }

    fn forget_all(&mut self) {
        while let Some(slot) = self.slots.pop_front() {
            if let Slot::Flying(packet) = slot {
                self.return_frames(packet.frames);
            }
        }
        (self.unanswered, self.expendable) = (0, 0);
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
