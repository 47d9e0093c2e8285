//! HyStart++ (RFC 9406): ends slow start when the path is full.

use std::time::Duration;

use super::AckSample;

/// The constants of RFC 9406 section 4.3. There is no limit L, since packets are paced.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const RTT_SAMPLES: u32 = 8;
const CSS_GROWTH_DIVISOR: u64 = 4;
const CSS_ROUNDS: u32 = 5;

/// The state of slow start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HyStart {
    /// The round ends when a packet sent after this many bytes were delivered is acknowledged.
    round_end: u64,
    last_min: Option<Duration>,
    current_min: Option<Duration>,
    samples: u32,
    /// In conservative slow start: the minimum RTT at its start, and its rounds.
    conservative: Option<(Duration, u32)>,
}

/// The growth that slow start allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// Grow by this many bytes.
    Grow(u64),
    /// Slow start is over.
    Stop,
}

impl HyStart {
    /// Processes one ACK (RFC 9406 section 4.2).
    pub(super) fn on_ack(&mut self, sample: &AckSample) -> Growth {
        if sample.prior_delivered >= self.round_end && self.next_round(sample.delivered) {
            return Growth::Stop;
        }
        if let Some(rtt) = sample.rtt {
            self.current_min = Some(self.current_min.map_or(rtt, |least| least.min(rtt)));
            self.samples += 1;
        }
        self.judge();
        match self.conservative {
            None => Growth::Grow(sample.bytes),
            Some(_) => Growth::Grow(sample.bytes / CSS_GROWTH_DIVISOR),
        }
    }

    /// Returns `true` when conservative slow start has had its rounds.
    fn next_round(&mut self, delivered: u64) -> bool {
        self.round_end = delivered;
        self.last_min = self.current_min.take();
        self.samples = 0;
        let Some((_, rounds)) = &mut self.conservative else { return false };
        *rounds += 1;
        *rounds >= CSS_ROUNDS
    }

    fn judge(&mut self) {
        let Some(current) = self.current_min.filter(|_| self.samples >= RTT_SAMPLES) else {
            return;
        };
        match (self.conservative, self.last_min) {
            // The rise was noise: continue as before.
            (Some((baseline, _)), _) if current < baseline => self.conservative = None,
            (None, Some(last)) => {
                let threshold = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if current >= last + threshold {
                    self.conservative = Some((current, 0));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::cubic::tests::sample, *};

    /// Runs rounds of ten ACKs, each with its RTT in ms. Returns the growth of the last ACK of
    /// each.
    fn rounds(start: &mut HyStart, rtts: &[u64]) -> Vec<Growth> {
        let mut delivered = start.round_end;
        let mut said = Vec::new();
        for &rtt in rtts {
            let prior = delivered;
            let mut last = Growth::Stop;
            for _ in 0..10 {
                delivered += 1_200;
                let mut ack = sample(1_200);
                ack.prior_delivered = prior;
                ack.delivered = delivered;
                ack.rtt = Some(Duration::from_millis(rtt));
                last = start.on_ack(&ack);
                if last == Growth::Stop {
                    break;
                }
            }
            said.push(last);
        }
        said
    }

    #[test]
    fn a_steady_rtt_lets_slow_start_go_on() {
        let said = rounds(&mut HyStart::default(), &[40; 10]);
        assert!(said.iter().all(|growth| *growth == Growth::Grow(1_200)), "{said:?}");
    }

    #[test]
    fn a_longer_rtt_slows_growth_and_ends_slow_start_five_rounds_later() {
        let mut start = HyStart::default();
        let said = rounds(&mut start, &[40, 40, 45]);
        assert_eq!(said[2], Growth::Grow(300), "40 + 40 / 8 was reached");
        let said = rounds(&mut start, &[60; 5]);
        assert_eq!(said[3], Growth::Grow(300));
        assert_eq!(said[4], Growth::Stop);
    }

    #[test]
    fn a_transient_rise_is_ignored() {
        let mut start = HyStart::default();
        rounds(&mut start, &[40, 46]);
        assert_eq!(rounds(&mut start, &[40]), [Growth::Grow(1_200)]);
    }
}
