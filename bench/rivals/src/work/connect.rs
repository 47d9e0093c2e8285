//! Connections, opened some at a time and then held.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{outcome::Outcome, peer::Held};

/// The interval at which connections that do not run by themselves are driven.
const TURN: Duration = Duration::from_millis(5);

/// Keeps connections until this process is ended; returns after a time limit all the same.
pub(crate) async fn keep(mut held: Held, limit: Duration) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < limit {
        held.turn();
        tokio::time::sleep(TURN).await;
    }
    Ok(())
}

pub(crate) fn outcome(count: usize, span: Duration) -> Outcome {
    Outcome { done: count as u64, span, ..Outcome::default() }
}
