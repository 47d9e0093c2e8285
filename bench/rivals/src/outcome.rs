//! The result of one run of one peer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one end reports, and what the parent adds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Messages, round trips or connections.
    pub(crate) done: u64,
    /// Bytes of payload.
    pub(crate) bytes: u64,
    /// The client's time for all of it.
    pub(crate) span: Duration,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    /// Messages that arrived, if some may be lost.
    pub(crate) arrived: Option<u64>,
    /// Processor time of each process.
    pub(crate) client: Duration,
    pub(crate) server: Duration,
    /// Memory that the connections added to the server, in KiB.
    pub(crate) memory: f64,
}

impl Outcome {
    pub(crate) fn moved(count: u64, len: usize, span: Duration) -> Self {
        Self { done: count, bytes: count * len as u64, span, ..Self::default() }
    }

    /// Merges what the server reports into what the client reports.
    pub(crate) fn with_server(mut self, server: &Self) -> Self {
        self.p50 = self.p50.or(server.p50);
        self.p99 = self.p99.or(server.p99);
        self.arrived = self.arrived.or(server.arrived);
        self
    }
}

/// Adds the percentiles of these times.
pub(crate) fn percentiles(outcome: Outcome, mut took: Vec<Duration>) -> Outcome {
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied();
    Outcome { p50: at(50), p99: at(99), ..outcome }
}
