//! CUBIC (RFC 9438): after a loss the window grows back along a cubic function of time.

use std::time::Duration;

use super::{
    AckSample, Control, LossEvent,
    hystart::{Growth, HyStart},
    initial_window,
};
use crate::{recovery::rtt::Rtt, time::Time};

/// The scaling constant, in packets per cubed second (RFC 9438 section 4.1).
const C: f64 = 0.4;

/// The multiplicative decrease factor (section 4.6).
const BETA: f64 = 0.7;

/// The growth of Reno that matches Reno with its own decrease on average (section 4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// See [`super::Congestion::Cubic`]. Sizes are in packets unless stated otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    mtu: u64,
    /// Bytes.
    window: f64,
    /// Bytes; infinite before the first congestion.
    threshold: f64,
    slow_start: HyStart,
    /// Packets sent before this belong to the last congestion event (RFC 9002 section 7.3.2).
    recovery_began: Option<Time>,
    curve: Curve,
    last_ack: Time,
    undo: Option<Undo>,
}

/// The growth during one congestion avoidance phase.
#[derive(Clone, Copy, Debug, Default)]
struct Curve {
    /// The window before the last reduction.
    max: f64,
    /// The window just before the last reduction, without fast convergence.
    prior: f64,
    /// The start of this congestion avoidance phase, from which `k` and `reno` count.
    epoch: Option<Time>,
    /// Seconds from the epoch until `max` is reached again.
    k: f64,
    /// The window Reno would have.
    reno: f64,
}

/// The state before a congestion event, in case it proves spurious.
#[derive(Clone, Copy, Debug)]
struct Undo {
    window: f64,
    threshold: f64,
    slow_start: HyStart,
    curve: Curve,
}

impl Cubic {
    pub(super) fn new(mtu: u64) -> Self {
        Self {
            mtu,
            window: initial_window(mtu) as f64,
            threshold: f64::INFINITY,
            slow_start: HyStart::default(),
            recovery_began: None,
            curve: Curve::default(),
            last_ack: Time::ZERO,
            undo: None,
        }
    }

    /// Reduces the window of a sender that had `in_flight` bytes in flight: less than this window
    /// if something else bounds it, too.
    pub(super) fn reduce_from(&mut self, now: Time, left: Time, in_flight: u64) {
        if self.recovery_began.is_some_and(|began| left <= began) {
            return;
        }
        let in_flight = in_flight as f64;
        if self.threshold.is_infinite() || in_flight < self.window {
            self.window = in_flight.max(self.min_window());
        }
        self.on_loss(now, &LossEvent { newest: left, persistent: false }, 0);
    }

    fn min_window(&self) -> f64 {
        2.0 * self.mtu as f64
    }

    /// Reduces the window for a congestion event. Returns `false` if `left` belongs to the last
    /// one.
    fn reduce(&mut self, now: Time, left: Time) -> bool {
        if self.recovery_began.is_some_and(|began| left <= began) {
            return false;
        }
        self.recovery_began = Some(now);
        let packets = self.window / self.mtu as f64;
        // Fast convergence (section 4.7): a flow reduced again before it recovers makes room for
        // others.
        let max = if packets < self.curve.max { packets * (1.0 + BETA) / 2.0 } else { packets };
        self.curve = Curve { max, prior: packets, ..Curve::default() };
        self.window = (self.window * BETA).max(self.min_window());
        self.threshold = self.window;
        true
    }

    /// Returns `true` if the window limits what is sent; otherwise it must not grow (RFC 9002
    /// section 7.8, RFC 9438 section 5.8). The pacer alone leaves less than half of it unused.
    fn is_used(&self, sample: &AckSample) -> bool {
        let flight = sample.in_flight_before as f64;
        let half = flight * 2.0 >= self.window;
        if self.is_slow_start() {
            return half;
        }
        half && !(sample.app_limited && flight * 8.0 < self.window * 7.0)
    }

    fn avoid(&mut self, now: Time, acked: u64, rtt: Duration) {
        let mtu = self.mtu as f64;
        let (window, acked) = (self.window / mtu, acked as f64 / mtu);
        let epoch = self.curve.begin(now, window);
        let passed = now.since(epoch).as_secs_f64();
        // Section 4.3: the friendly region.
        let alpha = if self.curve.reno < self.curve.prior { ALPHA } else { 1.0 };
        self.curve.reno += alpha * acked / window;
        if self.curve.at(passed) < self.curve.reno {
            self.window = self.window.max(self.curve.reno * mtu);
            return;
        }
        // Sections 4.4 and 4.5: towards the value of the cubic one RTT from now, growing by at most
        // half per RTT.
        let target = self.curve.at(passed + rtt.as_secs_f64()).clamp(window, 1.5 * window);
        self.window += (target - window) / window * acked * mtu;
    }
}

impl Curve {
    /// Returns the epoch, which begins with the first ACK of a congestion avoidance phase (section
    /// 4.2).
    fn begin(&mut self, now: Time, window: f64) -> Time {
        if let Some(epoch) = self.epoch {
            return epoch;
        }
        // After slow start without congestion there is no previous window: take this one.
        self.max = self.max.max(window);
        self.k = ((self.max - window) / C).cbrt();
        self.reno = window;
        self.epoch = Some(now);
        now
    }

    fn at(&self, seconds: f64) -> f64 {
        C * (seconds - self.k).powi(3) + self.max
    }
}

impl Control for Cubic {
    fn on_loss(&mut self, now: Time, event: &LossEvent, _in_flight: u64) {
        let before = Undo {
            window: self.window,
            threshold: self.threshold,
            slow_start: self.slow_start,
            curve: self.curve,
        };
        if self.reduce(now, event.newest) {
            self.undo = Some(before);
        }
        if event.persistent {
            // RFC 9002 section 7.6.2: start again, up to the threshold.
            self.window = self.min_window();
            self.recovery_began = None;
            self.curve.epoch = None;
            self.slow_start = HyStart::default();
        }
    }

    fn on_marked(&mut self, now: Time, left: Time) {
        if self.reduce(now, left) {
            // A mark is never spurious.
            self.undo = None;
        }
    }

    fn on_spurious(&mut self, _now: Time) {
        let Some(before) = self.undo.take() else { return };
        self.window = self.window.max(before.window);
        self.threshold = before.threshold;
        self.slow_start = before.slow_start;
        self.curve = before.curve;
        self.recovery_began = None;
    }

    fn on_ack(&mut self, now: Time, sample: &AckSample, rtt: &Rtt) {
        let idle = now.since(self.last_ack);
        self.last_ack = now;
        if self.recovery_began.is_some_and(|began| sample.newest <= began) {
            return;
        }
        if !self.is_used(sample) {
            // Idle time does not count for the curve (section 5.8).
            self.curve.epoch = self.curve.epoch.map(|epoch| (epoch + idle).min(now));
            return;
        }
        if !self.is_slow_start() {
            self.avoid(now, sample.bytes, rtt.smoothed());
            return;
        }
        match self.slow_start.on_ack(sample) {
            Growth::Grow(bytes) => self.window += bytes as f64,
            Growth::Stop => self.threshold = self.window,
        }
    }

    fn on_mtu(&mut self, mtu: u64) {
        let scale = self.mtu as f64 / mtu as f64;
        self.mtu = mtu;
        let curve = &mut self.curve;
        for packets in [&mut curve.max, &mut curve.prior, &mut curve.reno] {
            *packets *= scale;
        }
        self.window = self.window.max(self.min_window());
    }

    fn window(&self) -> u64 {
        self.window.round() as u64
    }

    ///
    fn pacing_rate(&self, rtt: &Rtt) -> u64 {
        (1.25 * self.window / rtt.smoothed().as_secs_f64().max(1e-6)) as u64
    }

    fn is_slow_start(&self) -> bool {
        self.window < self.threshold
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const MTU: u64 = 1_200;

    const fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    /// A sample of `bytes` from a window in full use.
    pub(in super::super) fn sample(bytes: u64) -> AckSample {
        AckSample {
            bytes,
            newest: Time::from_micros(u64::MAX),
            rtt: Some(Duration::from_millis(100)),
            in_flight_before: u64::MAX / 4,
            in_flight: 0,
            delivered: 0,
            prior_delivered: 0,
            delivery_rate: None,
            tx_in_flight: 0,
            lost_since: 0,
            app_limited: false,
        }
    }

    fn rtt() -> Rtt {
        let mut rtt = Rtt::default();
        rtt.update(Duration::from_millis(100), Duration::ZERO);
        rtt
    }

    fn lost(newest: Time) -> LossEvent {
        LossEvent { newest, persistent: false }
    }

    /// Reduced from 100 packets out of slow start at 0 ms: 70 packets.
    fn reduced() -> Cubic {
        let mut cubic = Cubic::new(MTU);
        cubic.window = 100.0 * MTU as f64;
        cubic.on_loss(at(10), &lost(at(5)), 0);
        cubic
    }

    /// Runs one round of full use, one packet at a time. Returns the window after it, in packets.
    fn round(cubic: &mut Cubic, now: Time) -> f64 {
        let packets = cubic.window() / MTU;
        (0..packets).for_each(|_| cubic.on_ack(now, &sample(MTU), &rtt()));
        cubic.window / MTU as f64
    }

    #[test]
    fn slow_start_doubles_the_window_in_a_round() {
        let mut cubic = Cubic::new(MTU);
        assert_eq!(round(&mut cubic, at(100)), 20.0);
    }

    #[test]
    fn rfc_9438_4_6_congestion_leaves_seven_tenths() {
        assert_eq!(reduced().window(), 84_000);
    }

    #[test]
    fn rfc_9002_7_3_2_losses_of_one_event_count_once() {
        let mut cubic = reduced();
        cubic.on_loss(at(50), &lost(at(10)), 0);
        assert_eq!(cubic.window(), 84_000);
        cubic.on_loss(at(50), &lost(at(11)), 0);
        assert_eq!(cubic.window(), 58_800);
    }

    #[test]
    fn rfc_9438_4_2_the_window_is_back_after_k() {
        // K = cbrt(30 / 0.4) = 4.2 s.
        let mut cubic = reduced();
        let mut windows = Vec::new();
        for step in 1..=52 {
            windows.push(round(&mut cubic, at(10 + step * 100)));
        }
        assert!(windows[20] < 98.0, "concave: {}", windows[20]);
        assert!(
            (99.0..101.5).contains(&windows[42]),
            "flat at the previous window: {}",
            windows[42]
        );
        assert!(windows[51] > windows[42] && windows[51] < 110.0, "convex: {}", windows[51]);
    }

    #[test]
    fn rfc_9438_4_3_a_small_window_grows_like_renos() {
        let mut cubic = Cubic::new(MTU);
        cubic.window = 10.0 * MTU as f64;
        cubic.on_loss(at(10), &lost(at(5)), 0);
        // 7 packets; K = 1.96 s, while Reno gains 0.53 packets in each 10 ms.
        let mut fast = Rtt::default();
        fast.update(Duration::from_millis(10), Duration::ZERO);
        for step in 0..4_u64 {
            for _ in 0..cubic.window() / MTU {
                cubic.on_ack(at(20 + step * 10), &sample(MTU), &fast);
            }
        }
        let packets = cubic.window / MTU as f64;
        assert!((8.7..9.2).contains(&packets), "{packets}");
    }

    #[test]
    fn rfc_9438_4_7_fast_convergence_lowers_the_maximum() {
        let mut cubic = reduced();
        cubic.on_loss(at(200), &lost(at(150)), 0);
        assert!((cubic.curve.max - 70.0 * 0.85).abs() < 1e-9);
    }

    #[test]
    fn rfc_9002_7_6_persistent_congestion_restarts_slow_start() {
        let mut cubic = reduced();
        cubic.on_loss(at(900), &LossEvent { newest: at(800), persistent: true }, 0);
        assert_eq!(cubic.window(), 2 * MTU);
        assert!(cubic.is_slow_start());
    }

    #[test]
    fn rfc_9002_7_8_a_window_that_is_not_used_does_not_grow() {
        let mut cubic = Cubic::new(MTU);
        let mut idle = sample(MTU);
        idle.in_flight_before = 2 * MTU;
        cubic.on_ack(at(100), &idle, &rtt());
        assert_eq!(cubic.window(), 12_000);
        let mut cubic = reduced();
        idle.in_flight_before = 60_000;
        idle.app_limited = true;
        for step in 0..100 {
            cubic.on_ack(at(100 + step * 100), &idle, &rtt());
        }
        assert_eq!(cubic.window(), 84_000);
        let after = round(&mut cubic, at(10_100));
        assert!(after < 75.0, "idle time is not compensated: {after}");
    }

    #[test]
    fn acks_from_before_the_congestion_do_not_grow_the_window() {
        let mut cubic = reduced();
        let mut old = sample(MTU);
        old.newest = at(10);
        cubic.on_ack(at(100), &old, &rtt());
        assert_eq!(cubic.window(), 84_000);
    }

    #[test]
    fn r_5_a_spurious_event_is_undone() {
        let mut cubic = Cubic::new(MTU);
        cubic.on_loss(at(10), &lost(at(5)), 0);
        assert!(cubic.window() == 8_400 && !cubic.is_slow_start());
        cubic.on_spurious(at(20));
        assert!(cubic.window() == 12_000 && cubic.is_slow_start());
    }

    //
    #[test]
    fn r_9_a_mark_is_congestion_and_is_never_undone() {
        let mut cubic = Cubic::new(MTU);
        cubic.on_marked(at(10), at(5));
        cubic.on_loss(at(11), &lost(at(6)), 0);
        cubic.on_spurious(at(20));
        assert_eq!(cubic.window(), 8_400);
    }

    #[test]
    fn the_window_is_never_below_two_packets() {
        let mut cubic = Cubic::new(MTU);
        for step in 1..50 {
            cubic.on_loss(at(step * 10), &lost(at(step * 10)), 0);
        }
        assert_eq!(cubic.window(), 2 * MTU);
    }

    //
    #[test]
    fn r_7_packets_leave_at_five_quarters_of_the_window() {
        assert_eq!(Cubic::new(MTU).pacing_rate(&rtt()), 150_000);
    }
}
