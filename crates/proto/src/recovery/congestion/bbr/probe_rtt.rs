//! BBR's probe of the minimum RTT: almost nothing in flight for a moment, every ten seconds.

use std::time::Duration;

use super::{super::AckSample, AckPhase, Bbr, PROBE_RTT_GAIN, State};
use crate::time::Time;

/// How long the minimum RTT is valid, and how long a probe of it lasts.
const MIN_RTT_LIFE: Duration = Duration::from_secs(10);
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);

impl Bbr {
    pub(super) fn update_min_rtt(&mut self, now: Time, sample: &AckSample) {
        self.min_rtt_expired = now > self.min_rtt_at + MIN_RTT_LIFE;
        if self.min_rtt_expired && self.state != State::ProbeRtt {
            // Based on the RTT valid until now: the next one likely includes a queue.
            let target = self.bdp(self.model.bw, PROBE_RTT_GAIN);
            self.probe_rtt_window = target.max(self.model.min_pipe());
        }
        let Some(rtt) = sample.rtt else { return };
        // A sender limited by its application builds no queue: what it measures confirms the
        // minimum, and a probe would only delay its messages.
        if sample.app_limited && self.model.min_rtt.is_some_and(|least| rtt <= least * 9 / 8) {
            self.min_rtt_at = now;
        }
        if self.min_rtt_expired || self.model.min_rtt.is_none_or(|least| rtt < least) {
            self.model.min_rtt = Some(rtt);
            self.min_rtt_at = now;
        }
    }

    pub(super) fn check_probe_rtt(&mut self, now: Time, sample: &AckSample) {
        if self.state != State::ProbeRtt && self.min_rtt_expired && !self.idle_restart {
            self.save_window();
            self.state = State::ProbeRtt;
            self.probe_rtt_end = None;
            self.ack_phase = AckPhase::Stopping;
            self.model.start_round();
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt(now, sample);
        }
        self.idle_restart = false;
    }

    fn handle_probe_rtt(&mut self, now: Time, sample: &AckSample) {
        self.ignored_to = self.model.delivered + sample.in_flight;
        match self.probe_rtt_end {
            None if sample.in_flight <= self.probe_rtt_window => {
                self.probe_rtt_end = Some(now + PROBE_RTT_DURATION);
                self.probe_rtt_round_done = false;
                self.model.start_round();
            }
            None => {}
            Some(_) => {
                self.probe_rtt_round_done |= self.model.round_start;
                if self.probe_rtt_round_done {
                    self.check_probe_rtt_done(now);
                }
            }
        }
    }

    pub(super) fn check_probe_rtt_done(&mut self, now: Time) {
        if self.probe_rtt_end.is_none_or(|end| now <= end) {
            return;
        }
        self.min_rtt_at = now;
        self.window = self.window.max(self.prior_window);
        self.model.reset_short_term();
        if self.model.full_bw_reached {
            self.start_down(now);
            self.state = State::Cruise;
        } else {
            self.state = State::Startup;
        }
    }
}
