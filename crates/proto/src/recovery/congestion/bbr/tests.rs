//! Tests of BBR.

use super::{super::cubic::tests::sample, *};

const MTU: u64 = 1_200;
const RTT: Duration = Duration::from_millis(40);

/// 1.2 MB/s over 40 ms: 40 packets.
const RATE: u64 = 1_200_000;
const BDP: u64 = 48_000;

struct Drive {
    bbr: Bbr,
    now: Time,
    delivered: u64,
    path: Rtt,
}

impl Drive {
    fn new() -> Self {
        let mut path = Rtt::default();
        path.update(RTT, Duration::ZERO);
        Self { bbr: Bbr::new(Time::ZERO, MTU, 1), now: Time::ZERO, delivered: 0, path }
    }

    /// Returns a controller past Startup and Drain.
    fn steady() -> Self {
        let mut drive = Self::new();
        for _ in 0..12 {
            drive.round(RATE, BDP / 2);
        }
        assert!(drive.bbr.is_probe_bw(), "{:?}", drive.bbr.state);
        drive
    }

    /// Runs until this state.
    fn to(mut self, state: State, in_flight: u64) -> Self {
        for _ in 0..400 {
            if self.bbr.state == state {
                return self;
            }
            self.round(RATE, in_flight);
        }
        panic!("stuck in {:?}", self.bbr.state);
    }

    /// One round of 40 packets in 10 ACKs, delivered at `rate`.
    fn round(&mut self, rate: u64, in_flight: u64) {
        self.round_with(rate, in_flight, |_| {});
    }

    fn round_with(&mut self, rate: u64, in_flight: u64, change: impl Fn(&mut AckSample)) {
        let prior = self.delivered;
        for _ in 0..10 {
            self.now += RTT / 10;
            self.delivered += 4 * MTU;
            let mut ack = sample(4 * MTU);
            ack.prior_delivered = prior;
            ack.delivered = self.delivered;
            ack.delivery_rate = Some(rate);
            ack.rtt = Some(RTT);
            ack.in_flight = in_flight;
            ack.tx_in_flight = in_flight;
            change(&mut ack);
            self.bbr.on_ack(self.now, &ack, &self.path);
        }
    }

    fn lose(&mut self, number: u64, lost_since: u64, tx_in_flight: u64) {
        let packet = LostPacket {
            number,
            at: self.now,
            bytes: MTU as u16,
            mtu_probe: false,
            counts: true,
            tx_in_flight,
            lost_since,
            app_limited: false,
        };
        self.bbr.on_packet_lost(self.now, &packet);
    }
}

#[test]
fn startup_ends_three_rounds_after_the_bandwidth_stops_growing() {
    let mut drive = Drive::new();
    for doubled in 0..4 {
        drive.round(RATE >> (3 - doubled), 4 * BDP);
        assert_eq!(drive.bbr.state, State::Startup);
    }
    for _ in 0..2 {
        drive.round(RATE, 4 * BDP);
        assert_eq!(drive.bbr.state, State::Startup);
    }
    drive.round(RATE, 4 * BDP);
    assert_eq!(drive.bbr.state, State::Drain);
    assert_eq!(drive.bbr.pacing_gain(), 0.5);
}

#[test]
fn startup_does_not_end_while_app_limited() {
    let mut drive = Drive::new();
    for _ in 0..50 {
        drive.round_with(RATE, BDP, |ack| ack.app_limited = true);
    }
    assert_eq!(drive.bbr.state, State::Startup);
}

#[test]
fn startup_ends_on_six_runs_of_loss_above_a_quarter() {
    let ends = |runs: u64| {
        let mut drive = Drive::new();
        drive.round(RATE / 4, BDP);
        drive.round(RATE / 2, BDP);
        (0..runs).for_each(|run| drive.lose(run * 2, 2 * (run + 1) * MTU, BDP));
        drive.round_with(RATE, BDP, |ack| ack.lost_since = 2 * runs * MTU);
        drive
    };
    assert_eq!(ends(5).bbr.state, State::Startup);
    let drive = ends(6);
    assert_ne!(drive.bbr.state, State::Startup);
    assert_ne!(drive.bbr.model.inflight_long, UNBOUNDED);
}

#[test]
fn r_5_startup_resumes_after_a_spurious_loss() {
    let mut drive = Drive::new();
    drive.round(RATE / 4, 4 * BDP);
    drive.round(RATE / 2, 4 * BDP);
    (0..6).for_each(|run| drive.lose(run * 2, (run + 1) * MTU, BDP));
    drive.round_with(RATE, 4 * BDP, |ack| ack.lost_since = 400 * MTU);
    assert_eq!(drive.bbr.state, State::Drain);
    drive.bbr.on_spurious(drive.now);
    assert_eq!(drive.bbr.state, State::Startup);
    assert_eq!(drive.bbr.model.inflight_long, UNBOUNDED);
}

#[test]
fn drain_ends_when_the_queue_is_gone_or_after_three_rounds() {
    let drained = |in_flight: u64| {
        let mut drive = Drive::new();
        (0..4).for_each(|_| drive.round(RATE, 4 * BDP));
        assert_eq!(drive.bbr.state, State::Drain);
        let mut rounds = 0;
        while drive.bbr.state == State::Drain {
            drive.round(RATE, in_flight);
            rounds += 1;
        }
        rounds
    };
    assert_eq!(drained(BDP), 1);
    assert_eq!(drained(4 * BDP), 4);
}

#[test]
fn the_cycle_goes_down_cruise_refill_up() {
    let drive = Drive::steady().to(State::Cruise, BDP / 2).to(State::Refill, BDP);
    let mut drive = drive;
    drive.round(RATE, BDP);
    assert_eq!(drive.bbr.state, State::Up, "one round of refill");
    assert_eq!(drive.bbr.pacing_gain(), 1.25);
    let drive = drive.to(State::Down, 2 * BDP);
    assert_eq!(drive.bbr.pacing_gain(), 0.9);
}

#[test]
fn probes_come_within_sixty_three_rounds_or_three_seconds() {
    let mut drive = Drive::steady().to(State::Cruise, BDP / 2);
    let mut rounds = 0;
    while drive.bbr.state == State::Cruise {
        drive.round(RATE, BDP);
        rounds += 1;
    }
    assert!((20..=63).contains(&rounds), "{rounds}");
}

#[test]
fn a_probe_that_loses_too_much_goes_down_and_sets_the_bound() {
    let mut drive = Drive::steady().to(State::Up, BDP);
    drive.lose(1, MTU, BDP * 5 / 4);
    drive.lose(3, 2 * MTU, BDP * 5 / 4);
    assert_eq!(drive.bbr.state, State::Up, "two losses may be random");
    drive.lose(5, 3 * MTU, BDP * 5 / 4);
    assert_eq!(drive.bbr.state, State::Down);
    let bound = drive.bbr.model.inflight_long;
    assert!((BDP * 6 / 5..BDP * 5 / 4).contains(&bound), "{bound}");
    drive.round(RATE, BDP);
    assert!(drive.bbr.window() <= bound);
}

#[test]
fn the_bound_is_never_less_than_seven_tenths_of_the_target() {
    let mut drive = Drive::steady().to(State::Up, BDP);
    drive.lose(1, MTU, 4 * MTU);
    drive.lose(3, 2 * MTU, 4 * MTU);
    drive.lose(5, 3 * MTU, 4 * MTU);
    let bound = drive.bbr.model.inflight_long;
    assert!((BDP * 69 / 100..=BDP * 71 / 100).contains(&bound), "{bound}");
}

#[test]
fn r_5_a_probe_resumes_after_a_spurious_loss() {
    let mut drive = Drive::steady().to(State::Up, BDP);
    drive.lose(1, MTU, BDP);
    drive.lose(3, 2 * MTU, BDP);
    drive.lose(5, 3 * MTU, BDP);
    assert_eq!(drive.bbr.state, State::Down);
    drive.bbr.on_spurious(drive.now);
    assert_eq!(drive.bbr.state, State::Refill);
    assert_eq!(drive.bbr.model.inflight_long, UNBOUNDED);
}

#[test]
fn r_9_a_mark_ends_a_probe() {
    let mut drive = Drive::steady().to(State::Up, BDP);
    drive.bbr.on_marked(drive.now, drive.now);
    assert_eq!(drive.bbr.state, State::Down);
}

#[test]
fn the_minimum_rtt_is_probed_every_ten_seconds() {
    let mut drive = Drive::steady().to(State::ProbeRtt, BDP);
    assert!(drive.now > Time::from_micros(10_000_000));
    let half = BDP / 2;
    drive.round(RATE, BDP);
    assert!((half * 9 / 10..=half).contains(&drive.bbr.window()), "{}", drive.bbr.window());
    let began = drive.now;
    while drive.bbr.state == State::ProbeRtt {
        drive.round(RATE / 2, half / 2);
    }
    let took = drive.now.since(began);
    assert!((200..300).contains(&took.as_millis()), "{took:?}");
    assert!(drive.bbr.window() > BDP, "the window is restored: {}", drive.bbr.window());
    assert!(drive.bbr.model.bw > RATE as f64 * 0.9, "its rates are ignored");
}

#[test]
fn a_sender_limited_by_its_application_is_not_probed_for_the_rtt_it_measures() {
    let mut drive = Drive::steady();
    let until = drive.now + Duration::from_secs(30);
    while drive.now < until {
        drive.round_with(RATE, BDP / 4, |ack| ack.app_limited = true);
        assert_ne!(drive.bbr.state, State::ProbeRtt);
    }
}

#[test]
fn an_idle_period_needs_no_rtt_probe() {
    let mut drive = Drive::steady();
    drive.now += Duration::from_secs(20);
    drive.bbr.on_sent(drive.now, 0);
    drive.round(RATE, BDP);
    assert_ne!(drive.bbr.state, State::ProbeRtt);
}

#[test]
fn rfc_9002_7_6_persistent_congestion_leaves_a_packet_more_than_is_in_flight() {
    let mut drive = Drive::steady();
    let event = LossEvent { newest: drive.now, persistent: true };
    drive.bbr.on_loss(drive.now, &event, 10 * MTU);
    assert_eq!(drive.bbr.window(), 11 * MTU);
}

#[test]
fn the_rate_is_one_percent_below_the_bandwidth() {
    let drive = Drive::steady().to(State::Cruise, BDP / 2);
    let rate = drive.bbr.pacing_rate(&Rtt::default());
    assert_eq!(rate, RATE / 100 * 99);
}

/// Returns a controller whose round trips take half as long again as the path.
fn queued(state: State) -> Drive {
    let mut drive = Drive::steady().to(state, BDP);
    for _ in 0..40 {
        drive.path.update(RTT * 3 / 2, Duration::ZERO);
    }
    drive.round(RATE, BDP * 5 / 4);
    assert!(drive.bbr.model.loss.is_queued());
    drive
}

#[test]
fn one_loss_in_a_queue_is_congestion_and_bounds_the_window_like_cubics() {
    let mut drive = queued(State::Cruise);
    let mut quiet = Drive::steady().to(State::Cruise, BDP);
    for drive in [&mut drive, &mut quiet] {
        drive.lose(1, MTU, BDP * 5 / 4);
        drive.round(RATE, BDP);
    }
    assert!(quiet.bbr.cubic.is_none(), "a random loss");
    assert!(
        (BDP * 85 / 100..BDP * 95 / 100).contains(&drive.bbr.window()),
        "{}",
        drive.bbr.window()
    );
}

#[test]
fn beside_others_cubic_sets_the_rate_and_alone_the_bandwidth_does() {
    let mut drive = queued(State::Cruise);
    drive.lose(1, MTU, BDP * 2);
    drive.round(RATE, BDP);
    let own = drive.bbr.cubic.as_ref().map_or(0, |cubic| cubic.pacing_rate(&drive.path));
    assert!(own > RATE, "{own}");
    assert!(drive.bbr.pacing_rate(&drive.path) < RATE, "alone it ends the queue");
    let mut drive = drive.to(State::Down, BDP * 2);
    while drive.bbr.state == State::Down && !drive.bbr.model.loss.is_contended() {
        drive.round(RATE, BDP * 2);
    }
    assert!(drive.bbr.pacing_rate(&drive.path) > RATE, "{}", drive.bbr.pacing_rate(&drive.path));
}

#[test]
fn a_path_that_loses_a_packet_in_twenty_at_random_is_used() {
    let mut drive = Drive::steady();
    let (mut number, mut rounds) = (0, 0);
    while rounds < 200 {
        for lost in 1..=2 {
            number += 20;
            drive.lose(number, lost * MTU, BDP);
        }
        drive.round_with(RATE, BDP / 2, |ack| {
            ack.lost_since = 2 * MTU;
            ack.tx_in_flight = BDP;
        });
        rounds += 1;
    }
    assert!(drive.bbr.model.bw > RATE as f64 * 0.99 && drive.bbr.cubic.is_none());
    assert!((0.04..0.06).contains(&drive.bbr.model.loss.usual()), "{:?}", drive.bbr.model.loss);
}
