//! The machine of a run, without which its figures mean nothing.

use std::fs;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// What the figures depend on besides the code.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    /// The load averages of one minute, before and after.
    load: [f64; 2],
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo").context("only Linux has /proc")?;
        let name = cpus.lines().find_map(|line| line.strip_prefix("model name"));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().context("no load")?.parse()?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            cpu: name.map_or("?", |name| name.trim_start_matches([':', ' ', '\t'])).to_owned(),
            // Without a distribution's suffix.
            kernel: kernel.trim().split('-').next().unwrap_or_default().to_owned(),
            load: [load; 2],
        })
    }

    /// Returns this one with the load at the end of the run.
    pub(crate) fn until(mut self, end: &Self) -> Self {
        self.load[1] = end.load[1];
        self
    }

    pub(crate) fn sentence(&self) -> String {
        let Self { cores, cpu, kernel, load: [before, after] } = self;
        format!(
            "{cores} cores ({cpu}), Linux {kernel}; load average {before:.1} before and {after:.1} \
             after"
        )
    }
}
