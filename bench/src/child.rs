//! The server, in its own process.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::runtime::{Builder, Runtime};

use crate::field::{Contestant, FIELD};

/// The internal subcommand.
pub(crate) const SERVE: &str = "serve";

/// The time limit of a round.
pub(crate) const LONGEST_ROUND: Duration = Duration::from_secs(180);

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Its address, and its certificate or fingerprint.
    pub(crate) address: String,
    pub(crate) identity: String,
}

impl Server {
    pub(crate) fn start(index: usize, threads: usize) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args([SERVE, &index.to_string(), &threads.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("standard output is piped")?;
        let mut server = Self { child, address: String::new(), identity: String::new() };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let (address, identity) =
            line.trim().split_once(' ').context("the server printed nothing")?;
        (server.address, server.identity) = (address.to_owned(), identity.to_owned());
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for it to end successfully.
    pub(crate) fn end(mut self) -> Result<()> {
        ensure!(self.child.wait()?.success(), "the server failed");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it has already ended, there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reports the address to the parent process.
pub(crate) fn announce(address: &str, identity: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{address} {identity}")?;
    Ok(out.flush()?)
}

/// Creates a runtime. One thread per side is the default, so that each side has one of two
/// processors.
pub(crate) fn runtime(threads: usize) -> Result<Runtime> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    Ok(builder.enable_all().build()?)
}

/// Returns a contestant's index in the field.
pub(crate) fn index_of(contestant: &Contestant) -> usize {
    FIELD.iter().position(|other| other == contestant).unwrap_or(FIELD.len())
}
