//! Flows and their experiment: what is sent on which path, and the results.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    api::{Congestion, Delivery},
    link::LinkConfig,
};

/// What a flow sends.
#[derive(Clone, Copy, Debug)]
pub enum Traffic {
    /// Ordered messages, as many as the queue takes.
    Bulk,
    /// Messages of one class at a steady pace.
    Paced {
        /// Their delivery class.
        delivery: Delivery,
        /// The length of each.
        size: usize,
        /// The interval between them.
        each: Duration,
        /// Messages sent together each time.
        together: u32,
    },
}

/// One connection through the bottleneck.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Its congestion control.
    pub congestion: Congestion,
    /// What it sends.
    pub traffic: Traffic,
    /// When it connects, after the beginning.
    pub starts: Duration,
}

impl Flow {
    /// Returns a bulk flow that starts at the beginning.
    #[must_use]
    pub const fn bulk(congestion: Congestion) -> Self {
        Self { congestion, traffic: Traffic::Bulk, starts: Duration::ZERO }
    }
}

/// The results of a flow.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// Bytes of messages delivered from the beginning of the measurement to its end.
    pub delivered: u64,
    /// Messages accepted for sending in that time.
    pub sent: u64,
    /// The time from `send` to delivery of each message delivered, in the order of delivery.
    pub latencies: Vec<Duration>,
    /// Messages whose receipt reports each outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Packets sent and declared lost since the start of the connection.
    pub packets: (u64, u64),
}

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Shares {
    /// The flows, in the order given.
    pub flows: Vec<Share>,
    /// The span that was measured.
    pub span: Duration,
    /// The mean time that a packet waited in the queue while it was measured.
    pub queued: Duration,
    /// The longest of these times.
    pub queued_most: Duration,
    /// Packets that found the queue full.
    pub dropped: u64,
}

impl Shares {
    /// Returns the goodput of a flow in megabytes per second.
    #[must_use]
    pub fn megabytes(&self, flow: usize) -> f64 {
        let bytes = self.flows.get(flow).map_or(0, |share| share.delivered);
        bytes as f64 / self.span.as_secs_f64() / 1e6
    }

    /// Returns the goodput of all flows in megabytes per second.
    #[must_use]
    pub fn total(&self) -> f64 {
        (0..self.flows.len()).map(|flow| self.megabytes(flow)).sum()
    }
}

impl Share {
    /// Returns the latency that this share, from 0 to 1, of the delivered messages stays below.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = (sorted.len() as f64 * share) as usize;
        sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(Duration::MAX)
    }
}

/// What is measured, and when.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The bottleneck, from the senders to the receivers.
    pub link: LinkConfig,
    /// The way back, which no flow shares.
    pub back: LinkConfig,
    /// Time before the measurement.
    pub warmup: Duration,
    /// The measurement.
    pub span: Duration,
    /// Everything random.
    pub seed: u64,
}
