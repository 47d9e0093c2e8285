//! Attempts to reach a host again.

use std::{
    future,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    time::Duration,
};

use hikyaku::{
    Backoff, ConnectError, Connection, Endpoint, Trust, address::Address, clock::monotonic,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::limits::{DIAL_INTERVAL, DIALS_AT_ONCE, RECONNECT_FIRST, RECONNECT_LONGEST};

/// Opens connections to one host, one after the other.
///
/// An attempt whose packets were lost retransmits at growing intervals, and could wait for a long
/// time after the network is back. So a new attempt begins every second, while earlier ones
/// continue.
#[derive(Debug)]
pub struct Dialler {
    endpoint: Endpoint,
    /// The addresses to try each time, all at once.
    to: Vec<Address>,
    trust: Trust,
    backoff: Backoff,
    /// `None`: the attempt took too long.
    attempts: JoinSet<Option<Result<Connection, ConnectError>>>,
    /// When the next attempt begins. `None` while there is a connection.
    next_at: Option<Instant>,
    /// When the last connection was established.
    since: Instant,
}

impl Dialler {
    /// Creates a dialler, after a first connection to `to` was made.
    #[must_use]
    pub fn new(endpoint: Endpoint, to: Address, trust: Trust) -> Self {
        Self::to_any(endpoint, vec![to], trust)
    }

    /// Creates a dialler to a host that may be at any of several addresses, such as those of an
    /// invite: a laptop has a different one in each network. `trust` names the host's key, so that
    /// other hosts at these addresses do no harm.
    #[must_use]
    pub fn to_addresses(endpoint: Endpoint, to: &[SocketAddr], trust: Trust) -> Self {
        Self::to_any(endpoint, to.iter().copied().map(Address::from).collect(), trust)
    }

    fn to_any(endpoint: Endpoint, to: Vec<Address>, trust: Trust) -> Self {
        Self {
            endpoint,
            to,
            trust,
            backoff: Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST),
            attempts: JoinSet::new(),
            next_at: None,
            since: monotonic().into(),
        }
    }

    /// The connection was lost: attempts begin.
    pub(super) fn start(&mut self) {
        let now = Instant::from(monotonic());
        let lasted = now.saturating_duration_since(self.since);
        let pause = self.backoff.after_connection(lasted, chance());
        self.next_at = Some(now + pause);
    }

    /// Waits for the next connection. Cancel-safe.
    ///
    /// # Errors
    /// When no further attempt can succeed.
    pub(super) async fn next(&mut self) -> Result<Connection, ConnectError> {
        loop {
            let Some(next_at) = self.next_at else { return future::pending().await };
            let done = tokio::select! {
                Some(done) = self.attempts.join_next() => done,
                () = sleep_until(next_at) => {
                    self.begin();
                    continue;
                }
            };
            match done {
                Ok(Some(Ok(connection))) => {
                    self.attempts = JoinSet::new();
                    self.next_at = None;
                    self.since = monotonic().into();
                    return Ok(connection);
                }
                Ok(Some(Err(error))) if !error.is_retryable() && self.to.len() == 1 => {
                    return Err(error);
                }
                // Other attempts continue, or begin.
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
        }
    }

    fn begin(&mut self) {
        self.next_at = Some(Instant::from(monotonic()) + spread(DIAL_INTERVAL));
        if self.attempts.len() >= DIALS_AT_ONCE * self.to.len() {
            return;
        }
        for to in self.to.clone() {
            let (endpoint, trust) = (self.endpoint.clone(), self.trust.clone());
            self.attempts.spawn(async move {
                let dialled = endpoint.connect(to, trust);
                let whole = DIAL_INTERVAL * u32::try_from(DIALS_AT_ONCE).unwrap_or(u32::MAX);
                tokio::time::timeout(whole, dialled).await.ok()
            });
        }
    }
}

/// Randomness spreads the clients of a host that was restarted.
fn spread(pause: Duration) -> Duration {
    pause - (pause / 4).mul_f64(chance() as f64 / u64::MAX as f64)
}

fn chance() -> u64 {
    RandomState::new().hash_one(())
}
