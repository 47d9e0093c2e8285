//! One direction of a path, which decides the fate of each packet.
//!
//! In: the time and length of a packet. Out: when, how often and in what state it arrives, or why
//! it does not. Never: the packet itself, or its destination.

use std::time::Duration;

use hikyaku_proto::time::Time;

use crate::rng::Rng;

/// The bytes that IPv4 and UDP headers add to a payload on a link with a rate.
const HEADERS: u64 = 28;

/// The behaviour of a link. All probabilities are from 0 to 1.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The minimum transit time.
    pub latency: Duration,
    /// Additional transit time, up to this, evenly distributed. Jitter alone does not reorder.
    pub jitter: Duration,
    /// Random loss.
    pub loss: Loss,
    /// The probability that a packet is duplicated.
    pub duplicate: f64,
    /// The probability that a packet is held back and overtaken by later ones.
    pub reorder: f64,
    /// The longest time it is held back.
    pub reorder_by: Duration,
    /// The probability that bits of a packet are flipped.
    pub corrupt: f64,
    /// The largest UDP payload that passes; larger ones are lost.
    pub mtu: usize,
    /// Bytes per second, including IP and UDP headers; `None` for no limit.
    pub rate: Option<u64>,
    /// The queue of a link with a rate, in bytes; packets that do not fit are lost.
    pub queue: usize,
    /// The treatment of ECN marks.
    pub ecn: EcnTreatment,
    /// Intervals in which nothing passes; the end is exclusive.
    pub outages: Vec<(Time, Time)>,
}

impl Default for LinkConfig {
    /// Returns a link without delay and loss.
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::None,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            corrupt: 0.0,
            mtu: 65_507,
            rate: None,
            queue: 0,
            ecn: EcnTreatment::Pass,
            outages: Vec::new(),
        }
    }
}

/// Loss in addition to the queue and the MTU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// No loss.
    None,
    /// Each packet with the same probability.
    Random(f64),
    /// The model of Gilbert and Elliott: the state, good or bad, may change with each packet.
    Bursts {
        /// The probability of changing from good to bad.
        enter: f64,
        /// The probability of changing from bad to good.
        leave: f64,
        /// The probability of loss in the good state.
        in_good: f64,
        /// The probability of loss in the bad state.
        in_bad: f64,
    },
}

impl Loss {
    /// Returns the long-term share of packets lost.
    #[must_use]
    pub fn mean(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Random(share) => share,
            Self::Bursts { enter, leave, in_good, in_bad } => {
                let bad = enter / (enter + leave);
                bad * in_bad + (1.0 - bad) * in_good
            }
        }
    }
}

/// The treatment of ECN marks (RFC 3168) on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnTreatment {
    /// Passes them.
    Pass,
    /// Removes them, as some paths do.
    Strip,
    /// Marks packets that wait behind more than this many bytes.
    MarkAbove(usize),
}

/// The reason why a packet did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// Random loss.
    Chance,
    /// In an outage.
    Outage,
    /// The queue was full.
    Queue,
    /// Larger than the MTU.
    Mtu,
}

/// The fate of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is lost.
    Lost(Lost),
    /// It arrives, possibly with a duplicate.
    Carried(Arrival, Option<Arrival>),
}

/// The arrival of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrives.
    pub at: Time,
    /// Some of its bits were flipped.
    pub corrupted: bool,
    /// It was held back so that others could overtake it.
    pub held_back: bool,
    /// It was marked for congestion.
    pub marked: bool,
}

/// A link in operation.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    /// The state of the Gilbert–Elliott model.
    bad: bool,
    /// The time in nanoseconds at which the accepted bytes have been sent.
    busy_until: u64,
    /// The latest arrival of a packet that was not held back: jitter does not overtake it.
    last_arrival: Time,
}

impl Link {
    /// Creates an idle link.
    #[must_use]
    pub const fn new(config: LinkConfig) -> Self {
        Self { config, bad: false, busy_until: 0, last_arrival: Time::ZERO }
    }

    /// Returns the configuration.
    #[must_use]
    pub const fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Changes the configuration; queued packets stay queued.
    pub fn set_config(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// Returns how long a packet that is sent now waits before the link takes it.
    #[must_use]
    pub fn backlog(&self, now: Time) -> Duration {
        let now = now.as_micros().saturating_mul(1_000);
        Duration::from_nanos(self.busy_until.saturating_sub(now))
    }

    /// Carries a packet of `len` bytes of UDP payload.
    pub fn carry(&mut self, now: Time, len: usize, rng: &mut Rng) -> Fate {
        if self.config.outages.iter().any(|(from, to)| (*from..*to).contains(&now)) {
            return Fate::Lost(Lost::Outage);
        }
        if len > self.config.mtu {
            return Fate::Lost(Lost::Mtu);
        }
        let Some((departure, marked)) = self.queue(now, len) else {
            return Fate::Lost(Lost::Queue);
        };
        if self.loses(rng) {
            return Fate::Lost(Lost::Chance);
        }
        let first = self.arrival(departure, marked, rng);
        let copied = rng.chance(self.config.duplicate);
        let copy = copied.then(|| self.arrival(departure, marked, rng));
        Fate::Carried(first, copy)
    }

    /// Returns when the packet has been sent, and whether it waited long enough to be marked.
    fn queue(&mut self, now: Time, len: usize) -> Option<(Time, bool)> {
        let Some(rate) = self.config.rate else {
            return Some((now, false));
        };
        let rate = rate.max(1);
        let start = self.busy_until.max(now.as_micros().saturating_mul(1_000));
        let waiting = u128::from(start - now.as_micros().saturating_mul(1_000));
        let backlog = (waiting * u128::from(rate) / 1_000_000_000) as u64;
        let size = len as u64 + HEADERS;
        // A packet that finds the link idle does not use the queue.
        if backlog > 0 && backlog + size > self.config.queue as u64 {
            return None;
        }
        let takes = u128::from(size) * 1_000_000_000 / u128::from(rate);
        self.busy_until = start.saturating_add(takes as u64);
        let marked = matches!(self.config.ecn,
            EcnTreatment::MarkAbove(above) if backlog > above as u64);
        Some((Time::from_micros(self.busy_until.div_ceil(1_000)), marked))
    }

    fn loses(&mut self, rng: &mut Rng) -> bool {
        match self.config.loss {
            Loss::None => false,
            Loss::Random(share) => rng.chance(share),
            Loss::Bursts { enter, leave, in_good, in_bad } => {
                let flips = rng.chance(if self.bad { leave } else { enter });
                self.bad ^= flips;
                rng.chance(if self.bad { in_bad } else { in_good })
            }
        }
    }

    fn arrival(&mut self, departure: Time, marked: bool, rng: &mut Rng) -> Arrival {
        let config = &self.config;
        let jitter = rng.span(Duration::ZERO, config.jitter);
        let corrupted = rng.chance(config.corrupt);
        let held_back = rng.chance(config.reorder);
        let mut at = departure + config.latency + jitter;
        if held_back {
            at += rng.span(Duration::ZERO, config.reorder_by);
        } else {
            at = at.max(self.last_arrival);
            self.last_arrival = at;
        }
        Arrival { at, corrupted, held_back, marked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Sends `count` packets of 1,000 bytes, one per `gap`.
    fn send(config: LinkConfig, count: u64, gap: Duration) -> Vec<Fate> {
        let mut rng = Rng::new(1);
        let mut link = Link::new(config);
        let mut now = Time::ZERO;
        (0..count)
            .map(|_| {
                now += gap;
                link.carry(now, 1_000, &mut rng)
            })
            .collect()
    }

    fn arrivals(fates: &[Fate]) -> Vec<Arrival> {
        let carried = |fate: &Fate| match *fate {
            Fate::Carried(arrival, _) => Some(arrival),
            Fate::Lost(_) => None,
        };
        fates.iter().filter_map(carried).collect()
    }

    fn lost(fates: &[Fate]) -> usize {
        fates.iter().filter(|fate| matches!(fate, Fate::Lost(_))).count()
    }

    #[test]
    fn random_loss_has_its_rate_and_no_bursts() {
        let config = LinkConfig { loss: Loss::Random(0.1), ..LinkConfig::default() };
        let fates = send(config, 100_000, MS);
        assert!((9_700..10_300).contains(&lost(&fates)), "{}", lost(&fates));
        assert!(mean_burst(&fates) < 1.2, "{}", mean_burst(&fates));
    }

    #[test]
    fn bursts_have_their_rate_and_length() {
        let loss = Loss::Bursts { enter: 0.01, leave: 0.1, in_good: 0.0, in_bad: 1.0 };
        let fates = send(LinkConfig { loss, ..LinkConfig::default() }, 100_000, MS);
        let share = lost(&fates) as f64 / 100_000.0;
        assert!((share - loss.mean()).abs() < 0.01, "{share} is not {}", loss.mean());
        assert!((mean_burst(&fates) - 10.0).abs() < 1.0, "{}", mean_burst(&fates));
    }

    fn mean_burst(fates: &[Fate]) -> f64 {
        let is_lost = |fate: &Fate| matches!(fate, Fate::Lost(_));
        let bursts = fates.windows(2).filter(|pair| !is_lost(&pair[0]) && is_lost(&pair[1]));
        lost(fates) as f64 / bursts.count() as f64
    }

    #[test]
    fn duplicates_and_damage_have_the_configured_rates() {
        let config = LinkConfig { duplicate: 0.05, corrupt: 0.02, ..LinkConfig::default() };
        let fates = send(config, 100_000, MS);
        let copies = fates.iter().filter(|fate| matches!(fate, Fate::Carried(_, Some(_)))).count();
        assert!((4_700..5_300).contains(&copies), "{copies}");
        let corrupted = arrivals(&fates).iter().filter(|arrival| arrival.corrupted).count();
        assert!((1_850..2_150).contains(&corrupted), "{corrupted}");
    }

    #[test]
    fn jitter_is_within_its_bounds_and_keeps_the_order() {
        let config = LinkConfig { latency: 20 * MS, jitter: 10 * MS, ..LinkConfig::default() };
        let arrivals = arrivals(&send(config, 10_000, MS));
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
        let taken = |(index, arrival): (u64, &Arrival)| {
            arrival.at.since(Time::from_micros((index + 1) * 1_000))
        };
        let times: Vec<Duration> = (0..).zip(&arrivals).map(taken).collect();
        assert!(times.iter().all(|time| (20 * MS..=30 * MS).contains(time)));
        assert!(times.iter().any(|time| *time < 22 * MS));
        assert!(times.iter().any(|time| *time > 29 * MS));
    }

    #[test]
    fn packets_held_back_are_overtaken() {
        let config = LinkConfig { reorder: 0.1, reorder_by: 5 * MS, ..LinkConfig::default() };
        let arrivals = arrivals(&send(config, 10_000, MS));
        let held = arrivals.iter().filter(|arrival| arrival.held_back).count();
        assert!((900..1_100).contains(&held), "{held}");
        let overtaken = arrivals.windows(2).filter(|pair| pair[0].at > pair[1].at).count();
        assert!(overtaken > 500, "{overtaken}");
        assert!(arrivals.windows(2).all(|pair| pair[0].held_back || pair[0].at <= pair[1].at));
    }

    #[test]
    fn a_rate_holds_and_its_queue_is_bounded() {
        // 1,028 bytes each at 102,800 bytes per second: 100 per second; sent at 1,000 per second.
        let config = LinkConfig { rate: Some(102_800), queue: 10_280, ..LinkConfig::default() };
        let fates = send(config, 10_000, MS);
        let arrivals = arrivals(&fates);
        assert!((995..=1_015).contains(&arrivals.len()), "{}", arrivals.len());
        assert!(fates.contains(&Fate::Lost(Lost::Queue)));
        let gaps = arrivals.windows(2).map(|pair| pair[1].at.since(pair[0].at));
        assert!(gaps.into_iter().all(|gap| gap >= 10 * MS - Duration::from_micros(1)));
        // The last one waited for at most the whole queue: 100 ms.
        let end = arrivals.last().unwrap().at;
        assert!(end.since(Time::from_micros(10_000_000)) <= 100 * MS);
    }

    #[test]
    fn an_idle_link_takes_a_packet_larger_than_its_queue() {
        let config = LinkConfig { rate: Some(1_000_000), queue: 10, ..LinkConfig::default() };
        assert_eq!(lost(&send(config, 10, 10 * MS)), 0);
    }

    #[test]
    fn a_full_queue_marks_before_it_drops() {
        let ecn = EcnTreatment::MarkAbove(3_000);
        let config =
            LinkConfig { rate: Some(102_800), queue: 10_280, ecn, ..LinkConfig::default() };
        let fates = send(config, 9, MS);
        let marked: Vec<bool> = arrivals(&fates).iter().map(|arrival| arrival.marked).collect();
        assert_eq!(marked, [false, false, false, false, true, true, true, true, true]);
    }

    #[test]
    fn packets_above_the_mtu_never_pass() {
        let config = LinkConfig { mtu: 999, ..LinkConfig::default() };
        assert!(send(config, 10, MS).iter().all(|fate| *fate == Fate::Lost(Lost::Mtu)));
        let config = LinkConfig { mtu: 1_000, ..LinkConfig::default() };
        assert_eq!(lost(&send(config, 10, MS)), 0);
    }

    #[test]
    fn an_outage_loses_everything_while_it_lasts() {
        let outages = vec![(Time::from_micros(3_000), Time::from_micros(6_000))];
        let fates = send(LinkConfig { outages, ..LinkConfig::default() }, 10, MS);
        let passed: Vec<bool> =
            fates.iter().map(|fate| *fate != Fate::Lost(Lost::Outage)).collect();
        assert_eq!(passed, [1, 1, 0, 0, 0, 1, 1, 1, 1, 1].map(|passed| passed == 1));
    }

    #[test]
    fn equal_seeds_give_equal_fates() {
        let config = LinkConfig {
            jitter: 3 * MS,
            loss: Loss::Random(0.2),
            duplicate: 0.1,
            reorder: 0.1,
            reorder_by: MS,
            corrupt: 0.1,
            ..LinkConfig::default()
        };
        assert_eq!(send(config.clone(), 1_000, MS), send(config, 1_000, MS));
    }
}
