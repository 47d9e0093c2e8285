//! What two processes have cost, as the system counts it.
//!
//! In: the other one's process id. Out: time, time on a processor, memory. Never: a process's own
//! word for it.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) time: Duration,
    /// Of a processor, in this process.
    pub(crate) client: Duration,
    /// Of a processor, in the other one.
    pub(crate) server: Duration,
}

/// Runs from its start.
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

/// Time on a processor of all its threads that still run (proc(5), schedstat).
pub(crate) fn processor(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("Linux alone has /proc")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split(' ').next().context("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Memory that is really there, in KiB (proc(5), VmRSS).
pub(crate) fn resident(pid: u32) -> Result<f64> {
    status(pid, "VmRSS:")
}

/// The most that it ever was.
pub(crate) fn peak(pid: u32) -> Result<f64> {
    status(pid, "VmHWM:")
}

fn status(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
    Ok(line.split_whitespace().nth(1).context("no figure")?.parse()?)
}
