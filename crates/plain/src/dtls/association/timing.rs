//! When an [`Association`] acts without a datagram, and what it does then.

use std::time::Instant;

use super::{
    super::{ended::Ended, record},
    Association, Patience, Role, State,
};
use crate::limits::{DTLS_ALERT, DTLS_CONFIRMATION, DTLS_IDLE, DTLS_UNOPENED, MAX_UNVERIFIED_AGE};

/// The alert for a Finished that cannot be opened (RFC 5246 section 7.2.2).
const DECRYPT_ERROR: u8 = 51;

impl Association {
    /// Returns when to call [`Association::handle_timeout`] if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match (&self.state, self.role) {
            (State::Ended, _) => return None,
            (State::Established, _) => Some(self.active_at + DTLS_IDLE),
            (State::Unconfirmed(since), _) => Some(*since + DTLS_CONFIRMATION),
            // The state machine would retransmit to a peer that may never have asked.
            (_, Role::Server { began, unverified: Some(_) }) => {
                return Some(began + MAX_UNVERIFIED_AGE);
            }
            (_, Role::Client) => Some(self.gives_up_at()),
            (_, Role::Server { .. }) => self.proof.unopened_at.map(|at| at + DTLS_UNOPENED),
        };
        own.into_iter().chain(self.refused_at()).chain(self.timer).min()
    }

    /// Returns the time at which an alert in the clear is believed.
    pub(super) fn refused_at(&self) -> Option<Instant> {
        self.alert.map(|alert| alert.at + DTLS_ALERT)
    }

    /// Returns the time at which a client gives up its handshake.
    pub(super) fn gives_up_at(&self) -> Instant {
        let Patience { unanswered, answered, unproven } = self.patience;
        let at = self.began + if self.heard { answered } else { unanswered };
        self.proof.sent_at.map_or(at, |sent_at| at.min(sent_at + unproven))
    }

    pub(super) fn on_timeout(&mut self, now: Instant) {
        if let Some(alert) = self.alert.filter(|alert| now >= alert.at + DTLS_ALERT) {
            return self.end(Ended::RefusedByPeer(alert.description));
        }
        match (&self.state, self.role) {
            (State::Ended, _) => return,
            (State::Established, _) if now >= self.active_at + DTLS_IDLE => {
                return self.close(Ended::Idle);
            }
            (State::Unconfirmed(since), _) if now >= *since + DTLS_CONFIRMATION => {
                self.establish();
            }
            (_, Role::Server { began, unverified: Some(_) })
                if now >= began + MAX_UNVERIFIED_AGE =>
            {
                return self.end(Ended::NoAnswer(MAX_UNVERIFIED_AGE));
            }
            (_, Role::Server { unverified: Some(_), .. }) => return,
            (State::Handshake, Role::Client) if now >= self.gives_up_at() => {
                let waited = now.saturating_duration_since(self.began);
                return self.end(match (self.proof.sent_at, self.heard) {
                    (Some(_), _) => Ended::Unproven,
                    (None, true) => Ended::Stalled(waited),
                    (None, false) => Ended::NoAnswer(waited),
                });
            }
            (State::Handshake, Role::Server { .. })
                if self.proof.unopened_at.is_some_and(|at| now >= at + DTLS_UNOPENED) =>
            {
                // Otherwise the client would retry for a long time.
                self.output.push_back(record::fatal_alert(DECRYPT_ERROR));
                return self.end(Ended::OtherSharedKey);
            }
            _ => {}
        }
        let advanced = self.dtls().handle_timeout(now);
        self.after(advanced, now, None);
    }
}
