//! The receive path: from a datagram to its effects.
//!
//! In: a datagram for this connection, time. Out: changed state; what must be sent is left for
//! `transmit`. Never: bytes to send.
//!
//! ```text
//! 1 open     restore the number · replay.check · open in place · replay.commit
//! 2 parse    the whole packet parses, or the connection closes and none of it counts
//! 3 apply    Ack → in_flight → outbox · Crypto → handshake · Message → inbox · …
//! 4 ack      schedule an ACK, if everything was kept that must be
//! 5 process  the results of ACKs: losses, window, rate, key phase, MTU
//! 6 events   report to the application
//! ```

// Longer than 400 lines: the whole receive path is read from top to bottom.

use std::net::{IpAddr, SocketAddr};

use super::{Connection, closing::State};
use crate::{
    crypto::{Side, cookie::equal, replay::ReplayWindow},
    error::{Close, Discard},
    event::{ClosedReason, Ecn, Event},
    limits::TAG_LEN,
    message::{Scope, inbox::Kept},
    recovery::in_flight::AckHeader,
    rng::Random,
    time::Time,
    wire::{
        codec::Reader,
        frame::{AckFrame, Fragment, Frame, Summary, Whole, check_all, frames, only_fragment},
        header::{ConnectionId, Header, expand_number},
        level::Level,
    },
};

/// The number of probe timeouts for which the keys before an update are kept (M-21).
const OLD_KEYS_PTOS: u32 = 3;

/// The circumstances in which a datagram arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) now: Time,
    pub(crate) from: SocketAddr,
    /// The local address it was sent to, if known.
    pub(crate) local: Option<IpAddr>,
    pub(crate) ecn: Option<Ecn>,
    /// The length of the datagram, in bytes.
    pub(crate) bytes: usize,
}

/// The header fields of a packet with sealed frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) level: Level,
    /// Data packets: the key phase.
    phase: bool,
    /// Long form: the id of the sender.
    source: Option<ConnectionId>,
    pub(crate) number: u32,
    pub(crate) len: usize,
}

impl Head {
    /// Returns the fields and destination of a data packet, or `None` for any other packet.
    #[inline]
    pub(crate) fn of_data(datagram: &[u8]) -> Option<(ConnectionId, Self)> {
        let (phase, to, number, len) = Header::decode_data(datagram)?;
        Some((to, Self { level: Level::Data, phase, source: None, number, len }))
    }

    /// Returns the fields, or `None` for a packet without sealed frames.
    pub(crate) const fn of(header: &Header<'_>, len: usize) -> Option<Self> {
        match *header {
            Header::Data { phase, number, .. } => {
                Some(Self { level: Level::Data, phase, source: None, number, len })
            }
            Header::Long { kind, from, number, .. } => {
                Some(Self { level: kind.level(), phase: false, source: Some(from), number, len })
            }
            Header::Retry { .. } | Header::Versions { .. } | Header::OtherVersion { .. } => None,
        }
    }
}

impl Connection {
    /// Handles a packet whose header was parsed. Returns its [`Summary::items`].
    ///
    /// # Errors
    ///
    /// The reason why it was discarded; no state has changed then (M-6).
    pub(crate) fn receive(
        &mut self,
        arrival: &Arrival,
        head: &Head,
        datagram: &mut [u8],
        random: &mut dyn Random,
    ) -> Result<u32, Discard> {
        let silent = matches!(self.state, State::Draining { .. } | State::Over { .. });
        if silent && !self.answers_close() {
            return Err(Discard::Closed);
        }
        // 1 open
        let replay = self.replay_of(head.level);
        let number = expand_number(head.number, replay.expected()); // M-3
        if !replay.check(number) {
            return Err(Discard::Replayed); // M-4
        }
        let discard = match self.open(arrival.now, head, number, datagram) {
            Ok(payload) => {
                return Ok(self.receive_opened(arrival, head, number, payload, random));
            }
            Err(discard) => discard,
        };
        if head.level == Level::Data && self.on_reset(arrival.now, datagram) {
            return Ok(0);
        }
        Err(self.on_unopened(arrival.now, discard))
    }

    /// Returns the replay window of a level. Hello packets, which anyone can forge after seeing the
    /// first, have their own: their numbers keep no packet of another level out.
    fn replay_of(&mut self, level: Level) -> &mut ReplayWindow {
        match &mut self.handshake {
            Some(handshake) if level == Level::Hello => &mut handshake.hello_replay,
            _ => &mut self.replay,
        }
    }

    fn open<'a>(
        &mut self,
        now: Time,
        head: &Head,
        number: u64,
        datagram: &'a mut [u8],
    ) -> Result<&'a [u8], Discard> {
        if head.level == Level::Data {
            let keep = || self.in_flight.pto(&self.paths.current.rtt) * OLD_KEYS_PTOS;
            let keys = self.keys.as_mut().ok_or(Discard::NoKeys)?;
            return keys.open(head.phase, number, datagram, head.len, now, keep);
        }
        let handshake = self.handshake.as_ref().ok_or(Discard::NoKeys)?;
        let key = match head.level {
            Level::Hello => handshake.hello.as_ref().map(|keys| &keys.open),
            Level::Handshake => handshake.handshake.as_ref().map(|keys| &keys.open),
            Level::ZeroRtt | Level::Data => handshake.early_open.as_ref(),
        };
        key.ok_or(Discard::NoKeys)?.open(number, datagram, head.len)
    }

    /// Handles a packet that did not open: too many of them end the connection (M-22).
    fn on_unopened(&mut self, now: Time, discard: Discard) -> Discard {
        if let Some(close) = self.keys.as_ref().and_then(|keys| keys.exhausted()) {
            self.end(now, close.clone(), ClosedReason::Error(close));
        }
        discard
    }

    /// Ends the connection if this is a stateless reset from the peer (M-60). Returns `true` if it
    /// is.
    pub(crate) fn on_reset(&mut self, now: Time, datagram: &[u8]) -> bool {
        let Some(end) = datagram.last_chunk::<TAG_LEN>() else { return false };
        // Compares all tokens, in constant time.
        let fits = self.remote.tokens().fold(false, |fits, token| equal(&token.0, end) | fits);
        if fits {
            self.end_silently(now, ClosedReason::Reset);
        }
        fits
    }

    /// Handles an authentic packet, with its number and payload, after step 1. Returns its
    /// [`Summary::items`].
    pub(crate) fn receive_opened(
        &mut self,
        arrival: &Arrival,
        head: &Head,
        number: u64,
        payload: &[u8],
        random: &mut dyn Random,
    ) -> u32 {
        let now = arrival.now;
        self.replay_of(head.level).commit(number); // M-4
        if self.state.is_over() {
            if let State::Closing(closing) = &mut self.state {
                closing.on_packet();
            }
            if check_all(payload, head.level).is_ok() {
                self.look_for_close(now, payload);
            }
            return 0;
        }
        self.stats.received_packets += 1;
        self.stats.received_bytes += arrival.bytes as u64;
        (self.clocks.last_received, self.clocks.first_unanswered) = (now, None); // M-61
        self.clocks.trimmed = false;
        let newest = number + 1 == self.replay.expected() && head.level == Level::Data;
        let moved = self.on_address(now, arrival.from, arrival.bytes, newest, random);
        // A client's own address changes when it moves: the system knows which one to send from.
        if self.side == Side::Server
            && self.paths.local != arrival.local
            && arrival.from == self.paths.current.remote
        {
            self.paths.local = arrival.local;
        }
        if self.confirmed {
            self.skipped_pn.choose(self.next_number, random);
        }
        match self.read(arrival, head, number, payload) {
            Ok(items) => items.saturating_add(moved),
            Err(close) => {
                self.end(now, close.clone(), ClosedReason::Error(close));
                moved
            }
        }
    }

    /// Steps 2 to 6.
    fn read(
        &mut self,
        arrival: &Arrival,
        head: &Head,
        number: u64,
        payload: &[u8],
    ) -> Result<u32, Close> {
        let (now, level) = (arrival.now, head.level);
        // 2 parse
        let fragment = only_fragment(payload, level);
        let summary = match fragment {
            Some(_) => Summary { items: 1, ack_eliciting: true, ping: false },
            None => check_all(payload, level)
                .map_err(|_| Close::violation("a packet whose frames do not parse"))?, // M-5
        };
        if payload.is_empty() {
            return Err(Close::violation("a packet without frames"));
        }
        match head.source {
            Some(source) => self.on_long_packet(level, source, arrival.from),
            None => self.on_data_packet(),
        }
        // 3 apply
        let kept = match fragment {
            Some(fragment) => self.on_message(now, level, fragment)?,
            None => self.apply_all(arrival, level, payload)?,
        };
        let items = summary.items.saturating_add(self.outbox.take_woken());
        if self.state.is_over() {
            return Ok(items);
        }
        // 4 ack
        if kept {
            let smoothed = self.paths.current.rtt.smoothed();
            let eliciting = summary.ack_eliciting;
            self.ack.on_packet(now, number, level, eliciting, arrival.ecn, smoothed); // D-2
            if summary.ping && level == Level::Data {
                self.ack.on_ping(now);
            }
        }
        // 5 process
        self.process_report(now);
        // 6 events
        self.end_handshake();
        self.close_if_done(now);
        Ok(items)
    }

    /// Step 3: applies all frames, until the connection ends.
    fn apply_all(
        &mut self,
        arrival: &Arrival,
        level: Level,
        payload: &[u8],
    ) -> Result<bool, Close> {
        let mut kept = true;
        let mut reader = Reader::new(payload);
        while !reader.is_empty() && !self.state.is_over() {
            kept &= match Whole::decode(&mut reader) {
                Some(whole) => self.on_message(arrival.now, level, Fragment::from(whole))?,
                None => {
                    // It parsed before.
                    let Ok(frame) = Frame::decode(&mut reader) else { break };
                    self.apply(arrival, level, &frame)?
                }
            };
        }
        Ok(kept)
    }

    /// Step 3 for one frame. Returns `false` if something was not kept that must be, so that the
    /// packet must not be acknowledged (D-2).
    fn apply(&mut self, arrival: &Arrival, level: Level, frame: &Frame<'_>) -> Result<bool, Close> {
        let now = arrival.now;
        match *frame {
            Frame::Padding(_) | Frame::Ping => {}
            Frame::Ack(ref ack) => self.on_ack(now, level, ack)?,
            Frame::Crypto { offset, data } => self.on_crypto(now, level, offset, data)?,
            Frame::Done => self.on_done()?,
            Frame::NewId { sequence, retire_below, id, token } => {
                self.remote.on_new(sequence, retire_below, id, token)?;
                self.remote.prefer_token()?;
            }
            Frame::RetireId(sequence) => self.local.on_retired(sequence)?,
            Frame::Challenge(data) => self.paths.on_challenge(data, arrival.from),
            Frame::Response(data) => self.paths.on_response(now, data),
            Frame::Credit(total) => self.outbox.on_credit(total),
            Frame::ChannelCredit { channel, total } => {
                self.outbox.on_channel_credit(channel, total);
            }
            Frame::Blocked(channel) => {
                self.inbox.on_blocked(channel.map_or(Scope::Connection, Scope::Channel));
                self.notices.readable |= self.inbox.poll_report_wanted();
            }
            Frame::Close { code, reason } => {
                // Process the preceding ACK first: messages that have no outcome when the
                // connection ends are reported as lost (M-62).
                self.process_report(now);
                let reason = reason.to_owned().into();
                self.on_close(now, Close { code, reason });
            }
            Frame::End => self.on_end(),
            Frame::Message(fragment) => return self.on_message(now, level, fragment),
        }
        Ok(true)
    }

    fn on_ack(&mut self, now: Time, level: Level, ack: &AckFrame<'_>) -> Result<(), Close> {
        let header = AckHeader { level, delay: ack.delay, ecn: ack.ecn };
        let rtt = &mut self.paths.current.rtt;
        let report = self.report.get_or_insert_default();
        self.in_flight.on_ack(now, &header, ack.ranges(), rtt, report)
    }

    /// Handles a message or a fragment, and its part of step 6: one event, however many messages
    /// arrive.
    #[inline]
    fn on_message(
        &mut self,
        now: Time,
        level: Level,
        fragment: Fragment<'_>,
    ) -> Result<bool, Close> {
        if level == Level::ZeroRtt && self.side == Side::Client {
            return Err(Close::violation("only a client sends 0-RTT"));
        }
        let kept = self.inbox.insert(now, fragment)?;
        self.notices.readable |= self.inbox.poll_report_wanted();
        if self.inbox.has_ready() {
            self.notices.readable = true;
            if level == Level::ZeroRtt && !self.notices.incoming {
                self.notices.incoming = true;
                self.notices.events.push_back(Event::Incoming);
            }
        }
        Ok(kept == Kept::Yes)
    }

    /// Step 5: processes the results of ACKs and of the loss timer.
    pub(super) fn process_report(&mut self, now: Time) {
        let Some(mut report) = self.report.take_if(|report| report.is_news) else { return };
        for frame in &report.acked {
            self.on_frame_acked(now, frame);
        }
        for frame in &report.lost {
            self.on_frame_lost(frame);
        }
        if let (Some(number), Some(keys)) = (report.acked_number, &mut self.keys) {
            keys.on_acked(number); // M-20
        }
        self.stats.lost_packets += report.lost_packets.len() as u64;
        if let Some(sample) = &report.sample {
            self.stats.on_sample(sample);
        }
        let path = &mut self.paths.current;
        let mtu = path.mtu.current();
        if let Some(bytes) = report.mtu_probe_acked {
            path.mtu.on_probe_acked(bytes.into());
        }
        path.mtu.on_acked(report.acked_bytes.into());
        for lost in &report.lost_packets {
            if lost.mtu_probe {
                path.mtu.on_probe_lost(lost.bytes.into());
            } else if lost.is_large() {
                path.mtu.on_large_lost(now, lost.at); // P-5
            }
        }
        let changed = path.mtu.current() != mtu;
        if changed {
            path.controller.on_mtu(path.mtu.current());
        }
        let news = report.sample.is_some()
            || report.spurious
            || report.marked_at.is_some()
            || !report.lost_packets.is_empty();
        if news {
            let in_flight = self.in_flight.bytes_in_flight();
            path.controller.on_report(now, &report, &path.rtt, in_flight);
        }
        if news || changed {
            path.set_rate(now);
        }
        report.clear();
        self.report = Some(report);
    }

    /// Handles a CLOSE from the peer while closing: then neither end needs to send more.
    fn look_for_close(&mut self, now: Time, payload: &[u8]) {
        for frame in frames(payload) {
            if let Frame::Close { code, reason } = frame {
                let reason = reason.to_owned().into();
                self.on_close(now, Close { code, reason });
            }
        }
    }
}
