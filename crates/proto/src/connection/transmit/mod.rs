//! The send path: from pending frames and queued messages to a batch of datagrams.
//!
//! In: time, a buffer. Out: packets in it, tracked until they are acknowledged or lost. Never: the
//! reason why something must be sent.
//!
//! ```text
//! 1 allow      state · M-33's limit · window and pacer (except for ACKs and probes)
//! 2 ack        the pending ACK
//! 3 control    frames of the connection · TLS's bytes
//! 4 messages   fragments of messages: lost ones first, then new ones (D-8, by the outbox)
//! 5 seal       pad where required · seal in place
//! 6 record     in_flight · controller · pacer · M-33's count
//! ```

use super::Connection;
use crate::{
    crypto::Side,
    error::Close,
    event::{ClosedReason, Ecn, Transmit},
    limits::{BASE_MTU, TAG_LEN},
    recovery::sent::{SentFrame, SentPacket},
    time::Time,
    wire::{
        codec::{VARINT_MAX, Writer},
        header::{Header, LongKind},
        level::Level,
    },
};

mod contents;

/// The maximum number of datagrams in a batch: what the system call takes (UDP_MAX_SEGMENTS of
/// Linux).
const MAX_TRAIN: usize = 64;

/// The maximum number of bytes in a batch, for the same reason.
const MAX_TRAIN_BYTES: usize = 65_507;

/// Nothing is sent when less than this is left of an address's limit, in bytes (M-33, P-1): header
/// and tag, CHALLENGE, RESPONSE, and an ACK of one range with the longest numbers, which would
/// otherwise stay pending forever. The shortest data packet from a peer raises the limit by more
/// than this.
pub(super) const MIN_PACKET: usize = 13 + 16 + 2 * 9 + 50;

/// The length of the shortest data packet, so that a peer without state can reset any of them
/// (M-60).
pub(super) const MIN_DATA_PACKET: usize = 41;

/// The path number of packets sent to an address other than the current one.
pub(super) const ELSEWHERE: u8 = u8::MAX;

/// The purpose of the next packet.
#[derive(Clone, Copy, Debug)]
struct Plan {
    level: Level,
    /// Its maximum length, in bytes of UDP payload.
    size: usize,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Everything pending and queued.
    Carry,
    /// Only an ACK, which is exempt from the window.
    Acknowledge,
    /// A probe whether packets of this size pass (P-4).
    ProbeMtu,
    /// A RESPONSE to an address other than the current one (P-2).
    Respond([u8; 8]),
}

impl Connection {
    /// Returns the next batch, if there is anything to send now.
    pub(crate) fn transmit(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Transmit> {
        self.clocks.paced_until = None;
        if self.state.is_over() {
            return self.transmit_close(now, out);
        }
        if let Some((data, to)) = self.paths.poll_response_elsewhere() {
            let (level, size) = (Level::Data, BASE_MTU);
            let plan = Plan { level, size, purpose: Purpose::Respond(data) };
            let len = self.write_packet(now, &plan, out, 0)?;
            let local = self.paths.local;
            return Some(Transmit { to, local, ecn: None, segment_size: len, len });
        }
        let (mut segment_size, mut packets, mut used) = (0, 0, 0);
        while packets < MAX_TRAIN
            && let Some(plan) = self.plan(now, segment_size)
            && (packets == 0 || used + plan.size <= MAX_TRAIN_BYTES)
        {
            let Some(len) = self.write_packet(now, &plan, out, used) else { break };
            packets += 1;
            used += len;
            if packets == 1 {
                segment_size = len;
            }
            // A shorter datagram ends a batch, and a probe is sent alone.
            if len < segment_size || plan.purpose == Purpose::ProbeMtu {
                break;
            }
        }
        if self.state.is_over() && packets == 0 {
            return self.transmit_close(now, out);
        }
        if packets == 0 {
            return None;
        }
        let ecn = self.in_flight.marks().then_some(Ecn::Ect0); // R-9
        let to = self.paths.current.remote;
        Some(Transmit { to, local: self.paths.local, ecn, segment_size, len: used })
    }

    /// Step 1: decides what to send. `limit` bounds the size, unless it is 0.
    fn plan(&mut self, now: Time, limit: usize) -> Option<Plan> {
        let allowance = self.paths.current.allowance();
        let mut most = if limit == 0 { usize::MAX } else { limit };
        if self.pending.probes > 0 {
            // The packet it repeats may have been lost because of its size (P-5).
            most = most.min(BASE_MTU);
        }
        let size = self.paths.current.mtu.current().min(allowance).min(most);
        if size < MIN_PACKET {
            return None;
        }
        if self.carries_on(now, size) {
            return Some(Plan { level: Level::Data, size, purpose: Purpose::Carry });
        }
        let mut idle = true;
        for level in self.levels().into_iter().flatten() {
            // M-32
            if level == Level::Hello && self.side == Side::Client && size < BASE_MTU {
                return None;
            }
            let mut wants = self.wants(now, level);
            wants |= self.pending.probes > 0 && level == self.probe_level();
            idle &= !wants;
            // Validation of a new address does not wait for losses at the old one (P-1).
            let urgent =
                self.pending.probes > 0 || (level == Level::Data && self.paths.has_pending());
            if wants && (urgent || self.may_leave(now, size)) {
                return Some(Plan { level, size, purpose: Purpose::Carry });
            }
            if level != Level::ZeroRtt && self.ack.is_due(now, level) {
                return Some(Plan { level, size, purpose: Purpose::Acknowledge });
            }
        }
        if limit != 0 || !self.confirmed {
            return None;
        }
        if idle {
            self.in_flight.on_app_limited();
        }
        let size = self.paths.current.mtu.poll_probe(now)?;
        // With nothing in flight a datagram is always allowed: one per round trip.
        let alone = self.in_flight.bytes_in_flight() == 0 && !self.in_flight.is_full();
        let fits = self.paths.current.validated && (alone || self.fits_window(size));
        fits.then_some(Plan { level: Level::Data, size, purpose: Purpose::ProbeMtu })
    }

    /// Returns `true` in the most frequent case: the handshake is over, and a message is partly
    /// sent. A data packet then has the highest priority, and no other purpose need be considered.
    fn carries_on(&mut self, now: Time, size: usize) -> bool {
        self.handshake.is_none()
            && self.keys.is_some()
            && !self.is_scarce()
            && self.outbox.is_amid(now)
            && self.may_leave(now, size)
    }

    /// Returns the levels at which packets can be sent, lowest first.
    fn levels(&self) -> [Option<Level>; 3] {
        let handshake = self.handshake.as_deref();
        let hello = handshake.is_some_and(|keys| keys.hello.is_some());
        let middle = handshake.is_some_and(|keys| keys.handshake.is_some());
        let early = handshake.is_some_and(|keys| keys.early_seal.is_some());
        // A client with Handshake keys has all of the server's Hello and continues there (M-13).
        let hello = hello && !(middle && self.side == Side::Client);
        let last = if self.keys.is_some() { Level::Data } else { Level::ZeroRtt };
        [
            hello.then_some(Level::Hello),
            middle.then_some(Level::Handshake),
            (self.keys.is_some() || early).then_some(last),
        ]
    }

    /// Returns `true` if there is something to send at this level other than ACKs.
    fn wants(&mut self, now: Time, level: Level) -> bool {
        match level {
            Level::ZeroRtt => self.outbox.wants_to_send(now, true),
            Level::Hello | Level::Handshake => self.stream_wants(level),
            Level::Data if self.is_scarce() => self.paths.has_pending(),
            Level::Data => {
                self.pending.ping
                    || self.pending.timed_ping.is_some()
                    || self.pending.done
                    || self.graceful.end_pending
                    || self.local.has_pending()
                    || self.remote.has_pending()
                    || self.paths.has_pending()
                    || self.inbox.has_pending_credit()
                    || self.stream_wants(level)
                    || self.outbox.wants_to_send(now, false)
                    || self.outbox.has_pending_blocked()
            }
        }
    }

    fn stream_wants(&mut self, level: Level) -> bool {
        self.handshake.as_mut().is_some_and(|handshake| handshake.stream(level).wants_to_send())
    }

    /// Returns the level for a probe without other contents: one for which the peer has keys for
    /// certain. A client that waits for DONE cannot know which keys its server has left, so it
    /// sends one probe at each level.
    fn probe_level(&self) -> Level {
        if self.confirmed || (self.keys.is_some() && self.pending.probes == 1) {
            return Level::Data;
        }
        let handshake = self.handshake.as_ref();
        handshake.and_then(|handshake| handshake.highest_level()).unwrap_or(Level::Data)
    }

    fn may_leave(&mut self, now: Time, size: usize) -> bool {
        if !self.fits_window(size) {
            return false;
        }
        let pacer = &mut self.paths.current.pacer;
        let may = pacer.may_send(now, size);
        if !may {
            self.clocks.paced_until = Some(pacer.next_time(now, size));
        }
        may
    }

    fn fits_window(&self, size: usize) -> bool {
        // A probe of the MTU does not occupy the window: a probe larger than the window would block
        // everything until its loss is detected (P-4).
        let probe = self.paths.current.mtu.probing() as u64;
        let in_flight = self.in_flight.bytes_in_flight().saturating_sub(probe);
        let window = self.paths.current.controller.window();
        !self.in_flight.is_full() && in_flight + size as u64 <= window
    }

    /// Steps 2 to 6: writes a packet into `out` from `start` on and returns its length, or `None`
    /// if there was nothing to send. The bytes after it are unspecified.
    fn write_packet(
        &mut self,
        now: Time,
        plan: &Plan,
        out: &mut Vec<u8>,
        start: usize,
    ) -> Option<usize> {
        if plan.purpose == Purpose::Carry && self.skipped_pn.take(self.next_number) {
            self.next_number += 1; // M-53
        }
        let number = self.next_number;
        if number >= VARINT_MAX {
            return self.fail(now, Close::new(Close::INTERNAL, "all numbers are used")); // M-7
        }
        if out.len() < start + plan.size {
            out.resize(start + plan.size, 0);
        }
        let mut writer = Writer::new(out.get_mut(start..start + plan.size - TAG_LEN)?);
        if let Err(close) = self.write_header(plan.level, number, &mut writer) {
            return self.fail(now, close);
        }
        let header_len = writer.len();
        let mut frames = self.in_flight.lend_frames();
        let eliciting = self.write_frames(now, plan, &mut writer, &mut frames);
        if writer.len() == header_len {
            self.in_flight.return_frames(frames);
            return None;
        }
        // 5 seal
        let least = self.min_len(plan, &frames).saturating_sub(TAG_LEN);
        writer.put_zeros(least.saturating_sub(writer.len()).min(writer.room()));
        let len = writer.len() + TAG_LEN;
        self.seal(plan.level, number, out.get_mut(start..start + len)?, header_len);
        // 6 record
        self.remember(now, plan, frames, len, eliciting);
        Some(len)
    }

    fn fail(&mut self, now: Time, close: Close) -> Option<usize> {
        self.end(now, close.clone(), ClosedReason::Error(close));
        None
    }

    pub(super) fn write_header(
        &mut self,
        level: Level,
        number: u64,
        writer: &mut Writer<'_>,
    ) -> Result<(), Close> {
        let (to, low) = (self.remote.current(), number as u32);
        let from = self.own_ids().next().unwrap_or(to);
        let mut token: &[u8] = &[];
        let kind = match level {
            Level::Data => {
                let phase = self.keys.as_mut().map_or(Ok(false), |keys| keys.phase_to_send())?;
                Header::Data { phase, to, number: low }.encode(writer);
                return Ok(());
            }
            Level::Hello => {
                token = self.handshake.as_ref().map_or(&[], |handshake| &handshake.token);
                LongKind::Hello
            }
            Level::Handshake => LongKind::Handshake,
            Level::ZeroRtt => LongKind::ZeroRtt,
        };
        Header::Long { kind, to, from, token, number: low }.encode(writer);
        Ok(())
    }

    /// Returns `true` if so little may be sent to a new address that all of it is needed to
    /// validate it (P-1).
    pub(super) fn is_scarce(&self) -> bool {
        self.confirmed && self.paths.current.allowance() < BASE_MTU
    }

    /// Returns the number of bytes of UDP payload to which a packet is padded.
    fn min_len(&self, plan: &Plan, frames: &[SentFrame]) -> usize {
        let client = self.side == Side::Client;
        match plan.level {
            Level::Hello if client => BASE_MTU, // M-32
            Level::Hello | Level::Handshake | Level::ZeroRtt => 0,
            // P-1: proves that the address carries packets of this size.
            Level::Data if plan.size >= BASE_MTU && frames.iter().any(is_challenge) => BASE_MTU,
            Level::Data => MIN_DATA_PACKET,
        }
    }

    pub(super) fn seal(&mut self, level: Level, number: u64, packet: &mut [u8], header_len: usize) {
        if level == Level::Data {
            if let Some(keys) = &mut self.keys {
                keys.seal(number, packet, header_len);
            }
            return;
        }
        let Some(handshake) = &self.handshake else { return };
        let key = match level {
            Level::Hello => handshake.hello.as_ref().map(|keys| &keys.seal),
            Level::Handshake => handshake.handshake.as_ref().map(|keys| &keys.seal),
            Level::ZeroRtt | Level::Data => handshake.early_seal.as_ref(),
        };
        if let Some(key) = key {
            key.seal(number, packet, header_len);
        }
    }

    fn remember(
        &mut self,
        now: Time,
        plan: &Plan,
        frames: Vec<SentFrame>,
        len: usize,
        eliciting: bool,
    ) {
        let elsewhere = matches!(plan.purpose, Purpose::Respond(_));
        let path = &mut self.paths.current;
        // A datagram is at most 65,507 bytes long.
        let bytes = u16::try_from(len).unwrap_or(u16::MAX);
        let mut packet = SentPacket::new(self.next_number, plan.level, now, bytes, frames);
        packet.eliciting = eliciting;
        packet.mtu_probe = plan.purpose == Purpose::ProbeMtu;
        packet.marked = !elsewhere && self.in_flight.marks();
        packet.path = if elsewhere { ELSEWHERE } else { path.number };
        self.next_number += 1;
        self.stats.sent_packets += 1;
        self.stats.sent_bytes += len as u64;
        let before = self.in_flight.bytes_in_flight();
        self.in_flight.record(packet);
        if !elsewhere {
            path.on_sent(len);
        }
        if eliciting {
            self.clocks.first_unanswered.get_or_insert(now);
            self.pending.probes = self.pending.probes.saturating_sub(1);
            if !elsewhere {
                path.controller.on_sent(now, before);
                path.pacer.on_sent(now, len);
            }
            if plan.purpose == Purpose::ProbeMtu {
                path.mtu.on_probe_sent(len);
            }
        }
        if plan.level == Level::Handshake && self.side == Side::Client {
            self.drop_level(Level::Hello); // M-13
        }
    }
}

const fn is_challenge(frame: &SentFrame) -> bool {
    matches!(frame, SentFrame::Challenge(_))
}
