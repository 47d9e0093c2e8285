//! What each member received, and when.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::cost::Cost;

/// Latencies are counted in milliseconds, the resolution of a message's id; the last slot counts
/// all longer ones.
const SLOTS: usize = 60_000;

/// The figures of all members together.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) deliveries: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Messages that the host refused.
    pub(super) refused: AtomicU64,
    latencies: Vec<AtomicU64>,
    began: OnceLock<Instant>,
    /// Nanoseconds from the beginning to the last delivery.
    last: AtomicU64,
}

/// What one member has received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// The number of the newest message.
    newest: u64,
    /// `false` if a number was not greater than the one before.
    pub(super) in_order: bool,
    /// A digest of all numbers, in their order.
    pub(super) chain: u64,
}

impl Default for Figures {
    fn default() -> Self {
        let counter = || AtomicU64::new(0);
        Self {
            deliveries: counter(),
            bytes: counter(),
            refused: counter(),
            latencies: (0..SLOTS).map(|_| counter()).collect(),
            began: OnceLock::new(),
            last: counter(),
        }
    }
}

impl Figures {
    pub(super) fn began(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// Counts a message of `len` bytes that its author sent at `at`, in milliseconds since 1970.
    pub(super) fn count(&self, at: u64, len: usize) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
        let slot = (millis_now().saturating_sub(at) as usize).min(SLOTS - 1);
        self.latencies[slot].fetch_add(1, Ordering::Relaxed);
        if let Some(began) = self.began.get() {
            let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.last.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    /// Returns the latency in milliseconds below which a share of all deliveries are.
    fn percentile(&self, share: f64) -> usize {
        let all = self.deliveries.load(Ordering::Relaxed) as f64;
        let mut sum = 0;
        let passed = self.latencies.iter().position(|slot| {
            sum += slot.load(Ordering::Relaxed);
            sum as f64 >= all * share
        });
        passed.unwrap_or(SLOTS)
    }

    /// Prints latencies, if there are any.
    pub(super) fn print_latency(&self, of: &str) {
        if self.deliveries.load(Ordering::Relaxed) > 0 {
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| self.percentile(share));
            println!("{of}: p50 {p50} ms, p99 {p99} ms, p99.9 {p999} ms");
        }
    }

    pub(super) fn print(&self, sent: u64, cost: &Cost, peak: f64) {
        let deliveries = self.deliveries.load(Ordering::Relaxed);
        let span = Duration::from_nanos(self.last.load(Ordering::Relaxed)).as_secs_f64();
        let share = |busy: Duration| 100.0 * busy.as_secs_f64() / cost.time.as_secs_f64();
        let per_delivery = cost.server.as_nanos() as f64 / deliveries.max(1) as f64;
        let refused = self.refused.load(Ordering::Relaxed);
        println!("{sent} messages sent, {refused} refused, {deliveries} deliveries in {span:.1} s");
        println!(
            "{:.0} deliveries/s, {:.1} MB/s, {:.0} bytes each",
            deliveries as f64 / span,
            self.bytes.load(Ordering::Relaxed) as f64 / span / 1e6,
            self.bytes.load(Ordering::Relaxed) as f64 / deliveries.max(1) as f64,
        );
        self.print_latency("latency");
        println!(
            "processor: host {:.0} % of a core, {per_delivery:.0} ns per delivery; members {:.0} %",
            share(cost.server),
            share(cost.client),
        );
        println!("memory of the host: {:.0} MiB at most", peak / 1024.0);
    }
}

impl Heard {
    pub(super) const fn nothing() -> Self {
        Self { newest: 0, in_order: true, chain: 0xcbf2_9ce4_8422_2325 }
    }

    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn note(&mut self, seq: u64) {
        self.in_order &= seq > self.newest;
        self.newest = seq;
        self.chain = (self.chain ^ seq).wrapping_mul(0x0100_0000_01b3);
    }
}

pub(super) fn millis_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
