//! The grid of goodput, queues and shares over paths, losses and rivals.
//!
//! The text is the same each time, whatever the speed of the machine.

use std::{fmt::Write as _, time::Duration};

use super::{Experiment, Flow, Shares, run};
use crate::{
    api::Congestion,
    link::{LinkConfig, Loss},
};

/// The seed of the first run of each cell.
const SEED: u64 = 0x61d;

/// Losses in percent; those after the first six come in bursts of eight packets on average.
const LOSSES: [(f64, bool); 9] = [
    (0.0, false),
    (0.1, false),
    (1.0, false),
    (2.0, false),
    (5.0, false),
    (10.0, false),
    (1.0, true),
    (5.0, true),
    (10.0, true),
];
const BURST: f64 = 8.0;

/// Time until the rate is found, and for the measurement; with several flows, for their shares to
/// converge: CUBIC's need half a minute.
const WARMUP: Duration = Duration::from_secs(3);
const SPAN: Duration = Duration::from_secs(10);
const WARMUP_SHARED: Duration = Duration::from_secs(30);
const SPAN_SHARED: Duration = Duration::from_secs(60);

/// The interval between the starts of flows.
const STAGGER: Duration = Duration::from_millis(500);

/// Seeds over which shares are averaged: a single run favours one flow or the other.
const SHARED_RUNS: u64 = 3;

/// A bottleneck: Mbit/s, milliseconds of round trip, queue in bandwidth-delay products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    rate: f64,
    rtt: f64,
    queue: f64,
}

const fn path(rate: f64, rtt: f64, queue: f64) -> Path {
    Path { rate, rtt, queue }
}

/// Paths of a single flow, from slow to fast.
const SINGLE: [Path; 13] = [
    path(1.0, 20.0, 5.0),
    path(10.0, 20.0, 1.0),
    path(10.0, 100.0, 1.0),
    path(20.0, 300.0, 1.0),
    path(50.0, 5.0, 1.0),
    path(100.0, 1.0, 1.0),
    path(100.0, 40.0, 0.2),
    path(100.0, 40.0, 1.0),
    path(100.0, 40.0, 5.0),
    path(100.0, 100.0, 1.0),
    path(1_000.0, 1.0, 1.0),
    path(1_000.0, 20.0, 1.0),
    path(1_000.0, 100.0, 1.0),
];

/// Paths that flows share.
const SHARED: [Path; 6] = [
    path(10.0, 40.0, 1.0),
    path(100.0, 40.0, 0.2),
    path(100.0, 40.0, 0.5),
    path(100.0, 40.0, 1.0),
    path(100.0, 40.0, 2.0),
    path(100.0, 40.0, 5.0),
];

/// The rows of a table that are compared in tests without optimization, where packets cost more
/// time.
const CHEAP_RATE: f64 = 10.0;

const HEAD: &str = "\
# Written by `cargo xtask sim --grid`; its slow paths are compared by a test. In virtual time.
#
# One flow, Ordered, for 10 s: Mbit/s, by loss in percent (in bursts of 8 packets: b), and the mean
# time in the queue without loss. A burst lasts for packets, not for a time: a flow that has stopped
# meets the rest of it probe by probe.
# Mbit/s  RTT ms  queue BDP            0    0.1      1      2      5     10     1b     5b    10b  ms
";

const SHARED_HEAD: &str = "
# Flows of `bbr` for 60 s after 30 s, the mean of three runs: the share of one beside one `cubic`,
# the larger share of two, the largest of eight beside the even one (1.0), in percent; and the mean
# time in the queue for two.
# Mbit/s  RTT ms  queue BDP   cubic    two   eight  ms
";

/// Returns the whole grid, or only its slow paths.
///
/// # Errors
/// If a flow cannot connect.
pub fn table(cheap: bool) -> Result<String, String> {
    let is_wanted = |path: &&Path| !cheap || path.rate <= CHEAP_RATE;
    let mut text = String::from(HEAD);
    for path in SINGLE.iter().filter(is_wanted) {
        for congestion in [Congestion::Bbr, Congestion::Cubic] {
            text.push_str(&single(*path, congestion)?);
        }
    }
    text.push_str(SHARED_HEAD);
    for path in SHARED.iter().filter(is_wanted) {
        text.push_str(&shared(*path)?);
    }
    Ok(text)
}

fn single(path: Path, congestion: Congestion) -> Result<String, String> {
    let mut row = title(path);
    let _ = write!(row, " {:<5}", congestion.name());
    let mut queued = Duration::ZERO;
    for (index, (percent, bursts)) in LOSSES.into_iter().enumerate() {
        let loss = loss(percent / 100.0, bursts);
        let experiment = experiment(path, loss, WARMUP, SPAN, SEED);
        let shares = run(&experiment, &[Flow::bulk(congestion)])?;
        if index == 0 {
            queued = shares.queued;
        }
        let _ = write!(row, " {:>6.2}", 8.0 * shares.total());
    }
    let _ = writeln!(row, " {:>5.1}", queued.as_secs_f64() * 1e3);
    Ok(row)
}

fn shared(path: Path) -> Result<String, String> {
    let (mut beside, mut two, mut eight, mut queued) = (0.0, 0.0, 0.0, Duration::ZERO);
    for seed in SEED..SEED + SHARED_RUNS {
        let experiment = experiment(path, Loss::None, WARMUP_SHARED, SPAN_SHARED, seed);
        let get = |rivals: &[Congestion]| run(&experiment, &flows(rivals));
        beside += part(&get(&[Congestion::Bbr, Congestion::Cubic])?, 0);
        let pair = get(&[Congestion::Bbr; 2])?;
        two += part(&pair, 0).max(part(&pair, 1));
        queued += pair.queued;
        let many = get(&[Congestion::Bbr; 8])?;
        eight += (0..8).map(|flow| part(&many, flow)).fold(0.0, f64::max) * 8.0 / 100.0;
    }
    let runs = SHARED_RUNS as f64;
    let mut row = title(path);
    let _ = writeln!(
        row,
        " {:>7.0} {:>6.0} {:>7.1} {:>5.1}",
        beside / runs,
        two / runs,
        eight / runs,
        queued.as_secs_f64() * 1e3 / runs
    );
    Ok(row)
}

fn title(path: Path) -> String {
    format!("{:>8} {:>7} {:>10}", path.rate, path.rtt, path.queue)
}

/// Returns the percentage of all goodput that a flow got.
fn part(shares: &Shares, flow: usize) -> f64 {
    shares.megabytes(flow) * 100.0 / shares.total().max(f64::MIN_POSITIVE)
}

fn flows(kinds: &[Congestion]) -> Vec<Flow> {
    let start = |index: usize| STAGGER * u32::try_from(index).unwrap_or_default();
    let flow =
        |(index, kind): (usize, &Congestion)| Flow { starts: start(index), ..Flow::bulk(*kind) };
    kinds.iter().enumerate().map(flow).collect()
}

fn loss(share: f64, bursts: bool) -> Loss {
    match (share, bursts) {
        (0.0, _) => Loss::None,
        (share, false) => Loss::Random(share),
        (share, true) => {
            let leave = 1.0 / BURST;
            Loss::Bursts { enter: share * leave / (1.0 - share), leave, in_good: 0.0, in_bad: 1.0 }
        }
    }
}

fn experiment(path: Path, loss: Loss, warmup: Duration, span: Duration, seed: u64) -> Experiment {
    let bytes = path.rate * 1e6 / 8.0;
    let rtt = Duration::from_secs_f64(path.rtt / 1e3);
    let back = LinkConfig { latency: rtt / 2, mtu: 1_472, ..LinkConfig::default() };
    let link = LinkConfig {
        loss,
        rate: Some(bytes as u64),
        queue: (bytes * rtt.as_secs_f64() * path.queue) as usize,
        ..back.clone()
    };
    Experiment { link, back, warmup, span, seed }
}
