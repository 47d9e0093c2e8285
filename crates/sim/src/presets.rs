//! Typical network paths, and a hostile one.

use std::time::Duration;

use crate::link::{EcnTreatment, LinkConfig, Loss};

/// A path by name. Up is from the client, down is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preset {
    /// 10 ms per direction, no loss, no limit.
    Perfect,
    /// A switched gigabit Ethernet.
    Lan,
    /// A home network with a neighbour on the same channel: 50 Mbit/s, losses in short bursts.
    Wifi,
    /// A mobile network: 10 Mbit/s up, 40 Mbit/s down, deep queues.
    Lte,
    /// Geostationary: 300 ms per direction, 5 Mbit/s up, 20 Mbit/s down, 0.5 % loss.
    Satellite,
    /// 10 % loss in bursts, duplicates, reordering, damage, 4 Mbit/s, a shallow queue, the minimum
    /// MTU.
    Hostile,
}

impl Preset {
    /// All of them, kindest first.
    pub const ALL: [Self; 6] =
        [Self::Perfect, Self::Lan, Self::Wifi, Self::Lte, Self::Satellite, Self::Hostile];

    /// Returns its name on the command line and in the golden table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Perfect => "perfect",
            Self::Lan => "lan",
            Self::Wifi => "wifi",
            Self::Lte => "lte",
            Self::Satellite => "satellite",
            Self::Hostile => "hostile",
        }
    }

    /// Returns the link from the client to the server.
    #[must_use]
    pub fn up(self) -> LinkConfig {
        match self {
            Self::Lte => LinkConfig { rate: Some(mbit(10)), ..self.down() },
            Self::Satellite => LinkConfig { rate: Some(mbit(5)), ..self.down() },
            _ => self.down(),
        }
    }

    /// Returns the link from the server to the client.
    #[must_use]
    pub fn down(self) -> LinkConfig {
        match self {
            Self::Perfect => LinkConfig { latency: micros(10_000), ..LinkConfig::default() },
            Self::Lan => LinkConfig {
                latency: micros(200),
                jitter: micros(50),
                mtu: 1_472,
                rate: Some(mbit(1_000)),
                queue: 512 << 10,
                ..LinkConfig::default()
            },
            Self::Wifi => LinkConfig {
                latency: micros(3_000),
                jitter: micros(2_000),
                // One in 250 packets begins a burst of 3, half of which is lost: 0.6 %.
                loss: Loss::Bursts { enter: 0.004, leave: 0.33, in_good: 0.0, in_bad: 0.5 },
                reorder: 0.001,
                reorder_by: micros(5_000),
                mtu: 1_472,
                rate: Some(mbit(50)),
                queue: 256 << 10,
                ..LinkConfig::default()
            },
            Self::Lte => LinkConfig {
                latency: micros(25_000),
                jitter: micros(10_000),
                loss: Loss::Random(0.001),
                mtu: 1_400,
                rate: Some(mbit(40)),
                queue: 1 << 20,
                ..LinkConfig::default()
            },
            Self::Satellite => LinkConfig {
                latency: micros(300_000),
                jitter: micros(5_000),
                loss: Loss::Random(0.005),
                mtu: 1_400,
                rate: Some(mbit(20)),
                queue: 1 << 20,
                ..LinkConfig::default()
            },
            Self::Hostile => LinkConfig {
                latency: micros(40_000),
                jitter: micros(30_000),
                loss: Loss::Bursts { enter: 0.04, leave: 0.25, in_good: 0.01, in_bad: 0.66 },
                duplicate: 0.02,
                reorder: 0.05,
                reorder_by: micros(60_000),
                corrupt: 0.01,
                mtu: 1_200,
                rate: Some(mbit(4)),
                queue: 64 << 10,
                ecn: EcnTreatment::Strip,
                outages: Vec::new(),
            },
        }
    }
}

/// Converts megabits per second to bytes per second.
const fn mbit(count: u64) -> u64 {
    count * 1_000_000 / 8
}

const fn micros(count: u64) -> Duration {
    Duration::from_micros(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_the_documented_loss() {
        let mean = |preset: Preset| preset.down().loss.mean();
        assert_eq!(mean(Preset::Perfect), 0.0);
        assert!((mean(Preset::Wifi) - 0.006).abs() < 0.000_1, "{}", mean(Preset::Wifi));
        assert!((mean(Preset::Hostile) - 0.1).abs() < 0.001, "{}", mean(Preset::Hostile));
    }

    #[test]
    fn every_preset_carries_the_minimum_datagram_and_queues_several() {
        for preset in Preset::ALL {
            for link in [preset.up(), preset.down()] {
                assert!(link.mtu >= 1_200, "{preset:?}");
                assert!(link.rate.is_none() || link.queue >= 10 * link.mtu, "{preset:?}");
            }
        }
    }
}
