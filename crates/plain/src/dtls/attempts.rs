//! A client's handshakes with one server, until one is complete.
//!
//! In: why a handshake ended. Out: the next one, or why there is none. Never: a socket.
//!
//! The first messages of a handshake are in the clear, and nothing shows whether they are genuine:
//! a forged one can end a handshake, or stall it. So a failure is believed only when it happens
//! twice. The next handshake begins at another port, which a forger must find out again, and where
//! nothing of the earlier one arrives.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::{
    ClientConfig,
    association::{Association, Patience},
    ended::Ended,
};
use crate::limits::{DTLS_AGAIN, DTLS_ATTEMPT, DTLS_PROOF, DTLS_PROOF_EACH, MAX_DTLS_ATTEMPTS};

/// The consecutive handshakes of one client.
#[derive(Debug)]
pub(crate) struct Attempts {
    began: Instant,
    /// Including the first one.
    left: usize,
    /// Why the last one failed.
    failure: Option<Ended>,
}

impl Attempts {
    /// `has_fixed_port`: all must come from one port, so there is only one.
    pub(crate) const fn new(has_fixed_port: bool, now: Instant) -> Self {
        let left = if has_fixed_port { 1 } else { MAX_DTLS_ATTEMPTS };
        Self { began: now, left, failure: None }
    }

    /// Begins the next handshake.
    pub(crate) fn begin(&mut self, config: &ClientConfig, now: Instant) -> Association {
        self.left = self.left.saturating_sub(1);
        let (remaining, is_again) = (self.remaining(config, now), self.failure.is_some());
        let unanswered = if is_again { remaining.min(DTLS_AGAIN) } else { remaining };
        let (answered, unproven) = match (self.left, is_again) {
            (0, false) => (remaining, DTLS_PROOF),
            (0, true) => (remaining, DTLS_PROOF_EACH),
            _ => (remaining.min(DTLS_ATTEMPT), DTLS_PROOF_EACH),
        };
        Association::client(config, Patience { unanswered, answered, unproven }, now)
    }

    /// Decides whether there is another handshake after one that ended for this reason.
    ///
    /// # Errors
    /// The reason to report.
    pub(crate) fn after(
        &mut self,
        ended: Ended,
        config: &ClientConfig,
        now: Instant,
    ) -> Result<(), Ended> {
        let waited = now.saturating_duration_since(self.began);
        let ended = match (ended, self.failure.take()) {
            (Ended::Stalled(_), _) => Ended::Stalled(waited),
            // Silence means less than an earlier answer.
            (Ended::NoAnswer(_), Some(before)) => return Err(before),
            (ended, Some(before)) if mem::discriminant(&ended) == mem::discriminant(&before) => {
                return Err(ended);
            }
            (ended, _) => ended,
        };
        if !may_be_forged(&ended) || self.left == 0 || self.remaining(config, now).is_zero() {
            return Err(ended);
        }
        self.failure = Some(ended);
        Ok(())
    }

    /// Returns why the last handshake failed, if there was one.
    pub(crate) fn failure(&self) -> Option<Ended> {
        self.failure.clone()
    }

    fn remaining(&self, config: &ClientConfig, now: Instant) -> Duration {
        config.0.patience.saturating_sub(now.saturating_duration_since(self.began))
    }
}

/// Returns `true` if a message in the clear can have caused this end.
const fn may_be_forged(ended: &Ended) -> bool {
    matches!(
        ended,
        Ended::Refused(_)
            | Ended::NoCertificate
            | Ended::RefusedByPeer(_)
            | Ended::NothingInCommon
            | Ended::Stalled(_)
            | Ended::Unproven
            | Ended::Failed(_)
            | Ended::ClosedByPeer
    )
}
