//! Loss recovery and congestion control together, over a simulated bottleneck.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    time::Duration,
};

use super::{
    ack::PendingAcks,
    congestion::{Congestion, Controller},
    ecn::EcnMark,
    in_flight::{AckHeader, InFlight},
    pacing::Pacer,
    report::Report,
    rtt::Rtt,
    sent::SentPacket,
};
use crate::{time::Time, wire::level::Level};

const MTU: u16 = 1_200;

/// 10 Mbit/s, 40 ms, a buffer of one bandwidth-delay product.
const RATE: u64 = 1_250_000;
const BDP: u64 = RATE * 40 / 1_000;

#[derive(Clone, Copy)]
struct Path {
    rate: u64,
    one_way: Duration,
    buffer: u64,
    /// Per thousand: packets lost at random, and packets delayed by up to 5 ms.
    lost: u64,
    late: u64,
    /// The queue in bytes above which packets are marked.
    mark_above: u64,
}

const CLEAN: Path = Path {
    rate: RATE,
    one_way: Duration::from_millis(20),
    buffer: BDP,
    lost: 0,
    late: 0,
    mark_above: u64::MAX,
};

struct Ack {
    at: Time,
    header: AckHeader,
    ranges: Vec<RangeInclusive<u64>>,
}

/// One sender, one bottleneck, one receiver, in virtual time.
struct World {
    now: Time,
    chance: u64,
    path: Path,
    free_at: Time,
    to_receiver: BTreeMap<(Time, u64), Option<EcnMark>>,
    to_sender: VecDeque<Ack>,
    pending: PendingAcks,
    flight: InFlight,
    rtt: Rtt,
    controller: Controller,
    pacer: Pacer,
    report: Report,
    /// The bytes the application may still send.
    supply: u64,
    /// Packets delivered in each second.
    delivered: Vec<u64>,
    losses: u64,
    reductions: u64,
}

impl World {
    fn new(congestion: Congestion, path: Path, seed: u64) -> Self {
        let now = Time::ZERO;
        Self {
            now,
            chance: seed,
            path,
            free_at: now,
            to_receiver: BTreeMap::new(),
            to_sender: VecDeque::new(),
            pending: PendingAcks::new(Duration::from_millis(25)),
            flight: InFlight::new(),
            rtt: Rtt::default(),
            controller: Controller::new(congestion, now, usize::from(MTU), seed),
            pacer: Pacer::new(now, usize::from(MTU)),
            report: Report::default(),
            supply: u64::MAX,
            delivered: Vec::new(),
            losses: 0,
            reductions: 0,
        }
    }

    fn per_mille(&mut self) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.chance >> 33) % 1_000
    }

    fn run(&mut self, seconds: u64) -> &mut Self {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.send_all_allowed();
            self.now = self.next_event().min(end);
            self.receive();
            self.receive_ack();
            self.on_timer();
        }
        self
    }

    fn next_event(&mut self) -> Time {
        let mut next = vec![Time::from_micros(u64::MAX)];
        next.extend(self.to_receiver.keys().next().map(|(at, _)| *at));
        next.extend(self.to_sender.front().map(|ack| ack.at));
        next.extend(self.pending.deadline());
        next.extend(self.flight.loss_deadline());
        next.extend(self.flight.pto_deadline(&self.rtt, false));
        if self.supply > 0 && self.has_window() {
            next.push(self.pacer.next_time(self.now, usize::from(MTU)));
        }
        next.into_iter().min().unwrap().max(self.now)
    }

    fn has_window(&self) -> bool {
        self.flight.bytes_in_flight() + u64::from(MTU) <= self.controller.window()
    }

    fn send_all_allowed(&mut self) {
        while self.has_window() && self.pacer.may_send(self.now, usize::from(MTU)) {
            if self.supply == 0 {
                self.flight.on_app_limited();
                return;
            }
            self.supply -= 1;
            self.send();
        }
    }

    fn send(&mut self) {
        let number = self.flight.next_number();
        let frames = self.flight.lend_frames();
        let mut packet = SentPacket::new(number, Level::Data, self.now, MTU, frames);
        packet.marked = self.flight.marks();
        let mark = packet.marked.then_some(EcnMark::Ect0);
        self.controller.on_sent(self.now, self.flight.bytes_in_flight());
        self.flight.record(packet);
        self.pacer.on_sent(self.now, usize::from(MTU));
        let queue = self.free_at.since(self.now).as_micros() as u64 * self.path.rate / 1_000_000;
        if self.per_mille() < self.path.lost || queue + u64::from(MTU) > self.path.buffer {
            return;
        }
        let took = Duration::from_micros(u64::from(MTU) * 1_000_000 / self.path.rate);
        self.free_at = self.free_at.max(self.now) + took;
        let mut arrives = self.free_at + self.path.one_way;
        if self.per_mille() < self.path.late {
            arrives += Duration::from_micros(self.per_mille() * 5);
        }
        let mark = if queue > self.path.mark_above { mark.and(Some(EcnMark::Ce)) } else { mark };
        self.to_receiver.insert((arrives, number), mark);
    }

    fn receive(&mut self) {
        while let Some(entry) = self.to_receiver.first_entry()
            && entry.key().0 <= self.now
        {
            let ((_, number), mark) = entry.remove_entry();
            let smoothed = self.rtt.smoothed();
            self.pending.on_packet(self.now, number, Level::Data, true, mark, smoothed);
            let second = (self.now.as_micros() / 1_000_000) as usize;
            self.delivered.resize(self.delivered.len().max(second + 1), 0);
            self.delivered[second] += 1;
        }
        if self.pending.is_due(self.now, Level::Data) {
            let delay = self.pending.delay(self.now, Level::Data);
            let header = AckHeader { level: Level::Data, delay, ecn: self.pending.ecn() };
            let ranges: Vec<_> = self.pending.ranges(Level::Data).collect();
            assert!(ranges.len() <= 64);
            self.pending.on_ack_written(Level::Data);
            self.to_sender.push_back(Ack { at: self.now + self.path.one_way, header, ranges });
        }
    }

    fn receive_ack(&mut self) {
        while self.to_sender.front().is_some_and(|ack| ack.at <= self.now) {
            let ack = self.to_sender.pop_front().unwrap();
            self.report.clear();
            self.flight
                .on_ack(self.now, &ack.header, ack.ranges, &mut self.rtt, &mut self.report)
                .unwrap();
            self.apply();
        }
    }

    fn on_timer(&mut self) {
        if self.flight.loss_deadline().is_some_and(|due| due <= self.now) {
            self.report.clear();
            self.flight.detect_lost(self.now, &mut self.rtt, &mut self.report);
            self.apply();
        }
        if self.flight.pto_deadline(&self.rtt, false).is_some_and(|due| due <= self.now) {
            (0..self.flight.on_pto()).for_each(|_| self.send());
        }
    }

    fn apply(&mut self) {
        let before = self.controller.window();
        let flight = self.flight.bytes_in_flight();
        self.controller.on_report(self.now, &self.report, &self.rtt, flight);
        self.losses += self.report.lost_packets.len() as u64;
        self.reductions += u64::from(self.controller.window() < before);
        let rate = self.controller.pacing_rate(&self.rtt);
        self.pacer.set_rate(self.now, rate, usize::from(MTU));
    }

    /// Returns the utilisation of the link in percent, from the first to the last second.
    fn used(&self) -> u64 {
        let bytes = self.delivered.iter().sum::<u64>() * u64::from(MTU);
        bytes * 100 / (self.path.rate * self.delivered.len() as u64)
    }

    /// Returns the utilisation of the worst second after the first two, in percent.
    fn worst(&self) -> u64 {
        let least = self.delivered.iter().skip(2).min().unwrap();
        least * u64::from(MTU) * 100 / self.path.rate
    }
}

fn used(congestion: Congestion, path: Path) -> (u64, u64) {
    let mut world = World::new(congestion, path, 7);
    world.run(30);
    (world.used(), world.worst())
}

#[test]
fn cubic_fills_a_clean_link_and_never_falls_silent() {
    let (used, worst) = used(Congestion::Cubic, CLEAN);
    assert!(used >= 85 && worst >= 60, "{used} {worst}");
}

#[test]
fn bbr_fills_a_clean_link_and_never_falls_silent() {
    let (used, worst) = used(Congestion::Bbr, CLEAN);
    assert!(used >= 85 && worst >= 60, "{used} {worst}");
}

//
#[test]
fn bbr_tolerates_two_percent_loss_and_cubic_does_not() {
    let lossy = Path { lost: 20, ..CLEAN };
    for seed in 1..=4 {
        let mut bbr = World::new(Congestion::Bbr, lossy, seed);
        bbr.run(30);
        assert!(bbr.used() >= 60 && bbr.worst() >= 20, "{} {}", bbr.used(), bbr.worst());
    }
    let (cubic, _) = used(Congestion::Cubic, lossy);
    assert!(cubic < 40, "{cubic}");
}

// loss below its threshold costs little, though nearly every round has some.
#[test]
fn bbr_loses_little_at_half_a_percent_loss_and_a_fifth_at_one_percent() {
    let path = Path { rate: 2 * RATE, one_way: Duration::from_millis(25), ..CLEAN };
    for (lost, least) in [(5, 90), (10, 74)] {
        for seed in 1..=4 {
            let mut world =
                World::new(Congestion::Bbr, Path { lost, buffer: 128 << 10, ..path }, seed);
            world.run(60);
            assert!(world.used() >= least, "{lost} of 1,000: {}", world.used());
        }
    }
}

/// Returns the window in packets that random loss allows: CUBIC's response function (RFC 9438
/// section 5.1), or Reno's where that is more, with its timeouts (Padhye and others, 1998).
fn law(lost: f64, rtt: f64, timeout: f64) -> f64 {
    let cubic = 1.054 * (rtt / lost).powf(0.75);
    let timeouts = 1_f64.min(3.0 * (3.0 * lost / 8.0).sqrt()) * lost;
    let fast = (2.0 * lost / 3.0).sqrt();
    let reno = 1.0 / (fast + timeout / rtt * timeouts * (1.0 + 32.0 * lost * lost));
    cubic.max(reno)
}

// where loss is the limit, nothing else limits the rate: neither the pacer, nor sparse
// ACKs, nor probe timeouts.
#[test]
fn cubic_reaches_the_rate_of_its_response_function() {
    for (millis, per_mille) in [(300, 5), (300, 1), (100, 2), (30, 1), (25, 10), (25, 50)] {
        let one_way = Duration::from_millis(millis);
        let wide = Path { rate: 12_500_000, one_way, buffer: 1 << 30, lost: per_mille, ..CLEAN };
        let rtt = 2.0 * one_way.as_secs_f64();
        let mut packets = 0;
        for seed in 1..=3 {
            let mut world = World::new(Congestion::Cubic, wide, seed);
            world.run(300);
            packets += world.delivered.iter().sum::<u64>();
        }
        let window = packets as f64 / 900.0 * rtt;
        let allowed = law(per_mille as f64 / 1e3, rtt, 2.0 * rtt);
        let share = window / allowed;
        assert!((0.8..1.4).contains(&share), "{millis} ms: {window:.1} of {allowed:.1}");
    }
}

//
#[test]
fn r_8_fixed_keeps_its_rate_through_loss() {
    let rate = RATE / 2;
    let lossy = Path { lost: 50, ..CLEAN };
    let (used, worst) = used(Congestion::Fixed { rate }, lossy);
    assert!((46..=50).contains(&used) && worst >= 45, "{used} {worst}");
}

#[test]
fn a_shallow_buffer_is_enough() {
    let shallow = Path { buffer: BDP / 4, ..CLEAN };
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let (used, worst) = used(congestion, shallow);
        assert!(used >= 70 && worst >= 50, "{used} {worst}");
    }
}

//
#[test]
fn r_5_packets_out_of_order_do_not_cost_the_window() {
    let jumbled = Path { late: 100, ..CLEAN };
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let (used, worst) = used(congestion, jumbled);
        assert!(used >= 85 && worst >= 60, "{used} {worst}");
    }
}

#[test]
fn r_9_marks_keep_the_queue_short_without_a_loss() {
    let marking = Path { buffer: 8 * BDP, mark_above: BDP / 2, ..CLEAN };
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let mut world = World::new(congestion, marking, 7);
        world.run(20);
        assert_eq!(world.losses, 0);
        assert!(world.reductions > 0 && world.flight.marks());
        assert!(world.used() >= 80, "{} {}", congestion.name(), world.used());
    }
}

#[test]
fn traffic_recovers_from_an_outage() {
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let mut world = World::new(congestion, CLEAN, 7);
        world.run(5);
        world.path.lost = 1_000;
        world.run(5);
        world.path.lost = 0;
        world.run(10);
        let last = &world.delivered[15..];
        let used = last.iter().sum::<u64>() * u64::from(MTU) * 100 / (RATE * last.len() as u64);
        assert!(used >= 85, "{} {used}", congestion.name());
    }
}

#[test]
fn a_slower_link_is_learnt() {
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let mut world = World::new(congestion, CLEAN, 7);
        world.run(10);
        world.path.rate = RATE / 4;
        world.run(20);
        let last: u64 = world.delivered[20..].iter().sum();
        let seconds = world.delivered.len() as u64 - 20;
        let used = last * u64::from(MTU) * 100 / (RATE / 4 * seconds);
        assert!(used >= 85, "{} {used}", congestion.name());
    }
}

#[test]
fn rfc_9002_7_8_an_application_that_sends_little_gets_no_large_window() {
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let mut world = World::new(congestion, CLEAN, 7);
        world.supply = 0;
        let first = world.controller.window();
        for _ in 0..30 {
            world.supply += 4;
            world.run(1);
        }
        let window = world.controller.window();
        assert!(window <= 2 * first, "{} {window}", congestion.name());
        assert_eq!(world.losses, 0);
    }
}

#[test]
fn every_packet_is_acknowledged_or_lost_in_the_end() {
    for congestion in [Congestion::Cubic, Congestion::Bbr, Congestion::Fixed { rate: RATE }] {
        let mut world = World::new(congestion, Path { lost: 100, late: 100, ..CLEAN }, 7);
        world.supply = 3_000;
        world.run(60);
        assert_eq!((world.supply, world.flight.bytes_in_flight()), (0, 0));
        assert!(!world.flight.is_waiting());
    }
}
