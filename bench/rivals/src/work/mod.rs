//! The workloads, each written once for all peers.

pub(crate) mod bulk;
pub(crate) mod connect;
pub(crate) mod messages;
pub(crate) mod ticks;
pub(crate) mod trips;

use std::time::Duration;

use crate::{
    limits,
    peer::{Packets, Settings},
};

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Bulk,
    BulkEthernet,
    Small,
    SmallMany,
    Trips,
    TripsMulti,
    Connect,
    Ticks,
    BulkLossy,
}

/// The runtime of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// `new_current_thread`: one thread per side.
    Current,
    /// What `#[tokio::main]` builds.
    Multi,
}

/// The conditions of a link, the same in both directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// The probability that a packet is lost.
    pub(crate) loss: f64,
    /// The latency of one direction.
    pub(crate) one_way: Duration,
}

impl Workload {
    pub(crate) const ALL: [Self; 9] = [
        Self::Bulk,
        Self::BulkEthernet,
        Self::Small,
        Self::SmallMany,
        Self::Trips,
        Self::TripsMulti,
        Self::Connect,
        Self::Ticks,
        Self::BulkLossy,
    ];

    /// Returns the name for `--workload`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::BulkEthernet => "bulk-ethernet",
            Self::Small => "small",
            Self::SmallMany => "small-many",
            Self::Trips => "trips",
            Self::TripsMulti => "trips-multi",
            Self::Connect => "connect",
            Self::Ticks => "ticks",
            Self::BulkLossy => "bulk-lossy",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    pub(crate) const fn runtime(self) -> Runtime {
        match self {
            Self::TripsMulti => Runtime::Multi,
            _ => Runtime::Current,
        }
    }

    /// Returns the link between the ends; `None` for loopback itself.
    pub(crate) const fn link(self) -> Option<Conditions> {
        match self {
            Self::Ticks => Some(Conditions { loss: 0.05, one_way: Duration::from_millis(50) }),
            Self::BulkLossy => Some(Conditions { loss: 0.01, one_way: Duration::from_millis(10) }),
            _ => None,
        }
    }

    pub(crate) fn settings(self) -> Settings {
        Settings {
            packets: match self {
                Self::BulkEthernet | Self::Ticks | Self::BulkLossy => Packets::Ethernet,
                _ => Packets::AsItComes,
            },
            long_path: self.link().is_some(),
            connections: if self == Self::Connect { limits::CONNECTIONS } else { 1 },
        }
    }

    /// Returns the time in which the client sends.
    pub(crate) const fn span(self) -> Duration {
        match self {
            Self::Ticks | Self::BulkLossy => limits::LOSSY_SPAN,
            _ => limits::SPAN,
        }
    }
}
