//! Notices early that a connection is dead.

use std::time::{Duration, SystemTime};

use hikyaku::{
    Connection,
    clock::{monotonic, wall},
};
use tokio::time::{Instant, sleep_until};

use crate::limits::{SUSPENDED, WATCH_INTERVAL, WATCH_PATIENCE};

/// The observed traffic of a connection. A live one delivers a packet at each keep-alive.
#[derive(Debug)]
pub(super) struct Watch {
    seen: Seen,
    next_at: Instant,
    /// When the machine was last known to be awake, by a clock that continues during sleep.
    awake_at: SystemTime,
}

/// How many packets had arrived, and the time since when there were no more.
#[derive(Clone, Copy, Debug)]
struct Seen {
    packets: u64,
    since: Instant,
}

impl Watch {
    pub(super) fn new() -> Self {
        let now = Instant::from(monotonic());
        let seen = Seen { packets: 0, since: now };
        Self { seen, next_at: now + WATCH_INTERVAL, awake_at: wall() }
    }

    /// Waits until nothing has arrived for too long, or the machine has slept for so long that the
    /// host has given up. Cancel-safe.
    pub(super) async fn is_silent(&mut self, connection: &Connection) {
        loop {
            sleep_until(self.next_at).await;
            let (now, awake_at) = (Instant::from(monotonic()), wall());
            let late = now.saturating_duration_since(self.next_at);
            let has_slept = has_slept(self.awake_at, awake_at, WATCH_INTERVAL + late);
            self.awake_at = awake_at;
            self.next_at = now + WATCH_INTERVAL;
            let packets = connection.stats().received_packets;
            if packets != self.seen.packets {
                self.seen = Seen { packets, since: now };
            }
            if has_slept || now.saturating_duration_since(self.seen.since) >= WATCH_PATIENCE {
                return;
            }
        }
    }
}

/// Returns `true` if the wall clock advanced much more than the other one.
fn has_slept(before: SystemTime, now: SystemTime, passed: Duration) -> bool {
    now.duration_since(before).is_ok_and(|wall| wall > passed + SUSPENDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_detected_when_only_one_clock_advances() {
        let (then, second) = (SystemTime::UNIX_EPOCH, Duration::from_secs(1));
        assert!(!has_slept(then, then + second, second));
        assert!(!has_slept(then, then + 100 * second, 100 * second), "the process was stopped");
        assert!(has_slept(then, then + 100 * second, second));
        assert!(!has_slept(then + 100 * second, then, second), "the wall's clock was set back");
    }
}
