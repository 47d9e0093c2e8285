//! The DTLS part of a [`PlainPeer`]: performs handshakes, opens records, records the end.
//!
//! In: received batches, the time. Out: payloads, why an association ended. Never: a message sent.

use hikyaku::{batch::Datagram, clock, limits::OTHER_DIALECT_REPORTS};

use super::{Heard, PlainPeer, same_endpoint};
use crate::{
    PlainSendError,
    dtls::{Arrived, Association, Attempts, ClientConfig, Event},
};

impl PlainPeer {
    /// Waits until there is an association to send on.
    pub(super) async fn shake_hands(
        &mut self,
        config: &ClientConfig,
    ) -> Result<(), PlainSendError> {
        if self.newest().association.as_ref().is_none_or(Association::has_ended) {
            self.attempts = Attempts::new(self.has_fixed_port(), clock::monotonic());
            self.begin(config);
        }
        loop {
            let target = self.target();
            if self.newest().is_established() {
                return Ok(());
            }
            if let Some(dialect) = self.hint
                && self.hints >= OTHER_DIALECT_REPORTS
            {
                return Err(PlainSendError::OtherDialect { target, dialect });
            }
            if let Some(ended) = self.ended.take() {
                self.flush().await;
                match self.attempts.after(ended, config, clock::monotonic()) {
                    Ok(()) => self.open_socket()?,
                    Err(ended) => return Err(PlainSendError::Dtls { target, ended }),
                }
                self.begin(config);
            }
            match self.hear(false).await {
                Ok(Heard::Unreachable(error)) => {
                    // A server that refuses one client and then exits is no longer there.
                    let refusal = self.newest().association.as_ref().and_then(Association::refusal);
                    return Err(match refusal.or_else(|| self.attempts.failure()) {
                        Some(ended) => PlainSendError::Dtls { target, ended },
                        None => PlainSendError::Unreachable { target, error },
                    });
                }
                Ok(_) => {}
                Err(source) => return Err(PlainSendError::System { target, source }),
            }
        }
    }

    /// Begins a handshake on the newest line.
    fn begin(&mut self, config: &ClientConfig) {
        let association = self.attempts.begin(config, clock::monotonic());
        self.newest_mut().association = Some(association);
        self.ended = None;
    }

    /// Records why the newest association ended; older ones do not matter.
    pub(super) fn note_end(&mut self) {
        let newest = self.lines.len() - 1;
        for index in 0..self.lines.len() {
            for event in self.lines[index].events() {
                match event {
                    Event::Ended(why) if index == newest => self.ended = Some(why),
                    _ => {}
                }
            }
        }
    }

    /// Returns what a received batch delivered through an association, if there is one.
    pub(super) fn take_in_dtls(&mut self, index: usize) -> Option<Vec<Arrived>> {
        self.dtls.as_ref()?;
        let target = self.target();
        let mut arrived = Vec::new();
        let now = clock::monotonic();
        let is_newest = index + 1 == self.lines.len();
        let line = &mut self.lines[index];
        for datagram in self.batch.iter().filter(|d| same_endpoint(d.from, target)) {
            let Some(association) = &mut line.association else { break };
            association.handle_datagram(datagram.bytes, now, datagram.at);
            for event in line.events() {
                match event {
                    Event::Message(payload) => {
                        let Datagram { from, to, at, .. } = datagram;
                        arrived.push(Arrived { payload, from, to, at });
                    }
                    Event::Ended(why) if is_newest => self.ended = Some(why),
                    _ => {}
                }
            }
        }
        Some(arrived)
    }
}
