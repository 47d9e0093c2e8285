//! `hikyaku listen` under a flood of first packets: its cost, and whether honest clients are still
//! served.
//!
//! The flood never leaves this machine.

mod packets;
mod sender;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use self::sender::{Flood, Kind, LONGEST};
use crate::cost;

/// Honest clients per row, one after the other.
const HONEST: usize = 20;

/// The duration of the flood before the first of them.
const BEFORE: Duration = Duration::from_secs(6);

/// How long each of them waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// The requested measurements.
pub(crate) struct Plan {
    /// Datagrams per second.
    pub(crate) rates: Vec<u64>,
    /// Part of a row's name.
    pub(crate) name: String,
}

/// A measurement.
struct Row {
    name: &'static str,
    kind: Kind,
    dtls: bool,
    /// Rates of new clients, which differ from those of datagrams.
    own_rates: Option<&'static [u64]>,
}

const fn row(name: &'static str, kind: Kind) -> Row {
    Row { name, kind, dtls: false, own_rates: None }
}

const ROWS: [Row; 9] = [
    Row { own_rates: Some(&[0]), ..row("quiet", Kind::Quiet) },
    row("forged, from anywhere", Kind::Forged),
    row("forged, from one /24", Kind::OneNetwork),
    row("replayed", Kind::Replayed),
    row("bad tokens", Kind::BadTokens),
    row("garbage", Kind::Garbage),
    Row { own_rates: Some(&[500, 2_000]), ..row("loiterers", Kind::HalfOpen) },
    Row { dtls: true, own_rates: Some(&[0]), ..row("DTLS, quiet", Kind::Quiet) },
    Row { dtls: true, ..row("DTLS, forged", Kind::Dtls) },
];

pub(crate) fn run(plan: &Plan) -> Result<()> {
    println!(
        "{:24}{:>10}{:>10}{:>8}{:>7}{:>9}{:>9}{:>9}",
        "flood", "sent/s", "heard/s", "CPU", "MiB", "in", "p50 ms", "max ms"
    );
    let mut ran = false;
    for row in ROWS.iter().filter(|row| row.name.contains(&plan.name)) {
        for rate in row.own_rates.unwrap_or(&plan.rates) {
            measure(row, *rate).with_context(|| row.name)?;
            ran = true;
        }
    }
    ensure!(ran, "no row has that name");
    Ok(())
}

fn measure(row: &Row, rate: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = Host::start(folder.path(), row.dtls)?;
    let first = if row.dtls { host.first_datagram()? } else { Vec::new() };
    // Memory that every listener takes for its first client is not due to the flood.
    host.send().context("a client fails without a flood")?;
    let (memory, dropped) = (cost::resident(host.child.id())?, host.dropped()?);
    let flood = Flood::start(row.kind, rate, host.address, &first)?;
    let processor = cost::processor(host.child.id())?;
    thread::sleep(BEFORE);
    let (mut took, mut tried) = (Vec::new(), 0);
    // As long as the flood lasts.
    while tried < HONEST && flood.sent().1 < LONGEST - PATIENCE {
        tried += 1;
        took.extend(host.send().ok());
    }
    let (sent, time) = flood.sent();
    let busy = cost::processor(host.child.id())?.saturating_sub(processor);
    let dropped = host.dropped()? - dropped;
    let grown = (cost::peak(host.child.id())? - memory) / 1_024.0;
    flood.end()?;
    took.sort();
    let ms = |at: usize| took.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3);
    let a_second = |count: u64| count as f64 / time.as_secs_f64();
    println!(
        "{:24}{:10.0}{:10.0}{:7.0}%{grown:7.1}{:6}/{tried:<2}{:9.0}{:9.0}",
        row.name,
        a_second(sent),
        a_second(sent.saturating_sub(dropped)),
        busy.as_secs_f64() / time.as_secs_f64() * 100.0,
        took.len(),
        ms(took.len() / 2),
        ms(took.len().saturating_sub(1)),
    );
    Ok(())
}

/// A running `hikyaku listen`, with the options for its clients.
pub(crate) struct Host<'a> {
    child: Child,
    home: &'a Path,
    address: SocketAddr,
    /// The options by which a client authenticates it.
    trust: Vec<String>,
    /// Kept open, so that the listener never writes to a closed pipe.
    _err: BufReader<ChildStderr>,
}

impl<'a> Host<'a> {
    pub(crate) fn start(home: &'a Path, dtls: bool) -> Result<Self> {
        let (mut options, mut trust) = (Vec::new(), Vec::new());
        if dtls {
            let base = home.join("own").display().to_string();
            let keygen = ["keygen", "--cert", "localhost", "--out", &base];
            let made = hikyaku(home, &keygen)?.output()?;
            let pin = String::from_utf8(made.stdout)?;
            let own = format!("--dtls --ack --cert {base}.crt --key {base}.key");
            options = words(&own);
            trust = words(&format!("--dtls --ack --pin {pin}"));
        }
        // Its output is not read, so a pipe would fill up and block it.
        let mut listen = hikyaku(home, &["listen"])?;
        listen.args(options).arg("127.0.0.1:0").stdout(Stdio::null());
        let mut child = listen.spawn()?;
        let mut err = BufReader::new(child.stderr.take().context("standard error is piped")?);
        let address = loop {
            let mut line = String::new();
            ensure!(err.read_line(&mut line)? > 0, "the listener has ended");
            if let Some(key) = line.trim().strip_prefix("the key of this listener is ") {
                trust = words(&format!("--trust {key}"));
            }
            if let Some(address) = line.trim().strip_prefix("listening on ") {
                break address.split(' ').next().unwrap_or(address).parse()?;
            }
        };
        Ok(Self { child, home, address, trust, _err: err })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs an honest client. Returns the duration from its start to its end.
    pub(crate) fn send(&self) -> Result<Duration> {
        let began = Instant::now();
        let to = self.address.to_string();
        let patience = format!("{}s", PATIENCE.as_secs());
        let mut client = hikyaku(self.home, &["send", "--timeout", &patience])?;
        let ended = client.args(&self.trust).arg(to).arg("x").output()?;
        let told = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "not sent: {told}");
        Ok(began.elapsed())
    }

    /// Returns the first datagram of a client.
    fn first_datagram(&self) -> Result<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let to = socket.local_addr()?.to_string();
        let mut client =
            hikyaku(self.home, &["send"])?.args(&self.trust).arg(to).arg("x").spawn()?;
        let mut datagram = vec![0; 1 << 16];
        let heard = socket.recv(&mut datagram);
        client.kill()?;
        client.wait()?;
        datagram.truncate(heard?);
        Ok(datagram)
    }

    /// Returns how many datagrams the kernel dropped for lack of buffer space (proc(5),
    /// `/proc/net/udp`).
    fn dropped(&self) -> Result<u64> {
        let port = format!(":{:04X}", self.address.port());
        let table = fs::read_to_string("/proc/net/udp")?;
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let ours = lines.find(|fields| fields.get(1).is_some_and(|at| at.ends_with(&port)));
        Ok(ours.context("it has no socket")?.last().context("an empty line")?.parse()?)
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // If it has already ended, there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Returns the command built by `cargo build --profile dist -p hikyaku-cli` beside this program.
fn hikyaku(home: &Path, args: &[&str]) -> Result<Command> {
    let beside = || env::current_exe().map(|path| path.with_file_name("hikyaku"));
    let path = env::var_os("HIKYAKU_BIN").map_or_else(beside, |path| Ok(PathBuf::from(path)))?;
    ensure!(path.exists(), "build it first: cargo build --profile dist -p hikyaku-cli");
    let mut command = Command::new(path);
    command.args(args).env("HOME", home).env_remove("XDG_CONFIG_HOME");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}
