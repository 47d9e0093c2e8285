//! The contents of a packet: steps 2 to 4 of the send path.
//!
//! In: pending frames and queued messages, the room available. Out: frames written, and their
//! records. Never: whether a packet may be sent, its header, its seal.

use super::{Plan, Purpose};
use crate::{
    connection::Connection,
    message::{Scope, sending::Packing},
    recovery::sent::SentFrame,
    time::Time,
    wire::{
        codec::Writer,
        frame::{Frame, crypto_fit, write_ack},
        level::Level,
    },
};

impl Connection {
    /// Steps 2 to 4: writes the frames. Returns `true` if the packet is ack-eliciting.
    pub(super) fn write_frames(
        &mut self,
        now: Time,
        plan: &Plan,
        writer: &mut Writer<'_>,
        frames: &mut Vec<SentFrame>,
    ) -> bool {
        let (level, whole) = (plan.level, writer.room());
        match plan.purpose {
            Purpose::ProbeMtu => {
                put(writer, frames, &Frame::Ping, SentFrame::Ping);
                writer.put_zeros(writer.room());
                return true;
            }
            Purpose::Respond(data) => {
                put(writer, frames, &Frame::Response(data), SentFrame::Response);
                return true;
            }
            Purpose::Carry | Purpose::Acknowledge => {}
        }
        // A new address comes first, because everything else waits for it (P-1).
        if level == Level::Data {
            self.write_paths(plan.size, writer, frames);
        }
        // 2 ack
        let heard = frames.len();
        if level != Level::ZeroRtt && self.ack.is_pending(level) {
            self.write_ack(now, level, writer, frames);
        }
        let told = frames.len() - heard;
        if plan.purpose == Purpose::Acknowledge {
            // An end that only receives needs to know now and then that its ACKs arrive.
            return level == Level::Data
                && self.ack.wants_ack()
                && put(writer, frames, &Frame::Ping, SentFrame::Ping);
        }
        // 3 control
        let scarce = level == Level::Data && self.is_scarce();
        if level == Level::Data && !scarce {
            self.write_control(writer, frames);
        }
        if !scarce {
            self.write_crypto(level, writer, frames);
        }
        // 4 messages
        if level >= Level::ZeroRtt && !scarce {
            self.write_messages(now, level, whole, writer, frames);
        }
        let asked = (self.pending.ping && level == Level::Data) || self.pending.probes > 0;
        if asked && frames.len() == told {
            put(writer, frames, &Frame::Ping, SentFrame::Ping);
        }
        if level == Level::Data {
            self.pending.ping = false;
            if let Some(asked) = self.pending.timed_ping
                && put(writer, frames, &Frame::Ping, SentFrame::TimedPing(asked))
            {
                self.pending.timed_ping = None;
            }
        }
        frames.len() > told
    }

    fn write_ack(
        &mut self,
        now: Time,
        level: Level,
        writer: &mut Writer<'_>,
        frames: &mut Vec<SentFrame>,
    ) {
        let ranges = self.ack.ranges(level);
        let (all, largest) = (ranges.len(), ranges.clone().next().map(|range| *range.end()));
        let written = write_ack(writer, self.ack.delay(now, level), ranges, self.ack.ecn());
        if written == 0 {
            return;
        }
        self.ack.on_ack_written(level);
        if written == all
            && let Some(largest) = largest
        {
            frames.push(SentFrame::AckUpTo { level, largest });
        }
    }

    /// Writes the frames that validate addresses.
    fn write_paths(&mut self, size: usize, writer: &mut Writer<'_>, frames: &mut Vec<SentFrame>) {
        /// The length of either frame.
        const LEN: usize = 1 + 8;
        while writer.room() >= LEN {
            let (frame, sent) = if let Some(data) = self.paths.poll_challenge(size) {
                (Frame::Challenge(data), SentFrame::Challenge(data))
            } else if let Some(data) = self.paths.poll_response() {
                (Frame::Response(data), SentFrame::Response)
            } else {
                break;
            };
            put(writer, frames, &frame, sent);
        }
    }

    /// Writes frames of the connection itself.
    fn write_control(&mut self, writer: &mut Writer<'_>, frames: &mut Vec<SentFrame>) {
        /// The length of the longest of these frames, NEW_ID.
        const LONGEST: usize = 1 + 8 + 8 + 8 + 16;
        if self.pending.done && put(writer, frames, &Frame::Done, SentFrame::Done) {
            self.pending.done = false;
        }
        if self.graceful.end_pending && put(writer, frames, &Frame::End, SentFrame::End) {
            self.graceful.end_pending = false;
        }
        while writer.room() >= LONGEST {
            let (frame, sent) = if let Some((sequence, frame)) = self.local.poll_new() {
                (frame, SentFrame::NewId(sequence))
            } else if let Some(sequence) = self.remote.poll_retire() {
                (Frame::RetireId(sequence), SentFrame::RetireId(sequence))
            } else if let Some(update) = self.inbox.poll_credit() {
                let total = update.total;
                let frame = match update.scope {
                    Scope::Connection => Frame::Credit(total),
                    Scope::Channel(channel) => Frame::ChannelCredit { channel, total },
                };
                (frame, SentFrame::Credit(update.scope))
            } else if let Some(scope) = self.outbox.poll_blocked() {
                let channel = match scope {
                    Scope::Connection => None,
                    Scope::Channel(channel) => Some(channel),
                };
                (Frame::Blocked(channel), SentFrame::Blocked(scope))
            } else {
                break;
            };
            put(writer, frames, &frame, sent);
        }
    }

    fn write_crypto(&mut self, level: Level, writer: &mut Writer<'_>, frames: &mut Vec<SentFrame>) {
        if level == Level::ZeroRtt {
            return;
        }
        let Some(handshake) = &mut self.handshake else { return };
        let stream = handshake.stream(level);
        while let Some((offset, len)) = stream.front()
            && let Some(fit) = crypto_fit(offset, len.min(u16::MAX.into()), writer.room())
        {
            Frame::Crypto { offset, data: stream.take(fit) }.encode(writer);
            frames.push(SentFrame::Crypto { level, offset, len: fit as u16 });
        }
    }

    fn write_messages(
        &mut self,
        now: Time,
        level: Level,
        whole: usize,
        writer: &mut Writer<'_>,
        frames: &mut Vec<SentFrame>,
    ) {
        let early = level == Level::ZeroRtt;
        let beside = frames.iter().any(|frame| !matches!(frame, SentFrame::AckUpTo { .. }));
        let mut packing = Packing::new(writer.room(), whole, beside); // D-12
        while let Some(sent) = self.outbox.write(now, early, &mut packing, writer) {
            frames.push(SentFrame::Message(sent));
        }
        if !early {
            self.write_copies(now, &mut packing, writer, frames);
        }
    }

    /// Writes copies of what earlier packets carry into the room that is left beside messages, if
    /// nothing else waits.
    fn write_copies(
        &mut self,
        now: Time,
        packing: &mut Packing,
        writer: &mut Writer<'_>,
        frames: &mut Vec<SentFrame>,
    ) {
        if !self.in_flight.may_copy(now)
            || self.pending.probes > 0
            || !frames.iter().any(|frame| matches!(frame, SentFrame::Message(_)))
            || self.outbox.wants_to_send(now, false)
        {
            return;
        }
        self.in_flight.begin_copies(frames.len());
        while let Some(copied) = self.in_flight.next_copy(writer.room()) {
            for frame in copied {
                if let SentFrame::Message(sent) = frame {
                    self.outbox.repeat(*sent);
                }
            }
            while let Some(sent) = self.outbox.write(now, false, packing, writer) {
                frames.push(SentFrame::Message(sent));
            }
        }
    }
}

/// Writes a frame and records it. Returns `false` if there is no room.
fn put(
    writer: &mut Writer<'_>,
    frames: &mut Vec<SentFrame>,
    frame: &Frame<'_>,
    sent: SentFrame,
) -> bool {
    let fits = writer.room() >= frame.encoded_len();
    if fits {
        frame.encode(writer);
        frames.push(sent);
    }
    fits
}
