//! The golden table of goodput and latency per path and class, which makes changes visible.
//!
//! The text is the same each time, whatever the speed of the machine.

use std::{fmt::Write as _, time::Duration};

use crate::{
    action::Action,
    api::{ChannelId, Class, Congestion, Time},
    ends::{Planned, Reader, Record, Side, State},
    link::{LinkConfig, Loss},
    network::HostId,
    oracle::Violation,
    presets::Preset,
    trace::Trace,
    world::{HostConfig, World},
};

/// Bulk: messages of this size, as many as the queue takes, up to this amount or for this long.
const BULK_MESSAGE: usize = 64 << 10;
const BULK_BYTES: usize = 16 << 20;
/// Long enough that later losses, and not the first ones, dominate.
const BULK_TIME: Duration = Duration::from_secs(100);
/// The send queue, half of which one class and channel may use: small, so that the application is
/// limited by the rate.
const BULK_QUEUE: usize = 2 << 20;
/// For Latest only the newest message counts: these are sent at the pace of a game.
const STATE_MESSAGE: usize = 16 << 10;
const STATE_EACH: Duration = Duration::from_millis(20);
/// Small messages: this size, this often, for this long.
const SMALL_MESSAGE: usize = 200;
const SMALL_EACH: Duration = Duration::from_millis(20);
const SMALL_COUNT: u32 = 500;

/// Runs per row of small messages, because one burst of loss more or less moves the slowest.
const SMALL_WORLDS: u64 = 5;

/// The seed of the first run.
const SEED: u64 = 0x601d;
/// The time limit of Deadline messages.
const DEADLINE: Duration = Duration::from_secs(1);
/// Time after the last message for those still in transit.
const TAIL: Duration = Duration::from_secs(10);

/// Returns the whole table.
///
/// # Errors
/// A violation during a run.
pub fn table() -> Result<String, Violation> {
    let mut text = String::from(HEAD);
    for preset in Preset::ALL {
        for class in Class::ALL {
            let bulk = bulk(preset.up(), preset.down(), Congestion::default(), class)?;
            let small = small(preset, class)?;
            let _ = writeln!(
                text,
                "{:<10} {:<10} {:>9.2} {:>5.1} % | {:>8.1} {:>8.1} {:>5.1} %",
                preset.name(),
                format!("{class:?}"),
                bulk.mbit_per_second,
                bulk.delivered,
                small.median,
                small.worst,
                small.delivered
            );
        }
    }
    text.push_str(LOSS_HEAD);
    for (name, congestion) in [("cubic", Congestion::Cubic), ("bbr", Congestion::Bbr)] {
        let _ = write!(text, "{name:<10}");
        for percent in [0.0, 1.0, 5.0] {
            let link = lossy(percent / 100.0);
            let bulk = bulk(link.clone(), link, congestion, Class::Ordered)?;
            let _ = write!(text, " {:>9.2}", bulk.mbit_per_second);
        }
        text.push('\n');
    }
    text.push_str(LAW_HEAD);
    for (name, link) in lossy_paths() {
        let bulk = bulk(link.clone(), link.clone(), Congestion::Cubic, Class::Reliable)?;
        let _ = writeln!(text, "{name:<24} {:>9.2} {:>9.2}", bulk.mbit_per_second, law(&link));
    }
    Ok(text)
}

/// Returns paths on which random loss, and not the link, limits `cubic`.
fn lossy_paths() -> [(&'static str, LinkConfig); 4] {
    [
        ("lte", Preset::Lte.down()),
        ("satellite", Preset::Satellite.down()),
        ("20 Mbit/s, 50 ms, 1 %", lossy(0.01)),
        ("20 Mbit/s, 50 ms, 5 %", lossy(0.05)),
    ]
}

/// Returns the Mbit/s of the window that random loss allows: CUBIC's response function (RFC 9438
/// section 5.1), or Reno's where that is more, with its timeouts (Padhye and others, 1998).
fn law(link: &LinkConfig) -> f64 {
    const HEADERS: usize = 13 + 16 + 12;
    let lost = link.loss.mean();
    let rtt = (2 * link.latency + link.jitter).as_secs_f64();
    // The RTT, four times its variation, and the peer's delay: about two RTTs.
    let timeouts = 2.0 * (3.0 * (3.0 * lost / 8.0).sqrt()).min(1.0) * lost;
    let reno = 1.0 / ((2.0 * lost / 3.0).sqrt() + timeouts * (1.0 + 32.0 * lost * lost));
    let cubic = 1.054 * (rtt / lost).powf(0.75);
    let bytes = reno.max(cubic) * (link.mtu - HEADERS) as f64;
    bytes * 8.0 / rtt / 1e6
}

const HEAD: &str = "\
# Written by `cargo xtask sim --golden`, compared by a test. In virtual time.
# Bulk: 64 KiB messages down, as fast as they are taken (Latest: 16 KiB each 20 ms).
# Small: 200 bytes each 20 ms down, in five worlds.
# Congestion control is the default, bbr. Deadline messages have 1 s.
#
#                     bulk: Mbit/s  there | small: p50 ms   p99 ms  there
";
const LOSS_HEAD: &str = "
# Bulk, Ordered, Mbit/s, on 20 Mbit/s with 25 ms each way, by random loss each way:
#               0 %       1 %       5 %
";
const LAW_HEAD: &str = "
# The same with cubic, Reliable, beside what its response function allows at that loss and RTT:
#                          is       law
";

fn lossy(share: f64) -> LinkConfig {
    LinkConfig {
        latency: Duration::from_millis(25),
        loss: Loss::Random(share),
        mtu: 1_472,
        rate: Some(20_000_000 / 8),
        queue: 128 << 10,
        ..LinkConfig::default()
    }
}

/// A measured flow of large messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bulk {
    /// Payload only, from the first `send` to the last delivery.
    pub mbit_per_second: f64,
    /// The share of messages delivered out of those accepted for sending, in percent.
    pub delivered: f64,
}

/// A measured flow of small messages; milliseconds from `send` to delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Small {
    /// Half arrive sooner.
    pub median: f64,
    /// 99 of 100 arrive sooner.
    pub worst: f64,
    /// In percent.
    pub delivered: f64,
}

/// Sends as much as possible from the server to the client.
///
/// # Errors
/// A violation during the run.
pub fn bulk(
    up: LinkConfig,
    down: LinkConfig,
    congestion: Congestion,
    class: Class,
) -> Result<Bulk, Violation> {
    let (mut world, client) = connected(SEED, up, down, congestion)?;
    let start = world.now;
    let (size, each, count) = match class {
        Class::Latest => (STATE_MESSAGE, STATE_EACH, 500),
        _ => (BULK_MESSAGE, Duration::ZERO, (BULK_BYTES / BULK_MESSAGE) as u32),
    };
    plan_flow(&mut world, client, class, size, each, count);
    let end = start + BULK_TIME;
    let wanted = BULK_BYTES / BULK_MESSAGE;
    world.run(end, |world| {
        class != Class::Latest && world.log.as_ref().is_some_and(|log| log.len() >= wanted)
    })?;
    let log = world.log.take().unwrap_or_default();
    // If credited messages did not all arrive, they took all of the time.
    let is_done = !class.is_credited() || log.len() >= wanted;
    let last = log.last().filter(|_| is_done).map_or(end, |record| record.at);
    let bytes: usize = log.iter().map(|record| record.delivered.len).sum();
    let tried = world.newest_end(client, Side::Server).map_or(0, |id| world.sent_by(id));
    Ok(Bulk {
        mbit_per_second: bytes as f64 * 8.0 / last.since(start).as_secs_f64() / 1e6,
        delivered: percent(log.len(), tried as usize),
    })
}

/// Sends small messages from the server to the client at a steady rate.
///
/// # Errors
/// A violation during the run.
pub fn small(preset: Preset, class: Class) -> Result<Small, Violation> {
    let mut times: Vec<f64> = Vec::new();
    for seed in SEED..SEED + SMALL_WORLDS {
        let (up, down) = (preset.up(), preset.down());
        let (mut world, client) = connected(seed, up, down, Congestion::default())?;
        plan_flow(&mut world, client, class, SMALL_MESSAGE, SMALL_EACH, SMALL_COUNT);
        world.run_for(SMALL_EACH * SMALL_COUNT + TAIL)?;
        times.extend(world.log.take().unwrap_or_default().iter().map(milliseconds));
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(f64::NAN);
    let delivered = percent(times.len(), SMALL_WORLDS as usize * SMALL_COUNT as usize);
    Ok(Small { median: at(50), worst: at(99), delivered })
}

fn milliseconds(record: &Record) -> f64 {
    record.delivered.latency.as_secs_f64() * 1e3
}

fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// Returns a client and a server that have been connected for a second.
fn connected(
    seed: u64,
    up: LinkConfig,
    down: LinkConfig,
    congestion: Congestion,
) -> Result<(World, HostId), Violation> {
    let mut world = World::new(seed, Trace::off());
    let mut config = HostConfig::server().with(congestion);
    config.transport.send_queue = BULK_QUEUE;
    let server = world.add_host(config);
    let client = world.add_host(HostConfig::client().with(congestion));
    world.join(client, server, up, down);
    world.excused_until = Time::from_micros(u64::MAX);
    for _ in 0..5 {
        let readers = [Reader::Prompt; 2];
        let now = world.now;
        world.plan(now, Action::Connect { client, server, readers, early: Vec::new() });
        world.run(now + Duration::from_secs(12), |world| is_open(world, client))?;
        if is_open(&world, client) {
            world.run_for(Duration::from_secs(1))?;
            world.log = Some(Vec::new());
            return Ok((world, client));
        }
    }
    Err("no connection in five attempts".to_owned())
}

fn is_open(world: &World, client: HostId) -> bool {
    let end = world.newest_end(client, Side::Server);
    end.is_some_and(|id| matches!(world.state(id), State::Open))
}

fn plan_flow(
    world: &mut World,
    client: HostId,
    class: Class,
    size: usize,
    each: Duration,
    count: u32,
) {
    let delivery = class.delivery(DEADLINE);
    let planned = Planned { channel: ChannelId(0), delivery, size, repeatable: false };
    for index in 0..count {
        world.plan(world.now + each * index, Action::Send(client, Side::Server, planned));
    }
}
