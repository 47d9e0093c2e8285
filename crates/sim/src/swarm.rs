//! A random run: one seed determines hosts, links, messages and faults.
//!
//! In: a seed. Out: `Ok`, or the first violation. Never: two runs of a seed that differ.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::{
    action::Action,
    api::{ChannelId, Class, Congestion, Delivery, Retry, Time, TransportConfig},
    attack::{Attack, Attacker},
    ends::{Planned, Reader, Side},
    link::{EcnTreatment, LinkConfig, Loss},
    network::{HostId, Move},
    oracle::Violation,
    presets::Preset,
    rng::Rng,
    trace::Trace,
    world::{HostConfig, World},
};

/// The result of a seed.
#[derive(Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// The first violation.
    pub result: Result<(), Violation>,
    /// The trace, if requested.
    pub trace: Vec<String>,
    /// Datagrams sent by hosts.
    pub packets: u64,
    /// Messages delivered.
    pub messages: u64,
    /// The duration in virtual time.
    pub virtual_time: Duration,
}

/// Runs one seed. A panic counts as a violation.
#[must_use]
pub fn run(seed: u64, traced: bool) -> Run {
    let trace = if traced { Trace::on() } else { Trace::off() };
    let mut world = World::new(seed, trace);
    let start = world.now;
    let played = catch_unwind(AssertUnwindSafe(|| Swarm::draw(&mut world).play(&mut world)));
    let result = played.unwrap_or_else(|panic| Err(format!("panic: {}", panic_text(&*panic))));
    if let Err(violation) = &result {
        world.trace.line(world.now, "oracle", || format!("VIOLATION: {violation}"));
    }
    Run {
        seed,
        result,
        trace: world.trace.lines().to_vec(),
        packets: world.network.stats().sent,
        messages: world.oracle.deliveries(),
        virtual_time: world.now.since(start),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The approximate number of bytes in all messages of a seed, which bounds its cost.
const BYTES: u64 = 2_500_000;
/// The size of the largest message.
const MAX_MESSAGE: u64 = 200_000;
/// The credit that a message costs besides its length (D-4).
const OVERHEAD: u64 = 64;

/// A random run.
#[derive(Debug)]
struct Swarm {
    rng: Rng,
    server: HostId,
    clients: Vec<HostId>,
    /// The duration of the faults.
    trouble: Duration,
    /// The largest message for which every window has room.
    largest: u64,
    /// The shared keys differ: no connection may ever be established.
    mismatch: bool,
}

impl Swarm {
    fn draw(world: &mut World) -> Self {
        let mut rng = world.rng.fork();
        let transport = draw_transport(&mut rng);
        let mut other = draw_transport(&mut rng);
        if rng.chance(0.5) {
            other = transport.clone();
        }
        let window = transport.channel_credit.min(other.channel_credit) - OVERHEAD;
        let queue = transport.send_queue.min(other.send_queue) as u64 - OVERHEAD;
        let shared = rng.chance(0.3).then(|| [rng.next() as u8; 32]);
        let mismatch = rng.chance(0.02);
        let server = HostConfig {
            retry: rng.pick(&[Retry::Never, Retry::UnderLoad, Retry::UnderLoad, Retry::Always]),
            max_half_open: rng.pick(&[16, 64, 1_000]),
            shared,
            transport,
            ..HostConfig::server()
        };
        // A different key, whatever was drawn.
        let another = shared.map_or([0xa5; 32], |key| key.map(|byte| !byte));
        let theirs = if mismatch { Some(another) } else { shared };
        let client = HostConfig { shared: theirs, transport: other, ..HostConfig::client() };
        let trouble = rng.span(Duration::from_millis(200), Duration::from_secs(12));
        let server = world.add_host(server);
        let count = rng.pick(&[1, 1, 1, 2, 2, 3, 4]);
        let clients: Vec<HostId> = (0..count).map(|_| world.add_host(client.clone())).collect();
        for client in &clients {
            let (mut up, mut down) = draw_links(&mut rng);
            for link in [&mut up, &mut down] {
                link.outages = draw_outages(&mut rng, world.now, trouble);
            }
            world.join(*client, server, up, down);
        }
        let largest = window.min(queue).min(MAX_MESSAGE);
        Self { rng, server, clients, trouble, largest, mismatch }
    }

    fn play(&mut self, world: &mut World) -> Result<(), Violation> {
        world.excused_until = Time::from_micros(u64::MAX);
        world.refused = self.mismatch;
        if self.rng.chance(0.5) {
            world.attacker = Some(self.draw_attacker());
        }
        self.plan_connections(world);
        self.plan_flows(world);
        self.plan_events(world);

        let end = world.now + self.trouble;
        world.run(end, |_| false)?;
        world.heal()?;
        if self.mismatch {
            return self.check_nothing_delivered(world);
        }
        // A handshake that times out does so within this; then all can connect again.
        world.run_for(Duration::from_secs(11))?;
        world.send_last_messages()?;
        world.converge()?;
        world.redial(self.server);
        world.run_for(Duration::from_secs(11))?;
        world.send_last_messages()?;
        world.converge()?;
        world.stay_idle(Duration::from_secs(20))?;
        world.close_all()
    }

    /// Checks that nothing was delivered without the shared key (M-10).
    fn check_nothing_delivered(&self, world: &mut World) -> Result<(), Violation> {
        world.run_for(Duration::from_secs(30))?;
        match world.oracle.deliveries() {
            0 => Ok(()),
            count => Err(format!("M-10: {count} messages delivered without the shared key")),
        }
    }

    fn draw_attacker(&mut self) -> Attacker {
        let kinds: Vec<Attack> = Attack::ALL.into_iter().filter(|_| self.rng.chance(0.4)).collect();
        let kinds = if kinds.is_empty() { Attack::ALL.to_vec() } else { kinds };
        let share = self.rng.pick(&[0.02, 0.1, 0.3, 1.0]);
        Attacker::new(self.rng.fork(), kinds, share)
    }

    /// Returns a random time while there are faults.
    fn some_time(&mut self, world: &World) -> Time {
        world.now + self.rng.span(Duration::ZERO, self.trouble)
    }

    fn some_side(&mut self) -> Side {
        self.rng.pick(&[Side::Client, Side::Server])
    }

    fn reader(&mut self) -> Reader {
        match self.rng.chance(0.75) {
            true => Reader::Prompt,
            false => {
                let each = (Duration::from_millis(1), Duration::from_millis(200));
                Reader::Slow(self.rng.span(each.0, each.1))
            }
        }
    }

    fn plan_connections(&mut self, world: &mut World) {
        let server = self.server;
        for client in self.clients.clone() {
            let dials = self.rng.pick(&[1, 1, 1, 2, 3]);
            let mut at = world.now + self.rng.span(Duration::ZERO, Duration::from_millis(500));
            for _ in 0..dials {
                let readers = [self.reader(), self.reader()];
                let early = self.draw_early();
                world.plan(at, Action::Connect { client, server, readers, early });
                at = at.max(self.some_time(world));
            }
        }
    }

    fn draw_early(&mut self) -> Vec<Planned> {
        if !self.rng.chance(0.3) {
            return Vec::new();
        }
        let count = self.rng.between(1, 5);
        let classes = Class::ALL;
        (0..count)
            .map(|_| {
                let class = self.rng.pick(&classes);
                let channel = ChannelId(self.rng.below(3) as u16);
                let delivery = self.delivery(class);
                let size = self.size_of(class, 5_000);
                Planned { channel, delivery, size, repeatable: true }
            })
            .collect()
    }

    fn delivery(&mut self, class: Class) -> Delivery {
        if class != Class::Deadline {
            return class.delivery(Duration::ZERO);
        }
        Delivery::Deadline(self.rng.span(Duration::from_millis(1), Duration::from_millis(1_500)))
    }

    fn size(&mut self) -> u64 {
        let size = match self.rng.below(10) {
            0 => self.rng.below(3),
            1..=5 => self.rng.between(1, 1_200),
            6 => self.rng.between(1_000, 1_500),
            7 | 8 => self.rng.between(1_000, 20_000),
            _ => self.rng.between(20_000, MAX_MESSAGE),
        };
        size.min(self.largest)
    }

    /// Messages too short for a number are indistinguishable, and so are their deadlines, and which
    /// of them was dropped.
    fn size_of(&mut self, class: Class, most: u64) -> usize {
        let least = if matches!(class, Class::Deadline | Class::Unreliable) { 4 } else { 0 };
        self.size().min(most).max(least) as usize
    }

    /// Schedules the flows: each of one class on one channel from one side, steady or in a burst.
    fn plan_flows(&mut self, world: &mut World) {
        let mut left = BYTES;
        for _ in 0..self.rng.between(1, 12) {
            let client = self.rng.pick(&self.clients);
            let side = self.some_side();
            let channel = ChannelId(self.rng.pick(&[0, 0, 1, 2, 65_535]));
            let class = self.rng.pick(&Class::ALL);
            let fixed = self.rng.chance(0.3).then(|| self.size_of(class, MAX_MESSAGE));
            let burst = self.rng.chance(0.3);
            let mut at = self.some_time(world);
            let gap = self.rng.span(Duration::ZERO, Duration::from_millis(100));
            if self.rng.chance(0.3) {
                let priority = self.rng.below(8) as u8;
                world.plan(at, Action::Priority(client, side, channel, priority));
            }
            for _ in 0..self.rng.between(1, 120) {
                let size = fixed.unwrap_or_else(|| self.size_of(class, MAX_MESSAGE));
                left = left.saturating_sub(size as u64);
                if left == 0 {
                    return;
                }
                let delivery = self.delivery(class);
                let planned = Planned { channel, delivery, size, repeatable: false };
                world.plan(at, Action::Send(client, side, planned));
                if !burst {
                    at += gap;
                }
            }
        }
    }

    fn plan_events(&mut self, world: &mut World) {
        let (client, side) = (self.rng.pick(&self.clients), self.some_side());
        for _ in 0..self.rng.pick(&[0, 0, 1, 4, 20]) {
            let (at, side) = (self.some_time(world), self.some_side());
            world.plan(at, Action::UpdateKeys(client, side));
        }
        for _ in 0..self.rng.pick(&[0, 0, 0, 1, 2, 10]) {
            let how = self.rng.pick(&[Move::Port, Move::Address]);
            let at = self.some_time(world);
            world.plan(at, Action::Move(client, how));
        }
        if self.rng.chance(0.1) {
            let at = self.some_time(world);
            world.plan(at, Action::Restart(self.server));
        }
        if self.rng.chance(0.1) {
            let at = self.some_time(world);
            world.plan(at, Action::Ping(client, side));
        }
        if self.rng.chance(0.1) {
            let at = self.some_time(world);
            world.plan(at, Action::Close(client, side));
        }
        if self.rng.chance(0.25) {
            let within = (Duration::from_millis(1), Duration::from_secs(60));
            let within = self.rng.span(within.0, within.1);
            let at = self.some_time(world);
            world.plan(at, Action::CloseGracefully(client, side, within));
            if self.rng.chance(0.5) {
                // Both sides close at about the same time.
                let apart = self.rng.span(Duration::ZERO, Duration::from_millis(300));
                world.plan(at + apart, Action::CloseGracefully(client, side.other(), within));
            }
        }
        if self.rng.chance(0.1) {
            let at = self.some_time(world);
            let count = self.rng.between(5, 60) as usize;
            world.plan(at, Action::Flood(self.server, count));
        }
    }
}

fn draw_transport(rng: &mut Rng) -> TransportConfig {
    let seconds = Duration::from_secs;
    let credit = rng.pick(&[20_000, 64 << 10, 300_000, 1 << 20, 16 << 20]);
    let rate = rng.between(20_000, 2_000_000);
    let fixed = Congestion::Fixed { rate };
    TransportConfig::default()
        .idle_timeout(rng.pick(&[None, Some(seconds(3)), Some(seconds(30)), Some(seconds(30))]))
        .keep_alive(rng.pick(&[None, None, Some(seconds(1)), Some(Duration::from_millis(300))]))
        .congestion(rng.pick(&[Congestion::Cubic, Congestion::Cubic, Congestion::Bbr, fixed]))
        .max_message(256 << 10)
        .send_queue(rng.pick(&[16 << 10, 128 << 10, 4 << 20]))
        .credit(credit)
        .channel_credit(credit.min(rng.pick(&[20_000, 64 << 10, 300_000, 4 << 20])))
        // Room for the largest message, and often for little more (D-2).
        .pool(rng.pick(&[MAX_MESSAGE as usize + 1_000, 4 << 20]))
        .max_mtu(rng.pick(&[1_200, 1_400, 1_472, 9_000, 65_507]))
        .max_ack_delay(Duration::from_millis(rng.pick(&[1, 10, 25, 25, 100])))
}

/// Returns a preset, or a random path.
fn draw_links(rng: &mut Rng) -> (LinkConfig, LinkConfig) {
    if rng.chance(0.5) {
        let preset = rng.pick(&Preset::ALL);
        return (preset.up(), preset.down());
    }
    let link = draw_link(rng);
    match rng.chance(0.5) {
        true => (link.clone(), link),
        false => (link, draw_link(rng)),
    }
}

fn draw_link(rng: &mut Rng) -> LinkConfig {
    let some = |rng: &mut Rng, share: f64| {
        if rng.chance(0.5) { 0.0 } else { share * rng.below(100) as f64 / 100.0 }
    };
    let ms = |rng: &mut Rng, most| rng.span(Duration::ZERO, Duration::from_millis(most));
    let loss = match rng.below(4) {
        0 => Loss::None,
        1 => Loss::Random(some(rng, 0.3)),
        2 => Loss::Bursts {
            enter: some(rng, 0.05),
            leave: 0.02 + some(rng, 0.5),
            in_good: 0.0,
            in_bad: 1.0,
        },
        _ => Loss::Random(0.01),
    };
    let rate = rng.pick(&[None, Some(50_000), Some(500_000), Some(5_000_000)]);
    LinkConfig {
        latency: ms(rng, 200),
        jitter: ms(rng, 50),
        loss,
        duplicate: some(rng, 0.2),
        reorder: some(rng, 0.3),
        reorder_by: ms(rng, 200),
        corrupt: some(rng, 0.1),
        mtu: rng.pick(&[1_200, 1_280, 1_400, 1_472, 8_952, 65_507]),
        rate,
        queue: rng.between(8_000, 500_000) as usize,
        ecn: rng.pick(&[
            EcnTreatment::Pass,
            EcnTreatment::Strip,
            EcnTreatment::MarkAbove(4_000),
            EcnTreatment::MarkAbove(40_000),
        ]),
        outages: Vec::new(),
    }
}

fn draw_outages(rng: &mut Rng, now: Time, trouble: Duration) -> Vec<(Time, Time)> {
    let count = rng.pick(&[0, 0, 0, 0, 1, 2]);
    (0..count)
        .map(|_| {
            let from = now + rng.span(Duration::ZERO, trouble);
            (from, from + rng.span(Duration::ZERO, Duration::from_secs(5)))
        })
        .collect()
}
