//! When lines are forwarded to the devices: at once after a silence, and in batches while a chat is
//! busy.

use std::time::Duration;

use crate::{
    limits::{FAN_OUT_LONGEST, FAN_OUT_PER_DEVICE},
    time::Time,
};

/// The state of forwarding.
#[derive(Debug, Default)]
pub(super) struct FanOut {
    /// The earliest time for the next lines.
    next: Time,
    /// Lines wait for it.
    waits: bool,
}

impl FanOut {
    /// Handles a line for this many devices. Returns `true` if it should be forwarded at once.
    pub(super) fn push(&mut self, now: Time, devices: usize) -> bool {
        self.waits = true;
        self.is_due(now, devices)
    }

    /// Returns `true` if waiting lines must be forwarded now.
    pub(super) fn is_due(&mut self, now: Time, devices: usize) -> bool {
        let is_due = self.waits && self.next <= now;
        if is_due {
            self.waits = false;
            self.next = now + interval(devices);
        }
        is_due
    }

    /// Returns when lines that wait are due.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.waits.then_some(self.next)
    }
}

fn interval(devices: usize) -> Duration {
    let devices = u32::try_from(devices).unwrap_or(u32::MAX);
    FAN_OUT_PER_DEVICE.saturating_mul(devices).min(FAN_OUT_LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn a_line_after_a_silence_waits_for_no_other() {
        let mut fan_out = FanOut::default();
        assert!(fan_out.push(at(0), 10_000));
        assert_eq!(fan_out.poll_timeout(), None);
        assert!(fan_out.push(at(25), 10_000));
    }

    #[test]
    fn lines_of_a_busy_chat_are_batched_briefly() {
        let mut fan_out = FanOut::default();
        assert!(fan_out.push(at(100), 1_000));
        assert!(!fan_out.push(at(101), 1_000) && !fan_out.push(at(110), 1_000));
        assert_eq!(fan_out.poll_timeout(), Some(at(120)));
        assert!(!fan_out.is_due(at(119), 1_000));
        assert!(fan_out.is_due(at(120), 1_000));
        assert!(!fan_out.is_due(at(120), 1_000), "nothing is left");
        assert_eq!(fan_out.poll_timeout(), None);
    }

    #[test]
    fn a_few_devices_hardly_wait() {
        let mut fan_out = FanOut::default();
        assert!(fan_out.push(at(1), 10) && fan_out.push(at(2), 10));
    }
}
