//! The handshake of an [`Association`]: which unauthenticated messages are believed, and which
//! peers are accepted.

use std::time::{Instant, SystemTime};

use dimpl::{Error, ProtocolVersion};

use super::{
    super::{
        ended::Ended,
        record::{self, CLIENT_HELLO, HELLO_VERIFY_REQUEST, Record, SERVER_HELLO},
        trust::Shown,
    },
    Alert, Association, Role, State,
};
use crate::limits::{MAX_UNVERIFIED_AGE, MAX_UNVERIFIED_BYTES};

impl Association {
    /// Passes a datagram of the handshake to the state machine.
    ///
    /// Anyone can send a record that does not open. The state machine treats it as the end, but is
    /// unchanged by it if it comes alone, so each sealed record is passed alone, and one that does
    /// not open is dropped (RFC 6347 section 4.1.2.7).
    pub(super) fn shake_hands(&mut self, datagram: &[u8], now: Instant) -> Result<(), Error> {
        for batch in record::batches(datagram) {
            match self.dtls().handle_packet(batch) {
                Err(Error::CryptoError(_)) if record::is_sealed(batch) => {
                    if self.setup.has_shared_key() {
                        self.proof.unopened_at.get_or_insert(now);
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => self.alert = self.alert.filter(|alert| alert.at == now),
            }
        }
        Ok(())
    }

    pub(super) fn note_alert(&mut self, datagram: &[u8], now: Instant) {
        let alert = record::records(datagram).find_map(|record| match record {
            Record::Alert { description, .. } => Some(description),
            _ => None,
        });
        if let (Some(description), None) = (alert, self.alert) {
            self.alert = Some(Alert { description, at: now });
        }
    }

    /// A peer that has not proved its address is read only up to a bound.
    pub(super) fn may_read(&mut self, len: usize) -> bool {
        let Role::Server { unverified: Some(read), .. } = &mut self.role else { return true };
        *read += len;
        let may = *read <= MAX_UNVERIFIED_BYTES;
        if !may {
            self.end(Ended::NoAnswer(MAX_UNVERIFIED_AGE));
        }
        may
    }

    /// Before the version is known, a client's state machine accepts a server's hello and treats
    /// anything else as the end. A server reads only hellos until its cookie is returned.
    pub(super) fn is_expected(&mut self, datagram: &[u8]) -> bool {
        if !self.is_verified() {
            return record::first_message(datagram) == Some(CLIENT_HELLO);
        }
        if self.role != Role::Client || self.dtls().protocol_version().is_some() {
            return true;
        }
        matches!(record::first_message(datagram), Some(HELLO_VERIFY_REQUEST | SERVER_HELLO))
    }

    pub(super) fn on_connected(&mut self, now: Instant) {
        let is_v13 = self.dtls().protocol_version() == Some(ProtocolVersion::DTLS1_3);
        if self.role != Role::Client && self.offered_v13 && !is_v13 {
            // The Finished covers the hello that was answered, but not the first one, with its
            // versions (RFC 6347 section 4.2.1).
            self.close(Ended::Downgraded);
        } else if self.setup.believed().is_some() && !self.believed {
            self.close(Ended::NoCertificate);
        } else if is_v13 && self.role == Role::Client {
            self.active_at = now;
            self.state = State::Unconfirmed(now);
        } else {
            self.active_at = now;
            self.establish();
        }
    }

    /// Handles the peer's certificate.
    pub(super) fn judge(&mut self, certificate: &[u8], now: SystemTime) {
        let Some(anchors) = self.setup.believed() else { return };
        let shown = Shown {
            certificate,
            intermediates: self.sieve.intermediates(certificate),
            name: self.setup.server.as_ref(),
        };
        match anchors.verify(&shown, now) {
            Ok(()) => self.believed = true,
            Err(refusal) => self.state = State::Refusing(Ended::Refused(refusal)),
        }
    }

    /// Rejects the peer as soon as that can be sent; until then it receives nothing.
    pub(super) fn refuse(&mut self, why: Ended, connected: bool, failed: bool) {
        let version = self.dtls().protocol_version();
        if version == Some(ProtocolVersion::DTLS1_2) {
            let alert = match &why {
                Ended::Refused(refusal) => refusal.problem.alert(),
                _ => 42,
            };
            self.output.push_back(record::fatal_alert(alert));
            self.end(why);
        } else if connected && self.role != Role::Client {
            self.close(why);
        } else if failed || self.role == Role::Client {
            self.end(why);
        }
    }

    /// A server that sends more than a cookie request has received the cookie.
    pub(super) fn note_verified(&mut self, packets: &[Vec<u8>]) {
        if let Role::Server { unverified, .. } = &mut self.role
            && packets.iter().any(|packet| record::shows_a_returned_cookie(packet))
        {
            *unverified = None;
        }
    }
}
