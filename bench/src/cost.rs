//! The cost of both processes, as measured by the system.
//!
//! A process is never asked for its own figures.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// The cost of a task.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) time: Duration,
    /// Processor time of this process.
    pub(crate) client: Duration,
    /// Processor time of the other one.
    pub(crate) server: Duration,
}

/// A measurement in progress.
pub(crate) struct Meter {
    server: u32,
    began: Instant,
    before: [Duration; 2],
}

impl Meter {
    pub(crate) fn start(server: u32) -> Result<Self> {
        let before = [processor(std::process::id())?, processor(server)?];
        Ok(Self { server, began: Instant::now(), before })
    }

    pub(crate) fn stop(&self) -> Result<Cost> {
        let time = self.began.elapsed();
        let client = processor(std::process::id())?.saturating_sub(self.before[0]);
        let server = processor(self.server)?.saturating_sub(self.before[1]);
        Ok(Cost { time, client, server })
    }
}

/// Returns the processor time of all running threads (proc(5), schedstat).
pub(crate) fn processor(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("only Linux has /proc")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split(' ').next().context("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Returns the resident memory in KiB (proc(5), VmRSS).
pub(crate) fn resident(pid: u32) -> Result<f64> {
    status(pid, "VmRSS:")
}

/// Returns the peak of the resident memory.
pub(crate) fn peak(pid: u32) -> Result<f64> {
    status(pid, "VmHWM:")
}

fn status(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
    Ok(line.split_whitespace().nth(1).context("no figure")?.parse()?)
}
