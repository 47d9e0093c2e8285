//! The output of an [`Association`]'s state machine after an input.

use std::time::{Duration, Instant, SystemTime};

use dimpl::{Error, Output};

use super::{
    super::{ended::Ended, record},
    Association, BUFFER_LEN, Event, Role, State,
};

/// Bytes of a handshake that the state machine holds at once: 30 datagrams.
const MAX_HANDSHAKE_HELD: usize = 30 << 16;

/// The DTLS 1.3 state machine would report a gap in a flight at once, again and again while the gap
/// lasts. RFC 9147 section 7.1 suggests a quarter of the first wait.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// One output of the state machine.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) packets: Vec<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    messages: Vec<Vec<u8>>,
    connected: bool,
    closed: bool,
}

impl Association {
    /// Collects the state machine's output after some input.
    pub(super) fn after(
        &mut self,
        result: Result<(), Error>,
        now: Instant,
        wall: Option<SystemTime>,
    ) {
        let mut turn = self.drain();
        self.timer = self.timer.map(|at| at.max(now + MIN_PAUSE));
        if let Some(certificate) = turn.certificate.take()
            && let Some(wall) = wall
        {
            self.judge(&certificate, wall);
        }
        self.heard |= wall.is_some() && !turn.packets.is_empty();
        if let State::Refusing(why) = &self.state {
            let why = why.clone();
            return self.refuse(why, turn.connected, result.is_err());
        }
        self.note_verified(&turn.packets);
        if self.role == Role::Client {
            for packet in &mut turn.packets {
                record::renumber(packet, &mut self.next_clear);
            }
        }
        if self.proof.sent_at.is_none()
            && self.setup.has_shared_key()
            && turn.packets.iter().any(|packet| record::holds_finished(packet))
        {
            self.proof.sent_at = Some(now);
        }
        self.output.extend(turn.packets);
        if turn.connected {
            self.on_connected(now);
        }
        if !turn.messages.is_empty() && matches!(self.state, State::Unconfirmed(_)) {
            self.establish();
        }
        if self.is_established() && !turn.messages.is_empty() {
            self.active_at = now;
            self.events.extend(turn.messages.into_iter().map(Event::Message));
        }
        match result {
            _ if self.has_ended() => {}
            Err(error) => {
                let waited = now.saturating_duration_since(self.began);
                self.end(Ended::of(error, self.heard, waited));
            }
            Ok(()) if turn.closed => self.on_close_notify(),
            Ok(()) => {}
        }
    }

    pub(super) fn drain(&mut self) -> Turn {
        let mut turn = Turn::default();
        // The state machine does not ask for a larger buffer here: it panics. No certificate is
        // longer than everything received.
        let longest = self.read.min(MAX_HANDSHAKE_HELD);
        if !self.is_established() && self.buffer.len() < longest {
            self.buffer.resize(longest, 0);
        }
        loop {
            let dtls = self.dtls.as_mut().expect("it exists until the association has ended");
            match dtls.poll_output(&mut self.buffer) {
                Output::Packet(packet) => turn.packets.push(packet.to_vec()),
                Output::Timeout(at) => {
                    self.timer = Some(at);
                    self.buffer.truncate(BUFFER_LEN);
                    self.buffer.shrink_to_fit();
                    return turn;
                }
                Output::BufferTooSmall { needed } => self.buffer.resize(needed, 0),
                Output::PeerCert(der) => turn.certificate = Some(der.to_vec()),
                Output::Connected => turn.connected = true,
                Output::ApplicationData(payload) => turn.messages.push(payload.to_vec()),
                Output::CloseNotify => turn.closed = true,
                // Keys for media are not used.
                _ => {}
            }
        }
    }
}
