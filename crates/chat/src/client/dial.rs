//! Attempts to reach a host again.

use std::{
    collections::BTreeSet,
    future,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use hikyaku::{
    Backoff, ConnectError, Connection, Endpoint, Trust, address::Address, clock::monotonic,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::limits::{
    DIAL_INTERVAL, DIAL_STAGGER, DIALS_AT_ONCE, RECONNECT_FIRST, RECONNECT_LONGEST,
};

/// Opens connections to one host, one after the other.
///
/// An attempt whose packets were lost retransmits at growing intervals, and could wait for a long
/// time after the network is back. So a new round of attempts begins every second, while earlier
/// ones continue. A round tries each address, the last good one first; the first connection wins.
#[derive(Debug)]
pub struct Dialler {
    endpoint: Endpoint,
    /// The addresses of the host, the last good one first.
    to: Vec<Address>,
    trust: Trust,
    backoff: Backoff,
    attempts: JoinSet<Attempt>,
    /// Addresses whose last attempt failed with an error that retrying does not mend.
    rejected: BTreeSet<String>,
    /// When the next round begins. `None` while there is a connection.
    next_at: Option<Instant>,
    /// When the last connection was established.
    since: Instant,
}

/// What came of an attempt.
#[derive(Debug)]
struct Attempt {
    to: Address,
    /// `None`: the attempt took too long.
    outcome: Option<Result<Connection, ConnectError>>,
}

impl Dialler {
    /// Creates a dialler to a host that has one of these addresses, such as those of an invite: a
    /// laptop has a different one in each network. With several, `trust` names the host's key, so
    /// that other hosts at these addresses do no harm.
    #[must_use]
    pub fn new(endpoint: Endpoint, to: Vec<Address>, trust: Trust) -> Self {
        Self {
            endpoint,
            to,
            trust,
            backoff: Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST),
            attempts: JoinSet::new(),
            rejected: BTreeSet::new(),
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
    /// When no further attempt can succeed, at any of the addresses.
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
            let Ok(Attempt { to, outcome: Some(outcome) }) = done else { continue };
            match outcome {
                Ok(connection) => {
                    self.on_connected(&to);
                    return Ok(connection);
                }
                Err(error) if error.is_retryable() => _ = self.rejected.remove(&to.to_string()),
                Err(error) => {
                    self.rejected.insert(to.to_string());
                    if self.to.iter().all(|to| self.rejected.contains(&to.to_string())) {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn on_connected(&mut self, at: &Address) {
        self.attempts = JoinSet::new();
        self.rejected.clear();
        self.next_at = None;
        self.since = monotonic().into();
        if let Some(index) = self.to.iter().position(|to| to == at) {
            self.to[..=index].rotate_right(1);
        }
    }

    fn begin(&mut self) {
        self.next_at = Some(Instant::from(monotonic()) + spread(DIAL_INTERVAL));
        if self.attempts.len() >= DIALS_AT_ONCE * self.to.len() {
            return;
        }
        let whole = DIAL_INTERVAL * u32::try_from(DIALS_AT_ONCE).unwrap_or(u32::MAX);
        let mut pause = Duration::ZERO;
        for to in self.to.clone() {
            let (endpoint, trust) = (self.endpoint.clone(), self.trust.clone());
            self.attempts.spawn(async move {
                sleep(pause).await;
                let dialled = endpoint.connect(to.clone(), trust);
                Attempt { to, outcome: timeout(whole, dialled).await.ok() }
            });
            pause += DIAL_STAGGER;
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
